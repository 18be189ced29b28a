"""Tiresias: stories of queues, and the Gittins index by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Preempt, Start, Stopped
from gpuyard.policies.tiresias import Tiresias, gittins
from gpuyard.traces.job import Job, Trace


def story(policy: Tiresias, jobs: list[tuple[float, int, float]], cluster: str) -> list[tuple[float, str, int]]:
    """(second, what, job) of every start, stop and end."""
    trace = Trace(
        tuple(Job(n, at, gang) for n, (at, gang, _) in enumerate(jobs)), {n: j[2] for n, j in enumerate(jobs)}
    )
    log = Session(SimWorld(trace, parse(cluster), restart=0.0, tick=policy.tick)).play(policy)
    told = []
    for time, entry in log.timed():
        match entry:
            case Start(job):
                told.append((time, "starts", job))
            case Preempt(job):
                told.append((time, "gives way", job))
            case Stopped(_, job, "finished"):
                told.append((time, "ends", job))
    return told


def test_a_job_that_has_had_its_threshold_gives_way_to_a_new_one() -> None:
    """One accelerator, 10 accelerator-seconds in the first queue, looks every 4 s."""
    policy = Tiresias((10.0,), tick=4.0)
    assert story(policy, [(0, 1, 30), (5, 1, 6)], "1x1:A") == [
        (0, "starts", 0),
        (12, "gives way", 0),
        (12, "starts", 1),
        (18, "ends", 1),
        (18, "starts", 0),
        (36, "ends", 0),
    ]


def test_service_counts_gangs() -> None:
    """A gang of 2 has had 10 accelerator-seconds after 5 s: at the look at 8 s it gives way."""
    policy = Tiresias((10.0,), tick=4.0)
    assert story(policy, [(0, 2, 30), (1, 1, 2)], "1x2:A")[1:3] == [(8, "gives way", 0), (8, "starts", 1)]


def test_in_a_queue_who_came_first_is_served_first() -> None:
    policy = Tiresias((100.0,), tick=4.0)
    assert [row for row in story(policy, [(0, 1, 30), (1, 1, 9), (2, 1, 1)], "1x1:A") if row[1] == "starts"] == [
        (0, "starts", 0),
        (30, "starts", 1),
        (39, "starts", 2),
    ]


def test_one_that_starves_begins_anew_in_the_first_queue() -> None:
    """Job 0 had 12 s; new ones keep it waiting; after 2 x 12 s it comes before those in the second queue again."""
    jobs = [(0.0, 1, 40.0), (5.0, 1, 100.0)]
    never = story(Tiresias((10.0,), tick=4.0), jobs, "1x1:A")
    again = story(Tiresias((10.0,), promote=2.0, tick=4.0), jobs, "1x1:A")
    assert (12.0, "gives way", 0) in never
    assert (24.0, "starts", 0) in never  # the second one has had its threshold at 24, and 0 came first
    assert [row for row in again if row[1] == "gives way"] != [row for row in never if row[1] == "gives way"]


@pytest.mark.parametrize(
    ("had", "top", "index"),
    [
        (0.0, np.inf, 3 / (1 + 2 + 9)),  # all of them: 3 ends for 12 seconds; two for 1 + 2 + 2; one for 3 x 1
        (1.0, np.inf, 1 / (1 + 1)),  # 2 and 9 are left: one ends within a second, both spend it
        (2.0, np.inf, 1 / 7),
        (9.0, np.inf, 0.0),
        (0.0, 1.0, 1 / 3),
    ],
)
def test_the_gittins_index_of_services_of_1_2_and_9(had: float, top: float, index: float) -> None:
    best = max(index, 2 / 5 if (had, top) == (0.0, np.inf) else 0.0)
    assert gittins(np.array([1.0, 2.0, 9.0]), had, top) == pytest.approx(best)


def test_an_index_learned_from_who_ended_changes_who_gives_way() -> None:
    """Most jobs end after 2 s, the others need 50: one that has had 6 s is likely long, a new one likely short."""
    jobs = [(3.0 * n, 1, 2.0) for n in range(20)] + [(60.0, 1, 50.0), (66.0, 1, 2.0)]
    policy = Tiresias((1e9,), gittins=True, tick=1.0)
    told = story(policy, jobs, "1x1:A")
    assert (66.0, "gives way", 20) in told
    plain = story(Tiresias((1e9,), tick=1.0), jobs, "1x1:A")
    assert not [row for row in plain if row[1] == "gives way"]
