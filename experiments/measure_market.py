"""`python -m gpuyard.experiments.measure_market`: the figures of `envs/laws/market.toml`, anew.

Each region there was read off recorded hours by the code below; give it the tables, and it prints the figures.
"""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from ..envs.series import HOUR, Floats, Region, table, yearly
from ..traces.trouble import BadInput
from .options import command_of, option
from .shell import ended

Hours = npt.NDArray[np.int64]

CARBON = {
    name: (f"carbon-dcrl/{name}_NG___avgCI.csv.gz", utc)
    for name, utc in {
        "CISO": -8, "BPAT": -8, "AZPS": -7, "ERCO": -6, "MISO": -5, "SOCO": -6, "PJM": -5, "NYIS": -5,
    }.items()
} | {"DE-LU": ("carbon-electricitymaps/DE-LU_2023_hourly.csv.gz", 1)}  # fmt: skip
"""Region -> its table, and hours by which its standard time is ahead of UTC (MISO's market goes by Eastern time)."""
PRICE = {"CAISO": ("US-CAL-CISO", -8), "ERCOT": ("US-TEX-ERCO", -6), "DE-LU": ("DE-LU", 1)}
YEARS = (2023, 2024)

PARTS = (0.0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, *(n / 10 for n in range(1, 10)))
PARTS += tuple(sorted(1 - part for part in PARTS[:8]))
"""Parts of the hours whose values are kept: close together in the tails, where spikes and negative prices are."""
LAGS = (1, 2, 3, 6, 12, 24, 48, 72, 120, 168, 240, 336)
"""Hours at which the noise's memory is fitted; the next hour and the next day count more."""
WEIGHTS = np.array([5.0 if lag == 1 else 3.0 if lag == 24 else 1.0 for lag in LAGS])
QUICK, SLOW = np.geomspace(1, 30, 25), np.geomspace(20, 400, 30)
"""Hours that are tried for the two times of the noise."""
_Z = np.linspace(-8, 8, 3201)
_BELOW = np.array([NormalDist().cdf(z) for z in _Z.tolist()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Print the figures of the regions of the law of markets, read off recorded hours."""

    shared: Path = option(help="Folder with carbon-dcrl, carbon-electricitymaps and price-sustaincluster.")


def run(args: Measure) -> None:
    """Prints the regions as TOML."""
    for key, name, clock, values, utc, digits in tables(args.shared):
        figures = measured(clock, values, utc, digits)
        for title, part in (("", figures), (".recorded", figures.pop("recorded"))):
            click.echo(f"\n[{key}.{name}{title}]")
            click.echo("\n".join(line for figure, value in part.items() for line in written(figure, value)))


def tables(shared: Path) -> Iterator[tuple[str, str, Hours, Floats, int, int]]:
    """Yields ("carbon" or "price", region, hours since 1970, values, its time ahead of UTC, digits)."""
    for name, (path, utc) in CARBON.items():
        yield ("carbon", name, *hours(shared / path), utc, 1)
    for name, (stem, utc) in PRICE.items():
        years = [hours(shared / "price-sustaincluster" / f"{stem}_electricity_prices_{year}.csv.gz") for year in YEARS]
        yield ("price", name, np.concatenate([c for c, _ in years]), np.concatenate([v for _, v in years]), utc, 5)


def hours(path: Path) -> tuple[Hours, Floats]:
    """The hours since 1970 of a table and their values, NaN where missing. Raises BadInput where hours are left out."""
    found = table(path)
    clock = np.round(found.times / HOUR).astype(np.int64)
    if (np.diff(clock) != 1).any():
        raise BadInput(f"{path}: leaves hours out, or has others between; give an hourly table")
    return clock, found.values


def measured(clock: Hours, values: Floats, utc: int, digits: int) -> dict[str, Any]:
    """The figures of a region: see `envs.series.Region`. `recorded` are what a generated series should come to."""
    scores = normal(values)
    seasons = np.round(np.array([_season(clock, scores, hour) for hour in range(24)]).T, 2)
    figures: dict[str, Any] = {"seasons": seasons, "weekend": 0.0, "noise": 1.0, "quick": 0.5, "taus": (1.0, 1.0)}
    figures |= {"knots": np.zeros((2, 3)), "utc": utc}
    rest = scores - Region.of(figures, digits).usual(clock)
    weekend = (clock // 24 + 3) % 7 >= 5
    step = np.nanmean(rest[weekend]) - np.nanmean(rest[~weekend])
    figures["weekend"] = round(float(step), 2)
    seasons[0] = np.round(seasons[0] - step * weekend.mean(), 2)
    usual = Region.of(figures, digits).usual(clock)
    figures["noise"] = round(float(np.nanstd(scores - usual)), 3)
    figures["quick"], figures["taus"] = remembered(scores - usual)
    figures["knots"] = knots(values, usual, figures["noise"], digits)
    return figures | {"recorded": told(values)}


def normal(values: Floats) -> Floats:
    """Each value's standard normal score by its rank; equal values have one; missing ones stay so."""
    known = ~np.isnan(values)
    _, inverse, times = np.unique(values[known], return_inverse=True, return_counts=True)
    below = (np.cumsum(times) - times / 2) / known.sum()
    scores = np.full(len(values), np.nan)
    scores[known] = np.interp(below, _BELOW[_unlike()], _Z[_unlike()])[inverse]
    return scores


def _unlike() -> npt.NDArray[np.bool_]:
    """Where the tabled distribution rises: it can be inverted there."""
    return np.concatenate([[True], np.diff(_BELOW) > 0])


def _season(clock: Hours, scores: Floats, hour: int) -> Floats:
    """A column of `Region.seasons`: that of one hour of the day, by least squares."""
    there = (clock % 24 == hour) & ~np.isnan(scores)
    return np.asarray(np.linalg.lstsq(yearly(clock[there]).T, scores[there])[0], float)


def correlation(values: Floats, lag: int) -> float:
    """Autocorrelation at a lag of so many steps, of pairs that are both known."""
    rest = values - np.nanmean(values)
    return float(np.nanmean(rest[:-lag] * rest[lag:]) / np.nanvar(values))


def remembered(rest: Floats) -> tuple[float, tuple[float, float]]:
    """The quick part of the noise, and the hours of both parts, by least squares of its autocorrelation at `LAGS`."""
    wanted = np.array([correlation(rest, lag) for lag in LAGS])
    best = (np.inf, 0.0, (1.0, 1.0))
    for quick in QUICK:
        for slow in SLOW[quick < SLOW]:
            a, b = np.exp(-np.array(LAGS) / quick), np.exp(-np.array(LAGS) / slow)
            part = float(np.clip((WEIGHTS * (a - b)) @ (wanted - b) / ((WEIGHTS * (a - b)) @ (a - b)), 0, 1))
            miss = float(WEIGHTS @ (part * a + (1 - part) * b - wanted) ** 2)
            best = min(best, (miss, round(part, 3), (round(float(quick), 1), round(float(slow), 1))))
    return best[1], best[2]


def knots(values: Floats, usual: Floats, noise: float, digits: int) -> list[list[float]]:
    """Rows of (part, score, value): below that score are so many of the region's own scores, and so with values."""
    edge = 0.5 / np.isfinite(values).sum()
    grid = np.linspace(usual.min() - 5 * noise, usual.max() + 5 * noise, 801)
    below = np.array([np.interp((score - usual) / noise, _Z, _BELOW).mean() for score in grid])
    rising = np.concatenate([[True], np.diff(below) > 0])
    parts = np.clip(PARTS, edge, 1 - edge)
    scores, said = np.interp(parts, below[rising], grid[rising]), np.nanquantile(values, PARTS)
    rows = zip(PARTS, scores.tolist(), said.tolist(), strict=True)
    return [[round(part, 4), round(score, 3), round(value, digits)] for part, score, value in rows]


def told(values: Floats) -> dict[str, float]:
    """What a series comes to; a generated one is held against the recorded one by these.

    `next hour` and `next day` are autocorrelations of the normal scores, for a few hours of a heavy tail decide those
    of the values; `swing` is that of the hour-of-day means of the scores, greatest less least.
    """
    scores = normal(values)
    by_hour = [float(np.nanmean(scores[hour::24])) for hour in range(24)]
    figures = {
        "mean": np.nanmean(values),
        "sd": np.nanstd(values),
        **{f"p{part}": np.nanquantile(values, part / 100) for part in (5, 50, 95)},
        "next_hour": correlation(scores, 1),
        "next_day": correlation(scores, 24),
        "swing": max(by_hour) - min(by_hour),
        "negative": np.mean(values[np.isfinite(values)] < 0),
    }
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def written(figure: str, value: Any) -> list[str]:
    """Lines of TOML."""
    if not isinstance(value, Sequence | np.ndarray):
        return [f"{figure} = {_short(value)}"]
    if np.ndim(value) == 1:
        return [f"{figure} = [{', '.join(map(_short, value))}]"]
    rows = [list(map(_short, row)) for row in value]
    return [f"{figure} = [", *(f"    [{_wrapped(row)}]," for row in rows), "]"]


def _wrapped(words: list[str]) -> str:
    """Twelve numbers a line."""
    return ",\n     ".join(", ".join(words[at : at + 12]) for at in range(0, len(words), 12))


def _short(value: float) -> str:
    return f"{value + 0:g}"


command = command_of(Measure, run, examples="python -m gpuyard.experiments.measure_market --shared FOLDER")

if __name__ == "__main__":
    ended(command)
