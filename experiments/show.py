"""`gpuyard show`: a session's log as a picture, in the terminal and as PNG, and all that can be measured from it."""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE
from rich.text import Text

from ..envs.log import Log
from ..envs.metrics import Summary, Tally, Work, divided, told
from ..envs.picture import draw
from ..envs.sketch import sketch
from ..envs.story import Story, read
from ..envs.timeline import Timeline, timeline
from ..traces.trouble import BadInput
from .options import command_of, option
from .screen import hours, number, out, print_table, share

ENDINGS = (".png", ".svg", ".pdf")
MOST = 12
"""Tenants in the table, those that held the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Show a session's log: who stood where, the queue, what was in use, power, and all metrics.

    LOG is what `simulate --log` and `run` write. The picture is drawn in the terminal and as a file beside the log.
    Times are in seconds, work is in hours of one accelerator, and what the log does not tell is "-" (null in JSON).
    """

    log: Path = option(help="A log of events and decisions.", flag="LOG")
    out: Path | None = option(None, help="Draw here (.png, .svg, .pdf); LOG's name with .png if not given.")
    rows: int = option(24, help="Rows of occupancy in the terminal, at most.")
    json: bool = option(False, help="One JSON object with all metrics on stdout; a picture only where --out says.")

    def __post_init__(self) -> None:
        """Raises BadInput for what cannot be drawn."""
        if self.out is not None and self.out.suffix.lower() not in ENDINGS:
            raise BadInput(f"--out {self.out}: ends in none of {', '.join(ENDINGS)}; give it one of these endings")
        if self.rows < 1:
            raise BadInput(f"--rows {self.rows}: give 1 or more")


def run(args: Show) -> None:
    """Prints the picture and the tables, or one JSON object, and draws the file. Raises BadInput."""
    log = Log.read(args.log)
    story, line = followed(log, args.log)
    whole, groups = told(story, log), divided(story, log)
    path = args.out or (None if args.json else args.log.with_name(args.log.stem + ".png"))
    if path is not None:
        drawn(line, path)
    if args.json:
        click.echo(json.dumps(document(args, path, whole, groups), indent=2, allow_nan=False))
    else:
        show(args, line, whole, groups)
        out().print(f"picture    {path}", markup=False, soft_wrap=True)


def followed(log: Log, path: Path) -> tuple[Story, Timeline]:
    """What a log tells. Raises BadInput for one whose entries do not follow from each other."""
    try:
        return read(log), timeline(log)
    except (KeyError, ValueError, AssertionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise BadInput(f"{path}: its entries do not follow from each other ({what}); is it one whole log?") from None


def drawn(line: Timeline, path: Path) -> None:
    """Draws the file. Raises BadInput if it cannot be written."""
    try:
        draw(line, path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); choose another --out") from None


def document(
    args: Show, path: Path | None, whole: Summary, groups: Mapping[str, Mapping[str, Tally]]
) -> dict[str, Any]:
    """The JSON object. Times in seconds, work in accelerator-seconds."""
    parts = {by: {name: one.as_dict() for name, one in some.items()} for by, some in groups.items()}
    return {"log": str(args.log), "picture": None if path is None else str(path), **whole.as_dict(), **parts}


Row = tuple[str, Tally]
COLUMNS: dict[str, Callable[[Row], Text]] = {
    "which": lambda row: Text(row[0]),
    "jobs": lambda row: Text(number(row[1].jobs)),
    "failed": lambda row: Text(number(row[1].failed)),
    "cancelled": lambda row: Text(number(row[1].cancelled)),
    "mean\nJCT s": lambda row: Text(number(row[1].mean_jct)),
    "median\nJCT s": lambda row: Text(number(row[1].median_jct)),
    "p95\nJCT s": lambda row: Text(number(row[1].p95_jct)),
    "p99\nJCT s": lambda row: Text(number(row[1].p99_jct)),
    "mean\nwait s": lambda row: Text(number(row[1].mean_wait)),
    "p95\nwait s": lambda row: Text(number(row[1].p95_wait)),
    "mean bounded\nslowdown": lambda row: Text(number(row[1].mean_bounded_slowdown, 2)),
    "pre-\nempted": lambda row: Text(number(row[1].preemptions)),
    "lost\nplace": lambda row: Text(number(row[1].losses)),
    "deadlines\nmet": lambda row: Text(share(row[1].deadlines_met)),
    "worst\nrho": lambda row: Text(number(row[1].max_rho, 2)),
    "held\nacc. h": lambda row: Text(hours(row[1].work.held)),
}
SPARE = (
    "p99\nJCT s", "median\nJCT s", "cancelled", "p95\nwait s", "failed", "lost\nplace", "pre-\nempted",
    "deadlines\nmet", "mean\nwait s", "held\nacc. h",
)  # fmt: skip
"""What a narrow screen does without, the first of them first."""


def show(args: Show, line: Timeline, whole: Summary, groups: Mapping[str, Mapping[str, Tally]]) -> None:
    """Prints the picture, what is of the whole run, and a row for each part of the jobs."""
    console = out()
    console.print(sketch(line, console.width, args.rows), no_wrap=True, overflow="crop")
    console.print()
    for text in facts(whole):
        console.print(text, markup=False, soft_wrap=True)
    gangs, tenants = groups["by_gang"], groups["by_tenant"]
    largest = sorted(tenants, key=lambda name: -tenants[name].work.held)[:MOST]
    rows: list[Row] = [("all", whole), *((f"gang {name}", one) for name, one in gangs.items())]
    rows += [(f"tenant {name}", tenants[name]) for name in largest if len(tenants) > 1]
    columns = {title: cell for title, cell in COLUMNS.items() if any(cell(row).plain not in ("-", "0") for row in rows)}
    print_table(console, columns, rows, [title for title in SPARE if title in columns], box=SIMPLE)
    if len(tenants) > MOST:
        console.print(f"{len(tenants) - MOST:,} smaller tenants are left out; --json has all", markup=False)


def facts(whole: Summary) -> Iterator[str]:
    """What is of the whole run, in a few lines; what is not known is left out."""
    left = whole.jobs - whole.finished - whole.failed - whole.cancelled
    ends = {"finished": whole.finished, "failed": whole.failed, "cancelled": whole.cancelled, "not ended": left}
    yield f"jobs       {whole.jobs:,}: {', '.join(f'{n:,} {what}' for what, n in ends.items() if n) or 'none ended'}"
    yield f"makespan   {number(whole.makespan)} s, {whole.decisions:,} decisions"
    parts = (
        ("held {} of what was up", whole.utilization),
        ("measured busy {}", whole.measured_utilization),
        ("goodput {}", whole.goodput),
        ("fragments {} of what was free", whole.fragmentation),
    )
    if use := _said((text, None if value is None else share(value)) for text, value in parts):
        yield f"use        {use}"
    yield f"work       {work(whole.work)}"
    stops = {"preempted": whole.preemptions, "lost": whole.losses, "restarts": whole.restarts}
    stops |= {"moves": whole.moves, "resizes": whole.resizes}
    if any(stops.values()):
        yield f"stops      {', '.join(f'{count:,} {what}' for what, count in stops.items() if count)}"
    if whole.max_rho is not None:
        spread = f"p95 {number(whole.p95_rho, 2)}, Jain {number(whole.jain, 3)}"
        yield f"fairness   T shared / T isolated at most {number(whole.max_rho, 2)}, {spread}"
    costs = (("{} kWh", whole.energy_kwh), ("{} kg CO2", whole.carbon_kg), ("{} USD", whole.usd))
    if cost := _said((text, None if value is None else number(value, 2)) for text, value in costs):
        yield f"cost       {cost}"


def _said(parts: Iterable[tuple[str, str | None]]) -> str:
    return ", ".join(text.format(value) for text, value in parts if value is not None)


def work(spent: Work) -> str:
    """Where accelerator-hours went."""
    told = f"held {hours(spent.held)} accelerator-hours: kept {hours(spent.kept)}, overhead {hours(spent.overhead)}"
    if spent.under_way:
        told += f", under way {hours(spent.under_way)}"
    if spent.lost is None:
        return f"{told}; nobody can tell what was lost"
    causes = ", ".join(f"{cause} {hours(seconds)}" for cause, seconds in spent.lost.items() if seconds)
    return f"{told}, lost {hours(sum(spent.lost.values()))}" + (f" ({causes})" if causes else "")


command = command_of(
    Show,
    run,
    examples="""
    gpuyard show fifo.jsonl
    gpuyard show runs/live-20260101-120000/session.jsonl --out session.svg
    gpuyard show fifo.jsonl --json
    """,
)
