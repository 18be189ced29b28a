"""The full menu: every row is legal, says what it would do, and cannot be taken in circles."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.cluster import Cluster
from gpuyard.envs.codec import Menu
from gpuyard.envs.full import Full
from gpuyard.envs.metrics import read, summary
from gpuyard.envs.nodes import Node, parse
from gpuyard.envs.offers.offer import VERBS, known
from gpuyard.envs.rates import OBJECTIVES, Mix
from gpuyard.envs.scenario import Scenario, of_cluster, scenario, shipped
from gpuyard.envs.scheduling import SchedulingEnv
from gpuyard.envs.vocabulary import (
    Cap,
    Measured,
    Move,
    NodeUp,
    Preempt,
    Provision,
    Release,
    Resize,
    Sample,
    Start,
    Submitted,
    Tick,
)
from gpuyard.traces.estimates import with_estimates
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.source import open_trace
from strategies import nodes, traces

AT = {name: column for column, name in enumerate(Full.row)}
LAST = {name: column for column, name in enumerate(Full.whole)}


def cluster(spec: str, *jobs: Job) -> Cluster:
    made = Cluster(parse(spec))
    for job in jobs:
        made.observe(Submitted(job.submit, job))
    return made


def rows(menu: Menu, verb: str) -> list[int]:
    """The rows of a verb."""
    told = menu.observation[:-1, AT[f"is_{verb}"]]
    return np.flatnonzero(told > 0).tolist()


def on(*accelerators: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return ((accelerators[0].split("/")[0], accelerators),)


def test_it_names_every_feature_and_has_a_file_for_every_verb_but_starts_kin() -> None:
    assert len(Full.row) == len(set(Full.row)) >= len(Full.whole) == len(set(Full.whole))
    assert known() == ["caps", "moves", "pools", "preempts", "reserve", "resizes", "starts"]
    assert len(VERBS) == len(known()) + 1  # pools provide and release


def test_a_short_job_may_have_a_long_one_stopped() -> None:
    """One accelerator, busy for 90 s more; who waits needs 10 s. The row says whom it costs, and what."""
    there = cluster("1x1:V100", Job(0, 0.0, estimate=100.0))
    there.decide(Start(0, on("n0/0")))
    there.observe(Submitted(10.0, Job(1, 10.0, estimate=10.0)))
    menu = Full().menu(there)
    (row,) = rows(menu, "preempt")
    assert menu.mask[row]
    assert menu.peek(row) == (Preempt(0),)
    told = menu.observation[row]
    assert told[AT["victim_left"]] == pytest.approx(np.log1p(90.0) / 16)
    assert told[AT["victim_served"]] == pytest.approx(np.log1p(10.0) / 16)
    assert told[AT["left"]] == pytest.approx(np.log1p(10.0) / 16)
    assert told[AT["lost"]] == pytest.approx(np.log1p(60.0) / 16)
    there.decide(*menu.choose(row) or ())
    assert not rows(Full().menu(there), "preempt"), "room is being made already"


def test_who_has_just_begun_is_not_stopped_and_a_quantum_makes_that_longer() -> None:
    there = cluster("1x1:V100", Job(0, 0.0, estimate=100.0), Job(1, 0.0, estimate=10.0))
    there.decide(Start(0, on("n0/0")))
    assert not rows(Full().menu(there), "preempt")
    there.observe(Tick(30.0))
    assert rows(Full().menu(there), "preempt")
    assert not rows(Full(quantum=31.0).menu(there), "preempt")


def test_only_as_few_are_stopped_as_are_needed() -> None:
    long = Job(0, 0.0, 2, estimate=500.0), Job(1, 0.0, 1, estimate=900.0), Job(2, 0.0, 1, estimate=50.0)
    there = cluster("1x4:V100", *long)
    for number, some in ((0, ("n0/0", "n0/1")), (1, ("n0/2",)), (2, ("n0/3",))):
        there.decide(Start(number, on(*some)))
    there.observe(Submitted(5.0, Job(3, 5.0, 2, estimate=5.0)))
    menu = Full().menu(there)
    assert [menu.peek(row) for row in rows(menu, "preempt")] == [(Preempt(0),)]


def test_a_job_can_be_offered_on_two_kinds_the_faster_first() -> None:
    there = cluster("1x1:K80+1x1:V100", Job(0, 0.0, estimate=10.0, profile="resnet50"))
    menu = Full().menu(there)
    places = [menu.peek(row) for row in rows(menu, "start")]
    assert places == [(Start(0, on("n1/0")),), (Start(0, on("n0/0")),)]
    paces = [menu.observation[row, AT["pace"]] for row in rows(menu, "start")]
    assert paces[0] == 0.0 > paces[1]


def test_a_running_job_may_move_to_a_faster_kind() -> None:
    there = cluster("1x1:K80+1x1:V100", Job(0, 0.0, estimate=10.0, profile="resnet50"))
    there.decide(Start(0, on("n0/0")))
    there.observe(Tick(1.0))
    menu = Full().menu(there)
    (row,) = rows(menu, "move")
    assert menu.peek(row) == (Move(0, on("n1/0")),)
    assert menu.observation[row, AT["faster"]] > 0.3
    assert not rows(Full(offers=("starts", "preempts")).menu(there), "move")


def test_an_elastic_job_may_grow_into_what_is_free_and_shrink_for_who_waits() -> None:
    there = cluster("1x4:V100", Job(0, 0.0, 2, estimate=100.0, min_gang=1, max_gang=4))
    there.decide(Start(0, on("n0/0", "n0/1")))
    there.observe(Tick(1.0))
    menu = Full().menu(there)
    (grow,) = rows(menu, "resize")
    assert menu.peek(grow) == (Resize(0, on("n0/0", "n0/1", "n0/2", "n0/3")),)
    assert menu.observation[grow, AT["change"]] == pytest.approx(0.25)
    there.observe(Submitted(2.0, Job(1, 2.0, 3, estimate=10.0)))
    menu = Full().menu(there)
    assert (Resize(0, on("n0/0")),) in [menu.peek(row) for row in rows(menu, "resize")]


def test_an_elastic_job_that_does_not_fit_may_start_smaller() -> None:
    there = cluster("1x3:V100", Job(0, 0.0, 4, estimate=100.0, min_gang=2, max_gang=8))
    menu = Full().menu(there)
    assert [menu.peek(row) for row in rows(menu, "start")] == [(Start(0, on("n0/0", "n0/1")),)]


def test_power_goes_down_a_step_or_is_let_free() -> None:
    there = cluster("1x2:V100", Job(0, 0.0))
    there.observe(Measured(1.0, (Sample("n0/0", watts=200.0), Sample("n0/1", watts=100.0))))
    codec = Full()
    menu = codec.menu(there)
    (down,) = rows(menu, "cap")
    assert menu.peek(down) == (Cap("n0/0", 210.0), Cap("n0/1", 210.0))
    assert menu.observation[down, AT["watts"]] < 0
    for decision in menu.choose(down) or ():
        there.decide(decision)
    assert not rows(codec.menu(there), "cap"), "once in a moment"
    there.observe(Tick(2.0))
    menu = codec.menu(there)
    steps = {menu.peek(row)[0] for row in rows(menu, "cap")}
    assert steps == {Cap("n0/0", 165.0), Cap("n0/0", None)}


def test_nodes_are_rented_for_who_is_blocked_and_idle_ones_given_back() -> None:
    """Four accelerators are waited for; when four are on their way nobody waits for more."""
    fixed = parse("1x1:V100")
    rented = [replace(n, id=f"c{i}", accelerators=tuple(replace(a, id=f"c{i}/{a.id[-1]}") for a in n.accelerators),
                      pool="cloud", present=False, usd_per_hour=3.0)
              for i, n in enumerate(parse("3x2:V100"))]  # fmt: skip
    there = Cluster((*fixed, *rented))
    there.observe(Submitted(0.0, Job(0, 0.0, 4, estimate=10.0)))
    codec = Full()
    menu = codec.menu(there)
    assert [menu.peek(row) for row in rows(menu, "provision")] == [(Provision("cloud", 1),), (Provision("cloud", 2),)]
    two = rows(menu, "provision")[1]
    assert menu.observation[two, AT["usd"]] == pytest.approx(np.log1p(6.0) / 8)
    assert menu.observation[two, AT["blocked"]] == pytest.approx(np.log1p(4.0) / 4)
    assert not menu.mask[-1], "nothing else would ever happen"
    there.decide(*menu.choose(two) or ())
    assert not rows(codec.menu(there), "provision")
    there.observe(Tick(30.0))
    menu = codec.menu(there)
    assert [menu.observation[row, AT["blocked"]] for row in rows(menu, "provision")] == [0.0]
    assert menu.mask[-1], "they are on their way"
    there.observe(NodeUp(60.0, "c0"))
    there.observe(NodeUp(60.0, "c1"))
    menu = codec.menu(there)
    assert [menu.peek(row) for row in rows(menu, "release")] == [(Release("c0"),)]
    assert not menu.mask[rows(menu, "release")].any(), "while the job could start and nothing runs"
    there.decide(Start(0, (("c0", ("c0/0", "c0/1")), ("c1", ("c1/0", "c1/1")))))
    assert not rows(codec.menu(there), "release")


def test_nodes_come_for_those_alone_who_may_stand_on_them() -> None:
    """A job that must stay at home needs no node of the cloud; behind it one that may go needs one."""
    fixed = [replace(node, site="home") for node in parse("1x1:V100")]
    (n,) = parse("1x2:V100")
    ours = tuple(replace(a, id=f"c0/{a.id[-1]}") for a in n.accelerators)
    rented = [replace(n, id="c0", accelerators=ours, pool="cloud", present=False, usd_per_hour=3.0, site="cloud")]
    there = Cluster((*fixed, *rented))
    for job in (Job(0, 0.0, estimate=99.0), Job(1, 0.0, estimate=10.0, sites=("home",))):
        there.observe(Submitted(0.0, job))
    there.decide(Start(0, on("n0/0")))
    assert not rows(Full().menu(there), "provision")
    there.observe(Submitted(1.0, Job(2, 1.0, 2, estimate=50.0)))
    menu = Full().menu(there)
    assert [(menu.jobs[row], menu.peek(row)) for row in rows(menu, "provision")] == [(2, (Provision("cloud", 1),))]


def test_a_reservation_keeps_others_from_delaying_the_oldest_until_something_happens() -> None:
    """EASY: job 0 ends at 100; job 1 needs both then. A job of 50 s may overtake, one of 200 s may not."""
    there = cluster("1x2:V100", Job(0, 0.0, estimate=100.0))
    there.decide(Start(0, on("n0/0")))
    for job in (Job(1, 1.0, 2, estimate=10.0), Job(2, 1.0, estimate=50.0), Job(3, 1.0, estimate=200.0)):
        there.observe(Submitted(1.0, job))
    codec = Full()
    menu = codec.menu(there)
    assert menu.mask[:3].tolist() == [False, True, True]
    (row,) = rows(menu, "reserve")
    assert menu.choose(row) == ()
    menu = codec.menu(there)
    assert menu.mask[:3].tolist() == [False, True, False]
    assert not rows(menu, "reserve")
    there.observe(Tick(2.0))
    assert codec.menu(there).mask[:3].tolist() == [False, True, True]


def legal(one: SchedulingEnv) -> None:
    """Everything on the menu that may be chosen is accepted by the ledger, whole."""
    assert one.session is not None
    menu = one.menu
    assert menu.mask.any()
    assert np.isfinite(menu.observation).all()
    assert one.observation_space.contains(menu.observation)
    for row in np.flatnonzero(menu.mask[:-1]).tolist():
        ledger = deepcopy(one.session.cluster)
        for decision in menu.peek(row):
            ledger.decide(decision)  # raises if it would refuse


def wander(one: SchedulingEnv, seed: int, most: int) -> Iterator[None]:
    rng = np.random.default_rng(seed)
    one.reset(seed=seed)
    for _ in range(most):
        yield
        if one.step(np.int64(rng.choice(np.flatnonzero(one.action_masks()))))[2]:
            return


@pytest.mark.parametrize("name", shipped())
def test_all_that_may_be_chosen_in_shipped_scenarios_is_legal(name: str) -> None:
    world = scenario(name)
    trace = with_estimates(open_trace(world.trace or "", seed=1).first(300), "noisy:0.8", 1)
    one = SchedulingEnv(trace, world, Full(), window=60, oversized="skip", skip_forced=True, tick=3600.0)
    for number, _ in enumerate(wander(one, 3, 250)):
        if number % 10 == 0:
            legal(one)


@given(traces(), st.integers(2, 20), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_all_that_may_be_chosen_in_random_worlds_is_legal_and_every_game_ends(trace: Trace, k: int, seed: int) -> None:
    one = SchedulingEnv(
        trace,
        nodes(),
        Full(k),
        window=None,
    )
    for _ in wander(one, seed, 400):
        legal(one)


def plain(count: int = 30) -> Trace:
    rng = np.random.default_rng(5)
    gangs = rng.choice([1, 2, 4], count).tolist()
    jobs = tuple(Job(n, 20.0 * n, gang, estimate=60.0 + 9 * (n % 7)) for n, gang in enumerate(gangs))
    return Trace(jobs, {job.id: 30.0 + 37.0 * (job.id % 5) for job in jobs})


@pytest.mark.parametrize("name", ["campus", "hybrid"])
def test_what_a_mix_pays_is_what_the_metrics_say(name: str) -> None:
    """Completion times, slowdowns, energy, carbon and money are the same integrals."""
    world: Scenario = scenario(name)
    trace = with_estimates(open_trace(world.trace or "", seed=2).first(40).rebased(), "noisy:0.8", 2)
    mix = Mix(tuple(OBJECTIVES))
    one = SchedulingEnv(trace, world, Full(), mix=mix, window=None, oversized="skip", skip_forced=True)
    total, over = 0.0, False
    one.reset(options={"trace": one.trace, "weights": np.ones(len(OBJECTIVES))})
    rng = np.random.default_rng(0)
    while not over:
        _, reward, over, _, _ = one.step(np.int64(rng.choice(np.flatnonzero(one.action_masks()))))
        total += reward
    assert one.session is not None
    log, cluster = one.session.log, one.session.cluster
    jobs = read(log).jobs
    paid = dict(zip(mix.names, mix.paid.tolist(), strict=True))
    assert total == pytest.approx(-mix.paid.sum())
    assert paid["jct"] == pytest.approx(float(np.nansum(jobs.jct)), rel=1e-9)
    for key, told in (("energy", cluster.meter.joules), ("carbon", cluster.meter.grams), ("cost", cluster.meter.usd)):
        assert paid[key] == pytest.approx(told or 0.0, rel=1e-6)
    assert paid["fairness"] >= 0.0
    assert summary(log).finished > 0


def test_weights_are_shown_and_change_the_reward() -> None:
    one = SchedulingEnv(plain(), "2x4:V100", Full(), mix=Mix(("jct", "slowdown")), window=None)
    shown = np.arange(6, dtype=np.float32) / np.float32(8)
    options = {"trace": plain(), "weights": np.array([2.0, 0.0]), "codec": Full(weights=shown)}
    observation, _ = one.reset(options=options)
    assert [observation[-1, LAST[f"weight_{name}"]] for name in OBJECTIVES] == shown.tolist()
    assert one.mix is not None
    over, total = False, 0.0
    while not over:
        _, reward, over, _, _ = one.step(np.int64(one.action_masks().argmax()))
        total += reward
    assert total == pytest.approx(-2.0 * one.mix.paid[0])


def test_a_plain_world_offers_starts_stops_and_reservations_alone() -> None:
    one = SchedulingEnv(plain(), of_cluster("2x4:V100"), Full(), window=None)
    seen: set[str] = set()
    for _ in wander(one, 0, 200):
        seen |= {verb for verb in VERBS if rows(one.menu, verb)}
    assert seen == {"start", "preempt", "reserve"}


def test_nodes_of_no_accelerators_have_a_menu_too() -> None:
    jobs = tuple(Job(n, 0.0, 0, cpus=1.0) for n in range(3))
    one = SchedulingEnv(Trace(jobs, dict.fromkeys(range(3), 5.0)), (Node("n0", (), cpus=2),), Full(4), window=None)
    for _ in wander(one, 0, 50):
        legal(one)
