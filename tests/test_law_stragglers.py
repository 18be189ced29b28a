"""Stragglers: slow episodes by hand, and by their laws."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.stragglers import Stragglers
from gpuyard.envs.nodes import Node, parse
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.vocabulary import Decision, Placement, Start, Stopped
from gpuyard.policies.orders import fifo
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput

SURE = {"every": 1000.0, "lasts": 200.0, "pace": (0.5, 0.5), "link_every": 0.0, "sigma": 0.0}
"""Episodes of exactly 200 s at half speed."""


class Put:
    """Starts each job where it is told."""

    def __init__(self, *places: Placement) -> None:
        self.places = places

    def decide(self, cluster: ClusterView) -> Iterable[Decision]:
        for job in list(cluster.pending):
            yield Start(job.id, self.places[job.id])


def end(law: Stragglers, nodes: str | tuple[Node, ...], work: float, gang: int, policy: Policy, seed: int) -> float:
    trace = Trace((Job(0, 0.0, gang),), {0: work})
    world = HarshWorld(trace, parse(nodes) if isinstance(nodes, str) else nodes, {"stragglers": law}, seed=seed)
    last = Session(world).play(policy).entries[-1]
    assert isinstance(last, Stopped)
    assert last.reason == "finished"
    return last.time


def finish(spans: list[tuple[float, float, float]], work: float) -> float:
    """When so much work is done, given (from, to, pace) and full speed elsewhere; spans in order and apart."""
    now = 0.0
    for start, stop, pace in spans:
        if now + work <= start:
            break
        work -= start - now
        if work <= (stop - start) * pace:
            return start + work / pace
        work -= (stop - start) * pace
        now = stop
    return now + work


def episodes(
    seed: int, *name: str, every: float, lasts: float, pace: float, count: int = 60
) -> list[tuple[float, float, float]]:
    """The episodes of a part, from the numbers that it draws: a gap, a pace, a length (two that do not matter here)."""
    world = HarshWorld(Trace((), {}), parse("1x1:V100"), seed=seed)
    rng, now, found = world.rng("stragglers", *name), 0.0, []
    for _ in range(count):
        now += rng.exponential(every)
        rng.uniform(pace, pace), rng.lognormal(0, 0)
        found.append((now, now + lasts, pace))
        now += lasts
    return found


@pytest.mark.parametrize("seed", range(5))
def test_one_accelerator_is_slow_while_its_episodes_last(seed: int) -> None:
    slow = episodes(seed, "n0/0", every=1000.0, lasts=200.0, pace=0.5)
    assert end(Stragglers(**SURE), "1x1:V100", 5000.0, 1, fifo, seed) == pytest.approx(finish(slow, 5000.0))  # type: ignore[arg-type]


def test_the_first_episode_by_hand() -> None:
    """It begins at s, lasts 200 s at half speed: of s + 50 s of work the last 50 take 100 s, so it ends at s + 100."""
    (start, _, _), *_ = episodes(1, "n0/0", every=1000.0, lasts=200.0, pace=0.5)
    assert end(Stragglers(**SURE), "1x1:V100", start + 50, 1, fifo, 1) == pytest.approx(start + 100)  # type: ignore[arg-type]
    assert end(Stragglers(**SURE), "1x1:V100", start - 1e-3, 1, fifo, 1) == pytest.approx(start - 1e-3)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_a_gang_goes_at_the_pace_of_its_slowest(seed: int) -> None:
    """Both at half speed: it is slow while either is, by a union of their episodes."""
    parts = [episodes(seed, f"n0/{i}", every=1000.0, lasts=200.0, pace=0.5) for i in (0, 1)]
    union: list[tuple[float, float, float]] = []
    for start, stop, pace in sorted(parts[0] + parts[1]):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(stop, union[-1][1]), pace)
        else:
            union.append((start, stop, pace))
    assert end(Stragglers(**SURE), "1x2:V100", 8000.0, 2, fifo, seed) == pytest.approx(finish(union, 8000.0))  # type: ignore[arg-type]


def test_links_are_felt_by_those_who_use_them() -> None:
    law = Stragglers(every=0.0, link_every=500.0, link_lasts=400.0, link_pace=(0.25, 0.25), sigma=0.0)
    near, far = Put((("n0", ("n0/0", "n0/1")),)), Put((("n0", ("n0/0",)), ("n1", ("n1/0",))))
    assert end(law, "2x2:V100", 4000.0, 2, near, 0) == 4000.0
    slow = [episodes(0, "links", node, every=500.0, lasts=400.0, pace=0.25) for node in ("n0", "n1")]
    assert end(law, "2x2:V100", 4000.0, 2, far, 0) > max(finish(one, 4000.0) for one in slow) > 4500.0


def test_slow_links_and_a_slow_accelerator_add_up() -> None:
    """Slow from 0 on for ever, by half and by half: a quarter."""
    law = Stragglers(
        every=1e-6, lasts=1e9, pace=(0.5, 0.5), link_every=1e-6, link_lasts=1e9, link_pace=(0.5, 0.5), sigma=0.0
    )
    far = Put((("n0", ("n0/0",)), ("n1", ("n1/0",))))
    assert end(law, "2x1:V100", 100.0, 2, far, 0) == pytest.approx(400.0, abs=1e-4)
    assert end(law, "1x1:V100", 100.0, 1, fifo, 0) == pytest.approx(200.0, abs=1e-4)


def test_chaos_makes_them_as_many_times_as_frequent() -> None:
    """Work in 100 days at pace 0.5 in the part c x 200 / (1000 + c x 200) x ... of the time, over seeds."""
    work = 4e5
    for chaos, part in ((1.0, 200 / 1200), (5.0, 200 / 400)):
        law = Stragglers(chaos=chaos, **SURE)  # type: ignore[arg-type]
        took = np.mean([end(law, "1x1:V100", work, 1, fifo, seed) for seed in range(3)])
        assert took == pytest.approx(work / (1 - part / 2), rel=0.03)


def test_as_many_probes_meet_one_as_were_recorded() -> None:
    """Greyhound: 6 of 392 jobs of four accelerators and 80 minutes; here 1.53 % of 2,000, within 4 standard errors."""
    law, seconds, jobs = Stragglers(link_every=0.0), 4800.0, 2000
    nodes = parse(f"{jobs}x4:H800")
    trace = Trace(tuple(Job(n, 0.0, 4) for n in range(jobs)), dict.fromkeys(range(jobs), seconds))
    log = Session(HarshWorld(trace, nodes, {"stragglers": law}, seed=1)).play(fifo)
    late = sum(one.time > seconds + 1e-6 for one in log.entries if isinstance(one, Stopped))
    assert abs(late - jobs * 6 / 392) < 4 * (jobs * 6 / 392) ** 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"every": -1.0},
        {"lasts": 0.0},
        {"pace": (0.0, 0.5)},
        {"link_pace": (0.9, 0.5)},
        {"pace": (0.9, 1.5)},
        {"sigma": -1.0},
        {"chaos": 0.0},
    ],
)
def test_what_cannot_be_is_refused_by_its_key(change: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(change))):
        Stragglers(**change)  # type: ignore[arg-type]
