"""Microsoft's Philly cluster, 2017: `timestamp,duration,num_gpus,gpu_time,cluster`, one row a job.

The published subset of 82,247 jobs (Jeon et al., ATC 2019). Times are seconds; timestamps are naive and mean
submission; a virtual cluster is a tenant. Users, status, GPU kinds and waits are not in it, so they stay unknown.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from .gather import gather, stem
from .job import Job, Trace
from .report import LoadReport
from .rows import Row, read_csv
from .trouble import BadInput


class _Line(NamedTuple):
    when: datetime
    duration: float
    gang: int
    tenant: str | None


def load(path: Path, *, since: str = "", until: str = "") -> Trace:
    """Reads a Philly file, plain or gzipped.

    Second 0 is the first kept submission, and `Trace.origin` is its timestamp as written: no time zone is assumed.
    A negative run time (-1 is unknown) is dropped and counted, a zero is kept. Ids are row numbers, from 1.

    Args:
        path: the file.
        since: leave out what was submitted before this date; the published trace's first weeks, until 2017-10-02,
            are nearly empty.
        until: leave out what was submitted from this date on; from 2017-12-13 the published trace has gaps of days.

    Raises:
        BadInput: a row that cannot be read, with file, line and column.
    """
    report = LoadReport(str(path), "philly")
    first, end = _date("since", since, datetime.min), _date("until", until, datetime.max)
    kept: dict[int, _Line] = {}
    for row in read_csv(path, ("timestamp", "duration", "num_gpus", "cluster")):
        report.rows += 1
        line = _Line(_time(row), row.number("duration"), row.whole("num_gpus"), row.text("cluster") or None)
        if line.duration < 0:
            report.dropped["unknown run time (-1)" if line.duration == -1 else "negative run time"] += 1
        elif line.when < first:
            report.dropped[f"submitted before {since}"] += 1
        elif line.when >= end:
            report.dropped[f"submitted from {until} on"] += 1
        else:
            kept[report.rows] = line
    return _trace(report, kept, stem(path.name))


def _trace(report: LoadReport, kept: dict[int, _Line], name: str) -> Trace:
    start = min((line.when for line in kept.values()), default=datetime.min)
    jobs = [
        Job(number, (line.when - start).total_seconds(), line.gang, tenant=line.tenant) for number, line in kept.items()
    ]
    durations = {number: line.duration for number, line in kept.items()}
    return gather(report, jobs, durations, name, start.isoformat())


def _time(row: Row) -> datetime:
    text = row.text("timestamp")
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise row.bad("timestamp", f"{text!r} is not a time; write it as 2017-10-09 07:01:55") from None
    if when.tzinfo:
        raise row.bad("timestamp", f"{text!r} carries a time zone, and these times are naive; leave the zone out")
    return when


def _date(option: str, text: str, default: datetime) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None) if text else default
    except ValueError:
        raise BadInput(f"{option}={text}: is not a date; write it as {option}=2017-10-02") from None
