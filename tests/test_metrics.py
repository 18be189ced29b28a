"""Metrics from logs alone: small stories worked out by hand, and laws that hold for every log."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.fairness import fifo, jain, rho
from gpuyard.envs.log import Entry, Log
from gpuyard.envs.meter import KWH
from gpuyard.envs.metrics import Tally, breakdown, integral, little, read, summary
from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.placement import packed
from gpuyard.envs.rates import grams, idle_accelerators, usd, waiting_jobs, watts
from gpuyard.envs.scenario import Scenario
from gpuyard.envs.scenario import read as scenario_of
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.timeline import stays
from gpuyard.envs.vocabulary import (
    Billed,
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
    Priced,
    Provision,
    Ready,
    Release,
    Resize,
    Resized,
    Sample,
    Start,
    Stopped,
    Submitted,
    Tick,
)
from gpuyard.traces.job import Job, Trace
from strategies import Random, nodes, traces

TWO, FOUR = parse("1x2:A100"), parse("1x4:A100")


def on(*accelerators: int, node: int = 0) -> Placement:
    return ((f"n{node}", tuple(f"n{node}/{i}" for i in accelerators)),)


def told(*entries: Entry, machines: tuple[Node, ...] = TWO, tenants: Tenants | None = None) -> Log:
    """A log that the ledger would have written: it replays."""
    log = Log(machines, list(entries), tenants)
    log.replay()
    return log


def test_work_is_kept_lost_or_overhead() -> None:
    # It holds two accelerators for 10 + 8 + 14 = 32 s. 6 s of work are kept when it is preempted and 2 lost; 5 more are
    # lost with the node, which is away from 20 to 25; 16 are done in the end. Without a place: 10-12 and 20-25.
    log = told(
        Submitted(0.0, Job(1, 0.0, 2)),
        Start(1, on(0, 1)),
        Preempt(1),
        Stopped(10.0, 1, "preempted", 6.0, 2.0),
        Tick(12.0),
        Start(1, on(0, 1)),
        NodeDown(20.0, "n0", "failed"),
        Stopped(20.0, 1, "lost", 6.0, 5.0, held=True),
        Ready(22.0, 1),
        NodeUp(25.0, "n0"),
        Start(1, on(0, 1)),
        Stopped(39.0, 1, "finished", 16.0),
    )
    found = summary(log)
    assert (found.mean_jct, found.mean_wait) == (39.0, 7.0)
    assert (found.work.held, found.work.kept, found.work.overhead) == (64.0, 32.0, 64.0 - 32.0 - 4.0 - 10.0)
    assert found.work.lost == {"preempted": 4.0, "lost": 10.0, "failed": 0.0, "cancelled": 0.0}
    assert (found.preemptions, found.losses, found.restarts, found.decisions) == (1, 1, 2, 4)
    assert found.utilization == 64.0 / (2 * (39.0 - 5.0))
    assert found.goodput == 32.0 / 68.0
    assert little(log) == (39.0, 39.0)


def test_what_failed_and_was_cancelled_was_in_vain_and_cancelled_jobs_are_in_no_mean() -> None:
    log = told(
        Submitted(0.0, Job(1, 0.0, group="sweep")),
        Submitted(0.0, Job(2, 0.0)),
        Submitted(0.0, Job(3, 0.0)),
        Submitted(0.0, Job(4, 0.0, after=(2,))),
        Start(1, on(0)),
        Start(2, on(1)),
        Stopped(5.0, 1, "cancelled", 4.0, 0.5),
        Stopped(7.0, 2, "failed", 6.0),
        Stopped(7.0, 4, "cancelled"),
        Start(3, on(0)),
        Stopped(10.0, 3, "finished", 3.0),
    )
    found = summary(log)
    assert (found.jobs, found.finished, found.failed, found.cancelled) == (4, 1, 1, 2)
    assert (found.mean_jct, found.mean_wait) == ((7.0 + 10.0) / 2, (0.0 + 7.0) / 2)
    assert found.work.lost == {"preempted": 0.0, "lost": 0.0, "failed": 6.0, "cancelled": 4.5}
    assert (found.work.kept, found.work.overhead) == (3.0, 5.0 + 7.0 + 3.0 - 3.0 - 6.0 - 4.5)
    assert little(log) == (5.0 + 7.0 + 10.0 + 7.0,) * 2


def test_what_cannot_be_told_is_none() -> None:
    log = told(Submitted(0.0, Job(1, 0.0)), Start(1, on(0)), Stopped(4.0, 1))
    found = summary(log)
    assert (found.work.held, found.work.kept, found.work.lost, found.work.overhead) == (4.0, None, None, None)
    assert (found.goodput, found.measured_utilization, found.energy_kwh, found.carbon_kg, found.usd) == (None,) * 5
    assert (found.max_rho, found.p95_rho, found.jain, found.deadlines_met) == (None,) * 4
    assert read(log).ended.run.tolist() == [4.0]
    empty = summary(Log(TWO))
    assert (empty.mean_jct, empty.utilization, empty.fragmentation, empty.goodput, empty.p95_wait) == (None,) * 5


def test_who_moves_holds_both_places_and_a_share_counts_as_its_part() -> None:
    # Job 1 holds 1 accelerator 0-4, 2 while it moves 4-6, 1 6-10. Job 2 holds a quarter of one 0-10, as it is packed.
    log = told(
        Submitted(0.0, Job(1, 0.0)),
        Submitted(0.0, Job(2, 0.0, share=0.5)),
        Start(1, on(0)),
        Start(2, on(3), share=0.25),
        Tick(4.0),
        Move(1, on(1)),
        Moved(6.0, 1),
        Stopped(10.0, 1, "finished", 8.0),
        Stopped(10.0, 2, "finished", 8.0),
        machines=FOUR,
    )
    found = summary(log)
    assert (found.work.held, found.moves) == (4 + 2 * 2 + 4 + 2.5, 1)
    assert (found.work.kept, found.work.overhead) == (8.0 + 8.0 * 0.5, 14.5 - 12.0)
    assert [(s.job, s.begin, s.end, s.share) for s in stays(log)] == [
        (1, 0.0, 4.0, 1.0),
        (1, 4.0, 6.0, 1.0),
        (1, 6.0, 10.0, 1.0),
        (2, 0.0, 10.0, 0.25),
    ]


def test_an_elastic_job_holds_what_it_got() -> None:
    # It asked for 2, starts with 1, and gets 3 at second 10: from the decision at 8 on it holds all of them.
    log = told(
        Submitted(0.0, Job(1, 0.0, 2, min_gang=1, max_gang=4)),
        Start(1, on(0)),
        Tick(8.0),
        Resize(1, on(1, 2, 3)),
        Resized(10.0, 1),
        Stopped(20.0, 1, "finished", 18.0),
        machines=FOUR,
    )
    found = summary(log)
    assert (found.work.held, found.resizes) == (8.0 + 4 * 2.0 + 3 * 10.0, 1)
    assert (found.work.kept, found.work.overhead) == (36.0, 10.0)
    assert list(breakdown(log)["by_gang"]) == ["2-4"]


def test_a_run_that_the_log_does_not_see_the_end_of_is_under_way() -> None:
    log = told(
        Submitted(0.0, Job(1, 0.0, deadline=50.0)),
        Start(1, on(0)),
        Preempt(1),
        Stopped(10.0, 1, "preempted", 9.0, 1.0),
        Start(1, on(0)),
        Tick(100.0),
    )
    found = summary(log)
    assert found.work.held == 100.0
    assert (found.work.under_way, found.work.kept, found.work.lost) == (
        90.0, 9.0, {"preempted": 1.0, "lost": 0.0, "failed": 0.0, "cancelled": 0.0},
    )  # fmt: skip
    assert found.work.overhead == 0.0
    assert (found.mean_jct, found.makespan, found.deadlines_met) == (None, None, 0.0)
    assert little(log) == (100.0, 100.0)


def test_machines_count_while_they_are_up() -> None:
    # From the first submission at 10: n0's two accelerators to 30, one of them away 12-16; n1's two from 20 on.
    machines = (TWO[0], Node("n1", parse("2x2:A100")[1].accelerators, pool="cloud", present=False))
    log = told(
        NodeDown(5.0, "n0", "failed", ("n0/1",)),
        NodeUp(6.0, "n0", ("n0/1",)),
        Submitted(10.0, Job(1, 10.0)),
        Start(1, on(0)),
        Provision("cloud", 1),
        NodeDown(12.0, "n0", "failed", ("n0/1",)),
        NodeUp(16.0, "n0", ("n0/1",)),
        NodeUp(20.0, "n1"),
        Stopped(30.0, 1, "finished", 20.0),
        machines=machines,
    )
    assert summary(log).utilization == 20.0 / (2 * 20.0 - 4.0 + 2 * 10.0)


def test_energy_carbon_and_money_are_the_ledgers_and_the_integrals_of_their_rates() -> None:
    # 300 W for 10 s and 100 W for 90 s at PUE 2, and 50 W of the host: 2 (3000 + 9000 + 5000) J. Electricity costs
    # 0.36 USD and 720 g a kWh, the node 36 USD an hour, and 5 USD fall due at once.
    node = Node("n0", TWO[0].accelerators, site="s", usd_per_hour=36.0, watts=50.0, pue=2.0)
    log = told(
        Priced(0.0, "s", usd_per_kwh=0.36, grams_per_kwh=720.0),
        Submitted(0.0, Job(1, 0.0)),
        Measured(0.0, (Sample("n0/0", 0.5, None, 300.0), Sample("n0/1", None, None, 0.0))),
        Start(1, on(0)),
        Measured(10.0, (Sample("n0/0", 1.0, None, 100.0), Sample("n0/1", 0.0))),
        Billed(50.0, 5.0, "egress"),
        Stopped(100.0, 1, "finished", 100.0),
        machines=(node,),
    )
    found, meter = summary(log), log.replay().meter
    joules = 34_000.0
    assert found.energy_kwh == pytest.approx(joules / KWH)
    assert found.carbon_kg == pytest.approx(joules / KWH * 0.72)
    assert found.usd == pytest.approx(joules / KWH * 0.36 + 1.0 + 5.0)
    assert (found.energy_kwh, found.usd) == (meter.joules / KWH, meter.usd)  # type: ignore[operator]
    assert integral(log, watts) == pytest.approx(-joules)
    assert integral(log, grams) == pytest.approx(-joules / KWH * 720)
    assert integral(log, usd) == pytest.approx(-joules / KWH * 0.36 - 1.0)
    # n0/0 is known for 100 s, busy for 5 + 90 of them; n0/1 for 90 s, idle.
    assert found.measured_utilization == pytest.approx(95.0 / 190.0)


def test_fragments_are_what_a_job_of_the_log_could_not_use() -> None:
    # Two nodes of two. Jobs: three gangs of 1, one of 4, which wants all of a node. n0 has one free from 0 to 10, n1 is
    # whole: a quarter of the jobs cannot use the one. Free: 1 + 2 for 10 s; fragments: 1/4 of 1 for 10 s.
    machines = parse("2x2:A100")
    waiting = [Submitted(0.0, Job(n, 0.0, gang)) for n, gang in ((1, 1), (2, 1), (3, 1), (4, 4))]
    log = told(*waiting, Start(1, on(0)), Stopped(10.0, 1, "finished", 10.0), machines=machines)
    assert summary(log).fragmentation == pytest.approx((10 / 4) / 30)
    # Jobs of CPUs alone say nothing about accelerators at all.
    hosts = told(
        Submitted(0.0, Job(1, 0.0, 0)), Start(1, (("n0", ()),)), Stopped(10.0, 1, "finished", 10.0), machines=machines
    )
    assert summary(hosts).fragmentation is None
    # A job that wants only B's says nothing about A100s.
    other = told(Submitted(0.0, Job(9, 0.0, 4, kinds=("B",))), *log.entries, machines=machines)
    assert summary(other).fragmentation == pytest.approx((10 / 4) / 30)


def test_what_is_left_of_a_shared_accelerator_is_a_fragment_for_larger_shares() -> None:
    # 0.7 of the only accelerator is in use: 0.3 is free for 10 s, of use to the job of 0.2 alone, of three.
    jobs = [Submitted(0.0, Job(n, 0.0, share=share)) for n, share in ((1, 0.7), (2, 0.2), (3, 1.0))]
    log = told(*jobs, Start(1, on(0)), Stopped(10.0, 1, "finished", 10.0), machines=parse("1x1:A100"))
    assert summary(log).fragmentation == pytest.approx(2 / 3)


def test_mig_instances_are_free_by_their_compute() -> None:
    # Cut into 3g + 3g after 5 s, which takes 5 s: free are 1, 0, then 6/7, and 3/7 once job 1 stands on one of them.
    # Shares of 3/7 fit everywhere; the whole one fits nothing but the uncut accelerator: half of what is free later.
    machines = (Node("n0", (Accelerator("n0/0", "A100", 40 * 2**30),)),)
    log = told(
        Submitted(0.0, Job(1, 0.0, share=0.4)),
        Submitted(0.0, Job(2, 0.0)),
        Tick(5.0),
        Partition("n0/0", ("3g.20gb", "3g.20gb")),
        Partitioned(10.0, "n0/0", ("3g.20gb", "3g.20gb")),
        Tick(20.0),
        Start(1, (("n0", ("n0/0#0",)),)),
        Stopped(40.0, 1, "finished", 20.0),
        machines=machines,
    )
    later = 2 * 0.429 * 10 + 0.429 * 20
    assert summary(log).fragmentation == pytest.approx(later / 2 / (5 + later))


def test_finish_time_fairness_compares_with_a_part_of_ones_own() -> None:
    # Four accelerators, a has 1 of its own and b 3. Alone, a's jobs end at 100 and 100 + 2 x 50 (a gang of 2 on 1), b's
    # at 60. Here a's first waits for b until 60: 160 / 100; its second ends at 210 / 200; b's at once: 60 / 60.
    tenants = Tenants((Tenant("a", quota=1), Tenant("b", quota=3)))
    log = told(
        Submitted(0.0, Job(1, 0.0, 3, tenant="b")),
        Submitted(0.0, Job(2, 0.0, tenant="a")),
        Submitted(0.0, Job(3, 0.0, 2, tenant="a")),
        Start(1, on(0, 1, 2)),
        Stopped(60.0, 1, "finished", 60.0),
        Start(2, on(0)),
        Stopped(160.0, 2, "finished", 100.0),
        Start(3, on(0, 1)),
        Stopped(210.0, 3, "finished", 50.0),
        machines=FOUR,
        tenants=tenants,
    )
    found = summary(log)
    assert rho(read(log).jobs, tenants, 4.0).tolist() == [1.0, 1.6, 1.05]
    assert found.max_rho == 1.6
    assert found.jain == pytest.approx((1 + 1.6 + 1.05) ** 2 / (3 * (1 + 1.6**2 + 1.05**2)))
    parts = breakdown(log)["by_tenant"]
    assert (parts["a"].max_rho, parts["b"].max_rho, parts["b"].jain) == (1.6, 1.0, 1.0)


def test_a_queue_alone_is_first_come_first_served() -> None:
    ends = fifo(np.array([0.0, 0.0, 1.0, 50.0]), np.array([10.0, 4.0, 2.0, 1.0]), np.array([2.0, 3.0, 1.0, 1.0]), 3.0)
    assert ends.tolist() == [10.0, 14.0, 16.0, 51.0]  # the third waits behind the second, though it would fit at once
    # The first comes after the third, which waits for nobody: the second starts at 0, the third at 4, the first at 6.
    ends = fifo(np.array([0.0, 0.0, 1.0]), np.array([10.0, 4.0, 2.0]), np.array([2.0, 3.0, 3.0]), 3.0, [[2], [], []])
    assert ends.tolist() == [16.0, 4.0, 6.0]
    assert (jain(np.array([2.0, 2.0])), jain(np.array([1.0, 0.0]))) == (1.0, 0.5)


def test_deadlines_count_when_their_outcome_is_known() -> None:
    jobs = [
        Job(1, 0.0, deadline=9.0),
        Job(2, 0.0, deadline=10.0),
        Job(3, 0.0, deadline=5.0),
        Job(4, 0.0, deadline=99.0),
    ]
    log = told(
        *(Submitted(0.0, job) for job in jobs),
        Start(1, on(0)),
        Start(2, on(1)),
        Stopped(9.0, 1, "finished", 9.0),
        Stopped(10.0, 2, "failed", 9.0),
    )
    assert summary(log).deadlines_met == pytest.approx(1 / 3)  # of 1 (met), 2 (failed), 3 (past); 4 may still be met


def test_percentiles_and_parts() -> None:
    entries: list[Entry] = []
    for n in range(1, 101):
        entries += [Submitted(float(1000 * n), Job(n, 1000.0 * n, tenant="a" if n <= 50 else None)), Start(n, on(0))]
        entries.append(Stopped(1000.0 * n + n, n, "finished", float(n)))
    log = told(*entries)
    found = summary(log)
    assert (found.median_jct, found.p95_jct, found.p99_jct) == (50.5, 95.05, 99.01)
    parts = breakdown(log)["by_tenant"]
    assert {name: (one.jobs, one.mean_jct, one.work.held) for name, one in parts.items()} == {
        "none": (50, 75.5, 3775.0),
        "a": (50, 25.5, 1275.0),
    }
    window = summary(log, only=range(1, 51))
    assert (window.jobs, window.mean_jct, window.utilization) == (50, 25.5, found.utilization)


# Laws, over random sessions.

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
