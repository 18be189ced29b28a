"""A comparison on the screen: a row for each policy, every difference with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.box import HORIZONTALS
from rich.text import Text

from . import fronts
from .entrants import BOUND
from .intervals import Interval
from .scores import MAIN, METRICS, SHORT
from .screen import number, out, print_table
from .standing import Standing, at

if TYPE_CHECKING:
    from .comparison import Comparison

STYLES = {"win": "green", "tie": "", "loss": "red", "unknown": "yellow", "oracle": ""}
SPARE = ("IQM", "better", "median JCT s", "p99 JCT s")
"""What a narrow screen does without, the first of them first."""


def show(done: Comparison) -> None:
    """Prints what was compared, what must be known of it, and a table for each load."""
    console, document = out(), done.document
    for line in (*about(document), *(f"note       {text}" for text in document["warnings"])):
        console.print(line, markup=False, soft_wrap=True)
    for load in done.loads:
        if len(done.loads) > 1:
            console.print(f"\nload {load:g}", markup=False)
        print_table(console, columns(), at(done.everybody, load), SPARE, box=HORIZONTALS, show_lines=True)
        for text in room_left(done, load):
            console.print(f"headroom   {text}", markup=False, soft_wrap=True)
        for text in fronts.said(at(done.everybody, load)):
            console.print(f"front      {text}", markup=False, soft_wrap=True)
    console.print(legend(done.reference, document["estimates"]), markup=False)


def room_left(done: Comparison, load: float) -> list[str]:
    """What there is to gain at most at one load, a sentence for each metric; one if that is not known."""
    told = [str(one) for one in done.headroom if one.load == load]
    return told or ["not known: everybody left jobs unfinished"]


def about(document: Mapping[str, Any]) -> list[str]:
    """What was compared, in a few lines."""
    cut, windows = document["provenance"]["split"], document["provenance"]["windows_sha256"][:16]
    counts = f"{document['windows']} of {document['jobs']} jobs after {document['warmup']} to warm up"
    seconds = f"seconds {cut['from_second']:,.0f} to {cut['to_second']:,.0f}"
    span = f"{cut['from']} to {cut['to']}" if cut["from"] else seconds
    world = f"{document['provenance']['scenario']}: {', '.join(document['provenance']['laws']) or 'no laws'}"
    scenario = [f"scenario   {world}"] if document["provenance"]["scenario"] else []
    return [
        f"trace      {document['provenance']['trace']}, {cut['part']} part: {cut['jobs']:,} jobs, {span}",
        f"cluster    {document['provenance']['cluster']}, {document['restarts']}",
        *scenario,
        f"estimates  {document['estimates']}",
        f"windows    {counts}; sha256 {windows}",
        f"load       {'; '.join(map(_load, document['by_load']))}",
    ]


def _load(said: Mapping[str, Any]) -> str:
    fast = "as fast as recorded" if said["load"] == 1.0 else f"{said['load']:g} times as fast as recorded"
    return f"submitted {fast}" + (f", offered {said['offered_load']:.2f} (median)" if said["offered_load"] else "")


def legend(reference: str, estimates: str) -> str:
    """How to read the table."""
    return (
        f"Means over windows; below each, times {reference}'s, with the paired bootstrap's 95 % interval. Win or loss: "
        "p below 5 %, after Holm's correction for all that were compared. IQM: interquartile mean of the slowdowns. "
        f"Better: probability that a window goes better than with {reference}. Estimates: {estimates}."
    )


def columns() -> dict[str, Callable[[Standing], Text]]:
    """Means over windows; under them the ratio to the reference's with its 95 % interval."""
    scores = {METRICS[metric].title: partial(_cell, metric) for metric in SHORT}
    return {"policy": _name, **scores, "IQM": _middle, "better": _better}


def _name(one: Standing) -> Text:
    return Text("\n".join([one.policy, *remarks(one)]))


def remarks(one: Standing) -> Iterator[str]:
    """What stands below a policy's name."""
    if one.oracle:
        yield "ORACLE"
    elif not one.duels:
        yield "reference"
    if len(one.members) > 1:
        yield f"{len(one.members)} seeds"


def _middle(one: Standing) -> Text:
    return Text("" if one.policy == BOUND else number(one.middles[MAIN].value, 2))


def _better(one: Standing) -> Text:
    duel = one.duels.get(MAIN)
    return Text("" if duel is None or one.oracle or duel.wins != duel.wins else f"{duel.improvement.value:.0%}")


def _cell(metric: str, one: Standing) -> Text:
    value = number(one.means[metric].value, METRICS[metric].digits)
    if (duel := one.duels.get(metric)) is None:
        return Text(value)
    said = "" if one.oracle else f"{duel.verdict} "
    return Text.assemble((said, STYLES[duel.verdict]), f"{value}\n{ranged(duel.ratio)}")


def ranged(one: Interval, digits: int = 3) -> str:
    """A value and its interval."""
    if not math.isfinite(one.value):
        return "-"
    digits = digits if one.high < 10 else 1
    return f"{one.value:,.{digits}f} [{one.low:,.{digits}f},{one.high:,.{digits}f}]"
