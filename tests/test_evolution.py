"""Evolution strategies: they find what is smallest, and go on where they stopped as if they had not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.full import Full
from gpuyard.envs.nodes import parse
from gpuyard.envs.rates import OBJECTIVES
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Start
from gpuyard.experiments import train
from gpuyard.experiments.evolution import Evolution, Floats
from gpuyard.experiments.evolving import RULE, Space
from gpuyard.experiments.objectives import wanted
from gpuyard.experiments.school import spread
from gpuyard.experiments.train import Train
from gpuyard.policies.learned import load, logits
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput


def ellipsoid(x: Floats) -> float:
    """A valley a hundred times as steep in one direction as in another; smallest, 0, at 1, 1, ..."""
    return float((np.logspace(0, 4, len(x)) * (x - 1.0) ** 2).sum())


def rosenbrock(x: Floats) -> float:
    return float((100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def search(of: Callable[[Floats], float], one: Evolution, generations: int) -> Evolution:
    for _ in range(generations):
        samples = one.ask(np.random.default_rng(one.generation))
        one.tell(samples, [of(sample) for sample in samples])
    return one


@pytest.mark.parametrize("of", [ellipsoid, rosenbrock])
def test_it_finds_the_floor_of_a_valley(of: Callable[[Floats], float]) -> None:
    found = search(of, Evolution(np.zeros(6), np.full(6, 0.5), 12), 300)
    np.testing.assert_allclose(found.mean, 1.0, atol=1e-4)


def test_scales_are_those_of_the_numbers() -> None:
    """A thousandth and a thousand away, told so, are as near as one."""
    scale = np.array([1e-3, 1e3])
    found = search(lambda x: float(((x / scale - 1.0) ** 2).sum()), Evolution(np.zeros(2), scale, 8), 60)
    np.testing.assert_allclose(found.mean / scale, 1.0, atol=1e-3)


def test_it_goes_on_from_its_state_to_the_last_bit() -> None:
    whole = search(rosenbrock, Evolution(np.zeros(4), np.ones(4)), 20)
    half = search(rosenbrock, Evolution(np.zeros(4), np.ones(4)), 10)
    again = search(rosenbrock, Evolution.of(half.state()), 10)
    for name, value in whole.state().items():
        np.testing.assert_array_equal(value, again.state()[name])


def test_every_sample_is_mirrored() -> None:
    one = Evolution(np.array([3.0, -1.0]), np.ones(2), 6)
    samples = np.stack(one.ask(np.random.default_rng(0)))
    np.testing.assert_allclose(samples.mean(0), one.mean)
    assert len(np.unique(samples, axis=0)) == 6


def test_half_of_a_value_is_of_the_heavy_windows_and_half_of_the_many() -> None:
    assert spread([2.0, 50.0], [4.0, 50.0]) == pytest.approx(0.5 * 52 / 54 + 0.5 * np.sqrt(0.5))
    assert spread([1.0, 1.0], [1.0, 1.0]) == 1.0


def test_objectives_are_read_with_their_weights() -> None:
    assert wanted("jct").weights == (1.0,)
    mixed = wanted("jct=3, carbon=1", drawn=True)
    assert (mixed.names, mixed.weights, mixed.drawn) == (("jct", "carbon"), (0.75, 0.25), True)
    assert mixed.shown(np.array([0.5, 0.5])).tolist() == [0.5, 0.0, 0.0, 0.5, 0.0, 0.0]
    drawn = mixed.draw(np.random.default_rng(0))
    assert drawn.sum() == pytest.approx(1.0)
    assert drawn.tolist() != [0.75, 0.25]


@pytest.mark.parametrize(
    ("text", "drawn", "told"),
    [
        ("jtc", False, "--objective jtc: no objective 'jtc'. Did you mean 'jct'?"),
        ("jct=x", False, "the weight 'x' is no number"),
        ("jct=-1", False, "the weight '-1' is no number"),
        ("jct,jct", False, "'jct' is said twice"),
        ("jct=0", False, "all weights are 0"),
        ("jct", True, "two objectives or more"),
    ],
)
def test_a_wrong_objective_is_answered_in_one_sentence(text: str, drawn: bool, told: str) -> None:
    with pytest.raises(BadInput) as caught:
        wanted(text, drawn)
    assert told in str(caught.value)


@given(st.integers(0, 10_000), st.sampled_from([(RULE,), (0,), (3, 4), (RULE, 0, 5)]))
@settings(max_examples=40, deadline=None)
def test_a_searched_rule_is_the_network_of_its_arrays(seed: int, parts: tuple[int, ...]) -> None:
    """Of a rule, of what marks add to it, times their values, and of both."""
    rng, row = np.random.default_rng(seed), Full.row
    space = Space(row, parts, len(OBJECTIVES))
    numbers = rng.normal(0, 1, len(space.scale)).astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(space.numbers(space.weights(numbers)), numbers)
    observation = rng.uniform(-1, 1, (9, len(row))).astype(np.float32)
    observation[:-1, 0], observation[-1, 0] = 1, 0
    mask = rng.random(9) < 0.7
    mask[-1] = True
    scores = np.where(mask, logits(space.weights(numbers), observation), -np.inf)
    assert scores[space.rule(numbers)(observation, mask)] == pytest.approx(scores.max(), abs=1e-4)


def test_where_weights_are_drawn_each_objective_begins_as_the_line_that_is_best_for_it(tmp_path: Path) -> None:
    """On a hall that may sleep: least carbon by putting idle nodes to sleep, least completion time by none of it."""
    args = Train(
        out=tmp_path / "front", scenario="hybrid", trace="synthetic:philly,jobs=3000,rate=0.75,largest=16", menu="full",
        algorithm="es", objective="jct=1,carbon=1", draw=True, tick=600.0, jobs=30, validation=2, generations=1,
        episodes=1, population=4, workers=1,
    )  # fmt: skip
    assert train.run(args) == 0
    told = json.loads((tmp_path / "front" / "training" / "state.json").read_text())["corners"]
    assert told["carbon"] in ("shortest-sleeping", "srtf-sleeping", "shortest-renting")
    assert told["jct"] != told["carbon"]
    policy = load(tmp_path / "front")
    for goal in ("jct", "carbon"):
        assert np.any(policy.weights["marks.weight"][list(OBJECTIVES).index(goal)])
    assert not np.any(policy.weights["marks.weight"][list(OBJECTIVES).index("slowdown")])


def test_a_policy_that_is_its_teacher_starts_longer_jobs_than_any_it_was_chosen_on(tmp_path: Path) -> None:
    """Two of eight run; a job of a year fits, and starts at once."""
    args = Train(
        out=tmp_path / "es", trace="synthetic:lab,jobs=1500", cluster="1x8:A100", estimates="exact", algorithm="es",
        objective="jct", jobs=20, validation=2, generations=1, episodes=1, population=4, workers=1, sigma=1e-9,
    )  # fmt: skip
    assert train.run(args) == 0
    jobs = (Job(0, 0.0, 2, estimate=100.0), Job(1, 1.0, 1, estimate=3e7))
    log = Session(SimWorld(Trace(jobs, {0: 100.0, 1: 10.0}), parse("1x8:A100"))).play(load(tmp_path / "es"))
    assert [time for time, entry in log.timed() if isinstance(entry, Start)] == [0.0, 1.0]
