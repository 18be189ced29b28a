"""What is seen of jobs at work: how busy each makes an accelerator alone, and how much of its memory it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..envs.cluster import ClusterView
from ..envs.roster import Running
from ..envs.shares import WHOLE, thousandths
from ..traces.job import Job
from .memory import forget

MOST_KIN = 4096
"""Kin that are remembered."""


@dataclass(frozen=True, slots=True)
class Habit:
    """What was seen of a job: looks, the mean of how busy it makes an accelerator, the most of its memory, bytes."""

    looks: int = 0
    busy: float = 0.0
    memory: int | None = None

    def after(self, busy: float, memory: int | None) -> Habit:
        """With one look more."""
        most = self.memory if memory is None else max(memory, self.memory or 0)
        return Habit(self.looks + 1, self.busy + (busy - self.busy) / (self.looks + 1), most)


@dataclass
class Habits:
    """Habits of the jobs of one session, and of their kin."""

    _seen: dict[int, Habit] = field(default_factory=dict, init=False)
    _kin: dict[object, Habit] = field(default_factory=dict, init=False)
    _looked: dict[str, float] = field(default_factory=dict, init=False)

    def of(self, job: Job) -> Habit | None:
        """What was seen of a job, else of its kin, else None."""
        own = self._seen.get(job.id)
        return own if own is not None else self._kin.get(kin(job))

    def look(self, cluster: ClusterView, least: float) -> None:
        """Notes what the meter has said of runs that are alone and began `least` seconds ago."""
        forget(self._seen, cluster)
        for run in cluster.running if cluster.meter.seen else ():
            if cluster.now - run.since >= least and run.gang and run.goes is None and alone(run, cluster):
                self._note(run, cluster)
        while len(self._kin) > MOST_KIN:
            del self._kin[next(iter(self._kin))]

    def _note(self, run: Running, cluster: ClusterView) -> None:
        for accelerator in run.placement[0][1]:
            seen = cluster.meter.seen.get(accelerator)
            if seen is None or seen.since < run.since or self._looked.get(accelerator) == seen.since:
                continue
            self._looked[accelerator] = seen.since
            if seen.sample.busy is not None:
                habit = self._seen.get(run.job.id, Habit()).after(seen.sample.busy, seen.sample.memory)
                self._seen[run.job.id] = habit
                if (whose := kin(run.job)) is not None:
                    self._kin.pop(whose, None)
                    self._kin[whose] = habit


def kin(job: Job) -> object:
    """Whom a job is like: those of its family, its sweep, or its name and user; None for one that is like nobody."""
    return job.profile or job.group or ((job.user, job.name) if job.name is not None else None)


def alone(run: Running, cluster: ClusterView) -> bool:
    """Whether nobody else stands on the accelerators of a run; of MIG instances nobody can tell."""
    left, rest = cluster.room.left, WHOLE - thousandths(run.share)
    return not rest or all(left.get(accelerator) == rest for _, some in run.placement for accelerator in some)
