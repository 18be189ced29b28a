"""The harsh world: without laws it is the plain simulator, to the byte; what it does to runs and machines, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import Nodes, parse
from gpuyard.envs.session import Policy, Session, World
from gpuyard.envs.sim import SimWorld
from gpuyard.experiments.names import policy
from gpuyard.traces.estimates import with_estimates
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.synthetic import generate
from worlds import NODES, Ask, WorldContract, trace_of


class TestHarsh(WorldContract):
    can_fail = False

    def make(self, asks: Sequence[Ask], folder: Path) -> World:
        return HarshWorld(trace_of(asks), NODES, restart=0.0)


def both(trace: Trace, nodes: Nodes, one: Policy) -> tuple[Log, Log]:
    """The logs of the plain simulator and of a harsh world without laws."""
    tick = getattr(one, "tick", None)
    return (
        Session(SimWorld(trace, nodes, tick=tick)).play(one),
        Session(HarshWorld(trace, nodes, tick=tick)).play(one),
    )


@pytest.mark.parametrize("name", ["fifo", "sjf", "easy", "easy(sjf)", "srtf", "las", "wfp3"])
def test_without_laws_it_is_the_plain_simulator(name: str) -> None:
    trace = with_estimates(generate("philly", 400, 3, largest=16), "noisy:0.8", 0)
    plain, harsh = both(trace, parse("3x8:V100"), policy(name))
    assert list(plain.lines()) == list(harsh.lines())


times = st.integers(0, 20).map(float)
jobs = st.lists(st.tuples(times, st.integers(0, 3), st.integers(0, 30).map(float)), min_size=1, max_size=12)


@given(jobs, st.sampled_from(["fifo", "srtf", "las"]))
def test_without_laws_ties_fall_as_they_do_in_the_plain_simulator(
    asks: list[tuple[float, int, float]], name: str
) -> None:
    made = [Job(n, submit, gang, estimate=run) for n, (submit, gang, run) in enumerate(sorted(asks))]
    trace = Trace(tuple(made), {n: run for n, (_, _, run) in enumerate(sorted(asks))})
    plain, harsh = both(trace, parse("1x3:V100"), policy(name))
    assert list(plain.lines()) == list(harsh.lines())
