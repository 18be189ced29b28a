"""Pollux: gangs that make the power mean of all jobs' speedups largest, restarts counted.

Qiao et al., "Pollux: Co-adaptive Cluster Scheduling for Goodput-Optimized Deep Learning", OSDI 2021, section 4.2. Of
all divisions A of a cluster that is taken which maximises
    FITNESS(A) = (mean over jobs j of (SPEEDUP_j(A_j) x REALLOC_j)^p)^(1/p),  p = -1,
where SPEEDUP is a job's rate by its rate with a fair share of the cluster, ceil(accelerators / jobs), and
    REALLOC_j(delta) = (T_j - R_j delta) / (T_j + delta)
for one whose gang changes (T_j its age, R_j how often it was changed before, delta what a restart takes), else 1. As in
the published code each speedup counts 0.001 more, so that one who has nothing makes no mean 0.

With p = -1 the mean is largest where the sum of 1 / (speedup + 0.001) is smallest, and that is a knapsack: gangs are
found exactly, by dynamic programming over accelerators, where the paper evolves them. What is added: a job's first
start costs nothing, else a new job would wait for having an age; on a cluster of several groups each waiting job is
looked at in the group that promises it most, and those that run stay in theirs; quotas of tenants are kept afterwards,
who stands first in line first, and what is left then goes by the largest gain.

Left out: statistical efficiency, so goodput is throughput, by public profiles, and batch sizes and learning rates are
not adapted: no trace or profile here tells gradient noise. Interference (at most one gang of several nodes on a node)
and the size of clouds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.laws.speed import Speed
from ..envs.placement import Place, packed
from ..envs.roster import Floats
from ..envs.vocabulary import Decision
from ..traces.job import Job
from .gangs import Changes, Claim, Pool
from .memory import Memory
from .needs import Needs
from .settling import Settling, small

LITTLE = 1e-3
"""What each speedup counts more."""
SLIGHTLY = 1e-9
"""By so much a cost has to be less: of equal answers the one with fewer accelerators is taken."""

Options = tuple[tuple[int, float], ...]
"""(accelerators, what they cost), nothing first."""


@dataclass(slots=True)
class _Rounds:
    """What is remembered of a session: what was changed, and when the last round began, seconds."""

    changes: Changes = field(default_factory=Changes)
    last: float = -np.inf


@dataclass
class Pollux:
    """Divides a cluster anew in every round.

    Attributes:
        restart: seconds that a change is taken to cost; 30 in the published simulator.
        rest: seconds that a run has before it is stopped, and between two changes of its gang.
        place: where a job may stand.
        tick: seconds of a round; 60 in the paper.
        law: the tables by which it knows how fast gangs are.
        longest_restart: seconds, half of what a run has at least: else it could be stopped before it has done a thing.
    """

    restart: float = 30.0
    rest: float = 360.0
    place: Place = packed
    tick: float = 60.0
    law: Speed = field(default_factory=Speed)
    longest_restart: float = 180.0
    needs: Needs = frozenset({"elastic"})
    _memory: Memory[_Rounds] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts of small jobs, and once a round what makes the division real."""
        rounds = self._rounds(cluster)
        rounds.changes.follow(cluster)
        yield from small(cluster, self.place)
        if cluster.now < rounds.last + self.tick and len(cluster.running):
            return
        rounds.last = cluster.now
        pool = Pool.of(cluster, rounds.changes, self.rest, law=self.law)
        if not len(cluster.pending) and not any(len(rungs) > 1 for c in pool.runs for rungs in c.ladders.values()):
            return
        given = self.divided(pool, cluster)
        kept = {claim.job.id for claim in given}
        others = [claim for claim in pool.runs if claim.job.id not in kept]
        for decision in Settling(cluster, self.place, lambda _: True).decisions(given, others):
            rounds.changes.note(decision, cluster)
            yield decision

    def _rounds(self, cluster: ClusterView) -> _Rounds:
        return self._memory.of(cluster, _Rounds)

    def divided(self, pool: Pool, cluster: ClusterView) -> list[Claim]:
        """Gives out what there is; those who got something, runs first, then those who had least."""
        claims = [*pool.runs, *_homes(pool, cluster)]
        wanted: dict[int, int] = {}
        options: dict[int, Options] = {}
        for group, left in pool.left.items():
            mine = [claim for claim in claims if claim.group == group]
            fair = -(-left // max(len(mine), 1))
            for claim in mine:
                options[claim.job.id] = self._options(claim, fair, cluster)
            answer = knapsack([options[claim.job.id] for claim in mine], left)
            wanted |= {claim.job.id: chosen - 1 for claim, chosen in zip(mine, answer, strict=True)}
        return _given(claims, wanted, options, pool)

    def _options(self, claim: Claim, fair: int, cluster: ClusterView) -> Options:
        """What each gang of a ladder would cost."""
        rungs = claim.ladders[claim.group]
        base = next((rate for gang, rate in reversed(rungs) if gang <= fair), rungs[0][1])
        now = 0 if claim.run is None else claim.run.gang
        changed = self._changed(claim.job, cluster) if claim.run is not None or self._began(claim, cluster) else 1.0
        costs = (1 / (rate / base * (1.0 if gang == now else changed) + LITTLE) for gang, rate in rungs)
        return ((0, 1 / LITTLE), *((gang, cost) for (gang, _), cost in zip(rungs, costs, strict=True)))

    def _changed(self, job: Job, cluster: ClusterView) -> float:
        """The part of its speed that a job keeps if it is changed once more."""
        age, before = cluster.now - job.submit, max(self._rounds(cluster).changes.count(job.id) - 1, 0)
        return max(age - before * self.restart, 0.0) / (age + self.restart)

    @staticmethod
    def _began(claim: Claim, cluster: ClusterView) -> bool:
        return cluster.attained(claim.job.id) > 0


def _homes(pool: Pool, cluster: ClusterView) -> list[Claim]:
    """Those that wait, who had least first, each in the group that promises it most; as many as could have anything."""
    for run in pool.runs:
        run.group = next(iter(run.ladders))
    load = {group: float(sum(c.ladders[group][0][0] for c in pool.runs if c.group == group)) for group in pool.left}
    claims = []
    first = cluster.pending.first(_attained, sum(pool.left.values()))
    for claim in (pool.waiting(job, cluster) for job in first if job.gang):
        able = [group for group, rungs in claim.ladders.items() if rungs and rungs[0][0] <= pool.left[group]]
        if not able:
            continue
        crowd = {group: (load[group] + claim.ladders[group][0][0]) / pool.left[group] for group in able}
        claim.group = max(able, key=lambda group: claim.ladders[group][0][1] / max(crowd[group], 1.0))
        load[claim.group] += claim.ladders[claim.group][0][0]
        claims.append(claim)
    return claims


def _attained(job: Job, cluster: ClusterView) -> float:
    return cluster.attained(job.id) * max(job.gang, 1)


def _given(claims: list[Claim], wanted: dict[int, int], options: dict[int, Options], pool: Pool) -> list[Claim]:
    """Gives what was found best as far as quotas go, and then what is left, the largest gain first."""
    given = []
    for claim in claims:
        while claim.rung < wanted.get(claim.job.id, -1) and pool.grows(claim):
            pool.give(claim, claim.group, claim.rung + 1)
        if claim.rung >= 0:
            given.append(claim)
    while able := [(_gain(claim, options), claim) for claim in given if pool.grows(claim)]:
        gain, claim = max(able, key=lambda one: one[0])
        if gain <= 0:
            break
        pool.give(claim, claim.group, claim.rung + 1)
    return given


def _gain(claim: Claim, options: dict[int, Options]) -> float:
    """What a step would save by the accelerator."""
    (few, cost), (more, less) = options[claim.job.id][claim.rung + 1 : claim.rung + 3]
    return (cost - less) / (more - few)


def knapsack(options: Sequence[Options], size: int) -> list[int]:
    """Which option of each costs least together, with `size` accelerators in all. Exact; O(options x size).

    Args:
        options: for each its (accelerators, cost), the first of them (0, cost).
        size: accelerators.
    """
    best: Floats = np.zeros(size + 1)
    chosen = np.zeros((len(options), size + 1), np.int16)
    for row, mine in enumerate(options):
        least = best + mine[0][1]
        for number, (gang, cost) in enumerate(mine[1:], 1):
            if gang <= size:
                there = best[: size + 1 - gang] + cost
                better = there < least[gang:] - SLIGHTLY
                least[gang:][better] = there[better]
                chosen[row, gang:][better] = number
        best = least
    answer, left = [0] * len(options), size
    for row in range(len(options) - 1, -1, -1):
        answer[row] = int(chosen[row, left])
        left -= options[row][answer[row]][0]
    return answer


pollux = Pollux()
"""The largest power mean of speedups."""
