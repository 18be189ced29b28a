"""Room is taken whole or not at all, given back whole, and never given out twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.placement import packed
from gpuyard.envs.room import Room
from gpuyard.envs.space import Space
from gpuyard.envs.vocabulary import InvalidDecision, Placement
from gpuyard.traces.job import Job
from rooms import Full, legal, rooms
from strategies import jobs


def everything(room: Room) -> object:
    """The state, and the indexes over it."""
    return (room.state(), dict(room.count), {kind: list(levels) for kind, levels in room.levels.items()})


def indexed(room: Room) -> bool:
    """Whether the indexes tell the same as what they index."""
    for kind in room.kinds:
        levels = [0] * (room.largest[kind] + 1)
        for bay in room.bays:
            if bay.kind == kind:
                levels[room.free[bay.position].bit_count()] |= 1 << bay.position
        count = sum(room.free[b.position].bit_count() for b in room.bays if b.kind == kind)
        if (levels, count) != (room.levels[kind], room.count[kind]):
            return False
    return True


@st.composite
def scribbles(draw: st.DrawFn, room: Room) -> Placement:
    """A placement that may be right, or name what is taken, elsewhere, unknown, or named before."""
    there = [(bay.node, a) for bay in room.bays for a in bay.accelerators]
    seats = draw(st.lists(st.sampled_from([*there, ("n0", "ghost")]), max_size=5))
    if draw(st.booleans()):
        seats = list(dict.fromkeys(seats))
    parts: dict[str, tuple[str, ...]] = {}
    for node, accelerator in seats:
        named = draw(st.sampled_from([node, node, node, node, "n0"]))
        parts[named] = (*parts.get(named, ()), accelerator)
    placement = list(parts.items())
    if placement and draw(st.integers(0, 3)) == 0:
        node, accelerators = placement[0]
        placement[:1] = [(node, accelerators[:1]), (node, accelerators[1:])]
    if draw(st.integers(0, 5)) == 0:
        placement.append((draw(st.sampled_from(["n0", "nowhere"])), ()))
    return tuple(placement)


def refusal(job: Job, placement: Placement, room: Space) -> str:
    """Takes room; returns what was said if it could not."""
    try:
        room.take(job, placement)
    except InvalidDecision as refused:
        return str(refused)
    return ""


@given(rooms(), st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_taken_was_free_and_what_is_refused_changes_nothing(full: Full, data: st.DataObject) -> None:
    room, held = full.room, full.held
    assert legal(room.nodes, held)
    for number in range(3):
        job = data.draw(jobs(100 + number, 0.0))
        placement = data.draw(scribbles(room))
        before, took = everything(room), room.scratch().took(job, placement)
        if refusal(job, placement, room):
            assert everything(room) == before
            assert not took
        else:
            held.append((job, placement))
            assert took
        assert legal(room.nodes, held)
        assert indexed(room)


@given(rooms(), st.data())
@settings(max_examples=120, deadline=None)
def test_what_is_legal_is_accepted(full: Full, data: st.DataObject) -> None:
    job, placement = data.draw(jobs(100, 0.0)), data.draw(scribbles(full.room))
    if legal(full.room.nodes, [*full.held, (job, placement)]):
        full.room.take(job, placement)


@given(rooms(), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_all_that_was_taken_can_be_given_back(full: Full, random: object) -> None:
    room, scratch = full.room, full.room.scratch()
    before = everything(room)
    random.shuffle(full.held)  # type: ignore[attr-defined]
    for job, placement in full.held:
        scratch.give(job, placement)
        assert indexed(scratch)
    assert everything(scratch) == everything(Space(room.nodes))
    assert everything(room) == before
    for job, placement in reversed(full.held):
        scratch.take(job, placement)
    assert everything(scratch) == before


@given(rooms(), st.data())
@settings(max_examples=80, deadline=None)
def test_what_could_ever_run_does_not_depend_on_what_runs(full: Full, data: st.DataObject) -> None:
    job = data.draw(jobs(100, 0.0))
    assert full.room.could_ever(job) == Room(full.room.nodes).could_ever(job)
    assert full.room.could_ever(job) == (packed(job, Room(full.room.nodes)) is not None)


ONE = (Node("n0", (Accelerator("n0/0", "A"), Accelerator("n0/1", "A")), cpus=4, memory=1000),)


@pytest.mark.parametrize(
    ("job", "placement", "reason"),
    [
        (Job(1, 0.0, 2), (("n0", ("n0/1",)),), "job 1 needs 2 accelerators, the placement has 1"),
        (Job(1, 0.0, 1), (("n0", ("n0/0",)),), "job 1 cannot have n0/0: it is taken"),
        (Job(1, 0.0, 1), (("n0", ("n9/0",)),), "job 1 cannot stand on n9/0 of n0: there is none"),
        (Job(1, 0.0, 1), (("n9", ("n0/1",)),), "job 1 cannot stand on n0/1 of n9: there is none"),
        (Job(1, 0.0, 1, kinds=("B",)), (("n0", ("n0/1",)),), "job 1 wants B, the placement has A"),
        (Job(1, 0.0, 1, cpus=4), (("n0", ("n0/1",)),), "job 1 needs more CPUs or host memory than n0 has free"),
        (Job(1, 0.0, 1, host_memory=1001), (("n0", ("n0/1",)),), "job 1 needs more CPUs or host memory than n0"),
        (Job(1, 0.0, 1, 0.5), (("n0", ("n0/0",)),), "job 1 needs 500/1000 of n0/0, 0/1000 is left"),
        (Job(1, 0.0, 0), (("n9", ()),), "job 1 needs no accelerators: its placement is one node of the cluster"),
    ],
)
def test_a_refusal_says_what_is_missing(job: Job, placement: Placement, reason: str) -> None:
    room = Space(ONE)
    room.take(Job(0, 0.0, 1, cpus=1), (("n0", ("n0/0",)),))
    before = everything(room)
    with pytest.raises(InvalidDecision, match=reason.replace("(", r"\(")):
        room.take(job, placement)
    assert everything(room) == before


def test_an_accelerator_is_whole_again_when_its_last_share_has_gone() -> None:
    room = Space(parse("1x1:A"))
    seat: Placement = (("n0", ("n0/0",)),)
    third, half = Job(1, 0.0, share=0.333), Job(2, 0.0, share=0.5)
    room.take(third, seat)
    room.take(half, seat)
    assert (room.count, room.left) == ({"A": 0}, {"n0/0": 1000 - 333 - 500})
    room.give(third, seat)
    assert (room.count, room.left) == ({"A": 0}, {"n0/0": 500})
    room.give(half, seat)
    assert (room.count, room.left) == ({"A": 1}, {})


def test_a_node_that_is_asked_for_whole_is_enough() -> None:
    """Thousandths of CPUs are whole numbers, though 2.007 x 1000 is a little more than 2007 in binary."""
    for thousandths in (1, 333, 1001, 2007, 2011, 8200, 19_999):
        node = Node("n0", (Accelerator("n0/0", "A"),), cpus=thousandths / 1000)
        for gang in (0, 1):
            job = Job(1, 0.0, gang, cpus=thousandths / 1000)
            placement = packed(job, Room((node,)))
            assert Room((node,)).could_ever(job)
            assert placement
            Space((node,)).take(job, placement)


def test_room_that_cpus_hold_back_is_room_all_the_same() -> None:
    room = Space(ONE)
    room.take(Job(0, 0.0, 0, cpus=4), (("n0", ()),))
    assert packed(Job(1, 0.0, 1, cpus=1), room) is None
    assert room.could_ever(Job(1, 0.0, 1, cpus=1))
    assert not room.could_ever(Job(1, 0.0, 1, cpus=5))


@pytest.mark.parametrize(
    "placement",
    [
        (("n0", ("n0/0",)), ("n0", ("n0/1",))),
        (("n0", ("n0/0", "n0/1")), ("n0", ())),
        (("n0", ("n0/0", "n0/1")), ("nowhere", ())),
    ],
)
def test_a_placement_names_a_node_once_and_for_something(placement: Placement) -> None:
    """Two halves of a job would each pass where both do not."""
    with pytest.raises(InvalidDecision, match="job 1 cannot stand on a node twice, or on one without accelerators"):
        Space(ONE).take(Job(1, 0.0, 2, cpus=4), placement)
