"""Elastic gangs, moves, and what may stand side by side; worked out by hand. Restarts cost 30 s, no law is on."""

from __future__ import annotations

import pytest

from gpuyard.envs.laws.law import Stage
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.vocabulary import InvalidDecision, Move, Moved, Preempt, Resize, Resized, Start
from gpuyard.traces.job import Job
from tales import at, ended, ends, said, tell

ELASTIC = Job(0, 0.0, 2, min_gang=1, max_gang=4)
NODES = "2x4:V100"
TWO, FOUR = at("n0/0", "n0/1"), at("n0/0", "n0/1", "n0/2", "n0/3")
BEGIN = (0.0, Start(0, TWO))
SPEED = {"speed": Speed(scaling=1.0)}


@pytest.mark.parametrize(("count", "end"), [(1, 200.0), (2, 100.0), (4, 50.0)])
def test_an_elastic_job_starts_with_any_gang_within_its_bounds(count: int, end: float) -> None:
    told = tell([(ELASTIC, 100.0)], NODES, SPEED, [(0.0, Start(0, at(*(f"n0/{i}" for i in range(count)))))])
    assert ended(told) == ends((end, 0, "finished", 100.0, 0.0))


def test_it_grows_and_shrinks_for_a_restart_each() -> None:
    """20 s done at 20; 30 s of restart; with four at twice the speed until 70: 40 s more. Then with one: 40 s take 80.

    A job that waits for two accelerators starts when they are free again, at 70.
    """
    script = [BEGIN, (20.0, Resize(0, FOUR)), (70.0, Resize(0, at("n0/3"))), (71.0, Start(1, TWO))]
    told = tell([(ELASTIC, 100.0), (Job(1, 0.0, 2), 10.0)], "1x4:V100", SPEED, script, restart=30.0)
    assert said(told, Resized) == [Resized(20.0, 0), Resized(70.0, 0)]
    assert ended(told) == ends((81.0, 1, "finished", 10.0, 0.0), (180.0, 0, "finished", 100.0, 0.0))


@pytest.mark.parametrize(
    ("decision", "complaint"),
    [
        (Resize(0, at("n0/0", "n1/0", "n1/1", "n1/2", "n1/3")), "job 0 needs 2 accelerators, the placement has 5"),
        (Resize(0, at("n1/0", "n1/1")), "this decision wants another gang"),
        (Move(0, FOUR), "this decision wants another place for 2 accelerators"),
        (Move(0, TWO), "this decision wants another place"),
        (Resize(0, at("n0/1", "n0/2", "n0/3")), "job 0 cannot have n0/3: it is taken"),
        (Resize(1, at("n1/0", "n1/1")), "job 1 needs 1 accelerators, the placement has 2"),
        (Move(2, TWO), "job 2 is not running"),
    ],
)
def test_what_cannot_be(decision: Move | Resize, complaint: str) -> None:
    jobs = [(ELASTIC, 100.0), (Job(1, 0.0), 100.0), (Job(2, 0.0), 100.0)]
    with pytest.raises(InvalidDecision, match=complaint):
        tell(jobs, NODES, {}, [BEGIN, (0.0, Start(1, at("n0/3"))), (10.0, decision)])


def test_one_that_may_not_be_stopped_is_not_moved() -> None:
    with pytest.raises(InvalidDecision, match="job 0 may not be stopped, so it cannot be moved"):
        tell(
            [(Job(0, 0.0, preemptible=False), 9.0)],
            NODES,
            {},
            [(0.0, Start(0, at("n0/0"))), (1.0, Move(0, at("n1/0")))],
        )


def test_on_its_way_it_is_neither_stopped_nor_sent_elsewhere() -> None:
    for decision in (Preempt(0), Move(0, at("n1/0", "n1/1"))):
        with pytest.raises(InvalidDecision, match="job 0 is on its way to another place already"):
            tell([(ELASTIC, 100.0)], NODES, {}, [BEGIN, (10.0, Move(0, at("n1/2", "n1/3"))), (10.0, decision)])


def test_a_move_may_keep_a_part_of_its_place() -> None:
    """From 0 and 1 to 1 and 2: 40 s done, 30 s of restart, 60 s left; accelerator 0 is another's at 41."""
    script = [BEGIN, (40.0, Move(0, at("n0/1", "n0/2"))), (41.0, Start(1, at("n0/0")))]
    told = tell([(ELASTIC, 100.0), (Job(1, 0.0), 10.0)], NODES, {}, script, restart=30.0)
    assert said(told, Moved) == [Moved(40.0, 0)]
    assert ended(told) == ends((51.0, 1, "finished", 10.0, 0.0), (130.0, 0, "finished", 100.0, 0.0))


def test_a_soft_share_moves_with_its_part() -> None:
    """Two halves on one accelerator; one goes to another that is half taken; the first is then whole again."""
    jobs = [(Job(n, 0.0, share=0.5), 100.0) for n in range(3)] + [(Job(3, 0.0), 10.0)]
    begin = [(0.0, Start(n, at("n0/0" if n < 2 else "n0/1"))) for n in range(3)]
    script = [*begin, (50.0, Move(0, at("n0/1"))), (100.0, Start(3, at("n0/0")))]
    told = tell(jobs, NODES, {}, script)
    assert ended(told)[-1:] == ends((110.0, 3, "finished", 10.0, 0.0))


def test_jobs_whose_memory_does_not_fit_together_are_not_packed() -> None:
    """9 and 8 GB of 16 do not go; 9 and 7 do; none says that it needs 17."""
    gb = 1_000_000_000
    node = [Node("n0", (Accelerator("n0/0", "V100", 16 * gb),))]

    def side_by_side(*needs: int) -> int:
        jobs = [(Job(n, 0.0, share=0.5, memory=need * gb), 10.0) for n, need in enumerate(needs)]
        return len(ended(tell(jobs, node, {}, [(0.0, Start(n, at("n0/0"))) for n in range(len(needs))])))

    assert side_by_side(9, 7) == 2
    with pytest.raises(InvalidDecision, match=r"job 1 needs 500/1000 of n0/0, 7000000000 bytes of its memory are left"):
        side_by_side(9, 8)
    with pytest.raises(InvalidDecision, match="job 0 cannot stand on V100: not with its memory, sites or gang"):
        side_by_side(17)


def test_a_gang_that_loses_an_accelerator_is_lost_and_may_come_back_smaller() -> None:
    """Without a law of checkpoints it begins anew: 50 s lost; with the one that is left, 100 s take 200."""

    def fall(stage: Stage) -> None:
        stage.fall("n0", "failed", ("n0/1",))

    told = tell([(ELASTIC, 100.0)], "1x2:V100", SPEED, [BEGIN, (60.0, Start(0, at("n0/0")))], [(50.0, fall)])
    assert ended(told) == ends((50.0, 0, "lost", 0.0, 50.0), (260.0, 0, "finished", 100.0, 0.0))
