"""Commands that take a scenario: whether it is well, what there is to note, and a simulation of its jobs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpuyard.__main__ import cli
from gpuyard.envs.log import Log
from gpuyard.envs.scenario import shipped
from gpuyard.experiments.scenario import begun, remarks
from gpuyard.traces.job import Trace
from gpuyard.traces.trouble import BadInput
from scenes import SMALL, made


@pytest.mark.parametrize(
    ("law", "complaint"),
    [
        ('[laws.failures]\nrecorded = "nope.csv"', "laws.failures.recorded: nope.csv: no such file"),
        ('[laws.spot]\nrecorded = "nope.csv"', "laws.spot.recorded: nope.csv: no such file"),
        ('[laws.speed]\nprofiles = "nope.toml"', "laws.speed.profiles: profiles nope.toml: no such file"),
        ('[laws.sharing]\nprofiles = "nope.toml"', "laws.sharing.profiles: profiles nope.toml: no such file"),
        ('[laws.speed]\nreference = "ZZ"', "laws.speed.reference: 'ZZ' is no kind that a node has"),
        ("[laws.power]", "laws.power: the draw of 'Abacus' is not known"),
        ("[laws.clouds.pools.moon]", "laws.clouds.pools: no node is of pool 'moon'"),
        ('[laws.clouds]\nhome = "mars"', "laws.clouds.home: no node is at site 'mars'"),
        ('[laws.market.places.here]\ncarbon = "no.csv"', "laws.market.places.here.carbon: no.csv: no such file"),
        ("[laws.market.places.mars]", "laws.market.places: 'mars' is neither site nor pool of any node"),
    ],
)
@pytest.mark.parametrize("trace", ["", 'trace = "synthetic:lab,jobs=40,largest=4"'])
def test_worlds_that_cannot_begin_are_not_well_with_jobs_or_without(trace: str, law: str, complaint: str) -> None:
    text = SMALL.replace('trace = "synthetic:lab,jobs=40"', trace).replace("V100", "Abacus")
    with pytest.raises(BadInput) as error:
        begun(made(text.replace("[laws.checkpoints]\ninterval = 600", law)))
    assert str(error.value).startswith(f"scenario small.toml: {complaint}")


def test_a_scenario_without_jobs_of_its_own_can_be_well() -> None:
    assert begun(made(SMALL.replace('trace = "synthetic:lab,jobs=40"', ""))) == Trace((), {})
    with pytest.raises(BadInput, match=r"scenario small.toml: trace: trace format 'filly'"):
        begun(made(SMALL.replace("synthetic:lab,jobs=40", "filly:x")))


@pytest.fixture
def told() -> Callable[..., str]:
    def call(*words: str) -> str:
        done = CliRunner().invoke(cli, list(words), catch_exceptions=False, standalone_mode=False)
        assert done.exit_code == 0, done.output
        return done.output

    return call


@pytest.mark.parametrize("kind", ["A100", "H100"])
def test_modern_families_play_on_recent_kinds(kind: str, told: Callable[..., str], tmp_path: Path) -> None:
    text = SMALL.replace("V100", kind).replace("jobs=40", "jobs=200,largest=4,modern=1") + "[laws.speed]\n"
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    assert "well" in told("scenario", "check", str(tmp_path / "mine.toml"))
    with pytest.raises(BadInput, match=f"was not measured on {kind}, .*option modern=1, for profiles=1"):
        begun(made(text.replace("modern", "profiles")))


def test_list_show_and_check(told: Callable[..., str], tmp_path: Path) -> None:
    assert [one["name"] for one in json.loads(told("scenario", "list", "--json"))] == shipped()
    assert "campus" in told("scenario", "list")
    assert json.loads(told("scenario", "show", "campus", "--json"))["name"] == "campus"
    assert "checkpoints" in told("scenario", "show", "campus")
    (tmp_path / "mine.toml").write_text(SMALL, encoding="utf-8")
    assert "well" in told("scenario", "check", str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("options", "laws", "notes"),
    [
        ("", "", []),
        (",elastic=1,fractions=1", "", ["elastic jobs run alike with any gang", "do not slow each other down"]),
        (",elastic=1,fractions=1", "[laws.speed]\n", ["do not slow each other down"]),
        (",elastic=1,fractions=1", "[laws.speed]\n[laws.sharing]\n", []),
    ],
)
def test_check_notes_what_costs_nothing_without_its_law(options: str, laws: str, notes: list[str]) -> None:
    found = made(SMALL.replace("jobs=40", "jobs=200,largest=4" + options) + laws)
    said = list(remarks(found, begun(found)))
    assert len(said) == len(notes)
    assert all(note in remark for note, remark in zip(notes, said, strict=True))


def test_check_refuses_jobs_that_have_no_place() -> None:
    with pytest.raises(BadInput, match=r"scenario small.toml: job .* can never run"):
        begun(made(SMALL.replace("count = 2", "count = 1").replace("accelerators = 4", "accelerators = 1")))


def test_simulate_takes_a_scenario_and_its_jobs(told: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SMALL, encoding="utf-8")
    words = ["simulate", "--scenario", str(tmp_path / "mine.toml"), "--policy", "fifo", "--oversized", "skip"]
    document = json.loads(told(*words, "--json", "--log", str(tmp_path / "log.jsonl")))
    assert document["trace"] == "synthetic:lab,jobs=40"
    assert document["scenario"].endswith("mine.toml")
    (row,) = document["runs"]
    assert row["jobs"] + len(document["skipped"]) == 40
    log = Log.read(tmp_path / "log.jsonl")
    assert log.tenants is not None
    assert log.tenants["ada"].quota == 6


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--policy", "fifo"], "neither is given"),
        (["--policy", "fifo", "--cluster", "1x1:V100", "--scenario", "campus"], "both are given"),
        (["--policy", "fifo", "--cluster", "1x1:V100"], "--trace: 1x1:V100 names no jobs of its own"),
        (["--policy", "fifo", "--scenario", "campus", "--restart-cost", "3"], "law of checkpoints says"),
    ],
)
def test_what_cannot_be_asked(words: list[str], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        CliRunner().invoke(cli, ["simulate", *words], catch_exceptions=False, standalone_mode=False)
