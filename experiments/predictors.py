"""`python -m gpuyard.experiments.predictors`: how well run times and demand are foretold, and what schedules it makes.

Chronological throughout: a job is predicted when it comes, from what has ended before (submission plus run time, as
traces do not tell of waits), and scored in the last part of the trace. Pinball losses are means over predictions; for a
quantile q they are q e where the truth is e above the prediction, and (1 - q) e where it is e below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from time import perf_counter
from typing import Any

import click
import numpy as np
from rich.box import SIMPLE
from rich.text import Text

from ..envs.demand import AHEAD, Demand
from ..envs.metrics import summary
from ..envs.recent import ROLLING
from ..envs.roster import Floats
from ..envs.runtimes import Runtimes
from ..envs.scenario import of_cluster
from ..traces.estimates import with_estimates
from ..traces.job import Trace
from ..traces.source import open_trace
from ..traces.trouble import BadInput
from .fitting import fitting
from .names import policy
from .options import command_of, option
from .scene import positive
from .screen import number, out, print_table
from .shell import ended
from .simulate import simulate

STEP = 600.0
"""Seconds between the moments at which the demand is foretold."""
WEEK = 604800.0
DAY = 86400.0
DAYS = 7
"""The same minutes of so many days are a forecast too, their median and 90th percentile: others give but one number."""
FEW = 3
"""A user's own mean counts from so many ends on; the mean of all until then."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictors:
    """Score predicted run times and demand on the last part of a trace, and the schedules they lead to on all of it."""

    trace: str = option(help="FORMAT:PATH, or synthetic:PRESET[,jobs=N,seed=S].")
    cluster: str = option("60x8:V100", help="Machines for the schedules.")
    policy: tuple[str, ...] = option((), help="Policies to schedule with, such as sjf; none to leave schedules out.")
    estimates: tuple[str, ...] = option(("predicted", "noisy:0.8", "exact"), help="Estimates that they are given.")
    part: float = option(0.3, help="The last part of the jobs, which is scored.")
    limit: int | None = option(None, help="Only the first N jobs.", metavar="N")
    seed: int = option(0, help="Seed of whatever is random.")
    json: bool = option(False, help="One JSON object on stdout.")

    def __post_init__(self) -> None:
        """Raises BadInput for numbers that cannot be."""
        positive("limit", self.limit)
        positive("seed", self.seed, 0)
        if not 0 < self.part < 1:
            raise BadInput(f"--part {self.part}: give a part between 0 and 1")


def pinball(truth: Floats, told: Floats, quantile: float) -> float:
    """The mean pinball loss of predictions of a quantile."""
    over = truth - told
    return float(np.maximum(quantile * over, (quantile - 1) * over).mean())


def run_times(trace: Trace, part: float) -> list[Row]:
    """The scores of predictors of run times, in natural logarithms of 1 + seconds: 0.7 is a factor of 2."""
    told, truth = _predicted(trace), np.log1p([trace.durations[job.id] for job in trace.jobs])
    scored = slice(round(len(trace) * (1 - part)), None)
    return [
        {
            "predictor": name,
            "p50_loss": pinball(truth[scored], low[scored], 0.5),
            "p90_loss": pinball(truth[scored], high[scored], 0.9),
            "below_p90": float((truth <= high)[scored].mean()),
            "jobs": len(truth[scored]),
        }
        for name, (low, high) in told.items()
    ]


def _predicted(trace: Trace) -> dict[str, tuple[Floats, Floats]]:
    """Name -> median and 90th percentile of each job, log1p seconds."""
    runtimes, ends, rows = Runtimes(), list[tuple[float, int, float]](), np.empty((len(trace), 6))
    means = Means()
    for place, job in enumerate(trace.jobs):
        while ends and ends[0][0] <= job.submit:
            _, over, seconds = heappop(ends)
            runtimes.ended(trace.jobs[over].id, seconds)
            means.ended(trace.jobs[over].user or trace.jobs[over].tenant, seconds)
        low, high = runtimes.submitted(job, job.submit)
        mean = means.of(job.user or job.tenant)
        rows[place] = *np.log1p((low, high)), *runtimes.row(job.id)[ROLLING], *np.log1p((mean, mean))
        heappush(ends, (job.submit + trace.durations[job.id], place, trace.durations[job.id]))
    names = ("predicted", "rolling quantiles", "user's mean")
    return {name: (rows[:, 2 * n], rows[:, 2 * n + 1]) for n, name in enumerate(names)}


class Means:
    """The mean run time of each user, or tenant where users are not known."""

    def __init__(self) -> None:
        self._sums: dict[str | None, tuple[int, float]] = {}
        self._all = (0, 0.0)

    def ended(self, who: str | None, seconds: float) -> None:
        """Somebody's job has ended."""
        count, total = self._sums.get(who, (0, 0.0))
        self._sums[who] = count + 1, total + seconds
        self._all = self._all[0] + 1, self._all[1] + seconds

    def of(self, who: str | None) -> float:
        """Seconds; 0 before anybody's job has ended."""
        count, total = self._sums.get(who, (0, 0.0))
        if count < FEW:
            count, total = self._all
        return total / max(count, 1)


def demands(trace: Trace, part: float) -> list[Row]:
    """The scores of predictors of demand, in accelerators, for each stretch of time ahead."""
    demand, jobs, times = Demand(), iter(trace.jobs), _times(trace, part)
    job, rows = next(jobs, None), list[tuple[float, ...]]()
    for time in times:
        while job is not None and job.submit <= time:
            demand.submitted(job, job.submit)
            job = next(jobs, None)
        rows.append(demand.foreseen(time) or (np.nan,) * 4)
    while job is not None:
        demand.submitted(job, job.submit)
        job = next(jobs, None)
    return list(_scored(demand, times, np.array(rows)))


def _times(trace: Trace, part: float) -> Floats:
    """Moments to be scored at. Raises BadInput where the trace is too short for one."""
    first = trace.jobs[min(round(len(trace) * (1 - part)), len(trace) - 1)].submit
    times = np.arange(first, trace.jobs[-1].submit - AHEAD[-1], STEP)
    if not len(times):
        raise BadInput(f"{trace.name}: its last part lasts less than {AHEAD[-1]:,.0f} s, too short to score demand")
    return times


def _scored(demand: Demand, times: Floats, rows: Floats) -> Iterator[Row]:
    came = demand.arrivals.until
    for place, ahead in enumerate(AHEAD):
        truth = came(times + ahead) - came(times)
        told = {"predicted": (rows[:, 2 * place], rows[:, 2 * place + 1])} if not np.isnan(rows).any() else {}
        for name, lag in (("a week ago", WEEK), ("a day ago", DAY), ("just now", ahead)):
            same = came(times - lag + ahead) - came(times - lag)
            told[name] = same, same
        days = np.stack([came(times - DAY * n + ahead) - came(times - DAY * n) for n in range(1, DAYS + 1)])
        low, high = np.quantile(days, (0.5, 0.9), axis=0)
        told[f"last {DAYS} days"] = low, high
        for name, (low, high) in told.items():
            yield {
                "predictor": name,
                "minutes": ahead / 60,
                "p50_loss": pinball(truth, low, 0.5),
                "p90_loss": pinball(truth, high, 0.9),
                "below_p90": float((truth <= high).mean()),
                "moments": len(truth),
            }


def schedules(trace: Trace, args: Predictors) -> Iterator[Row]:
    """What becomes of the whole trace under each policy, with each kind of estimates."""
    world = of_cluster(args.cluster)
    kept, _ = fitting(trace, world.nodes, {}, "skip", room=world.room())
    for name in args.policy:
        for mode in args.estimates:
            told, start = with_estimates(kept, mode, args.seed), perf_counter()
            log = simulate(told, world, policy(name))
            seconds, all_ = perf_counter() - start, summary(log)
            yield {
                "policy": name,
                "estimates": mode,
                "mean_jct": all_.mean_jct,
                "mean_bounded_slowdown": all_.mean_bounded_slowdown,
                "p99_jct": all_.p99_jct,
                "seconds": seconds,
            }


def run(args: Predictors) -> None:
    """Scores, and prints tables or one JSON object. Raises BadInput."""
    trace = with_estimates(open_trace(args.trace, seed=args.seed), "none")
    trace = trace if args.limit is None else trace.first(args.limit)
    found: dict[str, list[Row]] = {
        "run_times": run_times(trace, args.part),
        "demand": demands(trace, args.part),
        "schedules": list(schedules(trace, args)),
    }
    if args.json:
        click.echo(json.dumps({"trace": trace.name, "jobs": len(trace), **found}, indent=2, allow_nan=False))
        return
    for name, rows in found.items():
        if rows:
            out().print(f"{name.replace('_', ' ')} of {trace.name}, {len(trace):,} jobs", markup=False)
            _print(rows)


def _print(rows: Sequence[Row]) -> None:
    columns = {key.replace("_", " "): (lambda row, key=key: _cell(row[key])) for key in rows[0]}
    print_table(out(), columns, rows, box=SIMPLE)


def _cell(value: Any) -> Text:
    if isinstance(value, str):
        return Text(value)
    return Text(number(value, 0 if value is None or value >= 1000 or float(value).is_integer() else 3))


command = command_of(
    Predictors,
    run,
    examples="""
    python -m gpuyard.experiments.predictors --trace philly:philly.csv.gz
    python -m gpuyard.experiments.predictors --trace philly:philly.csv.gz --policy sjf --policy "easy(sjf)" --json
    """,
)

if __name__ == "__main__":
    ended(command)
