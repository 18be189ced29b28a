"""The tables of a report: scores, differences, costs, loads, and whom each policy served. Cells are HTML already."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from html import escape

from .board import ranged, remarks
from .entrants import BOUND
from .groups import Group
from .intervals import Duel, Interval
from .scores import CENTRAL, MAIN, METRICS, OTHERS, SHORT, TIMES
from .screen import number
from .standing import Standing, at, named, ranked, told

VERDICTS = {"win": "better", "tie": "no difference shown", "loss": "worse", "unknown": "not known in every window"}


def by_load(found: Sequence[Standing], section: Callable[[Sequence[Standing]], str]) -> str:
    """A section for each load, under a heading of its own where there are several."""
    loads = list(dict.fromkeys(one.load for one in found))
    heads = [f"<h3>Load {load:g}</h3>" if len(loads) > 1 else "" for load in loads]
    return "\n".join(head + section(at(found, load)) for head, load in zip(heads, loads, strict=True))


def lead(found: Sequence[Standing], reference: str, several: bool = False) -> str:
    """The finding at one load (of several) in one sentence, losses as plainly as wins."""
    parts = []
    for verdict, words in VERDICTS.items():
        if names := [one.policy for one in ranked(found) if one.duels and one.duels[MAIN].verdict == verdict]:
            parts.append(f'<span class="{verdict}">{words}</span>: {escape(", ".join(names))}')
    load = f"At load {found[0].load:g}, against" if several else "Against"
    return f"<p>{load} <b>{escape(reference)}</b>, by {METRICS[MAIN].words} &ndash; {'; '.join(parts)}.</p>"


def scores(found: Sequence[Standing]) -> str:
    """Means, ratios to the reference's below them."""
    rows = []
    for one in found:
        middle = f"{number(one.middles[MAIN].value, 2)}<small>{escape(_range(one.middles[MAIN], 2))}</small>"
        told = [_score(one, metric) for metric in TIMES]
        rows.append([_name(one), told[0], "-" if one.policy == BOUND else middle, *told[1:]])
    first, *rest = (about.title for about in TIMES.values())
    return table(["policy", first, "interquartile mean of them", *rest], rows, _oracles(found))


def differences(found: Sequence[Standing]) -> str:
    """Paired differences, with verdicts."""
    rows = []
    for one in ranked(found):
        if one.duels:
            duel = one.duels[MAIN]
            cells = [_difference(one, metric) for metric in SHORT]
            rows.append([_name(one), *cells, _percent(duel.improvement), _wins(duel)])
    return table(["policy", *(METRICS[m].title for m in SHORT), "probability of improvement", "wins"], rows)


def others(found: Sequence[Standing]) -> str:
    """What the world knows beside times: energy, carbon, money, fairness, deadlines, use, preemptions."""
    metrics, who = told(found, OTHERS), [one for one in found if one.policy != BOUND]
    rows = [
        [_name(one), *(_score(one, m) for m in metrics), number(one.longest_wait), number(one.wall_seconds, 2)]
        for one in who
    ]
    head = ["policy", *(METRICS[metric].title for metric in metrics), "longest wait s", "simulation s"]
    return table(head, rows, _oracles(who))


def loads(found: Sequence[Standing]) -> str:
    """A column for each load under each central metric."""
    every = list(dict.fromkeys(one.load for one in found))
    rows = []
    for name in dict.fromkeys(one.policy for one in found):
        mine = [named(at(found, load), name) for load in every]
        rows.append([_name(mine[0]), *(_score(one, metric) for metric in CENTRAL for one in mine)])
    head = [f"{METRICS[metric].title}, load {load:g}" for metric in CENTRAL for load in every]
    return table(["policy", *head], rows, _oracles(at(found, every[0])))


def served(found: Sequence[Standing], kind: str, reference: str) -> str:
    """How each group's jobs fared: mean completion time and slowdown, and the ratio to the reference's."""
    groups = named(found, reference).groups[kind]
    rows = [
        [_name(one), *(_group(one.groups[kind].get(name), one.oracle) for name in groups)]
        for one in found
        if one.groups[kind]
    ]
    jobs = [f"{'gang of ' * (kind == 'gang')}{name}\n{number(group.jobs)} jobs" for name, group in groups.items()]
    return table(["policy", *jobs], rows, _oracles([one for one in found if one.groups[kind]]))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], oracles: Collection[int] = ()) -> str:
    """A table; cells are HTML already, heads are text (in lines). Rows of oracles look other than the rest."""
    top = "".join(f"<th>{escape(cell).replace(chr(10), '<br>')}</th>" for cell in head)
    body = "".join(_row(row, number in oracles) for number, row in enumerate(rows))
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(cells: Sequence[str], oracle: bool) -> str:
    start = '<tr class="oracle">' if oracle else "<tr>"
    return start + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _oracles(found: Sequence[Standing]) -> set[int]:
    return {row for row, one in enumerate(found) if one.oracle}


def _name(one: Standing) -> str:
    return escape(one.policy) + "".join(f"<small>{escape(text)}</small>" for text in remarks(one))


def _score(one: Standing, metric: str) -> str:
    value = number(one.means[metric].value, METRICS[metric].digits)
    if (duel := one.duels.get(metric)) is None or not math.isfinite(duel.ratio.value):
        return value
    return f"{value}{_times(duel.ratio, duel.verdict)}"


def _times(ratio: Interval, verdict: str) -> str:
    """A ratio to the reference's, its interval below it: a column that is narrow enough for eight of them."""
    value, _, rest = ranged(ratio).partition(" ")
    return f'<small class="{verdict}">&times; {value}</small><small class="{verdict}">{rest.replace(",", ", ")}</small>'


def _difference(one: Standing, metric: str) -> str:
    duel, digits = one.duels[metric], METRICS[metric].digits
    p = "" if duel.corrected != duel.corrected else f", p {chance(duel.corrected)}"
    words = f'<small class="{duel.verdict}">{VERDICTS[duel.verdict]}{p}</small>'
    return f"{_signed(duel.difference.value, digits)}<small>{_range(duel.difference, digits, _signed)}</small>{words}"


def chance(p: float) -> str:
    """A p-value for a table."""
    return "&lt; 0.001" if p < 0.001 else f"{p:.3f}"


def _group(one: Group | None, oracle: bool) -> str:
    if one is None or one.jct != one.jct:
        return "-"
    value = f"{number(one.jct)} s"
    if one.jct_ratio is None:
        return f"{value}<small>slowdown {number(one.slowdown, 2)}</small>"
    sign = "win" if one.jct_ratio.high < 1 else "loss" if one.jct_ratio.low > 1 else "tie"
    ratio = _times(one.jct_ratio, "oracle" if oracle else sign)
    return f"{value}{ratio}<small>slowdown {number(one.slowdown, 2)}</small>"


def _range(one: Interval, digits: int, form: Callable[[float, int], str] = number) -> str:
    return "" if one.value != one.value else f"[{form(one.low, digits)}, {form(one.high, digits)}]"


def _percent(one: Interval) -> str:
    return "-" if one.value != one.value else f"{one.value:.0%}<small>[{one.low:.0%}, {one.high:.0%}]</small>"


def _wins(duel: Duel) -> str:
    if duel.wins != duel.wins:
        return "-"
    return f"{duel.wins:.0%}" + (f"<small>{duel.ties:.0%} equal</small>" if duel.ties else "")


def _signed(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:+,.{digits}f}".replace("-", "−")
