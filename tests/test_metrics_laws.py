"""Laws of metrics that hold for every log: over random sessions in which everything happens."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.log import Log
from gpuyard.envs.meter import KWH
from gpuyard.envs.metrics import Tally, breakdown, integral, little, read, summary
from gpuyard.envs.placement import packed
from gpuyard.envs.rates import idle_accelerators, waiting_jobs
from gpuyard.envs.scenario import Scenario
from gpuyard.envs.scenario import read as scenario_of
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.timeline import stays
from gpuyard.envs.vocabulary import (
    Cap,
    Decision,
    InvalidDecision,
    Measured,
    Move,
    Moved,
    NodeDown,
    NodeUp,
    Partition,
    Partitioned,
    Placement,
    Preempt,
    Provision,
    Release,
    Resize,
    Resized,
    Start,
)
from gpuyard.traces.job import Job, Trace
from strategies import Random, nodes, traces

WILD = """
patience = 5
[sites.hall]
pue = 1.5
[[nodes]]
count = 2
accelerators = 4
kind = "A100"
site = "hall"
watts = 100
cpus = 8
per_rack = 1
[[nodes]]
count = 2
accelerators = 2
kind = "A100"
site = "hall"
pool = "cloud"
present = false
usd_per_hour = 3.0
[laws.checkpoints]
interval = 5
stall = 0.5
restore_s = 1
grace = 2
requeue = 3
gigabytes = 0.5
[laws.power]
[laws.eyes]
[laws.partitions]
[laws.sweeps]
[laws.clouds.pools.cloud]
delay = 4
[tenants.a]
quota = 6
[tenants.b]
weight = 1.0
"""


@cache
def wild() -> Scenario:
    return scenario_of(WILD, "wild.toml", Path())


@st.composite
def wild_traces(draw: st.DrawFn) -> Trace:
    """Jobs of all sorts: elastic, shared, in pipelines and sweeps, of two tenants, some with deadlines."""
    made, durations, now = [], {}, 0.0
    for n in range(draw(st.integers(1, 12))):
        now += draw(st.sampled_from([0.0, 1.0, 7.0]))
        gang = draw(st.sampled_from([0, 1, 1, 2, 4]))
        elastic = gang == 2 and draw(st.booleans())
        made.append(
            Job(
                n, now, gang, draw(st.sampled_from([1.0, 0.25, 0.4])) if gang == 1 else 1.0,
                tenant=draw(st.sampled_from(["a", "b"])),
                deadline=draw(st.sampled_from([None, now + 10.0])),
                min_gang=1 if elastic else None, max_gang=4 if elastic else None,
                after=(n - 1,) if n and draw(st.booleans()) else (),
                group=draw(st.sampled_from([None, None, "g"])),
            )
        )  # fmt: skip
        durations[n] = draw(st.sampled_from([0.0, 1.0, 12.0, 40.0]))
    return Trace(tuple(made), durations)


def ideas(cluster: ClusterView, rng: np.random.Generator) -> list[Decision]:
    """Decisions of every kind, not all of them legal."""
    every = [a.id for node in cluster.nodes for a in node.accelerators]
    some = [every[i] for i in rng.permutation(len(every))]
    places = ((job.id, packed(job, cluster.room)) for job in cluster.pending if rng.random() < 0.7)
    found: list[Decision] = [Start(job, place) for job, place in places if place]
    for running in cluster.running:
        other = placed_on(some[: int(rng.integers(1, 4))])
        found += [
            (Preempt(running.job.id), Move(running.job.id, other), Resize(running.job.id, other))[rng.integers(3)]
        ]
    one = some[0]
    found += [Partition(one, ((), ("3g.20gb", "3g.20gb"))[rng.integers(2)]), Cap(one, 200.0), Provision("cloud", 1)]
    found.append(Release(f"cloud-{rng.integers(2)}"))
    return [idea for idea in found if rng.random() < 0.4]


def placed_on(accelerators: list[str]) -> Placement:
    by: dict[str, list[str]] = {}
    for name in sorted(accelerators):
        by.setdefault(name.split("/")[0], []).append(name)
    return tuple((node, tuple(names)) for node, names in by.items())


def lived(trace: Trace, seed: int) -> Session:
    """A session in which much happens, breakdowns of nodes and of accelerators included."""
    rng = np.random.default_rng(seed)
    world: Any = wild().world(trace, seed=seed)
    for time in rng.uniform(0, 60, 4):
        node = f"n{rng.integers(2)}"
        part = () if rng.random() < 0.5 else (f"{node}/{rng.integers(4)}",)
        world.at(float(time), lambda node=node, part=part: world.fall(node, "failed", part))
        world.at(float(time) + 6.0, lambda node=node, part=part: world.rise(node, "failed", part))
    session = Session(world)
    for _ in range(400):
        if not session.advance():
            break
        for idea in ideas(session.cluster, rng):
            try:
                session.act(idea)
            except InvalidDecision:
                continue
    return session


@given(wild_traces(), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_every_log_obeys_littles_law_and_its_accelerator_seconds_add_up(trace: Trace, seed: int) -> None:
    session = lived(trace, seed)
    log, found = session.log, summary(session.log)
    left, right = little(log)
    assert left == pytest.approx(right)
    assert integral(log, waiting_jobs) == pytest.approx(-waits(log))
    work = found.work
    assert work.lost is not None
    assert work.kept is not None
    assert work.overhead is not None
    assert work.held == pytest.approx(work.kept + sum(work.lost.values()) + work.overhead + work.under_way)
    assert all(part >= 0 for part in (work.kept, work.held, work.under_way, *work.lost.values()))
    meter = session.cluster.meter
    assert found.energy_kwh == (None if meter.joules is None else meter.joules / KWH)
    assert found.usd == meter.usd


def waits(log: Log) -> float:
    """Seconds without a place, of jobs that have not ended as well."""
    jobs = read(log).jobs
    last = np.where(jobs.ended, jobs.end, read(log).until)
    return float((last - jobs.submit - jobs.held).sum())


@given(wild_traces(), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_what_is_up_free_and_held_is_what_the_ledger_has(trace: Trace, seed: int) -> None:
    """The reader follows without the ledger's checks; both see the same accelerators at every moment."""
    log = lived(trace, seed).log
    story = read(log)
    whole = sum(n * s for seconds in story.ground.whole.values() for n, s in enumerate(seconds))
    clipped = Log(log.nodes, log.entries, log.tenants)
    assert whole == pytest.approx(-integral(clipped, lambda c: idle_accelerators(c) if c.now >= story.first else 0.0))
    assert story.ground.up_seconds == pytest.approx(integral(log, lambda c: up(c) if c.now >= story.first else 0.0))
    assert float(story.jobs["seat"].sum()) == pytest.approx(integral(log, held))


def up(cluster: ClusterView) -> float:
    room: Any = cluster.room
    return float(sum(mask.bit_count() for mask in room.up))


def held(cluster: ClusterView) -> float:
    return sum(r.share * len({a for _, some in r.holds for a in some}) for r in cluster.running)


@given(wild_traces(), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_parts_add_up_to_the_whole(trace: Trace, seed: int) -> None:
    log = lived(trace, seed).log
    whole, parts = summary(log), breakdown(log)
    for some in parts.values():
        for name in (
            "jobs",
            "finished",
            "failed",
            "cancelled",
            "preemptions",
            "losses",
            "restarts",
            "moves",
            "resizes",
        ):
            assert sum(getattr(one, name) for one in some.values()) == getattr(whole, name)
        assert sum(one.work.held for one in some.values()) == pytest.approx(whole.work.held)
        assert all(isinstance(one, Tally) for one in some.values())


@given(traces(), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_in_the_plain_world_overhead_is_restarts_alone(trace: Trace, seed: int) -> None:
    """A second for each start after the first, or less where the run was stopped before it was over."""
    session = Session(SimWorld(trace, nodes(), restart=1.0))
    session.play(Random(np.random.default_rng(seed)))
    wide = {job.id: job.gang * job.share for job in trace.jobs}
    first, paid = set[int](), 0.0
    for stay in sorted(stays(session.log), key=lambda stay: stay.begin):
        paid += wide[stay.job] * min(1.0, stay.end - stay.begin) if stay.job in first else 0.0
        first.add(stay.job)
    assert summary(session.log).work.overhead == pytest.approx(paid, abs=1e-9)


def test_the_sessions_of_these_laws_have_every_kind_of_entry() -> None:
    trace = Trace(tuple(Job(n, 2.0 * n, 1 + n % 2, tenant="ab"[n % 2], min_gang=1, max_gang=4) for n in range(40)),
                  dict.fromkeys(range(40), 30.0))  # fmt: skip
    kinds = {type(entry) for seed in range(3) for entry in lived(trace, seed).log.entries}
    assert {Move, Moved, Resize, Resized, Partition, Partitioned, Provision, NodeUp, NodeDown, Measured} <= kinds
