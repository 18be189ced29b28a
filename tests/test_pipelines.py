"""Pipelines: stages that come after others, wide first and narrow then; worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.law import Stage
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Session, World
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import InvalidDecision, Preempt, Ready, Start, Stopped
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput
from tales import at, ended, ends, said, tell, trace_of

WIDE, NARROW, EVAL = Job(0, 0.0, 2), Job(1, 0.0, after=(0,)), Job(2, 0.0, after=(0, 1))
STAGES = [(WIDE, 100.0), (NARROW, 50.0), (EVAL, 10.0)]
NODE = "1x2:V100"


@pytest.mark.parametrize("world", [SimWorld, HarshWorld])
def test_a_stage_joins_the_queue_when_those_before_it_have_finished(world: Callable[..., World]) -> None:
    told = Session(world(trace_of(STAGES), parse(NODE))).play(policy("fifo"))
    assert [e for e in told.entries if isinstance(e, Ready | Stopped)] == [
        Stopped(100.0, 0, "finished", 100.0),
        Ready(100.0, 1),
        Stopped(150.0, 1, "finished", 50.0),
        Ready(150.0, 2),
        Stopped(160.0, 2, "finished", 10.0),
    ]


def test_a_held_stage_cannot_be_started() -> None:
    with pytest.raises(InvalidDecision, match="job 1 is held"):
        tell(STAGES, NODE, {}, [(0.0, Start(0, at("n0/0", "n0/1"))), (50.0, Start(1, at("n0/0")))])


def test_a_stage_that_comes_late_waits_for_nobody_who_has_finished() -> None:
    jobs = [(WIDE, 100.0), (Job(1, 300.0, after=(0,)), 50.0)]
    told = tell(jobs, NODE, {}, policy("fifo"))
    assert said(told, Ready) == [Ready(300.0, 1)]
    assert ended(told)[-1:] == ends((350.0, 1, "finished", 50.0, 0.0))


def fail(stage: Stage) -> None:
    stage.end(0, "failed")


def test_what_comes_after_a_failed_stage_is_cancelled_with_all_that_comes_after_it() -> None:
    """The wide one fails at 60; a stage that was not submitted yet is cancelled when it comes, at 80."""
    jobs = [*STAGES, (Job(3, 80.0, after=(2,)), 5.0), (Job(4, 80.0), 5.0)]
    told = tell(jobs, NODE, {}, policy("fifo"), [(60.0, fail)])
    assert ended(told) == ends(
        (60.0, 0, "failed", 60.0, 0.0),
        (60.0, 1, "cancelled", 0.0, 0.0),
        (60.0, 2, "cancelled", 0.0, 0.0),
        (80.0, 3, "cancelled", 0.0, 0.0),
        (85.0, 4, "finished", 5.0, 0.0),
    )


def test_a_stage_that_was_stopped_still_comes_before() -> None:
    """Preempted at 40 with a delay of 120 s: there again at 167, done at 259.5, and the next is ready then."""
    law = {"checkpoints": Checkpoints(requeue=120.0)}
    both = at("n0/0", "n0/1")
    script = [(0.0, Start(0, both)), (40.0, Preempt(0)), (167.0, Start(0, both)), (259.5, Start(1, at("n0/0")))]
    told = tell(STAGES[:2], NODE, law, script)
    assert said(told, Ready) == [Ready(167.0, 0), Ready(259.5, 1)]
    assert ended(told) == ends(
        (47.0, 0, "preempted", 40.0, 0.0), (259.5, 0, "finished", 100.0, 0.0), (309.5, 1, "finished", 50.0, 0.0)
    )


def test_those_who_are_in_no_trace_have_finished() -> None:
    told = tell([(Job(1, 0.0, after=(77,)), 50.0)], NODE, {}, policy("fifo"))
    assert ended(told) == ends((50.0, 1, "finished", 50.0, 0.0))


def test_rings_are_refused() -> None:
    with pytest.raises(BadInput, match="in a ring"):
        Trace((Job(0, 0.0, after=(1,)), Job(1, 0.0, after=(0,))), {0: 1.0, 1: 1.0})
