"""Chronus' deadline traces (Gao et al., SoCC 2021): Philly's jobs resampled, with models and deadlines drawn for them.

`job_id,user,num_gpu,submit_time,iterations,model_name,duration,interval,expect_time_list,expect_value_list,best_effort,
job_type`. Times are MINUTES, by inference: the artifact nowhere says so, but its leases last 60 of them and are called
an hour, and run times are capped at 4,317, three days.
"""

from __future__ import annotations

from pathlib import Path

from .gather import gather, stem
from .job import Job, Trace
from .report import LoadReport
from .rows import Row, read_csv

MINUTE = 60.0
COLUMNS = ("user", "num_gpu", "submit_time", "model_name", "duration", "expect_time_list", "job_type")
KINDS = ("strict", "soft", "best")


def load(path: Path) -> Trace:
    """Reads `trace_job_*.csv`, plain or gzipped.

    `user` is a virtual cluster, so it is the tenant; `model_name` is the profile. A strict job must end within its
    `expect_time_list` of its submission: that is its deadline. What a soft job is worth falls in steps, which one
    deadline cannot say: it has none here, like a best-effort job, and is noted. Rows that ask for no GPU are dropped
    and counted: they are GPU jobs with nothing to run on. Ids are row numbers, from 1.

    Raises:
        BadInput: a row that cannot be read, with file, line and column.
    """
    report = LoadReport(str(path), "chronus", facts={"unit": "minutes (inferred)"})
    jobs, durations = list[Job](), dict[int, float]()
    for row in read_csv(path, COLUMNS):
        report.rows += 1
        job, run = _job(row, report.rows), row.number("duration", least=0) * MINUTE
        if not job.gang:
            report.dropped["no GPU asked for"] += 1
            continue
        jobs.append(job)
        durations[job.id] = run
        report.note(f"jobs that are {row.text('job_type')}")
    return gather(report, jobs, durations, stem(path.name))


def _job(row: Row, number: int) -> Job:
    kind, submit = row.text("job_type"), row.number("submit_time", least=0)
    if kind not in KINDS:
        raise row.bad("job_type", f"{kind!r} is no type of job; write {', '.join(KINDS)}")
    return Job(
        id=number,
        submit=submit * MINUTE,
        gang=row.whole("num_gpu"),
        tenant=row.text("user") or None,
        deadline=(submit + row.number("expect_time_list", least=0)) * MINUTE if kind == "strict" else None,
        profile=row.text("model_name") or None,
    )
