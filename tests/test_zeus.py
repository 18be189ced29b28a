"""Zeus: what each power limit costs, worked out by hand, and how it is found while jobs run.

ResNet-50 makes a V100 draw 262.48 W of 300 W. By Zeus' medians it works at 0.941 under 0.7 of the limit, for 0.845 of
the energy, and at 0.853 under half of it, for 0.796: so it draws 0.941 x 0.845 x 262.48 W = 208.7 W, and 178.2 W.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.laws.power import Power
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.nodes import parse
from gpuyard.envs.paces import drawn, slowed
from gpuyard.envs.scenario import of_cluster
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Cap, Start, Tuning
from gpuyard.experiments.missing import check_needs
from gpuyard.experiments.names import policy
from gpuyard.policies.afs import afs
from gpuyard.policies.backfill import Easy, easy
from gpuyard.policies.orders import sjf
from gpuyard.policies.ranked import Ranked
from gpuyard.policies.zeus import Zeus, best, zeus
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput
from tales import Fate, ended, ends, said, tell

LAW = {"power": Power()}
FULL = 262.48
DRAWS = {1.0: FULL, 0.7: FULL * 0.941 * 0.845, 0.5: FULL * 0.853 * 0.796}
PROFILED = 10 * (1 + 0.941 + 0.853)
"""Seconds of work that are done while each limit is measured for 10 s."""
Ask = tuple[Job, float]


def hasty(**more: Any) -> Zeus:
    """Three limits, 10 s each, from a job's first second on."""
    return replace(zeus, **{"inner": Ranked(), "limits": (0.7, 0.5), "window": 10.0, "warmup": 0.0, **more})


def job(number: int, submit: float, seconds: float, name: str = "net", **more: Any) -> Ask:
    return Job(number, submit, **{"user": "u", "name": name, "profile": "resnet", **more}), seconds


def caps(told: Session) -> list[tuple[float, str, float | None]]:
    """When each limit is set, where, to how much."""
    return [(time, cap.accelerator, cap.watts) for time, cap in told.log.timed() if isinstance(cap, Cap)]


def play(jobs: list[Ask], one: Zeus, cluster: str = "1x1:V100", fates: tuple[Fate, ...] = (), **more: Any) -> Session:
    return tell(jobs, cluster, more.pop("laws", LAW), one, fates, tick=one.tick, **more)


# What a limit costs.


@pytest.mark.parametrize(("eta", "part"), [(0.0, 1.0), (0.5, 0.7), (1.0, 0.5)])
def test_the_best_limit_by_hand(eta: float, part: float) -> None:
    """For the same work: 300, 300 / 0.941, 300 / 0.853 of time; 262.5, 221.8 and 208.9 of energy.

    Half of each: 281.2, 270.3 and 280.3.
    """
    assert best(DRAWS, "V100", 300.0, eta) == part


def test_two_limits_by_hand() -> None:
    """Half of it: 281.2 and 280.3; with a little more weight on time it is the other one."""
    draws = {part: DRAWS[part] for part in (1.0, 0.5)}
    assert [best(draws, "V100", 300.0, eta) for eta in (0.0, 0.48, 0.5, 1.0)] == [1.0, 1.0, 0.5, 0.5]


def test_a_job_that_a_limit_does_not_touch_is_not_taken_for_slower() -> None:
    """It draws 60 W under whatever limit: all cost the same, and the highest of equals is taken."""
    assert best(dict.fromkeys((1.0, 0.7, 0.5), 60.0), "V100", 300.0, 1.0) == 1.0


def test_what_was_told_a_limit_is_measured_from_there() -> None:
    """Without the largest limit its draw without is told by the tables: the same costs, the same choice."""
    assert best({part: DRAWS[part] for part in (0.7, 0.5)}, "V100", 300.0, 0.5) == 0.7
    assert best({part: DRAWS[part] for part in (0.7, 0.5)}, "V100", 300.0, 1.0) == 0.5


@pytest.mark.parametrize("kind", ["V100", "A40", "P100", "RTX6000", "of no table"])
def test_the_less_is_drawn_the_slower(kind: str) -> None:
    parts = [part / 100 for part in range(101)]
    speeds, draws = [slowed(kind, part) for part in parts], [drawn(kind, part) for part in parts]
    assert speeds == sorted(speeds)
    assert draws == sorted(draws)
    assert (speeds[0], speeds[-1], draws[0], draws[-1]) == (0.0, 1.0, 0.0, 1.0)


def test_speed_by_what_is_drawn_at_the_tables_own_rows() -> None:
    assert slowed("V100", 0.941 * 0.845) == pytest.approx(0.941)
    assert drawn("V100", 0.7) == pytest.approx(0.941 * 0.845)
    assert slowed("V100", 0.725 * 0.836 / 2) == pytest.approx(0.725 / 2)


# How it is found.


@pytest.mark.parametrize(
    ("eta", "last", "pace", "energy"), [(0.0, None, 1.0, 1.0), (0.5, 210.0, 0.941, 0.845), (1.0, 150.0, 0.853, 0.796)]
)
def test_a_job_is_measured_under_each_limit_and_goes_on_under_the_best(
    eta: float, last: float | None, pace: float, energy: float
) -> None:
    told = play([job(0, 0.0, PROFILED + 100 * pace)], hasty(eta=eta))
    expected = [(10.0, "n0/0", 210.0), (20.0, "n0/0", 150.0), (30.0, "n0/0", last)]
    assert caps(told) == expected[: 2 if last == 150.0 else 3]
    assert ended(told) == ends((130.0, 0, "finished", PROFILED + 100 * pace, 0.0))
    measured = 10 * (1 + 0.941 * 0.845 + 0.853 * 0.796)
    assert told.cluster.meter.joules == pytest.approx(FULL * (measured + 100 * pace * energy))


def test_whoever_recurs_has_the_best_at_once() -> None:
    """The second at 130, with its limit already there; of another name, it is measured anew."""
    first = job(0, 0.0, PROFILED + 94.1)
    told = play([first, job(1, 100.0, 94.1)], hasty())
    assert caps(told)[-1] == (30.0, "n0/0", 210.0)
    assert ended(told) == ends((130.0, 0, "finished", first[1], 0.0), (230.0, 1, "finished", 94.1, 0.0))
    told = play([job(0, 0.0, first[1], profile=None), job(1, 100.0, 94.1, "other", profile=None)], hasty())
    assert caps(told)[3:] == [
        (130.0, "n0/0", None),
        (140.0, "n0/0", 210.0),
        (150.0, "n0/0", 150.0),
        (160.0, "n0/0", 210.0),
    ]


def test_a_profile_that_was_broken_off_is_gone_on_with() -> None:
    """The first ends at 20: half of the limit is measured of the second, from 20 to 30."""
    told = play([job(0, 0.0, 19.41), job(1, 0.0, 8.53 + 94.1)], hasty())
    assert ended(told) == ends((20.0, 0, "finished", 19.41, 0.0), (130.0, 1, "finished", 102.63, 0.0))
    assert caps(told) == [(10.0, "n0/0", 210.0), (20.0, "n0/0", 150.0), (30.0, "n0/0", 210.0)]


def test_nothing_is_measured_while_a_job_warms_up() -> None:
    told = play([job(0, 0.0, 100.0)], hasty(warmup=30.0))
    assert [time for time, _, _ in caps(told)] == [40.0, 50.0, 60.0]


def test_a_gang_is_limited_as_one() -> None:
    told = play([job(0, 0.0, 100.0, gang=2)], hasty(), "1x2:V100")
    assert caps(told) == [(t, f"n0/{n}", w) for t, w in ((10.0, 210.0), (20.0, 150.0), (30.0, 210.0)) for n in range(2)]


def test_what_a_job_was_told_is_its_largest_limit() -> None:
    """180 W of 300 W: only half is left to measure, and 180 W are better: 0.5 x 262.48 x 0.806 + 0.5 x 300 / 0.899."""

    class Telling(Ranked):
        def decide(self, cluster: Any) -> Any:
            for start in super().decide(cluster):
                assert isinstance(start, Start)
                yield replace(start, tuning=Tuning(watts=180.0))

    told = play([job(0, 0.0, 8.99 + 8.53 + 89.9)], hasty(inner=Telling()))
    assert caps(told) == [(10.0, "n0/0", 150.0), (20.0, "n0/0", None)]
    assert ended(told) == ends((120.0, 0, "finished", 107.42, 0.0))


def test_limits_are_lifted_for_those_who_share() -> None:
    """The first leaves its 210 W at 130; nobody could say whose draw is measured of the second."""
    told = play([job(0, 0.0, PROFILED + 94.1), job(1, 100.0, 50.0, share=0.5)], hasty())
    assert caps(told)[3:] == [(130.0, "n0/0", None)]
    assert ended(told)[1] == pytest.approx((180.0, 1, "finished", 50.0, 0.0))


def test_without_a_draw_nothing_is_limited() -> None:
    assert not caps(play([job(0, 0.0, 200.0)], hasty(), laws={}))


def test_a_job_that_moves_is_limited_where_it_goes() -> None:
    """Elastic, it has both V100s from the start of its second run on; each run is measured for its own gang."""
    jobs = [job(0, 0.0, 400.0, min_gang=1, max_gang=2, estimate=400.0), job(1, 0.0, 20.0, "other", estimate=20.0)]
    told = play(jobs, hasty(inner=replace(afs, rest=1.0, restart=0.0)), "1x2:V100", laws={**LAW, "speed": Speed()})
    last = {name: watts for _, name, watts in caps(told)}
    assert last == {"n0/0": 210.0, "n0/1": 210.0}


# Who it is.


def test_over_an_inner_policy() -> None:
    assert policy("zeus") is zeus
    assert policy("zeus(sjf)") == Zeus(sjf)
    assert policy("zeus(easy(sjf))") == Zeus(Easy(sjf.score))
    assert policy("zeus(easy(sjf))", "spread") == Zeus(policy("easy(sjf)", "spread"))
    assert policy("zeus", "spread").place is policy("easy", "spread").place  # type: ignore[attr-defined]
    assert zeus.needs == {"estimates", "power"}
    assert Zeus(policy("fifo")).needs == {"power"}
    las = policy("las")
    assert (Zeus(las).tick, Zeus(las).longest_restart) == (min(60.0, las.tick), las.longest_restart)  # type: ignore[attr-defined]


def test_it_needs_the_law_of_power() -> None:
    with pytest.raises(BadInput, match=r"^policy 'zeus' needs the law of power; add \[laws\.power\] to the scenario$"):
        check_needs("zeus", zeus, Trace((), {}, "t"), of_cluster("1x1:V100", 60.0))


@pytest.mark.parametrize("wrong", [{"eta": 1.5}, {"limits": (0.0,)}, {"limits": ()}, {"window": 0.0}, {"warmup": -1.0}])
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"^zeus: "):
        Zeus(**wrong)


def test_where_nobody_can_limit_power_it_is_the_inner_policy() -> None:
    jobs = [job(number, 10.0 * number, 100.0, estimate=100.0) for number in range(4)]
    trace = Trace(tuple(one for one, _ in jobs), {one.id: seconds for one, seconds in jobs})
    logs = [Session(SimWorld(trace, parse("1x2:V100"))).play(one) for one in (easy, deepcopy(zeus))]
    assert logs[0].entries == logs[1].entries


@given(storm.traces(), st.integers(0, 9), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_it_may_come_in_the_middle_of_a_session(trace: Trace, seed: int, after: int) -> None:
    """All is legal for one that takes over what others left, limits among it."""
    session = storm.told(trace, seed)
    one = hasty(inner=policy("fifo"), window=2.0)
    for _ in range(after):
        if not session.advance():
            break
        for decision in one.decide(session.cluster):
            session.act(decision)
    assert session.log.replay().state() == session.cluster.state()


def test_another_session_begins_with_nothing() -> None:
    one, jobs = hasty(), [job(0, 0.0, 100.0)]
    assert play(jobs, one).log.entries == play(jobs, one).log.entries
    assert len(said(play(jobs, one), Start)) == 1
