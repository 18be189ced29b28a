"""What is said while work goes on and when it is done: results on stdout, progress on stderr and only to a person."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, TypeVar

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

R = TypeVar("R")
WIDTH = 120
"""Columns where nobody looks: a file, a pipe."""


def out() -> Console:
    """Where results go."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, emoji=False)


def say(text: str) -> None:
    """Says something that is not the result: one line on stderr."""
    Console(stderr=True, highlight=False, emoji=False, soft_wrap=True).print(text, markup=False)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows a bar with the time that is left, on a terminal; yields what tells it how much is done."""
    console = Console(stderr=True, emoji=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def polled(title: str, total: int, done: Callable[[], int], every: float = 0.25) -> Iterator[None]:
    """The same bar, asked for by a thread: what is measured meanwhile pays nothing for it where nobody looks."""
    if not sys.stderr.isatty():
        yield
        return
    over = Event()
    with progress(title, total) as tell:

        def poll() -> None:
            while not over.wait(every):
                tell(done())

        watcher = Thread(target=poll, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def print_table(
    console: Console,
    columns: Mapping[str, Callable[[R], Text]],
    rows: Sequence[R],
    spare: Sequence[str] = (),
    **style: Any,
) -> None:
    """Prints a line for each row, names on the left, numbers on the right.

    Args:
        console: where to.
        columns: title -> the cell of a row; the first is the name.
        rows: anything that the cells understand.
        spare: titles of columns to leave out, in this order, where the screen is too narrow for all; it is said which.
        **style: of rich's table.
    """
    titles, out = list(columns), []
    while _width(console, shown := _table({t: columns[t] for t in titles}, rows, style)) > console.width and spare:
        out.append(spare[0].replace("\n", " "))
        titles.remove(spare[0])
        spare = spare[1:]
    console.print(shown)
    if out:
        console.print(f"left out for want of width: {', '.join(out)}; --json has all", markup=False)


def _table(columns: Mapping[str, Callable[[R], Text]], rows: Sequence[R], style: Mapping[str, Any]) -> Table:
    first, *others = columns
    table = Table(**style)
    table.add_column(Text(first), overflow="fold", min_width=9, max_width=24)
    for title in others:
        table.add_column(Text(title), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(cell(row) for cell in columns.values()))
    return table


def _width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def number(value: float | None, digits: int = 0) -> str:
    """A number for a table, "-" where there is none."""
    return "-" if value is None or value != value else f"{value:,.{digits}f}"


def hours(seconds: float | None) -> str:
    """Accelerator-hours for a table."""
    return number(None if seconds is None else seconds / 3600, 1)


def share(value: float | None) -> str:
    """A part of one in per cent."""
    return "-" if value is None else f"{value:.1%}"
