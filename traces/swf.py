"""The Standard Workload Format of the Parallel Workloads Archive: 18 columns, `;` comments, -1 for unknown.

Feitelson's definition, https://www.cs.huji.ac.il/labs/parallel/workload/swf.html. Times are seconds, memory is
KiB a processor. A processor is an accelerator of any kind here: replay such a log on `1x256:CPU`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from .gather import gather, stem
from .job import Job, Trace
from .report import LoadReport
from .rows import lines
from .trouble import BadInput, nearest

NUMBER, SUBMIT, RUN, ALLOCATED, REQUESTED, ESTIMATE, MEMORY, STATUS = 0, 1, 3, 4, 7, 8, 9, 10
USER, EXECUTABLE, PRECEDING = 11, 13, 16
TENANT = {"group": 12, "queue": 14, "partition": 15}
STATUSES = {-1: "of unknown status", 0: "failed", 1: "completed", 5: "cancelled"}
COLUMNS = [
    "job number",
    "submit time",
    "wait time",
    "run time",
    "allocated processors",
    "average CPU time",
    "used memory",
    "requested processors",
    "requested time",
    "requested memory",
    "status",
    "user",
    "group",
    "executable",
    "queue",
    "partition",
    "preceding job",
    "think time",
]


@dataclass(frozen=True, slots=True)
class _Line:
    where: str
    cells: list[str]

    def number(self, column: int) -> float:
        """The column as a finite number, no less than -1, which means unknown."""
        try:
            value = float(self.cells[column])
        except ValueError:
            raise self.bad(column, "is not a number; mend or drop the row") from None
        if not math.isfinite(value) or "_" in self.cells[column]:
            raise self.bad(column, "is not a finite number; write -1 for unknown")
        return value

    def known(self, column: int) -> float | None:
        """The column, None where it is negative, which says unknown."""
        value = self.number(column)
        return value if value >= 0 else None

    def whole(self, column: int) -> int:
        value = self.number(column)
        if value != int(value):
            raise self.bad(column, "is not a whole number; mend or drop the row")
        return int(value)

    def label(self, column: int) -> str | None:
        """A user, group, queue or partition number as text, None where unknown."""
        value = self.whole(column)
        return str(value) if value >= 0 else None

    def bad(self, column: int, why: str) -> BadInput:
        return BadInput(f"{self.where}, column '{COLUMNS[column]}' ({column + 1}): {self.cells[column]!r} {why}")


def load(path: Path, *, tenant: str = "group") -> Trace:
    """Reads a SWF log, plain or gzipped.

    A gang is the requested processors (8), else the allocated ones (5). The requested time (9) is the estimate. Job
    numbers are the ids where they are unique, row numbers (from 1) where not. A run time below zero (-1 is unknown),
    no processor count and the partial lines of a job that was swapped out (status 2, 3, 4, said again in its summary
    line) are dropped and counted; zero run times and every other status are kept and noted. More than 18 columns are
    read as 18. The executable's number (14) is the job's name.

    Args:
        path: the file.
        tenant: who pays, "group" (13), "queue" (15) or "partition" (16); unknown (-1) stays None.

    Raises:
        BadInput: a row that cannot be read, with file, line and column; or an unknown `tenant`.
    """
    if tenant not in TENANT:
        raise BadInput(f"tenant={tenant}: is no SWF column that names who pays.{nearest(tenant, list(TENANT))}")
    report, header = LoadReport(str(path), "swf"), dict[str, str]()
    numbers, jobs, durations = list[int](), list[Job](), dict[int, float]()
    for line in _lines(path, header):
        report.rows += 1
        if job := _job(line, report, TENANT[tenant]):
            numbers.append(line.whole(NUMBER))
            jobs.append(job)
            durations[job.id] = line.number(RUN)
    _read_header(header, report)
    if len(set(numbers)) == len(numbers):
        jobs, durations = _renumbered(jobs, durations, numbers)
    else:
        report.note("job numbers said before (rows are numbered instead)", len(numbers) - len(set(numbers)))
    return gather(report, jobs, durations, stem(path.name), _origin(header))


def _lines(path: Path, header: dict[str, str]) -> Iterator[_Line]:
    for number, text in lines(path):
        cells = text.split()
        if text.lstrip().startswith(";"):
            key, colon, value = text.lstrip("; \t").partition(":")
            if colon and value.strip():
                header.setdefault(key.strip(), value.strip())
        elif cells:
            if len(cells) < len(COLUMNS):
                many = f"{path}, line {number}: has {len(cells)} columns, SWF has {len(COLUMNS)}"
                raise BadInput(f"{many}; is it a SWF file, and is the line whole?")
            yield _Line(f"{path}, line {number}", cells)


def _job(line: _Line, report: LoadReport, tenant: int) -> Job | None:
    submit, run, status = line.number(SUBMIT), line.number(RUN), line.whole(STATUS)
    requested, allocated = line.whole(REQUESTED), line.whole(ALLOCATED)
    gang = requested if requested > 0 else allocated
    if submit < 0:
        raise line.bad(SUBMIT, "is a negative time; mend or drop the row")
    if dropped := _why_dropped(run, gang, status):
        report.dropped[dropped] += 1
        return None
    report.noted[f"jobs {STATUSES.get(status, f'of status {status}')}"] += 1
    report.note("jobs given other than the processors they requested", requested > 0 and 0 < allocated != requested)
    report.note("jobs that wait for another (not replayed)", line.whole(PRECEDING) > 0)
    memory = line.known(MEMORY)
    return Job(
        id=report.rows,
        submit=submit,
        gang=gang,
        host_memory=None if memory is None else int(memory * 1024 * gang),
        estimate=line.known(ESTIMATE),
        tenant=line.label(tenant),
        user=line.label(USER),
        name=line.label(EXECUTABLE),
    )


def _why_dropped(run: float, gang: int, status: int) -> str:
    if status in (2, 3, 4):
        return "partial lines of swapped jobs (status 2, 3, 4)"
    if run < 0:
        return "unknown run time (-1)" if run == -1 else "negative run time"
    return "" if gang > 0 else "no processor count"


def _renumbered(jobs: list[Job], durations: dict[int, float], numbers: list[int]) -> tuple[list[Job], dict[int, float]]:
    if all(job.id == number for job, number in zip(jobs, numbers, strict=True)):
        return jobs, durations
    renamed = [replace(job, id=number) for job, number in zip(jobs, numbers, strict=True)]
    return renamed, dict(zip(numbers, durations.values(), strict=True))


def _read_header(header: dict[str, str], report: LoadReport) -> None:
    for key in ("MaxProcs", "MaxNodes"):
        if (text := header.get(key, "").split(" ")[0]).isdecimal() and int(text) > 0:
            report.facts["processors"] = text
            break
    for key in ("Computer", "Installation", "TimeZone", "TimeZoneString", "MaxJobs"):
        if key in header:
            report.facts[key] = header[key]
    declared = header.get("MaxJobs", "").split(" ")[0]
    if declared.isdecimal():
        report.note("jobs that the header declares and the file lacks", max(0, int(declared) - report.rows))


_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DATE = re.compile(r"\w{3},? +(\w{3}) +(\d{1,2}) +(\d{1,2}):(\d\d):(\d\d) +(?:\S+ +)?(\d{4})")


def _origin(header: dict[str, str]) -> str | None:
    """Second 0 on the source's own clock: StartTime as written, else UnixStartTime shifted by TimeZone."""
    if (found := _DATE.search(header.get("StartTime", ""))) and found[1] in _MONTHS:
        day, hour, minute, second, year = map(int, found.groups()[1:])
        try:
            return datetime(year, _MONTHS.index(found[1]) + 1, day, hour, minute, second).isoformat()
        except ValueError:
            return None
    try:
        shifted = int(header["UnixStartTime"]) + int(header["TimeZone"])
        return (datetime(1970, 1, 1) + timedelta(seconds=shifted)).isoformat()
    except (KeyError, ValueError, OverflowError):
        return None
