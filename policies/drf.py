"""DRF: whoever has the smallest dominant share starts the next job, and owners take back what others borrowed.

Ghodsi et al., "Dominant Resource Fairness: Fair Allocation of Multiple Resource Types", NSDI 2011, algorithm 1: the
user with the smallest dominant share starts its next task, again and again. User i, of weight w_i, holds u_ij of
resource j, of which there is r_j:
    s_i = max over j of u_ij / (w_i r_j)
Users are tenants. Resources are accelerators of each kind (at each site), CPUs and host memory, as far as nodes say how
much they have. The weight is a tenant's part of the cluster (`Tenants.part`: its quota, else its weight's part of what
is nobody's quota); where the world has no tenants, those that jobs name weigh alike.

Quotas, borrowing and reclaim are Kueue's (kubernetes-sigs/kueue: docs, "Preemption"; KEP 1714, "Fair Sharing"), whose
fair sharing is DRF over what is borrowed. The ledger's quotas count accelerators, so here that is one resource:
    b_i = (held + wanted - quota) / weight
Jobs with b_i <= 0 are covered by their tenant's quota. They come first, by s_i; then whoever's b_i with its next job is
smallest. Within a tenant priority comes first, then age. A job that finds no room may ask runs to stop
- of other tenants, if they borrow (reclaimWithinCohort: Any): those with the largest b first, of these the lowest
  priority, the newest. First such that b of the job's tenant with it is no larger than b of theirs without the run
  (LessThanOrEqualToFinalShare), then also such that it is smaller than theirs with the run (LessThanInitialShare);
  where the job is covered its b counts as 0. So nobody whose tenant is within its quota is stopped, and a gang that
  stands partly on its tenant's own only if there is no other way;
- of its own tenant, if they have a lower priority (withinClusterQueue: LowerPriority), after all others.
As few are asked as it takes, none if all of them would not do. The place that they leave is kept for the job. A run is
let alone until it has had `tick` seconds.

Two jobs cannot stop each other in turn: each stop makes the larger of two shares smaller. For that a job asks with the
largest b of those before it in its tenant's line who found no room: once the place is free, they are asked first.

Left out: in the paper the cluster counts as full when the first task does not fit (`strict`, with which Kueue's queues
are StrictFIFO); by default those behind it start where they fit (BestEffortFIFO), and a large gang may wait long. Of
Kueue: quotas by kind, cohorts of cohorts, other choices of the two preemption policies than those above or Never,
borrowWithinCohort (fair sharing stands for it), and shares of the past (admission fair sharing). CPUs and host memory
have no quota, so nobody is stopped for a job without accelerators.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

import numpy as np
import numpy.typing as npt

from ..envs.cluster import ClusterView
from ..envs.holdings import Holdings
from ..envs.placement import Place, packed
from ..envs.reclaims import to_come
from ..envs.room import Room
from ..envs.roster import Columns, Running
from ..envs.shares import amount
from ..envs.space import Space
from ..envs.vocabulary import Decision, Placement, Preempt, Start
from ..traces.job import Job
from .dominant import DominantShares, Line, held, lines, priority, stands
from .leases import gives_way
from .needs import Needs
from .ranked import Rows, fitting

Key = tuple[float, float, float, float]


def most_urgent(job: Job, _: ClusterView) -> float:
    """The highest priority first; unknown is 0."""
    return -priority(job)


def least_urgent(running: Running, _: ClusterView) -> float:
    """The lowest priority first."""
    return priority(running.job)


def last_first(run: Running) -> tuple[float, float, int]:
    """In which order the runs of a tenant are asked to stop: the lowest priority, then the newest."""
    return priority(run.job), -run.since, -run.order


@dataclass(frozen=True, slots=True)
class Drf:
    """Progressive filling by dominant shares, with reclaim.

    Attributes:
        place: where a job may stand.
        strict: the first job that finds no room ends the filling, as in the paper; one that waits for its tenant's
            quota ends its tenant's alone.
        reclaim: jobs that are covered by their tenant's quota may stop runs of those who borrow.
        fair: so may jobs that would borrow themselves, less than those.
        within: so may jobs of a higher priority runs of their own tenant.
        tick: seconds between looks, and the least that a run has before it is stopped.
        longest_restart: seconds, half of what a run has at least: else it could be stopped before it has done a thing.
    """

    place: Place = packed
    strict: bool = False
    reclaim: bool = True
    fair: bool = True
    within: bool = True
    tick: float = 360.0
    longest_restart: float = 180.0
    needs: Needs = frozenset({"owners"})

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts, and stops for those who have a right to the place."""
        if not len(cluster.pending):
            return
        askable = self._askable(cluster)
        then = to_come(cluster) if askable or any(run.stopping for run in cluster.running) else None
        room: Room = cluster.room
        if then is not None:
            room = trial = then.scratch()
            for run in askable:
                trial.release(run)
        rows = fitting(cluster, room)
        if self.strict and len(rows):
            rows = np.arange(len(cluster.pending))
        elif len(rows):
            rows = rows[_able(cluster, rows, room, self.place)]
        if len(rows):
            yield from _Filling(self, cluster, then, askable, rows).decide()

    def _askable(self, cluster: ClusterView) -> list[Running]:
        """Runs that somebody might ask to stop: of tenants that borrow, or less urgent than somebody who waits."""
        holdings, now = cluster.room.holdings, cluster.now
        over = holdings.over if holdings is not None and self.reclaim else frozenset[str | None]()
        top = priority(next(cluster.pending.by(most_urgent))) if self.within else -np.inf
        least = next(cluster.running.by(least_urgent), None)
        if least is None or (not over and priority(least.job) >= top):
            return []
        able = (run for run in cluster.running if gives_way(run) and now - run.since >= self.tick)
        return [run for run in able if run.job.tenant in over or priority(run.job) < top]


def _able(cluster: ClusterView, rows: Rows, room: Room, place: Place) -> npt.NDArray[np.bool_]:
    """Which of these waiting jobs would find a place in a room, each alone; asked once a shape."""
    columns, known = cluster.pending.columns, dict[object, bool]()
    numbers, which = np.unique(columns.column(Columns.SHAPE)[rows], return_inverse=True)
    able = np.zeros(len(numbers), np.bool_)
    for position, number in enumerate(numbers.tolist()):
        job = columns.shapes[int(number)]
        if room.admits(job):
            shape = job.shape if job.share == 1 else room.shape(job)
            if shape not in known:
                known[shape] = place(job, room) is not None
            able[position] = known[shape]
    return able[which]


class _Filling:
    """One call: who is next, where it stands, and who has to leave for it.

    Attributes:
        then: the room there will be when those who are stopping have left and those who wait for them stand there; None
            while that is the room there is.
        coming: whether anybody is stopping.
        awaited: thousandths of an accelerator that jobs of each tenant wait for.
    """

    def __init__(
        self, policy: Drf, cluster: ClusterView, then: Space | None, askable: list[Running], rows: Rows
    ) -> None:
        self.policy, self.cluster, self.then, self.askable = policy, cluster, then, askable
        self.coming = any(run.stopping for run in cluster.running)
        self.awaited = defaultdict[str | None, int](int)
        self.weights: dict[str | None, float] = {}
        self.lines = lines(cluster, rows)
        self.shares = DominantShares(cluster) if len(self.lines) > 1 else None

    @property
    def _holdings(self) -> Holdings | None:
        return (self.cluster.room if self.then is None else self.then).holdings

    def decide(self) -> Iterator[Decision]:
        """Yields starts and stops, the smallest share first."""
        heap = self._heap()
        while heap:
            number = heap[0][1]
            line = self.lines[number]
            if line.next() and (yield from self._served(line)):
                heap = self._heap()  # the shares of those who were stopped are smaller now
            elif line.next():
                heapreplace(heap, (self._key(line), number))
            else:
                heappop(heap)

    def _served(self, line: Line) -> Generator[Decision, None, bool]:
        """Starts a line's next job, or lets it wait for its place, or not for any; says whether others leave for it."""
        job = self.cluster.pending[line.key]
        seat, now = self._seat(job)
        gone = list[Running]()
        if seat is None:
            seat, gone = self._leavers(job, line.ahead)
        if seat is None:
            self._refused(line, job)
            return False
        if now:
            yield Start(job.id, seat)
        else:
            self.awaited[job.tenant] += amount(job)
        yield from (Preempt(run.job.id) for run in gone)
        line.at += 1
        self._count(job, seat, gone)
        return bool(gone)

    def _refused(self, line: Line, job: Job) -> None:
        if not self.policy.strict:
            line.refused.add(line.shapes[line.at])
            line.ahead = max(line.ahead, self._wants(job, self._holdings))
            return
        for one in self.lines if self.cluster.room.admits(job) else [line]:
            one.at = len(one.keys)

    def _heap(self) -> list[tuple[Key, int]]:
        heap = [(self._key(line), number) for number, line in enumerate(self.lines) if line.next()]
        heapify(heap)
        return heap

    def _key(self, line: Line) -> Key:
        """What the next job of a line would be borrowing, its tenant's share, its urgency, and its age."""
        if self.shares is None:
            return (0.0, 0.0, 0.0, 0.0)
        job = self.cluster.pending[line.key]
        return self._wants(job, self._holdings), self.shares.of(job.tenant), -priority(job), line.orders[line.at]

    def _borrowing(self, holdings: Holdings | None, name: str | None, more: float = 0.0) -> float:
        """b: thousandths of an accelerator beyond a tenant's quota, over its weight; below 0 what is left of it."""
        return 0.0 if holdings is None else (more - holdings.left(name)) / self._weight(name)

    def _weight(self, name: str | None) -> float:
        tenants = self.cluster.tenants
        if name not in self.weights:
            self.weights[name] = 1.0 if tenants is None else tenants[name].weight
        return self.weights[name]

    def _wants(self, job: Job, holdings: Holdings | None) -> float:
        """What a job's tenant would be borrowing with it, 0 if it is covered."""
        return max(self._borrowing(holdings, job.tenant, amount(job)), 0.0)

    def _count(self, job: Job, seat: Placement, gone: list[Running]) -> None:
        if self.shares is not None:
            self.shares.add(job, seat, job.share)
            for run in gone:
                self.shares.add(run.job, run.holds, run.share, -1)

    def _seat(self, job: Job) -> tuple[Placement | None, bool]:
        """Where a job can stand, which it then has in the room that is to come, and whether it can stand there now."""
        room, then, place = self.cluster.room, self.then, self.policy.place
        placement = place(job, room)
        if then is None or (placement is not None and then.took(job, placement)):
            return placement, True
        if not self.coming or (placement := place(job, then)) is None:
            return None, False
        then.take(job, placement)
        return placement, room.scratch().took(job, placement)

    def _leavers(self, job: Job, ahead: float) -> tuple[Placement | None, list[Running]]:
        """The place that a job has in the room that is to come, and who has to leave for it."""
        if self.then is None or not self.askable or not job.gang:
            return None, []
        trial, gone = self.then.scratch(), list[Running]()
        for run in self._asked(job, trial, ahead):
            trial.release(run)
            gone.append(run)
            if trial.free_for(job) >= job.gang * (job.share == 1) and self.policy.place(job, trial) is not None:
                break
        else:
            return None, []
        gone = list(self._needed(job, gone, trial))[::-1]
        placement = self.policy.place(job, trial)
        assert placement is not None
        trial.take(job, placement)
        self.then, self.coming = trial, True
        self.askable = [run for run in self.askable if run not in gone]
        return placement, gone

    def _needed(self, job: Job, gone: list[Running], trial: Space) -> Iterator[Running]:
        """Of those who would leave, the ones that the job cannot do without; the last asked are spared first."""
        for run in reversed(gone):
            trial.put_back(run)
            if self.policy.place(job, trial) is None:
                trial.release(run)
                yield run

    def _asked(self, job: Job, trial: Space, ahead: float) -> Iterator[Running]:
        """Who may be asked to leave a trial room for a job, in order; each has left when the next is looked for."""
        mine, groups = max(self._wants(job, trial.holdings), ahead), set(trial.accepted(job))
        more = {name for name in self._over() - {job.tenant} if mine < self._borrows(trial.holdings, name)}
        if mine == 0 or self.policy.fair:
            others = [run for run in self.askable if run.job.tenant in more and stands(trial, run.holds) in groups]
            for final in (True, False):
                others = yield from self._borrowers(mine, trial.holdings, others, final)
        if self.policy.within:
            own = [run for run in self.askable if run.job.tenant == job.tenant and priority(run.job) < priority(job)]
            yield from sorted((run for run in own if stands(trial, run.holds) in groups), key=last_first)

    def _borrowers(
        self, mine: float, holdings: Holdings | None, runs: list[Running], final: bool
    ) -> Generator[Running, None, list[Running]]:
        """Yields those of other tenants that a rule allows, from who borrows most; returns those it does not.

        The rule is that what the asking tenant would borrow is no more than what theirs still does, or else less than
        what theirs did.
        """
        left, kept = defaultdict[str | None, list[Running]](list), list[Running]()
        for run in sorted(runs, key=last_first, reverse=True):
            left[run.job.tenant].append(run)
        while left:
            name = max(left, key=lambda one: self._borrows(holdings, one))
            run = left[name].pop()
            if self._borrows(holdings, name) <= mine:
                kept += [run, *left.pop(name)]
                continue
            if not left[name]:
                del left[name]
            if not final or mine <= self._borrows(holdings, name, -held(run)):
                yield run
            else:
                kept.append(run)
        return kept

    def _borrows(self, holdings: Holdings | None, name: str | None, more: float = 0.0) -> float:
        """The same of what a tenant's runs hold, without the places that its jobs wait for."""
        return self._borrowing(holdings, name, more - self.awaited[name])

    def _over(self) -> frozenset[str | None]:
        holdings = self._holdings
        return holdings.over if holdings is not None and self.policy.reclaim else frozenset()


drf = Drf()
"""Dominant resource fairness between tenants, with quotas, borrowing and reclaim as in Kueue."""
