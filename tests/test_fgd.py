"""Fragmentation, and its descent: numbers one can do in one's head."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.graded import Graded
from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.room import Room
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.space import Space
from gpuyard.envs.survey import Survey
from gpuyard.envs.vocabulary import Placement, Start
from gpuyard.experiments.names import policy
from gpuyard.policies.fgd import Fgd, Gradient, fgd
from gpuyard.policies.fragmentation import Fragments, Workload
from gpuyard.policies.orders import sjf
from gpuyard.traces.job import Job, Trace
from witness import Witness, watched

HALF, WHOLE = Job(0, 0.0, share=0.5), Job(0, 0.0)


def machine(name: str, count: int, kind: str = "A", cpus: float | None = None, memory: int | None = None) -> Node:
    return Node(name, tuple(Accelerator(f"{name}/{i}", kind) for i in range(count)), cpus, memory)


def fragments(room: Room, *expected: Job) -> list[float]:
    """F_n(M) of each bay in thousandths, these jobs coming equally often."""
    return [*map(float, Fragments(Workload.of(expected, popular=1.0), room).of(Survey(room)))]


def shared(*left: float, cpus: float | None = None, **more: int) -> Space:
    """One node, with so much left of each accelerator."""
    room = Space((machine("n0", len(left), cpus=cpus, **more),))  # type: ignore[arg-type]
    for at, part in enumerate(left):
        if part < 1:
            room.take(Job(-at, 0.0, share=round(1 - part, 3)), (("n0", (f"n0/{at}",)),))
    return room


# ---------------------------------------------------------------- fragmentation


def test_what_a_job_cannot_use_is_fragment() -> None:
    """0.2, 1, 1 and 0.5 are left, 2.7 in all."""
    room = shared(0.2, 1.0, 1.0, 0.5, cpus=8, memory=100)
    assert fragments(room, Job(0, 0.0, 2)) == [700], "what is less than a whole is none to one who wants two"
    assert fragments(room, Job(0, 0.0, share=0.465, cpus=6)) == [200]
    assert fragments(room, Job(0, 0.0, share=0.465, cpus=9)) == [2700], "CPUs are missing, so all is in vain"
    assert fragments(room, Job(0, 0.0, share=0.465, host_memory=101)) == [2700]
    assert fragments(room, Job(0, 0.0, 3)) == [2700], "there are no three"
    assert fragments(room, Job(0, 0.0, kinds=("B",))) == [2700]
    assert fragments(room, Job(0, 0.0, 0, cpus=1)) == [2700], "who wants no accelerator uses none"
    assert fragments(room, Job(0, 0.0, 2), Job(0, 0.0, share=0.465, cpus=6)) == [450]
    assert fragments(room, *[Job(0, 0.0, 2)] * 3, Job(0, 0.0, 3)) == [0.75 * 700 + 0.25 * 2700]


def test_a_gang_wider_than_all_nodes_wants_a_whole_one_of_its_kind() -> None:
    room = Space((machine("n0", 4, cpus=6), machine("n1", 2), machine("n2", 2, "B")))
    assert fragments(room, Job(0, 0.0, 8)) == [0, 2000, 0]
    assert fragments(room, Job(0, 0.0, 8, cpus=16)) == [4000, 2000, 0], "four of them come with 8 CPUs"


def test_the_commonest_shapes_stand_for_all() -> None:
    jobs = [HALF] * 12 + [Job(0, 0.0, 2)] * 7 + [Job(0, 0.0, 4)]
    assert Workload.of(jobs, 0.95) == Workload((HALF, Job(0, 0.0, 2)), (12 / 19, 7 / 19))
    assert Workload.of(jobs, 0.96).weights == (0.6, 0.35, 0.05)
    assert Workload.of(jobs, 0.6) == Workload((HALF,), (1.0,))


# ---------------------------------------------------------------- its descent


def grown(room: Room, job: Job, *expected: Job) -> list[float]:
    """By how many thousandths each place would be fragmented more; NaN where the job cannot stand."""
    survey = Survey(room)
    able = survey.left >= 1000 * job.share if job.share < 1 else survey.whole >= job.gang
    if not job.gang:
        able = survey.hosts(job, 1, room)
    growth = Gradient(Workload.of(expected, 1.0), room, None)(job, job.gang, survey, able)
    return np.where(able, growth, np.nan).ravel().tolist()


def test_a_half_ends_a_fragment_rather_than_making_one() -> None:
    """Halves and wholes are expected: the half that is left is half a fragment, a free one none."""
    room = shared(1.0, 0.5)
    assert grown(room, HALF, HALF, WHOLE) == [250, -250]
    assert Graded(Gradient(Workload.of([HALF, WHOLE]), room))(HALF, room) == (("n0", ("n0/1",)),)


def test_the_tightest_fit_may_be_the_worse_one() -> None:
    """A fifth beside 0.5 leaves 0.3, no use to halves; beside 0.7 it leaves a half. Best fit takes the first."""
    room, fifth = shared(0.5, 0.7), Job(1, 0.0, share=0.2)
    assert grown(room, fifth, HALF) == [300, 0]
    assert Graded(Gradient(Workload.of([HALF]), room))(fifth, room) == (("n0", ("n0/1",)),)


def test_cpus_that_go_strand_accelerators() -> None:
    """Two jobs' CPUs were free on either node; n1 has one accelerator left, so less is stranded there."""
    room = Space((machine("n0", 2, cpus=8), machine("n1", 1, cpus=8)))
    whole, heavy = Job(0, 0.0, cpus=4), Job(1, 0.0, 0, cpus=6)
    assert grown(room, heavy, whole) == [2000, 1000]
    assert Graded(Gradient(Workload.of([whole]), room))(heavy, room) == (("n1", ()),)


def test_kinds_on_one_node_strand_each_other() -> None:
    """A's job takes the CPUs that B's accelerator needs."""
    both = Node("n0", (Accelerator("a", "A"), Accelerator("b", "B")), cpus=4)
    room = Space((both, machine("n1", 1, "A", cpus=4)))
    job = Job(1, 0.0, kinds=("A",), cpus=3)
    growth = grown(room, job, Job(0, 0.0, kinds=("A", "B"), cpus=2))
    assert growth[0] - growth[2] == 1000, "both lose their own, and n0 loses b besides"
    room.take(Job(2, 0.0, kinds=("A",)), (("n1", ("n1/0",)),))
    assert grown(room, Job(3, 0.0, 0, cpus=3), Job(0, 0.0, kinds=("B",), cpus=2)) == [1000, 0]


def test_small_differences_are_none_in_a_hundred_steps() -> None:
    """The growth is 0.3 on n0/0 and 0.29 on n0/1: in steps equal, so the first is taken."""
    room, fifth = shared(0.5, 0.49), Job(1, 0.0, share=0.2)
    assert grown(room, fifth, Job(0, 0.0, share=0.49)) == [300, 290]
    workload = Workload.of([Job(0, 0.0, share=0.49)])
    assert [Graded(Gradient(workload, room, steps))(fifth, room) for steps in (100, None)] == [
        (("n0", ("n0/0",)),),
        (("n0", ("n0/1",)),),
    ]


def test_of_the_fewest_nodes_the_remainder_takes_what_is_no_use_to_others() -> None:
    room = Space(parse("3x4:A"))
    room.take(Job(-1, 0.0), (("n1", ("n1/0",)),))
    room.take(Job(-2, 0.0, 2), (("n2", ("n2/0", "n2/1")),))
    threes = Workload.of([Job(0, 0.0, 3)])
    found = Graded(Gradient(threes, room))(Job(1, 0.0, 6), room)
    assert found == (("n0", ("n0/0", "n0/1", "n0/2", "n0/3")), ("n2", ("n2/2", "n2/3")))


# ---------------------------------------------------------------- the policy


def starts(policy: Fgd, jobs: list[tuple[Job, float]], cluster: str) -> list[tuple[float, int, Placement]]:
    trace = Trace(tuple(job for job, _ in jobs), {job.id: seconds for job, seconds in jobs})
    log = Session(SimWorld(trace, parse(cluster))).play(policy)
    return [(time, e.job, e.placement) for time, e in log.timed() if isinstance(e, Start)]


def test_who_does_not_fit_keeps_nobody_else_from_starting() -> None:
    jobs = [(Job(1, 0.0, 2), 10.0), (Job(2, 1.0, 3), 5.0), (Job(3, 2.0, 1), 3.0), (Job(4, 3.0, 1), 1.0)]
    loose, strict = (starts(Fgd(strict=one), jobs, "1x3:A") for one in (False, True))
    assert [(time, job) for time, job, _ in loose] == [(0.0, 1), (2.0, 3), (5.0, 4), (10.0, 2)]
    assert [(time, job) for time, job, _ in strict] == [(0.0, 1), (10.0, 2), (15.0, 3), (15.0, 4)]


def test_it_learns_what_comes() -> None:
    """Pairs have come, so a single goes where one is left; whoever expects singles alone takes the first."""
    jobs = [(Job(n, 0.0, 2), 1.0) for n in range(6)]
    jobs += [(Job(10, 2.0, 3), 9.0), (Job(11, 3.0, 2), 9.0), (Job(12, 4.0, 1), 9.0)]
    where = {job: placement for _, job, placement in starts(Fgd(), jobs, "2x4:A")}
    assert where[10] == (("n0", ("n0/0", "n0/1", "n0/2")),)
    assert where[11] == (("n1", ("n1/0", "n1/1")),)
    assert where[12] == (("n0", ("n0/3",)),)
    jobs[-2:] = [(Job(11, 3.0), 9.0), (Job(12, 4.0), 9.0)]
    given = Fgd(workload=Workload.of([Job(0, 0.0, 2)]))
    where = {job: placement for _, job, placement in starts(given, jobs[-3:], "2x4:A")}
    assert where[11] == (("n0", ("n0/3",)),)
    assert where[12] == (("n1", ("n1/0",)),)


def test_another_cluster_begins_anew() -> None:
    one, jobs = Fgd(), [(Job(n, float(n), share=0.3), 50.0) for n in range(4)]
    starts(one, [(Job(n, 0.0, 4), 1.0) for n in range(9)], "1x4:A")
    assert starts(one, jobs, "2x2:A") == starts(Fgd(), jobs, "2x2:A") == starts(deepcopy(one), jobs, "2x2:A")


def test_it_can_be_called_in_the_middle_and_takes_other_orders() -> None:
    trace = Trace((Job(1, 0.0), Job(2, 1.0, 2), Job(3, 1.0, 1, estimate=1.0)), {1: 5.0, 2: 1.0, 3: 1.0})
    session = Session(SimWorld(trace, parse("1x2:A")))
    session.advance()
    session.act(Start(1, (("n0", ("n0/1",)),)))
    session.play(one := Fgd())
    seen = one._memory.of(session.cluster, pytest.fail)
    assert sum(seen.counts.values()) == 3, "those that ran already are seen as well"
    assert policy("fgd") is fgd
    assert getattr(policy("fgd(sjf)"), "order", None) is sjf.score


@given(storm.traces(), st.integers(0, 7))
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_where_everything_befalls_it_decides_what_can_be(trace: Trace, seed: int) -> None:
    session, one = Session(storm.world(trace, seed)), Fgd(steps=(100, None)[seed % 2])
    watch = Witness(storm.NODES, storm.TENANTS, trace.durations)
    watched(session, one, watch, 150)
