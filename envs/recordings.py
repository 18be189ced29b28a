"""Recorded trouble: when machines were faulty, and how many a spot market gave."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite
from pathlib import Path
from typing import Any

from ..traces.rows import content, lines, read_csv
from ..traces.trouble import BadInput

DAY = 86400.0
INFINITEHBD = 400
"""Nodes of the fleet that InfiniteHBD recorded; its file names only those that were faulty."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A recorded fault.

    Attributes:
        node: as the file names it.
        start: seconds from the file's beginning.
        end: seconds; infinite where no end was recorded.
        accelerator: one accelerator of the node was faulty, rather than all the node.
    """

    node: str
    start: float
    end: float
    accelerator: bool = False


def faults(path: Path) -> tuple[list[Fault], int]:
    """Reads recorded faults, in the order of their beginnings, and the number of nodes of the fleet.

    InfiniteHBD's JSON (StepFun, SIGCOMM 2025), plain or gzipped: a list of events with `node_id`, `event_time` in days,
    `event_type` "fault_start" or "fault_end", and `fault_type` with Level, Class and Desc; a beginning and the next end
    of the same node and fault type belong together. Those of class GPU are of one accelerator. Or a CSV of ours,
    `node,start_s,end_s`: seconds, an empty `end_s` for no end; its fleet are the nodes that it names.

    Raises:
        BadInput: with the entry, or the line and column, that cannot be read.
    """
    if content(path)[:64].lstrip().startswith(b"["):
        found, fleet = _infinitehbd(path), INFINITEHBD
    else:
        found = [_ours(row) for row in read_csv(path, ("node", "start_s", "end_s"))]
        fleet = 0
    return sorted(found, key=lambda fault: fault.start), max(fleet, len({fault.node for fault in found}))


def _ours(row: Any) -> Fault:
    start = row.number("start_s", 0.0)
    end = row.number("end_s", start) if row.text("end_s") else inf
    if not row.text("node"):
        raise row.bad("node", "is empty; name the node")
    return Fault(row.text("node"), start, end)


def _infinitehbd(path: Path) -> list[Fault]:
    try:
        events = json.loads(content(path))
    except ValueError as error:
        raise BadInput(f"{path}: is not valid JSON ({error}); give InfiniteHBD's fault_trace.json") from None
    begun: defaultdict[tuple[str, ...], deque[float]] = defaultdict(deque)
    found: list[Fault] = []
    for number, event in enumerate(events, 1):
        key, time, starts = _event(event, f"{path}, entry {number}")
        if starts:
            begun[key].append(time)
        elif begun[key] and begun[key][0] <= time:
            found.append(Fault(key[0], begun[key].popleft(), time, key[2] == "GPU"))
        else:
            raise BadInput(f"{path}, entry {number}: a fault ends that had not begun; sort the entries by event_time")
    return found + [Fault(key[0], time, inf, key[2] == "GPU") for key, times in begun.items() for time in times]


def _event(event: Any, where: str) -> tuple[tuple[str, str, str, str], float, bool]:
    try:
        kind = event["fault_type"]
        key = (str(event["node_id"]), str(kind["Level"]), str(kind["Class"]), str(kind["Desc"]))
        time, what = float(event["event_time"]) * DAY, event["event_type"]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{where}: {error!r}; it wants node_id, event_time, event_type and fault_type") from None
    if not (isfinite(time) and time >= 0) or what not in ("fault_start", "fault_end"):
        raise BadInput(f"{where}: event_time {time / DAY}, event_type {what!r}; give days and fault_start or fault_end")
    return key, time, what == "fault_start"


def capacity(path: Path, unit: str | None = None) -> list[tuple[float, int]]:
    """Reads how many spot nodes there were, as Bamboo's files (Thorpe et al., NSDI 2023): no header, `time,count`.

    The count holds from its time on; of several lines with one time the last holds (the files draw a step as two).

    Args:
        path: the file.
        unit: "seconds" or "hours"; None for hours where any time has a decimal point, as in Bamboo's files.

    Returns:
        (seconds, count) wherever it changes, the first at 0.

    Raises:
        BadInput: with the line and column that cannot be read.
    """
    read = list(_counts(path))
    if not read:
        raise BadInput(f"{path}: has no lines; give times and counts")
    hours = unit == "hours" or (unit is None and any("." in text for text, _, _ in read))
    scale = 3600.0 if hours else 1.0
    if back := next((b for a, b in pairwise(read) if b[1] < a[1]), None):
        raise BadInput(f"{path}, column 'time': goes back to {back[0]}; sort the lines")
    last = {time * scale: count for _, time, count in read}
    steps = [(0.0, read[0][2]), *sorted(last.items())]
    return [step for n, step in enumerate(steps) if _changes(steps, n)]


def _changes(steps: list[tuple[float, int]], n: int) -> bool:
    if n + 1 < len(steps) and steps[n + 1][0] == steps[n][0]:
        return False
    return n == 0 or steps[n][0] == 0 or steps[n][1] != steps[n - 1][1]


def _counts(path: Path) -> Iterator[tuple[str, float, int]]:
    """(time as it stands, time, count) of each line."""
    for number, line in lines(path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != 2:
            raise BadInput(f"{where}: has {len(cells)} columns; write time,count")
        try:
            time, count = float(cells[0]), int(float(cells[1]))
        except (ValueError, OverflowError):
            raise BadInput(f"{where}: {line!r} is not a time and a count") from None
        if not (isfinite(time) and time >= 0 and count >= 0 and count == float(cells[1])):
            raise BadInput(f"{where}: {line!r}: give a time and a whole count, 0 or more")
        yield cells[0], time, count
