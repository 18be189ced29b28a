"""The harsh world: without laws it is the plain simulator, to the byte; what it does to runs and machines, by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import nextafter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.clouds import Clouds
from gpuyard.envs.laws.law import Law, Run, Stage
from gpuyard.envs.laws.partitions import Partitions
from gpuyard.envs.laws.regimes import Regimes
from gpuyard.envs.laws.sharing import Sharing
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.laws.sweeps import Sweeps
from gpuyard.envs.laws.tuned import Tuned
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import Nodes, parse, rack
from gpuyard.envs.session import Policy, Session, World
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Preempt, Ready, Stopped
from gpuyard.experiments.names import policy
from gpuyard.traces.estimates import with_estimates
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.synthetic import generate
from worlds import NODES, Ask, WorldContract, trace_of


@dataclass(frozen=True)
class Doomed:
    """Jobs that fail by themselves, when all their work is as good as done."""

    jobs: frozenset[int]

    def begin(self, stage: Stage) -> _Doomed:
        return _Doomed(self.jobs, stage)


class _Doomed:
    def __init__(self, jobs: frozenset[int], stage: Stage) -> None:
        self.jobs, self.stage = jobs, stage

    def milestones(self, run: Run) -> Iterable[tuple[float, Callable[[Run], None]]]:
        if run.job.id in self.jobs:
            yield nextafter(run.total, 0), lambda run: self.stage.end(run.job.id, "failed")


class TestHarsh(WorldContract):
    def make(self, asks: Sequence[Ask], folder: Path) -> World:
        doomed = Doomed(frozenset(number for number, ask in enumerate(asks) if ask.fails))
        return HarshWorld(trace_of(asks), NODES, {"doomed": doomed}, restart=0.0)


class TestUnderLaws(TestHarsh):
    """The same with laws that have nothing to say in these stories."""

    def make(self, asks: Sequence[Ask], folder: Path) -> World:
        doomed = Doomed(frozenset(number for number, ask in enumerate(asks) if ask.fails))
        saver = Checkpoints(interval=1000, stall=0, restore_s=0, persist_gb_s=1e12, restore_gb_s=1e12, move_gb_s=1e12)
        calm: dict[str, Law] = {"doomed": doomed, "checkpoints": saver, "speed": Speed(), "sharing": Sharing()}
        calm |= {"regimes": Regimes(), "tuned": Tuned(), "sweeps": Sweeps(), "partitions": Partitions()}
        return HarshWorld(trace_of(asks), NODES, calm | {"clouds": Clouds()})


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


def motley(count: int, seed: int) -> Trace:
    """Jobs of every sort that the plain simulator knows: gangs, shares, CPUs alone, kinds, pipelines."""
    rng = np.random.default_rng(seed)
    trace, made = generate("philly", count, seed, largest=16), []
    for job in trace.jobs:
        share, kinds = rng.choice([1.0, 0.5, 0.25]), ((), ("V100",), ("T4", "V100"))[rng.integers(3)]
        if rng.random() < 0.1:
            job = replace(job, gang=0)
        made.append(
            replace(
                job,
                share=float(share) if job.gang == 1 else 1.0,
                kinds=kinds if job.gang else (),
                cpus=float(rng.integers(1, 5)) if rng.random() < 0.5 or not job.gang else None,
                host_memory=2**30 if rng.random() < 0.3 else None,
                preemptible=bool(rng.random() < 0.8),
                after=(int(rng.integers(max(job.id - 20, 0), job.id)),) if job.id and rng.random() < 0.2 else (),
            )
        )
    return replace(trace, jobs=tuple(made))


@pytest.mark.parametrize("name", ["fifo", "srtf", "las", "easy(sjf)"])
def test_without_laws_all_sorts_of_jobs_fare_as_in_the_plain_simulator(name: str) -> None:
    nodes = (*rack(0, 3, 8, "V100", cpus=32, memory=64 * 2**30), *rack(3, 4, 4, "T4"), *rack(7, 1, 0, "", cpus=16))
    plain, harsh = both(with_estimates(motley(1200, 1), "noisy:0.8", 0), nodes, policy(name))
    assert {Ready, Stopped, Preempt} - {type(e) for e in plain.entries} <= ({Preempt} if name[0] in "fe" else set())
    assert plain.sha256() == harsh.sha256()
