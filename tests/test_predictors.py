"""Scores of predictors: losses one can do in one's head, means, and the whole experiment on a small trace."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from gpuyard.experiments.predictors import Means, command, pinball, run_times
from gpuyard.experiments.simulate import command as simulate
from gpuyard.traces.job import Job, Trace


def test_pinball_loss() -> None:
    """One truth is 10 above, one 10 below: at 0.9 the first costs 9, the second 1."""
    assert pinball(np.array([20.0, 0.0]), np.array([10.0, 10.0]), 0.9) == pytest.approx((9 + 1) / 2)
    assert pinball(np.array([20.0, 0.0]), np.array([10.0, 10.0]), 0.5) == pytest.approx(5.0)


def test_a_user_has_a_mean_of_its_own_from_three_ends_on() -> None:
    means = Means()
    assert means.of("ann") == 0.0
    for who, seconds in (("ann", 10.0), ("ann", 20.0), ("bob", 90.0)):
        means.ended(who, seconds)
    assert means.of("ann") == means.of("bob") == 40.0
    means.ended("ann", 60.0)
    assert means.of("ann") == 30.0
    assert means.of("bob") == 45.0


def test_a_job_is_scored_by_what_had_ended_before_it() -> None:
    """All take 100 s and overlap: whoever ends is known to those after it, and then nobody errs."""
    jobs = tuple(Job(n, 60.0 * n, user="ann") for n in range(20))
    rows = {row["predictor"]: row for row in run_times(Trace(jobs, {j.id: 100.0 for j in jobs}), 0.5)}
    assert rows["predicted"]["p50_loss"] == rows["user's mean"]["p50_loss"] == pytest.approx(0.0)
    assert rows["predicted"]["jobs"] == 10
    assert {row["below_p90"] for row in run_times(Trace(jobs, {j.id: 100.0 + j.id for j in jobs}), 0.5)} == {0.0}


def test_the_whole_experiment() -> None:
    asked = [
        "--trace",
        "synthetic:lab,jobs=700",
        "--cluster",
        "2x8:A100",
        "--policy",
        "sjf",
        "--estimates",
        "predicted",
    ]
    told = json.loads(CliRunner().invoke(command, [*asked, "--json"], catch_exceptions=False).output)
    assert [row["estimates"] for row in told["schedules"]] == ["predicted"]
    assert {row["minutes"] for row in told["demand"]} == {10, 60}
    assert all(0 <= row["below_p90"] <= 1 for row in told["run_times"])
    assert "rolling quantiles" in CliRunner().invoke(command, asked, catch_exceptions=False).output


def test_the_command_line_takes_predicted_estimates() -> None:
    asked = [
        "--trace",
        "synthetic:lab,jobs=60",
        "--cluster",
        "1x8:A100",
        "--estimates",
        "predicted",
        "--policy",
        "qssf",
    ]
    said = CliRunner().invoke(simulate, asked, catch_exceptions=False).output
    assert "predicted (from jobs that had ended)" in said
