"""Gangs of elastic jobs: what a cluster has to divide among jobs.

A division says how many accelerators of which group each job is to have. It is made over everything that is there but
what runs that may not be touched hold; `settling` makes it real. Where a world cannot resize runs every job has its own
gang, and dividing decides who runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.kinds import kind as facts
from ..envs.laws.speed import Speed
from ..envs.paces import LAW, at
from ..envs.reclaims import to_come
from ..envs.room import Room
from ..envs.roster import Running
from ..envs.shares import thousandths
from ..envs.space import Space
from ..envs.throughputs import opened
from ..envs.vocabulary import Decision, Move, Resize, Start
from ..traces.job import Job
from .leases import gives_way
from .memory import forget

TINY = 1e-9
"""Seconds: what began in this very moment is let alone, whatever the rest."""
MOST_KNOWN = 4096
"""Ladders that are remembered."""
_known: dict[tuple[object, ...], tuple[tuple[int, float], ...]] = {}


@dataclass(slots=True, eq=False)
class Claim:
    """A job that has part in a division.

    Attributes:
        job: whose.
        run: how it runs, None while it waits.
        left: seconds of work that it is expected to need still, NaN where nobody knows.
        ladders: group -> gangs that it could have there, with the seconds of work that each does in a second; each
            rung is faster than the one before.
        group: where it has what it was given, or is to have it.
        rung: of its ladder there that it was given, -1 for nothing.
    """

    job: Job
    run: Running | None
    left: float
    ladders: dict[str, tuple[tuple[int, float], ...]]
    group: str = ""
    rung: int = -1

    @property
    def gang(self) -> int:
        """Accelerators that it is to have."""
        return self.ladders[self.group][self.rung][0] if self.rung >= 0 else 0

    @property
    def rate(self) -> float:
        """Seconds of work in a second with these."""
        return self.ladders[self.group][self.rung][1] if self.rung >= 0 else 0.0

    @property
    def next(self) -> tuple[int, float] | None:
        """The next rung in its group: (gang, rate); None at the top, and while it has no group."""
        there = self.ladders.get(self.group, ())
        return there[self.rung + 1] if self.rung < len(there) - 1 else None


@dataclass
class Changes:
    """When the gangs of runs were last changed, and what they had done until then.

    Attributes:
        last: job -> (when that run began, when it changed, seconds of work done until then, changes in all).
    """

    last: dict[int, tuple[float, float, float, int]] = field(default_factory=dict)

    def follow(self, cluster: ClusterView) -> None:
        """Forgets jobs that are gone."""
        forget(self.last, cluster)

    def since(self, run: Running) -> float:
        """When a run began, or changed last."""
        began, changed, _, _ = self.last.get(run.job.id, (-1.0, -1.0, 0.0, 0))
        return changed if began == run.since else run.since

    def done(self, run: Running, cluster: ClusterView) -> float:
        """Seconds of work that a run is likely to have done, by public paces of the gangs that it had."""
        began, changed, done, _ = self.last.get(run.job.id, (-1.0, -1.0, 0.0, 0))
        if began != run.since:
            changed, done = run.since, run.attained
        return done + (cluster.now - changed) * at(run.job, run.placement, cluster.room)

    def count(self, job: int) -> int:
        """How often a job was started or changed."""
        return self.last.get(job, (0.0, 0.0, 0.0, 0))[3]

    def note(self, decision: Decision, cluster: ClusterView) -> None:
        """Notes what is about to be decided."""
        match decision:
            case Resize(key) | Move(key):
                run = cluster.running[key]
                self.last[key] = run.since, cluster.now, self.done(run, cluster), self.count(key) + 1
            case Start(key):
                self.last[key] = cluster.now, cluster.now, cluster.attained(key), self.count(key) + 1
            case _:
                pass


@dataclass(slots=True)
class Pool:
    """What there is to divide.

    Attributes:
        room: as it would be without the runs that may be touched, when all who are leaving have left.
        left: accelerators of each group that are not given yet.
        runs: the runs that may be touched, in the order they began.
        elastic: whether the world resizes runs.
        law: by whose tables rates are told.
    """

    room: Space
    left: dict[str, int]
    runs: list[Claim]
    elastic: bool
    law: Speed = LAW

    @classmethod
    def of(cls, cluster: ClusterView, changes: Changes, rest: float, rigid: bool = False, law: Speed = LAW) -> Pool:
        """What a ledger has to divide, if runs may be touched that had `rest` seconds since anything changed.

        If all are `rigid` those that were packed have part in it too: they are stopped at most.
        """
        room, elastic = coming(cluster), Resize in cluster.does and not rigid
        free = [run for run in cluster.running if gives_way(run) and (run.share == 1 or (rigid and run.job.share == 1))]
        runs = [run for run in free if changes.since(run) <= cluster.now - max(rest, TINY)]
        for run in runs:
            room.release(run)
        claims = [_running(run, room, elastic, law, changes.done(run, cluster)) for run in runs]
        return cls(room, dict(room.count), claims, elastic, law)

    def waiting(self, job: Job, cluster: ClusterView) -> Claim:
        """The claim of a job that waits."""
        ladders = {group: ladder(job, group, self.room, self.elastic, self.law) for group in self.room.accepted(job)}
        return Claim(job, None, _left(job, cluster.attained(job.id)), ladders)

    def open(self, claim: Claim) -> str | None:
        """The fastest group of those that hold the smallest gang of a job that has nothing yet, None if none does."""
        able = [
            (-rungs[0][1] / rungs[0][0], group)
            for group, rungs in claim.ladders.items()
            if rungs and rungs[0][0] <= self.left[group] and self._may(claim.job, rungs[0][0])
        ]
        return min(able, key=lambda one: one[0])[1] if able else None

    def grows(self, claim: Claim) -> bool:
        """Whether a job that has something can have its next rung."""
        rung = claim.next
        more = 0 if rung is None else rung[0] - claim.gang
        return 0 < more <= self.left[claim.group] and self._may(claim.job, more)

    def give(self, claim: Claim, group: str, rung: int) -> None:
        """Gives a job a rung of its ladder."""
        before = claim.gang
        claim.group, claim.rung = group, rung
        self.left[group] -= claim.gang - before
        if self.room.holdings is not None:
            self.room.holdings.change(claim.job.tenant, (claim.gang - before) * thousandths(claim.job.share))

    def _may(self, job: Job, more: int) -> bool:
        return self.room.holdings is None or self.room.holdings.may(job.tenant, more * thousandths(job.share))


def coming(cluster: ClusterView) -> Space:
    """The room there will be when all who are stopping have stopped, and all who are on their way have arrived."""
    room = to_come(cluster)
    for run in cluster.running:
        if run.goes is not None and not run.stopping:
            room.settle(run.job, run.holds, run.goes, run.share)
    return room


def _running(run: Running, room: Room, elastic: bool, law: Speed, done: float) -> Claim:
    group = room.bays[room.seat[run.placement[0][1][0]][0]].group
    known = facts(room.kind_of(run.placement[0][1][0]) or "")
    movable = elastic and (known is None or known.moves)
    job = run.job if movable else replace(run.job, gang=run.gang, min_gang=None, max_gang=None)
    rungs = ladder(job, group, room, movable, law)
    return Claim(run.job, run, _left(run.job, done), {group: rungs})


def _left(job: Job, done: float) -> float:
    """One that has outrun its estimate is expected to need a tenth of what it did."""
    return np.nan if job.estimate is None else max(job.estimate - done, 0.1 * done, 1.0)


def bounds(job: Job, elastic: bool = True) -> tuple[int, int]:
    """The fewest and the most accelerators that a job takes."""
    if not elastic or job.share < 1 or not job.preemptible:
        return job.gang, job.gang
    return job.min_gang or job.gang, job.max_gang or job.gang


def ladder(job: Job, group: str, room: Room, elastic: bool, law: Speed = LAW) -> tuple[tuple[int, float], ...]:
    """The gangs of a group that a job could have, each with its rate, without those no faster than a smaller one."""
    low, high = bounds(job, elastic)
    high, size = min(high, room.total[group]), room.largest[group]
    key = job.profile, job.kinds, job.gang, low, high, group, size, law
    if key not in _known:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        kind = group.partition("@")[0]
        known, rungs, tables = facts(kind), list[tuple[int, float]](), opened(law.profiles)
        for gang in range(low, high + 1):
            rate = law.pace(tables, job, kind, gang, gang > size)
            if (known is None or known.admits(gang)) and (not rungs or rate > rungs[-1][1]):
                rungs.append((gang, rate))
        _known[key] = tuple(rungs)
    return _known[key]
