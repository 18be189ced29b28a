"""The law of checkpoints: what is kept and lost, and what it costs; worked out by hand.

Snapshots after each 100 s of work stall 10 s; 5 GB are persisted at 1 GB/s. So the first is copied from 100 to 110 and
persisted at 115, the second from 210 to 220 and persisted at 225. A last one takes 10 + 5 = 15 s. Restoring takes
30 + 5 / 2 = 32.5 s.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.law import Stage
from gpuyard.envs.laws.power import Power
from gpuyard.envs.vocabulary import Cap, InvalidDecision, Move, Moved, NodeUp, Preempt, Ready, Start, Stopped
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from tales import Fate, at, ended, ends, said, tell

CALM = Checkpoints(interval=100, stall=10)
LAW = {"checkpoints": CALM}
JOB = Job(0, 0.0, checkpoint=5_000_000_000)
HERE, THERE = at("n0/0"), at("n1/0")
BEGIN = (0.0, Start(0, HERE))


def fails(time: float, node: str = "n0") -> Fate:
    def fall(stage: Stage) -> None:
        stage.fall(node, "failed")

    return time, fall


@pytest.mark.parametrize(("work", "end"), [(90.0, 90.0), (100.0, 100.0), (200.0, 210.0), (250.0, 270.0)])
def test_each_snapshot_pauses_the_work(work: float, end: float) -> None:
    """None at its very end: a job of 200 s pauses once."""
    assert ended(tell([(JOB, work)], "1x1:V100", LAW, [BEGIN])) == ends((end, 0, "finished", work, 0.0))


@pytest.mark.parametrize(
    ("second", "kept", "lost"),
    [(50.0, 0.0, 50.0), (105.0, 0.0, 100.0), (114.0, 0.0, 104.0), (115.0, 100.0, 5.0), (224.0, 100.0, 104.0)],
)
def test_a_lost_run_keeps_what_was_persisted(second: float, kept: float, lost: float) -> None:
    """At 114 it has worked 100 + 4 s and its first snapshot is not written yet; a second later it is."""
    told = tell([(JOB, 500.0)], "1x1:V100", LAW, [BEGIN], [fails(second)])
    assert ended(told) == ends((second, 0, "lost", kept, lost))


def test_lost_again_before_its_first_snapshot_it_keeps_what_it_had() -> None:
    """100 s kept at 150 (36 lost); restored from 200 to 232.5; lost at 300 with 67.5 s more; at last from 432.5 on:

    400 s left, with pauses after 100, 200 and 300 of them.
    """
    script = [BEGIN, (200.0, Start(0, THERE)), (400.0, Start(0, at("n2/0")))]
    told = tell([(JOB, 500.0)], "3x1:V100", LAW, script, [fails(146.0), fails(300.0, "n1")])
    assert ended(told) == ends(
        (146.0, 0, "lost", 100.0, 36.0), (300.0, 0, "lost", 100.0, 67.5), (862.5, 0, "finished", 500.0, 0.0)
    )


@pytest.mark.parametrize(
    ("grace", "second", "leaves", "kept", "lost"),
    [
        (120.0, 50.0, 65.0, 50.0, 0.0),
        (15.0, 50.0, 65.0, 50.0, 0.0),  # just enough
        (12.0, 50.0, 62.0, 0.0, 50.0),  # killed, nothing was persisted
        (12.0, 150.0, 162.0, 100.0, 40.0),  # killed, with the first snapshot
        (12.0, 104.0, 116.0, 100.0, 0.0),  # killed, but the first was persisted meanwhile, and nothing done since
        (0.0, 150.0, 150.0, 100.0, 40.0),
    ],
)
def test_asked_to_stop_it_saves_within_its_grace(
    grace: float, second: float, leaves: float, kept: float, lost: float
) -> None:
    law = {"checkpoints": replace(CALM, grace=grace)}
    told = tell([(JOB, 500.0)], "1x1:V100", law, [BEGIN, (second, Preempt(0))])
    assert ended(told) == ends((leaves, 0, "preempted", kept, lost))


@pytest.mark.parametrize(
    ("job", "gigabytes"),
    [
        (Job(0, 0.0), 5.0),
        (Job(0, 0.0, profile="resnet"), 0.204),
        (Job(0, 0.0, profile="unheard-of"), 5.0),
        (Job(0, 0.0, profile="resnet", checkpoint=1_000_000_000), 1.0),
    ],
)
def test_the_state_is_what_the_job_says_else_its_family_s_else_5_gb(job: Job, gigabytes: float) -> None:
    """Asked to stop at 50: 10 s + size / 1 GB/s. At 100 it comes back: 30 s + size / 2 GB/s, and the 50 s left."""
    told = tell([(job, 100.0)], "1x1:V100", LAW, [BEGIN, (50.0, Preempt(0)), (100.0, Start(0, HERE))])
    assert ended(told) == ends(
        (60 + gigabytes, 0, "preempted", 50.0, 0.0), (180 + gigabytes / 2, 0, "finished", 100.0, 0.0)
    )


def test_a_stop_that_takes_until_its_end_is_a_stop() -> None:
    """Asked at 85 it does not work any more, and leaves at 100, when it would have finished."""
    told = tell([(JOB, 100.0)], "1x1:V100", LAW, [BEGIN, (85.0, Preempt(0))])
    assert ended(told) == ends((100.0, 0, "preempted", 85.0, 0.0))


def test_at_its_very_end_it_has_finished_and_cannot_be_stopped() -> None:
    with pytest.raises(InvalidDecision, match="job 0 is not running"):
        tell([(JOB, 85.0)], "1x1:V100", LAW, [BEGIN, (85.0, Preempt(0))])


def test_stopped_while_it_restores_it_leaves_at_once() -> None:
    """Kept 50 s at 65; started at 100, it would work from 132.5 on; stopped at 120 it has lost nothing."""
    script = [BEGIN, (50.0, Preempt(0)), (100.0, Start(0, HERE)), (120.0, Preempt(0)), (130.0, Start(0, HERE))]
    told = tell([(JOB, 90.0)], "1x1:V100", LAW, script)
    assert ended(told) == ends(
        (65.0, 0, "preempted", 50.0, 0.0), (120.0, 0, "preempted", 50.0, 0.0), (202.5, 0, "finished", 90.0, 0.0)
    )


def test_lost_while_it_saves_it_keeps_what_was_persisted_before() -> None:
    told = tell([(JOB, 500.0)], "1x1:V100", LAW, [BEGIN, (50.0, Preempt(0))], [fails(60.0)])
    assert ended(told) == ends((60.0, 0, "lost", 0.0, 50.0))


def test_a_stopped_job_is_queued_again_after_a_delay() -> None:
    law = {"checkpoints": replace(CALM, requeue=120.0)}
    script = [BEGIN, (50.0, Preempt(0)), (185.0, Start(0, HERE))]
    told = tell([(JOB, 60.0)], "1x1:V100", law, script)
    assert said(told, Stopped, Ready) == [
        Stopped(65.0, 0, "preempted", 50.0, 0.0, held=True),
        Ready(185.0, 0),
        Stopped(227.5, 0, "finished", 60.0),
    ]
    with pytest.raises(InvalidDecision, match="job 0 is held"):
        tell([(JOB, 60.0)], "1x1:V100", law, [*script[:2], (184.0, Start(0, HERE))])


def test_a_move_saves_travels_and_restores() -> None:
    """At 50: 15 s of saving, 5 s of travelling at 1 GB/s, at 70 it is there; 32.5 s of restoring; 50 s are left."""
    told = tell([(JOB, 100.0)], "2x1:V100", LAW, [BEGIN, (50.0, Move(0, THERE))])
    assert said(told, Moved) == [Moved(70.0, 0)]
    assert ended(told) == ends((152.5, 0, "finished", 100.0, 0.0))


def test_a_move_within_its_node_does_not_travel() -> None:
    told = tell([(JOB, 100.0)], "1x2:V100", LAW, [BEGIN, (50.0, Move(0, at("n0/1")))])
    assert said(told, Moved) == [Moved(65.0, 0)]


@pytest.mark.parametrize(("second", "kept"), [(60.0, 0.0), (65.0, 50.0), (100.0, 50.0)])
@pytest.mark.parametrize("node", ["n0", "n1"])
def test_lost_on_the_way_it_keeps_what_was_saved_before_it_left(second: float, kept: float, node: str) -> None:
    """It saves from 50 to 65 and travels 100 s at 0.05 GB/s. Either node takes it along."""
    law = {"checkpoints": replace(CALM, move_gb_s=0.05)}
    told = tell([(JOB, 500.0)], "2x1:V100", law, [BEGIN, (50.0, Move(0, THERE))], [fails(second, node)])
    assert ended(told) == ends((second, 0, "lost", kept, 50.0 - kept))


def test_after_a_move_snapshots_are_counted_from_there() -> None:
    """50 s are its base; from 102.5 it works; lost at 200, 97.5 s later, before a snapshot."""
    told = tell([(JOB, 500.0)], "2x1:V100", LAW, [BEGIN, (50.0, Move(0, THERE))], [fails(200.0, "n1")])
    assert ended(told) == ends((200.0, 0, "lost", 50.0, 97.5))


@pytest.mark.parametrize(("checkpoint", "kept"), [(None, 0.0), (5_000_000_000, 100.0)])
def test_one_that_may_not_be_preempted_and_has_no_checkpoint_begins_anew(checkpoint: int | None, kept: float) -> None:
    job = replace(JOB, preemptible=False, checkpoint=checkpoint)
    told = tell([(job, 500.0)], "1x1:V100", LAW, [BEGIN], [fails(150.0)])
    assert ended(told) == ends((150.0, 0, "lost", kept, 140.0 - kept))


def test_youngs_interval() -> None:
    """sqrt(2 x 10 x 500) = 100."""
    law = {"checkpoints": replace(CALM, interval=0.0, mtbf=500.0)}
    assert ended(tell([(JOB, 250.0)], "1x1:V100", law, [BEGIN])) == ends((270.0, 0, "finished", 250.0, 0.0))
    for mtbf in (-5.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="mtbf = "):
            Checkpoints(interval=0, mtbf=mtbf)
    with pytest.raises(BadInput, match="Young's optimum"):
        replace(CALM, interval=0.0)


def test_a_limit_in_the_middle_of_a_pause_does_not_change_the_pause() -> None:
    """Half a V100's 300 W: speed 0.853 from 110 on; the 100 s left are 117.2 s of working, with a pause after 100."""
    told = tell([(JOB, 200.0)], "1x1:V100", LAW | {"power": Power()}, [BEGIN, (105.0, Cap("n0/0", 150.0))])
    assert ended(told) == ends((110 + 100 / 0.853 + 10, 0, "finished", 200.0, 0.0))


def test_work_and_snapshots_under_a_limit_that_comes_and_goes() -> None:
    """Limited from 50 to 80 at 0.853: 50 + 25.59 + 20 = 95.59 s after 100 s of working, the first snapshot.

    At 150 it has done 95.59 + 40 s: lost, it keeps 95.59.
    """
    script = [BEGIN, (50.0, Cap("n0/0", 150.0)), (80.0, Cap("n0/0", None))]
    told = tell([(JOB, 200.0)], "1x1:V100", LAW | {"power": Power()}, script, [fails(150.0)])
    assert ended(told) == ends((150.0, 0, "lost", 95.59, 40.0))


def test_a_node_that_comes_back_is_empty() -> None:
    fates = [fails(150.0), (160.0, lambda stage: stage.rise("n0", "failed"))]
    told = tell([(JOB, 100.0), (Job(1, 0.0), 50.0)], "1x1:V100", LAW, [BEGIN, (170.0, Start(1, HERE))], fates)
    assert [one.time for one in said(told, NodeUp)] == [160.0]
    assert ended(told)[-1:] == ends((220.0, 1, "finished", 50.0, 0.0))


@pytest.mark.parametrize("name", ["fifo", "sjf"])
def test_without_pauses_stops_and_failures_nothing_changes(name: str) -> None:
    drawn = generate("philly", 200, 6, largest=8)
    jobs = tuple(replace(job, estimate=drawn.durations[job.id]) for job in drawn.jobs)
    law = {"checkpoints": replace(CALM, stall=0.0)}
    plain, harsh = (tell(replace(drawn, jobs=jobs), "2x8:V100", laws, policy(name)) for laws in ({}, law))
    assert list(plain.log.lines()) == list(harsh.log.lines())
