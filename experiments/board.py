"""A comparison on the screen: a row for each policy, every difference with its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from rich.box import HORIZONTALS
from rich.text import Text

from .intervals import Interval
from .screen import number, out, print_table
from .standing import MAIN, METRICS, Standing

STYLES = {"win": "green", "tie": "", "loss": "red", "unknown": "yellow"}
SPARE = ("IQM", "better", "median JCT s", "p99 JCT s")
"""What a narrow screen does without, the first of them first."""


def show(document: Mapping[str, Any], found: Sequence[Standing], reference: str) -> None:
    """Prints what was compared, what must be known of it, and the table."""
    console = out()
    for line in (*about(document), *(f"note       {text}" for text in document["warnings"])):
        console.print(line, markup=False, soft_wrap=True)
    print_table(console, columns(), found, SPARE, box=HORIZONTALS, show_lines=True)
    if document["jct_bound"] is not None:
        console.print(f"bound      no schedule has a mean JCT below {number(document['jct_bound'])} s", markup=False)
    if len(document["loads"]) > 1:
        others = ", ".join(f"{load:g}" for load in document["loads"][1:])
        console.print(f"loads      the table is of load {document['load']:g}; {others} are in the report", markup=False)
    console.print(legend(reference, document["estimates"]), markup=False)


def about(document: Mapping[str, Any]) -> list[str]:
    """What was compared, in a few lines."""
    cut, windows = document["provenance"]["split"], document["provenance"]["windows_sha256"][:16]
    counts = f"{document['windows']} of {document['jobs']} jobs after {document['warmup']} to warm up"
    offered = f", offered load {document['offered_load']:.2f} (median)" if document["offered_load"] else ""
    seconds = f"seconds {cut['from_second']:,.0f} to {cut['to_second']:,.0f}"
    span = f"{cut['from']} to {cut['to']}" if cut["from"] else seconds
    load = "" if document["load"] == 1.0 else f", submitted {document['load']:g} times as fast"
    world = f"{document['provenance']['scenario']}: {', '.join(document['provenance']['laws']) or 'no laws'}"
    scenario = [f"scenario   {world}"] if document["provenance"]["scenario"] else []
    return [
        f"trace      {document['provenance']['trace']}, {cut['part']} part: {cut['jobs']:,} jobs, {span}",
        f"cluster    {document['provenance']['cluster']}, {document['restarts']}",
        *scenario,
        f"estimates  {document['estimates']}",
        f"windows    {counts}{load}{offered}; sha256 {windows}",
    ]


def legend(reference: str, estimates: str) -> str:
    """How to read the table."""
    return (
        f"Means over windows; below each, times {reference}'s, with the paired bootstrap's 95 % interval. Win or loss: "
        "the interval of the difference excludes zero. IQM: interquartile mean of the slowdowns. Better: probability "
        f"that a window goes better than with {reference}. Estimates: {estimates}."
    )


def columns() -> dict[str, Callable[[Standing], Text]]:
    """Means over windows; under them the ratio to the reference's with its 95 % interval."""
    scores = {f"{words} {unit}".strip(): partial(_cell, metric) for metric, (words, unit) in METRICS.items()}
    return {"policy": _name, **scores, "IQM": _middle, "better": _better}


def _name(one: Standing) -> Text:
    words = [] if one.duels else ["reference"]
    words += ["ORACLE"] * one.oracle + [f"{one.seeds} seeds"] * (one.seeds > 1)
    return Text("\n".join([one.policy, *words]))


def _middle(one: Standing) -> Text:
    return Text(number(one.middles[MAIN].value, 2))


def _better(one: Standing) -> Text:
    duel = one.duels.get(MAIN)
    return Text("" if duel is None or duel.wins != duel.wins else f"{duel.improvement.value:.0%}")


def _cell(metric: str, one: Standing) -> Text:
    value = number(one.means[metric].value, 2 if metric == MAIN else 0)
    if (duel := one.duels.get(metric)) is None:
        return Text(value)
    return Text.assemble((f"{duel.verdict} ", STYLES[duel.verdict]), f"{value}\n{ranged(duel.ratio)}")


def ranged(one: Interval, digits: int = 3) -> str:
    """A value and its interval."""
    if one.value != one.value:
        return "-"
    digits = digits if one.high < 10 else 1
    return f"{one.value:,.{digits}f} [{one.low:,.{digits}f},{one.high:,.{digits}f}]"
