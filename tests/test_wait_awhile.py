"""Let's wait awhile: days of a few slots of 10 s, greener and dirtier ones, and when a job runs in them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.nodes import Accelerator, Node, Nodes, parse
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Preempt, Start, Stopped
from gpuyard.experiments.names import policy
from gpuyard.policies.backfill import easy
from gpuyard.policies.outlook import Ahead, Diary
from gpuyard.policies.slack import DAY, HOUR, NextWorkday, SemiWeekly, Stretch, due
from gpuyard.policies.wait_awhile import WaitAwhile, wait_awhile
from gpuyard.traces.job import Job, Trace
from stories import trace as asked
from tales import Befalls, Fate, ended, ends, grid, said, tell

Ask = tuple[Job, float]


def hasty(slots: int = 2, **more: Any) -> WaitAwhile:
    """In slots of 10 s, so many a day."""
    return replace(wait_awhile, **{"slot": 10.0, "day": 10.0 * slots, "tick": 5.0, "restart": 0.0, **more})


def job(number: int, submit: float, seconds: float, deadline: float | None = None, **more: Any) -> Ask:
    return Job(number, submit, estimate=seconds, deadline=deadline, **more), seconds


def starts(
    jobs: list[Ask], one: WaitAwhile, fates: list[Fate], cluster: Nodes | str = "1x1:V100"
) -> list[tuple[float, int]]:
    """When each run begins, and whose it is."""
    told = tell(jobs, cluster, {}, one, fates)
    return [(time, entry.job) for time, entry in told.log.timed() if isinstance(entry, Start)]


TWO = grid(*[100.0, 20.0] * 6)
"""Dirty from 0, 20, 40 s on, green from 10, 30, 50 s on."""


def test_a_job_with_time_waits_for_the_greener_slot() -> None:
    """It comes at 20 and needs 10 s by 40: those from 30 on."""
    told = tell([job(0, 20.0, 10.0)], "1x1:V100", {}, hasty(), TWO)
    assert ended(told) == ends((40.0, 0, "finished", 10.0, 0.0))


def test_a_job_without_time_starts_at_once() -> None:
    """By 39 there are 9 green seconds, and it needs 10."""
    assert starts([job(0, 20.0, 10.0, deadline=39.0)], hasty(), TWO) == [(20.0, 0)]


def test_a_green_slot_is_begun_in_its_middle() -> None:
    assert starts([job(0, 33.0, 10.0, deadline=90.0)], hasty(), TWO) == [(33.0, 0), (50.0, 0)]


def test_a_job_runs_in_pieces() -> None:
    """20 s by 60: from 30 to 40, and from 50 to 60."""
    told = tell([job(0, 20.0, 20.0)], "1x1:V100", {}, hasty(), TWO)
    assert ended(told) == ends((40.0, 0, "preempted", 10.0, 0.0), (60.0, 0, "finished", 20.0, 0.0))


@pytest.mark.parametrize("one", [hasty(3), hasty(3, interrupts=False)])
def test_a_job_that_may_not_be_stopped_runs_in_the_greenest_window(one: WaitAwhile) -> None:
    """20 s by 90, at 30: 90 + 60 from now on, 60 + 30 from 40 on, 30 + 90 from 50 on."""
    fates = grid(*[90.0, 60.0, 30.0] * 4)
    told = tell([job(0, 30.0, 20.0, deadline=90.0, preemptible=False)], "1x1:V100", {}, one, fates)
    assert not said(told, Preempt)
    assert ended(told) == ends((60.0, 0, "finished", 20.0, 0.0))


def test_in_pieces_the_same_job_takes_the_greenest_slots() -> None:
    """From 50 to 60, and from 80 to 90."""
    told = tell([job(0, 30.0, 20.0, deadline=90.0)], "1x1:V100", {}, hasty(3), grid(*[90.0, 60.0, 30.0] * 4))
    assert ended(told) == ends((60.0, 0, "preempted", 10.0, 0.0), (90.0, 0, "finished", 20.0, 0.0))


def test_in_one_piece_nobody_waits_for_a_window_that_is_no_better() -> None:
    assert starts([job(0, 20.0, 20.0)], hasty(interrupts=False), TWO) == [(20.0, 0)]


def test_before_a_day_was_seen_nothing_is_expected() -> None:
    """With three slots a day the third is the first from which the two others are known."""
    fates = grid(*[90.0, 60.0, 30.0] * 5)
    jobs = [job(0, 0.0, 5.0, deadline=99.0), job(1, 10.0, 5.0, deadline=99.0), job(2, 30.0, 5.0, deadline=99.0)]
    assert starts(jobs, hasty(3), fates) == [(0.0, 0), (10.0, 1), (50.0, 2)]


def test_when_the_slot_is_not_as_green_as_it_was_the_deadline_is_kept() -> None:
    """10 s by 45: 30 to 40 was to be green. Now it is not, and 5 s are left after it."""
    told = tell([job(0, 20.0, 10.0, deadline=45.0)], "1x1:V100", {}, hasty(), grid(100, 20, 100, 200, 100, 200))
    assert ended(told) == ends((40.0, 0, "finished", 10.0, 0.0))


def test_a_run_is_not_stopped_where_greener_hours_do_not_suffice_for_the_restart_too() -> None:
    """At 40 it needs 10 s more, and there are 10 green ones by 60."""
    told = tell([job(0, 20.0, 20.0)], "1x1:V100", {}, hasty(restart=1.0), TWO)
    assert ended(told) == ends((50.0, 0, "finished", 20.0, 0.0))


def test_a_run_on_a_slow_kind_needs_the_longer() -> None:
    """10 s of a V100, by 60. At 40 a K80 has done less than 3 s of it, and not even half is done by 60."""
    jobs = [job(0, 20.0, 10.0, deadline=60.0, kinds=("V100", "K80"), profile="resnet")]
    told = tell(jobs, "1x1:K80", {"speed": Speed()}, hasty(), TWO)
    assert [(time, entry.job) for time, entry in told.log.timed() if isinstance(entry, Start)] == [(30.0, 0)]
    assert not said(told, Preempt)


def test_a_job_counts_with_the_site_where_most_is_that_it_accepts() -> None:
    """Of two sites one tells its carbon: with three accelerators it decides, with one it does not."""
    for count, start in ((1, 20.0), (3, 30.0)):
        there = tuple(Accelerator(f"b/{n}", "V100") for n in range(count))
        here = (Accelerator("a/0", "V100"), Accelerator("a/1", "V100"))
        nodes = (Node("a", here, site="a"), Node("b", there, site="b"))
        assert starts([job(0, 20.0, 10.0)], hasty(), grid(*[100.0, 20.0] * 6, site="b"), nodes) == [(start, 0)]


def test_a_run_that_has_outrun_its_estimate_is_not_stopped_beyond_its_deadline() -> None:
    told = tell([(Job(0, 30.0, estimate=5.0), 60.0)], "1x1:V100", {}, hasty(), TWO)
    assert ended(told)[-1] == pytest.approx((90.0, 0, "finished", 60.0, 0.0))


def test_those_whose_time_has_come_are_served_in_order() -> None:
    """At 30 both are due: job 0 came first, job 1 is shorter."""
    jobs = [job(0, 20.0, 6.0, deadline=90.0), job(1, 20.0, 4.0, deadline=90.0)]
    assert starts(jobs, hasty(), TWO) == [(30.0, 0), (36.0, 1)]
    over: Any = policy("wait_awhile(sjf)")
    assert starts(jobs, hasty(order=over.order), TWO) == [(30.0, 1), (34.0, 0)]


def test_who_waits_for_greener_hours_keeps_nobody_else_waiting() -> None:
    """Job 0 would need both accelerators, and has time; job 1 has none."""
    jobs = [job(0, 20.0, 10.0, gang=2), job(1, 20.0, 5.0, deadline=25.0)]
    assert starts(jobs, hasty(), TWO, "1x2:V100") == [(20.0, 1), (30.0, 0)]


def test_who_tells_nothing_does_not_wait() -> None:
    """No estimate, no accelerators; and a site without a word of carbon."""
    jobs = [(Job(0, 20.0, estimate=None, deadline=90.0), 5.0), (Job(1, 20.0, 0, estimate=5.0, deadline=90.0), 5.0)]
    one = hasty()
    told = tell([job(9, 20.0, 5.0)], "1x1:V100", {}, one, TWO[:3])
    outlook = one._memory.of(told.cluster, pytest.fail).outlook
    assert not outlook.ahead("").flat
    waits = one._waits([j for j, _ in jobs], np.array([np.nan, 5.0]), ["", ""], outlook)
    assert waits.tolist() == [False, False]
    assert starts([job(2, 20.0, 5.0, deadline=90.0)], hasty(), grid(*[100.0, 20.0] * 6, site="elsewhere")) == [(20, 2)]


def test_one_that_was_used_may_be_copied_and_used_anew() -> None:
    one = hasty()
    before = starts([job(0, 20.0, 10.0)], one, TWO)
    assert starts([job(0, 20.0, 10.0)], deepcopy(one), TWO) == starts([job(0, 20.0, 10.0)], one, TWO) == before


def test_without_carbon_it_is_easy() -> None:
    told = asked((0, 2, 10), (1, 2, 4), (2, 1, 7), (3, 1, 3), (3, 1, 12), (4, 2, 1))
    both = [Session(SimWorld(told, parse("1x2:A"))).play(one) for one in (easy, replace(wait_awhile))]
    assert both[0].sha256() == both[1].sha256()


def test_a_diary_keeps_the_mean_of_each_slot_when_it_was_last_over() -> None:
    """100 for 5 s and 50 for 5 s; then 20; then 80, of which 4 s are over."""
    diary = Diary(np.full(3, np.nan), 10.0, 0.0, 100.0)
    diary.follow(50.0, 5.0)
    diary.follow(20.0, 10.0)
    diary.follow(80.0, 20.0)
    diary.follow(80.0, 24.0)
    ahead = diary.ahead()
    assert (ahead.now, ahead.end, ahead.present) == (24.0, 30.0, 80.0)
    assert ahead.values.tolist() == [75.0, 20.0, 80.0]
    diary.follow(40.0, 65.0)
    assert diary.ahead().values.tolist() == [80.0, 80.0, 40.0]


def at(day: int, hour: float) -> float:
    """A second of the first weeks: 0 is a Monday."""
    return day * DAY + hour * HOUR


@pytest.mark.parametrize(
    ("ends_at", "workday", "weekly"),
    [
        (at(0, 8), at(0, 9), at(0, 9)),
        (at(0, 12), at(0, 12), at(3, 9)),
        (at(1, 17.5), at(2, 9), at(3, 9)),
        (at(3, 9), at(3, 9), at(3, 9)),
        (at(4, 17.5), at(7, 9), at(7, 9)),
        (at(5, 3), at(7, 9), at(7, 9)),
        (at(6, 23), at(7, 9), at(7, 9)),
        (at(7, 10), at(7, 10), at(10, 9)),
    ],
)
def test_results_come_when_somebody_looks_at_them(ends_at: float, workday: float, weekly: float) -> None:
    one = Job(0, ends_at - 1800.0, estimate=1800.0)
    assert (NextWorkday()(one), SemiWeekly()(one)) == (workday, weekly)
    shifted = replace(one, submit=one.submit + 1000.0)
    assert (NextWorkday(monday=1000.0)(shifted), SemiWeekly(monday=1000.0)(shifted)) == (workday + 1000, weekly + 1000)


def test_a_job_may_take_twice_its_time_and_no_more_than_a_day_more() -> None:
    assert Stretch()(Job(0, 50.0, estimate=100.0)) == 250.0
    assert Stretch()(Job(0, 50.0, estimate=2 * DAY)) == 50.0 + 3 * DAY
    assert due(Job(0, 50.0, estimate=100.0, deadline=170.0), Stretch()) == 170.0
    assert {rule(Job(0, 50.0)) for rule in (Stretch(), NextWorkday(), SemiWeekly())} == {np.inf}


VALUES = st.lists(st.sampled_from([10.0, 20.0, 30.0]), min_size=1, max_size=4)


@given(VALUES, st.sampled_from([10.0, 20.0, 30.0]), st.integers(0, 4), st.integers(1, 30), st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_it_runs_now_if_now_is_among_the_greenest_seconds(
    values: list[float], present: float, gone: int, left: int, slack: int
) -> None:
    """By brute force: every second for itself, slots of 5 s."""
    ahead = Ahead(float(gone), 5.0, present, np.array(values), 5.0)
    span = left + slack
    told = [
        present if s < 5 else values[(s - 5) // 5 % len(values)] for s in range(gone, gone + span + 5 * len(values))
    ]
    greenest = sorted(range(span), key=lambda s: (told[s], s))[:left]
    need, end = np.array([float(left)]), np.array([float(gone + span)])
    assert bool((ahead.greener(end) >= need)[0]) is (0 not in greenest)
    windows = {s: sum(told[s : s + left]) for s in range(slack + 1) if s == 0 or (s + gone) % 5 == 0}
    first = min(windows, key=lambda s: (windows[s], s))
    assert bool(ahead.better_later(need, end - need)[0]) is (first != 0)
    lengths, grams = ahead.slots(float(gone + span))
    assert lengths.sum() == span
    assert lengths @ grams == sum(told[:span])


@given(storm.traces(), st.integers(0, 9), st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_it_may_be_called_in_the_middle_and_left_again(trace: Trace, seed: int, moment: int) -> None:
    told = trace.of([replace(one, estimate=trace.durations[one.id]) for one in trace.jobs])
    weather = Befalls(grid(*[100.0, 20.0, 60.0] * 9, site="hall", slot=2.0))
    session, one = Session(storm.world(told, seed, weather=weather)), hasty(slot=2.0, day=6.0, tick=1.0)
    for number in range(150):
        if not session.advance():
            break
        for decision in (easy if number < moment or number % 7 == 6 else one).decide(session.cluster):
            session.act(decision)
    assert session.log.replay().state() == session.cluster.state()


def test_all_jobs_of_two_weeks_end_although_all_want_the_same_hours() -> None:
    """Thirty jobs of an hour come in an hour, onto two accelerators that are green for two hours a day."""
    jobs = [job(n, 86400.0 + 120.0 * n, 3600.0, deadline=2.5 * DAY) for n in range(30)]
    fates = grid(*([400.0] * 11 + [50.0] * 2 + [400.0] * 11) * 5, slot=HOUR)
    told = tell(jobs, "1x2:V100", {}, replace(wait_awhile), fates, tick=wait_awhile.tick)
    stops = [stop for stop in said(told, Stopped) if stop.reason == "finished"]
    assert len(stops) == 30
    assert max(stop.time for stop in stops) < 4 * DAY
