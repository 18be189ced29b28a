"""AFS and Optimus: accelerators to elastic jobs one after the other, each to whom it helps most.

AFS-L of Hwang et al., "Elastic Resource Sharing for Distributed Deep Learning", NSDI 2021, section 3 and algorithm 1.
Of jobs that have nothing the shortest comes first. Of two others, a with less time left and b with more, as they stand,
b gets the next accelerator if, with p throughput now and p' with one more,
    (p'_b - p_b) / p'_b > (p'_a - p_a) / p_a,
else a does; so on along all jobs. That is apathetic: it assumes that nobody comes or goes afterwards.

Optimus of Peng et al., "Optimus: An Efficient Dynamic Resource Scheduler for Deep Learning Clusters", EuroSys 2018,
section 4.1. Each job first has the least that it takes, oldest first; then the next goes to the largest gain
    (left / p - left / p') / (accelerators more),
as long as there is any.

Here a step may be of several accelerators, as a job's least gang may be, and as measured throughputs sometimes fall
before they rise: gains of AFS-L count by the accelerator too, which with steps of one is the paper's rule. Throughput
is that of public profiles, on the kind that a job has, or could have first and fastest.

Left out: AFS-P, which finds out about lengths by letting jobs take turns; CoDDL, which makes changes cheap: here each
costs a restart, so a run changes no more often than `rest`, and grows only where that saves two restarts. Of Optimus
the fitted models of convergence and speed, for which estimates and profiles stand, and parameter servers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from heapq import merge

from ..envs.cluster import ClusterView
from ..envs.paces import LAW, pace
from ..envs.placement import Place, packed
from ..envs.roster import Score
from ..envs.vocabulary import Decision
from ..traces.job import Job
from .gangs import Changes, Claim, Pool, bounds
from .memory import Memory
from .needs import Needs
from .preemptive import remaining
from .ranked import submitted
from .settling import Settling, small

LOOKED_AT = 64
"""Jobs at the head of the line that find no room, one after the other, until the others are not looked at."""

Better = Callable[[Claim, Claim], bool]
"""Whether the first of two that could grow is to grow before the second; the second may have nothing yet."""


@dataclass
class Elastic:
    """Divides a cluster among elastic jobs step by step, whenever something has happened.

    Attributes:
        waiting: the order in which jobs that have nothing are given their least.
        running: the same for those that run.
        better: who of two grows first.
        rest: seconds that a run has before it is stopped, and between two changes of its gang.
        restart: seconds that a change is taken to cost.
        place: where a job may stand.
        longest_restart: seconds, half of what a run has at least: else it could be stopped before it has done a thing.
    """

    waiting: Score
    running: Callable[[Claim], float]
    better: Better
    rest: float = 360.0
    restart: float = 30.0
    place: Place = packed
    tick: float = 360.0
    longest_restart: float = 180.0
    needs: Needs = frozenset({"estimates", "elastic"})
    _memory: Memory[Changes] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts and growths, and stops and shrinkings for those who come first."""
        pool = yield from self._begun(cluster)
        if not len(cluster.pending) and not any(len(rungs) > 1 for c in pool.runs for rungs in c.ladders.values()):
            return
        yield from self.settled(pool, cluster)

    def _begun(self, cluster: ClusterView) -> Generator[Decision, None, Pool]:
        """Starts who takes no accelerators, or a part of one; returns what there is to divide."""
        self._changes(cluster).follow(cluster)
        yield from small(cluster, self.place)
        return Pool.of(cluster, self._changes(cluster), self.rest)

    def _changes(self, cluster: ClusterView) -> Changes:
        return self._memory.of(cluster, Changes)

    def settled(self, pool: Pool, cluster: ClusterView) -> Iterator[Decision]:
        """Divides what there is, and makes that real."""
        given = self.divided(pool, cluster)
        kept = {claim.job.id for claim in given}
        others = [claim for claim in pool.runs if claim.job.id not in kept]
        for decision in Settling(cluster, self.place, self._worth).decisions(given, others):
            self._changes(cluster).note(decision, cluster)
            yield decision

    def divided(self, pool: Pool, cluster: ClusterView) -> list[Claim]:
        """Gives out what there is; those who got something, in the order in which they first did."""
        given: list[Claim] = []
        able: list[Claim] = []
        heads = self._heads(pool, cluster)
        head = self._next(heads, pool)
        while head is not None or able:
            top = head
            for claim in (able := [claim for claim in able if pool.grows(claim)]):
                top = claim if top is None or self.better(claim, top) else top
            if top is None:
                break
            pool.give(top, top.group, top.rung + 1)
            if top is head:
                given.append(top)
                able.append(top)
            if head is not None and (top is head or not self._finds(head, pool)):
                head = self._next(heads, pool)
        return given

    def _heads(self, pool: Pool, cluster: ClusterView) -> Iterator[Claim]:
        """Those that have nothing yet, in order; of equals those that run first."""
        line = ((self.waiting(claim.job, cluster), 1, claim) for claim in self.line(pool, cluster))
        runs = sorted(((self.running(claim), 0, claim) for claim in pool.runs), key=_first)
        yield from (claim for _, _, claim in merge(runs, line, key=_first))

    def line(self, pool: Pool, cluster: ClusterView) -> Iterator[Claim]:
        """The claims of those that wait, in order."""
        return (pool.waiting(job, cluster) for job in cluster.pending.by(self.waiting) if job.gang)

    def _next(self, heads: Iterator[Claim], pool: Pool) -> Claim | None:
        """The next that finds room."""
        for passed, claim in enumerate(heads):
            if self._finds(claim, pool):
                return claim
            if passed == LOOKED_AT or not any(pool.left.values()):
                break
        return None

    @staticmethod
    def _finds(claim: Claim, pool: Pool) -> bool:
        """Whether a group holds the least that a job takes; it is the job's then."""
        group = pool.open(claim)
        claim.group = group or ""
        return group is not None

    def _worth(self, claim: Claim) -> bool:
        """Whether growing saves two restarts: its own, and that of whoever makes room."""
        assert claim.run is not None
        now = dict(claim.ladders[claim.group]).get(claim.run.gang)
        return now is None or claim.left / now - claim.left / claim.rate > 2 * self.restart


def _first(entry: tuple[float, int, Claim]) -> tuple[float, int]:
    return entry[:2]


def apathetic(one: Claim, other: Claim) -> bool:
    """Whether AFS-L lets one have the next step before another, which may have nothing yet."""
    if not one.rate or not other.rate:
        long, short = (one, other) if not one.rate else (other, one)
    else:
        long, short = sorted((one, other), key=lambda claim: claim.left / claim.rate, reverse=True)
    (more, faster), (wider, quicker) = step(long), step(short)
    wins = (faster - long.rate) / faster / more > (quicker - short.rate) / short.rate / wider
    return (long if wins else short) is one


def greedy(one: Claim, other: Claim) -> bool:
    """Whether Optimus lets one have the next step before another: who has nothing yet comes first."""
    if not one.rate or not other.rate:
        return not one.rate
    return _gain(one) > _gain(other)


def _gain(claim: Claim) -> float:
    more, rate = step(claim)
    return (claim.left / claim.rate - claim.left / rate) / more


def step(claim: Claim) -> tuple[int, float]:
    """The next step of a claim: accelerators more, and the rate with them."""
    assert claim.next is not None
    gang, rate = claim.next
    return gang - claim.gang, rate


def shortest(job: Job, cluster: ClusterView) -> float:
    """Seconds that a waiting job still needs with the least that it takes, on the kind it is recorded on."""
    return max(remaining(job, cluster), 1.0) / _least(job)


def _shortest(claim: Claim) -> float:
    return claim.left / _least(claim.job)


def _least(job: Job) -> float:
    kind = job.kinds[0] if job.kinds else LAW.reference
    return pace(job, kind, bounds(job)[0], spread=False)


afs = Elastic(shortest, _shortest, apathetic)
"""AFS-L: the shorter gets more, unless the longer one's gain pays."""
optimus = Elastic(submitted, lambda claim: claim.job.submit, greedy)
"""Optimus: each the least, then the largest gain in time left."""
