"""Lower bounds: by hand, against every schedule of tiny cases, and against every policy that gpuyard ships."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import combinations
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.bounds import least_jct, least_slowdown, mean_busy, shortest_first
from gpuyard.envs.metrics import summary
from gpuyard.envs.nodes import parse
from gpuyard.envs.outcomes import SHORTEST, Floats
from gpuyard.envs.scenario import Scenario, of_cluster, scenario
from gpuyard.envs.session import Policy
from gpuyard.experiments.bounds import FASTER, bound, unbound
from gpuyard.experiments.missing import check_needs
from gpuyard.experiments.names import all_policies
from gpuyard.experiments.simulate import simulate
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput

Tiny = tuple[tuple[int, int, int], ...]
"""Jobs as (submit, run, width) in whole seconds, by submission."""


def columns(jobs: Sequence[tuple[float, float, float]]) -> tuple[Floats, Floats, Floats]:
    submit, run, width = np.array(jobs, float).T
    return submit, run, width


def test_shortest_first_by_hand() -> None:
    """The second job interrupts the first; the third waits for the second alone."""
    assert shortest_first(np.array([0.0, 1.0, 2.0]), np.array([10.0, 3.0, 4.0])).tolist() == [17.0, 4.0, 8.0]


def test_mean_busy_times_by_hand() -> None:
    """The first works from 0 to 1 and from 4 to 7: (1 x 0.5 + 3 x 5.5) / 4. The second, worth more, from 1 to 4."""
    found = mean_busy(np.array([0.0, 1.0]), np.array([4.0, 3.0]), np.array([1.0, 1.0]))
    assert found.tolist() == [4.25, 2.5]
    assert mean_busy(np.array([0.0, 5.0]), np.array([0.0, 1.0]), np.ones(2)).tolist() == [0.0, 5.5]


def test_bounds_by_hand() -> None:
    """One accelerator: two jobs of 10 s come at once. Nobody does better than 10 and 20 s."""
    one = columns([(0, 10, 1), (0, 10, 1)])
    assert least_jct(*one, 1.0) == 15.0
    assert least_slowdown(*one, 1.0) == 1.5
    assert least_jct(*one, 2.0) == 10.0
    assert least_slowdown(*one, 2.0) == 1.0
    assert least_jct(*columns([(0, 10, 0), (3, 20, 0)]), 2.0) == 15.0


def test_three_gangs_on_two_accelerators_by_hand() -> None:
    """Three jobs of 2 s on one accelerator each: one has to wait, so 2 + 2 + 4 s is best, and 7 / 3 is the bound.

    The fast machine does each in a second: mean busy times 0.5, 1.5 and 2.5, and half of 2 s more for each.
    """
    three = columns([(0, 2, 1)] * 3)
    assert least_jct(*three, 2.0) == pytest.approx((1.5 + 2.5 + 3.5) / 3)
    assert best(((0, 2, 1),) * 3, 2, jct) == 8.0


def jct(job: tuple[int, int, int], end: int) -> float:
    return end - job[0]


def slowdown(job: tuple[int, int, int], end: int) -> float:
    return max(1.0, (end - job[0]) / max(job[1], SHORTEST))


def best(jobs: Tiny, size: int, cost: Callable[[tuple[int, int, int], int], float]) -> float:
    """The smallest sum over all schedules in which jobs run, stop and go on at whole seconds."""

    @cache
    def least(now: int, left: tuple[int, ...]) -> float:
        if not any(left):
            return 0.0
        able = [i for i, job in enumerate(jobs) if left[i] and job[0] <= now]
        if not able:
            return least(min(job[0] for i, job in enumerate(jobs) if left[i]), left)
        found = inf
        for chosen in subsets(able):
            if chosen and sum(jobs[i][2] for i in chosen) <= size:
                after = tuple(n - (i in chosen) for i, n in enumerate(left))
                paid = sum(cost(jobs[i], now + 1) for i in chosen if not after[i])
                found = min(found, paid + least(now + 1, after))
        return found

    return least(0, tuple(job[1] for job in jobs))


def subsets(of: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for count in range(len(of), -1, -1):
        yield from combinations(of, count)


tiny = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(1, 2)), min_size=1, max_size=4).map(
    lambda jobs: tuple(sorted(jobs))
)


@settings(max_examples=150, deadline=None)
@given(jobs=tiny, size=st.integers(2, 3))
def test_no_schedule_beats_the_bounds(jobs: Tiny, size: int) -> None:
    assert least_jct(*columns(jobs), size) * len(jobs) <= best(jobs, size, jct) + 1e-9
    assert least_slowdown(*columns(jobs), size) * len(jobs) <= best(jobs, size, slowdown) + 1e-9


@settings(max_examples=60, deadline=None)
@given(jobs=tiny)
def test_of_single_accelerators_one_alone_is_bound_exactly(jobs: Tiny) -> None:
    """On one machine shortest remaining time first is best: the bound is what can be reached."""
    alone = tuple((submit, run, 1) for submit, run, _ in jobs)
    assert least_jct(*columns(alone), 1.0) * len(jobs) == pytest.approx(best(alone, 1, jct))


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Jobs that crowd four accelerators, with estimates that are more or less right."""
    jobs, durations, now = [], {}, 0.0
    for number in range(draw(st.integers(1, 14))):
        now += draw(st.sampled_from([0.0, 1.0, 30.0]))
        durations[number] = draw(st.sampled_from([0.0, 1.0, 7.0, 20.0, 300.0]))
        estimate = max(durations[number] * draw(st.sampled_from([0.3, 1.0, 2.0])), 1.0)
        jobs.append(Job(number, now, draw(st.sampled_from([0, 1, 1, 1, 2, 3, 4])), estimate=estimate))
    return Trace(tuple(jobs), durations)


def able(trace: Trace, world: Scenario) -> dict[str, Policy]:
    found: dict[str, Policy] = {}
    for name, one in all_policies().items():
        try:
            check_needs(name, one, trace, world)
        except BadInput:
            continue
        found[name] = one
    return found


@settings(max_examples=40, deadline=None)
@given(trace=traces())
def test_no_policy_beats_the_bounds(trace: Trace) -> None:
    world = of_cluster("2x2:V100", 0.0)
    mean, slow = bound(trace, [job.id for job in trace.jobs], world)
    for name, one in able(trace, world).items():
        found = summary(simulate(trace, world, one))
        if found.finished == len(trace):
            assert found.mean_jct is not None
            assert found.mean_bounded_slowdown is not None
            assert found.mean_jct >= mean * (1 - 1e-9), name
            assert found.mean_bounded_slowdown >= slow * (1 - 1e-9), name


def test_jobs_that_are_not_scored_are_not_bound_and_elastic_ones_count_with_their_fewest() -> None:
    jobs = (Job(0, 0.0, 4), Job(1, 0.0, 4, min_gang=1), Job(2, 0.0, 1, share=0.5))
    trace = Trace(jobs, {0: 100.0, 1: 8.0, 2: 8.0})
    world = of_cluster("1x4:V100")
    assert bound(trace, (1, 2), world) == (8.0, 1.0)
    assert bound(trace, (0, 1), world)[0] == least_jct(*columns([(0, 100, 4), (0, 8, 1)]), 4.0)
    assert bound(trace, (0,), of_cluster("1x4:V100"))[0] == 100.0


def test_worlds_in_which_jobs_may_run_faster_have_no_bound() -> None:
    assert unbound(of_cluster(parse("1x4:V100"))) == []
    assert "speed" in unbound(scenario("campus"))
    assert "accelerators cut" in unbound(scenario("mig"))
    assert unbound(scenario("stormy").without(*FASTER)) == []
