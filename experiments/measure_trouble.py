"""`python -m gpuyard.experiments.measure_trouble`: the figures of `envs/laws/trouble.toml`, anew from the tables.

What was fitted by drawing (the Weibull's shape and the lemons, the waves) is shown as drawn beside recorded.
"""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, log
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from ..envs.laws import failures, spot
from ..envs.laws.alone import Fall
from ..envs.laws.failures import Failures
from ..envs.laws.renewal import merged
from ..envs.laws.spot import Spot
from ..envs.nodes import Accelerator, Node
from ..envs.recordings import DAY, Fault, capacity, faults
from ..traces.rows import read_csv
from .options import command_of, option
from .shell import ended

Array = npt.NDArray[np.float64]
Steps = Sequence[tuple[float, int]]
HOUR = 3600.0
EACH = 8
"""Accelerators of InfiniteHBD's nodes."""
RACK = 4
"""Nodes of a rack where faults are drawn: about as many as began at once in the recorded series (2.8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Print the figures of trouble, read off the tables that they come from, and what is drawn with them."""

    faults: Path | None = option(None, help="InfiniteHBD's fault_trace.json(.gz).")
    pods: Path | None = option(None, help="Alibaba's openb_pod_list_default.csv(.gz).")
    capacity: Path | None = option(None, help="Bamboo's file of spot nodes, the one of 88 hours.")
    seeds: int = option(10, help="Series to draw.")


def run(args: Measure) -> None:
    """Prints what the given tables say."""
    if args.faults is not None:
        _tell("failures", of_faults(args.faults))
        for name, said in of_both(args.faults, args.seeds):
            click.echo(f"#   {name}: {said}")
    if args.pods is not None:
        shape, scale = weibull(of_pods(args.pods))
        _tell("mishaps", {"shape": shape, "scale": scale})
    _tell("stragglers", of_probes())
    if args.capacity is not None:
        _tell("spot", {"returns": returns(capacity(args.capacity))})
        for name, said in of_spot(args.capacity, args.seeds):
            click.echo(f"#   {name}: {said}")


def _tell(table: str, figures: dict[str, float]) -> None:
    click.echo(f"\n[{table}]")
    for key, value in figures.items():
        click.echo(f"{key} = {value:.4g}")


# Faults.


def of_faults(path: Path) -> dict[str, float]:
    """The figures that are read off directly."""
    found, fleet = faults(path)
    days = max(f.end for f in found if f.end < inf)
    down = sum(
        end - start for node in {f.node for f in found} for start, end in merged(_spans(found, node)) if end < inf
    )
    together = Counter(f.start for f in found)
    return {
        "mtbf": (fleet * days - down) / len(found),
        "accelerator": sum(f.accelerator for f in found) / len(found),
        "rack": sum(n for n in together.values() if n > 1) / len(found),
    }


def _spans(found: Sequence[Fault], node: str) -> list[tuple[float, float]]:
    return [(f.start, f.end) for f in found if f.node == node]


@dataclass(frozen=True, slots=True)
class Faults:
    """What a series of faults is like.

    Attributes:
        rate: faults a node and day.
        gap: hours between the fleet's faults, mean.
        cv: of those gaps.
        together: part of them that are 0.
        gini: of the faults by node.
        hit: part of the nodes that ever failed.
        repair, median, p90: hours.
    """

    rate: float
    gap: float
    cv: float
    together: float
    gini: float
    hit: float
    repair: float
    median: float
    p90: float


def summary(series: Sequence[Fall] | Sequence[Fault], nodes: int, seconds: float) -> Faults:
    """Sums a series up, recorded or drawn."""
    starts = np.sort([f.start for f in series])
    gaps = np.diff(starts)
    down = np.array([f.end - f.start for f in series if f.end < inf]) / HOUR
    hit = sorted(Counter(f.node for f in series).values())
    counts = np.array([0] * (nodes - len(hit)) + hit)
    ranks = 2 * np.arange(1, nodes + 1) - nodes - 1
    return Faults(
        len(series) / nodes / (seconds / DAY), float(gaps.mean()) / HOUR, float(gaps.std() / gaps.mean()),
        float((gaps == 0).mean()), float(ranks @ counts / (nodes * counts.sum())), float((counts > 0).mean()),
        float(down.mean()), float(np.median(down)), float(np.quantile(down, 0.9)),
    )  # fmt: skip


def cluster(nodes: int) -> tuple[Node, ...]:
    """A fleet as InfiniteHBD's."""
    return tuple(
        Node(f"n{n}", tuple(Accelerator(f"n{n}/{i}", "GPU") for i in range(EACH)), rack=f"rack{n // RACK}")
        for n in range(nodes)
    )


def drawn(law: Failures, nodes: int, seconds: float, seeds: int) -> list[Faults]:
    """Summaries of what a law draws."""
    return [summary(failures.series(law, cluster(nodes), seconds, seed), nodes, seconds) for seed in range(seeds)]


def of_both(path: Path, seeds: int) -> Iterator[tuple[str, str]]:
    """(what, recorded and drawn) of each figure."""
    found, fleet = faults(path)
    seconds = max(f.end for f in found if f.end < inf)
    recorded, made = summary(found, fleet, seconds), drawn(Failures(), fleet, seconds, seeds)
    for name in Faults.__slots__:
        yield name, _beside(getattr(recorded, name), [getattr(one, name) for one in made])


def _beside(recorded: float, made: Sequence[float]) -> str:
    return f"recorded {recorded:.4g}, drawn {np.mean(made):.4g} (sd {np.std(made):.2g})"


# Jobs that fail.


def of_pods(path: Path) -> Array:
    """Seconds that the failed pods ran."""
    rows = read_csv(path, ("pod_phase", "deletion_time", "scheduled_time"))
    told = [row for row in rows if row.text("pod_phase") == "Failed" and row.text("scheduled_time")]
    return np.array([row.number("deletion_time") - row.number("scheduled_time") for row in told])


def weibull(seconds: Array) -> tuple[float, float]:
    """(shape, scale) of greatest likelihood, by bisection of its derivative in the shape."""
    logs, low, high = np.log(seconds), 0.05, 20.0
    for _ in range(100):
        shape = (low + high) / 2
        powers = seconds**shape
        too_high = (powers @ logs) / powers.sum() - 1 / shape - logs.mean() > 0
        low, high = (low, shape) if too_high else (shape, high)
    return shape, float((seconds**shape).mean() ** (1 / shape))


# Slow episodes.


def of_probes() -> dict[str, float]:
    """Seconds between episodes, from Greyhound's probing jobs: (hit, jobs, parts of each, seconds of each)."""
    probes = {"every": (6, 392, 4, 80 * 60.0), "link_every": (42, 107, 4, 5 * HOUR)}
    return {key: parts * seconds / -log(1 - hit / jobs) for key, (hit, jobs, parts, seconds) in probes.items()}


# Spot nodes.


@dataclass(frozen=True, slots=True)
class Market:
    """What a series of capacities is like.

    Attributes:
        mean, spread: nodes that are up, over time, and their standard deviation.
        reclaims: nodes taken away.
        drops: moments at which some were.
        largest: most at one moment.
        dispersion: variance of the reclaims in an hour over their mean; 1 if they had nothing to do with each other.
    """

    mean: float
    spread: float
    reclaims: float
    drops: float
    largest: float
    dispersion: float


def market(steps: Steps, seconds: float) -> Market:
    """Sums a series of capacities up, recorded or drawn."""
    times, counts = np.array([t for t, _ in steps] + [seconds]), np.array([n for _, n in steps], float)
    weights = np.diff(times)
    mean = float(counts @ weights / weights.sum())
    spread = float(((counts - mean) ** 2 @ weights / weights.sum()) ** 0.5)
    change = np.diff(counts)
    lost, when = -change[change < 0], times[1:-1][change < 0]
    hourly = np.bincount((when / HOUR).astype(int), lost, minlength=int(seconds / HOUR) + 1)
    return Market(
        mean, spread, float(lost.sum()), len(lost), float(lost.max(initial=0.0)), float(hourly.var() / hourly.mean())
    )


def returns(steps: Steps) -> float:
    """Seconds that a reclaimed node was missing, on average."""
    seconds = steps[-1][0]
    found = market(steps, seconds)
    return (max(count for _, count in steps) - found.mean) * seconds / found.reclaims


def group(size: int) -> tuple[Node, ...]:
    """Spot nodes that are kept at their number."""
    return tuple(Node(f"s{n}", pool="spot", spot=True) for n in range(size))


def of_spot(path: Path, seeds: int) -> Iterator[tuple[str, str]]:
    """(what, recorded and drawn) of each figure."""
    steps = capacity(path)
    seconds, size = steps[-1][0], max(count for _, count in steps)
    made = [market(spot.series(Spot(), group(size), seconds, seed), seconds) for seed in range(seeds)]
    for name in Market.__slots__:
        yield name, _beside(getattr(market(steps, seconds), name), [getattr(one, name) for one in made])


command = command_of(Measure, run, examples="python -m gpuyard.experiments.measure_trouble --faults FILE --pods FILE")

if __name__ == "__main__":
    ended(command)
