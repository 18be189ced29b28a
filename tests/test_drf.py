"""DRF: the paper's example to the digit, quotas and loans by hand, and neither halts nor circles in random worlds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_reclaims import SECONDS, bounded, drawn

import storm
from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.nodes import Node
from gpuyard.envs.placement import consolidated, packed
from gpuyard.envs.scenario import of_cluster
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Decision, Preempt, Start
from gpuyard.experiments.missing import check_needs
from gpuyard.policies.drf import Drf, drf
from gpuyard.policies.ranked import Ranked
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput
from strategies import Random
from tales import ended, ends, said, tell, trace_of
from witness import Witness, watched

GIB = 2**30
HASTY = Drf(tick=10.0, longest_restart=5.0)
CALM = 1e6
"""Seconds of patience: the ledger itself reclaims nothing in these tales."""
HALVES = Tenants([Tenant("ada", quota=2), Tenant("ben", quota=2)], CALM)


def of(tenant: str | None, number: int, submit: float = 0.0, gang: int = 1, **more: Any) -> Job:
    return Job(number, submit, gang, tenant=tenant, **more)


def tasks(times: int) -> Trace:
    """Ann's tasks want a CPU and 4 GB, Bob's three CPUs and 1 GB; each has more of them than there is room for."""
    bob = [of("bob", n, 0.0, 0, cpus=3.0, host_memory=1 * GIB) for n in range(4 * times)]
    ann = [of("ann", n, 0.0, 0, cpus=1.0, host_memory=4 * GIB) for n in range(4 * times, 10 * times)]
    return trace_of([(job, 100.0) for job in (*bob, *ann)])


def filled(times: int, one: Drf, tenants: Tenants | None = None) -> list[str]:
    """Whose tasks start at first, in order, on so many times nine CPUs and 18 GB."""
    told, nodes = tasks(times), (Node("n0", cpus=9.0 * times, memory=18 * GIB * times),)
    world = SimWorld(told, nodes) if tenants is None else HarshWorld(told, nodes, tenants=tenants)
    log = Session(world).play(one)
    whose = {job.id: job.tenant or "" for job in told.jobs}
    return [whose[entry.job] for at, entry in log.timed() if isinstance(entry, Start) and at == 0]


@pytest.mark.parametrize("strict", [False, True])
def test_the_example_of_the_paper(strict: bool) -> None:
    """Section 4.1; in the order of table 1, as recalled: B, A, A, B, A.

    Then A has 3 CPUs and 12 GB, B 6 CPUs and 2 GB: two thirds each.
    """
    assert filled(1, Drf(strict=strict)) == ["bob", "ann", "ann", "bob", "ann"]


@pytest.mark.parametrize("strict", [False, True])
def test_the_example_on_a_larger_machine_with_weights(strict: bool) -> None:
    """90 CPUs and 180 GB. Alike: 30 and 20 tasks. Bob twice Ann: 4x / 180 = 3y / 90 / 2 and x + 3y = 90: 18 and 24."""
    one = Drf(strict=strict)
    assert Counter(filled(10, one)) == {"ann": 30, "bob": 20}
    assert Counter(filled(10, one, Tenants([Tenant("ann"), Tenant("bob")]))) == {"ann": 30, "bob": 20}
    assert Counter(filled(10, one, Tenants([Tenant("ann"), Tenant("bob", weight=2)]))) == {"ann": 18, "bob": 24}


def test_accelerators_of_each_kind_are_resources_of_their_own() -> None:
    """Two of A, eight of B. Ann's job is half of A: Bob, as old, goes on until he has more than half of B."""
    jobs = [of("ann", 0, kinds=("A",)), *(of("bob", n, kinds=("B",)) for n in range(1, 8))]
    jobs += [of("ann", n, kinds=("A", "B")) for n in (8, 9, 10)]
    told = tell([(job, 100.0) for job in jobs], "1x2:A+1x8:B", {}, drf)
    assert [start.job for start in said(told, Start)] == [0, 1, 2, 3, 4, 5, 8, 6, 7, 9, 10]


def test_the_first_that_finds_no_room_ends_the_filling_where_that_is_strict() -> None:
    """Ann holds one of four, Bob two, and she wants four: the cluster counts as full until Bob's has ended.

    Then he holds nothing, and is first.
    """
    jobs = [of("bob", 0, 0.0, 2), of("ann", 1, 1.0), of("ann", 2, 2.0, 4), of("bob", 3, 2.0)]
    ends_at = [10.0, 11.0, 20.0, 30.0], [10.0, 11.0, 12.0, 22.0]
    for one, at in zip((Drf(strict=True), drf), ends_at, strict=True):
        assert [row[0] for row in ended(tell([(job, 10.0) for job in jobs], "1x4:A", {}, one))] == at


def test_where_it_is_strict_a_tenant_that_waits_for_its_quota_keeps_nobody_else() -> None:
    """Ada may have two: her pair at 1 waits, with the single behind it. Ben's starts."""
    tenants = Tenants([Tenant("ada", quota=2, borrow=0), Tenant("ben", quota=2)], CALM)
    jobs = [of("ada", 0), of("ada", 1, 1.0, 2), of("ada", 2, 1.0), of("ben", 3, 1.0)]
    told = tell([(job, 10.0) for job in jobs], "1x4:A", {}, Drf(strict=True), tenants=tenants)
    assert [(at, one.job) for at, one in told.log.timed() if isinstance(one, Start)] == [
        (0.0, 0), (1.0, 3), (10.0, 1), (20.0, 2),
    ]  # fmt: skip


def test_what_a_quota_covers_comes_before_what_is_borrowed() -> None:
    """Four are free at 10. Ada, who came first, has none and wants four, two of them Ben's; he has his two first."""
    jobs = [(of("eve", 0, 0.0, 4), 10.0), (of("ada", 1, 1.0, 4), 10.0), (of("ben", 2, 2.0, 2), 10.0)]
    tenants = Tenants([Tenant("ada", quota=2), Tenant("ben", quota=2)], CALM)
    told = tell(jobs, "1x4:A", {}, replace(drf, reclaim=False), tenants=tenants)
    assert [(row[0], row[1]) for row in ended(told)] == [(10.0, 0), (20.0, 2), (30.0, 1)]


def test_an_owner_takes_back_what_was_borrowed_from_the_newest() -> None:
    """Ada borrows two at 0 and 5; ben's pair comes at 20: 3 and 2 give way, and go on when it has ended, at 50."""
    jobs = [
        (of("ada", 0), 100.0), (of("ada", 1), 100.0), (of("ada", 2), 100.0), (of("ada", 3, 5.0), 100.0),
        (of("ben", 4, 20.0, 2), 30.0),
    ]  # fmt: skip
    told = tell(jobs, "1x4:V100", {}, HASTY, tenants=HALVES)
    assert Counter(said(told, Preempt)) == {Preempt(3): 1, Preempt(2): 1}
    assert sorted(ended(told)) == ends(
        (20.0, 2, "preempted", 20.0, 0.0),
        (20.0, 3, "preempted", 15.0, 0.0),
        (50.0, 4, "finished", 30.0, 0.0),
        (100.0, 0, "finished", 100.0, 0.0),
        (100.0, 1, "finished", 100.0, 0.0),
        (130.0, 2, "finished", 100.0, 0.0),
        (135.0, 3, "finished", 100.0, 0.0),
    )


def stops(jobs: list[Job], cluster: str, one: Drf = HASTY, **world: Any) -> list[tuple[float, int]]:
    """(seconds, who) of each stop, where all jobs last 100 s and nothing costs anything; ticks come every 10 s."""
    told = tell([(job, 100.0) for job in jobs], cluster, {}, one, tick=10.0, **world)
    return [(at, entry.job) for at, entry in told.log.timed() if isinstance(entry, Preempt)]


def test_nobody_is_stopped_who_has_not_run_for_a_tick() -> None:
    """At 8 the loans have had 8 and 3 s. At 10 the older has had ten, at 20 the other, but then nobody wants it."""
    jobs = [of("ada", 0), of("ada", 1), of("ada", 2), of("ada", 3, 5.0), of("ben", 4, 8.0)]
    tenants = Tenants([Tenant("ada", quota=2), Tenant("ben", quota=2)], CALM)
    assert stops(jobs, "1x4:V100", tenants=tenants) == [(10.0, 2)]


def test_a_run_that_may_not_be_stopped_is_let_alone() -> None:
    jobs = [of("ada", 0), of("ada", 1, preemptible=False), of("ada", 2, preemptible=False), of("ben", 3, 20.0)]
    tenants = Tenants([Tenant("ada", quota=1), Tenant("ben", quota=2)], CALM)
    assert stops(jobs, "1x3:V100", tenants=tenants) == [(20.0, 0)]


def test_the_lowest_priority_gives_way_first_and_then_the_newest() -> None:
    jobs = [
        of("ada", 0, priority=1.0), of("ada", 1, priority=2.0), of("ada", 2, 1.0, priority=1.0), of("ada", 3, 2.0),
        of("ben", 4, 20.0), of("ben", 5, 20.0), of("ben", 6, 20.0),
    ]  # fmt: skip
    tenants = Tenants([Tenant("ada", quota=1), Tenant("ben", quota=3)], CALM)
    assert stops(jobs, "1x4:V100", tenants=tenants) == [(20.0, 3), (20.0, 2), (20.0, 0)]


def test_a_gang_that_stands_partly_on_its_own_is_the_last_to_give_way() -> None:
    """Ada has four, two her own. Ben's single takes the single, older than the trio; his pair needs the trio."""
    one = [of("ada", 0), of("ada", 1, 1.0, 3)]
    assert stops([*one, of("ben", 2, 20.0)], "1x4:V100", tenants=HALVES) == [(20.0, 0)]
    assert stops([*one, of("ben", 2, 20.0, 2)], "1x4:V100", tenants=HALVES) == [(20.0, 1)]


def test_who_is_within_its_quota_is_never_asked() -> None:
    """Of three each has its own, on kinds that ben's job cannot have or that are ada's own."""
    jobs = [of("ada", 0, kinds=("A",)), of("ada", 1, kinds=("B",)), of("ben", 2, 20.0, kinds=("B",))]
    assert not stops(jobs, "1x1:A+1x1:B", tenants=HALVES)
    jobs = [of("ada", 0, 0.0, 1, kinds=("A",)), of("ada", 1, 0.0, 2, kinds=("A",)), of("ben", 2, 20.0, kinds=("B",))]
    held = [of("cy", 3, 0.0, kinds=("B",)), *jobs]
    tenants = Tenants([Tenant("ada", quota=2), Tenant("ben", quota=1), Tenant("cy", quota=1)], CALM)
    assert not stops(held, "1x3:A+1x1:B", tenants=tenants), "what ada borrows is no use to ben"


LENDER = Tenant("owner", quota=4)


@pytest.mark.parametrize(
    ("ada", "ben", "left"),
    [
        (1.0, 1.0, 2),  # 1 <= 3, then 2 <= 2, then neither 3 <= 1 nor 3 < 2
        (3.0, 1.0, 1),  # 1 <= 3 / 3, then neither 2 <= 2 / 3 nor 2 < 3 / 3
        (1.0, 3.0, 3),  # 3 / 3 <= 1, then neither 4 / 3 <= 0 nor 4 / 3 < 1
    ],
)
def test_those_who_borrow_come_to_shares_by_weight_and_stay_there(ada: float, ben: float, left: int) -> None:
    """Ada borrows all four; ben comes with four jobs. By the dozen of looks that follow nobody is stopped again."""
    tenants = Tenants([LENDER, Tenant("ada", ada, quota=0), Tenant("ben", ben, quota=0)], CALM)
    jobs = [of("ada", n) for n in range(4)] + [of("ben", n, 20.0) for n in range(4, 8)]
    assert stops(jobs, "1x4:V100", tenants=tenants) == [(20.0, n) for n in (3, 2, 1)[:left]]
    assert not stops(jobs, "1x4:V100", replace(HASTY, fair=False), tenants=tenants)


def test_of_borrowers_one_that_holds_more_gives_way_to_one_that_will_hold_less() -> None:
    """Nothing of ada's can go so that she still has as much as ben's one; but 1 < 4. Ada's four are more than one."""
    tenants = Tenants([LENDER, Tenant("ada", quota=0), Tenant("ben", quota=0)], CALM)
    assert stops([of("ada", 0, 0.0, 4), of("ben", 1, 20.0)], "1x4:V100", tenants=tenants) == [(20.0, 0)]
    assert not stops([of("ada", 0, 0.0, 4), of("ben", 1, 20.0, 4)], "1x4:V100", tenants=tenants)


def test_who_borrows_most_gives_way_first() -> None:
    """Ben borrows three and ada one, the newest; the owner wants one."""
    tenants = Tenants([LENDER, Tenant("ada", quota=0), Tenant("ben", quota=0)], CALM)
    jobs = [of("ben", 0), of("ben", 1, 1.0), of("ben", 2, 2.0), of("ada", 3, 3.0), of("owner", 4, 20.0)]
    assert stops(jobs, "1x4:V100", tenants=tenants) == [(20.0, 2)]


def test_within_a_tenant_a_higher_priority_may_stop_a_lower_one() -> None:
    """With tenants or without; the newest of the lowest. A job of another tenant gives way to nobody."""
    jobs = [
        of("ada", 0, priority=1.0), of("ada", 1), of("ada", 2, 1.0), of("ben", 3, 1.0), of("ada", 4, 20.0, priority=1.0)
    ]  # fmt: skip
    tenants = Tenants([Tenant("ada", quota=3, borrow=0), Tenant("ben", quota=1)], CALM)
    for some in (tenants, None):
        assert stops(jobs, "1x4:V100", tenants=some) == [(20.0, 2)]
        assert not stops(jobs, "1x4:V100", replace(HASTY, within=False), tenants=some)


def test_of_a_tenant_the_most_urgent_starts_first() -> None:
    jobs = [of("ada", 0), of("ada", 1), of("ada", 2, 1.0, priority=1.0), of("ada", 3, 1.0, priority=-1.0)]
    told = tell([(job, 10.0) for job in jobs], "1x1:A", {}, replace(HASTY, within=False))
    assert [start.job for start in said(told, Start)] == [0, 2, 1, 3]


def test_the_place_that_others_leave_is_kept_for_whom_they_leave_it() -> None:
    """Saving takes 2 s and a second a GB: ada's two loans leave at 27 and 32. What is free at 27 is for ben's pair.

    Ada's single at 21 fits there, and may borrow. It waits until ben's pair has ended, at 62.
    """
    jobs = [
        (of("ada", 0, checkpoint=5 * 10**9), 100.0), (of("ada", 1, checkpoint=10 * 10**9), 100.0),
        (of("ben", 2, 20.0, 2), 30.0), (of("ada", 3, 21.0), 10.0),
    ]  # fmt: skip
    tenants = Tenants([Tenant("ada", quota=0), Tenant("ben", quota=2)], CALM)
    told = tell(jobs, "1x2:V100", {"checkpoints": Checkpoints(restore_s=0)}, HASTY, tenants=tenants)
    assert sorted(ended(told))[:3] == ends(
        (27.0, 0, "preempted", 20.0, 0.0), (32.0, 1, "preempted", 20.0, 0.0), (62.0, 2, "finished", 30.0, 0.0)
    )
    starts = [(at, one.job) for at, one in told.log.timed() if isinstance(one, Start)]
    assert starts[:3] == [(0.0, 0), (0.0, 1), (32.0, 2)]
    assert {job for at, job in starts if at == 62.0} <= {0, 1, 3}


def test_what_is_needed_is_said() -> None:
    several, alone = tasks(1), trace_of([(of("ada", 0), 1.0)])
    check_needs("drf", drf, several, of_cluster("1x1:A", 180.0))
    with pytest.raises(BadInput, match=r"^policy 'drf' needs jobs of several tenants; use a trace that names them"):
        check_needs("drf", drf, alone, of_cluster("1x1:A", 30.0))
    with pytest.raises(BadInput, match=r"^policy 'drf' takes restarts of 180 s at most"):
        check_needs("drf", drf, several, of_cluster("1x1:A", 181.0))


@dataclass
class Fair:
    """A policy, watched: of other tenants only those are asked to stop that hold more than their own at that moment."""

    one: Drf

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        gone = {run.job.id for run in cluster.running if run.stopping}
        for decision in self.one.decide(cluster):
            if isinstance(decision, Preempt):
                self.check(cluster.running[decision.job].job, gone, cluster)
                gone.add(decision.job)
            yield decision

    def check(self, job: Job, gone: set[int], cluster: ClusterView) -> None:
        tenants, holds = cluster.tenants, 0.0
        for run in cluster.running:
            if run.job.tenant == job.tenant and run.job.id not in gone:
                holds += sum(len(some) for _, some in run.holds) * run.share
        urgent = any(one.tenant == job.tenant and (one.priority or 0) > (job.priority or 0) for one in cluster.pending)
        assert job.preemptible
        assert urgent or (tenants is not None and holds > (tenants[job.tenant].quota or 0))


HASTIER = Drf(tick=2.0, longest_restart=1.0)


@pytest.mark.parametrize("one", [HASTIER, replace(HASTIER, strict=True), replace(HASTIER, place=consolidated)])
@given(storm.traces(), st.integers(0, 9), st.lists(st.sampled_from([None, 0.0, 1.0, 2.0]), min_size=12, max_size=12))
@settings(max_examples=40, deadline=None)
def test_all_that_is_decided_in_a_storm_is_legal(one: Drf, trace: Trace, seed: int, urgent: list[float | None]) -> None:
    jobs = tuple(replace(job, priority=of) for job, of in zip(trace.jobs, urgent, strict=False))
    session, fair = Session(storm.world(replace(trace, jobs=jobs), seed)), Fair(one)
    witness = Witness(session.cluster.nodes, session.cluster.tenants, trace.durations)
    watched(session, fair, witness)


@pytest.mark.parametrize("strict", [False, True])
def test_whoever_could_run_runs_in_the_end_and_nobody_is_stopped_without_end(strict: bool) -> None:
    """In random worlds of quotas, with priorities; every other one is begun by somebody else."""
    for seed in range(120):
        nodes, tenants, trace, laws = drawn(seed)
        rng = np.random.default_rng(seed)
        some = tuple(replace(job, priority=float(rng.integers(3)) if seed % 3 else None) for job in trace.jobs)
        world = HarshWorld(replace(trace, jobs=some), nodes, laws, tenants=tenants, tick=10.0)
        session, before = Session(world), Random(rng) if seed % 4 == 1 else Ranked(strict=False)
        with bounded(SECONDS):
            for _ in range(20 * (seed % 2)):
                session.advance()
                for decision in before.decide(session.cluster):
                    session.act(decision)
            begun = len(session.log.entries)
            log = session.play(Fair(replace(HASTY, strict=strict)))
        room = session.cluster.room.scratch()
        assert not [job.id for job in session.cluster.pending if packed(job, room) is not None], seed
        count = sum(isinstance(entry, Preempt) for entry in log.entries[begun:])
        assert count <= 6 * len(trace), f"{seed}: {count} stops of {len(trace)} jobs"


def test_with_the_longest_restart_that_it_takes_all_come_to_an_end() -> None:
    """Nine jobs of an hour of the owner and two who borrow, on two accelerators: who is stopped has done something."""
    tenants = Tenants([Tenant("owner", quota=2), Tenant("ada", quota=0), Tenant("ben", quota=0)], CALM)
    whose = ("ada", "ben", "owner")
    jobs = [(of(whose[n % 3], n, 400.0 * n, 1 + (n + 1) % 2, priority=float(n % 2)), 3600.0) for n in range(9)]
    told = tell(jobs, "1x2:V100", {}, drf, tenants=tenants, restart=drf.longest_restart, tick=drf.tick)
    assert {job for _, job, reason, *_ in ended(told) if reason == "finished"} == set(range(9))
    assert 0 < len(said(told, Preempt)) < 40


@given(storm.traces(), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_a_policy_that_is_asked_again_has_nothing_more_to_say(trace: Trace, seed: int) -> None:
    """It keeps nothing in mind: what it decided stands in the ledger, stops that are under way included."""
    session = Session(storm.world(trace, seed))
    for _ in range(60):
        if not session.advance():
            break
        for decision in HASTIER.decide(session.cluster):
            session.act(decision)
        assert not [one for one in HASTIER.decide(session.cluster) if isinstance(one, Preempt)]
