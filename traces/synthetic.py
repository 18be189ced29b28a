"""Synthetic traces: bursts of like jobs whose rate follows hours, days and chance, with numbers read off a real trace.

Bursts of each kind (single jobs, handfuls, sweeps) arrive as a doubly stochastic Poisson process: each hour's rate is a
base x day of the week x hour of the day x exp(AR(1) noise), corrected to keep its mean; the noise is one for all kinds,
since busy hours are busy for all, but larger for sweeps. A burst is a number of jobs (geometric) of one tenant and gang
whose run times resemble each other; each follows a mixture of lognormals by gang, cut at the longest one seen. The
numbers, where they come from and when, stand in `calibration.json`; `calibrate.py` reads them off a trace. Second 0 is
a Monday, midnight.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .enrich import OPTIONS, enriched
from .job import Job, Trace
from .trouble import BadInput, nearest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR = 3600.0
OVERRIDES = ("rate", "longest", "largest", "holes")
_SCORES = np.linspace(-8.0, 8.0, 4001)
_NORMAL = np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in _SCORES.tolist()])


def generate(preset: str, jobs: int | None = None, seed: int = 0, **overrides: float) -> Trace:
    """Makes a trace. The same arguments make the same trace; there are no estimates in it.

    Args:
        preset: "philly" (like that trace), "sweeps" (bursts of short trials), "lab" (a few people, one server of 8), or
            the path of a JSON file that `calibrate` made.
        jobs: how many; the preset's own number if None.
        seed: of all that is drawn.
        **overrides: `rate` multiplies the bursts an hour; `longest` cuts run times at so many seconds instead of at the
            longest the preset has seen (the tails are so heavy that a mean hardly exists); `largest` leaves out gangs
            above it; `holes=0` leaves out the days without arrivals. Those of `enrich.enriched` make the jobs richer.

    Raises:
        BadInput: an unknown preset or option, or a number that cannot be.
    """
    numbers = preset_named(preset)
    richer = {key: overrides.pop(key) for key in OPTIONS if key in overrides}
    for key, value in overrides.items():
        if key not in OVERRIDES:
            raise BadInput(
                f"synthetic:{preset}: no option '{key}'.{nearest(key, ['jobs', 'seed', *OVERRIDES, *OPTIONS])}"
            )
        if not 0 <= value < math.inf or (value == 0 and key != "holes"):
            raise BadInput(f"synthetic:{preset}: {key}={value:g} cannot be; give a number above 0")
    count = int(numbers["jobs"]) if jobs is None else jobs
    if count < 1:
        raise BadInput(f"synthetic:{preset}: jobs={count}: give 1 or more")
    try:
        plain = _generate(numbers, count, seed, overrides, name=f"synthetic {Path(preset).stem} seed {seed}")
    except (KeyError, TypeError, IndexError) as error:
        raise BadInput(f"synthetic:{preset}: the preset lacks or garbles {error}; calibrate it anew") from None
    return enriched(plain, seed, **richer)


@cache
def presets() -> dict[str, dict[str, Any]]:
    """Name -> numbers of every preset in `calibration.json`, each with its `about`, `source` and `date`."""
    text = Path(__file__).with_name("calibration.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)["presets"]
    return found


def preset_named(name: str) -> dict[str, Any]:
    """The numbers of a preset, or of a JSON file that `calibrate` made. Raises BadInput."""
    if not name.endswith(".json"):
        if name not in presets():
            raise BadInput(f"synthetic:{name}: there is no such preset.{nearest(name, list(presets()))}")
        return presets()[name]
    try:
        numbers = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"synthetic:{name}: cannot be read as JSON ({error})") from None
    if not isinstance(numbers, dict) or "bursts" not in numbers:
        raise BadInput(f"synthetic:{name}: is no preset; make one with: gpuyard traces calibrate")
    return {"jobs": 10_000, **numbers}


@dataclass(frozen=True, slots=True)
class _Jobs:
    """Columns of jobs in order of submission. Tenants are indexes into a list of names."""

    submit: Floats
    gang: Ints
    tenant: Ints
    duration: Floats

    def first(self, count: int) -> _Jobs:
        return _Jobs(self.submit[:count], self.gang[:count], self.tenant[:count], self.duration[:count])


def _generate(numbers: Mapping[str, Any], count: int, seed: int, overrides: Mapping[str, float], name: str) -> Trace:
    kinds = _kinds(numbers["bursts"], overrides.get("rate", 1.0), overrides.get("largest", math.inf))
    tenants = sorted({str(t) for kind in kinds for t, _, _ in kind["of"] if t is not None})
    holes = numbers["holes"] if overrides.get("holes", 1) else {"every_hours": 0}
    hours = math.ceil(1.2 * count / sum(kind["per_hour"] * kind["mean"] for kind in kinds)) + 168
    while True:
        rng = np.random.default_rng(seed)
        noise = np.where(quiet_hours(holes, hours, rng), -np.inf, _noise(numbers["noise_rho"], hours, rng))
        longest = overrides.get("longest", math.inf)
        parts = [_burst_jobs(kind, _arrivals(kind, noise, rng), tenants, longest, rng) for kind in kinds]
        made = _in_order(parts, numbers["resolution"])
        if len(made.submit) >= count:
            return _trace(made.first(count), [*tenants, None], name)
        hours *= 2


def _kinds(bursts: Sequence[Mapping[str, Any]], rate: float, largest: float) -> list[Mapping[str, Any]]:
    """The kinds of bursts with gangs of at most `largest`; the rate of what is left out goes to what is left."""
    kinds: list[Mapping[str, Any]] = []
    for kind in bursts:
        of = [cell for cell in kind["of"] if cell[1] <= largest]
        part = sum(weight for *_, weight in of) / sum(weight for *_, weight in kind["of"])
        if of:
            kinds.append({**kind, "of": of, "per_hour": kind["per_hour"] * part})
    if not kinds:
        raise BadInput(f"largest={largest:g}: the preset has no gang as small; give more")
    scale = rate * sum(kind["per_hour"] for kind in bursts) / sum(kind["per_hour"] for kind in kinds)
    return [{**kind, "per_hour": kind["per_hour"] * scale} for kind in kinds]


def _noise(rho: float, hours: int, rng: np.random.Generator) -> Floats:
    """A stationary AR(1) series of variance 1."""
    shocks = rng.normal(0.0, math.sqrt(1 - rho * rho), hours)
    shocks[0] = rng.normal()
    return np.fromiter(accumulate(shocks.tolist(), lambda last, shock: rho * last + shock), float, hours)


def _arrivals(kind: Mapping[str, Any], noise: Floats, rng: np.random.Generator) -> Floats:
    """Seconds at which bursts of a kind begin, in order; none where the noise is minus infinity."""
    clock, sd = np.arange(len(noise)), kind["noise_sd"]
    season = np.array(kind["hour_of_day"])[clock % 24] * np.array(kind["day_of_week"])[clock // 24 % 7]
    swing = np.exp(np.where(np.isinf(noise), -np.inf, sd * noise - sd * sd / 2))
    counts = rng.poisson(kind["per_hour"] * season / season[:168].mean() * swing)
    return np.sort((np.repeat(clock, counts) + rng.random(int(counts.sum()))) * HOUR)


def quiet_hours(holes: Mapping[str, float], hours: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which hours have no arrivals at all: such times begin at random and last exponentially."""
    quiet = np.zeros(hours, bool)
    if holes["every_hours"]:
        for begin in np.flatnonzero(rng.random(hours) < 1 / holes["every_hours"]).tolist():
            quiet[begin : begin + round(rng.exponential(holes["mean_hours"]))] = True
    return quiet


def _burst_jobs(
    kind: Mapping[str, Any], starts: Floats, tenants: Sequence[str], longest: float, rng: np.random.Generator
) -> _Jobs:
    """All jobs of all bursts of one kind, burst after burst."""
    bursts = len(starts)
    sizes = kind["least"] - 1 + rng.geometric(1 / (kind["mean"] - kind["least"] + 1), bursts)
    burst = np.repeat(np.arange(bursts), sizes)
    weights = np.array([weight for *_, weight in kind["of"]], float)
    cell = rng.choice(len(weights), bursts, p=weights / weights.sum())[burst]
    gaps = (
        rng.exponential(1.0, len(burst))
        * rng.lognormal(_log(kind["gap"]["median"]), kind["gap"]["sigma"], bursts)[burst]
    )
    since = np.cumsum(gaps)
    since -= since[np.cumsum(sizes) - sizes][burst]
    like = kind["likeness"]
    score = math.sqrt(like) * rng.normal(size=bursts)[burst] + math.sqrt(1 - like) * rng.normal(size=len(burst))
    gang = np.array([gang for _, gang, _ in kind["of"]])[cell]
    payer = np.array([tenants.index(t) if t is not None else len(tenants) for t, *_ in kind["of"]])[cell]
    return _Jobs(starts[burst] + since, gang, payer, _run_times(kind["durations"], gang, score, longest))


def _in_order(parts: Sequence[_Jobs], grain: float) -> _Jobs:
    """All jobs by submission; times and run times in whole multiples of `grain` seconds, no run time of zero."""
    submit = np.concatenate([part.submit for part in parts])
    order = np.argsort(submit, kind="stable")
    duration = np.concatenate([part.duration for part in parts])[order]
    return _Jobs(
        np.floor(submit[order] / grain) * grain,
        np.concatenate([part.gang for part in parts])[order],
        np.concatenate([part.tenant for part in parts])[order],
        np.maximum(np.round(duration / grain), 1.0) * grain,
    )


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _run_times(mixtures: Mapping[str, Any], gang: Ints, score: Floats, longest: float) -> Floats:
    """Turns normal scores into run times, so that whatever the scores' correlation each gang keeps its distribution."""
    lows = sorted(map(int, mixtures))
    run = np.empty(len(gang))
    index = np.maximum(np.searchsorted(lows, gang, side="right") - 1, 0)
    for position, low in enumerate(lows):
        of_class = index == position
        logs = _log_quantiles(mixtures[str(low)], longest)
        run[of_class] = np.exp(np.interp(score[of_class], _SCORES, logs))
    return run


def _log_quantiles(mixture: Mapping[str, Any], longest: float) -> Floats:
    """ln(run time) at each of `_SCORES`: the mixture cut at the longest run time, inverted on a fine grid."""
    parts = np.array(mixture["lognormals"])
    top = math.log(min(mixture["longest"], longest))
    grid = np.linspace(min(0.0, top - 1.0), top, 4001)
    scores = (grid[:, None] - parts[:, 1]) / parts[:, 2]
    below = (np.interp(scores, _SCORES, _NORMAL) * parts[:, 0]).sum(1)
    below = np.maximum.accumulate(below / below[-1])
    logs: Floats = np.interp(_NORMAL, below, grid)
    return logs


def _trace(made: _Jobs, tenants: Sequence[str | None], name: str) -> Trace:
    columns = zip(made.submit.tolist(), made.gang.tolist(), made.tenant.tolist(), strict=True)
    jobs = tuple(
        Job(number, submit, gang, 1.0, (), None, None, None, tenants[tenant])
        for number, (submit, gang, tenant) in enumerate(columns, 1)
    )
    return Trace(jobs, dict(enumerate(made.duration.tolist(), 1)), name, None, "none")
