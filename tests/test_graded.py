"""Placement by grades: a survey shows what a room has left, and whatever the grades, what is placed is legal."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.graded import Grade, Graded
from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.placement import packed
from gpuyard.envs.room import Floats, Room
from gpuyard.envs.space import Space
from gpuyard.envs.survey import Bools, Survey
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Placement
from gpuyard.experiments.rivals import RIVALS
from gpuyard.policies.fgd import Gradient
from gpuyard.policies.fragmentation import Workload
from gpuyard.traces.job import Job
from rooms import Full, legal, rooms
from strategies import jobs

EXPECTED = (Job(-1, 0.0, share=0.5), Job(-2, 0.0, 2, cpus=3.0), Job(-3, 0.0, kinds=("B",)), Job(-4, 0.0, 0, cpus=1.0))


def first(job: Job, count: int, survey: Survey, able: Bools) -> Floats:
    """All places alike."""
    return np.zeros(able.shape)


def grades(room: Room) -> dict[str, Grade]:
    return {name: make(EXPECTED, room, np.random.default_rng(0)) for name, make in RIVALS.items()}


# ---------------------------------------------------------------- stories


def test_a_survey_shows_what_is_left() -> None:
    room = Space((Node("n0", (Accelerator("a", "A"), Accelerator("b", "A")), cpus=4.0), Node("n1", (), cpus=2.0)))
    survey = Survey(room)
    assert survey.left.tolist() == [[1000, 1000]]
    before = survey.stamps.copy()
    room.take(Job(1, 0.0, share=0.3, cpus=1.5), (("n0", ("b",)),))
    survey.follow(room)
    assert survey.left.tolist() == [[1000, 700]]
    assert survey.whole.tolist() == [1]
    assert survey.cpus.tolist() == [2500, 2000]
    assert (survey.stamps > before).all()
    survey.follow(room)
    assert (before := survey.stamps.copy()).tolist() == survey.stamps.tolist(), "nothing has changed"
    room.take(Job(2, 0.0, 0, cpus=1.0), (("n1", ()),))
    survey.follow(room)
    assert survey.stamps.tolist() == before.tolist(), "no accelerator is beside those CPUs"
    room.fall("n0", ("a",))
    survey.follow(room)
    assert survey.left.tolist() == [[0, 700]]


def test_equals_go_to_the_first_node_and_its_first_accelerator() -> None:
    room = Space(parse("2x2:A"))
    assert Graded(first)(Job(1, 0.0), room) == (("n0", ("n0/0",)),)
    assert Graded(first)(Job(1, 0.0, share=0.5), room) == (("n0", ("n0/0",)),)
    assert Graded(first)(Job(1, 0.0, 2), room) == (("n0", ("n0/0", "n0/1")),)


def test_a_gang_that_no_node_holds_gets_the_fewest_nodes() -> None:
    room = Space(parse("4x4:A"))
    for node, taken in (("n0", 3), ("n1", 1), ("n3", 2)):
        room.take(Job(-1, 0.0, taken), ((node, tuple(f"{node}/{i}" for i in range(taken))),))
    found = Graded(first)(Job(1, 0.0, 5), room)
    assert found == (("n2", ("n2/0", "n2/1", "n2/2", "n2/3")), ("n0", ("n0/3",))), "1, 3, 4 and 2 are free"
    assert Graded(first)(Job(1, 0.0, 11), room) is None
    assert Graded(first, spans=False)(Job(1, 0.0, 5), room) is None
    assert Graded(first, spans=False)(Job(1, 0.0, 4), room) == found[:1]


def test_a_share_stands_beside_those_of_its_tenant_alone() -> None:
    room = Space(parse("1x2:A"), Tenants((Tenant("a", quota=1), Tenant("b", quota=1))))
    room.take(Job(1, 0.0, share=0.5, tenant="a"), (("n0", ("n0/0",)),))
    place = Graded(first)
    assert place(Job(2, 0.0, share=0.5, tenant="a"), room) == (("n0", ("n0/0",)),)
    assert place(Job(2, 0.0, share=0.5, tenant="b"), room) == (("n0", ("n0/1",)),)
    room.take(Job(2, 0.0, share=0.5, tenant="a"), (("n0", ("n0/0",)),))
    room.owe(True)
    assert place(Job(3, 0.0, share=0.5, tenant="a"), room) is None, "it has its quota, and what is left is b's"


def test_a_share_gets_a_mig_instance_where_there_is_one() -> None:
    room = Space((Node("n0", (Accelerator("g0", "A100"), Accelerator("g1", "A100"))),))
    room.close("g0")
    room.cut("g0", ("1g.5gb", "2g.10gb"))
    assert Graded(first)(Job(1, 0.0, share=0.25), room) == packed(Job(1, 0.0, share=0.25), room)
    assert Graded(first)(Job(1, 0.0, share=0.9), room) == (("n0", ("g1",)),)


# ---------------------------------------------------------------- laws


@given(rooms(), st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_placed_is_legal_and_nobody_waits_for_nothing(full: Full, data: st.DataObject) -> None:
    job, room = data.draw(jobs(100, 0.0)), full.room
    possible = packed(job, room)
    for name, grade in grades(room).items():
        placement = Graded(grade)(job, room)
        assert (placement is None) == (possible is None), name
        if placement is not None and possible is not None:
            assert legal(room.nodes, [*full.held, (job, placement)])
            assert len(placement) == len(possible), "as few nodes"
            room.scratch().take(job, placement)


@given(rooms(), st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_remembered_changes_no_answer(full: Full, data: st.DataObject) -> None:
    """A placement that has followed a room and its copies answers as one that sees it for the first time."""
    room, held = full.room, [*full.held]
    workload = Workload.of(EXPECTED)
    old = [Graded(Gradient(workload, room, steps)) for steps in (None, 100)]
    asked = [data.draw(jobs(number, 0.0)) for number in range(100, 103)]
    for number in range(data.draw(st.integers(1, 6))):
        for job in asked:
            for place, steps in zip(old, (None, 100), strict=True):
                found = place(job, room.scratch() if number % 2 else room)
                assert found == Graded(Gradient(workload, room, steps))(job, room)
        assert surveyed(Survey(room)) == surveyed(old[0].survey(room))
        if data.draw(st.booleans()) and held:
            room.give(*held.pop())
        elif placement := old[0](job, room):
            room.take(job, placement)
            held.append((job, placement))


def surveyed(survey: Survey) -> tuple[object, ...]:
    return survey.left.tolist(), survey.whole.tolist(), survey.cpus.tolist(), survey.memory.tolist()


# ---------------------------------------------------------------- the published rivals, each in its own words


def busy(*free: int, shared: float = 0.0) -> Space:
    """Nodes of four accelerators and 64 CPUs, so many of them free; a share on the last node's first free one."""
    machines = tuple(
        Node(f"n{at}", tuple(Accelerator(f"n{at}/{i}", "A") for i in range(4)), cpus=64) for at in range(len(free))
    )
    room = Space(machines)
    for at, count in enumerate(free):
        if taken := tuple(f"n{at}/{i}" for i in range(4 - count)):
            room.take(Job(-at - 1, 0.0, len(taken)), ((f"n{at}", taken),))
    if shared:
        last = len(free) - 1
        room.take(Job(-99, 0.0, share=shared), ((f"n{last}", (f"n{last}/{4 - free[-1]}",)),))
    return room


def chosen(name: str, job: Job, room: Room) -> Placement | None:
    return Graded(RIVALS[name](EXPECTED, room, np.random.default_rng(1)))(job, room)


def test_best_fit_leaves_the_least() -> None:
    assert chosen("BestFit", Job(1, 0.0, 2), busy(4, 2, 3)) == (("n1", ("n1/2", "n1/3")),)


def test_the_dot_product_goes_where_least_is_free_by_what_is_asked_for() -> None:
    """A job of CPUs alone: of free CPUs n1 has least, of accelerators n0."""
    room = busy(0, 4)
    room.take(Job(-50, 0.0, 0, cpus=32), (("n1", ()),))
    assert chosen("DotProd", Job(1, 0.0, 0, cpus=32), room) == (("n1", ()),)
    assert chosen("DotProd", Job(1, 0.0, 4), busy(4, 4)) == (("n0", ("n0/0", "n0/1", "n0/2", "n0/3")),)


def test_packing_prefers_shared_accelerators_then_nodes_in_use() -> None:
    half = Job(1, 0.0, share=0.5)
    assert chosen("GpuPacking", half, busy(4, 3, 4, shared=0.5)) == (("n2", ("n2/0",)),)
    assert chosen("GpuPacking", half, busy(4, 3, 4, shared=0.6)) == (("n1", ("n1/1",)),)
    assert chosen("GpuPacking", half, busy(4, 4, 4)) == (("n0", ("n0/0",)),)
    assert chosen("GpuPacking", Job(1, 0.0, 4), busy(4, 4, 3)) == (("n0", ("n0/0", "n0/1", "n0/2", "n0/3")),)


def test_clustering_puts_like_sizes_together() -> None:
    room = busy(4, 4, 4)
    grade = RIVALS["GpuClustering"]((), room, np.random.default_rng(1))
    place = Graded(grade)
    grade.stands(Job(2, 0.0, 2), 1)  # type: ignore[attr-defined]
    grade.stands(Job(3, 0.0, share=0.5), 2)  # type: ignore[attr-defined]
    on = [place(Job(1, 0.0, gang), room) for gang in (1, 2)]
    assert on == [(("n0", ("n0/0",)),), (("n1", ("n1/0", "n1/1")),)], "an idle node for what nobody is like"
    assert place(Job(1, 0.0, share=0.2), room) == (("n2", ("n2/0",)),)
    large = place(Job(1, 0.0, 6), room)
    assert large is not None
    assert [(node, len(some)) for node, some in large] == [("n0", 4), ("n1", 2)], "no node holds six"


def test_at_random_every_accelerator_is_as_likely() -> None:
    """One that is shared and three that are free: the share meets the other in a quarter of the cases."""
    room = busy(4, shared=0.5)
    place = Graded(RIVALS["Random"]((), room, np.random.default_rng(5)))
    count = Counter(place(Job(1, 0.0, share=0.5), room) for _ in range(2000))
    assert set(count) == {(("n0", ("n0/0",)),), (("n0", ("n0/1",)),)}
    assert count[("n0", ("n0/0",)),] == pytest.approx(500, abs=80)
