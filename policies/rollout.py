"""Rollouts: of several policies, the one that does best in a little simulation of what is known now.

Bertsekas, Tsitsiklis and Wu, "Rollout Algorithms for Combinatorial Optimization", J. Heuristics 3 (1997): each base
policy is simulated from the present state, and the best one is followed. Streit, "A Self-Tuning Job Scheduler Family
with Dynamic Policy Switching", JSSPP 2002 (dynP), chooses among FCFS, SJF and LJF in the same way.

The little world holds the machines that are up, the jobs that run, where they run, for what they are expected to need
still, and the first `depth` that wait. Run times are the estimates; one that has outrun its estimate is expected to
need half of what it has had once more. Nobody else comes. Policies are measured up to the start of the last of those
who wait, by the sum over them of
    max(1, (waited + until its start + expected run) / max(expected run, 10 s)).
Left out: rollouts by the decision (here one policy is followed for `hold` seconds), several random futures, and the
world's laws: in the little world nothing fails and nobody slows another down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

from ..envs.cluster import ClusterView
from ..envs.harsh import HarshWorld
from ..envs.placement import Place, packed
from ..envs.roster import Running
from ..envs.session import Policy, Session
from ..envs.sim import SimWorld
from ..envs.vocabulary import Decision, Start
from ..traces.job import Job, Trace
from .backfill import Easy
from .memory import Memory
from .needs import ESTIMATES, Needs
from .orders import area, expected
from .ranked import Formula, Ranked, submitted

SHORTEST, SMALLEST = Formula(expected), Formula(area)
BASES: tuple[Policy, ...] = (
    Ranked(SHORTEST, needs=ESTIMATES),
    Ranked(SHORTEST, strict=False, needs=ESTIMATES),
    Ranked(SMALLEST, strict=False, needs=ESTIMATES),
    Easy(SHORTEST),
    Easy(),
)
"""Shortest first: strict, loose and backfilled; smallest area first; and EASY."""


@dataclass(slots=True)
class _Choice:
    """The policy that was found best in a session, and until when that holds, seconds."""

    policy: Policy | None = None
    until: float = 0.0


@dataclass
class Rollout:
    """Follows the policy that a little simulation finds best.

    Attributes:
        bases: the policies; the first is followed where nothing can be simulated.
        depth: waiting jobs in the little world, the oldest and the shortest alike.
        hold: seconds for which a choice holds while it is not contradicted by a later one.
        place: where a job may stand, for all of them.
        needs: estimates.
    """

    bases: Sequence[Policy] = BASES
    depth: int = 64
    hold: float = 300.0
    place: Place = packed
    needs: Needs = ESTIMATES
    _memory: Memory[_Choice] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """What the best of them decides."""
        if not len(cluster.pending):
            return
        choice = self._memory.of(cluster, _Choice)
        if choice.policy is None or cluster.now >= choice.until:
            choice.policy, choice.until = self.best(cluster), cluster.now + self.hold
        yield from choice.policy.decide(cluster)

    def best(self, cluster: ClusterView) -> Policy:
        """The policy that does best; the first of equals."""
        bases = [_placing(one, self.place) for one in self.bases]
        if len(cluster.pending) < 2 or cluster.room.shares.open:
            return bases[0]
        little = Little.of(cluster, self.depth)
        return min(bases, key=little.cost)


def _placing(one: Policy, place: Place) -> Policy:
    return replace(one, place=place) if hasattr(one, "place") else one  # type: ignore[type-var]


@dataclass(frozen=True, slots=True)
class Little:
    """A little world.

    Attributes:
        trace: those who run and those who wait, with what they are expected to need.
        cluster: the ledger that it is made of.
        seats: where those who run stand.
        waited: job -> seconds that it has waited, of those who wait.
    """

    trace: Trace
    cluster: ClusterView
    seats: tuple[Start, ...]
    waited: dict[int, float]

    @classmethod
    def of(cls, cluster: ClusterView, depth: int) -> Little:
        """The little world of a ledger."""
        half = -(-depth // 2)
        oldest, shortest = (cluster.pending.first(order, half) for order in (submitted, SHORTEST))
        jobs = {job.id: job for job in (*oldest, *shortest)}
        running = [run for run in _seated(cluster) if cluster.estate.states[run.placement[0][0]] == "up"]
        durations = {run.job.id: _left(run.job, run.served(cluster.now)) for run in running}
        durations |= {job.id: max(float(expected(job)) - cluster.attained(job.id), 1.0) for job in jobs.values()}
        there = [_plain(job) for job in (*(run.job for run in running), *jobs.values())]
        trace = Trace(tuple(there), durations, "ahead")
        seats = tuple(Start(run.job.id, run.placement, share=run.share) for run in running)
        waited = {job.id: cluster.now - job.submit for job in jobs.values()}
        return cls(trace, cluster, seats, waited)

    def cost(self, policy: Policy) -> float:
        """The summed bounded slowdown of those who wait, if this policy goes on."""
        nodes = tuple(node for node in self.cluster.nodes if self.cluster.estate.states[node.id] == "up")
        nodes = tuple(replace(node, present=True) for node in nodes)
        tenants = self.cluster.tenants
        world = SimWorld(self.trace, nodes) if tenants is None else HarshWorld(self.trace, nodes, tenants=tenants)
        session, fresh, total = Session(world), deepcopy(policy), 0.0
        ledger, left = session.cluster, set(self.waited)
        first = True
        while left and session.advance():
            if first:
                for seat in self.seats:
                    session.act(seat)
                first = False
            for decision in fresh.decide(ledger):
                session.act(decision)
                if isinstance(decision, Start) and decision.job in left:
                    left.discard(decision.job)
                    total += self._slowdown(decision.job, ledger.now)
        return total + sum(self._slowdown(job, ledger.now) for job in left)

    def _slowdown(self, job: int, start: float) -> float:
        run = self.trace.durations[job]
        return max(1.0, (self.waited[job] + start + run) / max(run, 10.0))


def _seated(cluster: ClusterView) -> list[Running]:
    """Who runs, those of tenants who borrow first: what they hold may be more than is to lend once the owners sit."""
    over = frozenset[str | None]() if cluster.room.holdings is None else cluster.room.holdings.over
    return sorted(cluster.running, key=lambda run: run.job.tenant not in over)


def _left(job: Job, served: float) -> float:
    """What a run is expected to need still."""
    left = float(expected(job)) - served
    return left if left > 0 else max(served / 2, 1.0)


def _plain(job: Job) -> Job:
    """The same job, here from the beginning; what it comes after has ended."""
    return replace(job, submit=0.0, after=(), deadline=None)


rollout = Rollout()
"""The best of five rules, looked for anew every five minutes."""
