"""Each placement does what its sentence says: stories on small clusters, and laws against trying everything."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.placement import Place, consolidated, first_fit, packed, spread
from gpuyard.envs.room import Room
from gpuyard.envs.space import Space
from gpuyard.envs.vocabulary import Placement
from gpuyard.traces.job import Job
from rooms import PLACES, Full, legal, rooms
from strategies import jobs

BY_NAME = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)


def holes(*free: int, size: int = 4) -> Space:
    """Nodes of four accelerators, of which these are free, the last ones of each node."""
    room = Space(parse(f"{len(free)}x{size}:A"))
    for number, count in enumerate(free):
        if taken := tuple(f"n{number}/{i}" for i in range(size - count)):
            room.take(Job(-number, 0.0, len(taken)), ((f"n{number}", taken),))
    return room


def where(placement: Placement | None) -> dict[str, int]:
    """Node -> accelerators there."""
    assert placement is not None
    return {node: len(accelerators) for node, accelerators in placement}


# ---------------------------------------------------------------- stories


def test_packed_takes_the_tightest_fit() -> None:
    room = holes(4, 2, 3)
    assert packed(Job(1, 0.0, 2), room) == (("n1", ("n1/2", "n1/3")),)
    assert where(packed(Job(1, 0.0, 3), room)) == {"n2": 3}
    assert where(packed(Job(1, 0.0, 4), room)) == {"n0": 4}


def test_packed_spans_the_fewest_nodes_and_leaves_the_largest_hole() -> None:
    assert where(packed(Job(1, 0.0, 5), holes(3, 4, 1, 2))) == {"n1": 4, "n2": 1}
    assert where(packed(Job(1, 0.0, 8), holes(3, 4, 1, 2))) == {"n1": 4, "n0": 3, "n2": 1}
    assert packed(Job(1, 0.0, 11), holes(3, 4, 1, 2)) is None


def test_first_fit_takes_the_first_node_that_holds_it_or_the_first_that_are_free() -> None:
    assert where(first_fit(Job(1, 0.0, 2), holes(1, 4, 2))) == {"n1": 2}
    assert where(first_fit(Job(1, 0.0, 5), holes(1, 3, 2))) == {"n0": 1, "n1": 3, "n2": 1}


def test_consolidated_waits_for_a_node_where_packed_would_span() -> None:
    room = holes(2, 2)
    assert consolidated(Job(1, 0.0, 3), room) is None
    assert where(packed(Job(1, 0.0, 3), room)) == {"n0": 2, "n1": 1}


def test_consolidated_gives_a_large_gang_whole_nodes_and_one_remainder() -> None:
    assert where(consolidated(Job(1, 0.0, 10), holes(4, 3, 4, 2))) == {"n0": 4, "n2": 4, "n3": 2}
    assert consolidated(Job(1, 0.0, 10), holes(4, 4, 1, 1)) is None  # two ones are no two
    assert consolidated(Job(1, 0.0, 9), holes(4, 3, 3, 3)) is None  # one whole node is not two
    assert where(consolidated(Job(1, 0.0, 8), holes(4, 4, 4))) == {"n0": 4, "n1": 4}


def test_spread_goes_where_most_is_free() -> None:
    assert where(spread(Job(1, 0.0, 3), holes(4, 1, 3))) == {"n0": 2, "n2": 1}
    assert where(spread(Job(1, 0.0, 3), holes(2, 2, 2))) == {"n0": 1, "n1": 1, "n2": 1}


@BY_NAME
def test_a_gang_stands_on_one_kind(place: Place) -> None:
    room = Space(parse("1x2:A+1x2:B"))
    assert place(Job(1, 0.0, 3), room) is None
    assert where(place(Job(1, 0.0, 2, kinds=("B",)), room)) == {"n1": 2}
    assert place(Job(1, 0.0, 1, kinds=("C",)), room) is None


def test_the_first_of_the_wanted_kinds_is_taken_unless_another_needs_fewer_nodes() -> None:
    room = Space(parse("2x1:A+1x2:B"))
    assert where(packed(Job(1, 0.0, 1, kinds=("B", "A")), room)) == {"n2": 1}
    assert where(packed(Job(1, 0.0, 2, kinds=("A", "B")), room)) == {"n2": 2}


def host(name: str, count: int, cpus: float | None = None, memory: int | None = None) -> Node:
    return Node(name, tuple(Accelerator(f"{name}/{i}", "A") for i in range(count)), cpus, memory)


def test_cpus_and_memory_of_a_node_limit_what_stands_there() -> None:
    room = Space((host("n0", 4, cpus=2, memory=100), host("n1", 4, cpus=8, memory=800)))
    assert where(packed(Job(1, 0.0, 4, cpus=8), room)) == {"n1": 4}
    assert where(packed(Job(1, 0.0, 1, host_memory=200), room)) == {"n1": 1}
    assert where(packed(Job(1, 0.0, 5, cpus=10), room)) == {"n1": 4, "n0": 1}  # two CPUs go with each accelerator
    assert packed(Job(1, 0.0, 6, cpus=12), room) is None


def test_shares_stand_together_unless_spread() -> None:
    room = Space(parse("1x3:A"))
    room.take(Job(1, 0.0, share=0.5), (("n0", ("n0/0",)),))
    room.take(Job(2, 0.0, share=0.25), (("n0", ("n0/1",)),))
    on = {place: place(Job(3, 0.0, share=0.25), room) for place in PLACES}
    assert on[packed] == on[first_fit] == on[consolidated] == (("n0", ("n0/0",)),)
    assert on[spread] == (("n0", ("n0/2",)),)
    assert packed(Job(3, 0.0, share=0.6), room) == (("n0", ("n0/1",)),)
    assert packed(Job(3, 0.0, share=0.8), room) == (("n0", ("n0/2",)),)


def test_spreading_a_share_beats_waiting() -> None:
    """The free accelerator is on a node without CPUs; the shared one has some beside it."""
    room = Space((host("n0", 1, cpus=0), host("n1", 1, cpus=4)))
    room.take(Job(1, 0.0, share=0.5, cpus=1), (("n1", ("n1/0",)),))
    for place in PLACES:
        assert place(Job(2, 0.0, share=0.5, cpus=1), room) == (("n1", ("n1/0",)),)


def test_a_job_without_accelerators_gets_a_node() -> None:
    room = Space((host("n0", 1, cpus=8), host("n1", 0, cpus=4), host("n2", 0, cpus=16)))
    job = Job(1, 0.0, 0, cpus=3)
    assert [place(job, room) for place in (packed, first_fit, spread)] == [(("n1", ()),), (("n0", ()),), (("n2", ()),)]
    assert packed(Job(1, 0.0, 0, cpus=17), room) is None


# ---------------------------------------------------------------- laws


@given(rooms(), st.data())
@settings(max_examples=120, deadline=None)
def test_what_is_placed_is_legal_and_accepted(full: Full, data: st.DataObject) -> None:
    job = data.draw(jobs(100, 0.0))
    for place in PLACES:
        if placement := place(job, full.room):
            assert legal(full.room.nodes, [*full.held, (job, placement)])
            full.room.scratch().take(job, placement)


@given(rooms(), st.data())
@settings(max_examples=120, deadline=None)
def test_a_job_waits_only_if_there_is_no_room_for_it(full: Full, data: st.DataObject) -> None:
    job, room = data.draw(jobs(100, 0.0)), full.room
    possible = any_at_all(job, room)
    for place in (packed, first_fit, spread):
        assert (place(job, room) is not None) == possible, place.__name__


def any_at_all(job: Job, room: Room) -> bool:
    """Whether the job fits anywhere: accelerator by accelerator for shares, node by node for the others."""
    if job.gang == 0:
        return any(takes(job, ((node.id, ()),), room) for node in room.nodes)
    if job.share < 1:
        return any(takes(job, ((b.node, (a,)),), room) for b in room.bays for a in b.accelerators)
    return any(sum(usable(job, room, kind).values()) >= job.gang for kind in room.kinds_for(job))


def usable(job: Job, room: Room, kind: str) -> dict[str, int]:
    """Node -> the most accelerators of a kind that a job can use there."""
    most = {}
    for bay in room.bays:
        if bay.kind == kind:
            counts = range(min(room.free[bay.position].bit_count(), job.gang) + 1)
            most[bay.node] = max((c for c in counts if room.hosts(job, bay.host, c)), default=0)
    return most


def takes(job: Job, placement: Placement, room: Room) -> bool:
    try:
        room.scratch().take(job, placement)
    except ValueError:
        return False
    return True


@given(rooms(), st.integers(1, 9), st.sampled_from([None, 3.0]))
@settings(max_examples=120, deadline=None)
def test_nothing_spans_fewer_nodes_than_packed(full: Full, gang: int, cpus: float | None) -> None:
    job, room = Job(100, 0.0, gang, cpus=cpus), full.room
    ways = [usable(job, room, kind) for kind in room.kinds_for(job)]
    enough = [way for way in ways if sum(way.values()) >= gang]
    placement = packed(job, room)
    assert bool(placement) == bool(enough)
    assert not placement or len(placement) == min(fewest(gang, way) for way in enough)


def fewest(gang: int, way: dict[str, int]) -> int:
    """The fewest nodes that hold a gang, by trying all of them."""
    sizes = range(1, len(way) + 1)
    return next(n for n in sizes for some in combinations(way.values(), n) if sum(some) >= gang)


@given(rooms(), st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_spread_leaves_the_rest_even(full: Full, gang: int) -> None:
    """Of the nodes it used, none has less left than another by more than the one accelerator it had to take."""
    job, room = Job(100, 0.0, gang, kinds=("A",)), full.room.scratch()
    if placement := spread(job, room):
        room.take(job, placement)
        left = {bay.node: room.free[bay.position].bit_count() for bay in room.bays if bay.kind == "A"}
        assert all(left[node] + 1 >= max(left.values()) for node, _ in placement)


@given(rooms(), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_consolidated_never_spans_when_one_node_could_do(full: Full, gang: int) -> None:
    job, room = Job(100, 0.0, gang), full.room
    kinds = [kind for kind in room.kinds if room.largest[kind] >= gang]
    placement = consolidated(job, room)
    if len(kinds) == len(room.kinds) > 0:
        assert placement is None or len(placement) == 1
    if any(count >= gang for kind in kinds for count in usable(job, room, kind).values()):
        assert placement is not None
        assert len(placement) == 1


@given(rooms(), st.data())
@settings(max_examples=80, deadline=None)
def test_equal_questions_get_equal_answers(full: Full, data: st.DataObject) -> None:
    """Of the job only its shape is read, and of the room only what is free: what is no use once is no use twice."""
    job = data.draw(jobs(100, 0.0))
    twin = replace(job, id=7, submit=55.0, estimate=9.0, priority=3.0)
    for place in PLACES:
        assert place(job, full.room) == place(twin, full.room.scratch())


@given(rooms(), st.data())
@settings(max_examples=120, deadline=None)
def test_more_room_is_never_worse(full: Full, data: st.DataObject) -> None:
    """EASY's promise and preemption rest on it: what fits still fits when somebody has left."""
    job = data.draw(jobs(100, 0.0))
    fits = {place for place in PLACES if place(job, full.room)}
    if full.held:
        full.room.give(*full.held[data.draw(st.integers(0, len(full.held) - 1))])
    for place in fits:
        assert place(job, full.room), place.__name__


def test_unlike_kinds_each_placement_keeps_its_word() -> None:
    """Two kinds: the tightest, the first, and the widest stand on different ones."""
    for spec, place, gang, expected in (
        ("1x8:A+1x2:B", packed, 2, "n1"),
        ("1x8:A+1x2:B", consolidated, 2, "n1"),
        ("1x4:A+4x1:B", spread, 4, "n1"),
        ("1x4:A+4x1:B", packed, 4, "n0"),
    ):
        found = place(Job(1, 0.0, gang), Room(parse(spec)))
        assert found is not None
        assert found[0][0] == expected
    room = Room(parse("1x1:A+1x1:B+1x1:A")).scratch()
    room.take(Job(0, 0.0), (("n0", ("n0/0",)),))
    assert first_fit(Job(1, 0.0), room) == (("n1", ("n1/0",)),)
