"""Richer jobs: what recorded and synthetic traces do not say of their jobs, drawn from what others measured.

Each option is a part from 0 to 1 and writes its own fields, by chance of its own: switching one on changes nothing that
another one writes, and a larger part changes all jobs that a smaller one changes. `profiles` and `modern` write the
same field, so a trace takes one of them. Run times, submissions and gangs stay as they are. Jobs of one tenant and
gang that follow each other within `TOGETHER` seconds are one burst: a user's like jobs. The numbers, and where they
come from, stand in `enrich.toml`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .calibrate import TOGETHER
from .data import beside
from .job import Job, Trace
from .trouble import BadInput, nearest

SWEEP = 10
"""Jobs from which on a burst may be a sweep, as in `calibrate.KINDS`."""

HOME = "home"
"""The site that `sites` names: data are at home, and those that may not leave stay there."""

Floats = NDArray[np.float64]


def enriched(trace: Trace, seed: int = 0, **parts: float) -> Trace:
    """The same jobs with more to them. The same arguments make the same trace; without parts it is the trace itself.

    Args:
        trace: any. What an option writes, it overwrites.
        seed: of all that is drawn.
        **parts: which part, from 0 to 1, gets what. `profiles`: of bursts, a model family; some were measured on K80,
            P100 and V100 alone. `modern`: the same of families that were measured on recent kinds too (A100, H100,
            H200, B200 and others). `elastic`: of bursts of gangs, a `min_gang` and a `max_gang`, powers of two away,
            `max_gang` at most the trace's largest gang. `pipelines`: of bursts that follow a wider job of their tenant
            within a day, come `after` the last such job (wide pre-training, then narrow fine-tuning). `deadlines`: of
            jobs, a deadline some multiple of their run time after their submission. `fractions`: of jobs of one
            accelerator at most, a `share` of it. `sweeps`: of bursts of 10 jobs or more, a `group`. `data`: of bursts,
            bytes of `data` that they read. `sites`: of bursts, data that may not leave the site that is called "home".
            `regimes`: of bursts, `Trace.regimes`: a batch size that changes on the way.

    Raises:
        BadInput: an unknown option, a part that is not from 0 to 1, or both `profiles` and `modern`.
    """
    for key, part in parts.items():
        if key not in OPTIONS:
            raise BadInput(f"trace {trace.name!r}: no option '{key}'.{nearest(key, list(OPTIONS))}")
        if not 0 <= part <= 1:
            raise BadInput(f"trace {trace.name!r}: {key}={part:g} cannot be; give a part from 0 to 1")
    wanted = {key: parts[key] for key in OPTIONS if parts.get(key)}
    if not wanted:
        return trace
    if "profiles" in wanted and "modern" in wanted:
        raise BadInput(f"trace {trace.name!r}: profiles and modern both say which families there are; give one of them")
    bursts, changes = _bursts(trace), [dict[str, Any]() for _ in trace.jobs]
    for key, part in wanted.items():
        rng = np.random.default_rng([seed, *key.encode()])
        for position, change in OPTIONS[key](_Draw(trace, bursts, part, rng)):
            changes[position] |= change
    both = list(zip(trace.jobs, changes, strict=True))
    regimes = {**trace.regimes, **{job.id: change.pop("regimes") for job, change in both if "regimes" in change}}
    jobs = tuple(replace(job, **change) if change else job for job, change in both)
    label = ",".join(f"{key}={part:g}" for key, part in wanted.items())
    return replace(trace, jobs=jobs, regimes=regimes, name=f"{trace.name} with {label},seed={seed}")


def numbers() -> dict[str, dict[str, Any]]:
    """What is drawn from: option -> its table in `enrich.toml`, each with its `about` and `source`."""
    return beside(__file__, "enrich.toml")


Bursts = list[list[int]]
"""Positions of the jobs of each burst; bursts in the order in which they begin."""

Change = tuple[int, dict[str, Any]]
"""A job's position in its trace, and the fields that it gets; `regimes` are the trace's."""


@dataclass(frozen=True, slots=True)
class _Draw:
    """Which part of a trace is chosen, and by what."""

    trace: Trace
    bursts: Bursts
    part: float
    rng: np.random.Generator

    def of(self, count: int, more: int = 0) -> tuple[NDArray[np.bool_], Floats]:
        """For each of `count` things, in order: whether it is chosen, and `more` numbers from 0 to 1."""
        drawn = self.rng.random((count, 1 + more))
        return drawn[:, 0] < self.part, drawn[:, 1:]


def _bursts(trace: Trace) -> Bursts:
    bursts: Bursts = []
    last: dict[object, tuple[float, list[int]]] = {}
    for position, job in enumerate(trace.jobs):
        time, burst = last.get((job.tenant, job.gang), (-math.inf, []))
        if job.submit - time > TOGETHER:
            burst = []
            bursts.append(burst)
        burst.append(position)
        last[job.tenant, job.gang] = (job.submit, burst)
    return bursts


def _families(option: str, draw: _Draw) -> Iterator[Change]:
    families = numbers()[option]["families"]
    chosen, which = draw.of(len(draw.bursts), 1)
    index = _weighed(which[:, 0], list(families.values()))
    for number in np.flatnonzero(chosen).tolist():
        family = list(families)[index[number]]
        yield from ((position, {"profile": family}) for position in draw.bursts[number])


def _elastic(draw: _Draw) -> Iterator[Change]:
    steps = numbers()["elastic"]["steps"]
    largest = max((job.gang for job in draw.trace.jobs), default=0)
    chosen, which = draw.of(len(draw.bursts), 2)
    for number in np.flatnonzero(chosen).tolist():
        gang = draw.trace.jobs[draw.bursts[number][0]].gang
        down, up = (2 ** steps[int(one * len(steps))] for one in which[number])
        if gang > 1:
            bounds = {"min_gang": max(1, gang // down), "max_gang": min(gang * up, largest)}
            yield from ((position, bounds) for position in draw.bursts[number])


def _pipelines(draw: _Draw) -> Iterator[Change]:
    chosen, _ = draw.of(len(draw.bursts))
    before = _wider(draw.trace, draw.bursts)
    for number in np.flatnonzero(chosen).tolist():
        if first := before[number]:
            yield from ((position, {"after": (first.id,)}) for position in draw.bursts[number])


def _wider(trace: Trace, bursts: Bursts) -> list[Job | None]:
    """For each burst, the last wider job of its tenant within a day before its first, if there is one."""
    within, begins = numbers()["pipelines"]["within"], {burst[0]: n for n, burst in enumerate(bursts)}
    found: list[Job | None] = [None] * len(bursts)
    last: dict[str | None, dict[int, Job]] = {}
    for position, job in enumerate(trace.jobs):
        seen = last.setdefault(job.tenant, {})
        if job.gang and position in begins:
            wider = [one for gang, one in seen.items() if gang > job.gang and job.submit - one.submit <= within]
            found[begins[position]] = max(wider, key=lambda one: one.submit, default=None)
        seen[job.gang] = job
    return found


def _deadlines(draw: _Draw) -> Iterator[Change]:
    quantiles = numbers()["deadlines"]["slack"]
    chosen, which = draw.of(len(draw.trace), 1)
    slack = np.interp(which[:, 0], np.linspace(0, 1, len(quantiles)), quantiles)
    for position in np.flatnonzero(chosen).tolist():
        job = draw.trace.jobs[position]
        yield position, {"deadline": job.submit + float(slack[position]) * draw.trace.durations[job.id]}


def _fractions(draw: _Draw) -> Iterator[Change]:
    shares, weights = zip(*numbers()["fractions"]["shares"], strict=True)
    chosen, which = draw.of(len(draw.trace), 1)
    index = _weighed(which[:, 0], weights)
    for position in np.flatnonzero(chosen).tolist():
        job = draw.trace.jobs[position]
        if job.gang == (job.max_gang or 1) == 1:
            yield position, {"share": shares[index[position]] / 1000}


def _sweeps(draw: _Draw) -> Iterator[Change]:
    chosen, _ = draw.of(len(draw.bursts))
    for number in np.flatnonzero(chosen).tolist():
        if len(draw.bursts[number]) >= SWEEP:
            group = f"sweep-{draw.trace.jobs[draw.bursts[number][0]].id}"
            yield from ((position, {"group": group}) for position in draw.bursts[number])


def _data(draw: _Draw) -> Iterator[Change]:
    sizes = numbers()["data"]["bytes"]
    chosen, which = draw.of(len(draw.bursts), 1)
    for number in np.flatnonzero(chosen).tolist():
        size = sizes[int(which[number, 0] * len(sizes))]
        yield from ((position, {"data": size}) for position in draw.bursts[number])


def _sites(draw: _Draw) -> Iterator[Change]:
    chosen, _ = draw.of(len(draw.bursts))
    for number in np.flatnonzero(chosen).tolist():
        yield from ((position, {"sites": (HOME,)}) for position in draw.bursts[number])


def _regimes(draw: _Draw) -> Iterator[Change]:
    patterns = numbers()["regimes"]["patterns"]
    chosen, which = draw.of(len(draw.bursts), 1)
    for number in np.flatnonzero(chosen).tolist():
        pattern = tuple((part, speed) for part, speed in patterns[int(which[number, 0] * len(patterns))])
        yield from ((position, {"regimes": pattern}) for position in draw.bursts[number])


def _weighed(which: Floats, weights: Sequence[int]) -> NDArray[np.int64]:
    """Turns numbers from 0 to 1 into indexes that are as likely as their weights."""
    ends = np.cumsum(weights)
    found: NDArray[np.int64] = np.searchsorted(ends, which * ends[-1], side="right")
    return found


OPTIONS: Mapping[str, Callable[[_Draw], Iterator[Change]]] = {
    "profiles": partial(_families, "profiles"),
    "modern": partial(_families, "modern"),
    "elastic": _elastic,
    "pipelines": _pipelines,
    "deadlines": _deadlines,
    "fractions": _fractions,
    "sweeps": _sweeps,
    "data": _data,
    "sites": _sites,
    "regimes": _regimes,
}
"""Name of an option -> what it changes."""
