"""Scenarios: a file makes a world, and its errors name the key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.scenario import all_laws, of_cluster, scenario
from gpuyard.envs.scheduling import SchedulingEnv
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Partition, Start
from gpuyard.experiments.scenario import begun
from gpuyard.experiments.simulate import simulate
from gpuyard.policies.orders import fifo
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from scenes import SMALL, made


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
        (("interval = 600", "interval = -1"), "small.toml: laws.checkpoints: interval = -1.0 cannot be"),
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
        (("interval = 600", "interval = 1" + 5000 * "0"), "not valid TOML"),
        (("interval = 600", "interval = 1" + 400 * "0"), "laws.checkpoints: "),
        (("count = 2", 'count = "2"'), "'nodes.1.count' cannot be '2': input should be a valid integer"),
        (("count = 2", "count = true"), "'nodes.1.count' cannot be True: input should be a valid integer"),
        (("count = 2", "count = 500000"), "nodes.1: 'count' x 'accelerators' is 2,000,000; 1,000,000 can be at most"),
        (("per_rack = 1", "cpus = nan"), "nodes.1: 'cpus' cannot be nan; give 0 or more"),
        (("per_rack = 1", "cpus = -4"), "nodes.1: 'cpus' cannot be -4.0; give 0 or more"),
        (("per_rack = 1", "memory_gib = inf"), "nodes.1: 'memory_gib' cannot be inf; give 0 or more"),
        (("per_rack = 1", "memory_gib = nan"), "nodes.1: 'memory_gib' cannot be nan; give 0 or more"),
        (("per_rack = 1", 'prefix = "a#b"'), "nodes.1: 'prefix' cannot be 'a#b'"),
        (("per_rack = 1", 'pool = "a/b"'), "nodes.1: 'pool' cannot be 'a/b'"),
        (("per_rack = 1", "spot = true"), "nodes.1: 'spot = true' needs a 'pool'"),
        (("per_rack = 1", "foo = 1"), "unknown key 'nodes.1.foo'. There are: accelerators, count, cpus, "),
        (("about = ", 'tuned = "yes"\nabout = '), "'tuned' cannot be 'yes': input should be a valid boolean"),
        (("about = ", "seed = -1\nabout = "), "'seed' cannot be -1; give 0 or more"),
        (("about = ", "restart = nan\nabout = "), "'restart' cannot be nan; give seconds, 0 or more"),
        (("about = ", "patience = -5\nabout = "), "'patience' cannot be -5; give seconds, 0 or more"),
        (("about = ", "patience = nan\nabout = "), "'patience' cannot be nan; give seconds, 0 or more"),
        (("about = ", 'estimates = "noisi:1"\nabout = '), "estimates 'noisi:1': there is no such mode"),
        (("[tenants.ada]\nquota = 6", "[tenants]\nada = 3"), "'tenants.ada' cannot be 3: input should be a table"),
        (
            ("[laws.checkpoints]\ninterval = 600", "[laws.regimes]\nx = 1"),
            "laws.regimes: unknown key 'x'. There are none",
        ),
        (("[laws.checkpoints]\ninterval = 600", "[law.speed]"), "unknown key 'law'. Did you mean 'laws'?"),
        (("[laws.checkpoints]\ninterval = 600", "[laws]\nspeed = 1"), "laws.speed wants a table"),
        (
            ("[laws.checkpoints]\ninterval = 600", "[laws.market.places.here]\ncarbon = true"),
            "laws.market: 'places.here.carbon' cannot be True: input should be a valid number",
        ),
        (
            ("[laws.checkpoints]\ninterval = 600", "[laws.market.places.here]\ncarbon = -1"),
            "laws.market: places.here: carbon = -1.0 cannot be",
        ),
        (
            ("[laws.checkpoints]\ninterval = 600", "[laws.stragglers]\npace = [0.1, 0.5, 0.9]"),
            "laws.stragglers: 'pace' cannot be [0.1, 0.5, 0.9]",
        ),
    ],
)
def test_errors_name_the_key(change: tuple[str, str], complaint: str) -> None:
    with pytest.raises(BadInput) as error:
        made(SMALL.replace(*change))
    assert str(error.value).startswith("scenario small.toml: ")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


CUT = """
[[nodes]]
prefix = "cut"
accelerators = 1
kind = "A100"
mig = ["3g.20gb", "3g.20gb"]
[[nodes]]
accelerators = 1
kind = "A100"
"""


def test_accelerators_can_be_cut_from_the_beginning() -> None:
    """Two shares get an instance each, which a job of a whole accelerator cannot have; the log replays."""
    jobs = (Job(0, 0.0, share=0.4), Job(1, 0.0, share=0.4), Job(2, 1.0), Job(3, 1.0))
    log = simulate(Trace(jobs, dict.fromkeys(range(4), 10.0)), made(CUT), fifo)
    assert [(e.job, e.placement) for e in log.entries if isinstance(e, Start)] == [
        (0, (("cut0", ("cut0/0#0",)),)), (1, (("cut0", ("cut0/0#4",)),)),
        (2, (("n1", ("n1/0",)),)), (3, (("n1", ("n1/0",)),)),
    ]  # fmt: skip
    assert log.entries[0] == Partition("cut0/0", ("3g.20gb", "3g.20gb"))
    assert log.replay().now == 21


def test_jobs_that_no_instance_holds_are_told_before_anything_runs() -> None:
    world = made(CUT.split("[[nodes]]\naccelerators = 1\n")[0])
    assert world.room().could_ever(Job(0, 0.0, share=0.4))
    assert not world.room().could_ever(Job(0, 0.0, share=0.5))
    assert not world.room().could_ever(Job(0, 0.0))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('"3g.20gb", "3g.20gb"', '"4g.20gb", "4g.20gb"'), "'mig' cannot be .*: A100 cannot be cut into 4g.20gb"),
        (('"3g.20gb", "3g.20gb"', '"9g.90gb"'), "A100 has no MIG profile '9g.90gb'"),
        (('mig = ["', 'pool = "p"\npresent = false\nmig = ["'), "'mig' is for nodes that are there"),
    ],
)
def test_cuts_that_cannot_be(change: tuple[str, str], complaint: str) -> None:
    with pytest.raises(BadInput, match=f"scenario small.toml: nodes.1: .*{complaint}"):
        made(CUT.replace(*change))


def test_unknown_names_are_said() -> None:
    with pytest.raises(BadInput, match=r"no scenario 'lab-serfer'. Did you mean 'lab-server'"):
        scenario("lab-serfer")
    with pytest.raises(BadInput, match=r"scenario nowhere.toml: No such file"):
        scenario("nowhere.toml")


def test_whole_numbers_are_numbers_lists_are_tuples_and_dates_are_text() -> None:
    laws = "[laws.failures]\nmtbf = 9\nrepairs = [[1, 2, 0]]\n[laws.market]\nstart = 2023-01-31"
    found = made(SMALL.replace("[laws.checkpoints]\ninterval = 600", laws)).laws
    assert (found["failures"].mtbf, found["failures"].repairs) == (9.0, ((1.0, 2.0, 0.0),))  # type: ignore[attr-defined]
    assert found["market"].start == "2023-01-31"  # type: ignore[attr-defined]


def test_files_are_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    """Keys that name files alone: a site or a model is none, be there a file of that name or not."""
    said = {
        "failures.recorded": "here",
        "spot.recorded": "here",
        "speed.profiles": "here",
        "market.places.here.carbon": "here",
        "clouds.home": "here",
        "market.places.here.price": "synthetic:CAISO",
    }
    text = SMALL + "[laws]\n" + "".join(f'{key} = "{value}"\n' for key, value in said.items())
    (tmp_path / "mine.toml").write_text(text.replace("[laws.checkpoints]\ninterval = 600\n", ""), encoding="utf-8")
    (tmp_path / "here").write_text("", encoding="utf-8")
    laws, path = scenario(str(tmp_path / "mine.toml")).as_dict()["laws"], str(tmp_path / "here")
    assert (laws["failures"]["recorded"], laws["spot"]["recorded"], laws["speed"]["profiles"]) == (path, path, path)
    assert laws["market"]["places"]["here"] == {"carbon": path, "price": "synthetic:CAISO", "spot": None}
    assert laws["clouds"]["home"] == "here"


@pytest.mark.parametrize("options", ["", ",profiles=1", ",profiles=1,elastic=0.5"])
def test_so_is_its_trace(tmp_path: Path, options: str) -> None:
    (tmp_path / "jobs.csv").write_text("submit,duration\n0,10\n5,3\n", encoding="utf-8")
    text = SMALL.replace("synthetic:lab,jobs=40", f"table:jobs.csv{options}")
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    found = scenario(str(tmp_path / "mine.toml"))
    assert found.trace == f"table:{tmp_path / 'jobs.csv'}{options}"
    assert len(begun(found)) == 2
    assert made(SMALL).trace == "synthetic:lab,jobs=40"


def test_every_law_has_defaults_and_can_be_on_by_itself() -> None:
    for name, law in all_laws().items():
        alone = made(f'[[nodes]]\ncount = 2\naccelerators = 4\nkind = "V100"\n[laws.{name}]')
        assert alone.laws == {name: law()}
        log = simulate(generate("lab", 30, 1, largest=4), alone, fifo)
        assert log.replay().now > 0, name


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


def test_a_pipeline_runs_in_the_plain_simulator_too() -> None:
    jobs = (Job(0, 0.0), Job(1, 0.0, after=(0,)), Job(2, 1.0, after=(0, 1)))
    log = simulate(Trace(jobs, {0: 10.0, 1: 5.0, 2: 2.0}), of_cluster("1x4:V100"), fifo)
    assert [line.split('"job":')[1][0] for line in log.lines() if '"start"' in line] == ["0", "1", "2"]
    assert log.replay().now == 17
