"""The room left in a cluster: free accelerators in buckets by count, shares, CPUs and host memory.

Sets of accelerators and of nodes are the bits of integers: the lowest set bit is the first free one, and moving a node
from one bucket to another is two exclusive-ors, for eight accelerators or ten thousand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..traces.job import Job
from .nodes import Node, Nodes
from .vocabulary import InvalidDecision, Placement

WHOLE = 1000
"""Thousandths in an accelerator: shares are counted in whole thousandths, so that they add up exactly."""

Floats = npt.NDArray[np.float64]
Levels = list[int]
"""For each count c, the set (as bits) of the bays with exactly c usable accelerators."""


@dataclass(frozen=True, slots=True, eq=False)
class Bay:
    """One node's accelerators of one kind: what a bucket holds.

    Attributes:
        position: its bit in sets of bays.
        host: its node's position in the cluster.
        singles: the placement on each of its accelerators alone.
        all: the placement on all of them.
    """

    position: int
    host: int
    node: str
    kind: str
    accelerators: tuple[str, ...]
    singles: tuple[Placement, ...]
    all: Placement

    @property
    def size(self) -> int:
        """Accelerators, free or not."""
        return len(self.accelerators)


def bits(mask: int) -> Iterator[int]:
    """Yields the positions of the set bits, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Room:
    """What is free, for reading. `version` counts its changes; `scratch()` is a copy to think ahead with."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = tuple(nodes)
        self.bays = tuple(_bays(self.nodes))
        self.host = {node.id: position for position, node in enumerate(self.nodes)}
        self.seat = {a: (b.position, 1 << i) for b in self.bays for i, a in enumerate(b.accelerators)}
        if len(self.host) < len(self.nodes) or len(self.seat) < sum(b.size for b in self.bays):
            raise InvalidDecision("a cluster's nodes and accelerators need ids of their own; some are given twice")
        self.kinds = tuple(dict.fromkeys(b.kind for b in self.bays))
        self.total = {k: sum(b.size for b in self.bays if b.kind == k) for k in self.kinds}
        self.size = sum(self.total.values())
        self.largest = {k: max(b.size for b in self.bays if b.kind == k) for k in self.kinds}
        self.free = [(1 << b.size) - 1 for b in self.bays]
        self.count = dict(self.total)
        self.levels: dict[str, Levels] = {k: [0] * (self.largest[k] + 1) for k in self.kinds}
        for bay in self.bays:
            self.levels[bay.kind][bay.size] |= 1 << bay.position
        self.version = 0
        none = np.zeros(0)
        self._seen: tuple[int, tuple[Floats, Floats, Floats]] = (-1, (none, none, none))
        self._of_kind = {
            kind: tuple(np.array([(b.position, b.host) for b in self.bays if b.kind == kind]).T) for kind in self.kinds
        }
        self.left: dict[str, int] = {}
        self.cpus: list[float] = [math.inf if n.cpus is None else round(n.cpus * WHOLE) for n in self.nodes]
        self.memory: list[float] = [math.inf if n.memory is None else n.memory for n in self.nodes]

    @property
    def spare(self) -> int:
        """Whole accelerators that are free, over all kinds."""
        return sum(self.count.values())

    @property
    def widest(self) -> float:
        """The largest part of one node's accelerators of a kind that is free."""
        best = 0.0
        for levels in self.levels.values():
            top = len(levels) - 1
            while top and not levels[top]:
                top -= 1
            best = max(best, top / (len(levels) - 1))
        return best

    def scratch(self) -> Space:
        """A copy to think with; what is done to it changes nothing here."""
        copy = Space.__new__(Space)
        copy.__dict__.update(self.__dict__)
        copy.free, copy.count, copy.left = self.free.copy(), self.count.copy(), self.left.copy()
        copy.levels = {kind: levels.copy() for kind, levels in self.levels.items()}
        copy.cpus, copy.memory = self.cpus.copy(), self.memory.copy()
        return copy

    def kinds_for(self, job: Job) -> tuple[str, ...]:
        """The kinds of this cluster that the job accepts, in the job's order of preference."""
        return tuple(k for k in job.kinds if k in self.total) if job.kinds else self.kinds

    def free_for(self, job: Job) -> int:
        """The most free whole accelerators of one acceptable kind: with fewer than its gang it cannot start."""
        return max((self.count[k] for k in self.kinds_for(job)), default=0)

    def seats(self, position: int, count: int) -> tuple[str, tuple[str, ...]]:
        """The first `count` free accelerators of a bay, as one part of a placement."""
        bay, free = self.bays[position], self.free[position]
        if count == bay.size and free.bit_count() == count:
            return bay.all[0]
        chosen = []
        for _ in range(count):
            low = free & -free
            chosen.append(bay.accelerators[low.bit_length() - 1])
            free ^= low
        return (bay.node, tuple(chosen))

    def single(self, position: int) -> Placement:
        """The placement on the first free accelerator of a bay."""
        free = self.free[position]
        return self.bays[position].singles[(free & -free).bit_length() - 1]

    def levels_for(self, job: Job, kind: str) -> Levels:
        """Bays in buckets by how many accelerators this job can use there, its CPUs and host memory counted."""
        if job.cpus is None and job.host_memory is None:
            return self.levels[kind]
        free, cpus, memory = self._arrays()
        positions, hosts = self._of_kind[kind]
        cores, room = needs(job, max(job.gang, 1))
        usable = free[positions]
        for have, need in ((cpus, cores), (memory, room)):
            if need:
                usable = np.minimum(usable, np.floor(have[hosts] * max(job.gang, 1) / need))
        levels = [0] * (self.largest[kind] + 1)
        for count in np.unique(usable):
            there = np.zeros(len(self.bays), np.bool_)
            there[positions[usable == count]] = True
            levels[int(count)] = int.from_bytes(np.packbits(there, bitorder="little").tobytes(), "little")
        return levels

    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        """Free accelerators by bay, free CPUs (thousandths) and memory (bytes) by node, until the room changes."""
        if self._seen[0] != self.version:
            free = np.array([mask.bit_count() for mask in self.free], np.float64)
            self._seen = self.version, (free, np.array(self.cpus), np.array(self.memory))
        return self._seen[1]

    def hosts(self, job: Job, host: int, count: int) -> bool:
        """Whether a node has the CPUs and host memory that go with so many of the job's accelerators."""
        cpus, memory = needs(job, count)
        return cpus <= self.cpus[host] and memory <= self.memory[host]

    def could_ever(self, job: Job) -> bool:
        """Whether the job would fit if the whole cluster were free. Placement policies may be stricter."""
        if job.gang == 0:
            return any(fits_node(job, node) for node in self.nodes)
        empty = Room(self.nodes) if self.version else self
        return any(
            sum(count * held.bit_count() for count, held in enumerate(empty.levels_for(job, kind))) >= job.gang
            for kind in self.kinds_for(job)
        )

    def state(self) -> dict[str, object]:
        """What is free, in plain values, for comparing two ledgers."""
        return {"free": list(self.free), "left": dict(self.left), "cpus": list(self.cpus), "memory": list(self.memory)}


class Space(Room):
    """Room that can be taken and given back: the ledger's own, or a policy's scratch copy."""

    def take(self, job: Job, placement: Placement) -> None:
        """Reserves a placement whole, or raises InvalidDecision and changes nothing."""
        self.version += 1
        if job.share < 1:
            return self._take_share(job, placement)
        seats = self._check(job, placement)
        for position, mask in seats:
            self._set(position, self.free[position] ^ mask)
        if job.cpus is not None or job.host_memory is not None:
            self._host(job, placement, -1)
        return None

    def give(self, job: Job, placement: Placement) -> None:
        """Frees what `take` reserved."""
        self.version += 1
        if job.share < 1:
            self._give_share(job, placement[0][1][0])
        else:
            for _, accelerators in placement:
                for accelerator in accelerators:
                    position, bit = self.seat[accelerator]
                    self._set(position, self.free[position] | bit)
        if job.cpus is not None or job.host_memory is not None:
            self._host(job, placement, 1)

    def _set(self, position: int, free: int) -> None:
        bay = self.bays[position]
        levels, bit = self.levels[bay.kind], 1 << position
        before, after = self.free[position].bit_count(), free.bit_count()
        levels[before] ^= bit
        levels[after] ^= bit
        self.free[position] = free
        self.count[bay.kind] += after - before

    def _check(self, job: Job, placement: Placement) -> list[tuple[int, int]]:
        """The bays and bits of a placement, when all of it is free and is what the job wants."""
        taken: dict[int, int] = {}
        count = 0
        for node, accelerators in placement:
            for accelerator in accelerators:
                seat = self.seat.get(accelerator)
                if seat is None or self.bays[seat[0]].node != node:
                    raise InvalidDecision(f"job {job.id} cannot stand on {accelerator} of {node}: there is none")
                position, bit = seat
                mask = taken.get(position, 0)
                if mask & bit or not self.free[position] & bit:
                    raise InvalidDecision(f"job {job.id} cannot have {accelerator}: it is taken")
                taken[position] = mask | bit
                count += 1
        if count != job.gang:
            raise InvalidDecision(f"job {job.id} needs {job.gang} accelerators, the placement has {count}")
        if len(placement) > 1 and len({node for node, some in placement if some}) < len(placement):
            raise InvalidDecision(f"job {job.id} cannot stand on a node twice, or on one without accelerators of it")
        self._check_kinds(job, taken)
        self._check_hosts(job, placement)
        return list(taken.items())

    def _check_kinds(self, job: Job, taken: dict[int, int]) -> None:
        if len(taken) > 1 or job.kinds:
            kinds = {self.bays[position].kind for position in taken}
            if len(kinds) > 1 or (job.kinds and not kinds <= set(job.kinds)):
                wanted = "/".join(job.kinds) or "one kind"
                raise InvalidDecision(f"job {job.id} wants {wanted}, the placement has {', '.join(sorted(kinds))}")

    def _check_hosts(self, job: Job, placement: Placement) -> None:
        if job.gang == 0 and (len(placement) != 1 or placement[0][0] not in self.host):
            raise InvalidDecision(f"job {job.id} needs no accelerators: its placement is one node of the cluster")
        if job.cpus is None and job.host_memory is None:
            return
        for node, part in parts(job, placement):
            if not self.hosts(job, self.host[node], part):
                raise InvalidDecision(f"job {job.id} needs more CPUs or host memory than {node} has free")

    def _host(self, job: Job, placement: Placement, sign: int) -> None:
        for node, part in parts(job, placement):
            cpus, memory = needs(job, part)
            host = self.host[node]
            self.cpus[host] += sign * cpus
            self.memory[host] += sign * memory

    def _take_share(self, job: Job, placement: Placement) -> None:
        if len(placement) != 1 or len(placement[0][1]) != 1:
            raise InvalidDecision(f"job {job.id} needs a share of one accelerator, the placement is {placement}")
        node, (accelerator,) = placement[0]
        seat = self.seat.get(accelerator)
        if seat is None or self.bays[seat[0]].node != node:
            raise InvalidDecision(f"job {job.id} cannot stand on {accelerator} of {node}: there is none")
        position, bit = seat
        whole_free = bool(self.free[position] & bit)
        left = WHOLE if whole_free else self.left.get(accelerator, 0)
        if (need := thousandths(job)) > left:
            raise InvalidDecision(f"job {job.id} needs {need}/{WHOLE} of {accelerator}, {left}/{WHOLE} is left")
        self._check_kinds(job, {position: bit})
        self._check_hosts(job, placement)
        if whole_free:
            self._set(position, self.free[position] ^ bit)
        self.left[accelerator] = left - need
        self._host(job, placement, -1)

    def _give_share(self, job: Job, accelerator: str) -> None:
        left = self.left[accelerator] + thousandths(job)
        if left < WHOLE:
            self.left[accelerator] = left
            return
        del self.left[accelerator]
        position, bit = self.seat[accelerator]
        self._set(position, self.free[position] | bit)


def thousandths(job: Job) -> int:
    """The job's share in thousandths of an accelerator, at least one."""
    return max(1, round(job.share * WHOLE))


def needs(job: Job, count: int) -> tuple[int, int]:
    """Thousandths of CPUs and bytes of host memory that go with so many of the job's accelerators, rounded up.

    A job without accelerators has all its needs with a count of 1.
    """
    gang = max(job.gang, 1)
    cpus = math.ceil(round((job.cpus or 0.0) * WHOLE, 6))  # 2.007 x 1000 is a little more than 2007
    return -(-cpus * count // gang), -(-(job.host_memory or 0) * count // gang)


def parts(job: Job, placement: Placement) -> Iterator[tuple[str, int]]:
    """Yields (node, accelerators there): CPUs and host memory go with them."""
    for node, accelerators in placement:
        yield node, len(accelerators) if job.gang else 1


def fits_node(job: Job, node: Node) -> bool:
    """Whether an empty node has the CPUs and host memory of the whole job."""
    cpus, memory = needs(job, 1)
    return (node.cpus is None or cpus <= round(node.cpus * WHOLE)) and (node.memory is None or memory <= node.memory)


def _bays(nodes: tuple[Node, ...]) -> Iterator[Bay]:
    position = 0
    for host, node in enumerate(nodes):
        for kind in dict.fromkeys(a.kind for a in node.accelerators):
            ids = tuple(a.id for a in node.accelerators if a.kind == kind)
            yield Bay(position, host, node.id, kind, ids, tuple(((node.id, (a,)),) for a in ids), ((node.id, ids),))
            position += 1
