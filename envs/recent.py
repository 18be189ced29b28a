"""What is known of a job when it comes: what was asked for, when, and how long its like ran that had ended by then."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from math import log1p, log2

import numpy as np

from ..traces.history import WEEK, History
from ..traces.job import Job
from .roster import Floats

LAST = 24
"""So many ended jobs of each kind are remembered."""
FEW = 3
"""From so many on a kind's own quantiles are better than those of a wider kind."""
ALIKE = ("like", "user", "tenant", "all")
"""Narrow to wide: same user (or tenant), gang, accelerators, model family, group and name; user; tenant; everybody."""
OF_KIND = ("count", "p50", "p90", "last", "since")
ASKED = ("gang", "share", "memory", "cpus", "priority", "hour", "day")
FEATURES = (*ASKED, *(f"{kind}_{name}" for kind in ALIKE for name in OF_KIND), "rolling_p50", "rolling_p90")
"""gang: log2; memory, cpus: log1p; hour: of the day; day: of the week; of each kind: log1p of how many have ended, the
median, 90th percentile and last of log1p of their run times, log1p of seconds since the last submission; rolling_*: the
quantiles of the narrowest kind that has had a few ends, of `PRIOR` before the very first. -1: unknown.
"""
ROLLING = slice(len(FEATURES) - 2, None)
PRIOR = (1144.0, 11265.0)
"""Seconds: median and 90th percentile of Philly's 82,247 published run times (Jeon et al., ATC 2019)."""
UNKNOWN = (0.0, -1.0, -1.0, -1.0, -1.0)
Kind = tuple[Hashable, ...]


def kinds(job: Job) -> tuple[Kind | None, ...]:
    """The kinds of `ALIKE` that it belongs to, None where it does not say."""
    who = job.user if job.user is not None else job.tenant
    like = ("like", who, job.gang, job.kinds, job.profile, job.group, job.name)
    user = None if job.user is None else ("user", job.user)
    return like, user, None if job.tenant is None else ("tenant", job.tenant), ("all",)


@dataclass(slots=True)
class Trail:
    """One kind's jobs so far: log1p of the last run times, how many have ended, when one last came."""

    runs: deque[float]
    count: int = 0
    came: float | None = None
    told: tuple[float, float] | None = None

    def ended(self, run: float) -> None:
        """One has ended; `run` is log1p seconds."""
        self.runs.append(run)
        self.count += 1
        self.told = None

    def quantiles(self) -> tuple[float, float]:
        """Median and 90th percentile of the last runs, as order statistics; there has to be one."""
        if self.told is None:
            ranked = sorted(self.runs)
            self.told = ranked[(len(ranked) - 1) // 2], ranked[min(int(0.9 * len(ranked)), len(ranked) - 1)]
        return self.told

    def features(self, now: float) -> tuple[float, ...]:
        """The values of `OF_KIND`."""
        since = -1.0 if self.came is None else log1p(max(now - self.came, 0.0))
        if not self.count:
            return (0.0, -1.0, -1.0, -1.0, since)
        return (log1p(self.count), *self.quantiles(), self.runs[-1], since)


@dataclass(slots=True)
class Lines:
    """One kind's jobs in a whole history: ends ascending with the runs that ended then, and submissions ascending."""

    ends: list[float] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)
    submits: list[float] = field(default_factory=list)

    def trail(self, time: float) -> Trail:
        """As it stood just before a time: a job that comes then and takes no time has not ended before it."""
        count, came = bisect_left(self.ends, time), bisect_left(self.submits, time)
        runs = deque(self.runs[max(count - LAST, 0) : count], LAST)
        return Trail(runs, count, self.submits[came - 1] if came else None)


class Recent:
    """The kinds of jobs there were, each looked up in the history when it is first asked for.

    Args:
        lines: of a history, none to begin with nothing.
        start: the history's second at which it stops and what is told begins.
        offset: seconds from a Monday's midnight to second 0.
    """

    def __init__(self, lines: Mapping[Kind, Lines] | None = None, start: float = 0.0, offset: float = 0.0) -> None:
        self._lines, self._start, self._offset = lines or {}, start, offset
        self._trails: dict[Kind, Trail] = {}

    def trail(self, kind: Kind) -> Trail:
        """One kind's jobs so far."""
        found = self._trails.get(kind)
        if found is None:
            known = self._lines.get(kind)
            found = self._trails[kind] = Trail(deque(maxlen=LAST)) if known is None else known.trail(self._start)
        return found

    def submitted(self, job: Job, now: float) -> list[float]:
        """The job's `FEATURES` in the moment it comes, which is noted."""
        clock = (now + self._offset) % WEEK
        row = [
            log2(max(job.gang, 0.5)), job.share, _log(job.memory), _log(job.cpus),
            -1.0 if job.priority is None else job.priority, clock % 86400.0 / 3600.0, clock // 86400.0,
        ]  # fmt: skip
        for kind in kinds(job):
            if kind is None:
                row += UNKNOWN
            else:
                trail = self.trail(kind)
                row += trail.features(now)
                trail.came = now
        return [*row, *self._rolling(job)]

    def ended(self, job: Job, run: float) -> None:
        """A job has ended; `run` is log1p seconds."""
        for kind in kinds(job):
            if kind is not None:
                self.trail(kind).ended(run)

    def _rolling(self, job: Job) -> tuple[float, float]:
        """Median and 90th percentile, log1p seconds, of the narrowest kind that has had a few ends."""
        trails = [self.trail(kind) for kind in kinds(job) if kind is not None]
        found = next((t for t in trails if t.count >= FEW), trails[-1])
        return found.quantiles() if found.count else (log1p(PRIOR[0]), log1p(PRIOR[1]))


def _log(value: float | None) -> float:
    return -1.0 if value is None else log1p(value)


@dataclass(frozen=True, slots=True)
class Told:
    """All that a history tells, as if it had been followed from its beginning.

    Attributes:
        lines: of each kind.
        ends: when jobs ended, ascending.
        rows: their features as they were submitted, shape (jobs, features), in that order.
        runs: log1p of their run times, seconds, in that order.
    """

    lines: dict[Kind, Lines]
    ends: list[float]
    rows: Floats
    runs: Floats


def told(history: History) -> Told:
    """Reads a history once; a job ended when it was submitted plus its run time, as traces do not tell of waits."""
    if "told" not in history.kept:
        history.kept["told"] = _told(history)
    found: Told = history.kept["told"]
    return found


def _told(history: History) -> Told:
    jobs, durations, recent = history.trace.jobs, history.trace.durations, Recent(offset=history.offset)
    over = sorted(range(len(jobs)), key=lambda n: jobs[n].submit + durations[jobs[n].id])
    ends = [jobs[n].submit + durations[jobs[n].id] for n in over]
    lines: dict[Kind, Lines] = {}
    rows, done = np.empty((len(jobs), len(FEATURES))), 0
    for number, job in enumerate(jobs):
        while done < len(over) and ends[done] <= job.submit and over[done] < number:
            _end(recent, lines, jobs[over[done]], ends[done], durations)
            done += 1
        rows[number] = recent.submitted(job, job.submit)
        for kind in kinds(job):
            if kind is not None:
                lines.setdefault(kind, Lines()).submits.append(job.submit)
    for last in range(done, len(over)):
        _end(recent, lines, jobs[over[last]], ends[last], durations)
    runs = np.log1p([durations[jobs[n].id] for n in over])
    return Told(lines, ends, rows[over], runs)


def _end(recent: Recent, lines: dict[Kind, Lines], job: Job, end: float, durations: Mapping[int, float]) -> None:
    run = log1p(durations[job.id])
    recent.ended(job, run)
    for kind in kinds(job):
        if kind is not None:
            known = lines.setdefault(kind, Lines())
            known.ends.append(end)
            known.runs.append(run)


def rows_of(kept: Iterable[list[float]]) -> Floats:
    """Rows as an array, shape (jobs, features)."""
    return np.array(list(kept)).reshape(-1, len(FEATURES))
