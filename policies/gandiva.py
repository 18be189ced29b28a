"""Gandiva: everybody in turn, two on one place where that pays, gangs brought together.

Xiao et al., "Gandiva: Introspective Cluster Scheduling for Deep Learning", OSDI 2018, section 3:

- suspend-resume: jobs share accelerators in turns. Who has waited longest comes next, who began last gives way last,
  and nobody before it has had a quantum. That is a minute in the paper, where a suspension takes a second; here each
  costs a restart, so a quantum is Gavel's round.
- packing: two jobs of like gangs share accelerators while others wait, if together they get more done than one after
  the other: kept_a + kept_b > 1, of what public profiles say that each keeps of its own rate.
- migration: a gang that stands on several nodes moves to fewer when there is room and its profile says it pays.

Left out: packing is looked up, not tried out and undone; growing and shrinking into idle accelerators (section 3.2),
which is for jobs that say they can; migration that only frees whole nodes; and affinity of servers to gang sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.kinds import kind as facts
from ..envs.paces import at
from ..envs.placement import Place, packed
from ..envs.profiles import builtin
from ..envs.roster import Running
from ..envs.vocabulary import Decision, InvalidDecision, Move, Placement, Preempt, Start
from ..traces.job import Job
from .gangs import Changes, Claim, Pool
from .needs import NOTHING, Needs
from .settling import Settling, allowed, resized, small
from .turns import Recall

LOOKED_AT = 64
"""Waiting jobs among which somebody to pack with is looked for."""
WORTH = 1.05
"""A move must make a gang at least so many times as fast."""
HALF = 0.5


@dataclass
class Gandiva:
    """Turns, packing and migration.

    Attributes:
        tick: seconds of a quantum; 360 is Gavel's round (Narayanan et al., OSDI 2020).
        pays: two are packed if the parts that they keep sum to more.
        place: where a job may stand.
    """

    tick: float = 360.0
    pays: float = 1.0
    place: Place = packed
    longest_restart: float = 360.0
    needs: Needs = NOTHING
    _changes: Changes = field(default_factory=Changes, init=False, repr=False, compare=False)
    _stopped: Recall[float] = field(default_factory=Recall, init=False, repr=False, compare=False)
    _session: object = field(default=None, init=False, repr=False, compare=False)
    _turn: float = field(default=-np.inf, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts, alone or in pairs, and at the end of a quantum stops and moves."""
        self._changes.last.follow(cluster)
        self._stopped.follow(cluster)
        yield from small(cluster, self.place)
        over = self._session is not cluster or cluster.now >= self._turn + self.tick
        if over:
            self._session, self._turn = cluster, cluster.now
        for decision in self._served(cluster, self.tick if over else np.inf):
            self._note(decision, cluster)
            yield decision
        for move in self._moves(cluster) if over and Move in cluster.does else ():
            self._changes.note(move, cluster)
            yield move

    def _served(self, cluster: ClusterView, rest: float) -> Iterator[Decision]:
        if not len(cluster.pending):
            return
        pool = Pool.of(cluster, self._changes, rest, rigid=True)
        given = []
        for claim in self._line(pool, cluster):
            if (group := pool.open(claim)) is not None:
                pool.give(claim, group, 0)
                given.append(claim)
            if not any(pool.left.values()):
                break
        kept = {claim.job.id for claim in given}
        others = [claim for claim in pool.runs if claim.job.id not in kept]
        for decision in Settling(cluster, self.place, lambda _: False).decisions(given, others):
            yield from self._paired(decision, kept, cluster) if isinstance(decision, Start) else (decision,)

    def _line(self, pool: Pool, cluster: ClusterView) -> Iterator[Claim]:
        """Those that wait, who has longest first, and then those that run, who began last first."""
        columns = cluster.pending.columns
        since = np.array([self._stopped.of.get(key, -1.0) for key in columns.keys])
        since = np.maximum(since, columns.submit)
        rows = np.flatnonzero((columns.gang > 0) & (columns.gang <= max(pool.left.values(), default=0)))
        keys = [columns.keys[row] for row in rows[np.lexsort((columns.order[rows], since[rows]))].tolist()]
        yield from (pool.waiting(cluster.pending[key], cluster) for key in keys)
        yield from sorted(pool.runs, key=lambda claim: -claim.run.since if claim.run else 0.0)

    def _paired(self, start: Start, given: set[int], cluster: ClusterView) -> Iterator[Start]:
        """A start, with that of who goes best with it, if that pays."""
        job = cluster.pending[start.job]
        partner = self._partner(job, start.placement, given, cluster)
        if partner is None:
            yield start
        else:
            given.add(partner.id)
            yield Start(job.id, start.placement, share=HALF)
            yield Start(partner.id, start.placement, share=HALF)

    def _partner(self, job: Job, placement: Placement, given: set[int], cluster: ClusterView) -> Job | None:
        there = placement[0][1]
        kind = cluster.room.kind_of(there[0]) if there else None
        if job.profile is None or job.share < 1 or kind is None:
            return None
        best, most = None, self.pays
        for other in cluster.pending.first(_submitted, LOOKED_AT):
            alike = other.gang == job.gang and other.tenant == job.tenant and other.share == 1
            kept = together(job, other, kind) if alike and other.id not in given else 0.0
            if kept > most and _fit(job, other, placement, cluster):
                best, most = other, kept
        return best

    def _moves(self, cluster: ClusterView) -> Iterator[Move]:
        for run in [run for run in cluster.running if len(run.placement) > 1]:
            movable = run.job.preemptible and run.share == 1 and not run.stopping and run.goes is None
            rested = movable and self._changes.since(run) <= cluster.now - self.tick
            if rested and (placement := self._nearer(run, cluster)) is not None:
                yield Move(run.job.id, placement)

    def _nearer(self, run: Running, cluster: ClusterView) -> Placement | None:
        """A place on fewer nodes of the same group, if it is worth it."""
        room = cluster.room
        bay = room.bays[room.seat[run.placement[0][1][0]][0]]
        trial = room.scratch()
        trial.release(run)
        placement = self.place(resized(run.job, run.gang, bay.group), trial)
        if placement is None or len(placement) >= len(run.placement):
            return None
        pays = at(run.job, placement, room) >= WORTH * at(run.job, run.placement, room)
        claim = Claim(run.job, run, 0.0, {})
        return placement if pays and _movable(run, cluster) and allowed(claim, placement, room) else None

    def _note(self, decision: Decision, cluster: ClusterView) -> None:
        if isinstance(decision, Preempt):
            self._stopped.of[decision.job] = cluster.now
        self._changes.note(decision, cluster)


def together(one: Job, other: Job, kind: str) -> float:
    """The sum of the parts of their rates that two jobs keep on one accelerator, 0 where nobody measured it."""
    mine, its = builtin().kept(one.profile, other.profile, kind), builtin().kept(other.profile, one.profile, kind)
    return 0.0 if not mine or not its else mine + its


def _fit(one: Job, other: Job, placement: Placement, cluster: ClusterView) -> bool:
    """Whether both may stand on one place, half each."""
    trial = cluster.room.scratch()
    try:
        trial.take(one, placement, HALF)
        trial.take(other, placement, HALF)
    except InvalidDecision:
        return False
    return True


def _movable(run: Running, cluster: ClusterView) -> bool:
    known = facts(cluster.room.kind_of(run.placement[0][1][0]) or "")
    return known is None or (known.moves and known.admits(run.gang))


def _submitted(job: Job, _: ClusterView) -> float:
    return job.submit


gandiva = Gandiva()
"""Turns of six minutes, packing and migration."""
