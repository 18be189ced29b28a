"""Gavel's programs on numbers one can do in one's head, its rounds as stories, and its decisions legal in a storm."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.profiles import builtin
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import Start
from gpuyard.policies.crowd import Crowd, shares
from gpuyard.policies.gavel import finish_time_fair, gavel, gavel_ftf, gavel_makespan, makespan, max_min
from gpuyard.policies.rounds import Rounds
from gpuyard.traces.job import Job, Trace
from stories import story, trace
from tales import at, ended, ends, said, tell

HASTY = Rounds(max_min, tick=10.0, resets=20.0)


def crowd(
    rates: list[list[float]], capacity: list[float], gangs: list[int] | None = None, waited: list[float] | None = None,
    remaining: float | list[float] = 10.0, priorities: list[float | None] | None = None,
) -> Crowd:  # fmt: skip
    count = len(rates)
    jobs = [Job(n, 0.0, priority=(priorities or [None] * count)[n]) for n in range(count)]
    return Crowd(
        tuple(jobs), np.array(rates, float), np.array(gangs or [1] * count, float), np.array(capacity, float),
        np.array(waited or [0.0] * count), np.broadcast_to(np.array(remaining, float), (count,)), np.zeros(count),
    )  # fmt: skip


def test_who_gains_most_from_a_kind_gets_it() -> None:
    """Job 0 is four times as fast on the first kind, job 1 gains nothing there."""
    assert max_min(crowd([[4, 1], [1, 1]], [1, 1])) == pytest.approx(np.eye(2))
    times, part = shares(np.array([[4.0, 1], [1, 1]]), np.array([2.0, 1]), np.ones(2), np.ones(2))
    assert times == pytest.approx(np.eye(2))
    assert part == pytest.approx(1.0)


def test_weights_and_gangs_count() -> None:
    assert max_min(crowd([[1], [1]], [1], priorities=[3.0, None])) == pytest.approx(np.array([[0.75], [0.25]]))
    # each gets one of two accelerators: the gang of two has both half of the time
    assert max_min(crowd([[1], [1]], [2], gangs=[2, 1])) == pytest.approx(np.array([[0.5], [1.0]]))


def test_the_shortest_makespan_gives_the_fast_kind_to_the_longer_job() -> None:
    """20 s and 10 s of work; twice as fast on the first kind: both end after 10 s."""
    assert makespan(crowd([[2, 1], [2, 1]], [1, 1], remaining=[20, 10])) == pytest.approx(np.eye(2))


def test_finish_time_fairness_makes_up_for_waiting() -> None:
    """One accelerator, 10 s of work each, 20 s with half of it; job 0 has waited 10 s.

    10 + 10 / x = 10 / (1 - x), so x = (sqrt 5 - 1) / 2.
    """
    times = finish_time_fair(crowd([[1], [1]], [1], waited=[10, 0]))
    assert times[:, 0] == pytest.approx([(sqrt(5) - 1) / 2, (3 - sqrt(5)) / 2], abs=0.01)
    assert finish_time_fair(crowd([[1], [1]], [1]))[:, 0] == pytest.approx([0.5, 0.5], abs=0.01)


def test_what_is_left_over_is_given_where_most_is_done() -> None:
    """Job 0 can have one kind alone and all of it; job 1 has the other, and more than its part of need."""
    assert max_min(crowd([[1, 0], [1, 1]], [1, 1])) == pytest.approx(np.eye(2))


@given(st.data(), st.integers(1, 6), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_programs_give_no_more_than_there_is_and_equals_the_same(data: st.DataObject, jobs: int, groups: int) -> None:
    rate, size = st.sampled_from([0.25, 1.0, 3.0]), st.sampled_from([1, 2, 4])
    rates = [data.draw(st.lists(rate, min_size=groups, max_size=groups)) for _ in range(jobs)]
    gangs = data.draw(st.lists(size, min_size=jobs, max_size=jobs))
    waited = data.draw(st.lists(st.sampled_from([0.0, 100.0, 1e5]), min_size=jobs, max_size=jobs))
    left = data.draw(st.lists(st.sampled_from([1.0, 50.0, 1e6]), min_size=jobs, max_size=jobs))
    made = crowd(rates, [4.0] * groups, gangs, waited, left)
    for allocate in (max_min, makespan, finish_time_fair):
        times = allocate(made)
        assert (times >= 0).all()
        assert (times.sum(1) <= 1 + 1e-6).all()
        assert (times.T @ made.gangs <= made.capacity + 1e-6).all()
        rows = list(zip(rates, gangs, waited, left, strict=True))
        assert all((times[a] == times[b]).all() for a in range(jobs) for b in range(jobs) if rows[a] == rows[b])


def test_two_jobs_take_turns() -> None:
    """Of 25 s each, in rounds of 10 s. What the first leaves in the middle of a round is the second's at once."""
    assert story(HASTY, trace((0, 1, 25), (0, 1, 25)), "1x1:A", tick=10.0) == [
        "0: 1 comes, 2 comes, 1 starts on n0/0",
        "10: stop 1, 1 preempted with 10 s done, 2 starts on n0/0",
        "20: stop 2, 2 preempted with 10 s done, 1 starts on n0/0",
        "30: stop 1, 1 preempted with 20 s done, 2 starts on n0/0",
        "40: stop 2, 2 preempted with 20 s done, 1 starts on n0/0",
        "45: 1 finished with 25 s done, 2 starts on n0/0",
        "50: 2 finished with 25 s done",
    ]


def test_as_published_what_becomes_free_waits_for_the_end_of_the_round() -> None:
    told = trace((0, 1, 25), (0, 1, 4), (1, 1, 10))
    assert story(HASTY, told, tick=10.0)[2] == "4: 2 finished with 4 s done, 3 starts on n0/1"
    assert story(replace(HASTY, fills=False), told, tick=10.0)[2:4] == [
        "4: 2 finished with 4 s done",
        "10: 3 starts on n0/1",
    ]


def test_a_gang_gets_its_turn_although_single_jobs_never_leave_it_room() -> None:
    """The allocation at 20 gives the gang of two, job 2, half the time of the others: its turn is the second round."""
    assert story(HASTY, trace((0, 1, 60), (1, 2, 10), (2, 1, 60)), tick=10.0) == [
        "0: 1 comes, 1 starts on n0/0",
        "1: 2 comes",
        "2: 3 comes, 3 starts on n0/1",
        "30: stop 1, stop 3, 1 preempted with 30 s done, 3 preempted with 28 s done, 2 starts on n0/0 n0/1",
        "40: 2 finished with 10 s done, 1 starts on n0/0, 3 starts on n0/1",
        "70: 1 finished with 60 s done",
        "72: 3 finished with 60 s done",
    ]


def test_a_job_that_may_not_be_stopped_keeps_its_place() -> None:
    told = trace((0, 1, 25), (0, 1, 25))
    told = told.of([replace(told.jobs[0], preemptible=False), told.jobs[1]])
    assert story(HASTY, told, "1x1:A", tick=10.0) == [
        "0: 1 comes, 2 comes, 1 starts on n0/0",
        "25: 1 finished with 25 s done, 2 starts on n0/0",
        "50: 2 finished with 25 s done",
    ]


def test_when_a_faster_kind_is_free_a_job_goes_there_at_the_end_of_the_round() -> None:
    """Job 0 leaves the V100 at 15 s; job 1 has then 5 s more of the K80."""
    jobs = [
        (Job(0, 0.0, kinds=("V100",), preemptible=False), 15.0),
        (Job(1, 0.0, profile="resnet"), 100.0),
    ]
    told = tell(jobs, "1x1:V100+1x1:K80", {"speed": Speed()}, HASTY, tick=10.0)
    pace = builtin().speed("resnet", "K80", 1, reference_kind="V100", reference_gang=1)
    assert pace is not None
    assert said(told, Start) == [Start(0, at("n0/0")), Start(1, at("n1/0")), Start(1, at("n0/0"))]
    assert ended(told) == ends(
        (15.0, 0, "finished", 15.0, 0.0),
        (20.0, 1, "preempted", 20 * pace, 0.0),
        (20.0 + 100.0 - 20 * pace, 1, "finished", 100.0, 0.0),
    )


@given(storm.traces(), st.integers(0, 7))
@settings(max_examples=25, deadline=None)
def test_every_decision_is_legal_in_a_storm(trace: Trace, seed: int) -> None:
    told = trace.of([replace(job, estimate=trace.durations[job.id]) for job in trace.jobs])
    for one in (gavel, gavel_makespan, gavel_ftf):
        session, hasty = Session(storm.world(told, seed)), replace(one, tick=10.0, resets=20.0)
        for _ in range(150):
            if not session.advance():
                break
            for decision in hasty.decide(session.cluster):
                session.act(decision)
        assert session.log.replay().state() == session.cluster.state()
