"""Figures of a comparison across loads, across what it costs, and across whom it serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from .figures import COLOURS, STYLE, colours, dashes, short
from .groups import KINDS
from .intervals import Interval
from .scores import CENTRAL, METRICS
from .standing import Standing, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

JCT = "mean_jct"
COSTS = ("p99_bounded_slowdown", "energy_kwh", "carbon_kg", "usd")
"""What completion times are traded for: the patience of those who wait longest, and what the meter tells."""
WIDE = 2
"""Panels in a row."""
MARKERS = "osD^"
"""Another shape of dot each time that the colours begin again."""
FEW = 4
"""Policies whose bands can be told apart."""


def loads(found: Sequence[Standing]) -> Figure:
    """Each policy's mean at each load, a panel for each central metric. Oracles are dotted grey.

    Bands are 95 % intervals, where there are few enough policies to tell them apart.
    """
    names = list(dict.fromkeys(one.policy for one in found))
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        panels = figure.subplots(1, len(CENTRAL))
        first = [next(one for one in found if one.policy == name) for name in names]
        for axes, metric in zip(panels, CENTRAL, strict=True):
            for one, colour, dash in zip(first, colours(first), dashes(len(first)), strict=True):
                mine = [other for other in found if other.policy == one.policy]
                _line(axes, mine, metric, colour, ":" if one.oracle else dash)
                if len(names) <= FEW:
                    _band(axes, mine, metric, colour)
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_title(METRICS[metric].title)
            axes.set_xlabel("load: submitted so many times as fast as recorded")
            axes.set_xticks(sorted({one.load for one in found}))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def _line(axes: Axes, mine: Sequence[Standing], metric: str, colour: str, dash: str) -> None:
    x, means = zip(*sorted((one.load, one.means[metric].value) for one in mine), strict=True)
    axes.plot(x, means, dash, color=colour, marker="o", markersize=4, linewidth=1.7, label=short(mine[0].policy))


def _band(axes: Axes, mine: Sequence[Standing], metric: str, colour: str) -> None:
    edges = sorted((one.load, one.means[metric].low, one.means[metric].high) for one in mine)
    x, low, high = zip(*edges, strict=True)
    axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)


def traded(found: Sequence[Standing]) -> list[str]:
    """The costs that are known of two policies or more."""
    known = {cost: [one for one in ranked(found) if np.isfinite(one.means[cost].value)] for cost in COSTS}
    return [cost for cost, some in known.items() if len(some) > 1 and any(one.means[cost].value for one in some)]


def front(points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which points, shape (n, 2), no other is as good as in both ways and better in one; less is better."""
    other, own = points[None], points[:, None]
    beaten = np.all(other <= own, axis=2) & np.any(other < own, axis=2)
    best: npt.NDArray[np.bool_] = ~np.any(beaten, axis=1)
    return best


def trades(found: Sequence[Standing], reference: str) -> Figure:
    """Completion time against the slowest jobs, energy, carbon and money, where they are known, with 95 % intervals.

    All are told as times the reference's. Full dots are on the Pareto front: no other policy's mean is as small in both
    and smaller in one. Oracles are not shown.
    """
    costs, here = traded(found), ranked(found)
    with rc_context(STYLE):
        rows = max(-(-len(costs) // WIDE), 1)
        figure = Figure(figsize=(11, 0.6 + 3.8 * rows), layout="constrained")
        for number, cost in enumerate(costs):
            axes = figure.add_subplot(rows, min(WIDE, len(costs)), number + 1)
            _trade(axes, here, cost)
            axes.set_xlabel(f"{METRICS[cost].words}, times {short(reference)}'s")
            axes.set_ylabel(f"{METRICS[JCT].words}, times {short(reference)}'s")
        if costs:
            handles, labels = figure.axes[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def _trade(axes: Axes, here: Sequence[Standing], cost: str) -> None:
    points = np.array([[_times(one, cost).value, _times(one, JCT).value] for one in here])
    known = np.isfinite(points).all(1)
    best = known & front(np.where(known[:, None], points, np.inf))
    for at, (one, colour, full, (x, y)) in enumerate(zip(here, colours(here), best, points, strict=True)):
        bars: Any = {"xerr": _arms(_times(one, cost)), "yerr": _arms(_times(one, JCT)), "elinewidth": 1}
        dot: Any = {"markerfacecolor": colour if full else "white", "markersize": 7, "label": short(one.policy)}
        axes.errorbar(x, y, **bars, **dot, fmt=MARKERS[at // len(COLOURS) % len(MARKERS)], color=colour)
    _scaled(axes, points[known])
    order = points[best][np.argsort(points[best][:, 0])]
    axes.plot(order[:, 0], order[:, 1], color="0.5", linewidth=1, linestyle="--", zorder=0)


def _scaled(axes: Axes, points: npt.NDArray[np.float64]) -> None:
    """A few plain numbers at either axis, which is logarithmic where some values are many times as much as others."""
    for axis, values, scale in zip((axes.xaxis, axes.yaxis), points.T, (axes.set_xscale, axes.set_yscale), strict=True):
        axis.set_major_locator(MaxNLocator(5))
        if _wide(values):
            scale("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axis.set_minor_formatter(NullFormatter())


def _wide(values: npt.NDArray[np.float64]) -> bool:
    """Whether some are so many times as much as others that an axis had better be logarithmic."""
    return bool(len(values) and values.min() > 0 and values.max() > 4 * values.min())


def _times(one: Standing, metric: str) -> Interval:
    """Times the reference's; the reference itself is 1, where it is known."""
    return one.duels[metric].ratio if one.duels else Interval(1.0, 1.0, 1.0)


def _arms(one: Interval) -> list[list[float]]:
    return [[max(one.value - one.low, 0.0)], [max(one.high - one.value, 0.0)]]


def served(found: Sequence[Standing], kind: str, reference: str) -> Figure:
    """Mean completion time of each group's jobs over the reference's: green is better, orange worse."""
    others = [one for one in found if one.duels and one.groups[kind]]
    names = list(next(one for one in found if one.policy == reference).groups[kind])
    values = np.array([[_ratio(one, kind, name) for name in names] for one in others]).reshape(len(others), len(names))
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(11, 1.5 + 0.36 * len(others)), layout="constrained")
        axes = figure.subplots()
        shown = np.log2(np.where(np.isfinite(values) & (values > 0), values, np.nan))
        limit = max(0.5, float(np.nanmax(np.abs(shown), initial=0.0))) if np.isfinite(shown).any() else 0.5
        axes.imshow(np.ma.masked_invalid(shown), cmap=colormaps["BrBG_r"], vmin=-limit, vmax=limit, aspect="auto")
        for row, col in np.ndindex(values.shape):
            dark = abs(shown[row, col]) > 0.7 * limit
            text = f"{values[row, col]:.2f}" if np.isfinite(values[row, col]) else "-"
            axes.text(col, row, text, ha="center", va="center", fontsize=9, color="white" if dark else "0.1")
        axes.set_xticks(range(len(names)), [short(name) for name in names])
        axes.set_yticks(range(len(others)), [short(one.policy) for one in others])
        axes.set_xlabel(KINDS[kind])
        axes.set_title(f"mean JCT, times {short(reference)}'s")
        axes.tick_params(length=0)
    return figure


def _ratio(one: Standing, kind: str, name: str) -> float:
    group = one.groups[kind].get(name)
    return float("nan") if group is None or group.jct_ratio is None else group.jct_ratio.value
