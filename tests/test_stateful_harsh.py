"""Whatever is decided, legal or not, in a world with every law on: nothing is lost, given twice, or leaked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gpuyard.envs.log import Log
from gpuyard.envs.placement import packed
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import (
    BACK,
    Cap,
    Decision,
    InvalidDecision,
    Move,
    Partition,
    Placement,
    Preempt,
    Provision,
    Release,
    Resize,
    Start,
    Stopped,
    Tuning,
)
from gpuyard.traces.job import Trace
from storm import NODES, SEATS, TENANTS, told, traces, world
from witness import Witness

numbers = st.integers(0, 2**16)
scribbles = st.lists(st.sampled_from([*SEATS, ("n0", "ghost"), ("n0", "n1/0"), ("h0", "")]), max_size=5)


def placed(seats: list[tuple[str, str]]) -> Placement:
    """A placement of seats, which may be wrong in any way; ("h0", "") is a node for a job without accelerators."""
    parts: dict[str, tuple[str, ...]] = {}
    for name, accelerator in seats:
        parts[name] = (*parts.get(name, ()), *([accelerator] if accelerator else []))
    return tuple(parts.items())


class Storm(RuleBasedStateMachine):
    """Decisions of every kind; each is applied whole or refused whole."""

    @initialize(trace=traces(least=4), seed=st.integers(0, 7))
    def open(self, trace: Trace, seed: int) -> None:
        self.trace, self.seed = trace, seed
        self.session = Session(world(trace, seed))
        self.cluster, self.read = self.session.cluster, 0
        self.witness = Witness(NODES, TENANTS, trace.durations)
        self.script: list[Decision | None] = []
        self.over = False

    def act(self, decision: Decision) -> None:
        before, said = self.cluster.state(), len(self.session.log.entries)
        try:
            self.session.act(decision)
        except InvalidDecision:
            assert self.cluster.state() == before
            assert len(self.session.log.entries) == said
        else:
            self.script.append(decision)

    @rule(times=st.integers(1, 6))
    def wait(self, times: int) -> None:
        for _ in range(times):
            self.script.append(None)
            self.over = self.over or not self.session.advance()

    @precondition(lambda self: not self.over)
    @rule(times=st.integers(1, 6), skip=st.integers(0, 2))
    def go_on(self, times: int, skip: int) -> None:
        """As an ordinary policy would, for a while."""
        for _ in range(times):
            self.start_something(skip)
            self.wait(1)
            self.the_books_agree()

    @rule(skip=st.integers(0, 2))
    def start_something(self, skip: int) -> None:
        for job in list(self.cluster.pending)[skip:]:
            if placement := packed(job, self.cluster.room):
                self.act(Start(job.id, placement))

    @rule(number=numbers, seats=scribbles, share=st.sampled_from([None, None, 0.5, 0.25, 0.1, 0.0, -1.0, 2.0]))
    def start_anywhere(self, number: int, seats: list[tuple[str, str]], share: float | None) -> None:
        watts = [None, None, None, 150.0, -3.0, float("nan")][number % 6]
        self.act(Start(self.job(number), placed(seats), None if watts is None else Tuning(watts=watts), share))

    @rule(number=numbers, share=st.sampled_from([None, 0.5, 0.3, 0.1]))
    def start_on_an_instance(self, number: int, share: float | None) -> None:
        names = [one for cut in sorted(self.witness.cut) for one in self.cluster.room.shares.names(cut)]
        if names:
            name = names[number % len(names)]
            self.act(Start(self.job(number), ((name.partition("/")[0], (name,)),), None, share))

    @rule(number=numbers)
    def preempt(self, number: int) -> None:
        self.act(Preempt(self.job(number)))

    @rule(number=numbers, seats=scribbles, resize=st.booleans())
    def move_anywhere(self, number: int, seats: list[tuple[str, str]], resize: bool) -> None:
        self.act((Resize if resize else Move)(self.job(number), placed(seats)))

    @rule(number=numbers, resize=st.booleans())
    def move_well(self, number: int, resize: bool) -> None:
        """Somewhere that is free and of the kind that it has, whatever its host can give."""
        for one in [r for r in self.cluster.running if r.goes is None and not r.stopping][number % 3 :]:
            kinds = {self.cluster.room.kind_of(a) for _, some in one.placement for a in some}
            gang = 1 + number % (one.job.max_gang or 1) if resize else one.gang
            free = [seat for seat in self.free() if self.cluster.room.kind_of(seat[1]) in kinds]
            if len(free) >= gang:
                self.act((Resize if resize else Move)(one.job.id, placed(free[:gang])))

    def free(self) -> list[tuple[str, str]]:
        room = self.cluster.room
        return [(b.node, a) for b in room.bays for i, a in enumerate(b.accelerators) if room.free[b.position] >> i & 1]

    @rule(
        number=numbers,
        profiles=st.sampled_from([(), ("3g.20gb", "4g.20gb"), ("1g.5gb",) * 7, ("2g.10gb",) * 3, ("7g.40gb",) * 2]),
    )
    def partition(self, number: int, profiles: tuple[str, ...]) -> None:
        name = ["m0/0", "m0/1", "n0/0", "ghost"][number % 4]
        self.act(Partition(name, profiles))

    @rule(number=numbers, watts=st.sampled_from([None, 120.0, 200.0, 0.0, -5.0, float("nan"), float("inf")]))
    def cap(self, number: int, watts: float | None) -> None:
        self.act(Cap([*(a for _, a in SEATS), "ghost"][number % (len(SEATS) + 1)], watts))

    @rule(pool=st.sampled_from(["cloud", "hall", "ghost"]), count=st.sampled_from([1, 1, 2, 0, 9]))
    def provision(self, pool: str, count: int) -> None:
        self.act(Provision(pool, count))

    @rule(name=st.sampled_from(["c0", "c1", "s0", "n0", "ghost"]))
    def release(self, name: str) -> None:
        self.act(Release(name))

    def job(self, number: int) -> int:
        """One of those there are, or none of them."""
        return number % (len(self.trace) + 1)

    @invariant()
    def the_books_agree(self) -> None:
        if hasattr(self, "session"):
            for entry in self.session.log.entries[self.read :]:
                self.witness.follow(entry)
            self.read = len(self.session.log.entries)
            self.witness.check(self.cluster)

    def teardown(self) -> None:
        if not hasattr(self, "session"):
            return
        log = self.session.log
        assert log.replay().state() == self.cluster.state()
        with TemporaryDirectory() as folder:
            log.write(Path(folder) / "log.jsonl")
            back = Log.read(Path(folder) / "log.jsonl")
        assert back.entries == log.entries
        assert back.replay().state() == self.cluster.state()
        assert list(self.again().lines()) == list(log.lines())

    def again(self) -> Log:
        """The same world and the same decisions once more."""
        session = Session(world(self.trace, self.seed))
        for decision in self.script:
            if decision is None:
                session.advance()
            else:
                session.act(decision)
        return session.log


class LongStorm(Storm):
    """The same for longer."""


TestStorm = Storm.TestCase
TestStorm.settings = settings(max_examples=100, stateful_step_count=30, deadline=None, derandomize=True)
TestLongStorm = pytest.mark.slow(LongStorm.TestCase)
TestLongStorm.settings = settings(max_examples=400, stateful_step_count=50, deadline=None, derandomize=True)


@given(traces(least=4), st.integers(0, 7), st.floats(0.1, 0.9))
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_nobody_can_tell_how_long_a_job_will_run(trace: Trace, seed: int, part: float) -> None:
    """Had those that were not over by some moment been longer, nothing before would have been different.

    Trials report at parts of their work, and regimes change there: those jobs stay as they are.
    """
    before = list(told(trace, seed).log.timed())
    moment = before[int(part * len(before))][0]
    over = {e.job for t, e in before if isinstance(e, Stopped) and e.reason not in BACK and t <= moment}
    tied = {job.id for job in trace.jobs if job.group is not None} | set(trace.regimes)
    durations = {job: run if job in over | tied else 1.7 * run + 3 for job, run in trace.durations.items()}
    after = told(replace(trace, durations=durations), seed).log.timed()
    early = [entry for time, entry in before if time < moment]
    assert early == [entry for time, entry in after if time < moment]
