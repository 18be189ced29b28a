"""The figures of a comparison, as SVG text or PNG bytes that a page can hold within itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .intervals import profile
from .scores import MAIN, METRICS, SHORT
from .standing import Standing, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "text.color": "0.13",
    "axes.edgecolor": "0.45",
    "svg.hashsalt": "gpuyard",
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, which colour-blind readers can tell apart."""
VERDICTS = {"win": "#009E73", "tie": "#777777", "loss": "#D55E00", "unknown": "#777777", "oracle": "#666666"}
GREY = "#666666"
UNFINISHED = "left jobs unfinished"
MANY = 2000
"""Points beyond which they are drawn as an image: each by itself would make megabytes."""
LONGEST = 28
"""Letters of a policy's name that a figure has room for."""


def svg(figure: Figure) -> str:
    """The figure as an <svg> element; nothing in it points outside, nothing depends on when it was drawn."""
    text = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as PNG, for what has too many parts to be drawn as lines."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi)
    return data.getvalue()


def ratios(found: Sequence[Standing], reference: str) -> Figure:
    """Dots and whiskers: each policy's mean over the reference's, a panel for each metric, on a logarithmic axis.

    Oracles stand below the others, hollow.
    """
    others = [one for one in found if one.duels]
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 1.5 + 0.36 * len(others)), layout="constrained")
        panels = figure.subplots(1, len(SHORT), sharey=True)
        for axes, metric in zip(panels, SHORT, strict=True):
            axes.axvline(1.0, color="0.2", linewidth=1)
            for row, one in enumerate(others):
                _whisker(axes, row, one, metric)
            axes.set_title(METRICS[metric].words)
            log_axis(axes)
        panels[0].set_yticks(range(len(others)), [short(one.policy) for one in others])
        panels[0].set_ylim(len(others) - 0.5, -0.5)
        figure.supxlabel(f"times {short(reference)}'s (left of 1 is better)", fontsize=10)
    return figure


def spreads(found: Sequence[Standing]) -> Figure:
    """A box and every window's score for each policy, of all its seeds, logarithmic."""
    rng = np.random.default_rng(0)
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 1.3 + 0.42 * len(found)), layout="constrained")
        axes = figure.subplots()
        many = sum(one.runs[MAIN].size for one in found) > MANY
        for row, (one, colour) in enumerate(zip(found, colours(found), strict=True)):
            scores = one.runs[MAIN][np.isfinite(one.runs[MAIN])]
            at = row + rng.uniform(-0.18, 0.18, len(scores))
            size, alpha = (5, 0.35) if many else (14, 0.6)
            axes.scatter(scores, at, s=size, color=colour, alpha=alpha, linewidths=0, rasterized=many)
            if not len(scores):
                axes.annotate(
                    UNFINISHED, (0, row), (6, 0), ("axes fraction", "data"), "offset points", va="center", fontsize=8
                )
            else:
                axes.boxplot(scores, positions=[row], orientation="horizontal", widths=0.55, showfliers=False, **_box())
        axes.set_yticks(range(len(found)), [short(one.policy) for one in found])
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.set_xlabel(f"{METRICS[MAIN].words} of a window (left is better)")
        log_axis(axes)
    return figure


def profiles(found: Sequence[Standing]) -> Figure:
    """In which share of windows is each policy within a factor of the best of them? Oracles do not take part."""
    whole = [one for one in ranked(found) if np.isfinite(one.runs[MAIN]).all()]
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 3.8), layout="constrained")
        axes = figure.subplots()
        if whole:
            scores = np.stack([one.scores() for one in whole])
            most = max(1.1, min(1.05 * float((scores / scores.min(0)).max()), 100.0))
            taus = np.geomspace(1.0, most, 400)
            styles = zip(profile(scores, taus), colours(whole), dashes(len(whole)), whole, strict=True)
            for shares, colour, dash, one in styles:
                axes.plot(taus, shares, color=colour, linestyle=dash, linewidth=1.8, label=short(one.policy))
            axes.set_xlim(1.0, most)
            axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        axes.set_xscale("log")
        axes.set_ylim(0, 1.03)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda part, _: f"{part:.0%}"))
        axes.set_ylabel("share of windows")
        axes.set_xlabel(f"{METRICS[MAIN].words}, at most so many times the best policy's on the same window")
        _log_ticks(axes)
    return figure


def short(name: str) -> str:
    """A policy's name, its beginning left out where it is too long: the end of a path tells more."""
    return name if len(name) <= LONGEST else "…" + name[1 - LONGEST :]


def _whisker(axes: Axes, row: int, one: Standing, metric: str) -> None:
    duel = one.duels[metric]
    colour = VERDICTS[duel.verdict]
    if not np.isfinite(duel.ratio.value):
        words = "not known" if one.oracle else UNFINISHED
        axes.annotate(words, (1.0, row), (4, 0), textcoords="offset points", va="center", fontsize=8)
        return
    style: Any = {"marker": "D", "markerfacecolor": "white", "markersize": 5} if one.oracle else {"marker": "o"}
    axes.plot([duel.ratio.low, duel.ratio.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot(duel.ratio.value, row, color=colour, **style)


def log_axis(axes: Axes) -> None:
    """A logarithmic axis around what was drawn, however near together it lies."""
    low, high = axes.dataLim.intervalx
    if not 0.0 < low <= high < np.inf:
        low = high = 1.0
    room = max((high / low) ** 0.05, 1.1 if high / low < 1.2 else 1.0)
    axes.set_xscale("log")
    axes.set_xlim(low / room, high * room)
    _log_ticks(axes)


def _log_ticks(axes: Axes) -> None:
    """A few round numbers, however many decades there are."""
    low, high = axes.get_xlim()
    decades = np.log10(high / low)
    if decades < 0.5:
        step = next(s for s in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0) if (high - low) / s <= 5 or s == 10.0)
        axes.set_xticks(np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step)
    else:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1,), numticks=8))
        axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _box() -> dict[str, Any]:
    line = {"color": "0.25", "linewidth": 1}
    return {"boxprops": line, "whiskerprops": line, "capprops": line, "medianprops": {"color": "0.1", "linewidth": 2}}


def colours(found: Sequence[Standing]) -> list[str]:
    """A colour for each policy; oracles are grey."""
    return [GREY if one.oracle else colour for one, colour in zip(found, cycle(COLOURS), strict=False)]


def dashes(count: int) -> list[str]:
    """Another dash each time that the colours begin again."""
    return [("-", "--", ":", "-.")[number // len(COLOURS) % 4] for number in range(count)]
