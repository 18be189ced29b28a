"""CarbonScaler: the paper's own example, schedules by brute force, and stories of jobs that are wide when it is green.

A job without a profile has gang^0.9 of the rate of one accelerator: 1, 1.866, 2.688, 3.482 for one to four.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.room import width
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import Preempt, Resize, Start
from gpuyard.policies.afs import optimus
from gpuyard.policies.carbon_scaler import CarbonScaler, carbon_scaler, efficient, quickest, taken
from gpuyard.policies.gangs import Claim
from gpuyard.policies.outlook import Ahead
from gpuyard.traces.job import Job, Trace
from tales import Befalls, Fate, ended, ends, grid, tell

TWO = 2**0.9
Ask = tuple[Job, float]


def hasty(slots: int, slot: float = 100.0, **more: Any) -> CarbonScaler:
    """In slots of 100 s, so many a day."""
    return replace(carbon_scaler, slot=slot, day=slot * slots, rest=5.0, restart=0.0, **more)


def elastic(number: int, seconds: float, submit: float, most: int = 2, **more: Any) -> Ask:
    """A job that takes one accelerator or more, is recorded on one, and tells how long it takes."""
    return Job(number, submit, estimate=seconds, min_gang=1, max_gang=most, **more), seconds


def played(jobs: list[Ask], one: CarbonScaler, fates: list[Fate], cluster: str = "1x2:V100") -> Any:
    return tell(jobs, cluster, {"speed": Speed()}, one, fates)


def gangs(told: Any) -> list[tuple[float, int, int]]:
    """(when, job, accelerators from then on); 0 when it is stopped."""
    rows = []
    for time, entry in told.log.timed():
        if isinstance(entry, Start | Resize):
            rows.append((time, entry.job, width(entry.placement)))
        elif isinstance(entry, Preempt):
            rows.append((time, entry.job, 0))
    return rows


def schedule(marginal: list[float], carbon: list[float], work: float) -> list[int]:
    """Servers in each slot of 1 s, looked at anew in each as what is left becomes less."""
    rates, servers = np.cumsum(marginal).tolist(), []
    for slot, now in enumerate(carbon):
        if work <= 1e-9:
            break
        ahead = Ahead(float(slot), slot + 1.0, now, np.array([*carbon[slot + 1 :], now]), 1.0)
        servers.append(taken(tuple(enumerate(rates, 1)), work, ahead, float(len(carbon))))
        work -= rates[servers[-1] - 1] if servers[-1] else 0.0
    return servers


def test_the_example_of_the_paper() -> None:
    """Section 3.4: length 2, by 3, on one server or two; c = 10, 100, 20. MC / c: 0.1, 0.07; 0.01, 0.007; 0.05, 0.035.

    With linear scaling it ends after slot 1; else two servers there do 1.7, and one does the rest in slot 3.
    """
    assert schedule([1.0, 1.0], [10.0, 100.0, 20.0], 2.0) == [2]
    assert schedule([1.0, 0.7], [10.0, 100.0, 20.0], 2.0) == [2, 0, 1]


def test_the_same_in_a_world() -> None:
    """Two accelerators do 186.6 s of work from 300 to 400; one does the other 13.4 s from 500 on."""
    told = played([elastic(0, 200.0, 300.0, deadline=600.0)], hasty(3), grid(*[10.0, 100.0, 20.0] * 3, slot=100.0))
    assert gangs(told) == [(300.0, 0, 2), (400.0, 0, 0), (500.0, 0, 1)]
    done = 100 * TWO
    assert ended(told) == ends((400.0, 0, "preempted", done, 0.0), (700.0 - done, 0, "finished", 200.0, 0.0))


def test_a_job_becomes_narrower_when_carbon_rises() -> None:
    """250 s by 600, c = 10, 20, 30: two in slot 1 (0.1, 0.087) and one in slot 2 (0.05) do it."""
    told = played([elastic(0, 250.0, 300.0, deadline=600.0)], hasty(3), grid(*[10.0, 20.0, 30.0] * 3, slot=100.0))
    assert gangs(told) == [(300.0, 0, 2), (400.0, 0, 1)]
    assert ended(told) == ends((650.0 - 100 * TWO, 0, "finished", 250.0, 0.0))


def test_a_job_becomes_wider_when_carbon_falls() -> None:
    """250 s by 400, c = 20, 10: two in slot 2 (0.1, 0.087) and one in slot 1 (0.05)."""
    told = played([elastic(0, 250.0, 200.0, deadline=400.0)], hasty(2), grid(*[20.0, 10.0] * 4, slot=100.0))
    assert gangs(told) == [(200.0, 0, 1), (300.0, 0, 2)]
    assert ended(told) == ends((300.0 + 150.0 / TWO, 0, "finished", 250.0, 0.0))


def test_without_time_a_job_is_wide_whatever_the_carbon() -> None:
    told = played([elastic(0, 250.0, 200.0, deadline=310.0)], hasty(2), grid(*[20.0, 10.0] * 4, slot=100.0))
    assert gangs(told) == [(200.0, 0, 2)]


def test_a_job_of_one_gang_is_suspended_and_resumed() -> None:
    """150 s by 600: from 300 to 400, and the rest from 500 on."""
    jobs = [(Job(0, 200.0, estimate=150.0, deadline=600.0), 150.0)]
    told = played(jobs, hasty(2), grid(*[100.0, 20.0] * 4, slot=100.0))
    assert gangs(told) == [(300.0, 0, 1), (400.0, 0, 0), (500.0, 0, 1)]
    assert ended(told) == ends((400.0, 0, "preempted", 100.0, 0.0), (550.0, 0, "finished", 150.0, 0.0))


def test_a_job_that_may_not_be_stopped_waits_for_its_window() -> None:
    """200 s by 900, at 300: 90 + 60 at once, 60 + 30 from 400 on."""
    jobs = [(Job(0, 300.0, estimate=200.0, deadline=900.0, preemptible=False), 200.0)]
    told = played(jobs, hasty(3), grid(*[90.0, 60.0, 30.0] * 4, slot=100.0))
    assert gangs(told) == [(400.0, 0, 1)]


def test_where_no_carbon_is_told_a_job_has_the_most_efficient_gang_that_ends_in_time() -> None:
    assert gangs(played([elastic(0, 100.0, 0.0, most=4)], hasty(2), [], "1x4:V100")) == [(0.0, 0, 1)]
    tight = elastic(0, 100.0, 0.0, most=4, deadline=60.0)
    assert gangs(played([tight], hasty(2), [], "1x4:V100"))[0] == (0.0, 0, 2)


def test_each_has_its_least_before_anybody_has_more() -> None:
    """Both are to have three in the green slot; there are four."""
    jobs = [elastic(n, 270.0, 200.0, most=3, deadline=400.0) for n in range(2)]
    told = played(jobs, hasty(2), grid(*[100.0, 10.0] * 4, slot=100.0), "1x4:V100")
    assert [row for row in gangs(told) if row[0] == 300.0] == [(300.0, 0, 2), (300.0, 1, 2)]


def test_what_would_be_too_slow_on_another_kind_is_no_reason_to_begin_there() -> None:
    """By 390 there are 90 green seconds: enough for the V100, but the K80 needs 100 and would have to begin at once."""
    job = (Job(0, 200.0, estimate=100.0, deadline=390.0, kinds=("K80", "V100"), profile="resnet"), 100.0)
    told = played([job], hasty(2), grid(*[100.0, 10.0] * 4, slot=100.0), "1x1:K80+1x1:V100")
    assert gangs(told)[0][0] == 300.0
    assert quickest(Claim(job[0], None, 9.0, {"A": ((1, 0.5),), "B": ((2, 1.2),), "C": ()})) == "B"
    assert quickest(Claim(job[0], None, 9.0, {})) == ""


def test_the_next_accelerator_is_for_whom_it_brings_most_of_what_one_of_its_gang_does() -> None:
    """0.7 of one, of a gang of one; 0.2 x 4 of one, of a gang of four; and who has nothing yet comes first."""
    one = Claim(Job(0, 0.0), None, 9.0, {"A": ((1, 1.0), (2, 1.7))}, "A", 0)
    four = Claim(Job(1, 0.0, 4), None, 9.0, {"A": ((4, 1.0), (5, 1.2))}, "A", 0)
    none = replace(one, rung=-1)
    assert efficient(four, one)
    assert not efficient(one, four)
    assert efficient(none, four)
    assert not efficient(four, none)


def greedy(marginal: list[float], slots: list[tuple[float, float]], work: float) -> int:
    """Algorithm 1 as published, the next step of each slot being eligible: steps in the first slot."""
    have = [0] * len(slots)
    while work > 1e-6:
        able = [
            (-marginal[have[i]] / carbon, i, length)
            for i, (length, carbon) in enumerate(slots)
            if have[i] < len(marginal)
        ]
        if not able:
            break
        _, i, length = min(able)
        work -= marginal[have[i]] * length
        have[i] += 1
    return have[0]


STEPS = st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=1, max_size=4)


@given(
    STEPS, st.lists(st.sampled_from([8.0, 16.0, 64.0]), min_size=1, max_size=4), st.integers(1, 30), st.integers(1, 21)
)
@settings(max_examples=200, deadline=None)
def test_the_schedule_is_that_of_the_published_loop(
    marginal: list[float], values: list[float], work: int, end: int
) -> None:
    """Slots of 4 s, of which 1 s is gone. All numbers are powers of two, so equals are equal."""
    ahead = Ahead(1.0, 4.0, 32.0, np.array(values), 4.0)
    slots = [(min(4.0, 1.0 + end) - 1.0, 32.0)]
    slots += [
        (min(4.0 * n + 4.0, 1.0 + end) - 4.0 * n, values[(n - 1) % len(values)])
        for n in range(1, 6)
        if 4.0 * n < 1.0 + end
    ]
    rungs = tuple(enumerate(np.cumsum(marginal).tolist(), 1))
    assert taken(rungs, float(work), ahead, 1.0 + end) == greedy(marginal, slots, float(work))


def test_beyond_the_deadline_a_job_is_to_have_all() -> None:
    ahead = Ahead(10.0, 20.0, 100.0, np.array([10.0, 100.0]), 10.0)
    assert [taken(((1, 1.0), (2, 1.9)), 5.0, ahead, end) for end in (5.0, 10.0, 12.0, 40.0)] == [2, 2, 2, 0]


@given(storm.traces(), st.integers(0, 9), st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_it_may_be_called_in_the_middle_and_left_again(trace: Trace, seed: int, moment: int) -> None:
    told = trace.of([replace(one, estimate=trace.durations[one.id]) for one in trace.jobs])
    weather = Befalls(grid(*[100.0, 20.0, 60.0] * 9, site="hall", slot=2.0))
    session, one = Session(storm.world(told, seed, weather=weather)), hasty(3, slot=2.0)
    other = replace(optimus, rest=3.0)
    for number in range(150):
        if not session.advance():
            break
        for decision in (other if number < moment or number % 7 == 6 else one).decide(session.cluster):
            session.act(decision)
    assert session.log.replay().state() == session.cluster.state()


@pytest.mark.parametrize("one", [carbon_scaler, hasty(24, slot=3600.0)])
def test_all_jobs_end_although_all_want_the_same_hours(one: CarbonScaler) -> None:
    jobs = [elastic(n, 3600.0, 86400.0 + 120.0 * n, deadline=2.5 * 86400.0) for n in range(30)]
    fates = grid(*([400.0] * 11 + [50.0] * 2 + [400.0] * 11) * 5, slot=3600.0)
    told = tell(jobs, "1x2:V100", {"speed": Speed()}, replace(one), fates, tick=one.tick)
    finished = [row for row in ended(told) if row[2] == "finished"]
    assert len(finished) == 30
    assert max(row[0] for row in finished) < 4 * 86400.0
