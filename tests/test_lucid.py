"""Lucid: who is served first, who stands beside whom, and what has to be seen before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.laws.eyes import Eyes
from gpuyard.envs.laws.law import Stage
from gpuyard.envs.laws.sharing import Sharing
from gpuyard.envs.session import Session
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Measured, Sample, Start
from gpuyard.policies.habits import Habit, kin
from gpuyard.policies.lucid import Lucid, score
from gpuyard.traces.job import Job, Trace
from tales import ended, ends, said, tell
from witness import Witness, watched

GIB = 2**30
PACKS = {"sharing": Sharing(kept=0.8)}
"""On A100 no pairs were measured: each of two keeps 0.8."""
RECOMMENDATION = "recommendation"  # makes a V100 0.03 busy, and keeps 2.15 GB in memory: tiny


def asks(*seconds: float, **more: Any) -> list[tuple[Job, float]]:
    return [(Job(n, 0.0, estimate=time, **more), time) for n, time in enumerate(seconds)]


def starts(jobs: list[tuple[Job, float]], cluster: str, laws: Any = PACKS, **more: Any) -> list[tuple[float, int]]:
    told = tell(jobs, cluster, laws, Lucid(), **more)
    return [(time, one.job) for time, one in told.log.timed() if isinstance(one, Start)]


def test_the_smallest_expected_area_comes_first_and_who_does_not_fit_is_passed_over() -> None:
    """Areas 90, 2 x 40 and 70: 2 begins, 1 does not fit, 0 does; 1 when both are over."""
    jobs = asks(90.0, 40.0, 70.0)
    jobs[1] = replace(jobs[1][0], gang=2), 40.0
    assert starts(jobs, "1x2:A100", {}) == [(0.0, 2), (0.0, 0), (90.0, 1)]


def test_two_tiny_ones_share_an_accelerator() -> None:
    """Both keep 0.8 until the first has its 100 s, at 125; the other has 60 s left, alone."""
    told = tell(asks(100.0, 160.0, profile=RECOMMENDATION), "1x1:A100", PACKS, Lucid())
    assert [(s.job, s.share) for s in said(told, Start)] == [(0, 0.5), (1, 0.5)]
    assert ended(told) == ends((125.0, 0, "finished", 100.0, 0.0), (185.0, 1, "finished", 160.0, 0.0))


def test_nobody_is_packed_who_finds_room() -> None:
    told = tell(asks(100.0, 100.0, profile=RECOMMENDATION), "1x2:A100", PACKS, Lucid())
    assert [time for time, *_ in ended(told)] == [100.0, 100.0]


def test_no_more_than_two_stand_together() -> None:
    jobs = asks(100.0, 100.0, 100.0, profile=RECOMMENDATION)
    assert starts(jobs, "1x1:A100") == [(0.0, 0), (0.0, 1), (125.0, 2)]


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (RECOMMENDATION, "resnet", True),  # 0 + 2
        ("resnet", "transformer", False),  # 2 + 2
        (RECOMMENDATION, "lm", False),  # nobody said how busy it is
        (RECOMMENDATION, None, False),
    ],
)
def test_scores_of_a_pair_are_two_at_most(one: str, other: str | None, together: bool) -> None:
    jobs = [(replace(job, profile=name), 100.0) for (job, _), name in zip(asks(9.0, 9.0), (one, other), strict=True)]
    assert (starts(jobs, "1x1:A100")[1][0] == 0.0) is together


def test_measured_pairs_tell_more_than_how_busy_one_is() -> None:
    """On V100 a recommender keeps 0.51 of its pace beside others, so it is none of the tiny ones there."""
    job = Job(0, 0.0, profile=RECOMMENDATION)
    assert (score(job, "V100"), score(job, "A100")) == (2, 0)
    jobs = asks(100.0, 100.0, profile=RECOMMENDATION)
    assert starts(jobs, "1x1:V100") == [(0.0, 0), (100.0, 1)]


@pytest.mark.parametrize(("busy", "told"), [(0.0, 0), (0.24, 0), (0.25, 1), (0.59, 1), (0.6, 2), (1.0, 2)])
def test_scores_by_how_busy_one_is(busy: float, told: int) -> None:
    assert score(Job(0, 0.0), "A100", Habit().after(busy, None)) == told
    assert score(Job(0, 0.0), "A100") is None


@pytest.mark.parametrize(("seconds", "together"), [(200.0, True), (201.0, False)])
def test_a_newcomer_may_be_twice_as_long_and_no_more(seconds: float, together: bool) -> None:
    jobs = asks(100.0, seconds, profile=RECOMMENDATION)
    assert (starts(jobs, "1x1:A100")[1][0] == 0.0) is together


def test_what_would_not_fit_into_memory_together_is_not_packed() -> None:
    """An A100 has 40 GiB: 20 and 20 do, 21 and 20 do not."""
    for first, time in ((20, 0.0), (21, 100.0)):
        jobs = asks(100.0, 100.0, profile=RECOMMENDATION, memory=20 * GIB)
        jobs[0] = replace(jobs[0][0], memory=first * GIB), 100.0
        assert starts(jobs, "1x1:A100")[1][0] == time


def test_gangs_are_packed_on_one_node_and_not_on_several() -> None:
    gangs = asks(100.0, 100.0, gang=2, profile=RECOMMENDATION)
    assert starts(gangs, "1x2:A100") == [(0.0, 0), (0.0, 1)]
    assert starts(gangs, "2x1:A100") == [(0.0, 0), (100.0, 1)]


def test_one_that_nobody_knows_is_profiled_while_it_runs_and_its_kin_is_known_then() -> None:
    """Seen at 10 % and 1 GiB at 150, which counts at the next look after 200 s of its run; its sweep's other joins.

    It has 400 s at 400, the other none; both keep 0.8 from then.
    """

    def look(stage: Stage) -> None:
        stage.say(Measured(150.0, (Sample("n0/0", busy=0.1, memory=GIB),)))

    told = tell(asks(600.0, 600.0, group="sweep"), "1x1:A100", PACKS, Lucid(), [(150.0, look)], tick=400.0)
    assert [(time, one.job) for time, one in told.log.timed() if isinstance(one, Start)] == [(0.0, 0), (400.0, 1)]
    assert ended(told)[0] == pytest.approx((400 + 200 / 0.8, 0, "finished", 600.0, 0.0))


@pytest.mark.parametrize(("count", "seen"), [(1, {0.03}), (2, set[float]())])
def test_what_was_seen_beside_another_is_nobodys_own(count: int, seen: set[float]) -> None:
    """Two together make it 6 % busy, from the first to the last second: a look says nothing of either."""
    policy, laws = Lucid(), {**PACKS, "eyes": Eyes(noise=0.0, every=50.0)}
    told = tell(asks(*[900.0] * count, profile=RECOMMENDATION), "1x1:A100", laws, policy, tick=200.0)
    assert {round(habit.busy, 6) for habit in policy._habits.of(told.cluster, pytest.fail)._kin.values()} == seen


def test_kin() -> None:
    assert kin(Job(0, 0.0)) is None
    assert kin(Job(0, 0.0, name="train")) == kin(Job(1, 5.0, name="train")) != kin(Job(1, 5.0, name="test"))
    assert kin(Job(0, 0.0, profile="lm", name="train")) == "lm"


def test_a_part_of_an_accelerator_is_not_given_beside_one_that_asked_for_all_of_it() -> None:
    jobs = [(Job(0, 0.0, estimate=10.0), 100.0), (Job(1, 0.0, share=0.25, estimate=20.0), 100.0)]
    assert starts(jobs, "1x1:A100") == [(0.0, 0), (100.0, 1)]
    assert starts(jobs, "1x2:A100") == [(0.0, 0), (0.0, 1)]


def test_where_tenants_have_quotas_everybody_has_its_own() -> None:
    tenants = Tenants((Tenant("a", quota=1, borrow=0),))
    told = tell(asks(50.0, 50.0, profile=RECOMMENDATION, tenant="a"), "1x2:A100", PACKS, Lucid(), tenants=tenants)
    assert [(s.job, s.share) for s in said(told, Start)] == [(0, None), (1, None)]
    assert [time for time, *_ in ended(told)] == [50.0, 100.0]


@given(storm.traces(), st.integers(0, 9), st.booleans())
@settings(max_examples=80, deadline=None)
def test_all_that_is_decided_in_a_storm_is_legal(trace: Trace, seed: int, quotas: bool) -> None:
    jobs = tuple(replace(j, estimate=[0.0, 1.0, 8.0, 50.0][(j.id + seed) % 4]) for j in trace.jobs)
    world = storm.world(replace(trace, jobs=jobs), seed)
    world.tenants = world.tenants if quotas else None
    session, policy = Session(world), Lucid(profiling=2.0)
    tenants = session.cluster.tenants or Tenants([Tenant("a"), Tenant("b"), Tenant("c")])
    witness = Witness(session.cluster.nodes, tenants, trace.durations)
    watched(session, policy, witness)
