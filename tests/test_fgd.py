"""FGD: fragments by hand, and where jobs go by them."""

from __future__ import annotations

import pytest

from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.space import Space
from gpuyard.envs.vocabulary import Start
from gpuyard.policies.fgd import Fgd, State, Wants, fgd, fragment, wants
from gpuyard.traces.job import Job, Trace

HALF, WHOLE, PAIR = Wants(1, 500, 0, 0, ()), Wants(1, 1000, 0, 0, ()), Wants(2, 1000, 0, 0, ())


@pytest.mark.parametrize(
    ("left", "one", "told"),
    [
        ((300, 600, 1000), HALF, 300),  # the first alone has less than a half
        ((300, 600, 1000), WHOLE, 900),
        ((300, 600, 1000), PAIR, 1900),  # no pair fits: all that is left is of no use to it
        ((1000, 1000), PAIR, 0),
        ((1000, 1000), Wants(1, 1000, 9000, 0, ()), 2000),  # nor is what lacks CPUs beside it
        ((1000, 1000), Wants(1, 1000, 0, 9, ()), 2000),
        ((1000, 1000), Wants(1, 1000, 0, 0, ("H100",)), 2000),
        ((1000, 1000), Wants(0, 1000, 1, 1, ()), 2000),  # who wants no accelerator makes no use of any
    ],
)
def test_what_of_a_node_a_class_cannot_use(left: tuple[int, ...], one: Wants, told: float) -> None:
    assert fragment(State(left, 8000.0, 8.0, "A"), one) == told


def test_a_share_goes_where_it_breaks_nothing_up() -> None:
    """One accelerator has 0.6 left, one is whole. Whole jobs come often: a share of 0.5 goes beside the other."""
    room = Space(parse("1x2:A"))
    room.take(Job(0, 0.0, share=0.4), (("n0", ("n0/0",)),))
    policy = Fgd({WHOLE: 0.9, HALF: 0.1})
    policy._workload = {WHOLE: 0.9, HALF: 0.1}
    assert policy.place(Job(1, 0.0, share=0.5), room) == (("n0", ("n0/0",)),)


def test_where_shares_come_that_just_fit_what_is_left_it_is_left_to_them() -> None:
    """What is left, 0.6, is what others want. 0.5 there would leave 0.1 for nobody; on the whole one it leaves 0.5."""
    room = Space(parse("1x2:A"))
    room.take(Job(0, 0.0, share=0.4), (("n0", ("n0/0",)),))
    policy = Fgd()
    policy._workload = {Wants(1, 600, 0, 0, ()): 0.5, HALF: 0.5}
    growth = {}
    for at in (0, 1):
        trial = room.scratch()
        before = policy.mean(State((600, 1000), float("inf"), float("inf"), "A"))
        trial.take(Job(1, 0.0, share=0.5), (("n0", (f"n0/{at}",)),))
        after = (100, 1000) if at == 0 else (500, 600)
        growth[at] = policy.mean(State(tuple(sorted(after)), float("inf"), float("inf"), "A")) - before
    assert growth == {0: 100.0, 1: 0.5 * 500}  # 0.1 is lost to both; 0.5 to half of them
    assert policy.place(Job(1, 0.0, share=0.5), room) == (("n0", ("n0/0",)),)


def test_a_job_goes_where_cpus_are_short_already() -> None:
    """Two nodes of one accelerator; one has CPUs for no whole job of two cores. Who needs none goes there."""
    nodes = tuple(Node(f"n{i}", (Accelerator(f"n{i}/0", "A"),), cpus) for i, cpus in ((0, 8.0), (1, 1.0)))
    policy = Fgd({Wants(1, 1000, 2000, 0, ()): 1.0})
    log = Session(SimWorld(Trace((Job(0, 0.0),), {0: 1.0}), nodes)).play(policy)
    assert [entry.placement for entry in log.entries if isinstance(entry, Start)] == [(("n1", ("n1/0",)),)]


def test_a_workload_is_learned_from_who_came() -> None:
    jobs = tuple(Job(n, float(n), share=0.5 if n % 4 else 1.0) for n in range(40))
    Session(SimWorld(Trace(jobs, dict.fromkeys(range(40), 1e6)), parse("10x4:A"))).play(fgd)
    assert set(fgd._workload) == {wants(jobs[0]), wants(jobs[1])}
    assert fgd._workload[wants(jobs[1])] == pytest.approx(0.75, abs=0.05)


def test_gangs_that_no_node_holds_span_nodes() -> None:
    log = Session(SimWorld(Trace((Job(0, 0.0, 6),), {0: 1.0}), parse("2x4:A"))).play(Fgd())
    assert sum(isinstance(entry, Start) for entry in log.entries) == 1
