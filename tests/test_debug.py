"""The debug world: the contract of worlds, and what is its alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpuyard.envs.vocabulary import Preempt, Start, Stopped, Submitted
from gpuyard.executor.debug import DebugWorld
from gpuyard.traces.job import Job
from worlds import FREE, NODES, Ask, WorldContract, job_of, placement


class TestDebug(WorldContract):
    def make(self, asks: Sequence[Ask], folder: Path) -> DebugWorld:
        return DebugWorld(
            NODES,
            [job_of(number, ask) for number, ask in enumerate(asks)],
            {number: ask.seconds for number, ask in enumerate(asks)},
            failing={number for number, ask in enumerate(asks) if ask.fails},
        )


def test_the_debug_world_by_hand() -> None:
    asks = (Ask(0, 2, 10), Ask(4, 1, 3))
    world = DebugWorld(NODES, [job_of(n, a) for n, a in enumerate(asks)], {0: 10.0, 1: 3.0}, grace=1.0)
    assert world.wait() == [Submitted(0, job_of(0, asks[0]))]
    world.act(Start(0, placement(*FREE)))
    assert world.wait() == [Submitted(4, job_of(1, asks[1]))]
    world.act(Preempt(0))
    world.act(Preempt(0))
    assert world.wait() == [Stopped(5, 0, "preempted", 5)]
    world.act(Start(0, placement(*FREE)))
    assert world.wait() == [Stopped(10, 0, "finished", 10)]
    assert world.wait() == []
    assert [start.job for start in world.starts] == [0, 0]


def test_the_debug_world_lets_a_job_finish_within_its_grace() -> None:
    world = DebugWorld(NODES, [Job(0, 0.0)], {0: 3.0}, grace=5.0)
    world.wait()
    world.act(Start(0, placement(FREE[0])))
    world.act(Preempt(0))
    assert world.wait() == [Stopped(3, 0, "finished", 3)]
