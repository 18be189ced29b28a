"""The room left in a cluster: free accelerators in buckets by count, shares, CPUs and host memory.

Sets of accelerators and of nodes are the bits of integers: the lowest set bit is the first free one, and moving a node
from one bucket to another is two exclusive-ors, for eight accelerators or ten thousand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..traces.job import Job, Shape
from .holdings import Holdings
from .kinds import kind as facts
from .nodes import Node, Nodes
from .shares import WHOLE, Fits, Shares, amount
from .tenants import Tenants
from .vocabulary import InvalidDecision, Placement

if TYPE_CHECKING:
    from .space import Space

Floats = npt.NDArray[np.float64]
Levels = list[int]
"""For each count c, the set (as bits) of the bays with exactly c usable accelerators."""


@dataclass(frozen=True, slots=True, eq=False)
class Bay:
    """One node's accelerators of one kind: what a bucket holds.

    Attributes:
        position: its bit in sets of bays.
        host: its node's position in the cluster.
        group: its kind, with its site where a cluster has several: gangs stand in one group.
        singles: the placement on each of its accelerators alone.
        all: the placement on all of them.
        memory: bytes of the smallest of its accelerators, None if unknown.
    """

    position: int
    host: int
    node: str
    kind: str
    group: str
    accelerators: tuple[str, ...]
    singles: tuple[Placement, ...]
    all: Placement
    memory: int | None

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
    """What is free, for reading. `version` counts its changes; `scratch()` is a copy to think ahead with.

    Groups are kinds, or kinds at a site where the cluster has several sites.

    Attributes:
        kinds: the groups.
        count: free whole accelerators in each group.
        total: accelerators of each group, absent ones included; `size` is their sum.
        holdings: what each tenant holds, None where there are no tenants.
        fits: which profiles can work side by side on one accelerator, None for all.
    """

    def __init__(self, nodes: Nodes, tenants: Tenants | None = None, fits: Fits | None = None) -> None:
        self.nodes = tuple(nodes)
        self.bays = tuple(_bays(self.nodes))
        self._on: dict[str, list[Bay]] = {}
        for bay in self.bays:
            self._on.setdefault(bay.node, []).append(bay)
        self.host = {node.id: position for position, node in enumerate(self.nodes)}
        self.seat = {a: (b.position, 1 << i) for b in self.bays for i, a in enumerate(b.accelerators)}
        if len(self.host) < len(self.nodes) or len(self.seat) < sum(b.size for b in self.bays):
            raise InvalidDecision("a cluster's nodes and accelerators need ids of their own; some are given twice")
        self.kinds = tuple(dict.fromkeys(b.group for b in self.bays))
        self.total = {k: sum(b.size for b in self.bays if b.group == k) for k in self.kinds}
        self.size = sum(self.total.values())
        self.largest = {k: max(b.size for b in self.bays if b.group == k) for k in self.kinds}
        self.up = [(1 << b.size) - 1 if self.nodes[b.host].present else 0 for b in self.bays]
        self.shut = {h for h, node in enumerate(self.nodes) if not node.present}
        self.closed: set[str] = set()
        self.free = self.up.copy()
        self.count = dict.fromkeys(self.kinds, 0)
        self.levels: dict[str, Levels] = {k: [0] * (self.largest[k] + 1) for k in self.kinds}
        for bay, free in zip(self.bays, self.free, strict=True):
            self.levels[bay.group][free.bit_count()] |= 1 << bay.position
            self.count[bay.group] += free.bit_count()
        self.version = 0
        none = np.zeros(0)
        self._seen: tuple[int, tuple[Floats, Floats, Floats]] = (-1, (none, none, none))
        self._of_kind = {
            kind: tuple(np.array([(b.position, b.host) for b in self.bays if b.group == kind]).T) for kind in self.kinds
        }
        self.shares, self.fits = Shares(), fits
        self.cpus: list[float] = [math.inf if n.cpus is None else round(n.cpus * WHOLE) for n in self.nodes]
        self.memory: list[float] = [math.inf if n.memory is None else n.memory for n in self.nodes]
        self.tenants = tenants
        self.holdings = None if tenants is None else Holdings(tenants)
        self._accepted: dict[Shape, tuple[str, ...]] = {}
        gangs = (known.gangs for b in self.bays if (known := facts(b.kind)) is not None)
        self._open = tenants is None and not any(gangs)
        self._spot = any(node.spot for node in self.nodes)

    @property
    def left(self) -> dict[str, int]:
        """Thousandths that are free of each accelerator that is shared."""
        return self.shares.left

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
        from .space import Space

        copy = Space.__new__(Space)
        copy.__dict__.update(self.__dict__)
        copy.free, copy.count, copy.shares = self.free.copy(), self.count.copy(), self.shares.copy()
        copy.levels = {kind: levels.copy() for kind, levels in self.levels.items()}
        copy.cpus, copy.memory = self.cpus.copy(), self.memory.copy()
        if self.holdings is not None:
            copy.holdings = self.holdings.copy()
        return copy

    def shape(self, job: Job) -> Shape:
        """What decides where a job can stand: its own shape, and where these matter tenant, profile, preemptibility."""
        shape = job.shape if self.tenants is None and job.share == 1 else (*job.shape, job.tenant, job.profile)
        return (*shape, job.preemptible) if self._spot else shape

    def admits_beside(self, job: Job, accelerator: str, need: int) -> str | None:
        """Why a job cannot have so many thousandths of an accelerator beside those who share it, None if it can."""
        why = self.shares.admits(job, accelerator, need)
        if why is not None or self.fits is None:
            return why
        return self.shares.clashes(job, accelerator, self.bays[self.seat[accelerator][0]].kind, self.fits)

    def kinds_for(self, job: Job) -> tuple[str, ...]:
        """The groups that the job could stand in, in its order; none while its tenant may have no more."""
        if self._open and not job.kinds and not job.sites and job.memory is None:
            return self.kinds
        if not self.admits(job):
            return ()
        return self.accepted(job)

    def accepted(self, job: Job) -> tuple[str, ...]:
        """The groups that the job could ever stand in, in its order of preference."""
        key = (job.kinds, job.sites, job.memory, job.gang)
        found = self._accepted.get(key)
        if found is None:
            suited = {b.group: b.kind for b in self.bays if self._suits(b, job)}
            order = job.kinds or tuple(dict.fromkeys(suited.values()))
            found = tuple(group for kind in order for group in self.kinds if suited.get(group) == kind)
            self._accepted[key] = found
        return found

    def _suits(self, bay: Bay, job: Job) -> bool:
        """Whether a job's needs, apart from how many are free, are met there."""
        known = facts(bay.kind)
        return (
            (not job.kinds or bay.kind in job.kinds)
            and (not job.sites or self.nodes[bay.host].site in job.sites)
            and (job.memory is None or bay.memory is None or job.memory <= bay.memory)
            and (known is None or known.admits(job.gang))
        )

    def refusal(self, job: Job, amount: int) -> str | None:
        """Why the job's tenant may not have so many thousandths of an accelerator more, None if it may."""
        return None if self.holdings is None else self.holdings.refuses(job.tenant, amount)

    def admits(self, job: Job) -> bool:
        """Whether the job's tenant may have what it asks for: if not, the job keeps nobody else from starting."""
        return self.holdings is None or self.holdings.may(job.tenant, amount(job))

    def kind_of(self, accelerator: str) -> str | None:
        """The kind of an accelerator, None for a MIG instance."""
        return self.bays[self.seat[accelerator][0]].kind if accelerator in self.seat else None

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
        if self.shut and host in self.shut:
            return False
        cpus, memory = needs(job, count)
        return cpus <= self.cpus[host] and memory <= self.memory[host]

    def could_ever(self, job: Job) -> bool:
        """Whether the job would fit if every node were there and free. Placement policies may be stricter."""
        empty = self.emptied() if self.version or self.shut else self
        if job.gang == 0:
            at = job.sites
            return any(fits_node(job, node) for node in self.nodes if not at or node.site in at)
        if job.share < 1 and next(empty.shares.instances(job, job.share), None) is not None:
            return bool(empty.kinds_for(job))
        return any(
            sum(count * held.bit_count() for count, held in enumerate(empty.levels_for(job, kind))) >= job.gang
            for kind in empty.kinds_for(job)
        )

    def emptied(self) -> Space:
        """The same room with every node there and nobody in it; what is partitioned stays so."""
        from .space import Space

        empty = Space(tuple(replace(node, present=True) for node in self.nodes), self.tenants, self.fits)
        for accelerator, instances in self.shares.slices.items():
            empty.close(accelerator)
            empty.cut(accelerator, tuple(one.profile for one in instances))
        return empty

    def state(self) -> dict[str, object]:
        """What is free, in plain values, for comparing two ledgers."""
        more: dict[str, object] = {"up": list(self.up), "open": dict(self.shares.open)}
        if self.holdings is not None:
            more["usage"] = {tenant: used for tenant, used in self.holdings.used.items() if used}
        return more | {
            "free": list(self.free),
            "left": dict(self.left),
            "cpus": list(self.cpus),
            "memory": list(self.memory),
        }


def width(placement: Placement) -> int:
    """How many accelerators a placement has."""
    return sum(len(accelerators) for _, accelerators in placement)


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
    several = len({node.site for node in nodes if node.accelerators}) > 1
    for host, node in enumerate(nodes):
        for kind in dict.fromkeys(a.kind for a in node.accelerators):
            mine = [a for a in node.accelerators if a.kind == kind]
            ids = tuple(a.id for a in mine)
            group = f"{kind}@{node.site}" if several else kind
            singles: tuple[Placement, ...] = tuple(((node.id, (a,)),) for a in ids)
            memory = min((a.memory for a in mine if a.memory is not None), default=None)
            yield Bay(position, host, node.id, kind, group, ids, singles, ((node.id, ids),), memory)
            position += 1
