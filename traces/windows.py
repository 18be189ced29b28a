"""Parts of a trace by time: what to train on, what to test on, short windows of it, and a hash that names them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import accumulate
from operator import attrgetter

import numpy as np

from .job import Job, Trace
from .trouble import BadInput

PARTS = ("train", "validation", "test")


def split(trace: Trace, fractions: Sequence[float] = (0.6, 0.1, 0.3), gap: float = 0.0) -> tuple[Trace, Trace, Trace]:
    """Parts a trace in order of time, never at random: the bursts of sweeps would leak from one part to another.

    The cuts are by count of jobs, so that a trace's nearly empty weeks do not starve a part. After each cut, jobs
    submitted within `gap` of the last one before it belong to no part. Times are not rebased.

    Args:
        trace: any.
        fractions: of the jobs, for training, validation and test; what is left of 1 at the end is not used.
        gap: seconds after each cut that are left out.

    Raises:
        BadInput: fractions that are no fractions, or a part that would have no job.
    """
    if len(fractions) != len(PARTS) or min(fractions) <= 0 or sum(fractions) > 1 + 1e-9 or not gap >= 0:
        raise BadInput(f"split {tuple(fractions)} with gap {gap}: give three fractions above 0, at most 1 in all")
    ends = [round(share * len(trace)) for share in accumulate(fractions)]
    parts, start, after = [], 0, -math.inf
    for name, end in zip(PARTS, ends, strict=True):
        jobs = [job for job in trace.jobs[start:end] if job.submit >= after]
        if not jobs:
            raise BadInput(f"split of {trace.name!r}: nothing is left to {name}; take more jobs or a shorter gap")
        parts.append(replace(trace.of(jobs), name=f"{trace.name} {name}"))
        start, after = end, jobs[-1].submit + gap
    train, validation, test = parts
    return train, validation, test


def windows(
    trace: Trace,
    jobs: int = 256,
    count: int | None = None,
    rng: np.random.Generator | None = None,
    disjoint: bool = True,
) -> list[Trace]:
    """Runs of consecutive jobs, each rebased to second 0.

    Args:
        trace: any.
        jobs: in each window.
        count: how many windows, evenly spread over the trace, or drawn with `rng`; all disjoint ones if None.
        rng: draws the windows, without putting back.
        disjoint: whether windows begin at multiples of `jobs`; if not, anywhere, and they may overlap.

    Raises:
        BadInput: fewer windows than asked for can be had.
    """
    starts = window_starts(trace, jobs, count, rng, disjoint)
    return [window(trace, start, start + jobs) for start in starts]


def window_starts(
    trace: Trace,
    jobs: int,
    count: int | None = None,
    rng: np.random.Generator | None = None,
    disjoint: bool = True,
) -> list[int]:
    """Where windows begin, positions in the trace's jobs: see `windows`."""
    starts = np.arange(0, len(trace) - jobs + 1, jobs if disjoint else 1) if jobs > 0 else np.arange(0)
    wanted = len(starts) if count is None and disjoint else count
    if wanted is None:
        raise BadInput("windows that may overlap: say how many by count")
    if not 0 < wanted <= len(starts):
        raise BadInput(f"windows: {wanted} of {jobs} jobs each cannot be had of {trace.name!r} with {len(trace)} jobs")
    if rng is None:
        chosen = starts[np.arange(wanted) * len(starts) // wanted]
    else:
        chosen = np.sort(rng.choice(starts, wanted, replace=False))
    found: list[int] = chosen.tolist()
    return found


def window(trace: Trace, start: int, end: int) -> Trace:
    """The jobs from position `start` to before `end`, rebased to second 0, with a name that says which they are."""
    return replace(trace.of(trace.jobs[start:end]).rebased(), name=f"{trace.name}[{start}:{end}]")


def compressed(trace: Trace, factor: float) -> Trace:
    """The same jobs submitted `factor` times as fast, for a load `factor` times as high. Deadlines keep their slack.

    Raises BadInput unless the factor is above 0. Sizing the cluster instead leaves a trace's rhythm of days whole.
    """
    if not 0 < factor < math.inf:
        raise BadInput(f"compression by {factor}: give a number above 0")
    jobs = tuple(_sooner(job, job.submit / factor) for job in trace.jobs)
    past = None if trace.past is None else trace.past.compressed(factor)
    return replace(trace, jobs=jobs, name=f"{trace.name} x{factor:g}", origin=None, past=past)


def _sooner(job: Job, submit: float) -> Job:
    return replace(job, submit=submit, deadline=None if job.deadline is None else job.deadline - job.submit + submit)


_ALL = attrgetter(*(f.name for f in fields(Job) if f.name != "upper"))
"""Fields that every digest has always counted; `upper` counts where a job has one."""


def fingerprint(*traces: Trace) -> str:
    """The sha256 (hex) of all jobs, durations and regimes of these traces in order: equal only for equal work.

    It is the same in every run and on every machine; names, origins and reports do not count.
    """
    digest = hashlib.sha256()
    for trace in traces:
        digest.update(b"trace")
        for job in trace.jobs:
            upper = () if job.upper is None else (job.upper,)
            values = (*_ALL(job), trace.durations[job.id], trace.regimes.get(job.id), *upper)
            digest.update(repr([_plain(value) for value in values]).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _plain(value: object) -> object:
    """Numbers alike however they are held: 1, 1.0 and numpy's."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, str) else float(value)  # type: ignore[arg-type]
