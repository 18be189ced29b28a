"""Metrics from logs alone: small stories worked out by hand."""

from __future__ import annotations

import pytest

from gpuyard.envs.log import Entry, Log
from gpuyard.envs.meter import KWH
from gpuyard.envs.metrics import breakdown, integral, little, read, summary
from gpuyard.envs.nodes import Node, parse
from gpuyard.envs.rates import grams, usd, watts
from gpuyard.envs.timeline import stays
from gpuyard.envs.vocabulary import (
    Billed,
    Measured,
    Move,
    Moved,
    NodeDown,
    NodeUp,
    Preempt,
    Priced,
    Provision,
    Ready,
    Resize,
    Resized,
    Sample,
    Start,
    Stopped,
    Submitted,
    Tick,
)
from gpuyard.traces.job import Job
from tales import TWO, log_of, on

FOUR = parse("1x4:A100")


def test_work_is_kept_lost_or_overhead() -> None:
    # It holds two accelerators for 10 + 8 + 14 = 32 s. 6 s of work are kept when it is preempted and 2 lost; 5 more are
    # lost with the node, which is away from 20 to 25; 16 are done in the end. Without a place: 10-12 and 20-25.
    log = log_of(
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
    log = log_of(
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
    log = log_of(Submitted(0.0, Job(1, 0.0)), Start(1, on(0)), Stopped(4.0, 1))
    found = summary(log)
    assert (found.work.held, found.work.kept, found.work.lost, found.work.overhead) == (4.0, None, None, None)
    assert (found.goodput, found.measured_utilization, found.energy_kwh, found.carbon_kg, found.usd) == (None,) * 5
    assert (found.max_rho, found.p95_rho, found.jain, found.deadlines_met) == (None,) * 4
    assert read(log).ended.run.tolist() == [4.0]
    empty = summary(Log(TWO))
    assert (empty.mean_jct, empty.utilization, empty.fragmentation, empty.goodput, empty.p95_wait) == (None,) * 5


def test_who_moves_holds_both_places_and_a_share_counts_as_its_part() -> None:
    # Job 1 holds 1 accelerator 0-4, 2 while it moves 4-6, 1 6-10. Job 2 holds a quarter of one 0-10, as it is packed.
    log = log_of(
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
    log = log_of(
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
    log = log_of(
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
    log = log_of(
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
    log = log_of(
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


def test_deadlines_count_when_their_outcome_is_known() -> None:
    jobs = [
        Job(1, 0.0, deadline=9.0),
        Job(2, 0.0, deadline=10.0),
        Job(3, 0.0, deadline=5.0),
        Job(4, 0.0, deadline=99.0),
    ]
    log = log_of(
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
    log = log_of(*entries)
    found = summary(log)
    assert (found.median_jct, found.p95_jct, found.p99_jct) == (50.5, 95.05, 99.01)
    parts = breakdown(log)["by_tenant"]
    assert {name: (one.jobs, one.mean_jct, one.work.held) for name, one in parts.items()} == {
        "none": (50, 75.5, 3775.0),
        "a": (50, 25.5, 1275.0),
    }
    window = summary(log, only=range(1, 51))
    assert (window.jobs, window.mean_jct, window.utilization) == (50, 25.5, found.utilization)
