"""The law of regimes: batch sizes that change on the way; worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.regimes import Regimes, steps
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import Move, Preempt, Start
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job
from gpuyard.traces.synthetic import generate
from tales import Fate, at, ended, ends, tell, trace_of

LAW = {"regimes": Regimes()}
HERE = at("n0/0")
TRIPLE = {0: ((0.0, 1.0), (0.5, 3.0))}
"""The second half three times as fast: 0.5 / s + 0.5 / 3 s = 1, so s = 2/3, then 2."""


def tale(
    seconds: float, laws: Mapping[str, object], script: list[tuple[float, Any]], fates: list[Fate] | None = None
) -> Session:
    job = Job(0, 0.0, profile="resnet", checkpoint=0)
    return tell(trace_of([(job, seconds)], regimes=TRIPLE), "2x1:V100+1x1:K80", laws, script, fates or [])


def test_the_whole_takes_as_long_as_recorded() -> None:
    assert steps(trace_of([(Job(0, 0.0), 1.0)], regimes=TRIPLE))[0][1] == pytest.approx((2 / 3, 2))
    assert ended(tale(120.0, LAW, [(0.0, Start(0, HERE))])) == ends((120.0, 0, "finished", 120.0, 0.0))


@pytest.mark.parametrize(("second", "done"), [(45.0, 30.0), (90.0, 60.0), (100.0, 80.0)])
def test_how_far_it_is_at_which_moment(second: float, done: float) -> None:
    """Of 120 s: 2/3 x 45 = 30; 2/3 x 90 = 60, where the regime changes; 60 + 2 x 10 = 80."""
    told = tale(120.0, LAW, [(0.0, Start(0, HERE)), (second, Preempt(0))])
    assert ended(told) == ends((second, 0, "preempted", done, 0.0))


def test_it_goes_on_in_the_regime_in_which_it_was_stopped() -> None:
    """80 of 120 s are done at 100; started again at 200, the 40 s left take 20 s."""
    told = tale(120.0, LAW, [(0.0, Start(0, HERE)), (100.0, Preempt(0)), (200.0, Start(0, HERE))])
    assert ended(told)[1:] == ends((220.0, 0, "finished", 120.0, 0.0))


def test_regimes_and_kinds_multiply() -> None:
    """Moved at 45 with 30 of 120 s done to a K80 (0.159): 30 s at 2/3 x 0.159, 60 s at 2 x 0.159."""
    told = tale(120.0, LAW | {"speed": Speed()}, [(0.0, Start(0, HERE)), (45.0, Move(0, at("n2/0")))])
    assert ended(told) == ends((45 + 45 / 0.159 + 30 / 0.159, 0, "finished", 120.0, 0.0))


def test_a_snapshot_is_of_the_work_at_its_moment() -> None:
    """240 s, a snapshot after each 100 s of working, stall 10 s, persisted at once; the node fails at 225.

    Work: 2/3 s a second until 120 s are done after 180 s of working. Second snapshot: after 200 s of working, taken
    from 210 to 220 on the clock, with 120 + 2 x 20 = 160 s. At 225 it has worked 205 s: 170 s are done, 10 s lost.
    Resumed at 300 it restores 30 s, and its 80 s left take 40 s of working, before any snapshot.
    """
    law = Checkpoints(interval=100, stall=10)
    script = [(0.0, Start(0, HERE)), (300.0, Start(0, at("n1/0")))]
    told = tale(240.0, LAW | {"checkpoints": law}, script, [(225.0, lambda stage: stage.fall("n0", "failed"))])
    assert ended(told) == ends((225.0, 0, "lost", 160.0, 10.0), (370.0, 0, "finished", 240.0, 0.0))


def test_without_regimes_nothing_changes() -> None:
    trace = generate("philly", 200, 3, largest=8)
    plain, harsh = (tell(trace, "2x8:V100", laws, policy("las")) for laws in ({}, LAW))
    assert list(plain.log.lines()) == list(harsh.log.lines())
