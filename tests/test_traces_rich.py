"""Formats of jobs that are more: changing batch sizes (Shockwave), elastic gangs (Pollux), deadlines (Chronus)."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pytest
from real import REAL, needs_real

from gpuyard.traces import chronus, gavel, pollux, shockwave
from gpuyard.traces.job import Job
from gpuyard.traces.source import open_trace
from gpuyard.traces.trouble import BadInput


def line(kind: str, steps: int, gang: int, mode: str, duration: float, arrival: float, slo: str = "-1.000000") -> str:
    return f"{kind}\trm -rf /\tx\t--steps\t1\t{steps}\t{gang}\t{mode}\t1\t{slo}\t{duration}\t{arrival}\n"


# An epoch of LM is 59,675 samples: 1,492 steps of 40 or 746 of 80, 100 s and 50 s at 14.92 steps a second. One of
# ResNet-18 is 50,000: 782 steps of 64 at 7.82 a second are 100 s, 196 of 256 at 4.9 are 40 s.
SPEEDS = {
    "('LM (batch size 40)', 1)": {"null": 14.92},
    "('LM (batch size 80)', 1)": {"null": 14.92},
    "('ResNet-18 (batch size 64)', 2)": {"null": 7.82},
    "('ResNet-18 (batch size 256)', 2)": {"null": 4.9},
}
LM, RESNET = "LM (batch size 40)", "ResNet-18 (batch size 64)"
TRACE = (
    line(LM, 20 * 1492, 1, "gns", 2000, 0)
    + line(RESNET, 20 * 782, 2, "accordion", 2000, 5)
    + line(LM, 746, 1, "static", 50, 7, slo="2.000000")
    + line("GPT (batch size 1)", 10, 1, "gns", 60, 8)
)


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    """A trace beside two tables: by one its durations were made, by the other everything is twice as fast."""
    twice = {key: {"null": 2 * entry["null"]} for key, entry in SPEEDS.items()}
    (tmp_path / "a_throughputs.json").write_text(json.dumps({"v100": twice}))
    (tmp_path / "b_throughputs.json").write_text(json.dumps({"v100": SPEEDS}))
    (tmp_path / "two.trace").write_text(TRACE)
    return tmp_path / "two.trace"


def test_shockwave_says_when_batch_sizes_change(dynamic: Path) -> None:
    """LM doubles its batch at epoch 11 of 20: 11 x 100 s + 9 x 50 s. ResNet-18 takes 256 at 10: 10 x 100 + 10 x 40."""
    trace = shockwave.load(dynamic)
    assert trace.jobs == (
        Job(1, 0.0, priority=1.0, profile=LM),
        Job(2, 5.0, 2, priority=1.0, profile=RESNET),
        Job(3, 7.0, priority=1.0, profile=LM, deadline=107.0),
    )
    assert trace.durations == {1: pytest.approx(1550), 2: pytest.approx(1400), 3: pytest.approx(50)}
    assert list(trace.regimes) == [1, 2]
    (first, then), (resnet, larger) = trace.regimes.values()
    assert first == resnet == (0.0, 1.0)
    assert then == pytest.approx((11 / 20, 2))
    assert larger == pytest.approx((0.5, 2.5))
    assert trace.report is not None
    assert trace.report.facts == {"kind": "v100", "throughputs": "b_throughputs.json"}
    assert trace.report.dropped == {"jobs of a type and scale not measured on v100": 1}
    assert trace.report.noted == {
        "jobs that are gns": 1,
        "jobs that are accordion": 1,
        "jobs that are static": 1,
        "jobs whose batch size changes": 2,
    }


def test_shockwave_takes_no_batch_size_that_was_not_measured(dynamic: Path, tmp_path: Path) -> None:
    few = {key: entry for key, entry in SPEEDS.items() if "80" not in key}
    (tmp_path / "few.json").write_text(json.dumps({"v100": few}))
    trace = open_trace(f"shockwave:{dynamic},throughputs={tmp_path / 'few.json'}")
    assert trace.durations[1] == pytest.approx(2000)
    assert list(trace.regimes) == [2]


@pytest.mark.parametrize(
    ("first", "epochs", "sizes"),
    [
        (512, 40, [(0, 512), (30, 8192)]),
        (512, 100, [(0, 512), (31, 8192), (60, 512), (70, 8192), (80, 512), (90, 8192)]),
        (2048, 40, [(0, 2048)]),
        (8192, 40, [(0, 8192)]),
    ],
)
def test_accordion_keeps_the_first_size_in_critical_epochs_and_early(
    first: int, epochs: int, sizes: list[tuple[int, int]]
) -> None:
    """Critical: 0 to 30 for 512, 0 to 40 for 2048, and 60 to 70, 80 to 90; early: up to 30 % of the epochs."""
    assert shockwave.batches("Recommendation", first, 1, "accordion", epochs) == sizes


def test_gns_doubles_at_its_epochs_as_far_as_the_job_goes() -> None:
    assert shockwave.batches("LM", 5, 1, "gns", 45.5) == [(0, 5), (31, 10), (41, 20)]
    assert shockwave.batches("LM", 5, 8, "gns", 45.5) == [(0, 5)], "nobody laid down rules for 8"
    assert shockwave.batches("Transformer", 16, 1, "gns", 1000) == [(0, 16)]
    assert shockwave.batches("Transformer", 16, 1, "accordion", 1000) == [(0, 16)]


def test_every_doubling_ends_at_the_largest_batch_size() -> None:
    for about in shockwave.models().values():
        for first, gangs in about.get("doubles", {}).items():
            for epochs in gangs.values():
                assert epochs == sorted(set(epochs))
                assert int(first) * 2 ** len(epochs) == about["largest"]


@needs_real
@pytest.mark.parametrize(
    ("stem", "jobs", "changing", "faster", "table"),
    [
        ("120_0.2_5_100_40_25", 120, 67, 40, "tacc"),
        ("220_0.2_5_100_25_4", 220, 109, 99, "wisr"),
        ("460_0.2_5_100_10_1", 460, 247, 224, "wisr"),
        ("900_0.2_5_1000_5_15", 900, 474, 425, "wisr"),
        ("900_0.2_5_100_5_15", 900, 471, 421, "wisr"),
    ],
)
def test_shockwave_s_own_traces(stem: str, jobs: int, changing: int, faster: int, table: str) -> None:
    """Jobs that never change last exactly as long as the trace says: so the table is the one that made it.

    By these tables not every job is faster at the end for its larger batch, on TACC's only 40 of 67.
    """
    path = REAL / "shockwave" / f"{stem}_0,0.5,0.5_0.6,0.3,0.09,0.01_multigpu_dynamic.trace.gz"
    trace = open_trace(f"shockwave:{path}")
    assert trace.report is not None
    assert (len(trace), len(trace.regimes), trace.report.dropped) == (jobs, changing, {})
    assert trace.report.facts["throughputs"] == f"{table}_throughputs.json.gz"
    stated = {n: row.number("duration") for n, row in enumerate(gavel.tabbed(path, (shockwave.COLUMNS,), ""), 1)}
    assert all(abs(run - stated[n]) <= 1 for n, run in trace.durations.items() if n not in trace.regimes)
    assert sum(steps[-1][1] > 1 for steps in trace.regimes.values()) == faster


# Toy's target takes 100 steps of 8 samples or 40 of 32. An accelerator holds 4 to 8 samples.
STEPS = {"validation-8.csv": "iteration,metric\n50,1\n100,2\n", "validation-32.csv": "iteration,metric\n20,1\n40,2\n"}
PLACEMENTS = """placement,local_bsz,step_time,sync_time
1,4,0.4,0
1,8,0.8,0
2,4,0.5,0.1
2,8,0.9,0.1
11,4,9,0.1
11,8,9,0.1
"""
SCALABILITY = "num_nodes,num_replicas,local_bsz,step_time,sync_time\n2,6,4,0.7,0.3\n"
JOBS = """name,time,application,num_replicas,batch_size
a,0,toy,1,8
b,1,toy,2,8
c,2,toy,1,32
d,3,toy,2,32
e,4,toy,2,20
f,5,toy,6,24
g,6,toy,6,8
h,7,toy,1,64
i,8,toy,3,12
"""


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    """A workload where it lies in Pollux' repository, and its tables."""
    tables = tmp_path / "simulator" / "traces" / "toy"
    tables.mkdir(parents=True)
    for name, text in {**STEPS, "placements.csv": PLACEMENTS, "scalability.csv": SCALABILITY}.items():
        (tables / name).write_text(text)
    path = tmp_path / "benchmark" / "workloads" / "workload-1.csv"
    path.parent.mkdir(parents=True)
    path.write_text(JOBS)
    return path


def test_pollux_jobs_are_elastic_and_last_as_their_tables_say(workload: Path) -> None:
    """Largest batch 32 by smallest share 4 are 8 replicas at most.

    a: 100 steps x 0.8 s. b: 4 samples each, 100 x 0.5. c: 32 samples are four passes of 8: 40 x 4 x 0.8. d: 16 each are
    two passes, of which one does not synchronise: 40 x (0.9 + 0.8). e: 20 lies half way between 8 and 32, 70 steps; 10
    each are two passes of 5: 70 x (0.6 + 0.5). f: 4 on each of 6, on two nodes: 24 is two thirds of the way, 60 x 0.7.
    g has 2 samples on each, h a batch that never ran, i a gang that was not measured.
    """
    trace = pollux.load(workload)
    gangs = [1, 2, 1, 2, 2, 6]
    assert trace.jobs == tuple(
        Job(n, n - 1.0, gang, profile="toy", name=name, min_gang=1, max_gang=8)
        for n, (name, gang) in enumerate(zip("abcdef", gangs, strict=True), 1)
    )
    assert list(trace.durations.values()) == pytest.approx([80, 50, 128, 68, 77, 42])
    assert trace.report is not None
    assert trace.report.dropped == {"placement and batch size were not measured": 3}


def test_pollux_tables_may_lie_elsewhere_or_not_at_all(workload: Path, tmp_path: Path) -> None:
    alone = tmp_path / "mine.csv"
    alone.write_text(JOBS)
    tables = tmp_path / "simulator" / "traces"
    assert open_trace(f"pollux:{alone},tables={tables}").durations == pollux.load(workload).durations
    with pytest.raises(BadInput, match=r"has no APPLICATION/placements\.csv; write pollux:WORKLOAD,tables="):
        pollux.load(alone)
    alone.write_text(JOBS.replace("e,4,toy", "e,4,tay"))
    with pytest.raises(BadInput, match=r"line 6, column 'application': 'tay' has no tables in .*Did you mean 'toy'"):
        pollux.load(alone, tables=str(tables))


@needs_real
def test_pollux_own_workloads() -> None:
    """bert on one T4: validation-12 ends at step 14,774, and 12 samples take 0.9215157 s. ncf is never elastic."""
    folder = REAL / "pollux-profiles" / "benchmark"
    for path in sorted(folder.glob("workloads*/*.csv")):
        trace = pollux.load(path)
        assert trace.report is not None
        assert (len(trace), trace.report.dropped) == (160, {})
        assert all(job.min_gang == 1 for job in trace.jobs)
        assert {job.max_gang for job in trace.jobs if job.profile != "ncf"} == {64}
        assert all(job.max_gang == job.gang for job in trace.jobs if job.profile == "ncf")
        berts = {trace.durations[job.id] for job in trace.jobs if (job.profile, job.gang) == ("bert", 1)}
        assert {round(run, 2) for run in berts} == ({13_614.47} if "realistic" in str(path) else set())


CHRONUS = (
    "job_id,user,num_gpu,submit_time,iterations,model_name,duration,interval,expect_time_list,expect_value_list,"
    "best_effort,job_type\n"
    "0,vc_b,4,30,6910,resnet101,10,8,25,10,0,strict\n"
    "1,vc_a,1,10,296,alexnet,1.5,8,10,10,1,best\n"
    "2,vc_a,0,11,296,alexnet,5,8,10,10,0,strict\n"
    "3,vc_a,2,12,296,vgg16,5,8,10-20-30,10-8-5,0,soft\n"
)


def test_chronus_counts_in_minutes_and_only_strict_deadlines_are_deadlines(tmp_path: Path) -> None:
    """Job 1 is submitted at minute 30, 20 minutes after the first, and must end 25 minutes later."""
    (tmp_path / "slo.csv").write_text(CHRONUS)
    trace = chronus.load(tmp_path / "slo.csv")
    assert trace.jobs == (
        Job(2, 600.0, 1, tenant="vc_a", profile="alexnet"),
        Job(4, 720.0, 2, tenant="vc_a", profile="vgg16"),
        Job(1, 1800.0, 4, tenant="vc_b", profile="resnet101", deadline=3300.0),
    )
    assert trace.durations == {1: 600.0, 2: 90.0, 4: 300.0}
    assert trace.report is not None
    assert trace.report.dropped == {"no GPU asked for": 1}
    assert trace.report.noted["jobs that are soft"] == 1


@needs_real
@pytest.mark.parametrize(
    ("name", "jobs", "without", "deadlines"),
    [("SLO", 30_735, 205, 30_735), ("MIX1", 30_756, 184, 21_600), ("MIX2", 30_746, 194, 9_211)],
)
def test_chronus_own_traces(name: str, jobs: int, without: int, deadlines: int) -> None:
    trace = chronus.load(REAL / "chronus" / f"trace_job_Philly_{name}.csv.gz")
    assert trace.report is not None
    assert (len(trace), trace.report.dropped) == (jobs, {"no GPU asked for": without})
    slacks = [(j.deadline - j.submit) / trace.durations[j.id] for j in trace.jobs if j.deadline is not None]
    assert len(slacks) == deadlines
    assert median(trace.durations.values()) in (3540.0, 3600.0), "an hour"
    if name == "SLO":
        assert sum(slacks) / len(slacks) == pytest.approx(2.127, abs=0.001)


D = "user,num_gpu,submit_time,model_name,duration,expect_time_list,job_type\n"
W = "name,time,application,num_replicas,batch_size\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (line("LM", 1, 1, "gns", 1, 0), "line 1, column 'job_type': 'LM' is no type; write it as 'LM (batch size 10)'"),
        (line(LM, 1, 1, "magic", 1, 0), "line 1, column 'mode': 'magic' is no mode; write static, accordion, gns"),
        (line(LM, 1, 0, "gns", 1, 0), "line 1, column 'scale_factor': '0' is below 1"),
        ("a\tb\n", "line 1: has 2 tab-separated columns, a Shockwave trace has 12; is it the right file?"),
    ],
)
def test_a_bad_row_of_shockwave(dynamic: Path, text: str, complaint: str) -> None:
    dynamic.write_text(text)
    with pytest.raises(BadInput) as caught:
        shockwave.load(dynamic)
    assert complaint in str(caught.value)


def test_shockwave_without_a_table_says_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "x.trace").write_text(TRACE)
    with pytest.raises(BadInput, match="write shockwave:TRACE,throughputs=FILE"):
        shockwave.load(tmp_path / "x.trace")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (D + "a,1,1,x,1,5,firm\n", "line 2, column 'job_type': 'firm' is no type of job; write strict, soft, best"),
        (D + "a,1,1,x,1,5-6,strict\n", "line 2, column 'expect_time_list': '5-6' is not a number"),
        (D + "a,1,1,x,-1,5,best\n", "line 2, column 'duration': '-1' is below 0"),
        (D + "a,0,1,x,1,5,best\n", "no row became a job (1 no GPU asked for)"),
    ],
)
def test_a_bad_row_of_chronus(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(BadInput) as caught:
        chronus.load(tmp_path / "x.csv")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (W + "a,-1,toy,1,8\n", "line 2, column 'time': '-1' is below 0"),
        (W + "a,1,toy,0,8\n", "line 2, column 'num_replicas': '0' is below 1"),
        (W + "a,1,../toy,1,8\n", "line 2, column 'application': '../toy' has no tables"),
    ],
)
def test_a_bad_row_of_pollux(workload: Path, text: str, complaint: str) -> None:
    workload.write_text(text)
    with pytest.raises(BadInput) as caught:
        pollux.load(workload)
    assert complaint in str(caught.value)
