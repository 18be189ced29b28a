"""Fragmentation gradient descent: a job stands where it leaves the least more that nobody else can use.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC
2023, sec. 4, algorithm 1: of all nodes, and for a share of all their accelerators, the one is taken on which
F_n(M) after the job less F_n(M) before it is smallest (`fragmentation`). As a Kubernetes scheduler scores nodes with
whole numbers of 0 to 100, the published code takes the highest floor(100 sigmoid(F_n(M) before - F_n(M) after)), in
accelerators, and of equals the first node. That is no detail: growths that differ by less than about 0.04 are equal, so
jobs gather on the first nodes, which allocates more of a cluster than exact growths do (docs/validation.md).

Who is next is the Kubernetes scheduler's matter in the paper: first come first served, and who does not fit waits and
keeps nobody else from starting. The expected workload M is that of the jobs seen so far, or given. Beyond the paper, a
gang that no node holds gets the fewest nodes, and of those the ones that are fragmented least.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.graded import Graded
from ..envs.room import Floats, Room, needs
from ..envs.shares import WHOLE, thousandths
from ..envs.survey import Bools, Ints, Survey
from ..envs.vocabulary import Decision
from ..traces.job import Job, Shape
from .fragmentation import POPULAR, Fragments, Workload
from .memory import Memory
from .needs import NOTHING, Needs
from .ranked import Order, Ranked, submitted

GROWTH = 1.1
"""The expected workload is looked at anew when so many times as many jobs have been seen: each look costs a survey."""
MOST = 512
"""Shapes whose grades are kept."""
STEPS = 100
"""Of the published score."""
DIGITS = 6
"""Of a thousandth of an accelerator: smaller differences are those of sums in another order."""


@dataclass(slots=True)
class _Known:
    """What is known of a shape's grades, and at which moment of the survey each bay was looked at."""

    grades: Floats
    seen: Ints


class Gradient:
    """A grade: by how much a job would make what is free more fragmented.

    Grades are kept by shape, and looked at anew only in bays that have changed.

    Args:
        workload: the expected jobs.
        room: of the cluster.
        steps: of the score; None for the growth itself, in thousandths of an accelerator.
    """

    def __init__(self, workload: Workload, room: Room, steps: int | None = STEPS) -> None:
        self.fragments, self.steps = Fragments(workload, room), steps
        self._survey: Survey | None = None
        self._known: dict[tuple[Shape, int], _Known] = {}
        self._now = _Known(np.zeros(0), np.zeros(0, np.int64))

    def __call__(self, job: Job, count: int, survey: Survey, able: Bools) -> Floats:
        """The growth of F_n(M), summed over a node's kinds, or minus its score. Shape as `able`; see `graded.Grade`."""
        if survey is not self._survey:
            self._survey, self._known = survey, {}
            self._now = _Known(np.zeros(len(survey.bays)), np.zeros(len(survey.bays), np.int64))
        known = self._of((job.shape, count), (len(survey.bays), *able.shape[1:]))
        there = able[survey.host] if job.gang == 0 else able if able.ndim == 1 else able.any(1)
        rows = np.flatnonzero(there & (survey.stamps > known.seen))
        if len(rows):
            known.seen[rows] = survey.stamps[rows]
            growth = self._growth(rows, job, count, survey, able)
            known.grades[rows] = self._scored(growth) if job.gang else growth
        if job.gang == 0:
            return self._scored(np.bincount(survey.host, known.grades, len(able)).astype(np.float64))
        return known.grades

    def _of(self, key: tuple[Shape, int], shape: tuple[int, ...]) -> _Known:
        if key not in self._known:
            if len(self._known) == MOST:
                del self._known[next(iter(self._known))]
            self._known[key] = _Known(np.zeros(shape), np.zeros(shape[0], np.int64))
        return self._known[key]

    def _growth(self, rows: Ints, job: Job, count: int, survey: Survey, able: Bools) -> Floats:
        """In these bays. Shape (rows,), or (rows, widest) for a share."""
        cpus, memory = needs(job, max(count, 1))
        before, hosts = self._before(rows, survey), survey.host[rows]
        load = survey.cpus[hosts] - cpus, survey.memory[hosts] - memory
        if job.gang and job.share < 1:
            which, slots = np.nonzero(able[rows])
            left = survey.left[rows[which]]
            left[np.arange(len(which)), slots] -= thousandths(job.share)
            grown = np.zeros((len(rows), left.shape[1]))
            after = self.fragments(rows[which], left, load[0][which], load[1][which])
            grown[which, slots] = after - before[which]
        else:
            grown = self.fragments(rows, _without(survey.left[rows], count), *load) - before
        if job.gang and survey.mixed[rows].any():
            grown += self._beside(rows, job, count, survey).reshape(-1, *[1] * (grown.ndim - 1))
        return grown

    def _scored(self, growth: Floats) -> Floats:
        """In steps, or rounded to what is no mere noise."""
        found: Floats = growth.round(DIGITS)
        return found if self.steps is None else -np.floor(self.steps / (1 + np.exp(found / WHOLE)))

    def _before(self, rows: Ints, survey: Survey) -> Floats:
        """F_n(M) as it is."""
        now = self._now
        stale = rows[survey.stamps[rows] > now.seen[rows]]
        if len(stale):
            hosts = survey.host[stale]
            now.grades[stale] = self.fragments(stale, survey.left[stale], survey.cpus[hosts], survey.memory[hosts])
            now.seen[stale] = survey.stamps[stale]
        return now.grades[rows]

    def _beside(self, rows: Ints, job: Job, count: int, survey: Survey) -> Floats:
        """What the job's CPUs and memory mean for the node's accelerators of other kinds. Shape (rows,)."""
        others = np.flatnonzero(survey.mixed)
        hosts, (cpus, memory) = survey.host[others], needs(job, count)
        load = survey.cpus[hosts] - cpus, survey.memory[hosts] - memory
        alone = np.zeros(len(survey.bays))
        alone[others] = self.fragments(others, survey.left[others], *load) - self._before(others, survey)
        found: Floats = np.bincount(survey.host, alone)[survey.host[rows]] - alone[rows]
        return found


def _without(left: Ints, count: int) -> Ints:
    """The same without the first `count` of those that are free as a whole."""
    free = left == WHOLE
    left[free & (free.cumsum(1) <= count)] = 0
    return left


@dataclass(slots=True)
class _Seen:
    """What is remembered of a session.

    Attributes:
        place: by what is expected, None while nothing is.
        counts: shape -> jobs of it that were seen.
        jobs: shape -> the first of them.
        noted: which jobs were seen, by order of submission.
        next: how many are to have been seen when the expected workload is looked at anew.
    """

    place: Graded | None = None
    counts: dict[Shape, int] = field(default_factory=dict)
    jobs: dict[Shape, Job] = field(default_factory=dict)
    noted: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    next: float = 1.0

    def note(self, cluster: ClusterView) -> None:
        """Notes jobs that were not seen before."""
        for columns, jobs in (
            (cluster.pending.columns, cluster.pending.__getitem__),
            (cluster.running.columns, lambda key: cluster.running[key].job),
        ):
            orders = columns.order.astype(np.intp)
            if len(orders) and (last := int(orders.max())) >= len(self.noted):
                self.noted = np.append(self.noted, np.zeros(last + 64, np.bool_))
            for row in np.flatnonzero(~self.noted[orders]):
                job = jobs(columns.keys[row])
                self.jobs.setdefault(job.shape, job)
                self.counts[job.shape] = self.counts.get(job.shape, 0) + 1
            self.noted[orders] = True

    def workload(self, popular: float) -> Workload:
        """The commonest shapes, up to this part of the jobs seen."""
        return Workload.counted([*self.jobs.values()], [*self.counts.values()], popular)


@dataclass(slots=True)
class Fgd:
    """Starts jobs in an order, each where it fragments least. What it has seen goes with the session.

    Attributes:
        order: whom to look at first.
        strict: the first that has to wait blocks all behind it, see `Ranked`.
        workload: the expected jobs; None for those seen so far.
        popular: the commonest shapes, up to this part of the jobs seen, stand for all.
        steps: of the score, see `Gradient`.
        needs: nothing.
    """

    order: Order = submitted
    strict: bool = False
    workload: Workload | None = None
    popular: float = POPULAR
    steps: int | None = STEPS
    needs: Needs = NOTHING
    _memory: Memory[_Seen] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts until nobody fits, or until the line is blocked."""
        seen = self._memory.of(cluster, _Seen)
        self._look(seen, cluster)
        if seen.place is not None:
            yield from Ranked(self.order, seen.place, self.strict).decide(cluster)

    def _look(self, seen: _Seen, cluster: ClusterView) -> None:
        """Notes jobs it has not seen, and now and then what they tell of those to come."""
        if self.workload is None:
            seen.note(cluster)
            if (count := sum(seen.counts.values())) >= seen.next:
                seen.next, seen.place = count * GROWTH, self._place(seen.workload(self.popular), cluster.room)
        elif seen.place is None:
            seen.place = self._place(self.workload, cluster.room)

    def _place(self, workload: Workload, room: Room) -> Graded:
        return Graded(Gradient(workload, room, self.steps))


fgd = Fgd()
"""Fragmentation gradient descent for the jobs seen so far; `fgd(sjf)` and the like for other orders."""
