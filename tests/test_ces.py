"""Cluster energy saving: when nodes fall asleep and when they are woken, worked out by hand.

A hall of four V100, which boot in 5 s, and a node beside it. Steps are of 10 s, a day has 60 of them: every day three
accelerators are in use for 200 s, and one for 300 s.
"""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from gpuyard.envs.laws.clouds import Clouds, Pool
from gpuyard.envs.laws.power import Power
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.vocabulary import Provision, Release, Start
from gpuyard.experiments.names import policy
from gpuyard.policies.backfill import easy
from gpuyard.policies.ces import Ces, Sleepy, ces, sleepy
from gpuyard.policies.forecast import Forecast
from gpuyard.traces.job import Job
from tales import tell

HALL = (
    Node("w0"),
    *(Node(f"n{n}", (Accelerator(f"n{n}/0", "V100"),), pool="hall", watts=100.0) for n in range(4)),
)
LAWS = {"clouds": Clouds({"hall": Pool(delay=5)})}
Jobs = list[tuple[Job, float]]


def job(number: int, submit: float, gang: int, seconds: float) -> tuple[Job, float]:
    return Job(number, submit, gang, estimate=seconds), seconds


def days(count: int) -> Jobs:
    every = [(job(2 * d, 600.0 * d, 3, 200.0), job(2 * d + 1, 600.0 * d, 1, 300.0)) for d in range(count)]
    return [one for both in every for one in both]


def hasty(ahead: int = 0, **more: Any) -> Ces:
    return Ces(buffer=0.25, falls=0.25, will_fall=0.1, ahead=ahead, every=10.0, day=600.0, **more)


def played(jobs: Jobs, one: Policy, **laws: Any) -> Session:
    return tell(jobs, HALL, {**LAWS, **laws}, one, tick=10.0)


def changes(jobs: Jobs, one: Policy) -> list[tuple[float, Any]]:
    """Who was woken and who fell asleep, each with when."""
    return [(time, each) for time, each in played(jobs, one).log.timed() if isinstance(each, Provision | Release)]


def starts(jobs: Jobs, one: Policy) -> list[tuple[float, int]]:
    return [(time, each.job) for time, each in played(jobs, one).log.timed() if isinstance(each, Start)]


def test_in_the_first_hour_all_sleep_but_those_in_use_and_a_buffer_and_as_many_wake_as_are_needed() -> None:
    """At 10 one is in use. The gang of three finds one idle and two asleep, who come at 27: more there are not."""
    jobs = [job(0, 0.0, 1, 35.0), job(1, 0.0, 0, 60.0), job(2, 22.0, 3, 10.0)]
    assert changes(jobs, hasty()) == [
        (10.0, Release("n3")),
        (10.0, Release("n2")),
        (22.0, Provision("hall", 2)),
        (40.0, Release("n3")),
        (40.0, Release("n2")),
        (40.0, Release("n1")),
    ]
    assert starts(jobs, hasty()) == [(0.0, 0), (0.0, 1), (27.0, 2)]


def test_a_buffer_is_woken_beside_what_is_needed() -> None:
    """One is in use, and one idle, when job 1 comes; job 2 finds none: one is woken for it, and one more."""
    jobs = [job(0, 0.0, 1, 50.0), job(1, 22.0, 1, 20.0), job(2, 23.0, 1, 20.0)]
    assert (23.0, Provision("hall", 2)) in changes(jobs, hasty())
    assert starts(jobs, hasty())[-1] == (28.0, 2)


def test_nodes_sleep_once_the_use_has_fallen_and_will_fall() -> None:
    """The first day nobody knows what is to come. The second, at 800, one is in use and four were over the last hour;
    over the next three 10/18 of a node will be, over the next six 10/36."""
    assert changes(days(2), hasty()) == [(800.0, Release("n2")), (800.0, Release("n1"))]


def test_where_more_is_expected_after_three_hours_nothing_sleeps() -> None:
    """With days of 400 s, of which 200 are busy: the next day begins within six hours, not within three."""
    every = [(job(2 * d, 400.0 * d, 3, 100.0), job(2 * d + 1, 400.0 * d, 1, 200.0)) for d in range(3)]
    one = Ces(buffer=0.25, falls=0.25, will_fall=0.1, ahead=0, every=10.0, day=400.0)
    assert changes([each for both in every for each in both], one) == []


@pytest.mark.parametrize(("keep", "asleep"), [(12, [800.0, 800.0]), (0, [800.0, 800.0, 1260.0, 1260.0])])
def test_for_two_hours_after_a_node_was_woken_nothing_sleeps(
    keep: int, asleep: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are woken at 1200 for a gang that ends at 1250, and would be asleep at 1260."""
    monkeypatch.setattr("gpuyard.policies.ces.KEEP", keep)
    told = changes([*days(2), job(4, 1200.0, 3, 45.0), job(5, 1200.0, 1, 300.0)], hasty())
    assert [time for time, each in told if isinstance(each, Release)] == asleep


def test_without_foresight_the_first_of_the_morning_wait_for_the_boot() -> None:
    assert starts(days(3), hasty())[-2:] == [(1200.0, 5), (1205.0, 4)]
    assert (1200.0, Provision("hall", 2)) in changes(days(3), hasty())


def test_nodes_are_woken_before_they_are_needed_again() -> None:
    """At 1170 four are expected to be in use from 1200 on."""
    assert changes(days(3), hasty(3)) == [
        (800.0, Release("n2")),
        (800.0, Release("n1")),
        (1170.0, Provision("hall", 2)),
        (1400.0, Release("n2")),
        (1400.0, Release("n1")),
    ]
    assert starts(days(3), hasty(3))[-2:] == [(1200.0, 4), (1200.0, 5)]


def test_sleeping_nodes_draw_nothing() -> None:
    """Two nodes of 100 W and of an idle V100 sleep from 800 to 900."""
    power = Power()
    joules = [played(days(2), one, power=power).cluster.meter.joules or 0.0 for one in (easy, hasty())]
    idle = power_of_idle(power)
    assert joules[0] - joules[1] == pytest.approx(2 * 100.0 * (100.0 + idle))


def power_of_idle(power: Power) -> float:
    """Watts of an accelerator on which nobody stands, as the ledger is told."""
    told = played([job(0, 0.0, 0, 100.0)], easy, power=power)
    assert told.cluster.meter.joules is not None
    return told.cluster.meter.joules / 400.0 - 100.0


def test_sleepy_lets_a_node_sleep_that_was_idle_for_so_long_and_wakes_as_many_as_are_wanted() -> None:
    """Those beside job 0 sleep at 30; job 1 wants two of them at 42."""
    jobs = [job(0, 0.0, 1, 100.0), job(1, 42.0, 2, 10.0)]
    assert changes(jobs, Sleepy(idle=30.0, every=10.0)) == [
        *((30.0, Release(f"n{n}")) for n in (1, 2, 3)),
        (42.0, Provision("hall", 2)),
        (90.0, Release("n1")),
        (90.0, Release("n2")),
    ]


def test_what_costs_rent_and_what_is_of_no_pool_is_let_alone() -> None:
    rented = tuple(Node(n.id, n.accelerators, pool=n.pool, usd_per_hour=1.0) for n in HALL)
    ours = tuple(Node(n.id, n.accelerators) for n in HALL)
    for nodes, laws in ((rented, LAWS), (ours, {})):
        for one in (hasty(), Sleepy(idle=30.0, every=10.0)):
            told = tell(days(2), nodes, laws, one, tick=10.0)
            assert not [each for each in told.log.entries if isinstance(each, Release | Provision)]


def test_they_are_over_another_policy() -> None:
    over: Any = policy("ces(fifo)")
    assert (over.inner, over.needs, over.tick) == (policy("fifo"), {"pools"}, 600.0)
    assert ces.inner is sleepy.inner is easy
    assert ces.needs == {"pools", "estimates"}
    assert sleepy.tick == 60.0


def test_one_that_was_used_may_be_copied_and_used_anew() -> None:
    used = hasty(3)
    first = changes(days(3), used)
    for again in (used, deepcopy(used), pickle.loads(pickle.dumps(used))):
        assert changes(days(3), again) == first


def test_a_forecast_holds_what_is_now_and_what_each_step_of_the_day_was() -> None:
    """Days of three steps of 10 s. The first: 4, 2, and 0 for half of a step. Of a new value a tenth is taken."""
    forecast = Forecast(10.0, 3, alpha=0.1, fade=0.5)
    assert np.isnan(forecast.ahead(2)).all()
    for time, value in ((0.0, 4.0), (10.0, 2.0), (25.0, 0.0)):
        forecast.note(time, value)
    forecast.note(30.0, 4.0)
    assert forecast.ahead(4).tolist() == pytest.approx([4.0, 2.0, 1.0, 4.0])
    forecast.note(31.0, 6.0)
    assert forecast.ahead(3).tolist() == pytest.approx([6.0, 3.0, 1.5])
    forecast.note(40.0, 2.0)
    assert forecast.ahead(3).tolist() == pytest.approx([2.0, 1.0, 4.0 + 0.1 * 1.8])


def test_before_a_step_was_seen_the_level_stands_in_for_it() -> None:
    """The level is 4, and then a tenth nearer to 2."""
    forecast = Forecast(10.0, 9, alpha=0.1, fade=0.5)
    forecast.note(0.0, 4.0)
    forecast.note(10.0, 2.0)
    forecast.note(20.0, 2.0)
    assert forecast.ahead(3).tolist() == pytest.approx([2.0, 3.8 - 0.9, 3.8 - 0.45])
