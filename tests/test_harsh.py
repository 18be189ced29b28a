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
from gpuyard.envs.nodes import Accelerator, Node, Nodes, parse, rack
from gpuyard.envs.session import Policy, Session, World
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import (
    Cap,
    InvalidDecision,
    Move,
    NodeDown,
    Partition,
    Preempt,
    Provision,
    Ready,
    Start,
    Stopped,
    Tuning,
)
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


# What random decisions found, as stories.


@dataclass(frozen=True)
class Told:
    """Things that befall machines at given times."""

    what: Callable[[Stage], Iterable[tuple[float, Callable[[], None]]]]

    def begin(self, stage: Stage) -> object:
        for time, then in self.what(stage):
            stage.at(time, then)
        return object()


def at(*times: float) -> Trace:
    """Jobs that want nothing, and nobody starts: something happens when they come."""
    return Trace(tuple(Job(n, time, 0) for n, time in enumerate(times)), dict.fromkeys(range(len(times)), 1.0))


def test_a_broken_spot_node_may_be_taken_away() -> None:
    """It is broken at 1, reclaimed at 2; what was to be mended at 3 is not there any more."""
    nodes = (Node("s0", (Accelerator("s0/0", "V100"),), pool="spot", spot=True, usd_per_hour=3600.0),)
    told = Told(
        lambda stage: [
            (1.0, lambda: stage.fall("s0", "failed")),
            (2.0, lambda: stage.fall("s0", "reclaimed")),
            (3.0, lambda: stage.rise("s0", "failed")),
        ]
    )
    session = Session(HarshWorld(at(0, 4), nodes, {"told": told}))
    while session.advance():
        pass
    assert [(e.time, e.reason) for e in session.log.entries if isinstance(e, NodeDown)] == [
        (1.0, "failed"),
        (2.0, "reclaimed"),
    ]
    assert session.cluster.estate.states["s0"] == "absent"
    assert session.cluster.meter.usd == 1.0, "it cost 1 USD a second, for the one second that it was there"
    session.act(Provision("spot"))


def test_time_does_not_go_back_for_sums_that_were_rounded() -> None:
    """0.1 + 0.7 is a hair less than 0.8."""
    told = Told(lambda stage: [(0.8, lambda: stage.at(0.1 + 0.7, lambda: stage.fall("n0", "failed")))])
    session = Session(HarshWorld(at(0, 1), parse("1x1:V100"), {"told": told}))
    while session.advance():
        pass
    assert [e.time for e in session.log.entries if isinstance(e, NodeDown)] == [0.8]


def test_an_accelerator_that_is_mended_while_it_is_cut_is_not_whole() -> None:
    """It is cut from 0 to 15, broken from 1 to 2. At 3 nobody can have all of it, at 20 nobody can, either."""
    nodes = (Node("m0", (Accelerator("m0/0", "A100"),)),)
    told = Told(
        lambda stage: [
            (1.0, lambda: stage.fall("m0", "failed", ("m0/0",))),
            (2.0, lambda: stage.rise("m0", "failed", ("m0/0",))),
        ]
    )
    trace = Trace((Job(0, 0.0), Job(1, 3.0, 0), Job(2, 20.0, 0)), dict.fromkeys(range(3), 1.0))
    session = Session(HarshWorld(trace, nodes, {"told": told, "partitions": Partitions(seconds=5, reset=10)}))
    session.advance()
    session.act(Partition("m0/0", ("1g.5gb",) * 7))
    while session.advance():
        if session.cluster.now >= 2:
            assert session.cluster.room.spare == 0
            with pytest.raises(InvalidDecision, match="cannot have m0/0"):
                session.act(Start(0, (("m0", ("m0/0",)),)))
    assert session.cluster.room.shares.open == {"m0/0": 0b1111111}


@pytest.mark.parametrize(
    ("cpus", "quota", "why"), [(3.0, None, "more CPUs"), (None, 1, "it may borrow 0"), (2.0, 2, "")]
)
def test_a_move_needs_room_for_both_places(cpus: float | None, quota: int | None, why: str) -> None:
    nodes = rack(0, 1, 2, "V100", cpus=4)
    tenants = Tenants([Tenant("a", quota=quota, borrow=0)])
    job = Job(0, 0.0, cpus=cpus, tenant="a")
    session = Session(HarshWorld(Trace((job,), {0: 5.0}), nodes, tenants=tenants))
    session.advance()
    session.act(Start(0, (("n0", ("n0/0",)),)))
    before = session.cluster.state()
    if why:
        with pytest.raises(InvalidDecision, match=why):
            session.act(Move(0, (("n0", ("n0/1",)),)))
        assert session.cluster.state() == before
    else:
        session.act(Move(0, (("n0", ("n0/1",)),)))
        assert session.cluster.room.cpus == [0]


def test_a_job_without_accelerators_takes_nothing_of_a_quota() -> None:
    """Tenant b borrowed both of a's, who came for them too late: its job for CPUs alone starts all the same."""
    tenants = Tenants([Tenant("a", quota=2), Tenant("b", quota=0)])
    trace = Trace(
        (Job(0, 0.0, 2, tenant="b", preemptible=False), Job(1, 1.0, 2, tenant="a"), Job(2, 1.0, 0, tenant="b")),
        {0: 5.0, 1: 5.0, 2: 5.0},
    )
    session = Session(HarshWorld(trace, parse("1x2:V100"), tenants=tenants))
    session.advance()
    session.act(Start(0, (("n0", ("n0/0", "n0/1")),)))
    session.advance()
    assert session.cluster.room.admits(trace.jobs[2])
    session.act(Start(2, (("n0", ()),)))


def test_a_gang_stands_neither_on_instances_nor_on_an_odd_number_of_tpus() -> None:
    nodes = (*rack(0, 1, 1, "A100"), *rack(1, 1, 4, "TPU-v5e"))
    gang, elastic = Job(0, 0.0, 2, kinds=("A100",)), Job(1, 0.0, 4, kinds=("TPU-v5e",), min_gang=1, max_gang=4)
    session = Session(HarshWorld(Trace((gang, elastic), {0: 1.0, 1: 1.0}), nodes))
    session.advance()
    session.act(Partition("n0/0", ("1g.5gb",) * 7))
    session.advance()
    with pytest.raises(InvalidDecision, match="cannot stand on MIG instances"):
        session.act(Start(0, (("n0", ("n0/0#0", "n0/0#1")),), share=0.1))
    with pytest.raises(InvalidDecision, match="cannot have 3 of TPU-v5e"):
        session.act(Start(1, (("n1", ("n1/0", "n1/1", "n1/2")),)))
    session.act(Start(1, (("n1", ("n1/0",)),)))


@pytest.mark.parametrize("watts", [0.0, -1.0, float("inf"), float("nan")])
def test_limits_are_numbers_of_watts(watts: float) -> None:
    session = Session(HarshWorld(at(0), parse("1x1:V100")))
    session.advance()
    with pytest.raises(InvalidDecision, match="cannot be limited"):
        session.act(Cap("n0/0", watts))
    if watts:
        with pytest.raises(InvalidDecision, match="cannot be limited"):
            session.act(Start(0, (("n0", ()),), Tuning(watts=watts)))
