"""Ablations: each arm lacks one part, all meet the same windows, and the curves tell how each went."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gpuyard.envs.codec import Starts
from gpuyard.envs.scheduling import SchedulingEnv
from gpuyard.experiments import ablations, train
from gpuyard.experiments.ablations import ARMS, Ablations, arm, drawn, reached
from gpuyard.policies.learned import codec_of, load, told_of
from gpuyard.traces.job import Job, Trace


def test_each_arm_is_the_whole_training_but_for_what_it_lacks(tmp_path: Path) -> None:
    args = Ablations(out=tmp_path)
    whole = arm(args, "whole").same()
    for name, other in ARMS.items():
        changed = {key for key, value in arm(args, name).same().items() if value != whole[key]}
        assert changed == set(other)
        assert arm(args, name).out == tmp_path / name.replace(" ", "-")


def test_the_oldest_alone_hide_a_short_job_that_came_late() -> None:
    """Ten jobs wait; the ninth is the shortest. Of a union of orders it is among five, of the oldest five it is not."""
    jobs = [Job(n, submit=0.0, gang=1, estimate=5.0 if n == 9 else 100.0) for n in range(10)]
    one = SchedulingEnv(Trace(tuple(jobs), dict.fromkeys(range(10), 1.0)), "1x1:V100", Starts(5), window=None)
    one.reset()
    assert one.session is not None
    assert 9 in Starts(5).menu(one.session.cluster).jobs
    assert Starts(5, oldest=True).menu(one.session.cluster).jobs == [0, 1, 2, 3, 4]
    assert codec_of(told_of(Starts(5, oldest=True))) == Starts(5, oldest=True)


def test_a_curve_has_the_last_score_at_each_step_that_every_seed_has() -> None:
    steps, scores = reached([[[0, 3.0], [0, 2.0], [50, 1.5]], [[0, 4.0], [50, 1.0], [90, 0.5]]])
    np.testing.assert_array_equal(steps, [0, 50])
    np.testing.assert_array_equal(scores, [[2.0, 1.5], [4.0, 1.0]])
    (axes,) = drawn({"whole": [[[0, 3.0], [50, 1.5]]], "no rule": [[[0, 9.0], [50, 8.0]]]}).axes
    assert [line.get_label() for line in axes.lines[:2]] == ["whole", "no rule"]


def test_all_arms_are_trained_drawn_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blank one that is not taught begins as nothing: every weight of its rule is 0."""
    little = {"lessons": 1, "envs": 2, "replicas": 1, "rollout": 16, "batch": 16, "validation": 2, "width": 4}
    blank = {**little, "lessons": 0, "blank": True}
    monkeypatch.setattr(
        ablations, "ARMS", {"whole": little, "neither": blank, "oldest only": little | {"oldest": True}}
    )
    args = Ablations(
        out=tmp_path, trace="synthetic:philly,jobs=900,largest=8", cluster="2x8:V100", jobs=30, steps=0, seeds=1,
        windows=2, workers=1,
    )  # fmt: skip
    assert ablations.run(args) == 0
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert not np.any(load(tmp_path / "neither").weights["rule.weight"])
    assert np.any(load(tmp_path / "whole").weights["rule.weight"])
    told = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert [row["policy"] for row in told["by_load"][0]["policies"]][:3] == [
        str(tmp_path / name) for name in ("whole", "neither", "oldest-only")
    ]
    assert train.of_seeds(arm(args, "oldest only"))[0].oldest
