"""Themis' auction against brute force, its measure on numbers one can do in one's head, its leases as stories."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Session
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Start
from gpuyard.policies.auction import Bid, Win, auction
from gpuyard.policies.themis import Application, Themis, themis
from gpuyard.traces.job import Job, Trace
from stories import story, trace

HASTY = Themis(lease=10.0, tick=10.0)


def test_the_larger_gain_wins_and_pays_for_the_harm_it_does() -> None:
    """One thing, worth twice as much to the first as nothing and three times to the second: 1 x 3 beats 2 x 1.

    Without the second the first would have had 2, and has 1: the second keeps a half of what it won.
    """
    one, two = Bid((0, 1), (1.0, 2.0)), Bid((0, 1), (1.0, 3.0))
    first, second = auction([one, two], 1)
    assert (first.bundle, second.bundle) == (0, 1)
    assert (first.keeps, second.keeps) == pytest.approx((1.0, 0.5))
    assert auction([one, two], 2) == [Win(1, 1.0), Win(1, 1.0)], "nobody is harmed where there is enough"
    assert auction([one], 0) == [Win(0, 1.0)]


@st.composite
def bids(draw: st.DrawFn) -> Bid:
    steps = draw(st.lists(st.integers(1, 3), max_size=3))
    values = draw(st.lists(st.sampled_from([0.1, 0.5, 1.0, 4.0]), min_size=len(steps) + 1, max_size=len(steps) + 1))
    return Bid(tuple(sum(steps[:n]) for n in range(len(steps) + 1)), tuple(values))


def best(of: list[Bid], pool: int) -> float:
    """The largest product of values, by trying all."""
    tries = product(*(range(len(bid.sizes)) for bid in of))
    fits = (t for t in tries if sum(bid.sizes[n] for bid, n in zip(of, t, strict=True)) <= pool)
    return max(prod(bid.values[n] for bid, n in zip(of, t, strict=True)) for t in fits)


@given(st.lists(bids(), min_size=1, max_size=4), st.integers(0, 8))
@settings(max_examples=150, deadline=None)
def test_auctions_are_won_and_paid_as_by_brute_force(of: list[Bid], pool: int) -> None:
    wins = auction(of, pool)
    assert sum(bid.sizes[win.bundle] for bid, win in zip(of, wins, strict=True)) <= pool
    values = [bid.values[win.bundle] for bid, win in zip(of, wins, strict=True)]
    assert prod(values) == pytest.approx(best(of, pool))
    for number, win in enumerate(wins):
        others = [*of[:number], *of[number + 1 :]]
        assert win.keeps == pytest.approx(prod(values) / values[number] / best(others, pool))


def app(*gangs: int, waited: float = 50.0, left: float = 100.0, most: float = 4.0, held: float = 0.0) -> Application:
    return Application(tuple(Job(n, 0.0, gang) for n, gang in enumerate(gangs)), waited, left, most, held, 100.0, 10.0)


def test_the_measure_is_waiting_and_what_is_to_come_over_what_it_would_be_alone() -> None:
    assert app(4).rho(4) == pytest.approx((50 + 100 / 4) / 100)
    assert app(4).rho() == pytest.approx((50 + 10 + 100 / 4) / 100), "one lease more"
    assert app(4, held=4).rho() == app(4).rho(4)
    assert app(1, 3).rho(1) == pytest.approx((50 + 10 + (100 - 10) / 4) / 100), "a quarter for one lease, then all"
    assert app(1, 3, left=8).rho(1) == pytest.approx((50 + 8) / 100), "it ends within the lease"
    assert app(1, 3).bid(3) == Bid((0, 1), (1 / app().rho(), 1 / app().rho(1)))


def test_of_a_gang_that_the_payment_would_cut_all_is_kept_or_nothing() -> None:
    rng = np.random.default_rng(0)
    keeps = [[job.id for job in app(1, 1, 4).kept(3, 0.5, rng)] for _ in range(2000)]
    assert {tuple(kept) for kept in keeps} == {(0, 1), (0, 1, 2)}
    assert sum(2 in kept for kept in keeps) / 2000 == pytest.approx(0.25, abs=0.03), "3 of 6, of which 1 of the last 4"
    assert [job.id for job in app(1, 1, 4).kept(3, 1.0, rng)] == [0, 1, 2]


def test_leases_go_to_the_application_that_is_further_behind() -> None:
    """Jobs of 25 s. At 10 s job 1 expects 10 + 10 + 15, job 2 10 + 10 + 25; at 20 s they are equal, and 2 stays."""
    assert story(HASTY, trace((0, 1, 25), (0, 1, 25)), "1x1:A", tick=10.0) == [
        "0: 1 comes, 2 comes, 1 starts on n0/0",
        "10: stop 1, 1 preempted with 10 s done, 2 starts on n0/0",
        "30: stop 2, 2 preempted with 20 s done, 1 starts on n0/0",
        "45: 1 finished with 25 s done, 2 starts on n0/0",
        "50: 2 finished with 25 s done",
    ]


def test_a_lease_that_begins_late_lasts_to_the_end_of_the_next() -> None:
    """Job 2 gets its place at 7 s: 3 s later it keeps it, although job 3 waits."""
    lines = story(HASTY, trace((0, 1, 7), (1, 1, 25), (7, 1, 25)), "1x1:A", tick=1.0)
    assert next(line for line in lines if "stop" in line).startswith("20: stop 2")


def test_with_tenants_a_tenant_bids_for_all_its_jobs() -> None:
    """Ann has nine jobs and Bob one, each of 100 s; Bob, alone as old as Ann, is the worse off with each lease."""
    jobs = [Job(n, 0.0, tenant="ann" if n < 9 else "bob", estimate=100.0) for n in range(10)]
    told, tenants = Trace(tuple(jobs), dict.fromkeys(range(10), 100.0)), Tenants((Tenant("ann"), Tenant("bob")))
    session = Session(HarshWorld(told, parse("1x1:A"), tenants=tenants, restart=0.0, tick=10.0))
    log = session.play(HASTY)
    starts = [entry.job for entry in log.entries if isinstance(entry, Start)]
    assert starts.index(9) <= 2, "Bob's turn does not come after nine others"
    assert not session.cluster.pending


@given(storm.traces(), st.integers(0, 7))
@settings(max_examples=25, deadline=None)
def test_every_decision_is_legal_in_a_storm(trace: Trace, seed: int) -> None:
    told = trace.of([replace(job, estimate=trace.durations[job.id]) for job in trace.jobs])
    session, hasty = Session(storm.world(told, seed)), replace(themis, lease=8.0, tick=4.0)
    for _ in range(150):
        if not session.advance():
            break
        for decision in hasty.decide(session.cluster):
            session.act(decision)
    assert session.log.replay().state() == session.cluster.state()
