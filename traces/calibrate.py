"""Reads the numbers of a synthetic preset off a real trace, so that `synthetic.generate` can make more like it.

Jobs of one tenant and gang that follow each other within `TOGETHER` seconds are one burst. Bursts are sorted by size
into single jobs, handfuls, sweeps and large sweeps, because their rhythm, gaps and run times differ. Rates are those of
bursts, which are far smoother than those of jobs.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .job import Trace
from .trouble import BadInput

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOGETHER = 60.0
"""Most seconds between two jobs of a burst: 88 % of Philly's gaps up to 60 s join like jobs, 25 % of those to 300 s."""
KINDS = {"single": (1, 1), "handful": (2, 9), "sweep": (10, 99), "large sweep": (100, 10**9)}
CLASSES = (0, 1, 2, 3, 5, 9, 17)
"""Gangs from each of these up to the next share one distribution of run times."""
PARTS = {1000: 3, 100: 2, 20: 1}
"""Jobs from which on so many lognormals are fitted; with fewer jobs, those of all kinds are taken together."""
DOUBT = 5.0
"""Bursts as the mean would have them that are added to each hour's or day's count, so that few bursts do not say much
of their rhythm."""
ENOUGH = 200
"""Bursts of a kind from which on their noise is read off them alone; fewer are taken with those a tenth of the size."""
POINTS = 2000
"""Quantiles that stand for a larger sample in a fit."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Like jobs that came together: seconds of their submissions, and run times."""

    tenant: str | None
    gang: int
    times: Floats
    durations: Floats


def calibrate(trace: Trace) -> dict[str, Any]:
    """The preset of a trace: rates by hour, noise, and for each kind of burst its share, sizes, gaps and run times.

    The trace's second 0 is taken for midnight on a Monday unless `trace.origin` says otherwise. Times without arrivals
    are not told from quiet hours: leave long holes out of the trace, and put them into "holes" by hand. Shares, kinds,
    CPUs and memory are not read. Raises BadInput on less than a week or than 500 jobs.
    """
    if len(trace) < 500 or trace.span < 7 * 86400:
        raise BadInput(f"trace {trace.name!r}: a week and 500 jobs are needed to calibrate a generator")
    bursts, phase = find_bursts(trace), _phase(trace)
    first, last = (int((job.submit + phase) // 3600) for job in (trace.jobs[0], trace.jobs[-1]))
    clock = np.arange(first, last + 1)
    pooled = _durations(bursts, {})
    kinds = [_kind(name, bursts, phase, clock, pooled) for name in KINDS]
    everyone = _rate(np.array([b.times[0] for b in bursts]) + phase, clock)
    return {
        "resolution": 1.0,
        "noise_rho": everyone["noise"][0],
        "holes": {"every_hours": 0, "mean_hours": 0},
        "bursts": [kind for kind in kinds if kind],
    }


def find_bursts(trace: Trace) -> list[Burst]:
    """The bursts of a trace, in no particular order."""
    alike: dict[tuple[str | None, int], list[tuple[float, float]]] = defaultdict(list)
    for job in trace.jobs:
        alike[job.tenant, job.gang].append((job.submit, trace.durations[job.id]))
    bursts = []
    for (tenant, gang), pairs in alike.items():
        times, durations = np.array(pairs).T
        cuts = np.flatnonzero(np.diff(times) > TOGETHER) + 1
        parts = zip(np.split(times, cuts), np.split(durations, cuts), strict=True)
        bursts += [Burst(tenant, gang, t, np.maximum(d, 1.0)) for t, d in parts]
    return bursts


def _phase(trace: Trace) -> float:
    """Seconds from the Monday midnight before second 0 to second 0."""
    if not trace.origin:
        return 0.0
    zero = datetime.fromisoformat(trace.origin)
    return ((zero.weekday() * 24 + zero.hour) * 60 + zero.minute) * 60.0 + zero.second


def _rate(starts: Floats, clock: Ints) -> dict[str, Any]:
    """Bursts an hour: mean, multipliers by hour of the day and day of the week, and the noise on top."""
    counts = np.bincount((starts // 3600).astype(int) - clock[0], minlength=len(clock)).astype(float)
    mean = float(counts.mean())
    of_day = _multipliers(counts, clock % 24, 24)
    of_week = _multipliers(counts, clock // 24 % 7, 7)
    return {
        "per_hour": round(mean, 4),
        "hour_of_day": of_day.round(3).tolist(),
        "day_of_week": of_week.round(3).tolist(),
        "noise": _noise(counts, of_day[clock % 24] * of_week[clock // 24 % 7]),
    }


def _multipliers(counts: Floats, phase: Ints, phases: int) -> Floats:
    seen = np.bincount(phase, counts, phases)
    expected = np.bincount(phase, minlength=phases) * counts.mean()
    multipliers: Floats = (seen + DOUBT) / (expected + DOUBT)
    multipliers /= multipliers.mean()
    return multipliers


def _noise(counts: Floats, season: Floats) -> tuple[float, float]:
    """Lag-1 correlation and standard deviation of the log rate's noise, by moments of Poisson counts.

    With rate = m s exp(x - sd^2/2) and x an AR(1): Cov(N/s at lag k) = m^2 (exp(sd^2 rho^k) - 1), Poisson noise apart.
    """
    relative = counts / np.maximum(season, 1e-9)
    mean = relative.mean()
    centred = relative - mean
    lags = range(1, 13)
    covariances = [float((centred[:-k] * centred[k:]).mean()) / mean**2 for k in lags]
    logs = [math.log1p(c) for c in covariances if c > 0]
    if len(logs) < 3:
        return 0.0, round(math.sqrt(logs[0]), 3) if logs else 0.0
    slope, intercept = np.polyfit(np.arange(1, len(logs) + 1), np.log(logs), 1)
    return round(min(0.999, math.exp(slope)), 3), round(math.sqrt(math.exp(intercept)), 3)


def _kind(name: str, bursts: list[Burst], phase: float, clock: Ints, pooled: dict[str, Any]) -> dict[str, Any] | None:
    least, most = KINDS[name]
    mine = [b for b in bursts if least <= len(b.times) <= most]
    if not mine:
        return None
    jobs = Counter((b.tenant, b.gang) for b in mine)
    rate = _rate(np.array([b.times[0] for b in mine]) + phase, clock)
    like = mine if len(mine) >= ENOUGH else [b for b in bursts if least // 10 <= len(b.times) <= most]
    noise = _rate(np.array([b.times[0] for b in like]) + phase, clock)["noise"]
    return {
        "kind": name,
        **{key: value for key, value in rate.items() if key != "noise"},
        "noise_sd": noise[1],
        "least": least,
        "mean": round(float(np.mean([len(b.times) for b in mine])), 2),
        "gap": _gap(mine),
        "likeness": _likeness(mine),
        "of": [[tenant, gang, n] for (tenant, gang), n in sorted(jobs.items(), key=lambda item: -item[1])],
        "durations": _durations(mine, pooled),
    }


def _gap(bursts: list[Burst]) -> dict[str, float]:
    """Median and log-sd, over bursts, of a burst's mean gap in seconds."""
    means = [max(0.1, float(np.diff(b.times).mean())) for b in bursts if len(b.times) > 1]
    if not means:
        return {"median": 0.0, "sigma": 0.0}
    return {"median": round(float(np.median(means)), 2), "sigma": round(float(np.log(means).std()), 2)}


def _likeness(bursts: list[Burst]) -> float:
    """The part of the variance of log run times that lies between bursts rather than within."""
    several = [np.log(b.durations) for b in bursts if len(b.durations) > 1]
    if len(several) < 2:
        return 0.0
    within = sum(((x - x.mean()) ** 2).sum() for x in several) / sum(len(x) - 1 for x in several)
    return round(float(max(0.0, 1 - within / np.concatenate(several).var())), 2)


def _durations(bursts: list[Burst], pooled: dict[str, Any]) -> dict[str, Any]:
    """Smallest gang of a class -> the mixture of two lognormals of its run times, and the longest seen."""
    mixtures = {}
    for low, high in zip(CLASSES, (*CLASSES[1:], 10**9), strict=True):
        seen = [b.durations for b in bursts if low <= b.gang < high]
        if not seen:
            continue
        durations = np.concatenate(seen)
        parts = next((parts for least, parts in PARTS.items() if len(durations) >= least), 0)
        if not parts and str(low) in pooled:
            mixtures[str(low)] = pooled[str(low)]
        else:
            fit = _mixture(np.log(durations), max(parts, 1))
            mixtures[str(low)] = {"longest": float(durations.max()), "lognormals": fit}
    return mixtures


def _mixture(logs: Floats, parts: int, rounds: int = 500) -> list[list[float]]:
    """Weights, means and standard deviations of `parts` normals in `logs`, by expectation-maximisation."""
    if len(logs) > POINTS:
        logs = np.quantile(logs, (np.arange(POINTS) + 0.5) / POINTS)
    edges = np.quantile(logs, (np.arange(parts) + 0.5) / parts)
    weights, means, sds = np.full(parts, 1 / parts), edges, np.full(parts, logs.std() + 0.05)
    for _ in range(rounds):
        density = weights * np.exp(-0.5 * ((logs[:, None] - means) / sds) ** 2) / sds
        duty = density / np.maximum(density.sum(1, keepdims=True), 1e-300)
        mass = duty.sum(0) + 1e-9
        weights, means = mass / mass.sum(), (duty * logs[:, None]).sum(0) / mass
        sds = np.maximum(0.05, np.sqrt((duty * (logs[:, None] - means) ** 2).sum(0) / mass))
    fit = np.column_stack([weights, means, sds]).round(4)
    return [list(map(float, row)) for row in fit]
