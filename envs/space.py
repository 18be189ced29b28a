"""Room that can be taken and given back: whole accelerators, parts of them, nodes that go and come."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from ..traces.job import Job
from .kinds import kind as facts
from .mig import instances
from .room import Room, needs, parts, width
from .shares import WHOLE, thousandths
from .vocabulary import InvalidDecision, Placement

if TYPE_CHECKING:
    from .roster import Running


class Space(Room):
    """Room that can be taken and given back: the ledger's own, or a policy's scratch copy."""

    def take(self, job: Job, placement: Placement, share: float | None = None) -> None:
        """Reserves a placement whole, or raises InvalidDecision and changes nothing."""
        self.version += 1
        if job.share == 1 and (share is None or share == 1):
            taken = self._check_whole(job, placement)
            self._check_quota(job, placement, 1.0)
            for position, mask in taken.items():
                self._set(position, self.free[position] ^ mask)
            if self.holdings is not None or job.cpus is not None or job.host_memory is not None:
                self._account(job, placement, 1.0, -1)
            return
        given = job.share if share is None else share
        self.check(job, placement, given)
        self._put(job, placement, given)

    def took(self, job: Job, placement: Placement, share: float | None = None) -> bool:
        """Reserves a placement whole if that may be, and says whether it may."""
        try:
            self.take(job, placement, share)
        except InvalidDecision:
            return False
        return True

    def extend(self, job: Job, old: Placement, new: Placement, share: float) -> Placement:
        """Reserves what a run's new placement has beyond its old one, or raises InvalidDecision and changes nothing.

        Returns both together: what the run holds until it is there.
        """
        both = union(old, new)
        self.give(job, old, share)
        try:
            self.check(job, new, share)
            self._check_load(job, both)
            self._check_quota(job, both, share)
        except InvalidDecision:
            self._put(job, old, share)
            raise
        self._put(job, both, share)
        return both

    def settle(self, job: Job, both: Placement, new: Placement, share: float) -> None:
        """Frees what a run no longer needs when it is there."""
        self.give(job, both, share)
        self._put(job, new, share)

    def check(self, job: Job, placement: Placement, share: float) -> None:
        """Raises InvalidDecision if a job cannot have a placement now."""
        if share < 1:
            self._check_shares(job, placement, share)
        else:
            self._check_whole(job, placement)
        self._check_quota(job, placement, share)

    def _check_quota(self, job: Job, placement: Placement, share: float) -> None:
        if self.holdings is not None:
            amount = thousandths(share) * width(placement)
            if (why := self.refusal(job, amount)) is not None:
                raise InvalidDecision(f"job {job.id} of tenant {job.tenant} may not have {width(placement)}: {why}")

    def _put(self, job: Job, placement: Placement, share: float) -> None:
        if share < 1:
            self._enter(job, placement, thousandths(share))
        else:
            for _, accelerators in placement:
                self._flip(accelerators)
        self._account(job, placement, share, -1)

    def give(self, job: Job, placement: Placement, share: float | None = None) -> None:
        """Frees what `take` reserved."""
        self.version += 1
        given = job.share if share is None else share
        if given < 1:
            self._leave(job, placement, thousandths(given))
        else:
            for _, accelerators in placement:
                self._flip(accelerators)
        if self.tenants is not None or job.cpus is not None or job.host_memory is not None:
            self._account(job, placement, given, 1)

    def owe(self, owed: bool) -> None:
        """Notes whether somebody waits for what is its own: nobody may borrow meanwhile."""
        if self.holdings is not None and owed is not self.holdings.owed:
            self.holdings.owed = owed
            self.version += 1

    def release(self, running: Running) -> None:
        """Frees all that a run holds."""
        self.give(running.job, running.holds, running.share)

    def put_back(self, running: Running) -> None:
        """Undoes `release`, in a scratch room that nobody else has entered since: without asking for quota again."""
        self.version += 1
        self._put(running.job, running.holds, running.share)

    def fall(self, node: str, accelerators: Iterable[str] = ()) -> None:
        """Takes a node, or some of its accelerators, out of use. Who stands there gives back later."""
        self.version += 1
        for position, mask in self._part(node, accelerators):
            self._set(position, self.free[position] & ~mask)
            self.up[position] &= ~mask
        for accelerator in self._cut(node, accelerators):
            self.shares.open[accelerator] = 0
        if not accelerators:
            self.shut.add(self.host[node])

    def rise(self, node: str, accelerators: Iterable[str] = ()) -> None:
        """Puts a node, or some of its accelerators, back into use, empty."""
        self.version += 1
        for position, mask in self._part(node, accelerators):
            cut = (*self.shares.slices, *self.closed)
            sliced = sum(self.seat[a][1] for a in cut if self.seat[a][0] == position)
            self.up[position] |= mask
            self._set(position, self.free[position] | (mask & ~sliced))
        for accelerator in self._cut(node, accelerators):
            self.shares.open[accelerator] = (1 << len(self.shares.slices[accelerator])) - 1
        if not accelerators:
            self.shut.discard(self.host[node])

    def close(self, accelerator: str) -> None:
        """Takes an idle accelerator out of use while it is partitioned. Raises InvalidDecision if it is not idle."""
        position, bit = self.seat[accelerator]
        if accelerator in self.shares.slices:
            if not self.shares.idle(accelerator) or not self.up[position] & bit:
                raise InvalidDecision(
                    f"{accelerator} cannot be partitioned: jobs stand on its instances, or it is down"
                )
            self.shares.cut(accelerator, (), usable=False)
        elif self.free[position] & bit:
            self._set(position, self.free[position] ^ bit)
        else:
            raise InvalidDecision(f"{accelerator} cannot be partitioned: it is in use, or down")
        self.closed.add(accelerator)
        self.version += 1

    def cut(self, accelerator: str, profiles: tuple[str, ...]) -> None:
        """Puts an accelerator back into use as MIG instances, or whole."""
        self.version += 1
        self.closed.discard(accelerator)
        position, bit = self.seat[accelerator]
        up = bool(self.up[position] & bit)
        self.shares.cut(accelerator, instances(self.bays[position].kind, profiles), usable=up)
        if not profiles and up:
            self._set(position, self.free[position] | bit)

    def _part(self, node: str, accelerators: Iterable[str]) -> Iterator[tuple[int, int]]:
        """The bays of a node, with the bits of these of its accelerators, or of all."""
        named = set(accelerators)
        for bay in self._on.get(node, ()):
            yield bay.position, sum(1 << i for i, a in enumerate(bay.accelerators) if not named or a in named)

    def _cut(self, node: str, accelerators: Iterable[str]) -> list[str]:
        """Which of a node's accelerators, or of these, are partitioned."""
        named = set(accelerators)
        mine = (a for a in self.shares.slices if self.bays[self.seat[a][0]].node == node)
        return [a for a in mine if not named or a in named]

    def _flip(self, accelerators: tuple[str, ...]) -> None:
        """Takes free accelerators, or gives taken ones back unless they are down, bay by bay."""
        if len(accelerators) == 1:
            position, bit = self.seat[accelerators[0]]
            self._set(position, (self.free[position] ^ bit) & self.up[position])
            return
        changes: dict[int, int] = {}
        for accelerator in accelerators:
            position, bit = self.seat[accelerator]
            changes[position] = changes.get(position, 0) | bit
        for position, mask in changes.items():
            self._set(position, (self.free[position] ^ mask) & self.up[position])

    def _set(self, position: int, free: int) -> None:
        bay = self.bays[position]
        levels, bit = self.levels[bay.group], 1 << position
        before, after = self.free[position].bit_count(), free.bit_count()
        levels[before] ^= bit
        levels[after] ^= bit
        self.free[position] = free
        self.count[bay.group] += after - before

    def _check_whole(self, job: Job, placement: Placement) -> dict[int, int]:
        """The bays and bits of a placement, when all of it is free and is what the job wants."""
        taken: dict[int, int] = {}
        count, seats, bays, free = 0, self.seat, self.bays, self.free
        for node, accelerators in placement:
            for accelerator in accelerators:
                seat = seats.get(accelerator)
                if seat is None or bays[seat[0]].node != node:
                    raise InvalidDecision(f"job {job.id} cannot stand on {accelerator} of {node}: there is none")
                position, bit = seat
                mask = taken.get(position, 0)
                if mask & bit or not free[position] & bit:
                    raise InvalidDecision(f"job {job.id} cannot have {accelerator}: it is taken")
                taken[position] = mask | bit
                count += 1
        self._check_form(job, placement, taken, count)
        return taken

    def _check_form(self, job: Job, placement: Placement, bays: Collection[int], count: int) -> None:
        """Whether a placement has the right number of accelerators, on one kind and site, with CPUs and memory."""
        if count != job.gang and not (job.min_gang or job.gang) <= count <= (job.max_gang or job.gang):
            raise InvalidDecision(f"job {job.id} needs {job.gang} accelerators, the placement has {count}")
        if len(placement) > 1 and len({node for node, some in placement if some}) < len(placement):
            raise InvalidDecision(f"job {job.id} cannot stand on a node twice, or on one without accelerators of it")
        if not self._open or len(bays) > 1 or job.kinds or job.sites or job.memory is not None:
            self._check_kinds(job, bays, count)
        if job.gang == 0 or job.cpus is not None or job.host_memory is not None:
            self._check_hosts(job, placement)

    def _check_kinds(self, job: Job, bays: Collection[int], count: int) -> None:
        for kind in {self.bays[position].kind for position in bays}:
            known = facts(kind)
            if known is not None and not known.admits(count):
                raise InvalidDecision(f"job {job.id} cannot have {count} of {kind}: it is given out in {known.gangs}")
        groups = {self.bays[position].group for position in bays}
        if len(groups) > 1 or not groups <= set(self.accepted(job)):
            wanted, has = "/".join(job.kinds) or "one kind", ", ".join(sorted(groups))
            kinds = {self.bays[position].kind for position in bays}
            if len(groups) == 1 and (not job.kinds or kinds <= set(job.kinds)):
                raise InvalidDecision(f"job {job.id} cannot stand on {has}: not with its memory, sites or gang")
            raise InvalidDecision(f"job {job.id} wants {wanted}, the placement has {has}")

    def _check_hosts(self, job: Job, placement: Placement) -> None:
        if job.gang == 0:
            if len(placement) != 1 or placement[0][0] not in self.host:
                raise InvalidDecision(f"job {job.id} needs no accelerators: its placement is one node of the cluster")
            if job.sites and self.nodes[self.host[placement[0][0]]].site not in job.sites:
                raise InvalidDecision(f"job {job.id} may not leave {'/'.join(job.sites)}")
        self._check_load(job, placement)

    def _check_load(self, job: Job, placement: Placement) -> None:
        """Whether nodes have the CPUs and host memory for what stands there, all of it up."""
        if job.gang and job.cpus is None and job.host_memory is None:
            return
        for node, part in parts(job, placement):
            if not self.hosts(job, self.host[node], part):
                raise InvalidDecision(f"job {job.id} needs more CPUs or host memory than {node} has free")

    def _account(self, job: Job, placement: Placement, share: float, sign: int) -> None:
        """CPUs, host memory and quota go with the accelerators."""
        if self.holdings is not None:
            self.holdings.change(job.tenant, -sign * thousandths(share) * width(placement))
        if job.cpus is None and job.host_memory is None:
            return
        for node, part in parts(job, placement):
            cpus, memory = needs(job, part)
            host = self.host[node]
            self.cpus[host] += sign * cpus
            self.memory[host] += sign * memory

    def _check_shares(self, job: Job, placement: Placement, share: float) -> None:
        """Whether a part of each accelerator of a placement can be had."""
        need, bays, shares = thousandths(share), set[int](), self.shares
        for node, accelerators in placement:
            for accelerator in accelerators:
                whole = shares.seat[accelerator][0] if accelerator in shares.seat else accelerator
                if whole not in self.seat or self.bays[self.seat[whole][0]].node != node:
                    raise InvalidDecision(f"job {job.id} cannot stand on {accelerator} of {node}: there is none")
                position, bit = self.seat[whole]
                bays.add(position)
                if whole is not accelerator:
                    why = shares.holds(job, accelerator, share)
                elif self.free[position] & bit:
                    continue
                else:
                    why = self.admits_beside(job, accelerator, need)
                if why is not None:
                    raise InvalidDecision(f"job {job.id} needs {need}/{WHOLE} of {accelerator}, {why}")
        if width(placement) > 1 and any(a in shares.seat for _, some in placement for a in some):
            raise InvalidDecision(f"job {job.id} is a gang: it cannot stand on MIG instances")
        if len({a for _, some in placement for a in some}) < width(placement):
            raise InvalidDecision(f"job {job.id} cannot have an accelerator twice")
        self._check_form(job, placement, bays, width(placement))

    def _enter(self, job: Job, placement: Placement, need: int) -> None:
        for _, accelerators in placement:
            for accelerator in accelerators:
                if accelerator in self.shares.seat:
                    self.shares.flip(accelerator)
                    continue
                position, bit = self.seat[accelerator]
                if self.free[position] & bit:
                    self._set(position, self.free[position] ^ bit)
                self.shares.enter(job, accelerator, need, self.bays[position].memory)

    def _leave(self, job: Job, placement: Placement, need: int) -> None:
        for _, accelerators in placement:
            for accelerator in accelerators:
                whole = self.shares.seat.get(accelerator, (accelerator, 0))[0]
                position, bit = self.seat[whole]
                if whole is not accelerator:
                    if self.up[position] & bit:
                        self.shares.flip(accelerator)
                elif self.shares.leave(job, accelerator, need):
                    self._set(position, (self.free[position] | bit) & self.up[position])


def union(one: Placement, other: Placement) -> Placement:
    """All accelerators of two placements, node by node."""
    held: dict[str, dict[str, None]] = {}
    for node, accelerators in (*one, *other):
        held.setdefault(node, {}).update(dict.fromkeys(accelerators))
    return tuple((node, tuple(accelerators)) for node, accelerators in held.items())
