"""What holds for policies whatever the trace: the future unseen, promises kept, nobody stopped for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.codec import Starts
from gpuyard.envs.commits import Commits
from gpuyard.envs.full import Full
from gpuyard.envs.log import Entry, Log
from gpuyard.envs.placement import consolidated, packed, spread
from gpuyard.envs.room import Room
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Decision, Preempt, Start, Stopped
from gpuyard.experiments.names import all_policies, policy
from gpuyard.policies.backfill import Easy
from gpuyard.policies.learned import Learned, shapes
from gpuyard.policies.preemptive import Preemptive, least_attained, srtf
from gpuyard.policies.ranked import Ranked, submitted
from gpuyard.traces.job import Trace
from strategies import nodes, traces


def learned(codec: Starts | Commits | Full, seed: int) -> Learned:
    """A policy of random weights: what it decides makes no sense, and must be legal and blind all the same."""
    rng = np.random.default_rng(seed)
    shaped = shapes(6, len(codec.row), codec.marks).items()
    return Learned({name: rng.normal(0, 0.7, shape).astype(np.float32) for name, shape in shaped}, codec, {})


SMALL_LAS = least_attained(quantum=4.0, grace=3.0)
POLICIES: dict[str, Policy] = {
    **all_policies(),
    **{name: policy(name) for name in ("easy(sjf)", "easy(wfp3)", "easy(f1)")},
    "loose": Ranked(submitted, strict=False),
    "consolidated": policy("easy", "consolidated"),
    "spread": policy("srtf", "spread"),
    "small las": SMALL_LAS,
    "learned starts": learned(Starts(8), 0),
    "learned, committed": learned(Commits(8), 3),
    "learned, committed, others pass": learned(Commits(8, backfill=True), 4),
    "learned, all decisions": learned(Full(12), 1),
    "learned, patient": learned(Full(12, quantum=3.0), 2),
}


@st.composite
def runnable(draw: st.DrawFn) -> Trace:
    """Jobs with estimates, right or wrong, that every placement finds room for in the empty cluster."""
    trace = draw(traces())
    room = Room(nodes())
    jobs = [j for j in trace.jobs if all(place(j, room) for place in (packed, consolidated, spread))]
    told = [replace(j, estimate=draw(st.sampled_from([0.0, 1.0, 5.5, 30.0]))) for j in jobs]
    return trace.of(told)


def exact(trace: Trace) -> Trace:
    return replace(trace, jobs=tuple(replace(j, estimate=trace.durations[j.id]) for j in trace.jobs))


def played(trace: Trace, policy: Policy) -> Log:
    world = SimWorld(trace, nodes(), restart=2.0, tick=getattr(policy, "tick", None))
    return Session(world).play(policy)


def until(log: Log, time: float) -> list[Entry]:
    """What was said before a time."""
    return [entry for at, entry in log.timed() if at < time]


@given(runnable(), st.floats(0.5, 40.0), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_no_policy_sees_how_long_jobs_will_run(trace: Trace, time: float, random: np.random.Generator) -> None:
    longer = {job.id: random.choice([0.5, 3.0, 50.0]) for job in trace.jobs}
    for name, one in POLICIES.items():
        log = played(trace, one)
        over = {e.job for e in until(log, time) if isinstance(e, Stopped) and e.reason == "finished"}
        durations = {j: d if j in over else d + longer[j] for j, d in trace.durations.items()}
        again = played(replace(trace, durations=durations), one)
        assert until(log, time) == until(again, time), name


@given(runnable())
@settings(max_examples=40, deadline=None)
def test_everybody_is_served_to_the_end(trace: Trace) -> None:
    for name, one in POLICIES.items():
        entries = played(trace, one).entries
        finished = {e.job: e.progress for e in entries if isinstance(e, Stopped) and e.reason == "finished"}
        assert finished == dict(trace.durations), name
        starts = sum(isinstance(e, Start) for e in entries)
        assert starts == len(trace) + sum(isinstance(e, Stopped) and e.reason == "preempted" for e in entries)


@dataclass
class Promising:
    """EASY, watched: what the first in line was promised, and when it started."""

    easy: Easy
    promised: dict[int, float]

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        for decision in self.easy.decide(cluster):
            if isinstance(decision, Start):
                assert cluster.now <= self.promised.get(decision.job, cluster.now)
            yield decision
        head = next(cluster.pending.by(self.easy.order), None)
        if head:
            time = self.easy.promise(head, cluster).time
            self.promised[head.id] = min(time, self.promised.get(head.id, time))


@given(runnable(), st.sampled_from([packed, consolidated, spread]))
@settings(max_examples=80, deadline=None)
def test_easy_keeps_its_promise_when_estimates_are_true(trace: Trace, place: object) -> None:
    """Kinds, shares, CPUs and memory included: whoever overtakes, the first in line is not delayed."""
    easy = replace(policy("easy"), place=place)  # type: ignore[type-var]
    played(exact(trace), Promising(easy, {}))  # type: ignore[arg-type]


@dataclass
class Sparing:
    """A preemptive policy, watched: whoever is asked to stop ranks behind, may be stopped, and is needed."""

    policy: Preemptive

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        asked = []
        for decision in self.policy.decide(cluster):
            if isinstance(decision, Preempt):
                asked.append(cluster.running[decision.job])
            else:
                assert not asked, "nobody starts while room is being made"
            yield decision
        if asked:
            self.check([running.job.id for running in asked], cluster)

    def check(self, asked: list[int], cluster: ClusterView) -> None:
        head = next(cluster.pending.by(self.policy.waiting))
        columns = cluster.running.columns
        ranks = dict(zip(columns.keys, self.policy.running.of(columns, cluster.now).tolist(), strict=True))
        assert all(ranks[key] > self.policy.waiting(head, cluster) for key in asked)
        assert all(cluster.running[key].job.preemptible for key in asked)
        assert self.fits_without(head.id, asked, cluster)
        for key in asked:
            assert not self.fits_without(head.id, [other for other in asked if other != key], cluster)

    def fits_without(self, head: int, gone: list[int], cluster: ClusterView) -> bool:
        room = cluster.room.scratch()
        for key in gone:
            room.give(cluster.running[key].job, cluster.running[key].placement)
        return self.policy.place(cluster.pending[head], room) is not None


@given(runnable(), st.sampled_from([packed, consolidated, spread]))
@settings(max_examples=80, deadline=None)
def test_nobody_is_stopped_for_nothing(trace: Trace, place: object) -> None:
    for one in (srtf, SMALL_LAS):
        watched = Sparing(replace(one, place=place))  # type: ignore[arg-type]
        Session(SimWorld(trace, nodes(), restart=2.0, tick=SMALL_LAS.tick)).play(watched)


@given(runnable())
@settings(max_examples=20, deadline=None)
def test_equal_runs_are_equal(trace: Trace) -> None:
    for one in POLICIES.values():
        assert played(trace, one).sha256() == played(trace, one).sha256()
