"""What is said while work goes on and when it is done: results on stdout, progress on stderr and only to a person."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

WIDTH = 120
"""Columns where nobody looks: a file, a pipe."""


def out() -> Console:
    """Where results go."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def say(text: str) -> None:
    """Says something that is not the result: one line on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows a bar with the time that is left, on a terminal; yields what tells it how much is done."""
    console = Console(stderr=True)
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


def number(value: float | None, digits: int = 0) -> str:
    """A number for a table, "-" where there is none."""
    return "-" if value is None or value != value else f"{value:,.{digits}f}"


def share(value: float | None) -> str:
    """A part of one in per cent."""
    return "-" if value is None else f"{value:.1%}"
