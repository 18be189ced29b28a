"""A session in a terminal: occupancy as rows of cells, and the queue, use and power as lines of blocks."""

from __future__ import annotations

from math import ceil

import numpy as np
from rich.text import Text

from .grid import Rows, absence, means, occupancy, owners, rows
from .log import Log
from .nodes import describe
from .outcomes import Floats
from .timeline import Timeline, timeline

RAMP = "▁▂▃▄▅▆▇█"
LABEL, TOLD = 12, 22
"""Columns for the names of rows, and for what is said beside a line."""
TONES = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#8cd17d")
FREE, AWAY = "·", "╱"


def sketch(log: Log | Timeline, width: int = 100, height: int = 24) -> Text:
    """A picture in letters.

    Rows are accelerators where they are few, a letter and a colour for each job; else nodes or groups of nodes, filled
    as far as they are in use. `╱` is away, `·` is free.

    Args:
        log: what happened.
        width: columns, at least 60.
        height: rows of occupancy at most.
    """
    line = log if isinstance(log, Timeline) else timeline(log)
    bins = max(width, 60) - LABEL - 1 - TOLD
    told = [_head(line), *_rows(line, rows(line.nodes, height), bins), _axis(line, bins)]
    told.append(_level("queue", means(line, line.waiting, bins), "red", line.waiting, "jobs"))
    told.append(_level("in use", means(line, line.used, bins), "blue", line.up, f"of {line.up.max():,.0f}", True))
    if not np.isnan(line.busy).all():
        told.append(_level("measured", means(line, line.busy, bins), "green", line.up, "busy", True))
    if not np.isnan(line.watts).all():
        kilo = line.watts / 1000
        told.append(_level("power", means(line, kilo, bins), "magenta", kilo, "kW"))
    return Text("\n").join(told)


def _head(line: Timeline) -> Text:
    scale, unit = line.scale
    return Text(f"{describe(line.nodes)}: {line.jobs:,} jobs, {line.until * scale:,.1f} {unit}", style="bold")


def _label(name: str) -> Text:
    short = name if len(name) <= LABEL else name[: LABEL - 1] + "…"
    return Text(f"{short:>{LABEL}} ")


def _rows(line: Timeline, by: Rows, bins: int) -> list[Text]:
    used, away = occupancy(line, by, bins), absence(line, by, bins)
    jobs = owners(line, by, bins) if by.single else None
    found = []
    for row, name in enumerate(by.names):
        text = _label(name)
        for at in range(bins):
            job = -1 if jobs is None else int(jobs[row, at])
            text.append_text(_cell(used[row, at], away[row, at], job))
        found.append(text)
    return found


def _cell(used: float, away: float, job: int) -> Text:
    if away > 0.5:
        return Text(AWAY, style="bright_black")
    if used < 0.5 / len(RAMP):
        return Text(FREE, style="bright_black")
    if job >= 0:
        return Text(chr(ord("a") + job % 26), style=f"black on {TONES[job * 7 % len(TONES)]}")
    return Text(RAMP[_step(used)], style="cyan")


def _step(part: float) -> int:
    return min(max(ceil(part * len(RAMP) - 1e-6), 1), len(RAMP)) - 1


def _axis(line: Timeline, bins: int) -> Text:
    scale, unit = line.scale
    end = f"{line.until * scale:,.1f} {unit}"
    return Text(" " * (LABEL + 1) + "0" + " " * max(bins - 1 - len(end), 1) + end, style="bright_black")


def _level(name: str, values: Floats, colour: str, level: Floats, unit: str, part: bool = False) -> Text:
    """A line of blocks, as high as the most that there was; beside it that most, or the mean as a part of it."""
    most = float(np.nanmax(level)) or 1.0
    text = _label(name)
    cells = ("·" if np.isnan(v) else " " if v <= 0 else RAMP[_step(float(v) / most)] for v in values)
    text.append("".join(cells), style=colour)
    told = (
        f"{np.nanmean(values) / most:.0%} {unit}"
        if part
        else f"at most {np.nanmax(level):,.{0 if most > 99 else 1}f} {unit}"
    )
    return text.append(" " + told)
