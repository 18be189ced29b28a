"""The game in which whoever is chosen is waited for: by hand, and as the published code's rules play it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.commits import Commits
from gpuyard.envs.features import MARKS
from gpuyard.envs.nodes import parse
from gpuyard.envs.scheduling import SchedulingEnv
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Start
from gpuyard.experiments.reproduce_rlscheduler import RULES, Committed
from gpuyard.policies.learned import Learned, codec_of, of_rule, told_of
from gpuyard.policies.teachers import TEACHERS
from gpuyard.traces.job import Job, Trace

Rows = list[tuple[float, int, float]]


def trace_of(jobs: Rows) -> Trace:
    made = tuple(Job(n, at, gang, estimate=run) for n, (at, gang, run) in enumerate(jobs))
    return Trace(made, {n: run for n, (_, _, run) in enumerate(jobs)})


def starts(jobs: Rows, policy: Policy) -> dict[int, float]:
    log = Session(SimWorld(trace_of(jobs), parse("1x256:CPU"))).play(policy)
    return {entry.job: time for time, entry in log.timed() if isinstance(entry, Start)}


def chooser(rule: str, backfill: bool = False) -> Learned:
    weights, waiting = TEACHERS[rule].line(Commits.row)
    return Learned(of_rule(weights, waiting), Commits(64, backfill=backfill), {})


def test_who_is_chosen_is_waited_for_though_a_shorter_one_would_fit() -> None:
    jobs = [(0.0, 200, 100.0), (1.0, 100, 50.0), (2.0, 10, 1.0)]
    assert starts(jobs, chooser("shortest")) == {0: 0.0, 1: 100.0, 2: 100.0}


def test_only_those_pass_who_end_before_the_promise_the_oldest_first() -> None:
    """1 is promised 100. 2 would end at 100, which is not before; 3 ends at 99, and 4 finds no room beside it."""
    jobs = [(0.0, 200, 100.0), (1.0, 100, 50.0), (2.0, 10, 98.0), (3.0, 50, 96.0), (4.0, 40, 5.0)]
    assert starts(jobs, chooser("oldest", backfill=True)) == {0: 0.0, 3: 3.0, 1: 100.0, 2: 100.0, 4: 100.0}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 256), st.integers(1, 99)), min_size=1, max_size=40),
    st.booleans(),
)
def test_shortest_first_is_played_as_the_published_code_plays_it(steps: Rows, passes: bool) -> None:
    """Fractions of a second that no two sums share: the published code looks at one thing after another."""
    jobs, now = [], 0.0
    for n, (step, gang, run) in enumerate(steps):
        now += step
        jobs.append((now + n / 1024, gang, run + n / 4096 + 1 / 8192))
    assert starts(jobs, chooser("shortest", passes)) == starts(jobs, Committed(RULES["SJF"], passes))


def test_an_environment_offers_all_who_wait_and_then_nobody_until_the_chosen_one_fits() -> None:
    jobs = [(0.0, 200, 100.0), (1.0, 100, 50.0), (1.0, 10, 10.0)]
    env = SchedulingEnv(trace_of(jobs), "1x256:CPU", Commits(4), window=None, skip_forced=True)
    env.reset()
    env.step(np.int64(0))
    assert env.session is not None
    assert env.session.cluster.now == 1.0
    assert env.action_masks().tolist() == [True, True, False, False, False]
    env.step(np.int64(0))
    assert env.session.cluster.now == 100.0
    assert env.menu.jobs == [1]
    assert env.action_masks().tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("backfill", [False, True])
def test_a_card_tells_of_it(backfill: bool) -> None:
    codec = Commits(9, backfill=backfill)
    assert codec_of(told_of(codec)) == codec


def test_marks_tell_how_it_is_played_and_how_long_jobs_usually_are() -> None:
    """Two jobs of e^8 and e^4 s, less one: their mean is one nat above the middle, as two of eighteen jobs know."""
    jobs = [(0.0, 128, math.expm1(8.0)), (0.0, 1, math.expm1(4.0))]
    for backfill in (0.0, 1.0):
        env = SchedulingEnv(trace_of(jobs), "1x256:CPU", Commits(4, backfill=bool(backfill)))
        observation, _ = env.reset()
        usual = (8.0 + 4.0 - 2 * 5.0) / 18
        assert observation[-1, MARKS : MARKS + 3] == pytest.approx([backfill, usual, backfill * usual])
        assert observation[:2, -1] == pytest.approx([4 * 8 / 16 * 128 / 256, 4 * 4 / 16 / 256])
        assert Commits.row[-1] == "heft"


def test_who_comes_later_is_counted_once() -> None:
    env = SchedulingEnv(trace_of([(0.0, 256, math.expm1(6.0)), (9.0, 256, math.expm1(9.0))]), "1x256:CPU", Commits(4))
    env.reset()
    observation, *_ = env.step(np.int64(0))
    assert observation[-1, MARKS + 1] == pytest.approx(1.0 / 17)
    observation, *_ = env.step(np.int64(4))
    assert observation[-1, MARKS + 1] == pytest.approx(5.0 / 18)
