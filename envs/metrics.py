"""What a session was worth, read from its log alone, be it simulated or live."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .cluster import Cluster
from .log import EVENTS, Log, follow
from .rates import Rate
from .vocabulary import Preempt, Start, Stopped, Submitted, Tick

Floats = npt.NDArray[np.float64]
SHORTEST = 10.0
"""Seconds: runs shorter than this count as this long in the bounded slowdown (Feitelson et al., 1997)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The jobs that ended, as arrays of shape (n,) in order of submission; times in seconds.

    Attributes:
        job: id.
        submit, start, end: when it came, first started and ended.
        run: seconds of its own work; the time it held its place where the world cannot tell.
        held: seconds in its places, restarts and lost work included.
        gang: accelerators.
        failed: whether it failed.
    """

    job: npt.NDArray[np.int64]
    submit: Floats
    start: Floats
    end: Floats
    run: Floats
    held: Floats
    gang: Floats
    failed: npt.NDArray[np.bool_]

    @property
    def jct(self) -> Floats:
        """Job completion time: from submission to end."""
        return self.end - self.submit

    @property
    def wait(self) -> Floats:
        """The part of the completion time that was not its own work: queueing, restarts."""
        return np.maximum(self.jct - self.run, 0.0)

    @property
    def bounded_slowdown(self) -> Floats:
        """max(1, (wait + run) / max(run, 10 s))."""
        return np.maximum(1.0, (self.wait + self.run) / np.maximum(self.run, SHORTEST))

    def only(self, jobs: Collection[int]) -> Ended:
        """Those of these jobs."""
        mask = np.isin(self.job, list(jobs))
        return Ended(*(getattr(self, name)[mask] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Summary:
    """One run in a few numbers, seconds throughout; None where no job ended.

    Attributes:
        jobs: submitted.
        finished, failed: ended well, ended badly.
        makespan: from the first submission to the last end.
        utilization: accelerator-seconds held over accelerator-seconds there were, from the first submission to the
            log's end (which is the last end, if all jobs ended).
        preemptions: stops that sent a job back to the queue.
        decisions: made by the policy.
    """

    jobs: int
    finished: int
    failed: int
    mean_jct: float | None
    median_jct: float | None
    p99_jct: float | None
    mean_wait: float | None
    mean_bounded_slowdown: float | None
    makespan: float | None
    utilization: float | None
    preemptions: int
    decisions: int

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


@dataclass(slots=True)
class _Life:
    submit: float
    gang: int
    weight: float
    start: float | None = None
    since: float = 0.0
    held: float = 0.0


@dataclass(slots=True)
class Story:
    """A log read once: the jobs that ended, and what else a summary counts."""

    ended: Ended
    submitted: int
    first: float
    last: float
    until: float
    busy: float
    preemptions: int
    decisions: int


def read(log: Log) -> Story:
    """Reads a log from end to end. Accelerator-seconds of jobs that still run at its end are counted to its end."""
    lives: dict[int, _Life] = {}
    running: dict[int, _Life] = {}
    ended: list[tuple[int, float, float, float, float, float, int, bool]] = []
    now = busy = 0.0
    first: float | None = None
    preemptions = decisions = 0
    for entry in log.entries:
        match entry:
            case Submitted(now, job):
                first = now if first is None else first
                lives[job.id] = _Life(now, job.gang, job.gang * job.share)
            case Start(job_id, _):
                decisions += 1
                life = running[job_id] = lives[job_id]
                life.since = now
                life.start = now if life.start is None else life.start
            case Stopped(now, job_id, reason, progress):
                life = running.pop(job_id)
                life.held += now - life.since
                if reason == "preempted":
                    preemptions += 1
                    continue
                del lives[job_id]
                busy += life.held * life.weight
                run = life.held if progress is None else progress
                assert life.start is not None
                ended.append((job_id, life.submit, life.start, now, run, life.held, life.gang, reason == "failed"))
            case Preempt():
                decisions += 1
            case Tick(now):
                pass
    busy += sum(
        (life.held + (now - life.since if key in running else 0.0)) * life.weight for key, life in lives.items()
    )
    ended.sort(key=lambda row: row[1])
    last = max((row[3] for row in ended), default=now)
    return Story(_columns(ended), len(ended) + len(lives), first or 0.0, last, now, busy, preemptions, decisions)


def _columns(rows: list[tuple[int, float, float, float, float, float, int, bool]]) -> Ended:
    numbers = np.array(rows, np.float64).reshape(-1, 8).T
    return Ended(numbers[0].astype(np.int64), *numbers[1:7], numbers[7].astype(np.bool_))  # type: ignore[call-arg]


def summary(log: Log, only: Collection[int] | None = None) -> Summary:
    """Sums a log up. With `only`, job statistics are those of these jobs (a window without its warm-up)."""
    story = read(log)
    ended = story.ended if only is None else story.ended.only(only)
    some = len(ended.job) > 0
    makespan = story.last - story.first if some else None
    span = story.until - story.first
    capacity = sum(len(node.accelerators) for node in log.nodes)
    failed = int(ended.failed.sum())
    return Summary(
        jobs=story.submitted if only is None else len(only),
        finished=len(ended.job) - failed,
        failed=failed,
        mean_jct=float(ended.jct.mean()) if some else None,
        median_jct=float(np.median(ended.jct)) if some else None,
        p99_jct=float(np.percentile(ended.jct, 99)) if some else None,
        mean_wait=float(ended.wait.mean()) if some else None,
        mean_bounded_slowdown=float(ended.bounded_slowdown.mean()) if some else None,
        makespan=makespan,
        utilization=story.busy / (capacity * span) if some and span and capacity else None,
        preemptions=story.preemptions,
        decisions=story.decisions,
    )


def integral(log: Log, rate: Rate) -> float:
    """The integral of a rate over a log, from its first event on: what an environment with that rate pays in all."""
    cluster, total, started = Cluster(log.nodes, log.tenants), 0.0, False
    for entry in log.entries:
        if isinstance(entry, EVENTS) and started and entry.time > cluster.now:
            total += rate(cluster) * (entry.time - cluster.now)
        follow(cluster, entry)
        started = True
    return total
