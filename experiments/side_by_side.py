"""Pictures of what is generated beside what was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ..envs.series import Floats
from .figures import COLOURS, STYLE
from .helios import Month
from .measure_market import correlation, normal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RECORDED, MADE, EVEN = "0.15", COLOURS[1], COLOURS[0]
SMALL = STYLE | {"font.size": 9, "axes.titlesize": 9, "legend.fontsize": 8}
CARBON = ("carbon CISO", "carbon ERCO", "carbon DE-LU")
PRICES = ("price CAISO", "price ERCOT", "price DE-LU")
MEMORY = ("carbon CISO", "carbon ERCO", "price ERCOT")
PARTS = np.array([0.001, 0.005, 0.01, 0.02, *np.arange(0.05, 0.96, 0.05), 0.98, 0.99, 0.995, 0.999])
LAGS = range(1, 97)


Months = Sequence[Month]
"""One cluster: the month that was recorded, or those that were simulated."""


class Pair(NamedTuple):
    """Values of the same thing."""

    recorded: Floats
    made: Floats


def by_use(months: Mapping[str, Months]) -> list[str]:
    """The clusters from the least used to the most."""
    return sorted(months, key=lambda name: float(months[name][0].used.mean()))


def clusters(months: Mapping[str, Months], made: Mapping[str, Months]) -> Figure:
    """How often each cluster is used how much: a panel each, from the least used to the most."""
    with rc_context(SMALL):
        figure = Figure(figsize=(10, 8.5), layout="constrained")
        panels = figure.subplots(4, -(-len(months) // 4), sharex=True, sharey=True).flat
        for axes, name in zip(panels, by_use(months), strict=False):
            for found, colour, label in ((months, RECORDED, "recorded"), (made, MADE, "simulated")):
                _below(axes, np.concatenate([one.used for one in found[name]]), colour, label)
            axes.set_title(f"{name}, {months[name][0].capacity} GPUs")
            axes.set_xlim(-0.03, 1.03)
            axes.set_ylim(0, 1.03)
        figure.axes[0].legend(loc="lower right")
        figure.supxlabel("GPUs in use, part of the cluster", fontsize=10)
        figure.supylabel("part of the minutes with at most that", fontsize=10)
    return figure


def _below(axes: Axes, values: Floats, colour: str, label: str) -> None:
    """The empirical distribution."""
    found, times = np.unique(values, return_counts=True)
    axes.step([found[0], *found], [0, *np.cumsum(times) / len(values)], where="post", color=colour, label=label)


def queues(months: Mapping[str, Months], bursts: Mapping[str, Months], even: Mapping[str, Months]) -> Figure:
    """How often somebody waits in each cluster, and how long utilisation stays as it is."""
    names = by_use(months)
    kinds = (
        ("recorded", months, RECORDED, "o"),
        ("simulated", bursts, MADE, "s"),
        ("same jobs, evenly", even, EVEN, "^"),
    )
    with rc_context(SMALL):
        figure = Figure(figsize=(10, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        lags = [lag for lag in LAGS if lag * 120 < len(months[names[0]][0].used)]
        for label, found, colour, sign in kinds:
            waits = [100 * np.mean([one.queue for one in found[name]]) for name in names]
            left.plot(waits, sign, color=colour, label=label, markersize=5)
            right.plot(lags, [_likeness(found, lag) for lag in lags], color=colour, label=label)
        used = [f"{name}  {months[name][0].used.mean():.2f}" for name in names]
        left.set_xticks(range(len(names)), used, rotation=90, fontsize=7.5)
        left.set_xlabel("cluster, its recorded mean utilisation")
        left.set_ylabel("minutes with a queue, %")
        left.legend(loc="upper left")
        right.axhline(0, color="0.45", linewidth=0.8)
        right.set_xticks(range(0, lags[-1] + 2, 24))
        right.set_xlabel("lag, hours")
        right.set_ylabel("autocorrelation of utilisation,\nmedian of the clusters")
        right.legend()
    return figure


def _likeness(found: Mapping[str, Months], lag: int) -> float:
    """The median over clusters, each the mean of its months."""
    return float(np.nanmedian([np.mean([one.likeness(lag) for one in months]) for months in found.values()]))


def series(gaps: Pair, repairs: Pair, nodes: Pair, hours: Mapping[str, Pair]) -> Figure:
    """Six panels: faults, repairs, spot nodes; carbon by hour of the day, prices by quantile, memory of both."""
    with rc_context(SMALL):
        figure = Figure(figsize=(11, 6.6), layout="constrained")
        panels = figure.subplots(2, 3).flat
        _times(panels[0], gaps, "Faults of 400 nodes", "hours since the fleet's last fault")
        _times(panels[1], repairs, "Repairs", "hours until repaired")
        _nodes(panels[2], nodes)
        _day(panels[3], hours)
        _quantiles(panels[4], hours)
        _memory(panels[5], hours)
    return figure


def _times(axes: Axes, pair: Pair, title: str, label: str) -> None:
    least = 1 / 60
    _below(axes, np.maximum(pair.recorded, least), RECORDED, "recorded")
    _below(axes, np.maximum(pair.made, least), MADE, "drawn")
    axes.set_xscale("log")
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_ylabel("part of them")
    axes.set_ylim(0, 1.03)
    axes.legend(loc="upper left")


def _nodes(axes: Axes, pair: Pair) -> None:
    at = np.arange(len(pair.recorded)) / 60
    for values, shift, colour, label in ((pair.recorded, 0, RECORDED, "recorded"), (pair.made, 0, MADE, "drawn once")):
        axes.step(at, values + shift, where="post", color=colour, label=label, linewidth=0.8)
    axes.set_title("Spot nodes of a group of 16")
    axes.set_xlabel("hours")
    axes.set_ylabel("nodes up")
    axes.set_ylim(0, 19.5)
    axes.legend(loc="lower left", ncols=2)


def _day(axes: Axes, hours: Mapping[str, Pair]) -> None:
    for name, colour in zip(CARBON, COLOURS, strict=False):
        there, made = hours[name]
        axes.plot([np.nanmean(there[hour::24]) for hour in range(24)], color=colour, label=name.split()[1])
        axes.plot([made[hour::24].mean() for hour in range(24)], "--", color=colour)
    axes.set_title("Carbon, mean of each hour (dashed: generated)")
    axes.set_xlabel("hour of the day, UTC")
    axes.set_ylabel("g/kWh")
    axes.set_xticks(range(0, 25, 6))
    axes.set_ylim(bottom=0)
    axes.legend(ncols=3, loc="lower left")


def _quantiles(axes: Axes, hours: Mapping[str, Pair]) -> None:
    low, high = 0.0, 0.0
    for name, colour in zip(PRICES, COLOURS, strict=False):
        there, made = (np.nanquantile(values, PARTS) for values in hours[name])
        axes.plot(there, made, "o", color=colour, markersize=3, label=name.split()[1])
        low, high = min(low, there[0]), max(high, there[-1])
    axes.plot([low, high], [low, high], color="0.45", linewidth=0.8)
    for scale in (axes.set_xscale, axes.set_yscale):
        scale("symlog", linthresh=20)
    ticks = [-100, -10, 0, 10, 100, 1000]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_title("Prices, quantiles 0.1 to 99.9 %")
    axes.set_xlabel("recorded, USD/MWh")
    axes.set_ylabel("generated, USD/MWh")
    axes.legend(loc="upper left")


def _memory(axes: Axes, hours: Mapping[str, Pair]) -> None:
    for name, colour in zip(MEMORY, COLOURS, strict=False):
        for values, style in zip(hours[name], ("-", "--"), strict=True):
            scores = normal(values)
            label = name if style == "-" else None
            axes.plot(LAGS, [correlation(scores, lag) for lag in LAGS], style, color=colour, label=label)
    axes.set_title("Autocorrelation (dashed: generated)")
    axes.set_xlabel("lag, hours")
    axes.set_xticks(range(0, 97, 24))
    axes.set_ylim(top=1.22)
    axes.legend(loc="upper center", ncols=3, columnspacing=1, handlelength=1.2, fontsize=7)
