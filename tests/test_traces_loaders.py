"""Each format: a small file with every quirk and the exact jobs it means; the real files, where they are at hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest
from real import REAL, needs_real

from gpuyard.traces import gavel, openb, philly, swf
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


PHILLY = """timestamp,duration,num_gpus,gpu_time,cluster
2017-10-09 07:01:55,66.0,1,66.0,11cb48
2017-10-09 06:13:03,2951.5,8,23612.0,6214e9

2017-10-09 07:01:55,66.0,1,66.0,11cb48
2017-10-09 07:00:00,0,0,0,
2017-10-09 07:00:01,-1,2,-2,6214e9
2017-10-09 07:00:02,-5,2,-10,6214e9
"""


@pytest.mark.parametrize("name", ["philly.csv", "philly.csv.gz"])
def test_philly_sorts_keeps_duplicates_and_counts_what_it_drops(tmp_path: Path, name: str) -> None:
    trace = philly.load(write(tmp_path / name, PHILLY))
    assert trace.jobs == (
        Job(2, 0.0, 8, tenant="6214e9"),
        Job(4, 2817.0, 0),
        Job(1, 2932.0, 1, tenant="11cb48"),
        Job(3, 2932.0, 1, tenant="11cb48"),
    )
    assert trace.durations == {1: 66.0, 2: 2951.5, 3: 66.0, 4: 0.0}
    assert (trace.name, trace.origin, trace.estimates) == ("philly", "2017-10-09T06:13:03", "none")
    assert trace.report is not None
    assert trace.report.as_dict() == {
        "path": str(tmp_path / name),
        "format": "philly",
        "rows": 6,
        "jobs": 4,
        "dropped": {"unknown run time (-1)": 1, "negative run time": 1},
        "clamped": {},
        "noted": {
            "rows out of order (sorted by submission)": 2,
            "duplicates of an earlier job (kept)": 1,
            "CPU-only jobs": 1,
            "zero run times (kept)": 1,
        },
        "facts": {},
    }


def test_philly_takes_a_part_by_date(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", PHILLY)
    trace = philly.load(path, since="2017-10-09 07:00", until="2017-10-09 07:01")
    assert (trace.jobs, trace.origin) == ((Job(4, 0.0, 0),), "2017-10-09T07:00:00")
    assert trace.report is not None
    assert trace.report.dropped["submitted before 2017-10-09 07:00"] == 1
    assert trace.report.dropped["submitted from 2017-10-09 07:01 on"] == 2


def test_philly_does_not_ask_the_machine_for_its_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "timestamp,duration,num_gpus,cluster\n"
        "2017-03-26 01:30:00,1,1,a\n2017-03-26 03:30:00,1,1,a\n"  # across the hour that Berlin leaves out
    )
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert philly.load(write(tmp_path / "p.csv", text)).jobs[1].submit == 7200.0


SWF = """; Version: 2.2
;  MaxNodes:  16
; MaxProcs: 32 (in two halves)
; MaxJobs: 12
; UnixStartTime: 0
;StartTime: Fri Oct 01 00:00:03 PDT 1993
; Note: a comment
; UserID: x:y

 10   100  5  60   4 -1 -1  8  120 1024 1 7 3 2 1 2 -1 -1
 11\t 50  -1 30   2 -1 -1 -1  -1   -1 0 -1 -1 -1 -1 -1 -1 -1 extra 19 20
 12    60  5  0  -1 -1 -1  1  10   -1 5 7 3 -1 -1 -1 10 5
 13    70  5  -1  4 -1 -1  4  10   -1 1 7 3 -1 -1 -1 -1 -1
 14    80  5  -7  4 -1 -1  4  10   -1 1 7 3 -1 -1 -1 -1 -1
 15    90  5  20 -1 -1 -1 -1  10   -1 1 7 3 -1 -1 -1 -1 -1
 16    95  5  20  4 -1 -1  4  10   -1 3 7 3 -1 -1 -1 -1 -1
 17   100  5  60.5 64 -1 -1 64  10   -1 -1 7 3 -1 -1 -1 -1 -1
"""


def test_swf_reads_both_processor_columns_and_keeps_the_unknown_unknown(tmp_path: Path) -> None:
    trace = swf.load(write(tmp_path / "log.swf.gz", SWF))
    assert trace.jobs == (
        Job(11, 50.0, 2),
        Job(12, 60.0, 1, estimate=10.0, tenant="3", user="7"),
        Job(10, 100.0, 8, host_memory=8 * 1024 * 1024, estimate=120.0, tenant="3", user="7", name="2"),
        Job(17, 100.0, 64, estimate=10.0, tenant="3", user="7"),
    )
    assert trace.durations == {10: 60.0, 11: 30.0, 12: 0.0, 17: 60.5}
    assert (trace.name, trace.origin, trace.estimates) == ("log", "1993-10-01T00:00:03", "recorded")
    assert trace.report is not None
    assert trace.report.facts == {"processors": "32", "MaxJobs": "12"}
    assert trace.report.dropped == {
        "unknown run time (-1)": 1,
        "negative run time": 1,
        "no processor count": 1,
        "partial lines of swapped jobs (status 2, 3, 4)": 1,
    }
    assert trace.report.noted == {
        "jobs completed": 1,
        "jobs failed": 1,
        "jobs cancelled": 1,
        "jobs of unknown status": 1,
        "jobs given other than the processors they requested": 1,
        "jobs that wait for another (not replayed)": 1,
        "jobs that the header declares and the file lacks": 4,
        "rows out of order (sorted by submission)": 1,
        "zero run times (kept)": 1,
        "jobs larger than the machine's 32 processors": 1,
    }


@pytest.mark.parametrize(("who", "tenant"), [("group", "3"), ("queue", "1"), ("partition", "2")])
def test_swf_takes_who_pays_from_the_column_named(tmp_path: Path, who: str, tenant: str) -> None:
    trace = swf.load(write(tmp_path / "log.swf", SWF), tenant=who)
    assert next(job.tenant for job in trace.jobs if job.id == 10) == tenant
    assert trace.jobs[0].tenant is None


def test_swf_numbers_rows_where_job_numbers_repeat(tmp_path: Path) -> None:
    row = "5 {} -1 1 1 -1 -1 -1 -1 -1 1 -1 -1 -1 -1 -1 -1 -1\n"
    trace = swf.load(write(tmp_path / "log.swf", row.format(9) + row.format(3)))
    assert [(job.id, job.submit) for job in trace.jobs] == [(2, 3.0), (1, 9.0)]
    assert trace.report is not None
    assert trace.report.noted["job numbers said before (rows are numbered instead)"] == 1


def test_swf_without_a_start_in_words_takes_the_unix_time_and_zone(tmp_path: Path) -> None:
    row = "1 0 -1 1 1 -1 -1 -1 -1 -1 1 -1 -1 -1 -1 -1 -1 -1\n"
    trace = swf.load(write(tmp_path / "a.swf", "; UnixStartTime: 749458803\n; TimeZone: -28800\n; MaxNodes: 8\n" + row))
    assert trace.origin == "1993-09-30T23:00:03"
    assert trace.report is not None
    assert trace.report.facts["processors"] == "8"


OPENB = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p0,12000,16384,1,460,V100M16|V100M32|V100M32,LS,Running,100,12902960,105
p1,500,0,0,0,,BE,Succeeded,50,80,60
p2,6000,1.5,8,1000,G2,Burstable,Failed,100,150,150
p3,6000,12288,1,1000,,LS,Pending,120,200,
p4,6000,12288,1,1000,,BE,Failed,130,131,140
"""


def test_openb_shares_kinds_cpu_pods_and_the_never_scheduled(tmp_path: Path) -> None:
    trace = openb.load(write(tmp_path / "openb_pods.csv.gz", OPENB))
    assert trace.jobs == (
        Job(2, 50.0, 0, cpus=0.5, host_memory=0, name="p1"),
        Job(1, 100.0, 1, 0.46, ("V100M16", "V100M32"), 12.0, 16384 * 2**20, name="p0"),
        Job(3, 100.0, 8, 1.0, ("G2",), 6.0, 1572864, name="p2"),
    )
    assert trace.durations == {1: 12902855.0, 2: 20.0, 3: 0.0}
    assert trace.report is not None
    assert trace.report.dropped == {"never scheduled (no run time)": 1, "deleted before scheduled": 1}
    assert trace.report.noted == {
        "pods Running when collected": 1,
        "pods Succeeded when collected": 1,
        "pods Failed when collected": 1,
        "censored: ran on when the trace ended": 1,
        "shares of one GPU": 1,
        "rows out of order (sorted by submission)": 1,
        "CPU-only jobs": 1,
        "zero run times (kept)": 1,
    }


def test_openb_pods_are_read_whether_they_ran_or_not_and_without_times(tmp_path: Path) -> None:
    found = openb.pods(write(tmp_path / "pods.csv", OPENB))
    assert [(job.id, job.submit, job.gang, job.share, job.cpus) for job in found] == [
        (1, 0.0, 1, 0.46, 12.0), (2, 0.0, 0, 1.0, 0.5), (3, 0.0, 8, 1.0, 6.0), (4, 0.0, 1, 1.0, 6.0),
        (5, 0.0, 1, 1.0, 6.0),
    ]  # fmt: skip
    timeless = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,12000,1,2,1000\n"
    assert openb.pods(write(tmp_path / "multi.csv", timeless)) == (
        Job(1, 0.0, 2, cpus=12.0, host_memory=2**20, name="p"),
    )
    with pytest.raises(BadInput, match="line 1: column 'num_gpu' is missing"):
        openb.pods(write(tmp_path / "bad.csv", timeless.replace("num_gpu", "gpus")))


TABLE = {
    "v100": {
        "('LM (batch size 10)', 1)": {"null": 4.0, "('LM (batch size 10)', 1)": [1.0, 1.0]},
        "('LM (batch size 10)', 2)": {"null": 8.0},
        "('A3C (batch size 4)', 1)": {"null": 0.0},
    },
    "p100": {"('LM (batch size 10)', 1)": {"null": 2.0}},
}
SEVEN = "LM (batch size 10)\tcd %s && rm -rf /\t-n\t1\t400\t7.5\t2\nLM (batch size 10)\tx\t-n\t1\t400\t3\t1\n"
TEN = (
    "LM (batch size 10)\tpython3 x\tdir\t-n\t1\t400\t1\t2.5\t1.2\t10\n"
    "LM (batch size 10)\tpython3 x\tdir\t-n\t1\t400\t1\t1\t-1.000000\t10\n"
    "A3C (batch size 4)\tpython3 x\tdir\t-n\t1\t400\t1\t1\t-1.000000\t11\n"
    "LM (batch size 10)\tpython3 x\tdir\t-n\t1\t400\t16\t1\t-1.000000\t12\n"
)


def gavel_folder(folder: Path, text: str) -> Path:
    (folder / "traces").mkdir()
    write(folder / "simulation_throughputs.json.gz", json.dumps(TABLE))
    write(folder / "traces" / "oracle_throughputs.json", "[]")
    return write(folder / "traces" / "run.trace", text)


def test_gavel_with_seven_columns_turns_steps_into_seconds(tmp_path: Path) -> None:
    trace = gavel.load(gavel_folder(tmp_path, SEVEN))
    assert trace.jobs == (
        Job(2, 3.0, 1, profile="LM (batch size 10)"),
        Job(1, 7.5, 2, profile="LM (batch size 10)"),
    )
    assert trace.durations == {1: 50.0, 2: 100.0}
    assert trace.name == "run on v100"
    assert trace.report is not None
    assert trace.report.facts == {"kind": "v100", "throughputs": "simulation_throughputs.json.gz"}


def test_gavel_with_ten_columns_has_weights_and_deadlines_and_drops_the_unmeasured(tmp_path: Path) -> None:
    trace = gavel.load(gavel_folder(tmp_path, TEN), kind="v100")
    assert trace.jobs == (
        Job(1, 10.0, 1, priority=2.5, deadline=130.0, profile="LM (batch size 10)"),
        Job(2, 10.0, 1, priority=1.0, profile="LM (batch size 10)"),
    )
    assert trace.report is not None
    assert trace.report.dropped == {"jobs of a type and scale not measured on v100": 2}


def test_gavel_never_makes_a_command_of_the_shell_string(tmp_path: Path) -> None:
    for job in gavel.load(gavel_folder(tmp_path, SEVEN)).jobs:
        assert job.command == ()
        assert "rm" not in repr(job)


def test_gavel_on_another_kind_with_a_named_table(tmp_path: Path) -> None:
    path = gavel_folder(tmp_path, TEN)
    (tmp_path / "elsewhere").mkdir()
    table = write(tmp_path / "elsewhere" / "mine.json", json.dumps(TABLE))
    trace = gavel.load(path, throughputs=str(table), kind="p100")
    assert set(trace.durations.values()) == {200.0}
    assert trace.name == "run on p100"


@needs_real
@pytest.mark.parametrize(
    ("name", "rows", "jobs", "p50"),
    [
        ("lublin_256.swf.gz", 10_000, 10_000, 137),
        ("lublin_256_new2.gz", 10_000, 10_000, 31),
        ("lublin-aaroh.swf.gz", 10_000, 10_000, 6_616),
        ("NASA-iPSC-1993-3.1-cln.swf.gz", 18_239, 18_239, 86),
        ("LCG.swf.gz", 188_041, 188_041, 255),
        ("hpc2n.swf.gz", 3_170, 3_145, 943),
    ],
)
def test_real_swf_logs_have_their_rows_and_seconds(name: str, rows: int, jobs: int, p50: float) -> None:
    trace = swf.load(REAL / "swf" / name)
    check(trace, rows, jobs)
    assert median(trace.durations.values()) == pytest.approx(p50, rel=0.015)


@needs_real
def test_real_swf_facts() -> None:
    nasa = swf.load(REAL / "swf" / "NASA-iPSC-1993-3.1-cln.swf.gz")
    assert nasa.report is not None
    assert nasa.report.noted["zero run times (kept)"] == 173
    assert nasa.report.facts["processors"] == "128"
    assert len({job.user for job in nasa.jobs}) == 69
    lublin = swf.load(REAL / "swf" / "lublin_256.swf.gz")
    assert lublin.report is not None
    assert lublin.report.facts["processors"] == "256"
    assert lublin.estimates == "none"
    assert all(job.user is None and job.tenant is None for job in lublin.jobs)
    assert lublin.work / lublin.span / 256 == pytest.approx(1.06, abs=0.01)


@needs_real
def test_real_philly_has_its_rows_seconds_gangs_and_load_and_is_read_fast() -> None:
    began = perf_counter()
    trace = philly.load(REAL / "philly" / "philly.csv.gz")
    took = perf_counter() - began
    check(trace, 82_247, 82_247)
    assert median(trace.durations.values()) == 1144.0
    assert trace.span / 86400 == pytest.approx(108.9, abs=0.05)
    assert trace.work / trace.span == pytest.approx(374, abs=1)
    assert len({job.tenant for job in trace.jobs}) == 15
    assert trace.report is not None
    assert trace.report.noted["duplicates of an earlier job (kept)"] == 65
    assert took < 10, "it takes about one second; ten leave room for a busy machine"


@needs_real
@pytest.mark.parametrize("name", ["openb_pod_list_default.csv.gz", "openb_pod_list_gpuspec33.csv.gz"])
def test_real_openb_pods(name: str) -> None:
    trace = openb.load(REAL / "alibaba-v2023-openb" / name)
    check(trace, 8_152, 7_255)
    assert median(trace.durations.values()) == 616.0
    assert trace.report is not None
    assert trace.report.dropped == {"never scheduled (no run time)": 897}
    assert trace.report.noted["censored: ran on when the trace ended"] == 34
    assert any(len(job.kinds) > 1 for job in trace.jobs) == ("gpuspec" in name)


@needs_real
def test_real_gavel_traces_in_both_shapes() -> None:
    physical = gavel.load(REAL / "gavel" / "physical_cluster" / "max_min_fairness.trace.gz")
    check(physical, 96, 96)
    assert median(physical.durations.values()) == pytest.approx(8_600, rel=0.01)
    virtual_cluster = gavel.load(REAL / "gavel" / "msr_seed0" / "e13805.trace.gz")
    check(virtual_cluster, 607, 504)
    # Gavel made its steps from Philly's run times, whose median in this virtual cluster is 13,022 s
    assert median(virtual_cluster.durations.values()) == pytest.approx(13_022, rel=0.1)


def check(trace: Trace, rows: int, jobs: int) -> None:
    assert trace.report is not None
    assert (trace.report.rows, trace.report.jobs, len(trace)) == (rows, jobs, jobs)
    assert trace.report.rows == trace.report.jobs + sum(trace.report.dropped.values())
