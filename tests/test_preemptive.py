"""Preemption as stories: who is stopped for whom, and what that costs."""

from __future__ import annotations

from math import log2

import numpy as np

from gpuyard.envs.cluster import Cluster
from gpuyard.envs.nodes import parse
from gpuyard.envs.vocabulary import Preempt, Submitted
from gpuyard.policies.preemptive import least_attained, srtf
from gpuyard.traces.job import Job, Trace
from stories import story, trace


def test_srtf_stops_the_longer_and_pays_for_the_restart() -> None:
    assert story(srtf, trace((0, 1, 10), (4, 1, 2), (5, 1, 5)), "1x1:A", restart=3.0) == [
        "0: 1 comes, 1 starts on n0/0",
        "4: 2 comes, stop 1, 1 preempted with 4 s done, 2 starts on n0/0",
        "5: 3 comes",
        "6: 2 finished with 2 s done, 3 starts on n0/0",  # 5 s left against 6
        "11: 3 finished with 5 s done, 1 starts on n0/0",
        "20: 1 finished with 10 s done",  # three to restart, six to work
    ]


def test_srtf_stops_the_longest_and_no_more_than_needed() -> None:
    told = trace((0, 1, 100), (0, 2, 50), (1, 2, 5))
    assert story(srtf, told, "1x3:A")[:2] == [
        "0: 1 comes, 2 comes, 2 starts on n0/0 n0/1, 1 starts on n0/2",
        "1: 3 comes, stop 2, 2 preempted with 1 s done, 3 starts on n0/0 n0/1",  # 1 has longest to go, but is no help
    ]


def test_srtf_stops_nobody_if_even_all_would_not_do() -> None:
    told = trace((0, 1, 4), (0, 1, 100), (1, 2, 10), (2, 1, 50))
    assert story(srtf, told)[:4] == [
        "0: 1 comes, 2 comes, 1 starts on n0/0, 2 starts on n0/1",
        "1: 3 comes",  # 1 is ahead of it, and 2 alone is not enough
        "2: 4 comes",
        "4: 1 finished with 4 s done, stop 2, 2 preempted with 4 s done, 3 starts on n0/0 n0/1",
    ]


def test_who_may_not_be_preempted_is_let_alone() -> None:
    jobs = (Job(1, 0.0, 1, estimate=9.0, preemptible=False), Job(2, 1.0, 1, estimate=1.0))
    assert story(srtf, Trace(jobs, {1: 9.0, 2: 1.0}), "1x1:A")[1:] == [
        "1: 2 comes",
        "9: 1 finished with 9 s done, 2 starts on n0/0",
        "10: 2 finished with 1 s done",
    ]


def test_room_that_is_being_made_is_not_made_twice() -> None:
    """Where stopping takes time, as it does live, the first in line waits for those who were asked already."""
    cluster = Cluster(parse("1x2:A"))
    for job in (Job(1, 0.0, 1, estimate=50.0), Job(2, 0.0, 1, estimate=60.0)):
        cluster.observe(Submitted(0.0, job))
    for decision in srtf.decide(cluster):
        cluster.decide(decision)
    cluster.observe(Submitted(1.0, Job(3, 1.0, 1, estimate=5.0)))
    first = list(srtf.decide(cluster))
    assert first == [Preempt(2)]
    cluster.decide(first[0])
    assert list(srtf.decide(cluster)) == []
    cluster.observe(Submitted(2.0, Job(4, 2.0, 2, estimate=1.0)))
    assert list(srtf.decide(cluster)) == [Preempt(1)]


def test_las_serves_who_has_had_least_once_the_other_is_a_level_ahead() -> None:
    las = least_attained(quantum=10, grace=2)
    assert story(las, trace((0, 1, 30), (3, 1, 15)), "1x1:A", tick=las.tick) == [
        "0: 1 comes, 1 starts on n0/0",
        "3: 2 comes",  # 1 has had 3 s: both are on the lowest level
        "12: stop 1, 1 preempted with 12 s done, 2 starts on n0/0",  # 10 s count, without the grace
        "27: 2 finished with 15 s done, 1 starts on n0/0",  # both were on the next level
        "45: 1 finished with 30 s done",
    ]


def test_las_counts_accelerators_times_seconds() -> None:
    las = least_attained(quantum=10, grace=1)
    told = trace((0, 2, 30), (0, 1, 30), (1, 1, 2))
    assert story(las, told, "1x3:A", tick=las.tick)[:3] == [
        "0: 1 comes, 2 comes, 1 starts on n0/0 n0/1, 2 starts on n0/2",
        "1: 3 comes",
        "6: stop 1, 1 preempted with 6 s done, 3 starts on n0/0",  # 2 x 5 count; 2 has a quantum only at 11
    ]


def test_las_does_not_take_a_restart_for_service() -> None:
    las = least_attained(quantum=10, grace=5)
    assert story(las, trace((0, 1, 40), (1, 1, 40)), "1x1:A", restart=4.0, tick=las.tick)[2:] == [
        "15: stop 1, 1 preempted with 15 s done, 2 starts on n0/0",
        "40: stop 2, 2 preempted with 25 s done, 1 starts on n0/0",  # 20 s count, two levels up
        "69: 1 finished with 40 s done, 2 starts on n0/0",
        "88: 2 finished with 40 s done",
    ]


def test_las_does_not_thrash() -> None:
    told = trace(*((0, 1, 1000) for _ in range(4)))
    las = least_attained(quantum=10, grace=10)
    lines = story(las, told, "1x1:A", tick=las.tick)
    assert sum("stop" in line for line in lines) <= 4 * log2(1000 / 10) + 4
    assert np.isclose(float(lines[-1].split(":")[0]), 4000.0)
