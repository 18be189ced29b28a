"""Input that cannot be read is one sentence that says what, where and what to do; never half a trace."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuyard.traces import gavel, openb, philly, swf, table
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.rows import lines
from gpuyard.traces.trouble import BadInput

P = "timestamp,duration,num_gpus,gpu_time,cluster\n2017-10-09 07:01:55,66,1,66,a\n"
S = "1 10 -1 5 1 -1 -1 -1 -1 -1 1 -1 -1 -1 -1 -1 -1 -1\n"
O = (  # noqa: E741
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
    "p0,1000,1,1,500,,LS,Running,1,9,2\n"
)
G = "LM\tx\t-n\t1\t400\t1\t1\n"
SPEEDS = json.dumps({"v100": {"('LM', 1)": {"null": 1.0}}})
C = "submit,duration,gang,kinds,id\n1,5,1,,7\n"

Load = Callable[[Path], Trace]

BAD = [
    (philly.load, P + "yesterday,1,1,1,a\n", "line 3, column 'timestamp': 'yesterday' is not a time"),
    (philly.load, P + "2017-10-09T07:01:55+02:00,1,1,1,a\n", "line 3, column 'timestamp'"),
    (philly.load, P + "2017-10-09 07:01:55,nan,1,1,a\n", "line 3, column 'duration': 'nan' is not a finite number"),
    (philly.load, P + "2017-10-09 07:01:55,1e999,1,1,a\n", "line 3, column 'duration'"),
    (philly.load, P + "2017-10-09 07:01:55,,1,1,a\n", "line 3, column 'duration': is empty; write a number"),
    (philly.load, P + "2017-10-09 07:01:55,1_0,1,1,a\n", "line 3, column 'duration'"),
    (philly.load, P + "2017-10-09 07:01:55,1,two,1,a\n", "line 3, column 'num_gpus': 'two' is not a number"),
    (philly.load, P + "2017-10-09 07:01:55,1,1.5,1,a\n", "line 3, column 'num_gpus': '1.5' is not a whole number"),
    (philly.load, P + "2017-10-09 07:01:55,1,-1,1,a\n", "line 3, column 'num_gpus': '-1' is below 0"),
    (philly.load, P + "2017-10-09 07:01:55,1,1\n", "line 3: has 3 columns, its header 5"),
    (philly.load, P + '2017-10-09 07:01:55,1,1,1,"a\n', "line 3: its quotes cannot be read"),
    (philly.load, "timestamp,num_gpus,cluster\n", "line 1: column 'duration' is missing"),
    (philly.load, P.replace("gpu_time", "duration"), "line 1: column 'duration' stands twice"),
    (philly.load, "", "is empty; it should begin with the columns timestamp"),
    (philly.load, P.splitlines()[0], "no row became a job (it holds no data rows)"),
    (philly.load, S, "line 1: column 'timestamp' is missing"),
    (swf.load, P, "line 1: has 1 columns, SWF has 18; is it a SWF file"),
    (swf.load, S + "2 10 -1 5 1 -1\n", "line 2: has 6 columns, SWF has 18"),
    (swf.load, S + S.replace("10", "ten"), "line 2, column 'submit time' (2): 'ten' is not a number"),
    (swf.load, S + S.replace("10", "nan"), "line 2, column 'submit time' (2): 'nan' is not a finite number"),
    (swf.load, S + S.replace("10", "-3"), "line 2, column 'submit time' (2): '-3' is a negative time"),
    (swf.load, S + S.replace("10 -1 5 1", "10 -1 5 1.5"), "line 2, column 'allocated processors' (5)"),
    (swf.load, S + S.replace("10 -1 5", "10 -1 inf"), "line 2, column 'run time' (4)"),
    (swf.load, S.replace("-1 5 1", "-1 -1 1"), "no row became a job (1 unknown run time (-1))"),
    (swf.load, "; only a header\n", "no row became a job"),
    (openb.load, O.replace("500", "0"), "line 2, column 'gpu_milli': '0' is no share of one GPU"),
    (openb.load, O.replace("500", "1500"), "line 2, column 'gpu_milli': '1500' is no share of one GPU"),
    (openb.load, O.replace("p0,1000", "p0,-1"), "line 2, column 'cpu_milli': '-1' is below 0"),
    (openb.load, O.replace("Running,1,9,2", "Running,-1,9,2"), "line 2, column 'creation_time': '-1' is below 0"),
    (openb.load, O.replace("Running,1,9,2", "Running,1,,2"), "line 2, column 'deletion_time': is empty"),
    (openb.load, O.replace(",2\n", ",soon\n"), "line 2, column 'scheduled_time': 'soon' is not a number"),
    (openb.load, "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n", "column 'creation_time' is missing"),
    (gavel.load, G + "LM\tx\t-n\t1\t400\t1\n", "line 2: has 6 tab-separated columns, a Gavel trace has 7 or 10"),
    (gavel.load, G + G.replace("400", "many"), "line 2, column 'total_steps': 'many' is not a number"),
    (gavel.load, G + G.replace("400\t1", "400\t-1"), "line 2, column 'arrival_time': '-1' is below 0"),
    (gavel.load, G[:-2] + "0\n", "line 1, column 'scale_factor': '0' is below 1"),
    (gavel.load, G.replace("LM", "GPT"), "no row became a job (1 jobs of a type and scale not measured on v100)"),
    (table.load, C + "2,x,1,,8\n", "line 3, column 'duration': 'x' is not a number"),
    (table.load, C + "2,nan,1,,8\n", "line 3, column 'duration': nan cannot be"),
    (table.load, C + "2,-1,1,,8\n", "line 3, column 'duration': -1.0 cannot be; write a finite number from 0"),
    (table.load, C + "-2,1,1,,8\n", "line 3, column 'submit': -2.0 cannot be"),
    (table.load, C + ",1,1,,8\n", "line 3, column 'submit': is empty"),
    (table.load, C + "2,1,1.5,,8\n", "line 3, column 'gang': '1.5' is not a whole number"),
    (table.load, C + "2,1,-1,,8\n", "line 3, column 'gang': -1 cannot be"),
    (table.load, C + "2,1,1,[3],8\n", "line 3, column 'kinds': '[3]' is no JSON list"),
    (table.load, C + "2,1,1,,7\n", "line 3, column 'id': 7 was said before"),
    (table.load, C + "2,1,1\n", "line 3: has 3 columns, its header 5"),
    (table.load, "submit,duration,after\n1,1,x\n", "line 2, column 'after': 'x' is no JSON list of whole numbers"),
    (table.load, "submit,duration,after\n1,1,[1.5]\n", "line 2, column 'after': '[1.5]' is no JSON list of whole"),
    (table.load, "submit,duration,after\n1,1,1\n", "job 1 comes after itself"),
    (table.load, "submit,duration,after\n1,1,2\n1,1,3\n1,1,1\n", "jobs come after each other in a ring: 1, 3, 2, 1"),
    (table.load, "submit,duration,regimes\n1,1,[[0]]\n", "line 2, column 'regimes': '[[0]]' is no JSON list of pairs"),
    (
        table.load,
        'submit,duration,regimes\n1,1,"[[0.5,1]]"\n',
        "job 1 has the regimes ((0.5, 1.0),); parts ascend from",
    ),
    (table.load, 'submit,duration,regimes\n1,1,"[[0,0]]"\n', "job 1 has the regimes ((0.0, 0.0),)"),
    (table.load, "submit,duration,gang,max_gang\n1,1,4,2\n", "job 1 has gang 4"),
    (table.load, "submit,duration,checkpoint\n1,1,-2\n", "line 2, column 'checkpoint': -2 cannot be"),
    (table.load, "# gpuyard trace {}\n" + C, "cannot be read ('version'); remove it"),
    (table.load, "# note\n" + C + "\n2,x,1,,8\n", "line 5, column 'duration': 'x'"),
    (table.load, "submit,gang\n1,1\n", "line 1: column 'duration' is missing"),
    (table.load, "submit,submit,duration\n1,1,1\n", "line 1: column 'submit' stands twice"),
    (table.load, "submit,duration,gang,share\n1,1,2,0.5\n", "job 1 asks for gang 2 with share 0.5"),
    (table.load, "", "is not a readable CSV table"),
]


@pytest.mark.parametrize(("load", "text", "complaint"), BAD)
def test_a_bad_row_is_one_sentence_with_its_place(tmp_path: Path, load: Load, text: str, complaint: str) -> None:
    (tmp_path / "simulation_throughputs.json").write_text(SPEEDS)
    path = tmp_path / "file.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        load(path)
    said = str(caught.value)
    assert complaint in said
    assert str(path) in said
    assert "\n" not in said


LOADERS: list[Load] = [philly.load, swf.load, openb.load, gavel.load, table.load]


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no such file; check the path"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", ""),
        (b"\x1f\x8b\x08\x00cut", "its gzip data is damaged"),
        (gzip.compress(b"\n" * 99_999, mtime=0)[:-20], "its gzip data is damaged"),
        (gzip.compress(b"\n" * 99_999, mtime=0)[:30] + b"xxxxxxxxxxxxxxxxx", "its gzip data is damaged"),
    ],
)
def test_a_file_that_is_none_of_ours(tmp_path: Path, load: Load, content: bytes | None, complaint: str) -> None:
    (tmp_path / "simulation_throughputs.json").write_text(SPEEDS)
    path = tmp_path / "file.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        load(path)
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("load", LOADERS)
def test_a_folder_is_no_file(tmp_path: Path, load: Load) -> None:
    (tmp_path / "simulation_throughputs.json").write_text(SPEEDS)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadInput, match="is a folder; give a file"):
        load(tmp_path / "folder.csv")


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuyard.traces.rows.LARGEST", 10_000)
    bomb = tmp_path / "bomb.csv.gz"
    bomb.write_bytes(gzip.compress(P.encode() + b"2017-10-09 07:01:55,66,1,66,a\n" * 1000))
    for load in (philly.load, table.load):
        with pytest.raises(BadInput, match="holds more than"):
            load(bomb)


@pytest.mark.parametrize(
    ("text", "kind", "complaint"),
    [
        ("{", "v100", "is not JSON"),
        ("[]", "v100", "is no throughput table"),
        (SPEEDS, "v10", "has no accelerator kind 'v10'. Did you mean 'v100'?"),
        ('{"v100": {"LM": {"null": 1}}}', "v100", "the entry 'LM' is no"),
        ('{"v100": {"(\'LM\', 1)": {}}}', "v100", "the entry"),
        ('{"v100": {"__import__(\'os\')": {"null": 1}}}', "v100", "the entry"),
    ],
)
def test_a_throughput_table_that_is_none(tmp_path: Path, text: str, kind: str, complaint: str) -> None:
    (tmp_path / "x_throughputs.json").write_text(text)
    (tmp_path / "a.trace").write_text(G)
    with pytest.raises(BadInput) as caught:
        gavel.load(tmp_path / "a.trace", kind=kind)
    assert complaint in str(caught.value)


def test_no_throughput_table_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "a.trace").write_text(G)
    with pytest.raises(BadInput, match="write gavel:TRACE,throughputs=FILE"):
        gavel.load(tmp_path / "a" / "b" / "a.trace")


def test_options_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(P)
    with pytest.raises(BadInput, match="since=soon: is not a date; write it as since=2017-10-02"):
        philly.load(path, since="soon")
    path.write_text(S)
    with pytest.raises(BadInput, match="tenant=user: is no SWF column"):
        swf.load(path, tenant="user")


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    fine = Trace((Job(1, 0.0),), {1: 1.0})
    surrogate = Trace((Job(1, 0.0, name="\ud800"),), {1: 1.0})
    endless = Trace((Job(1, 0.0, deadline=float("inf")),), {1: 1.0})
    huge = Trace((Job(2**70, 0.0),), {2**70: 1.0})
    for trace, path in [
        (fine, tmp_path / "trace.xlsx"),
        (fine, tmp_path / "nowhere" / "trace.csv"),
        (surrogate, tmp_path / "trace.parquet"),
        (surrogate, tmp_path / "trace.csv"),
        (endless, tmp_path / "trace.csv"),
        (huge, tmp_path / "trace.csv"),
    ]:
        with pytest.raises(BadInput):
            table.save(trace, path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("jobs", "durations"),
    [
        ((Job(1, 5.0), Job(2, 4.0)), {1: 1.0, 2: 1.0}),
        ((Job(1, -1.0),), {1: 1.0}),
        ((Job(1, float("nan")),), {1: 1.0}),
        ((Job(1, 0.0), Job(1, 0.0)), {1: 1.0}),
        ((Job(1, 0.0),), {}),
        ((Job(1, 0.0),), {1: -1.0}),
        ((Job(1, 0.0),), {1: 1.0, 2: 1.0}),
        ((Job(1, 0.0, 2, 0.5),), {1: 1.0}),
        ((Job(1, 0.0, -1),), {1: 1.0}),
        ((Job(1, 0.0, estimate=-1.0),), {1: 1.0}),
    ],
)
def test_what_is_no_trace(jobs: tuple[Job, ...], durations: dict[int, float]) -> None:
    with pytest.raises(BadInput):
        Trace(jobs, durations)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "bomb.gz", "wb") as file:
        for _ in range(64):
            file.write(b"a" * 2**20)
    with pytest.raises(BadInput, match="line 1: is longer than"):
        list(lines(tmp_path / "bomb.gz"))
