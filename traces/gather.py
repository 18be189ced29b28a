"""The last step of every loader: what was read becomes a trace in order of submission, and the report says how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from .job import Job, Trace
from .report import LoadReport
from .trouble import BadInput


def gather(
    report: LoadReport, jobs: list[Job], durations: dict[int, float], name: str, origin: str | None = None
) -> Trace:
    """Makes the trace: jobs sorted by submission, equal times in the order of the source, nothing thrown away.

    Notes in the report rows out of order, duplicates (alike in all but their id), CPU-only jobs, zero run times and
    jobs that ask for more than the source's machine has. Raises BadInput when no row became a job.
    """
    report.jobs = len(jobs)
    if not jobs:
        why = ", ".join(f"{n:,} {reason}" for reason, n in report.dropped.items()) or "it holds no data rows"
        raise BadInput(f"{report.path}: no row became a job ({why}); is it the right file?")
    tell(report, jobs, durations)
    if most := report.facts.get("processors"):
        report.note(f"jobs larger than the machine's {most} processors", sum(j.gang > int(most) for j in jobs))
    in_order = tuple(sorted(jobs, key=lambda job: job.submit))
    estimates = "recorded" if any(j.estimate is not None for j in jobs) else "none"
    return Trace(in_order, durations, name, origin, estimates, report)


def tell(report: LoadReport, jobs: Sequence[Job], durations: Mapping[int, float]) -> None:
    """Notes what every load tells of its jobs, in the order of the source."""
    report.note("rows out of order (sorted by submission)", sum(b.submit < a.submit for a, b in pairwise(jobs)))
    report.note("duplicates of an earlier job (kept)", repeated(jobs, durations))
    report.note("CPU-only jobs", sum(j.gang == 0 for j in jobs))
    report.note("zero run times (kept)", sum(d == 0 for d in durations.values()))


def repeated(jobs: Sequence[Job], durations: Mapping[int, float]) -> int:
    """How many jobs are alike an earlier one in time, shape, tenant, user, name, profile and run time."""
    seen: set[object] = set()
    for job in jobs:
        seen.add((job.submit, durations[job.id], job.shape, job.tenant, job.user, job.name, job.profile))
    return len(jobs) - len(seen)


def stem(path: str) -> str:
    """A file's name without folders and without .gz, .csv, .swf, .trace, .parquet."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    for end in (".gz", ".csv", ".swf", ".trace", ".parquet"):
        name = name.removesuffix(end)
    return name or path
