"""Training end to end, small: it saves a policy, goes on where it stopped, and refuses what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gpuyard.envs.codec import Starts
from gpuyard.envs.metrics import summary
from gpuyard.envs.nodes import parse
from gpuyard.envs.scenario import of_cluster
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.policies.learned import load, wanting
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.table import save
from gpuyard.traces.trouble import BadInput

pytest.importorskip("torch")

from gpuyard.experiments import train, trainer
from gpuyard.experiments.lessons import Yard, by_rule, play
from gpuyard.experiments.names import policy
from gpuyard.experiments.objectives import wanted
from gpuyard.policies.teachers import TEACHERS


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """A trace of 800 jobs that come a little faster than two nodes of four can do them."""
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.exponential(200.0, 800))
    jobs = tuple(
        Job(n, float(t), int(rng.choice([1, 1, 2, 4])), estimate=float(rng.lognormal(5.6, 1)))
        for n, t in enumerate(times)
    )
    save(Trace(jobs, {j.id: j.estimate or 0.0 for j in jobs}, "small"), tmp_path / "small.parquet")
    return f"table:{tmp_path / 'small.parquet'}"


SMALL = {
    "steps": 512, "jobs": 30, "lessons": 3, "envs": 4, "replicas": 2, "rollout": 64, "batch": 64, "validation": 2,
    "k": 8, "width": 8, "validate_every": 256,
}  # fmt: skip


def small(spec: str, out: Path, **changes: object) -> train.Train:
    return train.Train(trace=spec, cluster="2x4:V100", out=out, **(SMALL | changes))  # type: ignore[arg-type]


def test_it_trains_saves_and_says_where_from(spec: str, tmp_path: Path) -> None:
    assert train.run(small(spec, tmp_path / "p")) == 0
    card = json.loads((tmp_path / "p" / "policy.json").read_text())
    assert card["needs_estimates"] is True
    assert card["teacher"] in TEACHERS
    assert card["split"]["train"]["to"] < card["split"]["validation"]["from"] < card["split"]["test"]["from"]
    assert card["validation"]["windows"] == 2
    assert card["command"].startswith("gpuyard train --out ")
    assert " --trace table:" in card["command"]
    assert list((tmp_path / "p" / "tensorboard").iterdir())
    assert not [p for p in (tmp_path / "p").rglob("*") if p.suffix in (".zip", ".pkl", ".pt", ".part")]
    trace = Trace(tuple(Job(n, float(n), 1, estimate=5.0) for n in range(20)), dict.fromkeys(range(20), 5.0))
    log = Session(SimWorld(trace, parse("1x2:A100"))).play(load(tmp_path / "p"))
    assert summary(log).finished == 20


def test_the_saved_policy_is_the_best_of_its_validations(spec: str, tmp_path: Path) -> None:
    train.run(small(spec, tmp_path / "p"))
    state = json.loads((tmp_path / "p" / "training" / "state.json").read_text())
    card = json.loads((tmp_path / "p" / "policy.json").read_text())
    assert card["validation"]["score"] == min(score for _, score in state["scores"]) == state["best"]
    assert state["steps"] == 512


def test_it_goes_on_where_it_was_interrupted(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer._Watch, "_on_rollout_end", interrupt)
        assert train.run(small(spec, tmp_path / "p")) == 130
    state = json.loads((tmp_path / "p" / "training" / "state.json").read_text())
    assert state["steps"] == 256
    assert "the same command goes on" in capsys.readouterr().err
    assert train.run(small(spec, tmp_path / "p")) == 0
    told = capsys.readouterr().err
    assert "resumed     at 256 steps" in told
    assert "imitation" not in told
    assert json.loads((tmp_path / "p" / "training" / "state.json").read_text())["steps"] == 512


@pytest.mark.parametrize("stage", ["_begin", "_validate", "_practise"])
def test_an_interrupt_at_any_stage_leaves_what_the_same_command_goes_on_with(
    stage: str, spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, stage, interrupt)
        assert train.run(small(spec, tmp_path / "p")) == 130
    assert train.run(small(spec, tmp_path / "p")) == 0
    assert json.loads((tmp_path / "p" / "training" / "state.json").read_text())["steps"] == 512


def test_a_folder_in_a_file_is_refused_before_anything_is_measured(spec: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "p"):
        with pytest.raises(BadInput, match="file is a file; name a folder"):
            small(spec, out)


def test_another_training_in_the_same_folder_is_refused(spec: str, tmp_path: Path) -> None:
    train.run(small(spec, tmp_path / "p", steps=0))
    with pytest.raises(BadInput, match="holds a training with --seed 0; choose another --out"):
        train.run(small(spec, tmp_path / "p", steps=0, seed=1))
    assert train.run(small(spec, tmp_path / "p", steps=0, seed=1, restart=True)) == 0


def test_windows_of_replicas_are_the_same_and_of_groups_are_not(spec: str, tmp_path: Path) -> None:
    args = small(spec, tmp_path / "p")
    found = train.parts(args)
    yard = Yard(found.train, of_cluster("2x4:V100"), Starts(8), wanted("jct"), 30, 0.5)
    assert yard.window(0, 2, 5, 0) == yard.window(0, 2, 5, 0)
    assert yard.window(0, 2, 5, 0) != yard.window(0, 2, 5, 1)
    env = yard.env()
    told = play(env, yard.task(env, yard.window(1), 1), by_rule(TEACHERS["oldest"]))
    assert told.par().by(0.0) == 0.0
    assert told.par().by(1e9) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"jobs": 300}, "a window of --jobs 300 needs more"),
        ({"envs": 5}, "no multiple of --replicas"),
        ({"k": 0}, "give 1 or more"),
        ({"oldest": True, "menu": "full"}, "--oldest: is for --menu starts alone"),
        ({"draw": True, "menu": "commits", "objective": "jct=1,slowdown=1"}, "--draw: only full menus"),
        ({"objective": "energy"}, "--objective energy needs the law of power"),
        ({"objective": "cost"}, "--objective cost needs prices"),
        ({"objective": "fairness"}, "--objective fairness needs tenants"),
        ({"steps": -5}, "--steps -5"),
        ({"validate_every": 0}, "--validate-every 0"),
        ({"sigma": 0.0}, "--sigma 0.0"),
        ({"quantum": 60.0}, "--quantum: is for --menu full"),
        ({"begin": Path("nowhere"), "algorithm": "es"}, "--begin: is for --algorithm ppo"),
        ({"blank": True, "algorithm": "es"}, "--blank: is for --algorithm ppo"),
        ({"squeeze": 0.0}, "--squeeze 0.0"),
        ({"placement": "nowhere"}, "nowhere"),
        ({"limit": -5}, "--limit -5"),
        ({"seed": -1}, "--seed -1"),
        ({"rate": float("nan")}, "--rate nan"),
        ({"batch": 255}, "--batch 255"),
        ({"validation": 100_000}, "ask for fewer windows"),
    ],
)
def test_bad_settings_are_one_sentence(spec: str, tmp_path: Path, changes: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        train.run(small(spec, tmp_path / "p", **changes))
    assert not (tmp_path / "p").exists()


def test_maskable_ppo_learns_on_the_plain_environment_too() -> None:
    import torch
    from sb3_contrib import MaskablePPO

    from gpuyard.envs.scheduling import SchedulingEnv

    torch.set_num_threads(1)
    jobs = tuple(Job(n, 2.0 * n, 1 + n % 2, estimate=5.0) for n in range(30))
    env = SchedulingEnv(Trace(jobs, {j.id: 7.0 for j in jobs}), "1x2:A100", Starts(6), window=None)
    model = MaskablePPO("MlpPolicy", env, n_steps=64, batch_size=32, device="cpu", seed=0)
    model.learn(128)
    assert model.num_timesteps == 128
    assert env.illegal == 0


EVOLVED = {"algorithm": "es", "generations": 4, "population": 4, "episodes": 2, "workers": 1, "validate_generations": 2}


def test_evolution_strategies_make_a_policy_of_the_same_make(spec: str, tmp_path: Path) -> None:
    assert train.run(small(spec, tmp_path / "p", **EVOLVED)) == 0
    card = json.loads((tmp_path / "p" / "policy.json").read_text())
    assert card["algorithm"] == "es"
    state = json.loads((tmp_path / "p" / "training" / "state.json").read_text())
    assert [steps for steps, _ in state["scores"]] == sorted({steps for steps, _ in state["scores"]})
    assert len(state["scores"]) == 3
    assert card["validation"]["score"] == min(score for _, score in state["scores"])
    assert load(tmp_path / "p").codec == Starts(8)


def test_evolution_goes_on_where_it_stopped_to_the_last_bit(spec: str, tmp_path: Path) -> None:
    train.run(small(spec, tmp_path / "whole", **EVOLVED))
    train.run(small(spec, tmp_path / "parts", **{**EVOLVED, "generations": 2}))
    train.run(small(spec, tmp_path / "parts", **EVOLVED))
    whole, parts = (tmp_path / name / "training" / "state.safetensors" for name in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()


def test_more_processes_find_the_same(spec: str, tmp_path: Path) -> None:
    for workers in (1, 2):
        train.run(small(spec, tmp_path / str(workers), **{**EVOLVED, "generations": 1, "workers": workers}))
    one, two = (tmp_path / name / "training" / "state.safetensors" for name in "12")
    assert one.read_bytes() == two.read_bytes()


def test_practice_can_begin_where_evolution_ended(spec: str, tmp_path: Path) -> None:
    train.run(small(spec, tmp_path / "es", **EVOLVED))
    args = small(spec, tmp_path / "p", begin=tmp_path / "es", lessons=0, steps=0)
    train.run(args)
    begun, ended = load(tmp_path / "es"), load(tmp_path / "p")
    np.testing.assert_array_equal(begun.weights["rule.weight"], ended.weights["rule.weight"])
    assert begun.card["validation"]["score"] == pytest.approx(ended.card["validation"]["score"])


def test_each_seed_has_a_folder_of_its_own(spec: str, tmp_path: Path) -> None:
    train.run(small(spec, tmp_path / "p", steps=0, lessons=0, seeds=2, seed=5))
    seeds = [json.loads((tmp_path / "p" / f"seed-{n}" / "policy.json").read_text())["seed"] for n in (5, 6)]
    assert seeds == [5, 6]


@pytest.mark.parametrize("algorithm", ["es", "ppo"])
def test_one_policy_for_all_mixtures_of_objectives(spec: str, tmp_path: Path, algorithm: str) -> None:
    more = {**EVOLVED, "algorithm": algorithm, "menu": "full", "objective": "jct,slowdown", "draw": True, "k": 12}
    train.run(small(spec, tmp_path / "p", **{**more, "generations": 1, "steps": 256, "jobs": 20, "lessons": 1}))
    both = load(tmp_path / "p")
    assert both.card["objectives"] == ["jct", "slowdown"]
    weights = wanting(both, {"jct": 3.0, "slowdown": 1.0}).codec.weights  # type: ignore[union-attr]
    named = policy(f"{tmp_path / 'p'}@jct=3,slowdown=1")
    assert named.codec.weights.tolist() == weights.tolist()  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match="no objective 'jtc'"):
        policy(f"{tmp_path / 'p'}@jtc=3")
    assert weights.tolist() == [0.75, 0.25, 0.0, 0.0, 0.0, 0.0]
    with pytest.raises(BadInput, match="objective 'carbon' with weight 1; this policy knows jct, slowdown"):
        wanting(both, {"carbon": 1.0})


def test_a_policy_may_be_a_teacher(spec: str, tmp_path: Path) -> None:
    """LAS stops jobs: what it decides is on a full menu, and it is measured with the others."""
    args = small(spec, tmp_path / "p", menu="full", teacher=("las",), steps=0, jobs=20, lessons=1)
    train.run(args)
    state = json.loads((tmp_path / "p" / "training" / "state.json").read_text())
    assert 0.99 < state["teachers"]["las"] < 10.0


def test_a_warmed_up_window_begins_among_those_who_came_before(spec: str, tmp_path: Path) -> None:
    found = train.parts(small(spec, tmp_path / "p"))
    yard = Yard(found.train, of_cluster("2x4:V100"), Starts(8), wanted("jct"), 30, 1.0, None, 40, "sjf")
    env = yard.env()
    window = yard.window(3)
    assert len(window) == 70
    env.reset(options=yard.task(env, window, 3).options)
    assert env.session is not None
    assert env.session.cluster.now >= window.jobs[40].submit
    assert len(env.session.cluster.running) > 0
