"""Turns: who is started and who is stopped for whom, on kinds, with quotas, and in a storm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.nodes import parse
from gpuyard.envs.placement import Place, consolidated, packed
from gpuyard.envs.room import Room
from gpuyard.envs.session import Session
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Decision, Placement, Preempt, Start
from gpuyard.policies.tiresias import Tiresias, by_profile
from gpuyard.policies.turns import everybody, serve
from gpuyard.traces.job import Job, Trace
from tales import said, tell
from witness import Witness, watched


@dataclass
class Latest:
    """Whoever came last is served first."""

    place: Place = packed

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        jobs = everybody(cluster)
        yield from serve(cluster, jobs, jobs.ranked(-jobs.submit), self.place)


def deeds(jobs: list[Job], cluster: str, place: Place = packed, **more: Any) -> list[tuple[str, int]]:
    told = tell([(job, 100.0) for job in jobs], cluster, {}, Latest(place), **more)
    first = said(told, Start, Preempt)[: len(jobs) + 2]
    return [(type(one).__name__, one.job) for one in first]


def test_only_those_are_stopped_who_stand_where_the_first_wants_to() -> None:
    """Job 0 is on A, job 1 on B; job 2 wants B: though 0 is behind 1 in the ranking, it is let alone."""
    jobs = [Job(0, 0.0, kinds=("A",)), Job(1, 1.0, kinds=("B",)), Job(2, 2.0, kinds=("B",))]
    assert deeds(jobs, "1x1:A+1x1:B")[:4] == [("Start", 0), ("Start", 1), ("Preempt", 1), ("Start", 2)]


def test_no_more_are_stopped_than_are_needed() -> None:
    """Job 3 wants two of four; the last in the ranking are 0 and 1, and 1 alone has two."""
    jobs = [Job(0, 0.0), Job(1, 1.0, 2), Job(2, 2.0), Job(3, 3.0, 2)]
    assert deeds(jobs, "1x4:A")[3:5] == [("Preempt", 1), ("Start", 3)]


def test_nobody_is_stopped_where_that_is_no_help() -> None:
    """Four on one node are wanted; two are held there by one that may not be stopped, so 1 on the other goes on."""
    jobs = [Job(0, 0.0, 2, preemptible=False), Job(1, 1.0, 3), Job(2, 2.0, 4)]
    assert deeds(jobs, "1x4:A+1x4:A", consolidated)[:3] == [("Start", 0), ("Start", 1), ("Preempt", 1)]
    jobs[1] = replace(jobs[1], preemptible=False)
    assert ("Preempt", 1) not in deeds(jobs, "1x4:A+1x4:A", consolidated)


def test_what_the_first_cannot_use_goes_to_those_behind() -> None:
    """By count job 2 could have the two that are free, but wants them on one node; job 3 behind it takes one."""
    jobs = [Job(0, 0.0, preemptible=False), Job(1, 0.0, preemptible=False), Job(2, 1.0, 2), Job(3, 1.0)]

    def place(job: Job, room: Room) -> Placement | None:
        """Job 0 stands on the first node, job 1 on the second."""
        return ((f"n{job.id}", (f"n{job.id}/0",)),) if job.id < 2 else consolidated(job, room)

    told = tell([(job, 100.0) for job in jobs], "2x2:A", {}, Latest(place))
    starts = [(time, one.job) for time, one in told.log.timed() if isinstance(one, Start)]
    assert starts == [(0.0, 0), (0.0, 1), (1.0, 3), (100.0, 2)]


def test_a_tenant_makes_room_for_itself_where_its_quota_is_full() -> None:
    """Two of four are a's, both in use; its third job comes first, so one of its own gives way, and b goes on."""
    tenants = Tenants((Tenant("a", quota=2, borrow=0), Tenant("b", quota=2, lend=0)))
    jobs = [Job(0, 0.0, tenant="b"), Job(1, 1.0, tenant="a"), Job(2, 2.0, tenant="a"), Job(3, 3.0, tenant="a")]
    assert deeds(jobs, "1x4:A", tenants=tenants)[3:5] == [("Preempt", 1), ("Start", 3)]


@pytest.mark.parametrize(("profile", "starts"), [("resnet", True), ("transformer", False), (None, True)])
def test_only_families_that_suffer_from_it_are_kept_from_standing_on_several_nodes(
    profile: str | None, starts: bool
) -> None:
    """Four accelerators, two free on each of two nodes: ResNet keeps 0.93 of its pace there, a Transformer 0.54."""
    room = Room(parse("2x4:V100")).scratch()
    for node in ("n0", "n1"):
        room.take(Job(9, 0.0, 2), ((node, (f"{node}/0", f"{node}/1")),))
    job = Job(0, 0.0, 4, profile=profile)
    assert (by_profile(job, room) is not None) is starts
    assert by_profile(job, Room(parse("2x4:V100"))) is not None
    assert by_profile(replace(job, gang=8), Room(parse("2x4:V100"))) is not None


@pytest.mark.parametrize("gittins", [False, True])
@given(storm.traces(), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_all_that_is_decided_in_a_storm_is_legal(gittins: bool, trace: Trace, seed: int) -> None:
    session = Session(storm.world(trace, seed))
    policy = Tiresias((4.0, 12.0), promote=3.0, gittins=gittins, tick=2.0)
    witness = Witness(session.cluster.nodes, session.cluster.tenants, trace.durations)
    watched(session, policy, witness)
