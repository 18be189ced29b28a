"""`python -m gpuyard.experiments.validation`: what is generated, side by side with what was recorded.

Draws the pictures of `docs/validation.md` and writes its tables into it, each between its own pair of marks; the words
around them are a person's.
"""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import click
import numpy as np

from ..envs.laws import failures, spot
from ..envs.laws.alone import Fall
from ..envs.laws.failures import Failures
from ..envs.laws.market import region
from ..envs.laws.spot import Spot
from ..envs.recordings import Fault, capacity, faults
from ..envs.series import YEAR, Floats, sampled, synthetic
from ..policies.orders import fifo
from .figures import png
from .helios import DAY, Month, recorded, simulated
from .measure_market import correlation, tables, told
from .measure_trouble import HOUR, Faults, Market, cluster, group, market, summary
from .options import command_of, option
from .shell import ended
from .side_by_side import Months, Pair, by_use, clusters, queues, series

FAULTS = "infinitehbd/fault_trace.json.gz"
SPOT = "bamboo-spot/aws-spot-instances-p2-xlarge-2020-11-20-to-2020-11-23.csv"
MARK = "<!-- {} -->\n{}\n<!-- end of {} -->"
UNITS = {"carbon": ("g/kWh", 1.0), "price": ("USD/MWh", 1000.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Draw generated beside recorded: Helios' clusters, failures, repairs, spot nodes, carbon and prices."""

    shared: Path = option(help="Folder with helios-earth-vc, infinitehbd, bamboo-spot, carbon-* and price-*.")
    out: Path = option(Path("docs"), help="Folder of validation.md and its pictures.")
    worlds: int = option(5, help="Worlds of Helios' clusters to simulate; what is told of them is their mean.")
    seeds: int = option(10, help="Series of faults and of spot nodes to draw.")
    years: int = option(24, help="Years of carbon to generate; four times as many of prices.")
    days: float = option(31.0, help="Days of Helios to look at.")
    warm: float = option(14.0, help="Days before them, simulated and not looked at.")


def run(args: Validation) -> None:
    """Everything, from top to bottom."""
    args.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, str] = {}
    months = {name: [month.first(args.days)] for name, month in recorded(args.shared / "helios-earth-vc").items()}
    bursts, even = (worlds(months, args, even) for even in (False, True))
    found["helios"] = "\n".join(of_helios(months, bursts, even))
    (args.out / "validation-helios.png").write_bytes(png(clusters(months, bursts), 80))
    (args.out / "validation-queues.png").write_bytes(png(queues(months, bursts, even), 80))

    gaps, repairs, found["faults"] = of_faults(args.shared / FAULTS, args.seeds)
    nodes, found["spot"] = of_spot(args.shared / SPOT, args.seeds)
    hours = {f"{key} {name}": pair for key, name, pair in of_markets(args.shared, args.years)}
    found["market"] = "\n".join(market_rows(hours))
    (args.out / "validation-series.png").write_bytes(png(series(gaps, repairs, nodes, hours), 80))

    page = args.out / "validation.md"
    page.write_text(marked(page.read_text(encoding="utf-8") if page.exists() else "", found), encoding="utf-8")
    click.echo(f"{page}: {', '.join(found)}")


def marked(page: str, found: Mapping[str, str]) -> str:
    """The page with new tables between their marks; those that have none yet come at its end."""
    for name, table in found.items():
        block = MARK.format(name, table, name)
        old = re.compile(re.escape(f"<!-- {name} -->") + ".*?" + re.escape(f"<!-- end of {name} -->"), re.DOTALL)
        there = old.search(page)
        page = page.replace(there[0], block) if there else f"{page}{block}\n"
    return page


# Helios.


def worlds(months: Mapping[str, Months], args: Validation, even: bool) -> dict[str, Months]:
    """The same months in several worlds."""
    one = {name: recorded[0] for name, recorded in months.items()}
    made = [simulated(one, fifo, warm=args.warm * DAY, seed=seed, even=even) for seed in range(args.worlds)]
    return {name: [world[name] for world in made] for name in months}


TOLD: tuple[tuple[str, int, Callable[[Month], float]], ...] = (
    ("utilisation, mean", 2, lambda month: float(month.used.mean())),
    ("sd", 2, lambda month: float(month.used.std())),
    ("5 %", 2, lambda month: float(np.quantile(month.used, 0.05))),
    ("median", 2, lambda month: float(np.median(month.used))),
    ("95 %", 2, lambda month: float(np.quantile(month.used, 0.95))),
    ("like 1 h before", 2, lambda month: month.likeness(1)),
    ("like 24 h before", 2, lambda month: month.likeness(24)),
    ("GPUs of a running job", 1, lambda month: month.gang),
    ("minutes with a queue, %", 0, lambda month: 100 * month.queue),
    ("GPUs waited for, mean", 1, lambda month: float(month.waiting.mean())),
)
"""What is told of a month: words, digits, figure."""


def of_helios(months: Mapping[str, Months], bursts: Mapping[str, Months], even: Mapping[str, Months]) -> Iterator[str]:
    """Rows of recorded / simulated / the same jobs, evenly: from the least used cluster to the most."""
    yield "| | GPUs | " + " | ".join(words for words, _, _ in TOLD) + " |"
    yield "|" + "---|" * (2 + len(TOLD))
    for name in by_use(months):
        cells = [name, str(months[name][0].capacity)]
        for _, digits, figure in TOLD:
            cells += [
                _both(
                    [float(np.mean([figure(one) for one in found[name]])) for found in (months, bursts, even)], digits
                )
            ]
        yield "| " + " | ".join(cells) + " |"


def _both(values: Sequence[float], digits: int) -> str:
    return " / ".join("–" if np.isnan(value) else f"{value:,.{digits}f}" for value in values)


# Failures, repairs, spot nodes.

SAID = {
    "rate": ("faults a node and day", 5), "gap": ("hours between the fleet's faults, mean", 2),
    "cv": ("their coefficient of variation", 2), "together": ("part of them that are 0", 3),
    "gini": ("Gini of the faults by node", 2), "hit": ("nodes that ever failed", 2),
    "repair": ("hours to repair, mean", 1), "median": ("median", 1), "p90": ("90 %", 1),
    "mean": ("nodes up, mean over time", 2), "spread": ("their standard deviation", 2),
    "reclaims": ("nodes taken away", 0), "drops": ("moments at which some were", 0),
    "largest": ("most at one moment", 1), "dispersion": ("reclaims in an hour, variance over mean", 2),
}  # fmt: skip
"""Figure -> its words, and digits."""


def of_faults(path: Path, seeds: int) -> tuple[Pair, Pair, str]:
    """(gaps, repairs) in hours, and the table."""
    found, fleet = faults(path)
    seconds = max(fault.end for fault in found if fault.end < inf)
    made = [failures.series(Failures(), cluster(fleet), seconds, seed) for seed in range(seeds)]
    table = _beside(Faults, summary(found, fleet, seconds), [summary(one, fleet, seconds) for one in made])
    gaps = Pair(_gaps(found), np.concatenate([_gaps(one) for one in made]))
    return gaps, Pair(_repairs(found), np.concatenate([_repairs(one) for one in made])), table


def _gaps(found: Sequence[Fault] | Sequence[Fall]) -> Floats:
    return np.diff(np.sort([fault.start for fault in found])) / HOUR


def _repairs(found: Sequence[Fault] | Sequence[Fall]) -> Floats:
    return np.array([fault.end - fault.start for fault in found if fault.end < inf]) / HOUR


def of_spot(path: Path, seeds: int) -> tuple[Pair, str]:
    """Nodes up at each minute, recorded and as the first seed draws them, and the table."""
    steps = capacity(path)
    seconds, size = steps[-1][0], max(count for _, count in steps)
    made = [spot.series(Spot(), group(size), seconds, seed) for seed in range(seeds)]
    table = _beside(Market, market(steps, seconds), [market(one, seconds) for one in made])
    minutes = np.arange(0.0, seconds, 60.0)
    return Pair(*(_at(one, minutes) for one in (steps, made[0]))), table


def _at(steps: Sequence[tuple[float, int]], seconds: Floats) -> Floats:
    index = np.searchsorted([time for time, _ in steps], seconds, side="right") - 1
    return np.array([count for _, count in steps], float)[index]


def _beside(kind: type[Faults] | type[Market], there: Faults | Market, made: Sequence[Faults | Market]) -> str:
    rows = ["| | recorded | drawn, mean (sd) |", "|---|---|---|"]
    for name in kind.__slots__:
        values, (words, digits) = [getattr(one, name) for one in made], SAID[name]
        drawn = f"{np.mean(values):.{digits}f} ({np.std(values):.{digits}f})"
        rows.append(f"| {words} | {getattr(there, name):.{digits}f} | {drawn} |")
    return "\n".join(rows)


# Carbon and prices.


def of_markets(shared: Path, years: int) -> Iterator[tuple[str, str, Pair]]:
    """("carbon" or "price", region, hours recorded and generated), in g/kWh and USD/MWh."""
    for key, name, clock, values, _, _ in tables(shared):
        long = YEAR * years * (1 if key == "carbon" else 4)
        made = sampled(synthetic(region(key, name), np.random.default_rng(0), float(clock[0] * HOUR)), long)
        yield key, name, Pair(values * UNITS[key][1], made * UNITS[key][1])


def market_rows(hours: Mapping[str, Pair]) -> Iterator[str]:
    """Rows of recorded / generated."""
    yield "| series | mean | sd | 5 % | median | 95 % | next hour | next day | swing | negative, % | next hour, raw |"
    yield "|" + "---|" * 11
    for name, pair in hours.items():
        figures = [told(values) for values in (pair.recorded, pair.made)]
        cells = [f"{name}, {UNITS[name.split()[0]][0]}"]
        cells += [_both([one[figure] for one in figures], 1) for figure in ("mean", "sd", "p5", "p50", "p95")]
        cells += [_both([one[figure] for one in figures], 2) for figure in ("next_hour", "next_day", "swing")]
        cells += [_both([100 * one["negative"] for one in figures], 1)]
        cells += [_both([correlation(values, 1) for values in (pair.recorded, pair.made)], 2)]
        yield "| " + " | ".join(cells) + " |"


command = command_of(Validation, run, examples="python -m gpuyard.experiments.validation --shared FOLDER --out docs")

if __name__ == "__main__":
    ended(command)
