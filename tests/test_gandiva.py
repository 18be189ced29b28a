"""Gandiva: stories of turns, of pairs, of moves and of growth."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gpuyard.envs.laws.law import Stage
from gpuyard.envs.laws.sharing import Sharing
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.profiles import builtin
from gpuyard.envs.room import width
from gpuyard.envs.vocabulary import Measured, Move, Preempt, Resize, Sample, Start
from gpuyard.policies.gandiva import gandiva
from gpuyard.policies.pairs import together
from gpuyard.traces.job import Job
from tales import at, ended, said, tell


def test_everybody_in_turn() -> None:
    """One accelerator, quanta of 10 s, no restarts: 25 s and 15 s by turns."""
    told = tell([(Job(0, 0.0), 25.0), (Job(1, 0.0), 15.0)], "1x1:V100", {}, replace(gandiva, tick=10.0), tick=10.0)
    assert [start.job for start in said(told, Start)] == [0, 1, 0, 1, 0]
    assert [(end[0], end[1]) for end in ended(told) if end[2] == "finished"] == [(35.0, 1), (40.0, 0)]


def test_nobody_is_stopped_while_nobody_waits() -> None:
    told = tell([(Job(n, 0.0), 50.0) for n in range(2)], "1x2:V100", {}, replace(gandiva, tick=10.0), tick=10.0)
    assert not said(told, Preempt)


def test_two_that_go_well_together_share_an_accelerator() -> None:
    """Both are slower by what the tables say, and both are done before the second would have been, in turns."""
    kept = [builtin().kept(a, b, "V100") or 0.0 for a, b in (("a3c", "recommendation"), ("recommendation", "a3c"))]
    one, other = Job(0, 0.0, profile="a3c"), Job(1, 0.0, profile="recommendation")
    assert together(one, other, "V100") == pytest.approx(sum(kept))
    assert sum(kept) > 1
    laws = {"speed": Speed(), "sharing": Sharing()}
    told = tell([(one, 100.0), (other, 100.0)], "1x1:V100", laws, replace(gandiva))
    assert [(start.job, start.share) for start in said(told, Start)] == [(0, 0.5), (1, 0.5)]
    assert ended(told)[0][0] == pytest.approx(100 / max(kept))


def test_pairs_stand_together_only_where_the_ledger_knows_what_that_costs() -> None:
    jobs = [(Job(0, 0.0, profile="a3c"), 100.0), (Job(1, 0.0, profile="recommendation"), 100.0)]
    told = tell(jobs, "1x1:V100", {}, replace(gandiva))
    assert [(start.job, start.share) for start in said(told, Start)] == [(0, None), (1, None)]


def test_those_that_nobody_knows_are_not_packed() -> None:
    told = tell([(Job(0, 0.0), 100.0), (Job(1, 0.0), 100.0)], "1x1:V100", {"sharing": Sharing()}, replace(gandiva))
    assert [(start.job, start.share) for start in said(told, Start)] == [(0, None), (1, None)]


def trial(busy: float) -> Any:
    """Three trials of a sweep on one accelerator: the first is seen to make it 0.3 busy, the next two so much."""

    def look(stage: Stage, seen: float) -> None:
        stage.say(Measured(stage.now, (Sample("n0/0", busy=seen),)))

    jobs = [(Job(0, 0.0, group="sweep"), 100.0), *((Job(n, 1.0, group="sweep"), 500.0) for n in (1, 2))]
    fates = [(70.0, partial(look, seen=0.3)), (150.0, partial(look, seen=busy))]
    return tell(jobs, "1x1:A100", {"sharing": Sharing(kept=0.8)}, replace(gandiva), fates, tick=360.0)


def test_those_that_leave_each_other_room_are_tried_together() -> None:
    """Both keep 0.8 until the end."""
    told = trial(0.6)
    assert [(start.job, start.share) for start in said(told, Start)] == [(0, None), (1, 0.5), (2, 0.5)]
    assert not said(told, Preempt)
    assert ended(told)[-1][0] == pytest.approx(100 + 500 / 0.8)


def test_a_pair_that_leaves_nothing_idle_is_parted_for_good() -> None:
    """At 360 the newer is stopped with 208 s done; the other has half of the accelerator, alone, until 652."""
    told = trial(1.0)
    assert [(time, one.job) for time, one in told.log.timed() if isinstance(one, Preempt)][:1] == [(360.0, 2)]
    together = [one.job for time, one in told.log.timed() if isinstance(one, Start) and one.share == 0.5]
    assert together == [1, 2]


def test_another_joins_one_whose_partner_has_left() -> None:
    jobs = [(Job(0, 0.0, profile="a3c"), 900.0), *((Job(n, 0.0, profile="recommendation"), 50.0) for n in (1, 2))]
    told = tell(jobs, "1x1:V100", {"speed": Speed(), "sharing": Sharing()}, replace(gandiva))
    assert [(start.job, start.share) for start in said(told, Start)] == [(0, 0.5), (1, 0.5), (2, 0.5)]
    assert {start.placement for start in said(told, Start)} == {at("n0/0")}


def test_one_that_can_grows_into_what_is_idle_and_shrinks_for_one_that_comes() -> None:
    """On four accelerators it is 2^0.9 = 1.866 times as fast as on its two.

    10 s are done at 10; 25 x 1.866 more at 35, when another comes; 15 more at 50, when it grows again.
    """
    jobs = [(Job(0, 0.0, 2, min_gang=1, max_gang=4), 100.0), (Job(1, 35.0, 2), 10.0)]
    told = tell(jobs, "1x4:V100", {"speed": Speed()}, replace(gandiva, tick=10.0), tick=10.0)
    changes = [(time, width(one.placement)) for time, one in told.log.timed() if isinstance(one, Resize)]
    assert changes == [(10.0, 4), (35.0, 2), (50.0, 4)]
    last = 50 + (100 - 10 - 25 * 2**0.9 - 15) / 2**0.9
    assert [(end[0], end[1]) for end in ended(told)] == [(45.0, 1), (pytest.approx(last), 0)]


def test_a_gang_that_was_spread_is_brought_together() -> None:
    """Two and two are free at first; at 360 a whole node is."""
    jobs = [(Job(0, 0.0, 3), 100.0), (Job(1, 0.0, 3), 200.0), (Job(2, 0.0, 2, profile="lm"), 9000.0)]
    told = tell(jobs, "2x4:V100", {"speed": Speed()}, replace(gandiva), tick=360.0)
    assert said(told, Start)[2].placement == at("n0/3", "n1/3")
    assert [len(move.placement) for move in said(told, Move)] == [1]
