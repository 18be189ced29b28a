"""`gpuyard traces` as a person or a program uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from gpuyard.traces import catalog, table
from gpuyard.traces.command import command
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput

SWF = "; MaxProcs: 4\n" + "".join(
    f"{n} {n * 600} -1 {n * 30} 2 -1 -1 -1 -1 -1 1 3 4 -1 -1 2 -1 -1\n" for n in range(1, 21)
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUYARD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.swf"
    path.write_text(SWF)
    return path


def run(*args: object) -> Result:
    result = CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_the_list_names_formats_presets_and_sets() -> None:
    said = run("list").stdout
    for word in ("philly", "swf", "sweeps", "lublin-256", "CC-BY-4.0", "no"):
        assert word in said
    listing = json.loads(run("list", "--json").stdout)
    assert listing["formats"] == ["chronus", "gavel", "openb", "philly", "pollux", "shockwave", "swf", "table"]
    assert set(listing["presets"]) == {"philly", "sweeps", "lab"}
    assert {entry["name"]: entry["cached"] for entry in listing["sets"]}["philly"] is False


def test_describe_tells_what_a_trace_is_like(log: Path) -> None:
    said = run("describe", f"swf:{log}", "--accelerators", 4).stdout
    assert "20 rows read, 20 jobs; noted: 20 jobs completed; source: processors 4" in said
    assert "load of 4 accelerators" in said
    document = json.loads(run("describe", f"swf:{log}", "--json", "--accelerators", 4).stdout)
    assert (document["jobs"], document["span"], document["tenants"]) == (20, 11400.0, 1)
    assert document["load"] == pytest.approx(2 * 30 * 210 / 11400)
    assert document["rho"] == pytest.approx(document["load"] / 4)
    assert document["report"]["facts"] == {"processors": "4"}


def test_describe_warns_of_a_load_that_no_queue_survives(log: Path) -> None:
    assert "warning: load 1.11 is above 1" in run("describe", f"swf:{log}", "--accelerators", 1).stderr
    assert "warning" not in run("describe", f"swf:{log}", "--accelerators", 4).stderr


def test_describe_draws_a_picture_and_says_where(log: Path, tmp_path: Path) -> None:
    result = run("describe", f"swf:{log}", "--picture", tmp_path / "log.png", "--json")
    assert f"picture: {tmp_path / 'log.png'}" in result.stderr
    assert (tmp_path / "log.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(result.stdout)["jobs"] == 20


def test_convert_writes_a_table_that_reads_back(log: Path, tmp_path: Path) -> None:
    said = run("convert", f"swf:{log}", tmp_path / "t.parquet", "--limit", 5, "--estimates", "exact").stdout
    assert said == (
        f"wrote {tmp_path / 't.parquet'}: 5 jobs, estimates exact, an oracle "
        "(derived from the true run times: no user stated them)\n"
    )
    trace = table.load(tmp_path / "t.parquet")
    assert [job.estimate for job in trace.jobs] == [30.0, 60.0, 90.0, 120.0, 150.0]
    assert trace.estimates == "exact"
    document = json.loads(run("convert", tmp_path / "t.parquet", tmp_path / "u.csv.gz", "--json").stdout)
    assert document == {"path": str(tmp_path / "u.csv.gz"), "jobs": 5, "name": "log", "estimates": "exact"}
    assert table.load(tmp_path / "u.csv.gz") == trace


def test_generate_writes_the_trace_that_the_function_makes(tmp_path: Path) -> None:
    run("generate", "philly", tmp_path / "p.csv", "--jobs", 300, "--seed", 4, "--largest", 8, "--rate", 2)
    assert table.load(tmp_path / "p.csv") == generate("philly", jobs=300, seed=4, largest=8, rate=2)


def test_calibrate_then_generate_more(tmp_path: Path) -> None:
    run("generate", "lab", tmp_path / "lab.parquet", "--jobs", 2000)
    run("calibrate", tmp_path / "lab.parquet", tmp_path / "mine.json")
    run("generate", tmp_path / "mine.json", tmp_path / "more.parquet", "--jobs", 50)
    assert len(table.load(tmp_path / "more.parquet")) == 50


def test_fetch_shows_the_licence_and_prints_the_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    def bring(entry: catalog.Entry, progress: catalog.Progress, origin: str) -> list[Path]:
        progress(entry.files[0].name, 1, 2)
        assert origin == "http://mirror"
        return [entry.folder / file.name for file in entry.files]

    monkeypatch.setattr("gpuyard.traces.command.bring", bring)
    result = run("fetch", "philly", "--mirror", "http://mirror")
    assert "licence: Apache-2.0; the upstream msr-fiddle/philly-traces is CC-BY-4.0" in result.stderr
    assert "cite: Jeon et al." in result.stderr
    assert result.stdout == f"{catalog.find('philly').folder / 'philly.csv'}\n"
    document = json.loads(run("fetch", "philly", "--mirror", "http://mirror", "--json").stdout)
    assert document["name"] == "philly"


def test_bad_input_is_raised_and_leaves_nothing(log: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    for args in (
        ("describe", "philly:nowhere.csv"),
        ("convert", f"philly:{log}", tmp_path / "x.csv"),
        ("convert", f"swf:{log}", tmp_path / "x.txt"),
        ("convert", f"swf:{log}", tmp_path / "x.csv", "--estimates", "guessed"),
        ("generate", "office", tmp_path / "x.csv"),
        ("generate", "lab", tmp_path / "x.csv", "--rate", "0"),
        ("calibrate", f"swf:{log}", tmp_path / "x.json"),
        ("fetch", "phily"),
    ):
        with pytest.raises(BadInput):
            run(*args)
    assert sorted(tmp_path.iterdir()) == before


def test_an_empty_table_has_nothing_to_describe(tmp_path: Path) -> None:
    table.save(generate("lab", jobs=1).first(0), tmp_path / "empty.csv")
    with pytest.raises(BadInput, match="has no jobs to describe"):
        run("describe", tmp_path / "empty.csv")


@pytest.mark.parametrize("name", sorted(command.commands))
def test_every_command_helps_with_examples(name: str) -> None:
    said = run(name, "--help").stdout
    assert "Examples:" in said
    assert f"gpuyard traces {name}" in said


def test_from_the_shell_bad_input_is_one_line_and_exit_code_2() -> None:
    line = [sys.executable, "-m", "gpuyard", "traces", "describe", "synthetic:lap"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "gpuyard: synthetic:lap: there is no such preset. Did you mean 'lab'?\n"


def test_the_commands_are_those_promised() -> None:
    assert isinstance(command, click.Group)
    assert set(command.commands) == {"list", "fetch", "describe", "convert", "generate", "calibrate"}
