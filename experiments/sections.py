"""What a report says beside its main tables: other measures, loads, tenants and gangs, what one pays for another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ..envs.metrics import breakdown
from .board import ranged
from .contest import Contest
from .figures import COLOURS, STYLE, short
from .screen import number
from .standing import MAIN, METRICS, OTHERS, Standing

WINDOWS = 8
"""Windows that are played again to tell tenants and gangs apart: logs are not kept."""
MARKERS = "os^D"
PRICES = {"carbon_kg": "carbon, kg CO2e", "usd": "money, USD", "energy_kwh": "energy, kWh"}


def others(found: Sequence[Standing]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of other measures: those that every policy told, and that are not all alike."""
    names = [name for name in OTHERS if all(name in one.others for one in found)]
    names = [name for name in names if len({one.others[name].value for one in found}) > 1]
    head = ["policy", *(f"{words} {unit}".strip() for words, unit in (OTHERS[name] for name in names))]
    return head, [[escape(one.policy), *(_cell(one, name) for name in names)] for one in found]


def _cell(one: Standing, name: str) -> str:
    value = one.others[name]
    digits = 2 if abs(value.high) < 100 else 0
    return f"{number(value.value, digits)}<small>[{number(value.low, digits)}, {number(value.high, digits)}]</small>"


def loads(by_load: Mapping[float, Sequence[Standing]]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table by load: the main metric, with the ratio to the reference's below."""
    head = ["policy", *(f"load x {load:g}" for load in by_load)]
    rows = []
    for at, one in enumerate(next(iter(by_load.values()))):
        cells = [escape(one.policy)]
        for found in by_load.values():
            mine = found[at]
            duel = mine.duels.get(MAIN)
            below = "" if duel is None else f'<small class="{duel.verdict}">{escape(ranged(duel.ratio))}</small>'
            cells.append(f"{number(mine.means[MAIN].value, 2)}{below}")
        rows.append(cells)
    return head, rows


def load_figure(by_load: Mapping[float, Sequence[Standing]]) -> Figure:
    """The main metric over the load, a line for each policy; oracles dotted."""
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 3.8), layout="constrained")
        axes = figure.subplots()
        for at, one in enumerate(next(iter(by_load.values()))):
            values = [found[at].means[MAIN].value for found in by_load.values()]
            style = ":" if one.oracle else ("-", "--")[at // len(COLOURS) % 2]
            axes.plot(
                list(by_load), values, style, marker="o", color=COLOURS[at % len(COLOURS)], label=short(one.policy)
            )
        axes.set_yscale("log")
        for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            set_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
        axes.set_xlabel("submitted so many times as fast as recorded")
        axes.set_ylabel(METRICS[MAIN][0])
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def groups(contest: Contest, pair: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """For tenants and for gangs: a title, and head and rows of mean JCT and bounded slowdown of two policies.

    `pair` are their names and the policies that are played for them, on the first windows of the contest.
    """
    count = min(WINDOWS, len(contest.windows) // contest.loads)
    told = {name: [breakdown(contest.play(member, window)) for window in range(count)] for name, member in pair}
    for by, title in (("by_tenant", "tenant"), ("by_gang", "gang")):
        names = list(dict.fromkeys(n for some in told.values() for one in some for n in one[by]))
        if len(names) < 2:
            continue
        head = [title, "jobs", *(f"{metric} under {name}" for name, _ in pair for metric in ("JCT s", "slowdown"))]
        rows = []
        for part in sorted(names, key=_order):
            cells = [escape(part)]
            for position, (name, _) in enumerate(pair):
                some = [one[by][part] for one in told[name] if part in one[by]]
                jobs = np.array([one.jobs for one in some], np.float64)
                if not position:
                    cells.append(number(float(jobs.sum()), 0))
                cells += [_mean([one.mean_jct for one in some], jobs, 0)]
                cells += [_mean([one.mean_bounded_slowdown for one in some], jobs, 2)]
            rows.append(cells)
        yield f"By {title}", head, rows


def _order(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (0, name)


def _mean(values: Sequence[float | None], jobs: np.ndarray, digits: int) -> str:
    known = [(value, weight) for value, weight in zip(values, jobs.tolist(), strict=True) if value is not None]
    total = sum(weight for _, weight in known)
    return number(sum(v * w for v, w in known) / total, digits) if total else "-"


def front(points: np.ndarray) -> np.ndarray:
    """Which points no other one dominates: shape (n, objectives), smaller is better -> bool of shape (n,)."""
    no_worse = np.all(points[None] <= points[:, None], axis=2)
    better = np.any(points[None] < points[:, None], axis=2)
    kept: np.ndarray = ~np.any(no_worse & better, axis=1)
    return kept


def pareto(found: Sequence[Standing]) -> Figure | None:
    """Mean JCT against carbon, money and energy, where they are known; who is on the front of a panel is filled."""
    able = [one for one in found if not one.oracle and np.isfinite(one.means["mean_jct"].value)]
    known = [name for name in PRICES if len({one.others[name].value for one in able if name in one.others}) > 1]
    if len(able) < 2 or not known:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        for axes, name in zip(np.atleast_1d(figure.subplots(1, len(known))), known, strict=True):
            mine = [one for one in able if name in one.others]
            points = np.array([[one.means["mean_jct"].value, one.others[name].value] for one in mine])
            on = front(points)
            for at, (one, (jct, price)) in enumerate(zip(mine, points.tolist(), strict=True)):
                colour = COLOURS[at % len(COLOURS)]
                style = MARKERS[at // len(COLOURS) % len(MARKERS)]
                fill = "full" if on[at] else "none"
                axes.plot(jct, price, style, color=colour, markersize=7, fillstyle=fill, label=short(one.policy))
            axes.set_xlabel("mean JCT, s")
            axes.set_ylabel(PRICES[name])
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure
