"""The scenarios that are shipped: they hold their own jobs, and chance in them is that of their seed."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from gpuyard.envs.scenario import scenario, shipped
from gpuyard.experiments.compare import Compare
from gpuyard.experiments.held_out import held_out
from gpuyard.experiments.scenario import begun, remarks
from gpuyard.experiments.simulate import simulate
from gpuyard.experiments.train import Train, parts
from gpuyard.policies.orders import fifo
from gpuyard.traces.synthetic import generate


@pytest.mark.parametrize("name", shipped())
def test_the_shipped_ones_hold_their_own_jobs(name: str) -> None:
    found = scenario(name)
    assert found.about
    assert len(begun(found)) > 100


@pytest.mark.parametrize("name", shipped())
def test_the_shipped_ones_are_long_enough_for_what_train_and_compare_ask_by_default(name: str, tmp_path: Path) -> None:
    taught = parts(Train(out=tmp_path / "mine", scenario=name))
    assert taught.skipped == 0
    args = Compare(policy=("fifo", "sjf"), out=tmp_path / "runs", scenario=name)
    held = held_out(taught.whole, args.part, args.windows, args.jobs, args.warmup)
    assert len(held.windows) == args.windows


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


def test_the_shipped_ones_need_no_note() -> None:
    for name in shipped():
        assert not list(remarks(scenario(name), begun(scenario(name)))), name
