"""Who is packed with whom on the same accelerators, half each: by what was measured of pairs, else by what is seen.

Two of whose families somebody measured the pair keep kept_a and kept_b of their own rates; together they get more done
than one after the other if kept_a + kept_b > 1. Of others the meter tells how busy each makes an accelerator alone:
they are tried together if that is less than all of it, and parted for good where the meter sees no part of it idle.

Shares of runs are fixed when they start, so both start as a pair, or one joins another that was left by its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..envs.cluster import ClusterView
from ..envs.profiles import builtin
from ..envs.roster import Running
from ..envs.vocabulary import Placement, Preempt, Start
from ..traces.job import Job
from .habits import Habits, alone, kin
from .ranked import submitted

HALF = 0.5
FULL = 0.95
"""How busy an accelerator is that has nothing left for a second job: within the noise of one look."""
LOOKED_AT = 64
"""Waiting jobs, the oldest, among which somebody to pack with is looked for."""
MOST_APART = 4096
"""Pairs that are remembered as no good."""


@dataclass
class Pairs:
    """Pairs of one session.

    Attributes:
        pays: two are packed if what they get done together is more than so many times what one does alone.
        least: seconds of a run until what is seen of it counts.
    """

    pays: float = 1.0
    least: float = 60.0
    _habits: Habits = field(default_factory=Habits, init=False)
    _apart: dict[frozenset[object], None] = field(default_factory=dict, init=False)

    def look(self, cluster: ClusterView) -> None:
        """Notes what the meter says."""
        self._habits.look(cluster, self.least)

    def worth(self, one: Job, other: Job, kind: str) -> float:
        """What two get done together on one accelerator, by what one alone does; 0 if nobody knows that it is more."""
        told = together(one, other, kind)
        if told is not None:
            return told
        mine, its = self._habits.of(one), self._habits.of(other)
        if mine is None or its is None or _pair(one, other) in self._apart:
            return 0.0
        return 2.0 - mine.busy - its.busy

    def partner(self, job: Job, placement: Placement, without: set[int], cluster: ClusterView) -> Job | None:
        """Who of those that wait goes best with one that is about to start, if anybody does."""
        there = placement[0][1]
        kind = cluster.room.kind_of(there[0]) if there else None
        if kind is None or job.share < 1 or not packs(cluster):
            return None
        best, most = None, self.pays
        for other in cluster.pending.first(submitted, LOOKED_AT):
            alike = other.gang == job.gang and other.tenant == job.tenant and other.share == 1 and other.id != job.id
            worth = self.worth(job, other, kind) if alike and other.id not in without else 0.0
            if worth > most and _fit((job, other), placement, cluster):
                best, most = other, worth
        return best

    def joined(self, cluster: ClusterView) -> Iterator[Start]:
        """Starts of those that go well with a run that its partner has left."""
        if not packs(cluster) or not len(cluster.pending):
            return
        for run in [run for run in cluster.running if run.share == HALF and run.job.share == 1 and not run.stopping]:
            kind = cluster.room.kind_of(run.placement[0][1][0])
            if kind is None or run.goes is not None or not alone(run, cluster):
                continue
            best, most = None, self.pays
            for other in cluster.pending.first(submitted, LOOKED_AT):
                alike = other.gang == run.gang and other.tenant == run.job.tenant and other.share == 1
                worth = self.worth(run.job, other, kind) if alike else 0.0
                if worth > most and _fit((other,), run.placement, cluster):
                    best, most = other, worth
            if best is not None:
                yield Start(best.id, run.placement, share=HALF)

    def parted(self, cluster: ClusterView) -> Iterator[Preempt]:
        """Stops of the newer of two where the meter sees that they leave nothing idle, and nobody measured the pair."""
        there: dict[Placement, Running] = {}
        for run in cluster.running if cluster.meter.seen else ():
            if run.share != HALF or run.job.share < 1 or run.stopping or run.goes is not None:
                continue
            other = there.setdefault(run.placement, run)
            if other is run or not run.job.preemptible or cluster.now - run.since < self.least:
                continue
            if self._measured(run, other, cluster) is None and _full(run, cluster):
                self._apart[_pair(run.job, other.job)] = None
                while len(self._apart) > MOST_APART:
                    del self._apart[next(iter(self._apart))]
                yield Preempt(run.job.id)

    @staticmethod
    def _measured(run: Running, other: Running, cluster: ClusterView) -> float | None:
        kind = cluster.room.kind_of(run.placement[0][1][0])
        return None if kind is None else together(run.job, other.job, kind)


def packs(cluster: ClusterView) -> bool:
    """Whether the ledger knows what can stand side by side: elsewhere it would cost nothing, which nobody believes."""
    return cluster.room.fits is not None


def together(one: Job, other: Job, kind: str) -> float | None:
    """The sum of the parts of their rates that two jobs keep on one accelerator, 0 if it does not hold both.

    None where nobody measured it.
    """
    mine, its = builtin().kept(one.profile, other.profile, kind), builtin().kept(other.profile, one.profile, kind)
    return None if mine is None or its is None else mine + its if mine and its else 0.0


def _pair(one: Job, other: Job) -> frozenset[object]:
    return frozenset((kin(one) or one.id, kin(other) or other.id))


def _full(run: Running, cluster: ClusterView) -> bool:
    """Whether every accelerator of a run was seen since it began, and was seen full."""
    looks = [cluster.meter.seen.get(accelerator) for _, some in run.placement for accelerator in some]
    return all(look is not None and look.since >= run.since and (look.sample.busy or 0.0) >= FULL for look in looks)


def _fit(jobs: tuple[Job, ...], placement: Placement, cluster: ClusterView) -> bool:
    """Whether these may stand on one place, half each."""
    trial = cluster.room.scratch()
    return all(trial.took(job, placement, HALF) for job in jobs)
