"""Scenarios: a file makes a world, its errors name the key, and commands and environments play in it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gpuyard.__main__ import cli
from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.log import Log
from gpuyard.envs.scenario import Scenario, all_laws, of_cluster, read, scenario, shipped
from gpuyard.envs.scheduling import SchedulingEnv
from gpuyard.envs.sim import SimWorld
from gpuyard.experiments.scenario import begun
from gpuyard.experiments.simulate import simulate
from gpuyard.policies.orders import fifo
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput

SMALL = """
about = "Two nodes and a law."
trace = "synthetic:lab,jobs=40"
[[nodes]]
count = 2
accelerators = 4
kind = "V100"
per_rack = 1
site = "here"
[sites.here]
pue = 1.5
[tenants.ada]
quota = 6
[laws.checkpoints]
interval = 600
"""


def made(text: str) -> Scenario:
    return read(text, "small.toml", Path())


def test_a_file_makes_a_world() -> None:
    found = made(SMALL)
    assert [node.id for node in found.nodes] == ["n0", "n1"]
    assert [a.id for a in found.nodes[1].accelerators] == ["n1/0", "n1/1", "n1/2", "n1/3"]
    assert [node.rack for node in found.nodes] == ["herenrack0", "herenrack1"]
    assert {node.pue for node in found.nodes} == {1.5}
    assert found.nodes[0].accelerators[0].memory == 16 * 2**30, "as is known of the kind"
    assert found.tenants is not None
    assert found.tenants["ada"].quota == 6
    assert found.laws["checkpoints"].interval == 600  # type: ignore[attr-defined]
    assert isinstance(found.world(generate("lab", 5)), HarshWorld)


def test_without_laws_or_tenants_it_is_the_plain_simulator() -> None:
    assert isinstance(made('[[nodes]]\naccelerators = 2\nkind = "V100"').world(generate("lab", 5)), SimWorld)
    assert isinstance(of_cluster("1x2:V100").world(generate("lab", 5)), SimWorld)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("interval = 600", "intervall = 600"), "laws.checkpoints: unknown key 'intervall'. Did you mean 'interval'?"),
        (("interval = 600", 'interval = "long"'), "laws.checkpoints: 'interval' cannot be 'long'"),
        (("interval = 600", "interval = -1"), "laws.checkpoints: checkpoints: interval = -1.0 cannot be"),
        (("laws.checkpoints", "laws.checkpoint"), "there is no law 'checkpoint'. Did you mean 'checkpoints'?"),
        (("count = 2", "count = 0"), "nodes.1: 'count' cannot be 0; give 1 or more"),
        (("count = 2", "cound = 2"), "unknown key 'nodes.1.cound'. Did you mean 'count'?"),
        (('kind = "V100"', ""), "nodes.1: 'accelerators' and 'kind' go together"),
        (('site = "here"', 'site = "there"'), "nodes are at site 'there'"),
        (("pue = 1.5", "pue = 0.5"), "'pue' cannot be 0.5; give 1 or more"),
        (("quota = 6", "quota = -6"), "tenant 'ada': quota -6 cannot be"),
        (("quota = 6", "quotas = 6"), "unknown key 'tenants.ada.quotas'. Did you mean 'quota'?"),
        (("[[nodes]]", "[[node]]"), "unknown key 'node'. Did you mean 'nodes'?"),
        (("about = ", "about "), "not valid TOML"),
    ],
)
def test_errors_name_the_key(change: tuple[str, str], complaint: str) -> None:
    with pytest.raises(BadInput) as error:
        made(SMALL.replace(*change))
    assert str(error.value).startswith("scenario small.toml: ")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_names_are_said() -> None:
    with pytest.raises(BadInput, match=r"no scenario 'lab-serfer'. Did you mean 'lab-server'"):
        scenario("lab-serfer")
    with pytest.raises(BadInput, match=r"scenario nowhere.toml: No such file"):
        scenario("nowhere.toml")


def test_files_are_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SMALL + '[laws.clouds]\nhome = "data.csv"\n', encoding="utf-8")
    (tmp_path / "data.csv").write_text("", encoding="utf-8")
    assert scenario(str(tmp_path / "mine.toml")).laws["clouds"].home == str(tmp_path / "data.csv")  # type: ignore[attr-defined]


def test_every_law_has_defaults_and_can_be_on_by_itself() -> None:
    for name, law in all_laws().items():
        alone = made(f'[[nodes]]\ncount = 2\naccelerators = 4\nkind = "V100"\n[laws.{name}]')
        assert alone.laws == {name: law()}
        log = simulate(generate("lab", 30, 1, largest=4), alone, fifo)
        assert log.replay().now > 0, name


@pytest.mark.parametrize("name", shipped())
def test_the_shipped_ones_hold_their_own_jobs(name: str) -> None:
    found = scenario(name)
    assert found.about
    assert begun(found) > 100


def test_equal_seeds_are_equal_chance_and_others_are_not() -> None:
    world = scenario("stormy")
    trace = generate("philly", 300, 0, largest=16, rate=0.4)
    one, same, other = (simulate(trace, world.drawn(n), fifo).sha256() for n in (1, 1, 2))
    assert one == same
    assert one != other


def test_a_scenario_travels_to_other_processes() -> None:
    for name in shipped():
        found = scenario(name)
        assert pickle.loads(pickle.dumps(found)).as_dict() == found.as_dict()


def test_the_environment_plays_in_it() -> None:
    env = SchedulingEnv(generate("lab", 60, 0), made(SMALL.replace("[tenants.ada]\nquota = 6", "")), window=20)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    over, steps = False, 0
    while not over:
        _, reward, over, _, info = env.step(rng.choice(env.action_masks().nonzero()[0]))
        assert reward <= 0
        steps += 1
    assert info["illegal"] == 0
    assert steps > 20


def test_window_and_chance_belong_together() -> None:
    """Whoever plays a window meets the same chance there."""
    env = SchedulingEnv(generate("philly", 300, 0, largest=16, rate=0.4), scenario("stormy"), window=40)
    window = env.draw()
    logs = []
    for _ in range(2):
        env.reset(options={"trace": window})
        over = False
        while not over:
            over = env.step(np.int64(env.action_masks().argmax()))[2]
        assert env.session is not None
        logs.append(env.session.log.sha256())
    assert logs[0] == logs[1]


@pytest.fixture
def told() -> Callable[..., str]:
    def call(*words: str) -> str:
        done = CliRunner().invoke(cli, list(words), catch_exceptions=False, standalone_mode=False)
        assert done.exit_code == 0, done.output
        return done.output

    return call


def test_list_show_and_check(told: Callable[..., str], tmp_path: Path) -> None:
    assert [one["name"] for one in json.loads(told("scenario", "list", "--json"))] == shipped()
    assert "campus" in told("scenario", "list")
    assert json.loads(told("scenario", "show", "campus", "--json"))["name"] == "campus"
    assert "checkpoints" in told("scenario", "show", "campus")
    (tmp_path / "mine.toml").write_text(SMALL, encoding="utf-8")
    assert "well" in told("scenario", "check", str(tmp_path / "mine.toml"))


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


def test_a_pipeline_runs_in_the_plain_simulator_too() -> None:
    jobs = (Job(0, 0.0), Job(1, 0.0, after=(0,)), Job(2, 1.0, after=(0, 1)))
    log = simulate(Trace(jobs, {0: 10.0, 1: 5.0, 2: 2.0}), of_cluster("1x4:V100"), fifo)
    assert [line.split('"job":')[1][0] for line in log.lines() if '"start"' in line] == ["0", "1", "2"]
    assert log.replay().now == 17
