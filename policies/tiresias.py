"""Tiresias: the least served first, by accelerators times seconds; or those who will likely end soonest.

Gu et al., "Tiresias: A GPU Cluster Manager for Distributed Deep Learning", NSDI 2019. Two-dimensional, as service is
gang x time, and discretised, as jobs stand in queues by what they have had, so that few are ever stopped:

- discretised 2D-LAS (sec. 3.3): in a queue whoever came first comes first; a job goes down a queue when it has had its
  threshold; one that has waited `promote` times what it has run begins anew in the first queue (PROMOTEKNOB).
- discretised 2D-Gittins: in a queue the largest Gittins index comes first,
  G(a) = max over d of P(S - a <= d | S > a) / E[min(S - a, d) | S > a],
  over the service S of the jobs that the policy has seen end, a what the job has had, d up to the queue's end.

Placement (sec. 3.4): only models with skewed tensors are consolidated, as only they are much slower when spread; others
are placed wherever there is room. Here the profile says so itself: consolidated, or made to wait, are families that
keep less than `KEEPS` of their measured pace on several nodes (`by_profile`).

Left out: the daemon that measures the skew while jobs run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.paces import LAW, pace
from ..envs.placement import Place, consolidated, packed
from ..envs.room import Room
from ..envs.roster import Floats
from ..envs.vocabulary import Decision, Placement
from ..traces.job import Job
from .memory import Memory, forget
from .needs import NOTHING, Needs
from .ranked import Rows
from .turns import Everybody, everybody, serve

MOST = 2000
"""Ends that are remembered, the newest: an index over more says the same."""
KEEPS = 0.75
"""Between the least that ResNet keeps (0.83), which the paper does not consolidate, and the most of a Transformer's
(0.54): by the built-in profiles, on V100."""


def by_profile(job: Job, room: Room) -> Placement | None:
    """On one node, or not yet, if a gang of its family is much slower on several and one could hold it; else packed."""
    large = max((room.largest[group] for group in room.accepted(job)), default=0)
    bound = 1 < job.gang <= large and job.cpus is None and job.host_memory is None
    return (consolidated if bound and _skewed(job) else packed)(job, room)


def _skewed(job: Job) -> bool:
    if job.profile is None:
        return False
    kind = job.kinds[0] if job.kinds else LAW.reference
    return pace(job, kind, job.gang, spread=True) < KEEPS * pace(job, kind, job.gang, spread=False)


@dataclass(slots=True)
class _Services:
    """What is remembered of a session, of services in accelerator-seconds.

    Attributes:
        promotions: job -> (seconds that it had run when it was last promoted, when that was).
        seen: job -> its service.
        last: services of those who have ended, the newest.
        ends: the same, ascending, as of when the index was last looked at anew.
        known: (place among these, end of a queue) -> index.
    """

    promotions: dict[int, tuple[float, float]] = field(default_factory=dict)
    seen: dict[int, float] = field(default_factory=dict)
    last: list[float] = field(default_factory=list)
    ends: Floats = field(default_factory=lambda: np.zeros(0))
    known: dict[tuple[int, float], float] = field(default_factory=dict)

    def promoted(self, jobs: Everybody, now: float, promote: float) -> Floats:
        """Seconds that each has run since it was last promoted; those who have waited too long for them are now."""
        of = self.promotions
        had, then = np.array([of.get(key, (0.0, np.nan)) for key in jobs.keys]).reshape(-1, 2).T
        served = np.maximum(jobs.served - had, 0.0)
        waited = np.where(np.isnan(then), now - jobs.submit - jobs.served, now - then - served)
        starved = ~jobs.runs & (served > 0) & (waited > promote * served)
        for row in np.flatnonzero(starved).tolist():
            of[jobs.keys[row]] = float(jobs.served[row]), now
        return np.where(starved, 0.0, served)

    def follow(self, cluster: ClusterView) -> None:
        """What those had who have ended since; the newest are kept."""
        known = len(self.last)
        self.last += forget(self.seen, cluster).values()
        for run in cluster.running:
            self.seen[run.job.id] = run.served(cluster.now) * max(run.gang, 1)
        if len(self.last) > max(known, 1.02 * len(self.ends)):
            del self.last[:-MOST]
            self.ends, self.known = np.sort(self.last), {}

    def index(self, service: Floats, queue: Floats, tops: Floats) -> Floats:
        """The Gittins index of jobs that have had so much, 0 beyond all that was seen; alike between two ends seen."""
        places = np.searchsorted(self.ends, service, side="right").tolist()
        return np.array([self._at(place, float(tops[int(at)])) for place, at in zip(places, queue, strict=True)])

    def _at(self, place: int, top: float) -> float:
        if (place, top) not in self.known:
            had = float(self.ends[place - 1]) if place else 0.0
            self.known[place, top] = gittins(self.ends, had, top)
        return self.known[place, top]


@dataclass
class Tiresias:
    """Queues by attained service.

    Attributes:
        thresholds: accelerator-seconds at which a job leaves a queue for the next one.
        promote: times of its service that a job waits before it is served first again; never by default, as in the
            published simulator: where thousands wait, all are promoted in turn and stop each other.
        gittins: within a queue by index, not by time.
        place: where a job may stand.
        tick: seconds between looks, and the least that a run has before it is stopped.
        longest_restart: seconds, half of what a run has at least: else it could be stopped before it has done a thing.
    """

    thresholds: tuple[float, ...] = (3250.0, 7200.0, 18000.0)
    promote: float = np.inf
    gittins: bool = False
    place: Place = by_profile
    tick: float = 360.0
    longest_restart: float = 180.0
    needs: Needs = NOTHING
    _memory: Memory[_Services] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts, and stops for those who come first."""
        services = self._memory.of(cluster, _Services)
        if self.gittins:
            services.follow(cluster)
        forget(services.promotions, cluster)
        if not len(cluster.pending):
            return
        jobs = everybody(cluster)
        yield from serve(cluster, jobs, self._ranking(jobs, services, cluster.now), self.place, self.tick)

    def _ranking(self, jobs: Everybody, services: _Services, now: float) -> Rows:
        """The rows of all jobs, whom to serve first."""
        served = services.promoted(jobs, now, self.promote) if np.isfinite(self.promote) else jobs.served
        service = served * np.maximum(jobs.gang, 1.0)
        queue = np.searchsorted(self.thresholds, service, side="right").astype(np.float64)
        if not self.gittins or not len(services.ends):
            return jobs.ranked(queue)
        return jobs.ranked(queue, -services.index(service, queue, np.array([*self.thresholds, np.inf])))


def gittins(ends: Floats, had: float, top: float) -> float:
    """The Gittins index over services seen, ascending, of a job that had some, up to a queue's end.

    0 where nobody was seen to need more.
    """
    sums = np.concatenate([[0.0], ends.cumsum()])
    first = int(np.searchsorted(ends, had, side="right"))
    more = len(ends) - first
    if not more:
        return 0.0
    last = max(int(np.searchsorted(ends, top, side="right")), first + 1)
    by = np.arange(first + 1, last + 1)
    done = by - first
    spent = sums[by] - sums[first] - done * had + (len(ends) - by) * (ends[by - 1] - had)
    return float((done / np.maximum(spent, 1e-9)).max())


tiresias = Tiresias()
"""Discretised 2D-LAS with the thresholds of Tiresias' published simulator."""
tiresias_gittins = Tiresias(gittins=True)
"""Discretised 2D-Gittins."""
