"""Gandiva: everybody in turn, two on one place where that pays, gangs brought together.

Xiao et al., "Gandiva: Introspective Cluster Scheduling for Deep Learning", OSDI 2018, section 3:

- suspend-resume: jobs share accelerators in turns. Who has waited longest comes next, who began last gives way last,
  and nobody before it has had a quantum. That is a minute in the paper, where a suspension takes a second; here each
  costs a restart, so a quantum is Gavel's round.
- packing: two jobs of like gangs share accelerators while others wait, if together they get more done than one after
  the other, by what is measured of them (`pairs`); only where the ledger knows what can stand side by side.
- migration: a gang that stands on several nodes moves to fewer when there is room and its profile says it pays.
- grow-shrink: while nobody waits jobs that say they can grow into what is idle; they shrink again when somebody does.

Left out: rates of mini-batches, by which the paper keeps or undoes a pair, as no ledger knows a run's rate before it
has stopped: public tables stand for them, and how busy accelerators are. So are migration that only frees whole nodes,
and affinity of servers to gang sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.kinds import kind as facts
from ..envs.paces import at
from ..envs.placement import Place, packed
from ..envs.roster import Running
from ..envs.vocabulary import Decision, Move, Placement, Preempt, Resize, Start
from .gangs import Changes, Claim, Pool
from .memory import Memory, forget
from .needs import NOTHING, Needs
from .pairs import HALF, Pairs
from .ranked import fitting
from .settling import Settling, allowed, resized, shrunk, small

WORTH = 1.05
"""A move must make a gang at least so many times as fast."""


@dataclass(slots=True)
class _Turns:
    """What is remembered of a session: who was changed or stopped when, who is paired, and when a turn last ended."""

    changes: Changes = field(default_factory=Changes)
    stopped: dict[int, float] = field(default_factory=dict)
    pairs: Pairs = field(default_factory=Pairs)
    last: float = -np.inf

    def follow(self, cluster: ClusterView) -> None:
        """Forgets jobs that are gone, and notes what the meter says."""
        self.changes.follow(cluster)
        forget(self.stopped, cluster)
        self.pairs.look(cluster)

    def note(self, decision: Decision, cluster: ClusterView) -> None:
        """Notes what is about to be decided."""
        if isinstance(decision, Preempt):
            self.stopped[decision.job] = cluster.now
        self.changes.note(decision, cluster)


@dataclass
class Gandiva:
    """Turns, packing, migration and growth.

    Attributes:
        tick: seconds of a quantum; 360 is Gavel's round (Narayanan et al., OSDI 2020).
        place: where a job may stand.
        longest_restart: seconds, half of what a run has at least: else it could be stopped before it has done a thing.
    """

    tick: float = 360.0
    place: Place = packed
    longest_restart: float = 180.0
    needs: Needs = NOTHING
    _memory: Memory[_Turns] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts, alone or in pairs, and at the end of a quantum stops, moves and other gangs."""
        turns = self._turns(cluster)
        turns.follow(cluster)
        yield from small(cluster, self.place)
        over = cluster.now >= turns.last + self.tick
        if over:
            turns.last = cluster.now
        for decision in self._all(cluster, over):
            turns.note(decision, cluster)
            yield decision

    def _turns(self, cluster: ClusterView) -> _Turns:
        return self._memory.of(cluster, _Turns)

    def _all(self, cluster: ClusterView, over: bool) -> Iterator[Decision]:
        if over:
            yield from self._turns(cluster).pairs.parted(cluster)
        yield from self._turns(cluster).pairs.joined(cluster)
        if Resize in cluster.does and len(cluster.pending):
            yield from self._shrunk(cluster)
        yield from self._served(cluster, self.tick if over else np.inf)
        if over and Move in cluster.does:
            yield from self._moves(cluster)
        if over and Resize in cluster.does and not len(cluster.pending):
            yield from self._grown(cluster)

    def _served(self, cluster: ClusterView, rest: float) -> Iterator[Decision]:
        if not len(cluster.pending):
            return
        pool = Pool.of(cluster, self._turns(cluster).changes, rest, rigid=True)
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
        stopped = self._turns(cluster).stopped
        since = np.array([stopped.get(key, -1.0) for key in columns.keys])
        since = np.maximum(since, columns.submit)
        rows = np.flatnonzero((columns.gang > 0) & (columns.gang <= max(pool.left.values(), default=0)))
        keys = [columns.keys[row] for row in rows[np.lexsort((columns.order[rows], since[rows]))].tolist()]
        yield from (pool.waiting(cluster.pending[key], cluster) for key in keys)
        yield from sorted(pool.runs, key=lambda claim: -claim.run.since if claim.run else 0.0)

    def _paired(self, start: Start, given: set[int], cluster: ClusterView) -> Iterator[Start]:
        """A start, with that of who goes best with it, if that pays."""
        job = cluster.pending[start.job]
        partner = self._turns(cluster).pairs.partner(job, start.placement, given, cluster)
        if partner is None:
            yield start
        else:
            given.add(partner.id)
            yield Start(job.id, start.placement, share=HALF)
            yield Start(partner.id, start.placement, share=HALF)

    def _shrunk(self, cluster: ClusterView) -> Iterator[Resize]:
        """Back to the gang that was asked for, while somebody who waits finds no room."""
        if len(fitting(cluster)):
            return
        for run in [run for run in cluster.running if run.gang > run.job.gang > 0 and self._rested(run, cluster)]:
            smaller = shrunk(run, run.job.gang)
            if movable(run, run.job.gang, cluster) and allowed(Claim(run.job, run, 0.0, {}), smaller, cluster.room):
                yield Resize(run.job.id, smaller)

    def _grown(self, cluster: ClusterView) -> Iterator[Decision]:
        """Into what is idle, the smallest gang first, where that pays."""
        pool = Pool.of(cluster, self._turns(cluster).changes, self.tick)
        able = []
        for claim in pool.runs:
            ((group, rungs),) = claim.ladders.items()
            at_now = next((rung for rung, (gang, _) in enumerate(rungs) if claim.run and gang == claim.run.gang), None)
            if at_now is not None:
                pool.give(claim, group, at_now)
                able.append(claim)
        given = able
        while able := [claim for claim in able if pool.grows(claim)]:
            least = min(able, key=lambda claim: claim.gang)
            pool.give(least, least.group, least.rung + 1)
        yield from Settling(cluster, self.place, _worth).decisions(given, [])

    def _rested(self, run: Running, cluster: ClusterView) -> bool:
        rested = run.preemptible and run.share == 1
        return rested and run.since < cluster.now and self._turns(cluster).changes.since(run) <= cluster.now - self.tick

    def _moves(self, cluster: ClusterView) -> Iterator[Move]:
        for run in [run for run in cluster.running if len(run.placement) > 1]:
            if self._rested(run, cluster) and (placement := self._nearer(run, cluster)) is not None:
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
        return placement if pays and movable(run, run.gang, cluster) and allowed(claim, placement, room) else None


def _worth(claim: Claim) -> bool:
    """Whether a run that could grow is so much faster then."""
    now = None if claim.run is None else dict(claim.ladders[claim.group]).get(claim.run.gang)
    return now is not None and claim.rate >= WORTH * now


def movable(run: Running, gang: int, cluster: ClusterView) -> bool:
    """Whether the kind of a run lets it have this gang, or another place."""
    known = facts(cluster.room.kind_of(run.placement[0][1][0]) or "")
    return known is None or (known.moves and known.admits(gang))


gandiva = Gandiva()
"""Turns of six minutes, packing, migration, growth."""
