"""Gandiva: stories of turns, of pairs and of moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpuyard.envs.laws.sharing import Sharing
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.profiles import builtin
from gpuyard.envs.vocabulary import Move, Preempt, Start
from gpuyard.policies.gandiva import gandiva, together
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


def test_those_that_nobody_measured_are_not_packed() -> None:
    told = tell([(Job(0, 0.0), 100.0), (Job(1, 0.0), 100.0)], "1x1:V100", {}, replace(gandiva))
    assert [(start.job, start.share) for start in said(told, Start)] == [(0, None), (1, None)]


def test_a_gang_that_was_spread_is_brought_together() -> None:
    """Two and two are free at first; at 360 a whole node is."""
    jobs = [(Job(0, 0.0, 3), 100.0), (Job(1, 0.0, 3), 200.0), (Job(2, 0.0, 2, profile="lm"), 9000.0)]
    told = tell(jobs, "2x4:V100", {"speed": Speed()}, replace(gandiva), tick=360.0)
    assert said(told, Start)[2].placement == at("n0/3", "n1/3")
    assert [len(move.placement) for move in said(told, Move)] == [1]
