"""`gpuyard benchmark`: what it measures, not how fast it is here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuyard.envs.scheduling import SchedulingEnv
from gpuyard.experiments import benchmark as module
from gpuyard.experiments.benchmark import Benchmark, Measure, bare_simpy, crowded, environment, harsh, run, whole_trace
from gpuyard.traces.job import Job, Trace


@pytest.mark.parametrize(
    ("value", "target", "met"), [(0.5, 0.4, True), (0.3, 0.4, False), (0.5, None, None), (None, 0.4, None)]
)
def test_a_target_is_met_or_not_or_there_is_none(value: float | None, target: float | None, met: bool | None) -> None:
    assert Measure("x", value, target=target).met is met


def test_bare_simpy_plays_every_job_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    import simpy

    ends: list[float] = []
    run_all = simpy.Environment.run

    def watched(self: simpy.Environment) -> None:
        run_all(self)
        ends.append(self.now)

    monkeypatch.setattr(simpy.Environment, "run", watched)
    bare_simpy(Trace((Job(1, 0.0), Job(2, 5.0)), {1: 3.0, 2: 4.0}))
    assert ends == [9.0]


def test_the_ratio_is_of_what_was_measured() -> None:
    ours, bare, ratio = whole_trace("synthetic:philly,jobs=300")
    assert ours.value is not None
    assert bare.value is not None
    assert ratio.value == pytest.approx(ours.value / bare.value)
    assert ratio.target == 0.4


def test_the_harsh_ratios_are_of_what_was_measured() -> None:
    laws, none, over_plain, over_none = harsh(1000.0, "campus", "synthetic:philly,jobs=100,largest=8,profiles=1")
    assert laws.value is not None
    assert none.value is not None
    assert over_plain.value == pytest.approx(laws.value / 1000.0)
    assert over_none.value == pytest.approx(laws.value / none.value)
    assert over_none.target == 0.2
    assert "tenants, checkpoints" in laws.note


def test_the_loaded_environment_is_loaded() -> None:
    waiting = [environment("x", env, 1500).note for env in (SchedulingEnv(window=64), crowded())]
    calm, loaded = (int(note.split()[1]) for note in waiting)
    assert loaded > calm


def test_slowness_is_told_and_no_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found: list[Any] = [Measure("fast", 2.0, target=1.0), Measure("slow", 0.5, target=1.0, note="here")]
    monkeypatch.setattr(module, "measures", lambda args: iter(found))
    run(Benchmark(json=True))
    out = capsys.readouterr().out
    assert [(one["name"], one["met"]) for one in json.loads(out)["measures"]] == [("fast", True), ("slow", False)]
    run(Benchmark())
    out = capsys.readouterr().out
    assert "slow: here" in out
    assert " no " in out
