"""What a trace is like: its size, rhythm, burstiness, run times and who submits how much."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from .gather import repeated
from .job import Trace

Floats = NDArray[np.float64]

HOUR = 3600.0
CLASSES = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 10**9))
QUANTILES = (0.1, 0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class RunTimes:
    """Run times of the jobs of one class of gangs.

    Attributes:
        gangs: "1", "3-4", "17+"; "0 (CPU)" for jobs without accelerators; "all".
        jobs: how many.
        mean: seconds.
        quantiles: seconds, at `QUANTILES`.
        work: the part of all accelerator-seconds.
    """

    gangs: str
    jobs: int
    mean: float
    quantiles: tuple[float, ...]
    work: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A trace in numbers. None where it is too short to say.

    Attributes:
        name: of the trace.
        origin: the wall-clock time of second 0, if known.
        estimates: how they came about.
        jobs: how many.
        span: seconds from the first submission to the last.
        run_times: by class of gangs, and of all jobs at the end.
        gangs: accelerators asked for -> jobs.
        hourly: mean jobs submitted in an hour.
        dispersion: variance / mean of the hourly counts; 1 if jobs came independently.
        log_rate_sd: standard deviation of ln(count + 1/2) over hours.
        log_rate_ar1: its correlation from hour to hour.
        empty_hours: the part of hours without a submission.
        gap_mean: seconds between submissions.
        gap_cv: their standard deviation / mean.
        together: the part of jobs submitted within 1 s of the one before.
        tenants: how many, unknown ones apart.
        gini_jobs: inequality of tenants by jobs, 0 to 1.
        gini_work: inequality of tenants by accelerator time.
        load: accelerators that would be busy on average if no job waited: work / span.
        peak: most accelerators ever wanted at once if no job waited.
        duplicates: jobs alike an earlier one in all but their id.
        fractional: jobs that ask for part of an accelerator.
        cpu_only: jobs that ask for none.
    """

    name: str
    origin: str | None
    estimates: str
    jobs: int
    span: float
    run_times: tuple[RunTimes, ...]
    gangs: dict[int, int]
    hourly: float | None
    dispersion: float | None
    log_rate_sd: float | None
    log_rate_ar1: float | None
    empty_hours: float | None
    gap_mean: float | None
    gap_cv: float | None
    together: float | None
    tenants: int
    gini_jobs: float | None
    gini_work: float | None
    load: float | None
    peak: float
    duplicates: int
    fractional: int
    cpu_only: int

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return asdict(self)


def describe(trace: Trace) -> Summary:
    """Says what a trace is like."""
    submit = np.array([job.submit for job in trace.jobs])
    durations = np.array([trace.durations[job.id] for job in trace.jobs])
    gang = np.array([job.gang for job in trace.jobs], int)
    wanted = gang * np.array([job.share for job in trace.jobs])
    gaps, counts = np.diff(submit), hourly(submit)
    logs = np.log(counts + 0.5)
    tenant_jobs, tenant_work = _by_tenant(trace)
    long = len(counts) >= 3
    return Summary(
        name=trace.name,
        origin=trace.origin,
        estimates=trace.estimates,
        jobs=len(trace),
        span=trace.span,
        run_times=run_times(gang, durations, wanted),
        gangs=dict(sorted(Counter(gang.tolist()).items())),
        hourly=float(counts.mean()) if long else None,
        dispersion=float(counts.var() / counts.mean()) if long else None,
        log_rate_sd=float(logs.std()) if long else None,
        log_rate_ar1=correlation(logs, 1) if long else None,
        empty_hours=float((counts == 0).mean()) if long else None,
        gap_mean=float(gaps.mean()) if len(gaps) else None,
        gap_cv=float(gaps.std() / gaps.mean()) if len(gaps) and gaps.mean() else None,
        together=float((gaps <= 1).mean()) if len(gaps) else None,
        tenants=len(tenant_jobs),
        gini_jobs=gini(tenant_jobs),
        gini_work=gini(tenant_work),
        load=trace.work / trace.span if trace.span else None,
        peak=_peak(submit, durations, wanted),
        duplicates=repeated(trace.jobs, trace.durations),
        fractional=sum(job.share < 1 for job in trace.jobs),
        cpu_only=int((gang == 0).sum()),
    )


def hourly(submit: Floats) -> Floats:
    """Jobs in each whole hour of the trace's own clock, from the first submission's hour to the last one's."""
    hours = (submit // HOUR).astype(int)
    return np.bincount(hours - hours.min()).astype(float) if len(hours) else np.zeros(0)


def correlation(series: Floats, lag: int) -> float | None:
    """The autocorrelation of a series at a lag, None where it does not vary or is too short."""
    centred = series - series.mean()
    if len(series) <= lag or not centred.any():
        return None
    return float((centred[:-lag] * centred[lag:]).mean() / centred.var())


def gini(amounts: Sequence[float]) -> float | None:
    """The Gini coefficient of non-negative amounts: 0 if all are equal, near 1 if one has all. None if all are 0."""
    ordered = np.sort(np.array(amounts, float))
    if not ordered.sum():
        return None
    ranks = np.arange(1, len(ordered) + 1)
    return float((2 * ranks - len(ordered) - 1) @ ordered / (len(ordered) * ordered.sum()))


def run_times(gang: NDArray[np.int64], durations: Floats, wanted: Floats) -> tuple[RunTimes, ...]:
    """Run times by class of gangs, and of all jobs at the end."""
    work = durations * wanted
    whole = float(work.sum()) or 1.0
    classes = [(title(low, high), (gang >= low) & (gang <= high)) for low, high in CLASSES]
    found = []
    for name, inside in [*classes, ("all", np.ones(len(gang), bool))]:
        if inside.any():
            quantiles = tuple(np.quantile(durations[inside], QUANTILES).tolist())
            share = float(work[inside].sum()) / whole
            found.append(RunTimes(name, int(inside.sum()), float(durations[inside].mean()), quantiles, share))
    return tuple(found)


def title(low: int, high: int) -> str:
    """A class of gangs in words: "1", "3-4", "17+"."""
    if high == 0:
        return "0 (CPU)"
    if low == high:
        return str(low)
    return f"{low}+" if high == CLASSES[-1][1] else f"{low}-{high}"


def _peak(submit: Floats, durations: Floats, wanted: Floats) -> float:
    """Most accelerators at once if no job waited; one that ends makes room for one that begins."""
    times = np.concatenate([submit + durations, submit])
    steps = np.concatenate([-wanted, wanted])
    order = np.lexsort((steps, times))
    return float(max(0.0, np.cumsum(steps[order]).max(initial=0.0)))


def _by_tenant(trace: Trace) -> tuple[list[float], list[float]]:
    """Jobs and accelerator-seconds of each known tenant."""
    jobs: Counter[str] = Counter()
    work: defaultdict[str, float] = defaultdict(float)
    for job in trace.jobs:
        if job.tenant is not None:
            jobs[job.tenant] += 1
            work[job.tenant] += trace.durations[job.id] * job.gang * job.share
    return [float(n) for n in jobs.values()], list(work.values())
