"""Gavel's `.trace` files (Narayanan et al., OSDI 2020): tab-separated, no header, work in steps rather than seconds.

Ten columns (job type, command, working directory, steps argument, needs data, total steps, scale factor, priority
weight, SLO, arrival time) or seven (without working directory, weight and SLO, arrival before scale factor). Arrivals
are seconds. A run time is total steps / throughput on one accelerator kind, from one of Gavel's
`*_throughputs.json` tables. The command column is a shell string: it is never run and never becomes a job's command.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .gather import gather, stem
from .job import Job, Trace
from .report import LoadReport
from .rows import Row, content, lines
from .trouble import BadInput, nearest

TEN = (
    "job_type", "command", "working_directory", "num_steps_arg", "needs_data_dir", "total_steps", "scale_factor",
    "priority_weight", "SLO", "arrival_time",
)  # fmt: skip
SEVEN = ("job_type", "command", "num_steps_arg", "needs_data_dir", "total_steps", "arrival_time", "scale_factor")

Speeds = Mapping[tuple[str, int], float]
"""(job type, accelerators) -> steps a second, alone on one kind."""


def load(path: Path, *, throughputs: str = "", kind: str = "v100") -> Trace:
    """Reads a Gavel trace, plain or gzipped.

    Run times are what the work takes alone on `kind`, which the report says. A job whose type and scale were not
    measured on it, or at no speed, is dropped and counted. The weight is the priority; an SLO (a multiple of the run
    time, as Gavel's scheduler reads it) makes a deadline, -1 makes none. Ids are row numbers, from 1.

    Args:
        path: the trace.
        throughputs: a `*_throughputs.json` table, plain or gzipped; by default one beside the trace or in the folder
            above, `simulation_throughputs` first, from which Gavel itself makes its traces.
        kind: accelerator kind of the table, such as k80, p100, v100, v100_unconsolidated.

    Raises:
        BadInput: a row that cannot be read, with file, line and column; no table; a kind that the table lacks.
    """
    table = Path(throughputs) if throughputs else _beside(path)
    speeds = read_speeds(table, kind)
    report = LoadReport(str(path), "gavel", facts={"kind": kind, "throughputs": table.name})
    jobs, durations = list[Job](), dict[int, float]()
    for row in tabbed(path, (SEVEN, TEN), "Gavel"):
        report.rows += 1
        model, gang = row.text("job_type"), row.whole("scale_factor", least=1)
        steps, arrival = row.number("total_steps", least=0), row.number("arrival_time", least=0)
        speed = speeds.get((model, gang), 0.0)
        if speed > 0:
            durations[report.rows] = steps / speed
            jobs.append(_job(row, report.rows, arrival, gang, steps / speed))
        else:
            report.dropped[f"jobs of a type and scale not measured on {kind}"] += 1
    return gather(report, jobs, durations, f"{stem(path.name)} on {kind}")


def read_speeds(path: Path, kind: str) -> Speeds:
    """Reads how fast each job type runs alone on `kind`, from a Gavel throughput table. Raises BadInput."""
    try:
        table = json.loads(content(path))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{path}: is not JSON ({error}); give one of Gavel's *_throughputs.json") from None
    if not isinstance(table, dict) or not all(isinstance(entries, dict) for entries in table.values()):
        raise BadInput(f"{path}: is no throughput table; give one of Gavel's *_throughputs.json")
    if kind not in table:
        raise BadInput(f"{path}: has no accelerator kind '{kind}'.{nearest(kind, list(table))}")
    return dict(_speed(path, key, entry) for key, entry in table[kind].items())


def _speed(path: Path, key: str, entry: object) -> tuple[tuple[str, int], float]:
    try:
        model, gang = ast.literal_eval(key)
        speed = float(entry["null"])  # type: ignore[index]
        if not (isinstance(model, str) and isinstance(gang, int) and math.isfinite(speed)):
            raise ValueError
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError):
        raise BadInput(
            f"{path}: the entry {key[:80]!r} is no ('job type', accelerators) with a 'null' speed; "
            "give Gavel's simulation_throughputs.json or physical_cluster_throughputs.json"
        ) from None
    return (model, gang), speed


def _beside(path: Path) -> Path:
    """The table beside a trace or one folder up. `oracle_throughputs` is another kind of table, so it is left out."""
    folders = (path.absolute().parent, path.absolute().parent.parent)
    found = [file for folder in folders for file in sorted(folder.glob("*_throughputs.json*")) if _rank(file) >= 0]
    if not found:
        raise BadInput(
            f"{path}: a Gavel trace counts steps, and no *_throughputs.json(.gz) lies beside it or one folder up; "
            "write gavel:TRACE,throughputs=FILE to say how long a step takes"
        )
    return min(found, key=_rank)


def _rank(file: Path) -> int:
    if not file.name.endswith((".json", ".json.gz")) or file.name.startswith("oracle"):
        return -1
    preferred = ["simulation", "physical_cluster"]
    source = file.name.split("_throughputs")[0]
    return preferred.index(source) if source in preferred else len(preferred)


def tabbed(path: Path, layouts: Sequence[Sequence[str]], what: str) -> Iterator[Row]:
    """Yields the rows of a tab-separated file without a header, which has one of these layouts. Raises BadInput."""
    for number, line in lines(path):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        columns = next((layout for layout in layouts if len(layout) == len(cells)), None)
        if columns is None:
            counts = " or ".join(str(len(layout)) for layout in layouts)
            raise BadInput(
                f"{path}, line {number}: has {len(cells)} tab-separated columns, a {what} trace has {counts}; "
                "is it the right file?"
            )
        yield Row(path, number, dict(zip(columns, cells, strict=True)))


def _job(row: Row, number: int, arrival: float, gang: int, run: float) -> Job:
    weight = row.number("priority_weight") if "priority_weight" in row.fields else None
    slo = row.number("SLO") if "SLO" in row.fields else -1
    return Job(
        id=number,
        submit=arrival,
        gang=gang,
        priority=weight,
        deadline=arrival + slo * run if slo >= 0 else None,
        profile=row.text("job_type"),
    )
