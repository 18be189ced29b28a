"""FGD: each job goes where it breaks up least of what the jobs that usually come could use.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC
2023. For a class m of jobs (gang, share, CPUs, host memory, kinds) the fragment of a node n is (sec. 3.1)

    F_n(m) = all that is left of its accelerators, if it cannot host one of m;
             what is left of those that alone have less than one of m needs, if it can,

and F_n(M) is the mean over the workload M, each class weighted by how often it comes. A job is placed on the node, and
the accelerator of it, on which F_n(M) grows least (sec. 4: the steepest descent), the first of equals.

M is learned: the classes of the jobs that the policy has seen waiting or running, of a few thousand at most. Jobs are
looked at first come first served, and those that do not fit are passed over, as the Kubernetes scheduler has it. A gang
that no node holds, and one that may have MIG instances, is placed as tightly as can be: the paper has neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..envs.cluster import ClusterView
from ..envs.placement import packed
from ..envs.room import Bay, Room, needs
from ..envs.shares import WHOLE, thousandths
from ..envs.vocabulary import Decision, Placement, Start
from ..traces.job import Job, Shape
from .needs import NOTHING, Needs
from .ranked import fitting, in_order, submitted

CLASSES = 64
"""The most frequent classes make up the workload; rarer ones hardly weigh."""
RENEWED = 1.2
"""The workload is learned anew when so many times as many jobs were seen."""


class Wants(NamedTuple):
    """A class of jobs: accelerators, thousandths of each, thousandths of CPUs, bytes of host memory, kinds."""

    gang: int
    share: int
    cpus: int
    memory: int
    kinds: tuple[str, ...]


class State(NamedTuple):
    """What is left on a node, for accelerators of one kind: thousandths of each, of CPUs, bytes of host memory."""

    left: tuple[int, ...]
    cpus: float
    memory: float
    kind: str


def wants(job: Job) -> Wants:
    """The class of a job."""
    cpus, memory = needs(job, max(job.gang, 1))
    return Wants(job.gang, thousandths(job.share), cpus, memory, job.kinds)


def fragment(state: State, one: Wants) -> float:
    """F_n(m), in thousandths of an accelerator."""
    able = sum(left >= one.share for left in state.left)
    hosts = one.gang and able >= one.gang and one.cpus <= state.cpus and one.memory <= state.memory
    if not hosts or (one.kinds and state.kind not in one.kinds):
        return float(sum(state.left))
    return float(sum(left for left in state.left if left < one.share))


@dataclass
class Fgd:
    """Places jobs where fragmentation grows least.

    Attributes:
        given: the workload, class -> weight; learned if None.
        needs: nothing.
    """

    given: dict[Wants, float] | None = None
    needs: Needs = NOTHING
    _cluster: object = field(default=None, repr=False)
    _seen: set[int] = field(default_factory=set, repr=False)
    _counts: Counter[Wants] = field(default_factory=Counter, repr=False)
    _workload: dict[Wants, float] = field(default_factory=dict, repr=False)
    _learned: int = 0
    _mean: dict[State, float] = field(default_factory=dict, repr=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts of all that fit, first come first served."""
        self._learn(cluster)
        failed: set[Shape] = set()
        while start := self._next(cluster, failed):
            yield start

    def _next(self, cluster: ClusterView, failed: set[Shape]) -> Start | None:
        for job in in_order(cluster, submitted, fitting(cluster)):
            if (shape := cluster.room.shape(job)) not in failed:
                if (placement := self.place(job, cluster.room)) is not None:
                    return Start(job.id, placement)
                failed.add(shape)
        return None

    def _learn(self, cluster: ClusterView) -> None:
        """Counts who has come since; the workload changes when many have."""
        if self._cluster is not cluster:
            self._cluster, self._seen, self._counts, self._learned = cluster, set(), Counter(), 0
        for job in cluster.pending:
            if job.id not in self._seen:
                self._seen.add(job.id)
                self._counts[wants(job)] += 1
        if self.given is not None:
            self._workload = self.given
        elif len(self._seen) > RENEWED * self._learned:
            self._learned, self._mean = len(self._seen), {}
            total = self._counts.total()
            self._workload = {one: count / total for one, count in self._counts.most_common(CLASSES)}

    def place(self, job: Job, room: Room) -> Placement | None:
        """Where a job stands best, None if it has to wait."""
        shared = job.share < 1 and bool(room.shares.open)
        if not job.gang or shared or job.gang > max(room.largest.values(), default=0):
            return packed(job, room)
        one, groups = wants(job), set(room.kinds_for(job))
        best: tuple[float, Placement] | None = None
        for bay in room.bays:
            if bay.group in groups and room.hosts(job, bay.host, job.gang):
                found = self._on(job, one, bay, room)
                if found is not None and (best is None or found[0] < best[0]):
                    best = found
        return best[1] if best is not None else packed(job, room) if job.gang > 1 else None

    def _on(self, job: Job, one: Wants, bay: Bay, room: Room) -> tuple[float, Placement] | None:
        """The least growth on a node, and the place that has it."""
        free = room.free[bay.position]
        if job.share == 1:
            if free.bit_count() < job.gang:
                return None
            part = room.seats(bay.position, job.gang)
            taken = {bay.accelerators.index(accelerator): 0 for accelerator in part[1]}
            return self._growth(one, bay, room, taken), (part,)
        best: tuple[float, Placement] | None = None
        tried: set[int] = set()
        for at, accelerator in enumerate(bay.accelerators):
            left = _left(room, bay, at)
            if left < one.share or left in tried:
                continue
            if left < WHOLE and room.admits_beside(job, accelerator, one.share) is not None:
                continue
            tried.add(left)
            growth = self._growth(one, bay, room, {at: left - one.share})
            if best is None or growth < best[0]:
                best = growth, ((bay.node, (accelerator,)),)
        return best

    def _growth(self, one: Wants, bay: Bay, room: Room, taken: dict[int, int]) -> float:
        before = _state(room, bay)
        left = tuple(sorted(taken.get(at, _left(room, bay, at)) for at in range(bay.size)))
        after = State(left, before.cpus - one.cpus, before.memory - one.memory, before.kind)
        return self.mean(after) - self.mean(before)

    def mean(self, state: State) -> float:
        """F_n(M)."""
        if state not in self._mean:
            self._mean[state] = sum(weight * fragment(state, one) for one, weight in self._workload.items())
        return self._mean[state]


def _left(room: Room, bay: Bay, at: int) -> int:
    """Thousandths that are left of an accelerator; 0 where it is down, cut or taken whole."""
    return WHOLE if room.free[bay.position] >> at & 1 else room.left.get(bay.accelerators[at], 0)


def _state(room: Room, bay: Bay) -> State:
    left = tuple(sorted(_left(room, bay, at) for at in range(bay.size)))
    return State(left, room.cpus[bay.host], room.memory[bay.host], bay.kind)


fgd = Fgd()
"""FGD with a workload that it learns."""
