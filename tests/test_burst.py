"""Cloud bursting: who is rented for, which pool, and when it is given back, worked out by hand.

The hall has one V100. The cloud has two at 3.6 USD an hour, a tenth of a cent a second, that come after 300 s; the spot
pool one at a third of that, which comes after 100 s. Whoever has waited for 120 s is due, and is looked at every 60.
"""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.laws.clouds import Clouds, Pool
from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.placement import packed, spread
from gpuyard.envs.room import Room
from gpuyard.envs.scenario import of_cluster
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Declined, NodeUp, Priced, Provision, Release, Start
from gpuyard.experiments.missing import check_needs
from gpuyard.experiments.names import policy
from gpuyard.policies.backfill import Easy, easy
from gpuyard.policies.burst import Burst, burst, burst_ahead
from gpuyard.policies.cheapest import Cheapest
from gpuyard.policies.orders import sjf
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput
from tales import at, ended, tell, trace_of

GB = 10**9
Jobs = list[tuple[Job, float]]
POOLS = {"cloud": Pool(delay=300, minimum=0), "spot": Pool(delay=100, minimum=0)}
NONE_THERE = {"cloud": Pool(delay=300), "spot": Pool(stockout=1.0, answer=30)}


def one(name: str, pool: str | None = None, **more: Any) -> Node:
    return Node(name, (Accelerator(f"{name}/0", "V100"),), site=pool or "hall", pool=pool, present=not pool, **more)


HALL = (one("n0"),)
CLOUD = (one("c0", "cloud", usd_per_hour=3.6), one("c1", "cloud", usd_per_hour=3.6))
SPOT = (one("s0", "spot", spot=True, usd_per_hour=1.2),)
SLEEPS = (replace(one("b0", "beds"), site="hall"),)


def job(number: int, submit: float, seconds: float, **more: Any) -> tuple[Job, float]:
    return Job(number, submit, **{"gang": 1, "estimate": seconds, "checkpoint": 0, **more}), seconds


def played(jobs: Jobs, nodes: tuple[Node, ...], pools: dict[str, Pool] = POOLS, **more: Any) -> Session:
    there = {name: pool for name, pool in pools.items() if any(node.pool == name for node in nodes)}
    return tell(jobs, nodes, {"clouds": Clouds(there)}, more.pop("one", Burst(patience=120)), tick=60.0, **more)


def timed(told: Session, *kinds: type) -> list[tuple[float, Any]]:
    return [(time, entry) for time, entry in told.log.timed() if isinstance(entry, kinds)]


def happened(jobs: Jobs, nodes: tuple[Node, ...], pools: dict[str, Pool] = POOLS, **more: Any) -> list[Any]:
    """(time, what) of all that was rented, came, was given back, or did not come."""
    return timed(played(jobs, nodes, pools, **more), Provision, Release, NodeUp, Declined)


BUSY = job(0, 0.0, 9000.0)


def test_a_node_is_rented_for_who_waits_too_long_and_given_back_when_it_stands_idle() -> None:
    """Due at 120, there at 420, idle from 1420 on, for 300 s at the tick of 1740: 1320 s of rent, 1.32 USD."""
    told = played([BUSY, job(1, 0.0, 1000.0)], HALL + CLOUD)
    assert timed(told, Provision, NodeUp, Start, Release) == [
        (0.0, Start(0, at("n0/0"))),
        (120.0, Provision("cloud")),
        (420.0, NodeUp(420.0, "c0")),
        (420.0, Start(1, at("c0/0"))),
        (1740.0, Release("c0")),
    ]
    assert [row[:3] for row in ended(told)] == [(1420.0, 1, "finished"), (9000.0, 0, "finished")]
    assert told.cluster.meter.usd == pytest.approx(1.32)


def test_who_finds_the_rented_node_idle_keeps_it() -> None:
    """Idle from 1420 to 1500, and from 1600 on."""
    jobs = [BUSY, job(1, 0.0, 1000.0), job(2, 1500.0, 100.0)]
    assert happened(jobs, HALL + CLOUD)[-1] == (1920.0, Release("c0"))


def test_what_was_given_back_may_be_rented_again_at_once() -> None:
    """Given back at 1740, and asked for by one who came at 1745 and has waited at 1920."""
    jobs = [BUSY, job(1, 0.0, 1000.0), job(2, 1745.0, 100.0)]
    assert happened(jobs, HALL + CLOUD)[2:4] == [(1740.0, Release("c0")), (1920.0, Provision("cloud"))]


def test_while_more_of_a_pool_are_to_come_nothing_of_it_is_given_back() -> None:
    """c0 is idle from 1520 to 1920, when c1 has come too for the gang of two."""
    jobs = [BUSY, job(1, 0.0, 1000.0), job(2, 1200.0, 100.0, gang=2)]
    assert happened(jobs, HALL + CLOUD, {"cloud": Pool(delay=400, minimum=0)})[2:] == [
        (1520.0, Provision("cloud")),
        (1920.0, NodeUp(1920.0, "c1")),
        (2340.0, Release("c0")),
        (2340.0, Release("c1")),
    ]


def test_as_many_are_rented_as_those_who_are_due_would_take() -> None:
    """Job 3 finds no node left, and waits for one of these."""
    jobs = [BUSY, *(job(n, 0.0, 100.0) for n in (1, 2, 3))]
    told = played(jobs, HALL + CLOUD)
    assert (120.0, Provision("cloud", 2)) in told.log.timed()
    assert [row[:2] for row in ended(told)] == [(520.0, 1), (520.0, 2), (620.0, 3), (9000.0, 0)]


def test_nobody_rents_for_who_waits_briefly() -> None:
    assert happened([job(0, 0.0, 100.0), job(1, 0.0, 100.0)], HALL + CLOUD) == []


def test_with_estimates_one_may_rent_before_anybody_has_waited() -> None:
    """Job 1 is expected to wait for 9000 s, and job 2 for 10; both would take a node, and job 1 is before job 2."""
    assert happened([BUSY, job(1, 5.0, 100.0)], HALL + CLOUD, one=Burst(patience=120, ahead=True))[0][0] == 5.0
    short = [job(0, 0.0, 100.0), job(1, 5.0, 100.0)]
    assert happened(short, HALL + CLOUD, one=Burst(patience=120, ahead=True)) == []


def test_the_cheapest_pool_is_rented() -> None:
    jobs = [BUSY, job(1, 0.0, 100.0)]
    assert happened(jobs, HALL + CLOUD + SPOT)[:2] == [(120.0, Provision("spot")), (220.0, NodeUp(220.0, "s0"))]


def test_the_price_of_the_moment_counts() -> None:
    """Spot has become dearer than on demand."""
    fates = [(50.0, lambda stage: stage.say(Priced(50.0, "spot", usd_per_hour=4.0)))]
    assert happened([BUSY, job(1, 0.0, 100.0)], HALL + CLOUD + SPOT, fates=fates)[0] == (120.0, Provision("cloud"))


def test_our_own_is_woken_before_anything_is_rented_and_is_not_given_back() -> None:
    jobs = [BUSY, job(1, 0.0, 100.0)]
    assert happened(jobs, HALL + CLOUD + SLEEPS) == [(120.0, Provision("beds")), (120.0, NodeUp(120.0, "b0"))]


def test_who_may_not_be_preempted_gets_nothing_spot() -> None:
    """Job 1 is given one on demand, job 2 the spot one, where job 3, which may not be preempted, does not follow."""
    firm = {"preemptible": False}
    jobs = [BUSY, job(1, 0.0, 2000.0, **firm), job(2, 0.0, 100.0), job(3, 100.0, 100.0, **firm)]
    assert timed(played(jobs, HALL + CLOUD[:1] + SPOT), Provision, Start, Release) == [
        (0.0, Start(0, at("n0/0"))),
        (120.0, Provision("cloud")),
        (120.0, Provision("spot")),
        (220.0, Start(2, at("s0/0"))),
        (420.0, Start(1, at("c0/0"))),
        (660.0, Release("s0")),
        (2420.0, Start(3, at("c0/0"))),
        (2820.0, Release("c0")),
    ]


def test_a_pool_that_has_none_rests_and_the_next_is_asked() -> None:
    """At 150 it is known that there is no spot node; for 600 s it is not asked."""
    jobs = [BUSY, job(1, 0.0, 100.0)]
    assert happened(jobs, HALL + CLOUD + SPOT, NONE_THERE)[:3] == [
        (120.0, Provision("spot")),
        (150.0, Declined(150.0, "spot", 1)),
        (150.0, Provision("cloud")),
    ]


def test_where_only_some_come_no_more_are_asked_of_the_next_pool_than_are_missing() -> None:
    """Two are due and two spot nodes are asked for; in some worlds one of them is declined at 150."""
    jobs = [BUSY, job(1, 0.0, 4000.0), job(2, 0.0, 4000.0)]
    nodes = HALL + CLOUD + SPOT + (one("s1", "spot", spot=True, usd_per_hour=1.2),)
    scarce = {"cloud": Pool(delay=300, minimum=0), "spot": Pool(delay=400, stockout=0.5, answer=30)}
    worlds = [[e for t, e in happened(jobs, nodes, scarce, seed=seed) if t == 150.0] for seed in range(8)]
    missing = [sum(e.count for e in told if isinstance(e, Declined)) for told in worlds]
    assert set(missing) == {0, 1, 2}
    assert [sum(e.count for e in told if isinstance(e, Provision)) for told in worlds] == missing


def test_where_there_is_no_other_pool_it_is_asked_again_after_its_rest() -> None:
    asked = [
        time for time, entry in happened([BUSY, job(1, 0.0, 100.0)], HALL + SPOT, NONE_THERE) if entry.pool == "spot"
    ]
    assert asked[:5] == [120.0, 150.0, 780.0, 810.0, 1440.0]


def test_nobody_rents_for_who_waits_for_its_quota() -> None:
    jobs = [job(0, 0.0, 900.0, tenant="a"), job(1, 0.0, 100.0, tenant="a")]
    for quota, rented in ((1, False), (2, True)):
        tenants = Tenants((Tenant("a", quota=quota, borrow=0),))
        assert bool(happened(jobs, HALL + CLOUD, tenants=tenants)) is rented


def test_data_that_would_travel_for_long_keep_a_job_at_home_for_as_long() -> None:
    """25 GB are 200 s at 1 Gb/s."""
    assert happened([BUSY, job(1, 0.0, 100.0, data=25 * GB)], HALL + CLOUD)[0] == (240.0, Provision("cloud"))


def test_a_gang_is_rented_all_it_wants_or_nothing() -> None:
    jobs = [BUSY, job(1, 0.0, 100.0, gang=2), job(2, 0.0, 100.0, gang=2, sites=("hall",))]
    assert happened(jobs[:2], HALL + CLOUD)[0] == (120.0, Provision("cloud", 2))
    assert happened([BUSY, job(1, 0.0, 100.0, sites=("hall",))], HALL + CLOUD) == []


def test_jobs_stand_on_our_own_first_then_where_the_rent_is_least() -> None:
    nodes = tuple(replace(node, present=True, site=None) for node in CLOUD + SPOT + HALL)
    room, place = Room(nodes).scratch(), Cheapest(packed)
    given = []
    for number in range(4):
        placement = place(Job(number, 0.0), room)
        assert placement
        room.take(Job(number, 0.0), placement)
        given.append(placement[0][0])
    assert given == ["n0", "s0", "c0", "c1"]
    three = place(Job(9, 0.0, 3), Room(nodes))
    assert three
    assert {node for node, _ in three} == {"n0", "s0", "c0"}


@pytest.mark.parametrize("asked", [{}, {"share": 0.5}, {"gang": 0}, {"cpus": 2.0}])
def test_spot_is_for_who_may_be_preempted(asked: dict[str, Any]) -> None:
    """But whoever no other node could ever hold may stand there: two cores are nowhere else."""
    nodes = (one("n0", cpus=1.0), replace(SPOT[0], present=True, site="hall", cpus=4.0))
    firm = Job(0, 0.0, **asked, preemptible=False)
    full = Room(nodes).scratch()
    full.fall("n0")
    placement = Cheapest(packed)(firm, full)
    assert (placement is not None) is (asked == {"cpus": 2.0})
    assert Cheapest(packed)(replace(firm, preemptible=True), full)


def test_it_is_over_another_policy_and_places_as_that_does() -> None:
    over: Any = policy("burst(sjf)", "spread")
    assert (over.inner.score, over.inner.place) == (sjf.score, Cheapest(spread))
    assert over.needs == {"pools", "estimates"}
    assert over.tick == 60.0
    twice: Any = policy("burst(ces(fifo))")
    assert twice.inner.inner.place == Cheapest(packed)
    assert twice.needs == {"pools"}
    assert burst_ahead.needs == {"pools", "estimates"}
    assert burst.inner == Easy(place=Cheapest(packed))
    assert policy("burst(las)").longest_restart == policy("las").longest_restart  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match=r"^no policy 'fifi'"):
        policy("burst(fifi)")


def test_without_pools_it_is_said_before_anything_runs() -> None:
    trace = Trace((Job(0, 0.0, estimate=1.0),), {0: 1.0}, "t")
    with pytest.raises(BadInput, match=r"^policy 'burst' needs nodes that come and go; give some \[\[nodes\]\]"):
        check_needs("burst", burst, trace, of_cluster("1x1:A", 0.0))


def test_without_pools_it_is_the_policy_under_it() -> None:
    trace = trace_of([job(n, 3.0 * n, 10.0 - n, gang=1 + n % 2) for n in range(6)])
    both = [Session(SimWorld(trace, parse("1x2:A"))).play(each) for each in (easy, burst)]
    assert both[0].sha256() == both[1].sha256()


def test_one_that_was_used_may_be_copied_and_used_anew() -> None:
    used = Burst(patience=120)
    jobs = [BUSY, job(1, 0.0, 1000.0)]
    first = happened(jobs, HALL + CLOUD, one=used)
    for again in (used, deepcopy(used), pickle.loads(pickle.dumps(used))):
        assert happened(jobs, HALL + CLOUD, one=again) == first


@given(storm.traces(), st.integers(0, 9), st.integers(0, 30), st.sampled_from(["burst", "ces", "sleepy", "burst(ces)"]))
@settings(max_examples=60, deadline=None)
def test_governors_may_be_called_in_the_middle_and_left_again(trace: Trace, seed: int, moment: int, name: str) -> None:
    told = trace.of([replace(each, estimate=trace.durations[each.id]) for each in trace.jobs])
    session, governor = Session(storm.world(told, seed)), policy(name)
    for number in range(150):
        if not session.advance():
            break
        for decision in (easy if number < moment or number % 7 == 6 else governor).decide(session.cluster):
            session.act(decision)
    assert session.log.replay().state() == session.cluster.state()
