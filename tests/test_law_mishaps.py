"""Mishaps: which jobs fail and where, by hand and by their laws."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.alone import Alone
from gpuyard.envs.laws.failures import Failures
from gpuyard.envs.laws.mishaps import Mishaps
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import Stopped
from gpuyard.policies.orders import fifo, sjf
from gpuyard.traces.estimates import with_estimates
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput


def points(law: Mishaps, total: float, jobs: int, seed: int = 0) -> list[float | None]:
    """Where jobs of so much work fail."""
    follower = law.begin(Alone(Failures(), (), seed))
    return [follower.point(Job(n, 0.0), total) for n in range(jobs)]


def failed(log: Log) -> dict[int, float]:
    return {one.job: one.progress or 0.0 for one in log.entries if isinstance(one, Stopped) and one.reason == "failed"}


def test_a_job_that_surely_fails_fails_where_it_was_drawn() -> None:
    """Two drawn numbers: whether (0 or more is below 1), and u: F(w) = u F(100) with F(w) = 1 - exp(-(w / 50)^1).

    So w = -50 ln(1 - u (1 - exp(-2))). The second job begins when the first has failed.
    """
    trace = Trace((Job(0, 0.0), Job(1, 0.0)), {0: 100.0, 1: 100.0})
    world = HarshWorld(trace, parse("1x1:V100"), {"mishaps": Mishaps(probability=1.0, shape=1.0, scale=50.0)})
    us = [world.lots("mishaps", job)[1] for job in (0, 1)]
    w0, w1 = (-50 * log(1 - u * (1 - exp(-2))) for u in us)
    ends = [one for one in Session(world).play(fifo).entries if isinstance(one, Stopped)]
    assert [(one.job, one.reason) for one in ends] == [(0, "failed"), (1, "failed")]
    assert [one.time for one in ends] == pytest.approx([w0, w0 + w1])
    assert [one.progress for one in ends] == pytest.approx([w0, w1])
    assert 0 < w0 < 100 > w1 > 0


def test_a_job_that_cannot_fail_ends_as_recorded() -> None:
    trace = Trace((Job(0, 0.0),), {0: 100.0})
    for law in (Mishaps(probability=0.0), Mishaps(chaos=0.0)):
        log = Session(HarshWorld(trace, parse("1x1:V100"), {"mishaps": law})).play(fifo)
        assert log.entries[-1] == Stopped(100.0, 0, "finished", 100.0)


def test_no_policy_changes_which_jobs_fail_and_where() -> None:
    trace = with_estimates(generate("lab", 80, 1), "exact", 0)
    fifos, sjfs = (
        failed(Session(HarshWorld(trace, parse("1x8:V100"), {"mishaps": Mishaps()}, seed=5)).play(one))
        for one in (fifo, sjf)
    )
    assert fifos.keys() == sjfs.keys()
    assert all(fifos[job] == pytest.approx(sjfs[job]) for job in fifos)
    assert 10 < len(fifos) < 40, "30.5 % of 80"


def test_as_many_fail_as_was_published() -> None:
    for like, rate in (("philly", 0.305), ("helios", 0.155), ("seren", 0.429), ("kalos", 0.397)):
        count = sum(point is not None for point in points(Mishaps(like=like), 3600.0, 4000))
        assert abs(count - 4000 * rate) < 4 * (4000 * rate * (1 - rate)) ** 0.5


def test_most_fail_early() -> None:
    """Of jobs of a day, half of those that fail do so within the median of the Weibull, 678 s x ln(2)^(1 / 0.557)."""
    where = np.array([p for p in points(Mishaps(probability=1.0), 86400.0, 2000) if p is not None])
    assert len(where) == 2000
    assert float((where < 678 * log(2) ** (1 / 0.557)).mean()) == pytest.approx(0.5, abs=0.05)


@given(st.floats(0.01, 0.99), st.floats(0.1, 20.0))
def test_chaos_multiplies_the_odds(p: float, chaos: float) -> None:
    q = Mishaps(probability=p, chaos=chaos).fails
    assert q / (1 - q) == pytest.approx(chaos * p / (1 - p))


@given(st.floats(1e-3, 1e7), st.integers(0, 100))
def test_it_fails_within_its_work_and_the_same_wherever_asked(total: float, seed: int) -> None:
    law = Mishaps(probability=0.7)
    assert points(law, total, 5, seed) == points(law, total, 5, seed)
    assert all(point is None or 0 <= point <= total for point in points(law, total, 5, seed))


def test_more_chaos_lets_the_same_jobs_fail_and_more() -> None:
    few, many = ({n for n, p in enumerate(points(Mishaps(chaos=c), 60.0, 300)) if p is not None} for c in (1, 3))
    assert few < many


@pytest.mark.parametrize(
    "change",
    [{"like": "filly"}, {"probability": 1.5}, {"shape": 0.0}, {"scale": -1.0}, {"chaos": -1.0}],
)
def test_what_cannot_be_is_refused_by_its_key(change: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(change))):
        Mishaps(**change)  # type: ignore[arg-type]
