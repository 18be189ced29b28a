"""A job as its user asks for it, and a trace as a recorded history of such asks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING

from .trouble import BadInput

if TYPE_CHECKING:
    from .history import Past
    from .report import LoadReport


@dataclass(frozen=True, slots=True)
class Job:
    """What a user asks for. How long it truly runs is not on it; unknown is None, never a guess.

    Attributes:
        id: unique within its trace.
        submit: seconds since the start of the trace (or of the live session).
        gang: accelerators needed at once, all or nothing; 0 for a CPU-only job.
        share: part of one accelerator in thousandths' precision, (0, 1]; below 1 only with gang 1.
        kinds: acceptable accelerator kinds, any if empty. A gang is placed on one kind.
        cpus: CPU cores for the whole gang.
        host_memory: bytes of host memory for the whole gang.
        estimate: run time as the user (or a predictor) states it, in seconds.
        tenant: who pays: a virtual cluster, a group, a queue.
        user: who submitted.
        priority: larger is more urgent.
        deadline: seconds since the start of the trace.
        preemptible: whether it may be stopped and resumed.
        profile: model family, for worlds that know its speed by accelerator kind.
        name: what the trace or the user calls it.
        command: argument vector, for live worlds only. Never run by a simulator, never given to a shell.
        min_gang: the fewest accelerators that an elastic job can work on; None for its gang.
        max_gang: the most that an elastic job can use; None for its gang.
        memory: bytes of accelerator memory that it needs on each accelerator.
        checkpoint: bytes of its saved state.
        after: ids of the jobs that must have finished before it may start (a pipeline).
        group: the sweep it is a trial of.
        sites: where its data may be; anywhere if empty.
        data: bytes that it reads and that have to be where it runs.
        upper: run time that a predictor expects it to stay below nine times in ten (its p90), in seconds.
    """

    id: int
    submit: float
    gang: int = 1
    share: float = 1.0
    kinds: tuple[str, ...] = ()
    cpus: float | None = None
    host_memory: int | None = None
    estimate: float | None = None
    tenant: str | None = None
    user: str | None = None
    priority: float | None = None
    deadline: float | None = None
    preemptible: bool = True
    profile: str | None = None
    name: str | None = None
    command: tuple[str, ...] = ()
    min_gang: int | None = None
    max_gang: int | None = None
    memory: int | None = None
    checkpoint: int | None = None
    after: tuple[int, ...] = ()
    group: str | None = None
    sites: tuple[str, ...] = ()
    data: int | None = None
    upper: float | None = None

    @property
    def shape(self) -> Shape:
        """What it wants of a cluster: jobs of one shape and tenant can stand where the other can."""
        return (self.gang, self.share, self.kinds, self.cpus, self.host_memory, self.memory, self.sites)


Shape = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs in order of submission, and the truth about their run times, which only simulators read.

    Attributes:
        jobs: sorted by `submit`; equal times keep the order of the source.
        durations: job id -> seconds of work on the accelerators that were asked for.
        name: where it came from, for tables and file names.
        origin: the wall-clock time of second 0 as the source wrote it (naive ISO 8601), if known.
        estimates: how `Job.estimate` came about: "recorded", "none", "exact", "noisy:0.8"; "predicted" if the world in
            which the trace happens is to predict them.
        report: what the loader read, kept, dropped and clamped, if it was loaded.
        regimes: for jobs whose batch size changes while they run, job id -> ((part of its work from which it holds,
            speed relative to the job's first regime), ...), ascending from part 0. The duration is that of all regimes.
        past: what was there before, for predictors; windows and parts of a trace share it.
    """

    jobs: tuple[Job, ...]
    durations: Mapping[int, float]
    name: str = ""
    origin: str | None = None
    estimates: str = "recorded"
    report: LoadReport | None = field(default=None, compare=False, repr=False)
    regimes: Mapping[int, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    past: Past | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Raises BadInput if the jobs are not a trace: unsorted, repeated ids, impossible numbers, rings of `after`."""
        last = 0.0
        for job in self.jobs:
            if not last <= job.submit < math.inf:
                why = "out of order, negative or not finite"
                raise BadInput(f"trace {self.name!r}: job {job.id} is submitted at {job.submit}, {why}")
            last = job.submit
            _check(job, self.durations.get(job.id), self.name)
        if len(self.durations) != len(self.jobs):
            raise BadInput(
                f"trace {self.name!r}: {len(self.jobs)} jobs but {len(self.durations)} durations; is an id said twice?"
            )
        for number, regimes in self.regimes.items():
            if number not in self.durations:
                raise BadInput(f"trace {self.name!r}: there are regimes of job {number}, but no such job")
            _check_regimes(number, regimes, self.name)
        _check_order(self.jobs, self.name)

    def __len__(self) -> int:
        return len(self.jobs)

    @property
    def span(self) -> float:
        """Seconds from the first submission to the last."""
        return self.jobs[-1].submit - self.jobs[0].submit if self.jobs else 0.0

    @property
    def work(self) -> float:
        """Accelerator-seconds of work in all jobs (a share counts as its part)."""
        return sum(self.durations[j.id] * j.gang * j.share for j in self.jobs)

    def first(self, count: int) -> Trace:
        """The first `count` jobs."""
        return self.of(self.jobs[:count])

    def of(self, jobs: Iterable[Job]) -> Trace:
        """The same trace with these of its jobs alone."""
        kept = tuple(jobs)
        regimes = {j.id: self.regimes[j.id] for j in kept if j.id in self.regimes} if self.regimes else {}
        return replace(self, jobs=kept, durations={j.id: self.durations[j.id] for j in kept}, regimes=regimes)

    def rebased(self) -> Trace:
        """The same jobs with second 0 at the first submission. `origin` is forgotten: it was another second 0's."""
        if not self.jobs or self.jobs[0].submit == 0:
            return self
        start = self.jobs[0].submit
        jobs = tuple(replace(j, submit=j.submit - start, deadline=_less(j.deadline, start)) for j in self.jobs)
        past = None if self.past is None else self.past.rebased(start)
        return replace(self, jobs=jobs, origin=None, past=past)


def _less(value: float | None, start: float) -> float | None:
    return None if value is None else value - start


def _check(job: Job, duration: float | None, name: str) -> None:
    if duration is None or not 0 <= duration < math.inf:
        raise BadInput(f"trace {name!r}: job {job.id} has no finite, non-negative duration ({duration})")
    if job.gang < 0 or not 0 < job.share <= 1 or (job.share < 1 and job.gang != 1):
        raise BadInput(f"trace {name!r}: job {job.id} asks for gang {job.gang} with share {job.share}")
    if not 1 <= (job.min_gang or 1) <= (job.max_gang or max(job.gang, 1)) or not (job.min_gang or 0) <= job.gang:
        raise BadInput(
            f"trace {name!r}: job {job.id} has gang {job.gang} outside its bounds {job.min_gang} to {job.max_gang}"
        )
    if job.max_gang is not None and job.gang > job.max_gang:
        raise BadInput(f"trace {name!r}: job {job.id} has gang {job.gang}, above its max_gang {job.max_gang}")
    if job.id in job.after:
        raise BadInput(f"trace {name!r}: job {job.id} comes after itself")
    if job.estimate is not None and not 0 <= job.estimate < math.inf:
        raise BadInput(f"trace {name!r}: job {job.id} has the estimate {job.estimate}")
    if job.upper is not None and not 0 <= job.upper < math.inf:
        raise BadInput(f"trace {name!r}: job {job.id} has the upper estimate {job.upper}")


def _check_regimes(job: int, regimes: tuple[tuple[float, float], ...], name: str) -> None:
    parts = [part for part, _ in regimes]
    ascending = all(before < after for before, after in pairwise((*parts, 1.0)))
    if not regimes or parts[0] != 0 or not ascending or not all(0 < speed < math.inf for _, speed in regimes):
        why = "parts ascend from 0 and stay below 1, speeds are above 0"
        raise BadInput(f"trace {name!r}: job {job} has the regimes {regimes!r:.80}; {why}")


def _check_order(jobs: Iterable[Job], name: str) -> None:
    try:
        TopologicalSorter({job.id: job.after for job in jobs if job.after}).prepare()
    except CycleError as error:
        ring = ", ".join(str(job) for job in error.args[1])
        raise BadInput(f"trace {name!r}: jobs come after each other in a ring: {ring[:80]}") from None
