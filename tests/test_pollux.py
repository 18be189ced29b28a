"""Pollux: the division against brute force and by hand, and stories of rounds.

A job without a profile has gang^0.9 of the rate of one accelerator: 1, 1.866, 2.688, 3.482 for one to four.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.nodes import parse
from gpuyard.envs.room import width
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Preempt, Resize, Start
from gpuyard.policies.pollux import LITTLE, Options, knapsack, pollux
from gpuyard.traces.job import Job
from tales import ended, ends, said, tell, trace_of


def elastic(number: int, seconds: float, submit: float = 0.0, **more: object) -> tuple[Job, float]:
    return Job(number, submit, min_gang=1, max_gang=8, **more), seconds  # type: ignore[arg-type]


@st.composite
def choices(draw: st.DrawFn) -> tuple[Options, ...]:
    """Up to four jobs with up to four gangs each, whose speedups may be anything."""
    made = []
    for _ in range(draw(st.integers(1, 4))):
        gangs = sorted(draw(st.sets(st.integers(1, 6), max_size=4)))
        speeds = draw(st.lists(st.floats(0.01, 8.0), min_size=len(gangs), max_size=len(gangs)))
        made.append(((0, 1 / LITTLE), *((g, 1 / (s + LITTLE)) for g, s in zip(gangs, speeds, strict=True))))
    return tuple(made)


@given(choices(), st.integers(0, 12))
def test_the_division_is_the_best_there_is(options: tuple[Options, ...], size: int) -> None:
    """Every division is tried: none has a larger power mean."""

    def mean(picks: tuple[int, ...]) -> float:
        speeds = [1 / mine[pick][1] for mine, pick in zip(options, picks, strict=True)]
        return float(np.mean([speed**-1 for speed in speeds]) ** -1)

    def used(picks: tuple[int, ...]) -> int:
        return sum(mine[pick][0] for mine, pick in zip(options, picks, strict=True))

    found = tuple(knapsack(options, size))
    assert used(found) <= size
    best = max(mean(picks) for picks in product(*(range(len(mine)) for mine in options)) if used(picks) <= size)
    assert mean(found) == pytest.approx(best, rel=1e-6)


def test_equal_jobs_share_alike() -> None:
    told = tell([elastic(n, 100.0) for n in range(3)], "1x8:V100", {"speed": Speed()}, replace(pollux))
    assert sorted(width(start.placement) for start in said(told, Start)) == [2, 3, 3]


def test_a_rigid_gang_is_not_left_out_for_one_that_could_have_more() -> None:
    jobs = [elastic(0, 100.0), (Job(1, 0.0, 2), 100.0)]
    told = tell(jobs, "1x4:V100", {"speed": Speed()}, replace(pollux))
    assert {start.job: width(start.placement) for start in said(told, Start)} == {0: 2, 1: 2}


def test_one_that_is_left_alone_grows_when_that_pays_for_the_restart() -> None:
    """At 360 it is 360 s old and was never changed: it keeps 360/390 of twice the accelerators' 1.866: it grows."""
    told = tell([elastic(0, 1000.0), elastic(1, 100.0)], "1x4:V100", {"speed": Speed()}, replace(pollux), tick=60.0)
    assert [width(resize.placement) for resize in said(told, Resize)] == [4]
    end = 360.0 + (1000.0 - 360.0 * 2**0.9) / 4**0.9
    assert ended(told) == ends((100 / 2**0.9, 1, "finished", 100.0, 0.0), (end, 0, "finished", 1000.0, 0.0))


def test_one_whose_restart_costs_too_much_stays_as_it_is() -> None:
    """At 360 a restart of 400 s would leave it 360/760 of 1.866 times its speed: less than it has."""
    policy = replace(pollux, restart=400.0)
    told = tell([elastic(0, 700.0), elastic(1, 100.0)], "1x4:V100", {"speed": Speed()}, policy, tick=60.0)
    assert not said(told, Resize)


def test_one_that_comes_gets_what_another_has_too_much() -> None:
    told = tell(
        [elastic(0, 9000.0), elastic(1, 100.0, 400.0)], "1x4:V100", {"speed": Speed()}, replace(pollux), tick=60.0
    )
    assert [(s.job, width(s.placement)) for s in said(told, Start)] == [(0, 4), (1, 2)]
    assert [width(resize.placement) for resize in said(told, Resize)] == [2, 4]
    assert not said(told, Preempt)


def test_what_a_quota_leaves_goes_to_others() -> None:
    tenants = Tenants((Tenant("a", quota=1, borrow=0), Tenant("b", quota=3)))
    jobs = [elastic(0, 100.0, tenant="a"), elastic(1, 100.0, tenant="b")]
    told = tell(jobs, "1x4:V100", {"speed": Speed()}, replace(pollux), tenants=tenants)
    assert {start.job: width(start.placement) for start in said(told, Start)} == {0: 1, 1: 3}


def test_where_nothing_is_resized_everybody_has_its_own_gang() -> None:
    jobs = [(Job(n, 0.0, 2, min_gang=1, max_gang=4), 50.0) for n in range(3)]
    log = Session(SimWorld(trace_of(jobs), parse("1x4:V100"), restart=0.0, tick=60.0)).play(replace(pollux))
    assert [(s.job, width(s.placement)) for s in log.entries if isinstance(s, Start)] == [(0, 2), (1, 2), (2, 2)]
