"""A trace in one line of text, and what is said when the line is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gpuyard.traces import source, table
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.source import formats, open_trace
from gpuyard.traces.trouble import BadInput

SWF = "1 0 -1 5 1 -1 -1 -1 -1 -1 1 3 4 -1 -1 2 -1 -1\n"
FOUR = Trace(tuple(Job(n, float(n), tenant="a") for n in range(4)), dict.fromkeys(range(4), 2.5), "four")


def test_formats_are_the_modules_that_load() -> None:
    assert list(formats()) == ["chronus", "gavel", "openb", "philly", "pollux", "shockwave", "swf", "table"]


def test_a_format_its_path_and_its_options(tmp_path: Path) -> None:
    path = tmp_path / "log.swf"
    path.write_text(SWF)
    assert open_trace(f"swf:{path}").jobs[0].tenant == "4"
    assert open_trace(f"swf:{path},tenant=partition").jobs[0].tenant == "2"


def test_a_path_may_hold_commas_and_equals_signs(tmp_path: Path) -> None:
    folder = tmp_path / "seed=0,x"
    folder.mkdir()
    for name in ("220_0.2,0,5_0.6.swf", "a,tenant=3"):
        (folder / name).write_text(SWF)
        assert len(open_trace(f"swf:{folder / name}")) == 1
    assert open_trace(f"swf:{folder / 'a,tenant=3'},tenant=partition").jobs[0].tenant == "2"


def test_home_is_understood_behind_the_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.swf").write_text(SWF)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(open_trace("swf:~/log.swf")) == 1


def test_our_own_table_needs_no_format(tmp_path: Path) -> None:
    for ending in (".parquet", ".csv", ".csv.gz"):
        table.save(FOUR, tmp_path / f"four{ending}")
        assert open_trace(str(tmp_path / f"four{ending}")) == FOUR
        assert open_trace(f"table:{tmp_path / f'four{ending}'}") == FOUR


def test_a_format_of_a_stranger_is_one_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "mylab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "logs.py").write_text(
        "from gpuyard.traces.job import Job, Trace\n"
        "def load(path, *, user='x'):\n"
        "    return Trace((Job(1, 0.0, user=user),), {1: float(path.read_text())})\n"
    )
    (tmp_path / "log").write_text("7")
    monkeypatch.syspath_prepend(str(tmp_path))
    trace = open_trace(f"mylab.logs:{tmp_path / 'log'},user=ann")
    assert (trace.jobs[0].user, trace.durations) == ("ann", {1: 7.0})
    del sys.modules["mylab.logs"], sys.modules["mylab"]


def test_a_new_format_is_one_file_and_no_edited_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gpuyard.traces as room

    (tmp_path / "oneline.py").write_text(
        "from .job import Job, Trace\ndef load(path):\n    return Trace((Job(1, 0.0),), {1: 1.0}, 'one')\n"
    )
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path)])
    assert "oneline" in formats()
    assert open_trace("oneline:whatever").name == "one"
    del sys.modules["gpuyard.traces.oneline"]


def test_synthetic_traces_take_a_seed_from_the_line_or_the_caller() -> None:
    assert open_trace("synthetic:lab,jobs=20", seed=3) == open_trace("synthetic:lab,jobs=20,seed=3")
    assert open_trace("synthetic:lab,jobs=20,seed=4", seed=3) != open_trace("synthetic:lab,jobs=20", seed=3)
    assert max(job.gang for job in open_trace("synthetic:lab,largest=2").jobs) == 2


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("filly:x", "there is none of that name; write FORMAT:PATH. Did you mean 'philly'?"),
        ("job:x", "trace format 'job': there is none of that name"),
        ("../swf:x", "there is none of that name"),
        ("no.such.module:x", "there is none of that name"),
        ("json:x", "trace format 'json'"),
        (
            "philly.csv",
            "(formats: chronus, gavel, openb, philly, pollux, shockwave, swf, table), synthetic:PRESET or fetched:NAME",
        ),
        ("", "write FORMAT:PATH"),
        ("swf:x,tenants=queue", "trace format 'swf': no option 'tenants'. Did you mean 'tenant'?"),
        ("table:x.csv,kind=3", "trace format 'table': no option 'kind'. There are: data, deadlines, elastic"),
        ("swf:x,elastik=1", "trace format 'swf': no option 'elastik'. Did you mean 'elastic'?"),
        ("swf:nowhere.swf", "nowhere.swf: no such file; check the path"),
        ("synthetic:lap", "synthetic:lap: there is no such preset. Did you mean 'lab'?"),
        ("synthetic:lab,jobs=many", "option jobs=many: 'many' is not a number"),
        ("synthetic:lab,jobs=1.5", "option jobs=1.5: is not a whole number"),
        ("synthetic:lab,jobs=0", "jobs=0: give 1 or more"),
        ("synthetic:lab,seed=-1", "option seed=-1: is not a whole number"),
        ("synthetic:lab,rate=nan", "rate=nan cannot be"),
        ("synthetic:lab,rate=0", "rate=0 cannot be"),
        ("synthetic:lab,largest=0.5", "the preset has no gang as small"),
        ("synthetic:lab,profiles=2", "profiles=2 cannot be; give a part from 0 to 1"),
        ("synthetic:lab,elastic=-0.1", "elastic=-0.1 cannot be; give a part from 0 to 1"),
        ("synthetic:lab,sweeps=nan", "sweeps=nan cannot be; give a part from 0 to 1"),
        ("synthetic:lab,pipelines=some", "option pipelines=some: 'some' is not a number"),
        ("synthetic:lab,tempo=2", "no option 'tempo'"),
        ("synthetic:nowhere.json", "cannot be read as JSON"),
        ("fetched:fily", "the catalog has none of that name. Did you mean 'philly'?"),
        ("fetched:philly/x.csv", "trace set 'philly' has no file 'x.csv'. Did you mean 'philly.csv'?"),
        ("fetched:philly", "is not on this machine; run: gpuyard traces fetch philly"),
    ],
)
def test_a_line_that_names_no_trace(spec: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUYARD_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as caught:
        open_trace(spec)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_programs_csv_is_not_taken_for_ours(tmp_path: Path) -> None:
    path = tmp_path / "philly.csv"
    path.write_text("timestamp,duration,num_gpus,gpu_time,cluster\n")
    with pytest.raises(BadInput, match="write FORMAT:PATH"):
        open_trace(str(path))


def test_a_preset_file_that_is_garbled(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"noise_rho": 0.5}))
    with pytest.raises(BadInput, match="is no preset"):
        open_trace(f"synthetic:{path}")
    path.write_text(json.dumps({"bursts": [{"of": [["a", 1, 1]]}]}))
    with pytest.raises(BadInput, match="lacks or garbles"):
        open_trace(f"synthetic:{path}")


def test_opening_one_trace_does_not_import_the_other_rooms_burden() -> None:
    code = (
        "import sys; from gpuyard.traces.source import open_trace;"
        "open_trace('synthetic:lab,jobs=5'); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"matplotlib", "pyarrow", "pooch", "requests", "rich", "torch"} & set(loaded)
    assert source.__name__ in loaded
