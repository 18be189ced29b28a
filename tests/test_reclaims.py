"""Reclaims live and let live: nobody is stopped for nothing for ever, and no cluster halts while somebody could run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np
import pytest

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.eyes import Eyes
from gpuyard.envs.laws.law import Law
from gpuyard.envs.nodes import Nodes, rack
from gpuyard.envs.placement import packed
from gpuyard.envs.session import Session
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Preempt, Start
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job, Trace
from tales import ended, ends, tell

WORLDS = 120
SECONDS = 20
"""A session that takes longer goes in circles."""


@contextmanager
def bounded(seconds: int) -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("the session goes in circles")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def drawn(seed: int) -> tuple[Nodes, Tenants, Trace, dict[str, Law]]:
    """A few nodes of two kinds, two to four tenants that own all of them, and up to 60 jobs that could ever run."""
    rng = np.random.default_rng(seed)
    nodes = (*rack(0, int(rng.integers(1, 4)), 4, "V100"), *rack(10, int(rng.integers(0, 3)), 8, "A100"))
    names = list("abcd")[: int(rng.integers(2, 5))]
    quotas = rng.multinomial(sum(len(node.accelerators) for node in nodes), np.ones(len(names)) / len(names))
    some = [
        Tenant(
            name,
            quota=float(quota),
            borrow=None if rng.random() < 0.6 else float(rng.integers(0, 6)),
            lend=None if rng.random() < 0.6 else float(rng.integers(0, 4)),
        )
        for name, quota in zip(names, quotas, strict=True)
    ]
    tenants = Tenants(some, float(rng.choice([0, 0, 5, 30, 200])))
    room = Session(HarshWorld(Trace((), {}), nodes, tenants=tenants)).cluster.room
    jobs, now = list[Job](), 0.0
    for number in range(int(rng.integers(20, 60))):
        now += float(rng.exponential(rng.choice([1, 10, 40])))
        kinds: tuple[str, ...] = ((), ("V100",), ("A100", "V100"))[int(rng.integers(3))]
        job = Job(
            number,
            now,
            int(rng.choice([1, 1, 1, 2, 4, 8])),
            kinds=kinds,
            tenant=str(rng.choice([*names, "guest"], p=[0.95 / len(names)] * len(names) + [0.05])),
            estimate=float(rng.integers(5, 300)),
            preemptible=bool(rng.random() < 0.85),
        )
        if room.could_ever(job):
            jobs.append(job)
    laws: dict[str, Law] = (
        {} if rng.random() < 0.5 else {"checkpoints": Checkpoints(requeue=float(rng.choice([0, 120])))}
    )
    return nodes, tenants, Trace(tuple(jobs), {job.id: job.estimate or 0.0 for job in jobs}), laws


@pytest.mark.parametrize("name", ["fifo", "easy(sjf)", "sjf", "srtf", "las"])
def test_whoever_could_run_runs_in_the_end(name: str) -> None:
    """In random worlds nobody who could start is left, and whenever nobody may borrow somebody is about to leave."""
    for seed in range(WORLDS):
        nodes, tenants, trace, laws = drawn(seed)
        laws |= {"eyes": Eyes(every=13.0)} if seed % 3 == 0 else {}
        world = HarshWorld(trace, nodes, laws, tenants=tenants, tick=(None, 7.0)[seed % 2])
        session = Session(world)
        holdings, wait = session.cluster.room.holdings, world.wait
        assert holdings is not None

        def waits(seed=seed, session=session, holdings=holdings, wait=wait):  # type: ignore[no-untyped-def]
            assert not holdings.owed or any(run.stopping for run in session.cluster.running), f"{seed}: a halt"
            return wait()

        world.wait = waits  # type: ignore[method-assign]
        with bounded(SECONDS):
            log = session.play(policy(name))
        room = session.cluster.room.scratch()
        assert not [job.id for job in session.cluster.pending if packed(job, room) is not None], seed
        stops = sum(isinstance(entry, Preempt) for entry in log.entries)
        assert stops <= 4 * len(trace), f"{seed}: {stops} stops of {len(trace)} jobs"


def of(number: int, tenant: str, gang: int, submit: float, estimate: float = 40.0) -> Job:
    return Job(number, submit, gang, tenant=tenant, estimate=estimate)


HALVES = Tenants([Tenant("a", quota=2), Tenant("b", quota=2)])


def test_a_place_that_is_let_pass_is_anybodys_at_once() -> None:
    """Job 2 is covered, but behind job 1 of its tenant, which would borrow: what job 0 gave back it gets back.

    It had done 2 of 40 s when it was asked at 2, and goes on at that moment: without a restart's cost it ends at 40.
    """
    jobs = [(of(0, "b", 4, 0.0), 40.0), (of(1, "a", 4, 1.0, 10.0), 10.0), (of(2, "a", 1, 2.0, 20.0), 20.0)]
    told = tell(jobs, "1x4:V100", {}, policy("fifo"), tenants=HALVES)
    assert ended(told) == ends(
        (2.0, 0, "preempted", 2.0, 0.0),
        (40.0, 0, "finished", 40.0, 0.0),
        (50.0, 1, "finished", 10.0, 0.0),
        (70.0, 2, "finished", 20.0, 0.0),
    )


@pytest.mark.parametrize("name", ["fifo", "easy"])
def test_claims_that_pass_rest_ever_longer(name: str) -> None:
    """Restarts take 30 s, patience is 5 s, something happens every 7 s: the borrower gets its work done all the same.

    Job 2's claim passes at 7, and rests 5, 10, 20, 40 s: at most so often is job 0 stopped before its 40 s are done.
    """
    jobs = (of(0, "b", 4, 0.0), of(1, "a", 4, 1.0, 10.0), of(2, "a", 1, 2.0, 20.0))
    tenants = Tenants([Tenant("a", quota=2), Tenant("b", quota=2)], 5.0)
    world = HarshWorld(Trace(jobs, {0: 40.0, 1: 10.0, 2: 20.0}), rack(0, 1, 4, "V100"), tenants=tenants, tick=7.0)
    with bounded(SECONDS):
        log = Session(world).play(policy(name))
    assert not log.replay().pending
    assert 1 <= sum(isinstance(entry, Preempt) for entry in log.entries) <= 5


def test_a_policy_that_stops_the_owner_itself_is_not_argued_with() -> None:
    """Shortest remaining time first wants the borrower's short job; the owner has its place back once, and no more."""
    jobs = [(of(0, "a", 4, 0.0, 30.0), 30.0), (of(1, "b", 2, 5.0, 100.0), 100.0)]
    with bounded(SECONDS):
        told = tell(jobs, "1x4:V100", {}, policy("srtf"), tenants=HALVES)
    assert {job for _, job, reason, *_ in ended(told) if reason == "finished"} == {0, 1}
    assert sum(isinstance(entry, Preempt) for entry in told.log.entries) <= 2


def test_nobody_is_started_to_be_stopped_in_the_same_moment() -> None:
    """Where tenants have patience, what a covered job waits for is not lent."""
    for seed in range(WORLDS):
        nodes, tenants, trace, laws = drawn(seed)
        if not tenants.patience:
            continue
        log = Session(HarshWorld(trace, nodes, laws, tenants=tenants)).play(policy("fifo"))
        begun: dict[int, float] = {}
        for time, entry in log.timed():
            if isinstance(entry, Start):
                begun[entry.job] = time
            elif isinstance(entry, Preempt):
                assert begun[entry.job] < time, (seed, time, entry.job)
