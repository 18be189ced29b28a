"""AFS-L and Optimus: divisions by hand, and stories of jobs that grow and shrink.

A job without a profile has gang^0.9 of the rate of one accelerator: 1, 1.866, 2.688, 3.482 for one to four.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpuyard.envs.cluster import Cluster
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.nodes import parse
from gpuyard.envs.room import width
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Preempt, Resize, Start, Submitted
from gpuyard.policies.afs import Elastic, afs, apathetic, optimus
from gpuyard.policies.gangs import Claim
from gpuyard.policies.settling import _gives
from gpuyard.traces.job import Job
from tales import at, ended, ends, said, tell, trace_of

Ask = tuple[Job, float]


def elastic(number: int, seconds: float, submit: float = 0.0, most: int = 8, **more: object) -> Ask:
    """A job that takes one accelerator or more, is recorded on one, and tells how long it takes."""
    return Job(number, submit, estimate=seconds, min_gang=1, max_gang=most, **more), seconds  # type: ignore[arg-type]


def gangs(policy: Elastic, jobs: list[Ask], cluster: str) -> dict[int, int]:
    """Job -> accelerators with which it first starts."""
    told = tell(jobs, cluster, {"speed": Speed()}, replace(policy))
    return {start.job: width(start.placement) for start in reversed(said(told, Start))}


def claim(left: float, rates: list[float], rung: int) -> Claim:
    return Claim(Job(0, 0.0), None, left, {"A": tuple(enumerate(rates, 1))}, "A", rung)


@pytest.mark.parametrize(
    ("short", "long", "first"),
    [
        ([1.0, 2.0], [1.0, 2.0], "short"),  # both scale as they should: 1/2 is not above 1
        ([1.0, 1.2], [1.0, 2.0], "long"),  # 1/2 is above 0.2
        ([1.0, 1.5], [1.0, 2.0], "short"),  # 1/2 is not above 1/2: equals help the shorter
        ([1.0, 1.4], [1.0, 1.5], "short"),  # 1/3 is not above 0.4
        ([1.0, 1.3], [1.0, 1.5], "long"),  # 1/3 is above 0.3
    ],
)
def test_the_longer_gets_more_only_if_its_part_gained_is_larger(
    short: list[float], long: list[float], first: str
) -> None:
    one, other = claim(10.0, short, 0), claim(20.0, long, 0)
    assert apathetic(one, other) is (first == "short")
    assert apathetic(other, one) is (first == "long")


def test_gains_count_by_the_accelerator() -> None:
    """Two more for 3/4 of what it has then are 3/8 each; one more for 0.4 is more."""
    long = Claim(Job(0, 0.0), None, 90.0, {"A": ((1, 1.0), (3, 4.0))}, "A", 0)
    assert apathetic(claim(10.0, [1.0, 1.4], 0), long)
    assert not apathetic(claim(10.0, [1.0, 1.3], 0), long)


@pytest.mark.parametrize(("count", "short", "long"), [(2, 1, 1), (3, 2, 1), (4, 2, 2), (5, 3, 2), (6, 3, 3)])
def test_afs_divides_by_hand(count: int, short: int, long: int) -> None:
    """One each, as 1 > 0.866; then by turns: 0.866 > 0.464, 0.440 < 0.464, 0.440 > 0.306, 0.296 < 0.306."""
    assert gangs(afs, [elastic(0, 1000.0), elastic(1, 100.0)], f"1x{count}:V100") == {0: long, 1: short}


@pytest.mark.parametrize(("count", "short", "long"), [(2, 1, 1), (3, 1, 2), (4, 1, 3), (5, 1, 4), (6, 1, 5), (7, 2, 5)])
def test_optimus_divides_by_hand(count: int, short: int, long: int) -> None:
    """Gains of the long one: 464, 164, 85, 52, 36 s; of the short one 46."""
    assert gangs(optimus, [elastic(0, 1000.0), elastic(1, 100.0)], f"1x{count}:V100") == {0: long, 1: short}


def test_one_that_is_left_alone_grows_when_it_has_rested() -> None:
    """Two accelerators each until 53.589; then two are free, and the other may grow at the next look, at 360.

    Until then 1.866 x 360 = 671.8 s are done; 328.2 s with four take 94.25 s, after no restart.
    """
    told = tell([elastic(0, 1000.0), elastic(1, 100.0)], "1x4:V100", {"speed": Speed()}, replace(afs), tick=360.0)
    assert [width(resize.placement) for resize in said(told, Resize)] == [4]
    done = 360.0 * 2**0.9
    end = 360.0 + (1000.0 - done) / 4**0.9
    assert ended(told) == ends((100 / 2**0.9, 1, "finished", 100.0, 0.0), (end, 0, "finished", 1000.0, 0.0))


def test_one_that_comes_gets_what_another_has_too_much() -> None:
    """It comes at 400, when the first has had four long enough: both have two, at once."""
    told = tell([elastic(0, 9000.0), elastic(1, 100.0, 400.0)], "1x4:V100", {"speed": Speed()}, replace(afs))
    assert [width(resize.placement) for resize in said(told, Resize)][:1] == [2]
    assert [(s.job, width(s.placement)) for s in said(told, Start)] == [(0, 4), (1, 2)]
    assert ended(told)[0] == pytest.approx((400 + 100 / 2**0.9, 1, "finished", 100.0, 0.0))


def test_a_run_is_let_alone_while_it_rests() -> None:
    told = tell([elastic(0, 500.0), elastic(1, 100.0, 10.0)], "1x4:V100", {"speed": Speed()}, replace(afs))
    assert not said(told, Resize, Preempt)


def test_a_gain_that_does_not_pay_for_restarts_is_left() -> None:
    """At 360 it still needs 30 s of work, on two: two more save 8 s."""
    told = tell([elastic(0, 702.0), elastic(1, 100.0)], "1x4:V100", {"speed": Speed()}, replace(afs), tick=360.0)
    assert not said(told, Resize)


def test_a_shorter_one_takes_the_place_of_a_longer() -> None:
    """Both take one accelerator alone; there is one."""
    jobs = [elastic(0, 9000.0, most=1), elastic(1, 100.0, 400.0, most=1)]
    told = tell(jobs, "1x1:V100", {"speed": Speed()}, replace(afs))
    assert [stop.job for stop in said(told, Preempt)] == [0]
    assert ended(told)[-1] == pytest.approx((9100.0, 0, "finished", 9000.0, 0.0))


def test_a_tenant_has_no_more_than_its_quota() -> None:
    """Three of four accelerators are b's, who is not here and lends none."""
    tenants = Tenants((Tenant("a", quota=1), Tenant("b", quota=3, lend=0)))
    told = tell([elastic(0, 100.0, tenant="a")], "1x4:V100", {"speed": Speed()}, replace(afs), tenants=tenants)
    assert [width(start.placement) for start in said(told, Start)] == [1]


def test_a_run_gives_nothing_where_its_tenant_could_not_have_the_rest() -> None:
    """Tenant a has one of its own and two of b's three; b takes all of its own, so a may not have two again."""
    tenants = Tenants((Tenant("a", quota=1), Tenant("b", quota=3)))
    cluster = Cluster(parse("1x8:V100"), tenants)
    one, other = elastic(0, 100.0, tenant="a")[0], Job(1, 0.0, 3, tenant="b")
    cluster.observe(Submitted(0.0, one))
    cluster.decide(Start(0, at("n0/0", "n0/1", "n0/2")))
    trial = cluster.room.scratch()
    trial.take(other, at("n0/3", "n0/4", "n0/5"))
    before = trial.state()
    giver = Claim(one, cluster.running[0], 9.0, {"V100": ((1, 1.0), (2, 1.9), (3, 2.7))}, "V100", 1)
    assert _gives(giver, trial, cluster.room) == []
    assert trial.state() == before


@pytest.mark.parametrize("policy", [afs, optimus])
def test_where_nothing_is_resized_everybody_has_its_own_gang(policy: Elastic) -> None:
    jobs = [(Job(n, 0.0, 2, estimate=50.0, min_gang=1, max_gang=4), 50.0) for n in range(3)]
    log = Session(SimWorld(trace_of(jobs), parse("1x4:V100"), restart=0.0)).play(replace(policy))
    assert [(s.job, width(s.placement)) for s in log.entries if isinstance(s, Start)] == [(0, 2), (1, 2), (2, 2)]
