"""CarbonScaler: elastic jobs are wide in green hours, narrow or not there at all in others, and end by their deadline.

Hanafy, Liang, Bashir, Irwin and Shenoy, "CarbonScaler: Leveraging Cloud Workload Elasticity for Optimizing
Carbon-Efficiency", Proc. ACM Meas. Anal. Comput. Syst. 7(3), 2023 (SIGMETRICS 2024), section 3.4, algorithm 1. With
MC_j the throughput that a job's j-th accelerator adds and c_i the carbon intensity of slot i, the pairs (i, j) are
taken in the order of

    MC_j / c_i, largest first,

until what they do together is the work that is left, W; the job is then to have in slot i what was taken of i. The
first pair of a slot is the job's least gang, and counts by the accelerator. Made anew in each slot, with what is then
expected and what is then left. A job with one gang alone is suspended and resumed, as the paper says of m = M; one that
may not be stopped waits for the greenest window in which it would end in time, as in `wait_awhile`.

The paper scales each job for itself and takes what servers it needs from a cloud. Here all share a cluster: each job is
given its least in order of submission, then steps of throughput go to those whose next accelerator brings most of what
one of its own gang does, up to what the job is to have. Who got less makes up for it in its later slots, as after the
paper's procurement denials (section 5.7).

Throughput is that of public profiles, lengths are estimates, deadlines the jobs' own or those of a rule of `slack` (the
paper's default is no slack at all: `Stretch(0.0)`). No forecast is shown to policies: here it is persistence of the day
before (`Outlook`). Where nothing is told, or nothing expected to change, the same formula lets a job run at once with
the gang that is most efficient and ends in time.

Left out: power by accelerator in the formula (each is taken to draw the same), profiling of throughputs, a threshold
for making schedules anew: there is one for each slot. Parts of accelerators and jobs on CPUs alone do not wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.vocabulary import Decision, Preempt, Resize
from .afs import Elastic, step
from .gangs import Claim, Pool
from .memory import Memory
from .needs import Needs
from .outlook import HOUR, Ahead, Outlook
from .ranked import submitted
from .settling import allowed, shrunk
from .slack import DAY, TWICE, Until, due

FAR = 14 * DAY
"""Seconds beyond what a job needs at least that slots are looked at: nobody knows what comes after."""
TINY = 1e-6
"""Seconds of work, and grams/kWh, that count as none."""


@dataclass(slots=True)
class _Plan:
    """What is planned in a session, until something else is to be expected.

    Attributes:
        outlook: what is to be expected.
        wanted: (job, group) -> how many rungs of its ladder there it is to have now.
        asleep: jobs that wait and are to have nothing now.
    """

    outlook: Outlook
    wanted: dict[tuple[int, str], int] = field(default_factory=dict)
    asleep: set[int] = field(default_factory=set)


@dataclass
class CarbonScaler(Elastic):
    """Gives each job in each slot what the greedy schedule says, as far as there is room.

    Attributes:
        until: by when a job without a deadline is to have ended; by default twice its estimate, a day more at most.
        slot, day: seconds, of what is expected to come again.
    """

    until: Until = TWICE
    slot: float = HOUR
    day: float = 24 * HOUR
    needs: Needs = frozenset({"estimates", "elastic", "carbon"})
    _plans: Memory[_Plan] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields stops and shrinkings for those who are to have less, then starts and growths."""
        plan = self._plan(cluster)
        if plan.outlook.follow(cluster):
            plan.wanted, plan.asleep = {}, set()
        pool = yield from self._begun(cluster)
        yield from self._less(pool, cluster)
        if len(cluster.pending) or any(len(rungs) > 1 for claim in pool.runs for rungs in claim.ladders.values()):
            yield from self.settled(pool, cluster)

    def _plan(self, cluster: ClusterView) -> _Plan:
        return self._plans.of(cluster, lambda: _Plan(Outlook(self.slot, self.day)))

    def line(self, pool: Pool, cluster: ClusterView) -> Iterator[Claim]:
        """The claims of those that wait and are to have something now, in order."""
        plan = self._plan(cluster)
        for job in cluster.pending.by(self.waiting):
            if job.gang and job.id not in plan.asleep:
                claim = pool.waiting(job, cluster)
                best = quickest(claim)
                self._cut(claim, plan)
                if claim.ladders.get(best):
                    yield claim
                else:
                    plan.asleep.add(job.id)

    def _less(self, pool: Pool, cluster: ClusterView) -> Iterator[Decision]:
        """Stops and shrinks runs that are to have less than they have; the others stay in the pool."""
        runs, pool.runs = pool.runs, []
        for claim in runs:
            decision = self._lessened(claim, pool, cluster)
            if decision is None:
                pool.runs.append(claim)
            else:
                self._changes(cluster).note(decision, cluster)
                yield decision

    def _lessened(self, claim: Claim, pool: Pool, cluster: ClusterView) -> Decision | None:
        """What makes a run smaller, which then keeps what it is to have out of the pool; None if it is to stay."""
        assert claim.run is not None
        group, rungs = next(iter(claim.ladders.items()))
        self._cut(claim, self._plan(cluster))
        if not rungs or not claim.ladders[group]:
            return Preempt(claim.job.id) if rungs else None
        gang = claim.ladders[group][-1][0]
        if gang >= claim.run.gang or not allowed(claim, smaller := shrunk(claim.run, gang), cluster.room):
            return None
        pool.give(claim, group, len(claim.ladders[group]) - 1)
        return Resize(claim.job.id, smaller)

    def _cut(self, claim: Claim, plan: _Plan) -> None:
        """Takes from a claim's ladders what it is not to have now."""
        for group, rungs in claim.ladders.items():
            if (key := (claim.job.id, group)) not in plan.wanted:
                plan.wanted[key] = self._taken(claim, group, rungs, plan.outlook)
            claim.ladders[group] = rungs[: plan.wanted[key]]

    def _taken(self, claim: Claim, group: str, rungs: Sequence[tuple[int, float]], outlook: Outlook) -> int:
        """How many rungs of a ladder a job is to have now."""
        job, left = claim.job, claim.left
        if not rungs or np.isnan(left) or job.share < 1:
            return min(len(rungs), 1)
        ahead, slowest = outlook.at(group), left / rungs[0][1]
        end = min(due(job, self.until), ahead.now + slowest + FAR)
        if job.preemptible:
            return taken(rungs, left, ahead, end)
        return int(not ahead.better_later(np.array([slowest]), np.array([end - slowest]))[0])


def quickest(claim: Claim) -> str:
    """The group on which a job's least gang does most: what is too slow for another day is no reason to begin there."""
    able = [(rungs[0][1] / rungs[0][0], group) for group, rungs in claim.ladders.items() if rungs]
    return max(able, key=lambda one: one[0])[1] if able else ""


def taken(rungs: Sequence[tuple[int, float]], left: float, ahead: Ahead, end: float) -> int:
    """How many rungs of a ladder the greedy schedule takes in the present slot: all, if the time is too short.

    A step that adds more than the one before it, by the accelerator, is taken right after it.

    Args:
        rungs: (gang, seconds of work in a second), ascending.
        left: seconds of work.
        ahead: what is expected.
        end: by when the work is to be done, seconds.
    """
    if end <= ahead.now:
        return len(rungs)
    lengths, grams = ahead.slots(end)
    gangs, rates = np.array(rungs, np.float64).T
    more = np.diff(rates, prepend=0.0)
    worth = np.minimum.accumulate(more / np.diff(gangs, prepend=0.0))
    pairs = np.argsort(-(worth / np.maximum(grams, TINY)[:, None]), axis=None, kind="stable")
    work = np.cumsum((lengths[:, None] * more).ravel()[pairs])
    count = int(np.searchsorted(work, left - TINY)) + 1
    return int((pairs[:count] < len(rungs)).sum())


def efficient(one: Claim, other: Claim) -> bool:
    """Whether one has the next step before another: who has nothing yet comes first, then whose step brings more."""
    if not one.rate or not other.rate:
        return not one.rate
    return _brings(one) > _brings(other)


def _brings(claim: Claim) -> float:
    """What an accelerator of the next step brings, in those of the job's own gang."""
    more, rate = step(claim)
    return (rate - claim.rate) * claim.job.gang / more


carbon_scaler = CarbonScaler(submitted, lambda claim: claim.job.submit, efficient)
"""Wide in green hours, with deadlines of twice the estimate and a day more at most."""
