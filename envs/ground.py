"""The accelerators of a log as time passes: how many are up, and which of the free ones are of no use to anybody."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from .mig import SEVENTHS, instances
from .nodes import Nodes
from .shares import WHOLE
from .vocabulary import Placement

Want = tuple[int, float, tuple[str, ...]]
"""What a job asks for: accelerators at the least, the share of each, kinds."""


class Ground:
    """Who may be free, without the ledger's checks: a log was checked when it was written.

    A bay is what a node has of one kind. Jobs on what falls stop in the same moment, so between two moments everything
    that is down is empty.

    Args:
        nodes: all that may ever be there.

    Attributes:
        up_seconds: accelerator-seconds that were up since `begin`.
        whole: (kind, accelerators of its bay) -> seconds that a bay had 0, 1, 2, ... of them wholly free.
        parts: (kind, thousandths) -> seconds that so much of a shared one, or a MIG instance of that size, was free.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._bay: dict[str, int] = {}
        self._of: dict[str, tuple[str, ...]] = {}
        self._key: list[tuple[str, int]] = []
        self._add(nodes)
        self._idle = [size for _, size in self._key]
        self._down = [0] * len(self._key)
        self._since = [0.0] * len(self._key)
        self._away: set[str] = set()
        self._load: dict[str, int] = {}
        self._cuts: dict[str, dict[str, int]] = {}
        self._open: dict[str, tuple[str, int, float]] = {}
        self._up, self._upped = len(self._bay), 0.0
        self.up_seconds = 0.0
        self.whole: dict[tuple[str, int], list[float]] = {key: [0.0] * (key[1] + 1) for key in self._key}
        self.parts: defaultdict[tuple[str, int], float] = defaultdict(float)
        for node in nodes:
            if not node.present:
                self.fall(0.0, node.id)

    def _add(self, nodes: Nodes) -> None:
        for node in nodes:
            self._of[node.id] = tuple(a.id for a in node.accelerators)
            here: dict[str, int] = {}
            for accelerator in node.accelerators:
                if accelerator.kind not in here:
                    here[accelerator.kind] = len(self._key)
                    count = sum(a.kind == accelerator.kind for a in node.accelerators)
                    self._key.append((accelerator.kind, count))
                self._bay[accelerator.id] = here[accelerator.kind]

    @property
    def up(self) -> int:
        """Accelerators that are up."""
        return self._up

    def begin(self, now: float) -> None:
        """Forgets what was before: seconds count from here on."""
        self.go(now)
        self.up_seconds = 0.0
        for seconds in self.whole.values():
            seconds[:] = [0.0] * len(seconds)
        self.parts.clear()

    def go(self, now: float) -> None:
        """Counts all seconds up to now."""
        for bay in range(len(self._key)):
            self._change(now, bay, 0)
        for name in list(self._open):
            self._open_up(now, name, *self._open[name][:2])
        self._count_up(now, 0)

    def take(self, now: float, placement: Placement, need: int) -> None:
        """So many thousandths of each accelerator are taken, given back where it is negative."""
        for _, some in placement:
            if some and abs(need) == WHOLE and "#" not in some[0]:
                self._change(now, self._bay[some[0]], -len(some) if need > 0 else len(some))
            else:
                for accelerator in some:
                    self._share(now, accelerator, need)

    def fall(self, now: float, node: str, accelerators: Iterable[str] = ()) -> None:
        """A node is not there any more, or some of its accelerators."""
        for accelerator in accelerators or self._of[node]:
            if accelerator not in self._away:
                self._away.add(accelerator)
                self._count_up(now, -1)
                self._turn(now, accelerator, down=1)

    def rise(self, now: float, node: str, accelerators: Iterable[str] = ()) -> None:
        """They are back."""
        for accelerator in accelerators or self._of[node]:
            if accelerator in self._away:
                self._away.discard(accelerator)
                self._count_up(now, 1)
                self._turn(now, accelerator, down=-1)

    def close(self, now: float, accelerator: str) -> None:
        """An idle accelerator is being partitioned: neither it nor its instances are free."""
        if accelerator in self._cuts:
            for name in self._cuts[accelerator]:
                self._shut(now, name)
        else:
            self._whole(now, accelerator, -1)
        self._cuts[accelerator] = {}

    def cut(self, now: float, accelerator: str, profiles: tuple[str, ...]) -> None:
        """It has become these instances, or whole again."""
        kind, _ = self._key[self._bay[accelerator]]
        made = instances(kind, profiles)
        self._cuts[accelerator] = {f"{accelerator}#{i.start}": round(i.compute * WHOLE / SEVENTHS) for i in made}
        if not made:
            del self._cuts[accelerator]
            self._whole(now, accelerator, 1)
        elif accelerator not in self._away:
            self._turn(now, accelerator, down=-1)

    def fragments(self, wants: Mapping[Want, int]) -> tuple[float, float]:
        """(accelerator-seconds that were free, those of them that were fragments), since `begin`.

        FGD's measure (Weng et al., USENIX ATC 2023, section 3): what is free on a node and cannot be given to a job
        that is drawn from the workload, in the mean over jobs. The workload is that of the log, of jobs that may stand
        on that kind; as gangs here may span nodes, a gang wants of one bay no more than the whole of it. CPUs and host
        memory are left out.
        """
        free = lost = 0.0
        for (kind, size), seconds in self.whole.items():
            refused = _refused(wants, kind, size)
            free += sum(count * spent for count, spent in enumerate(seconds))
            lost += sum(count * spent * refused[count] for count, spent in enumerate(seconds))
        for (kind, left), spent in self.parts.items():
            seen = {want: n for want, n in wants.items() if not want[2] or kind in want[2]}
            beyond = sum(n for want, n in seen.items() if want[1] * WHOLE > left)
            free += left * spent / WHOLE
            lost += left * spent / WHOLE * (beyond / sum(seen.values()) if seen else 1.0)
        return free, lost

    def _share(self, now: float, accelerator: str, need: int) -> None:
        """A part of an accelerator, or a MIG instance, is taken or given back."""
        whole, _, instance = accelerator.partition("#")
        kind, _ = self._key[self._bay[whole]]
        if instance and need > 0:
            self._shut(now, accelerator)
        elif instance:
            if whole not in self._away and accelerator in self._cuts.get(whole, ()):
                self._open_up(now, accelerator, kind, self._cuts[whole][accelerator])
        else:
            before = self._load.get(accelerator, 0)
            self._load[accelerator] = after = before + need
            self._shut(now, accelerator)
            if 0 < after < WHOLE:
                self._open_up(now, accelerator, kind, WHOLE - after)
            if (before > 0) is not (after > 0):
                self._change(now, self._bay[accelerator], 1 if before > 0 else -1)

    def _whole(self, now: float, accelerator: str, idle: int) -> None:
        self._change(now, self._bay[accelerator], idle, idle if accelerator in self._away else 0)

    def _turn(self, now: float, accelerator: str, down: int) -> None:
        """An accelerator, or what it was cut into, goes or comes."""
        if accelerator not in self._cuts:
            self._change(now, self._bay[accelerator], 0, down)
            return
        kind, _ = self._key[self._bay[accelerator]]
        for name, size in self._cuts[accelerator].items():
            if down > 0:
                self._shut(now, name)
            else:
                self._open_up(now, name, kind, size)

    def _open_up(self, now: float, name: str, kind: str, size: int) -> None:
        self._shut(now, name)
        self._open[name] = (kind, size, now)

    def _shut(self, now: float, name: str) -> None:
        if (was := self._open.pop(name, None)) is not None:
            self.parts[was[:2]] += now - was[2]

    def _change(self, now: float, bay: int, idle: int, down: int = 0) -> None:
        free = self._idle[bay] - self._down[bay]
        self.whole[self._key[bay]][max(0, free)] += now - self._since[bay]
        self._since[bay] = now
        self._idle[bay] += idle
        self._down[bay] += down

    def _count_up(self, now: float, change: int) -> None:
        self.up_seconds += self._up * (now - self._upped)
        self._up, self._upped = self._up + change, now


def _refused(wants: Mapping[Want, int], kind: str, size: int) -> list[float]:
    """The part of the jobs for which 0, 1, ..., `size` free accelerators of a bay are too few."""
    seen = {want: n for want, n in wants.items() if not want[2] or kind in want[2]}
    least: Counter[float] = Counter()
    for (gang, _, _), count in seen.items():
        least[min(gang, size)] += count
    total = sum(least.values())
    return [sum(n for gang, n in least.items() if gang > free) / total if total else 1.0 for free in range(size + 1)]
