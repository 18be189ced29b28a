"""Where a job may stand. A placement function answers for one job in the room there is, or None: it has to wait.

They are written over buckets of bays by usable count, so whole accelerators are found without looking at every node. A
gang stands on one kind of accelerator. Placement lives beside the room because the codec proposes placements too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..traces.job import Job
from .room import Levels, Room, bits
from .shares import WHOLE, thousandths
from .vocabulary import Placement

Place = Callable[[Job, Room], "Placement | None"]
"""Answers where a job could start now. Pure: equal rooms and jobs of equal shape get equal answers."""


def packed(job: Job, room: Room) -> Placement | None:
    """Fewest nodes, tightest fit; spans nodes when it must. The default."""
    return _place(job, room, _pack, min, _tightness)


def first_fit(job: Job, room: Room) -> Placement | None:
    """The first node, in the cluster's order, that holds the gang; else the first free accelerators of all nodes."""
    return _place(job, room, _first, _earliest, _earliness)


def consolidated(job: Job, room: Room) -> Placement | None:
    """A gang that fits a node gets one, tightest fit, or waits; a larger one takes whole nodes and one remainder."""
    return _place(job, room, _consolidate, min, _tightness)


def spread(job: Job, room: Room) -> Placement | None:
    """Evenly: each accelerator on the node with the most free, a share on one of its own if there is one."""
    return _place(job, room, _spread, max, _width)


Pick = Callable[[int, Levels, Room], "Placement | None"]


Rank = Callable[[Placement, Room], tuple[int, int]]
"""Which of the placements on different kinds is taken: the smallest, and of equals the job's first kind."""


def _place(job: Job, room: Room, pick: Pick, choose: Callable[..., tuple[float, int]], rank: Rank) -> Placement | None:
    if job.gang == 0:
        return _host(job, room, choose)
    if job.share == 1:
        return _whole(job, room, pick, rank)
    if choose is max:
        return _whole(job, room, pick, rank) or _shared(job, room, choose)
    return _shared(job, room, choose) or _whole(job, room, pick, rank)


def _whole(job: Job, room: Room, pick: Pick, rank: Rank) -> Placement | None:
    best: Placement | None = None
    upto = 1 if job.kinds else 2  # a job that names kinds has them in its order, unless another needs fewer nodes
    for kind in room.kinds_for(job):
        if room.count[kind] >= job.gang:
            found = pick(job.gang, room.levels_for(job, kind), room)
            if found and (best is None or rank(found, room)[:upto] < rank(best, room)[:upto]):
                best = found
    return best


def _slack(placement: Placement, room: Room) -> int:
    """Accelerators that stay free on the bays of a placement."""
    return sum(room.free[room.seat[part[0]][0]].bit_count() - len(part) for _, part in placement)


def _tightness(placement: Placement, room: Room) -> tuple[int, int]:
    return len(placement), _slack(placement, room)


def _earliness(placement: Placement, room: Room) -> tuple[int, int]:
    return min(len(placement), 2), room.seat[placement[0][1][0]][0]


def _width(placement: Placement, room: Room) -> tuple[int, int]:
    return -len(placement), -_slack(placement, room)


def _pack(gang: int, levels: Levels, room: Room) -> Placement | None:
    for count in range(gang, len(levels)):
        if held := levels[count]:
            return _on_one(held, gang, room)
    return _fullest(gang, levels, room)


def _on_one(held: int, gang: int, room: Room) -> Placement:
    position = (held & -held).bit_length() - 1
    return room.single(position) if gang == 1 else (room.seats(position, gang),)


def _fullest(gang: int, levels: Levels, room: Room) -> Placement | None:
    """The bays with the most free first, and the tightest for what remains: the fewest nodes."""
    chosen: list[tuple[int, int]] = []
    left = gang
    for count in range(len(levels) - 1, 0, -1):
        for position in bits(levels[count]):
            if left <= count:
                taken = {p for p, _ in chosen}
                chosen.append((_tightest(left, levels, taken), left))
                return tuple(room.seats(p, n) for p, n in chosen)
            chosen.append((position, count))
            left -= count
    return None


def _tightest(count: int, levels: Levels, taken: set[int]) -> int:
    """The bay with the fewest usable accelerators that still holds `count`; there is one."""
    return next(p for held in levels[count:] for p in bits(held) if p not in taken)


def _first(gang: int, levels: Levels, room: Room) -> Placement | None:
    enough = 0
    for held in levels[gang:]:
        enough |= held
    if enough:
        return _on_one(enough, gang, room)
    usable = sorted((p, count) for count, held in enumerate(levels) if count for p in bits(held))
    return _gather(gang, usable, room)


def _gather(gang: int, usable: Iterable[tuple[int, int]], room: Room) -> Placement | None:
    chosen: list[tuple[int, int]] = []
    for position, count in usable:
        chosen.append((position, min(count, gang)))
        gang -= chosen[-1][1]
        if not gang:
            return tuple(room.seats(p, n) for p, n in chosen)
    return None


def _consolidate(gang: int, levels: Levels, room: Room) -> Placement | None:
    size = len(levels) - 1
    whole, rest = divmod(gang, size) if gang > size else (0, gang)
    if levels[size].bit_count() < whole:
        return None
    chosen = [p for p, _ in zip(bits(levels[size]), range(whole), strict=False)]
    parts = [room.seats(p, size) for p in chosen]
    if rest:
        taken = set(chosen)
        last = next((p for held in levels[rest:] for p in bits(held) if p not in taken), None)
        if last is None:
            return None
        parts.append(room.seats(last, rest))
    return tuple(parts)


def _spread(gang: int, levels: Levels, room: Room) -> Placement | None:
    left = list(levels)
    given: dict[int, int] = {}
    top = len(left) - 1
    for _ in range(gang):
        while top and not left[top]:
            top -= 1
        if not top:
            return None
        low = left[top] & -left[top]
        left[top] ^= low
        left[top - 1] |= low
        position = low.bit_length() - 1
        given[position] = given.get(position, 0) + 1
    return tuple(room.seats(p, n) for p, n in given.items())


def _earliest(options: Iterable[tuple[float, int]]) -> tuple[float, int]:
    return min(options, key=lambda option: option[1])


def _host(job: Job, room: Room, choose: Callable[..., tuple[float, int]]) -> Placement | None:
    """A node for a job without accelerators: the tightest in CPUs, the first, or the emptiest."""
    sign = -1 if choose is max else 1
    at = job.sites
    able = [
        (room.cpus[h], sign * h)
        for h in range(len(room.nodes))
        if room.hosts(job, h, 1) and (not at or room.nodes[h].site in at)
    ]
    return ((room.nodes[sign * choose(able)[1]].id, ()),) if able else None


def _shared(job: Job, room: Room, choose: Callable[..., tuple[float, int]]) -> Placement | None:
    """A MIG instance that is just large enough, else a part of an accelerator that is already shared."""
    groups = set(room.kinds_for(job))
    if room.shares.open and (instance := _instance(job, room, groups)):
        return instance
    need = thousandths(job.share)
    able: dict[int, str] = {}
    options: list[tuple[float, int]] = []
    for accelerator, left in room.left.items():
        bay = room.bays[room.seat[accelerator][0]]
        if need <= left < WHOLE and bay.group in groups and room.hosts(job, bay.host, 1):
            if room.admits_beside(job, accelerator, need) is not None:
                continue
            order = bay.position << 20 | bay.accelerators.index(accelerator)
            able[order] = accelerator
            options.append((left, order if choose is not max else -order))
    if not options:
        return None
    accelerator = able[abs(choose(options)[1])]
    return ((room.bays[room.seat[accelerator][0]].node, (accelerator,)),)


def _instance(job: Job, room: Room, groups: set[str]) -> Placement | None:
    """The smallest free MIG instance that can take the job."""
    able = []
    for compute, memory, name in room.shares.instances(job, job.share):
        bay = room.bays[room.seat[room.shares.seat[name][0]][0]]
        if bay.group in groups and room.hosts(job, bay.host, 1):
            able.append((compute, memory, bay.position, name, bay.node))
    return ((min(able)[4], (min(able)[3],)),) if able else None
