"""Spot nodes: reclaims and returns by hand, lives and waves by their laws."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.alone import Alone
from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.clouds import Clouds, Pool
from gpuyard.envs.laws.failures import Failures
from gpuyard.envs.laws.law import Law, Stage
from gpuyard.envs.laws.spot import Spot, series
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.recordings import capacity
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import Decision, Declined, NodeDown, NodeUp, Notice, Provision, Start, Stopped
from gpuyard.policies.orders import fifo
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput

HOUR = 3600.0
NEVER = {"wave_every": 0.0, "a": 0.5, "tau1": 1e12, "tau2": 1.0, "b": 1e9}
"""Lives of 1e9 s and no waves."""


def group(size: int, present: bool = True) -> tuple[Node, ...]:
    return tuple(
        Node(f"s{n}", (Accelerator(f"s{n}/0", "V100"),), pool="spot", present=present, spot=True) for n in range(size)
    )


def told(log: Log, *kinds: type) -> list[object]:
    return [one for one in log.entries if isinstance(one, kinds)]


def steps(folder: Path, *lines: str) -> str:
    path = folder / "capacity.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


class Renting:
    """Fifo that asks for a node of the pool whenever one may come, at most so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def decide(self, cluster: ClusterView) -> Iterable[Decision]:
        while self.left and cluster.estate.can_come("spot"):
            self.left -= 1
            yield Provision("spot")
        yield from fifo.decide(cluster)


def test_a_recorded_drop_takes_a_node_and_a_rise_brings_it_back(tmp_path: Path) -> None:
    """One node, 300 s of work: noticed at 80, gone at 200 (120 s later), back at 250; begun anew, done at 550."""
    law = Spot(recorded=steps(tmp_path, "0,1", "200,1", "200,0", "250,0", "250,1"))
    log = Session(HarshWorld(Trace((Job(0, 0.0),), {0: 300.0}), group(1), {"spot": law}, restart=0.0)).play(fifo)
    assert told(log, Notice, NodeDown, NodeUp, Stopped) == [
        Notice(80.0, "s0", 120.0),
        NodeDown(200.0, "s0", "reclaimed for a while"),
        Stopped(200.0, 0, "lost", 0.0, 200.0),
        NodeUp(250.0, "s0"),
        Stopped(550.0, 0, "finished", 300.0),
    ]


def test_what_was_persisted_survives_a_reclaim(tmp_path: Path) -> None:
    """Snapshots after every 90 s of work: at 200, 180 are kept and 20 lost; back at 250, the other 120 end at 370."""
    laws: dict[str, Law] = {
        "checkpoints": Checkpoints(interval=90, stall=0, gigabytes=0, restore_s=0),
        "spot": Spot(recorded=steps(tmp_path, "0,1", "200,0", "250,1")),
    }
    log = Session(HarshWorld(Trace((Job(0, 0.0),), {0: 300.0}), group(1), laws)).play(fifo)
    assert told(log, Stopped) == [Stopped(200.0, 0, "lost", 180.0, 20.0), Stopped(370.0, 0, "finished", 300.0)]


def test_a_capacity_is_scaled_to_the_pool_and_hours_are_told_by_their_point(tmp_path: Path) -> None:
    """Of 16, 8, 12: of a pool of four 4, 2, 3; at 0, 1 and 2 hours, or twice as fast."""
    path = steps(tmp_path, "0.0,16", "1.000,16", "1.000,8", "2.000,12")
    assert series(Spot(recorded=path), group(4), 3 * HOUR) == [(0.0, 4), (HOUR, 2), (2 * HOUR, 3)]
    assert series(Spot(recorded=path, chaos=2), group(4), 3 * HOUR) == [(0.0, 4), (HOUR / 2, 2), (HOUR, 3)]
    assert series(Spot(recorded=path, unit="seconds"), group(4), 9.0) == [(0.0, 4), (1.0, 2), (2.0, 3)]


def test_who_goes_is_the_same_for_all_policies_and_other_nodes_stay(tmp_path: Path) -> None:
    path = steps(tmp_path, "0,4", "500,2", "600,4")
    falls = []
    for work in (50.0, 5000.0):
        trace = Trace(tuple(Job(n, 0.0) for n in range(8)), dict.fromkeys(range(8), work))
        log = Session(HarshWorld(trace, group(4), {"spot": Spot(recorded=path)}, seed=2)).play(fifo)
        falls.append(told(log, NodeDown))
    assert falls[0] == []  # all was over at 100 s
    assert len(falls[1]) == 2
    trace = Trace((Job(0, 550.0),), {0: 5.0})
    again = told(Session(HarshWorld(trace, group(4), {"spot": Spot(recorded=path)}, seed=2)).play(fifo), NodeDown)
    assert again == falls[1]


def test_what_comes_while_there_is_no_capacity_is_declined(tmp_path: Path) -> None:
    """The pool has one node that has to be provisioned, in 60 s; there is none until 100: declined at 60, had at 120.

    The policy asks at 0, and again when it is told of the decline. Reclaimed at 500 without a notice: gone for good.
    """
    law = Spot(recorded=steps(tmp_path, "0,0", "100,1", "500,0"), notice=0)
    laws: dict[str, Law] = {"clouds": Clouds({"spot": Pool(delay=60.0, minimum=0.0)}), "spot": law}
    trace = Trace((Job(0, 0.0), Job(1, 120.0)), {0: 100.0, 1: 1000.0})
    log = Session(HarshWorld(trace, group(1, present=False), laws, restart=0.0)).play(Renting(2))
    assert told(log, Declined, Notice, NodeUp, NodeDown, Stopped) == [
        Declined(60.0, "spot", 1),
        NodeUp(120.0, "s0"),
        Stopped(220.0, 0, "finished", 100.0),
        NodeDown(500.0, "s0", "reclaimed"),
        Stopped(500.0, 1, "lost", 0.0, 280.0),
    ]


def test_a_node_that_was_provisioned_has_a_life_of_its_own() -> None:
    """All lives are 1,000 s: nearly nothing before b = 1,000, all within milliseconds of it. Asked for at 0, there at
    60, noticed at 940, gone at 1,060; asked for again then, there at 1,120: the job of 1,500 s is lost again.
    """
    law = Spot(a=0.5, tau1=1e15, tau2=1e-4, b=1000.0, wave_every=0.0)
    laws: dict[str, Law] = {"clouds": Clouds({"spot": Pool(delay=60.0, minimum=0.0)}), "spot": law}
    log = Session(HarshWorld(Trace((Job(0, 0.0),), {0: 1500.0}), group(1, False), laws, restart=0.0)).play(Renting(2))
    found = told(log, Notice, NodeUp, NodeDown, Stopped)
    assert [type(one).__name__ for one in found] == ["NodeUp", "Notice", "NodeDown", "Stopped"] * 2
    times = [60.0, 940.0, 1060.0, 1060.0, 1120.0, 2000.0, 2120.0, 2120.0]
    assert [one.time for one in found] == pytest.approx(times, abs=0.1)  # type: ignore[attr-defined]
    assert found[2] == replace(found[2], reason="reclaimed")  # type: ignore[type-var]


def test_a_wave_of_everything_takes_half_of_the_pool_on_average() -> None:
    """Nobody comes back: after the first wave (the chance is uniform from 0 to 1) each of 400 is left with 1/2."""
    law = Spot(**{**NEVER, "wave_every": 1000.0}, wave_part=0.5, returns=0.0, notice=0.0)  # type: ignore[arg-type]
    left = []
    for seed in range(60):
        found = series(law, group(50), 1e5, seed)
        left.append(found[1][1] / 50)
        assert all(b[1] < a[1] for a, b in pairwise(found)), "nobody comes back"
    assert np.mean(left) == pytest.approx(0.5, abs=4 * 12**-0.5 / 60**0.5)
    assert np.std(left) == pytest.approx(12**-0.5, rel=0.25), "not each by itself: all with the wave's chance"


def test_a_group_is_kept_at_its_size() -> None:
    """Each is away 100 s after every 1,000 s: at 10/11 of its size, on average, once the lives have mixed."""
    law = Spot(a=0.5, tau1=1e15, tau2=1e-3, b=1000.0, wave_every=0.0, returns=100.0)
    found = series(law, group(40), 2e4, 3)
    times, counts = np.array([t for t, _ in found] + [2e4]), np.array([n for _, n in found])
    assert counts @ np.diff(times) / 2e4 == pytest.approx(40 * 10 / 11, rel=0.02)


@given(st.floats(0.05, 0.9), st.floats(100.0, 1e4), st.floats(100.0, 1e4), st.floats(3e4, 2e5))
def test_lives_follow_their_distribution(a: float, tau1: float, tau2: float, b: float) -> None:
    law = Spot(a=a, tau1=tau1, tau2=tau2, b=b)
    rng, lives = np.random.default_rng(0), law.lives
    drawn = np.sort([lives.whole(rng) for _ in range(1500)])
    ranks = (np.arange(1500) + 0.5) / 1500
    gap = np.abs(np.array([lives.cdf(t) for t in drawn]) - ranks).max()
    assert gap < 2.2 / 1500**0.5 + 0.02, "Kolmogorov and Smirnov, a chance of 1e-4, and the grid"


def test_the_mean_life_by_hand() -> None:
    """E = end - a (end - tau1 (1 - e^(-end / tau1)) + tau2 (e^((end - b) / tau2) - e^(-b / tau2))), F(end) = 1."""
    law = Spot()
    end = law.b + law.tau2 * log(1 / law.a - 1 + exp(-law.b / law.tau1))
    early = law.tau1 * (1 - exp(-end / law.tau1))
    late = law.tau2 * (exp((end - law.b) / law.tau2) - exp(-law.b / law.tau2))
    mean = end - law.a * (end - early + late)
    assert mean / HOUR == pytest.approx(14.15, abs=0.01)
    assert law.lives.mean == pytest.approx(mean, rel=1e-3)
    rng, lives = np.random.default_rng(0), law.lives
    assert np.mean([lives.whole(rng) for _ in range(4000)]) == pytest.approx(mean, rel=0.05)


def test_chaos_takes_as_many_times_more() -> None:
    """Nothing comes back at once, so the counts of a group that returns in a second are as chaos says."""
    few, many = (
        sum(
            -min(b[1] - a[1], 0)
            for s in range(3)
            for found in [series(Spot(chaos=chaos, returns=1.0, notice=0.0), group(40), 3e5, s)]
            for a, b in pairwise(found)
        )
        for chaos in (1, 4)
    )
    assert many / few == pytest.approx(4, rel=0.15)


@given(st.integers(0, 1000))
def test_equal_seeds_equal_series(seed: int) -> None:
    assert series(Spot(), group(4), 1e5, seed) == series(Spot(), group(4), 1e5, seed)


def test_a_broken_node_is_not_reclaimed_and_the_ledger_stays_sound() -> None:
    """Failures and reclaims at random on one pool: the log replays, and both kinds happened."""
    laws: dict[str, Law] = {
        "failures": Failures(mtbf=2e4, repairs=((1.0, 3000.0, 1.0),)),
        "spot": Spot(chaos=4, returns=500.0),
        "clouds": Clouds({"spot": Pool(delay=100.0, minimum=0.0)}),
    }
    nodes = (*group(6), Node("c", (Accelerator("c/0", "V100"),), pool="spot", present=False, spot=True))
    jobs = tuple(Job(n, 300.0 * n, 1 + n % 2) for n in range(300))
    trace = Trace(jobs, {n: 200.0 + 37 * n % 1000 for n in range(300)})
    log = Session(HarshWorld(trace, nodes, laws)).play(Renting(500))
    log.replay()
    reasons = {one.reason for one in log.entries if isinstance(one, NodeDown)}
    assert reasons == {"failed", "reclaimed", "reclaimed for a while"}


def test_capacities_are_read(tmp_path: Path) -> None:
    path = Path(steps(tmp_path, "0,0", "5,0", "5,3", "5,3", "9,3", "9,2"))
    assert capacity(path) == [(0.0, 0), (5.0, 3), (9.0, 2)]
    assert capacity(path, "hours") == [(0.0, 0), (5 * HOUR, 3), (9 * HOUR, 2)]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("7", "line 2: has 1 columns; write time,count"),
        ("7,x", "line 2: '7,x' is not a time and a count"),
        ("7,1.5", "line 2: '7,1.5': give a time and a whole count"),
        ("-7,1", "line 2: '-7,1': give a time"),
        ("1,1", "column 'time': goes back to 1; sort the lines"),
    ],
)
def test_capacities_that_cannot_be_read_are_refused(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(BadInput) as caught:
        capacity(Path(steps(tmp_path, "5,1", line)))
    assert complaint in str(caught.value)


def test_nothing_of_a_market_touches_other_nodes() -> None:
    nodes = (Node("n0", (Accelerator("n0/0", "V100"),)), *group(2))
    trace = Trace(tuple(Job(n, 1000.0 * n) for n in range(100)), dict.fromkeys(range(100), 900.0))
    log = Session(HarshWorld(trace, nodes, {"spot": Spot(chaos=9)})).play(fifo)
    assert {one.node for one in log.entries if isinstance(one, NodeDown)} == {"s0", "s1"}


class Asking:
    """A job on the host lasts until the others' lives are over; the pool is asked for at 4095.3 s."""

    asked = False

    def decide(self, cluster: ClusterView) -> Iterable[Decision]:
        if 0 in cluster.pending:
            yield Start(0, (("h", ("h/0",)),))
        if cluster.now > 4095 and not self.asked:
            self.asked = True
            yield Provision("spot", 8)


class Watched(HarshWorld):
    """Nothing is asked of it for a time before now."""

    def at(self, time: float, then: Callable[[], None]) -> None:
        assert time >= self.now
        super().at(time, then)


@pytest.mark.parametrize("seed", range(5))
def test_a_life_shorter_than_its_notice_is_over_no_earlier_than_it_began(seed: int) -> None:
    """Lives of some 20 s across 4096 s: there (now + life) - life may be before now, now + (life - life) is not."""
    nodes = (Node("h", (Accelerator("h/0", "V100"),)), *group(8, present=False))
    trace = Trace((Job(0, 0.0), Job(1, 4095.3)), {0: 9000.0, 1: 1.0})
    world = Watched(trace, nodes, {"spot": Spot(chaos=1000.0, wave_every=0.0)}, seed=seed)
    told_of = told(Session(world).play(Asking()), Notice)
    assert len([one for one in told_of if isinstance(one, Notice) and one.time == 4095.3]) > 2


def test_a_hair_before_now_is_now() -> None:
    """Wherever laws are played."""
    times: list[float] = []

    class Late:
        def begin(self, stage: Stage) -> object:
            def then() -> None:
                stage.at(np.nextafter(stage.now, 0.0), lambda: times.append(stage.now))

            stage.at(4095.3, then)
            return object()

    Alone(Late(), group(1)).play(5000.0)
    Session(HarshWorld(Trace((Job(0, 0.0),), {0: 5000.0}), group(1), {"late": Late()})).play(fifo)
    assert times == [4095.3, 4095.3]


@pytest.mark.parametrize(
    "change",
    [
        {"a": 1.0},
        {"tau1": 0.0},
        {"b": -1.0},
        {"wave_every": -1.0},
        {"wave_part": 0.7},
        {"returns": -1.0},
        {"notice": -1.0},
        {"chaos": 0.0},
    ],
)
def test_what_cannot_be_is_refused_by_its_key(change: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=next(iter(change))):
        Spot(**change)  # type: ignore[arg-type]
