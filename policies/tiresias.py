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
from .needs import NOTHING, Needs
from .ranked import Rows
from .turns import Everybody, Recall, everybody, serve

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
    _promotions: Recall[tuple[float, float]] = field(default_factory=Recall, init=False, repr=False, compare=False)
    _seen: Recall[float] = field(default_factory=Recall, init=False, repr=False, compare=False)
    _ends: Floats = field(default_factory=lambda: np.zeros(0), init=False, repr=False, compare=False)
    _last: list[float] = field(default_factory=list, init=False, repr=False, compare=False)
    _known: dict[tuple[int, float], float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts, and stops for those who come first."""
        if self.gittins:
            self._remember(cluster)
        self._promotions.follow(cluster)
        if not len(cluster.pending):
            return
        jobs = everybody(cluster)
        yield from serve(cluster, jobs, self.ranking(jobs, cluster.now), self.place, self.tick)

    def ranking(self, jobs: Everybody, now: float) -> Rows:
        """The rows of all jobs, whom to serve first."""
        served = self._promoted(jobs, now) if np.isfinite(self.promote) else jobs.served
        service = served * np.maximum(jobs.gang, 1.0)
        queue = np.searchsorted(self.thresholds, service, side="right").astype(np.float64)
        if not self.gittins or not len(self._ends):
            return jobs.ranked(queue)
        return jobs.ranked(queue, -self._index(service, queue))

    def _promoted(self, jobs: Everybody, now: float) -> Floats:
        """Seconds that each has run since it was last promoted; those who have waited too long for them are now."""
        of = self._promotions.of
        had, then = np.array([of.get(key, (0.0, np.nan)) for key in jobs.keys]).reshape(-1, 2).T
        served = np.maximum(jobs.served - had, 0.0)
        waited = np.where(np.isnan(then), now - jobs.submit - jobs.served, now - then - served)
        starved = ~jobs.runs & (served > 0) & (waited > self.promote * served)
        for row in np.flatnonzero(starved).tolist():
            of[jobs.keys[row]] = float(jobs.served[row]), now
        return np.where(starved, 0.0, served)

    def _remember(self, cluster: ClusterView) -> None:
        """What those had who have ended since; the newest are kept."""
        before, known = self._seen.of, len(self._last)
        gone = self._seen.follow(cluster)
        if self._seen.of is not before:
            self._last, self._ends = [], np.zeros(0)
        self._last += gone.values()
        for run in cluster.running:
            self._seen.of[run.job.id] = run.served(cluster.now) * max(run.gang, 1)
        if len(self._last) > max(known, 1.02 * len(self._ends)):
            del self._last[:-MOST]
            self._ends, self._known = np.sort(self._last), {}

    def _index(self, service: Floats, queue: Floats) -> Floats:
        """The Gittins index of jobs that have had so much, 0 beyond all that was seen; alike between two ends seen."""
        tops = np.array([*self.thresholds, np.inf])
        places = np.searchsorted(self._ends, service, side="right").tolist()
        return np.array([self._at(place, float(tops[int(at)])) for place, at in zip(places, queue, strict=True)])

    def _at(self, place: int, top: float) -> float:
        if (place, top) not in self._known:
            had = float(self._ends[place - 1]) if place else 0.0
            self._known[place, top] = gittins(self._ends, had, top)
        return self._known[place, top]


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
