"""Shockwave's dynamic traces (Zheng et al., NSDI 2023): Gavel's shape, and jobs whose batch size changes as they run.

Twelve tab-separated columns, no header: Gavel's ten with a mode before the weight (static, accordion, gns) and a
duration before the arrival. Arrivals are seconds. How each mode changes the batch size stands in `shockwave.toml`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from .data import beside
from .gather import gather, stem
from .gavel import Speeds, read_speeds, tabbed
from .job import Job, Trace
from .report import LoadReport
from .rows import Row
from .trouble import BadInput

COLUMNS = (
    "job_type", "command", "working_directory", "num_steps_arg", "needs_data_dir", "total_steps", "scale_factor",
    "mode", "priority_weight", "SLO", "duration", "arrival_time",
)  # fmt: skip
MODES = ("static", "accordion", "gns")
MEASURED = "v100"
"""The kind of the traces' own durations."""
EARLY = 0.3
"""Part of the epochs in which Accordion keeps the first batch size whatever comes (`get_accordion_bs_pattern`)."""


def load(path: Path, *, throughputs: str = "", kind: str = MEASURED) -> Trace:
    """Reads a Shockwave trace, plain or gzipped.

    Work is counted in epochs of the job's dataset: its steps by the steps of an epoch at its first batch size. A run
    time is that of all epochs, each at the pace of its batch size alone on `kind`; so that of a static job is steps /
    throughput. `Trace.regimes` says from which part of the epochs a job has which pace. The column `duration` is that
    without any change of batch size, and serves to find the throughput table. The weight is the priority, an SLO (a
    multiple of the run time) makes a deadline. A job that was not measured on `kind` is dropped and counted. Ids are
    row numbers, from 1.

    What is approximate: when batch sizes change is no record but Shockwave's rules for whole epochs, those by which it
    predicts its jobs (its simulator lets Accordion scale up earlier than 30 % of a job, by other rules). They are laid
    down from profiling runs, and alike for every job of a model, batch size and gang. Shockwave rounds the last epoch
    up and, by a slip, leaves the last epoch of a gns job at its first batch size: here the last epoch is as long as
    the steps say, and goes on as the one before. A batch size that the table lacks is not taken, as in Shockwave.
    By these tables a larger batch is not always faster: on TACC's, 27 of 67 jobs end slower than they began.

    Args:
        path: the trace.
        throughputs: a `*_throughputs.json` table, plain or gzipped; by default, of those beside the trace, the one
            whose steps / throughput on V100 is nearest to the trace's durations.
        kind: accelerator kind of the table, such as k80, p100, v100, v100_unconsolidated.

    Raises:
        BadInput: a row that cannot be read, with file, line and column; no table; a kind that the table lacks.
    """
    rows = list(tabbed(path, (COLUMNS,), "Shockwave"))
    table = Path(throughputs) if throughputs else _beside(path, rows)
    speeds = read_speeds(table, kind)
    report = LoadReport(str(path), "shockwave", rows=len(rows), facts={"kind": kind, "throughputs": table.name})
    jobs, durations, regimes = list[Job](), dict[int, float](), dict[int, tuple[tuple[float, float], ...]]()
    for number, row in enumerate(rows, 1):
        run = _run(row, speeds)
        if run is None:
            report.dropped[f"jobs of a type and scale not measured on {kind}"] += 1
            continue
        jobs.append(_job(row, number, run.seconds))
        durations[number] = run.seconds
        if len(run.regimes) > 1:
            regimes[number] = run.regimes
        report.note(f"jobs that are {row.text('mode')}")
    report.note("jobs whose batch size changes", len(regimes))
    return replace(gather(report, jobs, durations, f"{stem(path.name)} on {kind}"), regimes=regimes)


def models() -> dict[str, dict[str, Any]]:
    """Model -> its dataset's samples, its largest batch size, and when each mode changes it."""
    return beside(__file__, "shockwave.toml")


@dataclass(frozen=True, slots=True)
class _Run:
    """Seconds of the whole run, and its regimes as in `Trace.regimes`."""

    seconds: float
    regimes: tuple[tuple[float, float], ...]


def _run(row: Row, speeds: Speeds) -> _Run | None:
    model, first = _type(row)
    gang, mode, steps = row.whole("scale_factor", least=1), row.text("mode"), row.number("total_steps", least=0)
    if mode not in MODES:
        raise row.bad("mode", f"{mode!r} is no mode; write {', '.join(MODES)}")
    if not speeds.get((row.text("job_type"), gang)):
        return None
    epochs = steps / _steps(model, first)
    paces = [(epoch, _pace(model, batch, gang, speeds)) for epoch, batch in batches(model, first, gang, mode, epochs)]
    known = [(epoch, pace) for epoch, pace in paces if pace]
    ends = [*(epoch for epoch, _ in known[1:]), epochs]
    seconds = sum((end - begin) / pace for (begin, pace), end in zip(known, ends, strict=True))
    merged = [next(same) for _, same in groupby(known, key=lambda step: step[1])]
    return _Run(seconds, tuple((epoch / epochs if epoch else 0.0, pace / known[0][1]) for epoch, pace in merged))


def batches(model: str, first: int, gang: int, mode: str, epochs: float) -> list[tuple[int, int]]:
    """Epochs from 0 at which a job's batch size is set, and to what.

    Args:
        model: as the job types name it, such as "ResNet-18".
        first: its batch size at the start.
        gang: its accelerators.
        mode: static, accordion or gns.
        epochs: how many it runs.
    """
    about = models().get(model, {})
    if mode == "gns":
        doubles = about.get("doubles", {}).get(str(first), {}).get(str(gang), ())
        return [(0, first), *((epoch, first * 2**n) for n, epoch in enumerate(doubles, 1) if epoch < epochs)]
    if mode == "static" or "critical" not in about:
        return [(0, first)]
    whole, largest = math.ceil(epochs), about["largest"]
    head = about.get("head", {}).get(str(first), 0)
    small = {epoch for begin, end in [(0, head), *about["critical"]] for epoch in range(begin, end)}
    sizes = [first if epoch in small or epoch <= whole * EARLY else largest for epoch in range(whole)] or [first]
    return [next(same) for _, same in groupby(enumerate(sizes), key=lambda step: step[1])]


def _pace(model: str, batch: int, gang: int, speeds: Speeds) -> float:
    """Epochs a second; 0 where it was not measured."""
    return speeds.get((f"{model} (batch size {batch})", gang), 0.0) / _steps(model, batch)


def _steps(model: str, batch: int) -> int:
    """Steps of an epoch. A model without a known dataset has epochs of one step."""
    return math.ceil(models().get(model, {}).get("samples", 0) / batch) or 1


def _type(row: Row) -> tuple[str, int]:
    model, _, rest = row.text("job_type").partition(" (batch size ")
    batch = rest.removesuffix(")")
    if not rest.endswith(")") or not batch.isdecimal() or int(batch) < 1:
        raise row.bad("job_type", f"{row.text('job_type')[:80]!r} is no type; write it as 'LM (batch size 10)'")
    return model, int(batch)


def _job(row: Row, number: int, run: float) -> Job:
    arrival, slo = row.number("arrival_time", least=0), row.number("SLO")
    return Job(
        id=number,
        submit=arrival,
        gang=row.whole("scale_factor", least=1),
        priority=row.number("priority_weight"),
        deadline=arrival + slo * run if slo >= 0 else None,
        profile=row.text("job_type"),
    )


def _beside(path: Path, rows: Sequence[Row]) -> Path:
    """The table beside a trace by which its durations were made: the traces of 64 GPUs and more have another one."""
    tables = sorted(path.absolute().parent.glob("*_throughputs.json*"))
    if not tables:
        raise BadInput(
            f"{path}: a Shockwave trace counts steps, and no *_throughputs.json(.gz) lies beside it; "
            "write shockwave:TRACE,throughputs=FILE to say how long a step takes"
        )
    return min(tables, key=lambda table: _misfit(rows, read_speeds(table, MEASURED)))


def _misfit(rows: Sequence[Row], speeds: Speeds) -> float:
    """Seconds by which a table misses the durations that the rows state, in all."""
    total = 0.0
    for row in rows:
        speed = speeds.get((row.text("job_type"), row.whole("scale_factor", least=1)), 0.0)
        stated = row.number("duration", least=0)
        total += abs(row.number("total_steps", least=0) / speed - stated) if speed > 0 else stated
    return total
