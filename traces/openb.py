"""Pods of Alibaba's GPU trace of 2023 (openb, Weng et al., ATC 2023): shares of GPUs, kinds to choose from.

`name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time`.
Times are seconds from the trace's start. Its node list is read by `envs.nodes.read_openb`.
"""

from __future__ import annotations

from pathlib import Path

from .gather import gather, stem
from .job import Job, Trace
from .report import LoadReport
from .rows import Row, read_csv

HORIZON = 12_902_960
"""The second at which the published pod lists end: what runs then runs on, so its run time is cut short."""

COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "creation_time", "deletion_time")


def load(path: Path) -> Trace:
    """Reads a pod list, plain or gzipped. The variants without times (`multigpu*`) cannot be replayed.

    A pod is submitted at its creation and runs from its scheduling to its deletion. A pod that was never scheduled
    (Pending) has no run time: dropped and counted, like one deleted before it was scheduled. `gpu_milli` is a share
    where one GPU is asked for. `gpu_spec` names the acceptable kinds, divided by "|". Pods cut off at the trace's end
    are kept and noted. The trace names no user and no tenant. Ids are row numbers, from 1.

    Raises:
        BadInput: a row that cannot be read, with file, line and column.
    """
    report = LoadReport(str(path), "openb")
    jobs, durations = list[Job](), dict[int, float]()
    for row in read_csv(path, (*COLUMNS, "scheduled_time")):
        report.rows += 1
        job, run = _job(row, report.rows), _run(row)
        if run is None or run < 0:
            report.dropped["never scheduled (no run time)" if run is None else "deleted before scheduled"] += 1
            continue
        jobs.append(job)
        durations[job.id] = run
        _note(row, report)
    return gather(report, jobs, durations, stem(path.name))


def pods(path: Path) -> tuple[Job, ...]:
    """Reads what every pod of a list asks for, whether it ever ran or not; lists without times will do.

    Ids are row numbers, from 1. All are submitted at second 0. Raises BadInput.
    """
    return tuple(_wants(row, number, 0.0) for number, row in enumerate(read_csv(path, COLUMNS[:5]), 1))


def _job(row: Row, number: int) -> Job:
    return _wants(row, number, row.number("creation_time", least=0))


def _wants(row: Row, number: int, submit: float) -> Job:
    gang, share = row.whole("num_gpu"), 1.0
    if gang == 1:
        share = row.number("gpu_milli") / 1000
        if not 0 < share <= 1:
            raise row.bad("gpu_milli", f"{row.text('gpu_milli')!r} is no share of one GPU; write 1 to 1000")
    return Job(
        id=number,
        submit=submit,
        gang=gang,
        share=share,
        kinds=tuple(dict.fromkeys(kind for kind in row.fields.get("gpu_spec", "").split("|") if kind)),
        cpus=row.number("cpu_milli", least=0) / 1000,
        host_memory=int(row.number("memory_mib", least=0) * 2**20),
        name=row.text("name") or None,
    )


def _run(row: Row) -> float | None:
    if not row.text("scheduled_time"):
        return None
    return row.number("deletion_time", least=0) - row.number("scheduled_time", least=0)


def _note(row: Row, report: LoadReport) -> None:
    if phase := row.fields.get("pod_phase"):
        report.noted[f"pods {phase} when collected"] += 1
    report.note("censored: ran on when the trace ended", row.number("deletion_time") >= HORIZON)
    report.note("shares of one GPU", row.text("num_gpu") == "1" and row.text("gpu_milli") != "1000")
