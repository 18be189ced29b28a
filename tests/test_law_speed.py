"""The law of speed: family, kind, gang and spread decide how long a job takes; worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Move, Moved, Preempt, Resize, Resized, Start, Stopped
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from tales import Script, at, ended, ends, said, tell

LAW = {"speed": Speed()}
BOTH = "1x4:V100+1x4:K80"


def test_no_kind_is_always_fastest() -> None:
    """Gavel: a recommender is 1.4 times as fast on a K80, ResNet-50 0.159 times, relative to a V100.

    140 s of the one and 15.9 s of the other, as recorded on a V100, both take 100 s on a K80.
    """
    jobs = [(Job(0, 0.0, profile="recommendation"), 140.0), (Job(1, 0.0, profile="resnet"), 15.9)]
    told = tell(jobs, BOTH, LAW, [(0.0, Start(0, at("n1/0"))), (0.0, Start(1, at("n1/1")))])
    assert ended(told) == ends((100.0, 0, "finished", 140.0, 0.0), (100.0, 1, "finished", 15.9, 0.0))


def test_the_first_kind_that_a_job_names_is_that_of_its_recorded_duration() -> None:
    """100 s on a K80 are 100 x 0.159 = 15.9 s on a V100."""
    jobs = [(Job(0, 0.0, kinds=("K80", "V100"), profile="resnet"), 100.0)]
    told = tell(jobs, BOTH, LAW, [(0.0, Start(0, at("n0/0")))])
    assert ended(told) == ends((15.9, 0, "finished", 100.0, 0.0))


def test_a_gang_scales_and_pays_for_spread_as_was_measured() -> None:
    """ResNet-50 on V100: 1, 1.39 and 1.77 on one node with 1, 2 and 4; 1.15 with 2 on two nodes.

    Job 0: 177 s recorded with one, started with four: 100 s. Job 1: 115 s recorded with two on one node, started on
    two nodes: 115 x 1.39 / 1.15 = 139 s.
    """
    jobs = [(Job(0, 0.0, 1, max_gang=4, profile="resnet"), 177.0), (Job(1, 0.0, 2, profile="resnet"), 115.0)]
    script = [(0.0, Start(0, at("n0/0", "n0/1", "n0/2", "n0/3"))), (0.0, Start(1, at("n1/0", "n2/0")))]
    told = tell(jobs, "3x4:V100", LAW, script)
    assert ended(told) == ends((100.0, 0, "finished", 177.0, 0.0), (139.0, 1, "finished", 115.0, 0.0))


def test_what_was_not_measured_is_carried_over() -> None:
    """Job 0 has no profile: with four instead of its two it is 2^0.9 times as fast, wherever it stands.

    Job 1, of a family measured on one accelerator alone (a3c), gets two: 2^0.9 on one node, and 0.425 of that when
    spread. On a K80 it is 0.479 times as fast: speed 0.479 x 2^0.9 x 0.425.
    """
    gain = 2**0.9
    jobs = [(Job(0, 0.0, 2, max_gang=4), 100 * gain), (Job(1, 0.0, 1, max_gang=2, profile="a3c"), 47.9 * gain * 0.425)]
    script = [(0.0, Start(0, at("n0/0", "n0/1", "n1/0", "n1/1"))), (0.0, Start(1, at("n2/0", "n3/0")))]
    told = tell(jobs, "2x4:V100+2x1:K80", LAW, script)
    assert ended(told) == ends(
        (100.0, 0, "finished", 100 * gain, 0.0), (100.0, 1, "finished", 47.9 * gain * 0.425, 0.0)
    )


@pytest.mark.parametrize("gang", [1, 2, 4])
def test_without_the_law_every_gang_is_as_fast_in_both_worlds(gang: int) -> None:
    """1000 s with four, as recorded, and with fewer; so is one that is given half of the accelerator it asked for."""
    trace = Trace((Job(0, 0.0, 4, min_gang=1), Job(1, 0.0)), {0: 1000.0, 1: 500.0})
    script = [(0.0, Start(0, at(*(f"n0/{i}" for i in range(gang))))), (0.0, Start(1, at("n1/0"), share=0.5))]
    nodes = parse("1x4:V100+1x1:K80")
    plain, harsh = Session(SimWorld(trace, nodes)), Session(HarshWorld(trace, nodes))
    for told in (plain, harsh):
        told.play(Script(list(script)))
        assert [(one.time, one.job) for one in said(told, Stopped)] == [(500.0, 1), (1000.0, 0)]
    assert list(plain.log.lines()) == list(harsh.log.lines())


def test_crossing_racks_costs_what_is_said() -> None:
    nodes = [Node(f"n{n}", (Accelerator(f"n{n}/0", "V100"),), rack=f"r{n // 2}") for n in range(3)]
    jobs = [(Job(0, 0.0, 2), 100.0), (Job(1, 300.0, 2), 100.0)]
    script = [(0.0, Start(0, at("n0/0", "n1/0"))), (300.0, Start(1, at("n1/0", "n2/0")))]
    told = tell(jobs, nodes, {"speed": Speed(across_racks=0.5)}, script)
    assert ended(told) == ends((100.0, 0, "finished", 100.0, 0.0), (500.0, 1, "finished", 100.0, 0.0))


def test_a_move_to_another_kind_changes_the_speed_of_what_is_left() -> None:
    """50 s of 65.9 s done on the V100; the 15.9 s left take 100 s on the K80."""
    jobs = [(Job(0, 0.0, profile="resnet"), 65.9)]
    told = tell(jobs, BOTH, LAW, [(0.0, Start(0, at("n0/0"))), (50.0, Move(0, at("n1/0")))])
    assert said(told, Moved) == [Moved(50.0, 0)]
    assert ended(told) == ends((150.0, 0, "finished", 65.9, 0.0))


def test_a_resize_saves_restores_and_goes_on_at_another_pace() -> None:
    """Checkpoints: stall 2, 5 GB at 1 GB/s: 7 s to save; the new gang adds no node; restoring 30 + 5 / 2 = 32.5 s.

    100 s of 277 s are done with one V100 when it is asked; at 107 it has four and restores until 139.5; the 177 s
    left take 100 s.
    """
    jobs = [(Job(0, 0.0, 1, max_gang=4, profile="resnet", checkpoint=5_000_000_000), 277.0)]
    four = at("n0/0", "n0/1", "n0/2", "n0/3")
    script = [(0.0, Start(0, at("n0/0"))), (100.0, Resize(0, four))]
    told = tell(jobs, BOTH, LAW | {"checkpoints": Checkpoints()}, script)
    assert said(told, Resized) == [Resized(107.0, 0)]
    assert ended(told) == ends((239.5, 0, "finished", 277.0, 0.0))


def test_snapshots_count_work_at_the_pace_of_the_moment() -> None:
    """On a K80 at 0.159: interval 100 s of working time, stall 10 s, persisted at once; asked to stop at 150.

    Working: 0 to 100 and 110 to 150: 140 s, so 140 x 0.159 = 22.26 s of work; saving takes the stall, until 160.
    """
    law = Checkpoints(interval=100, stall=10)
    jobs = [(Job(0, 0.0, profile="resnet", checkpoint=0), 1000.0)]
    script = [(0.0, Start(0, at("n1/0"))), (150.0, Preempt(0))]
    told = tell(jobs, BOTH, LAW | {"checkpoints": law}, script)
    assert ended(told) == ends((160.0, 0, "preempted", 22.26, 0.0))


@pytest.mark.parametrize(
    ("jobs", "complaint"),
    [
        (Job(0, 0.0, profile="resnett"), "there is no profile 'resnett', which a job has. Did you mean 'resnet'?"),
        (Job(0, 0.0, profile="speech"), "'speech' was not measured on K80, which the cluster has"),
        (Job(0, 0.0, kinds=("V100", "T4"), profile="lm"), "'lm' was not measured on T4, which the cluster has"),
    ],
)
def test_a_profile_that_was_not_measured_where_it_may_run_is_refused(jobs: Job, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint.replace("?", r"\?")):
        tell([(jobs, 1.0)], "1x1:V100+1x1:K80+1x1:T4", LAW, [])


def test_a_reference_that_nobody_knows_is_refused() -> None:
    """One that a node has, that was measured, or of which something is known, may be."""
    for kind in ("Abacus", "K80", "H100"):
        tell([(Job(0, 0.0), 1.0)], "1x1:Abacus", {"speed": Speed(reference=kind)}, [(0.0, Start(0, at("n0/0")))])
    with pytest.raises(BadInput, match=r"speed\.reference: 'ZZ' is no kind"):
        tell([(Job(0, 0.0), 1.0)], "1x1:V100", {"speed": Speed(reference="ZZ")}, [])


@pytest.mark.parametrize("name", ["fifo", "las"])
def test_on_the_reference_with_the_own_gang_on_one_node_nothing_changes(name: str) -> None:
    drawn = generate("philly", 200, 1, largest=8)
    families = ("resnet", "transformer", "lm", None)
    trace = replace(drawn, jobs=tuple(replace(job, profile=families[job.id % 4]) for job in drawn.jobs))
    plain, harsh = (tell(trace, "1x8:V100", laws, policy(name)) for laws in ({}, LAW))
    assert list(plain.log.lines()) == list(harsh.log.lines())
