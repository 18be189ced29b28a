"""Our own format: a trace as one table, Parquet or CSV, with nothing lost.

One row a job: the fields of `Job` by name, `duration`, and `regimes` as [[part, speed], ...]. Times are seconds, memory
is bytes. Only `submit` and `duration` are needed, so a table written by hand, by another program or by an older gpuyard
can be read too: other columns are optional, an empty cell is unknown, `kinds` may be written A100|V100. What is not of
a job (the trace's name, origin and how its estimates came about) stands in Parquet's schema metadata or in CSV's first
line, behind a `#`.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from .arrows import KEY, LISTS, NUMBERS, PAIRS, TEXTS, Where, encoded, ending, pa, read
from .gather import stem, tell
from .job import Job, Trace
from .report import LoadReport
from .trouble import BadInput

VERSION = 3
"""1 had the fields up to `command`, and no regimes; 2 had no `upper`."""

SCHEMA = {
    "id": pa.int64(),
    "submit": pa.float64(),
    "gang": pa.int64(),
    "share": pa.float64(),
    "kinds": TEXTS,
    "cpus": pa.float64(),
    "host_memory": pa.int64(),
    "estimate": pa.float64(),
    "tenant": pa.string(),
    "user": pa.string(),
    "priority": pa.float64(),
    "deadline": pa.float64(),
    "preemptible": pa.bool_(),
    "profile": pa.string(),
    "name": pa.string(),
    "command": TEXTS,
    "min_gang": pa.int64(),
    "max_gang": pa.int64(),
    "memory": pa.int64(),
    "checkpoint": pa.int64(),
    "after": NUMBERS,
    "group": pa.string(),
    "sites": TEXTS,
    "data": pa.int64(),
    "upper": pa.float64(),
    "duration": pa.float64(),
    "regimes": PAIRS,
}
OF_TRACE = ("duration", "regimes")
"""Columns that are no field of a job."""

NEEDED = ("submit", "duration")
ANY_SIGN = ("id", "priority", "deadline")


def save(trace: Trace, path: Path) -> None:
    """Writes a trace to `path`, as Parquet or CSV by its ending; a reader sees the old file or the whole new one.

    Raises BadInput on another ending, on a value that cannot be stored, or if the file cannot be written.
    """
    end = ending(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(encoded(_table(trace), end))
        part.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror or error}); choose another place") from None
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        raise BadInput(f"{path}: the trace {trace.name!r} cannot be stored: {error}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def load(path: Path) -> Trace:
    """Reads a trace that `save` wrote, or any table with the columns `submit` and `duration`.

    Rows out of order are sorted (and noted), missing ids become row numbers from 1, columns that are no field of a job
    are left out (and noted). Raises BadInput with file, line (CSV) or row (Parquet), and column.
    """
    table, where = read(path, SCHEMA)
    report = LoadReport(str(path), "table", rows=table.num_rows, jobs=table.num_rows)
    for name in set(table.column_names) - set(SCHEMA):
        report.note(f"rows with a column {name!r}, which is no field of a job (left out)", table.num_rows)
    columns = _columns(table, where)
    jobs, durations = _jobs(columns, where)
    regimes = _regimes(columns, where)
    tell(report, jobs, durations)
    jobs.sort(key=lambda job: job.submit)
    meta = _meta(path, table.schema.metadata)
    guess = "recorded" if any(job.estimate is not None for job in jobs) else "none"
    name, estimates = meta.get("name", stem(path.name)), meta.get("estimates", guess)
    try:
        return Trace(tuple(jobs), durations, name, meta.get("origin"), estimates, report, regimes)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _table(trace: Trace) -> Any:
    for job in trace.jobs:
        for value in (job.cpus, job.priority, job.deadline):
            if value is not None and not math.isfinite(value):
                raise BadInput(f"trace {trace.name!r}: job {job.id} has the value {value}, which cannot be stored")
    columns = {n: pa.array([getattr(j, n) for j in trace.jobs], SCHEMA[n]) for n in SCHEMA if n not in OF_TRACE}
    columns["duration"] = pa.array([trace.durations[job.id] for job in trace.jobs], pa.float64())
    columns["regimes"] = pa.array([trace.regimes.get(job.id) for job in trace.jobs], PAIRS)
    meta = {"version": VERSION, "name": trace.name, "origin": trace.origin, "estimates": trace.estimates}
    return pa.table(columns).replace_schema_metadata({KEY: json.dumps(meta)})


def _columns(table: Any, where: Where) -> dict[str, list[Any]]:
    names = table.column_names
    if missing := [name for name in NEEDED if name not in names]:
        raise BadInput(f"{where(-1)}: column '{missing[0]}' is missing; its columns are {', '.join(names)[:200]!r}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"{where(-1)}: column '{twice[0]}' stands twice; keep one")
    columns = {name: table.column(name).to_pylist() for name in names if name in SCHEMA}
    columns.setdefault("id", list(range(1, table.num_rows + 1)))
    for name in ("id", *NEEDED):
        if None in columns[name]:
            raise BadInput(f"{where(columns[name].index(None))}, column '{name}': is empty; write a number")
    return columns


def _jobs(columns: dict[str, list[Any]], where: Where) -> tuple[list[Job], dict[int, float]]:
    unknown = [None] * len(columns["id"])
    ready = [_ready(f.name, columns.get(f.name, unknown), f.default, where) for f in fields(Job)]
    jobs = [Job(*row) for row in zip(*ready, strict=True)]
    durations: dict[int, float] = {}
    for row, (job, duration) in enumerate(zip(jobs, _ready("duration", columns["duration"], None, where), strict=True)):
        if job.id in durations:
            raise BadInput(f"{where(row)}, column 'id': {job.id} was said before; give each job an id of its own")
        durations[job.id] = duration
    return jobs, durations


def _regimes(columns: dict[str, list[Any]], where: Where) -> dict[int, tuple[tuple[float, float], ...]]:
    """Job -> its regimes, for those that have any. Whether they can be is for the trace to say."""
    regimes: dict[int, tuple[tuple[float, float], ...]] = {}
    for row, (job, steps) in enumerate(zip(columns["id"], columns.get("regimes", ()), strict=False)):
        if steps:
            if any(step is None or len(step) != 2 or None in step for step in steps):
                raise BadInput(f"{where(row)}, column 'regimes': {steps!r:.80} are no pairs of part and speed; mend it")
            regimes[job] = tuple((float(part), float(speed)) for part, speed in steps)
    return regimes


def _ready(name: str, values: list[Any], default: Any, where: Where) -> list[Any]:
    """A column as a job's field takes it: lists as tuples, empty cells as the default, numbers finite."""
    if SCHEMA[name] in LISTS:
        if bad := [row for row, value in enumerate(values) if None in (value or ())]:
            raise BadInput(f"{where(bad[0])}, column '{name}': its list has an empty part; leave that part out")
        return [tuple(value or ()) for value in values]
    if SCHEMA[name] in (pa.float64(), pa.int64()):
        least = -math.inf if name in ANY_SIGN else 0.0
        for row, value in enumerate(values):
            if value is not None and not (math.isfinite(value) and value >= least):
                raise BadInput(
                    f"{where(row)}, column '{name}': {value} cannot be; write a finite number from {least:g}"
                )
    return [default if value is None else value for value in values] if default is not None else values


def _meta(path: Path, metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    if not metadata or KEY.encode() not in metadata:
        return {}
    try:
        meta = json.loads(metadata[KEY.encode()])
        version, known = int(meta["version"]), {key: meta[key] for key in ("name", "origin", "estimates")}
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path}: what it says of '{KEY}' cannot be read ({error}); remove it") from None
    if not all(isinstance(value, str) for key, value in known.items() if key != "origin" or value is not None):
        raise BadInput(f"{path}: what it says of '{KEY}' are not texts; remove it")
    if version > VERSION:
        raise BadInput(f"{path}: was written by a newer gpuyard (table format {version}); upgrade to read it")
    return known
