"""Every policy as a story: a few accelerators, a few jobs, the whole log, numbers one can do in one's head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import log2, log10

import numpy as np
import pytest

from gpuyard.envs.cluster import Cluster
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import parse
from gpuyard.envs.placement import consolidated
from gpuyard.envs.roster import Columns, Moving
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Preempt, Start, Stopped, Submitted
from gpuyard.policies.backfill import Easy, easy
from gpuyard.policies.orders import f1, fifo, ljf, saf, sjf, sqf, unicep, wfp3
from gpuyard.policies.preemptive import least_attained, srtf
from gpuyard.policies.ranked import Ranked, submitted
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput

Ask = tuple[float, int, float] | tuple[float, int, float, float]
"""Submission, gang, duration; and an estimate where it is not the duration."""


def trace(*asks: Ask) -> Trace:
    """Jobs 1, 2, 3 and so on."""
    jobs = [Job(n, float(a[0]), a[1], estimate=float(a[-1])) for n, a in enumerate(asks, 1)]
    return Trace(tuple(jobs), {n: float(a[2]) for n, a in enumerate(asks, 1)})


def story(
    policy: Policy, told: Trace, cluster: str = "1x2:A", restart: float = 0.0, tick: float | None = None
) -> list[str]:
    """The whole log in words, a moment a line, without ticks."""
    world = SimWorld(told, parse(cluster), restart=restart, tick=tick)
    moments: dict[float, list[str]] = {}
    for time, text in said(Session(world).play(policy)):
        moments.setdefault(time, []).append(text)
    return [f"{time:g}: {', '.join(texts)}" for time, texts in moments.items()]


def said(log: Log) -> Iterator[tuple[float, str]]:
    for time, entry in log.timed():
        match entry:
            case Submitted(_, job):
                yield time, f"{job.id} comes"
            case Start(job_id, placement):
                yield time, f"{job_id} starts on {' '.join(a for _, accelerators in placement for a in accelerators)}"
            case Preempt(job_id):
                yield time, f"stop {job_id}"
            case Stopped(_, job_id, reason, progress):
                yield time, f"{job_id} {reason} with {progress:g} s done"


# One job holds both accelerators until 10; the orders differ in who comes next.
FOUR = trace((0, 2, 10), (1, 2, 4), (2, 1, 7), (3, 1, 3))
BEGIN = ["0: 1 comes, 1 starts on n0/0 n0/1", "1: 2 comes", "2: 3 comes", "3: 4 comes"]


def after_ten(policy: Policy) -> list[str]:
    lines = story(policy, FOUR)
    assert lines[:4] == BEGIN
    assert lines[4].startswith("10: 1 finished with 10 s done, ")
    return [lines[4].removeprefix("10: 1 finished with 10 s done, "), *lines[5:]]


def test_fifo_serves_by_submission() -> None:
    assert after_ten(fifo) == [
        "2 starts on n0/0 n0/1",
        "14: 2 finished with 4 s done, 3 starts on n0/0, 4 starts on n0/1",
        "17: 4 finished with 3 s done",
        "21: 3 finished with 7 s done",
    ]


def test_sjf_serves_the_shortest_estimate_and_a_gang_that_waits_blocks_the_line() -> None:
    assert after_ten(sjf) == [
        "4 starts on n0/0",
        "13: 4 finished with 3 s done, 2 starts on n0/0 n0/1",
        "17: 2 finished with 4 s done, 3 starts on n0/0",
        "24: 3 finished with 7 s done",
    ]


def test_ljf_serves_the_longest_estimate() -> None:
    assert after_ten(ljf) == [
        "3 starts on n0/0",
        "17: 3 finished with 7 s done, 2 starts on n0/0 n0/1",
        "21: 2 finished with 4 s done, 4 starts on n0/0",
        "24: 4 finished with 3 s done",
    ]


def test_saf_serves_the_smallest_area() -> None:
    assert after_ten(saf) == [  # 3, then 7, then 2 x 4
        "4 starts on n0/0, 3 starts on n0/1",
        "13: 4 finished with 3 s done",
        "17: 3 finished with 7 s done, 2 starts on n0/0 n0/1",
        "21: 2 finished with 4 s done",
    ]


def test_sqf_serves_the_smallest_gang_and_equals_by_submission() -> None:
    assert after_ten(sqf) == [
        "3 starts on n0/0, 4 starts on n0/1",
        "13: 4 finished with 3 s done",
        "17: 3 finished with 7 s done, 2 starts on n0/0 n0/1",
        "21: 2 finished with 4 s done",
    ]


def test_wfp3_serves_by_waits_until_now() -> None:
    # at 10: 2 (9/4)^3 = 22.8 for job 2, (8/7)^3 = 1.5 for 3, (7/3)^3 = 12.7 for 4; at 14, 5.0 for 3 and 49.3 for 4
    assert after_ten(wfp3) == [
        "2 starts on n0/0 n0/1",
        "14: 2 finished with 4 s done, 4 starts on n0/0, 3 starts on n0/1",
        "17: 4 finished with 3 s done",
        "21: 3 finished with 7 s done",
    ]


def test_unicep_serves_single_accelerators_first() -> None:
    # at 10: 9 / 4 for job 2; 8/7 and 7/3, each over nearly nothing, for 3 and 4
    assert after_ten(unicep) == [
        "4 starts on n0/0, 3 starts on n0/1",
        "13: 4 finished with 3 s done",
        "17: 3 finished with 7 s done, 2 starts on n0/0 n0/1",
        "21: 2 finished with 4 s done",
    ]


def test_f1_trades_size_for_submission() -> None:
    # above 870 log10(1001): 2 log10(40) = 3.20; log10(70) + 0.38 = 2.22; log10(30) + 0.75 = 2.23
    told = trace((1000, 2, 10), (1001, 2, 40), (1002, 1, 70), (1003, 1, 30))
    assert story(f1, told)[4:] == [
        "1010: 1 finished with 10 s done, 3 starts on n0/0, 4 starts on n0/1",
        "1040: 4 finished with 30 s done",
        "1080: 3 finished with 70 s done, 2 starts on n0/0 n0/1",
        "1120: 2 finished with 40 s done",
    ]


def test_where_the_line_is_not_strict_those_behind_start_where_they_fit() -> None:
    told = trace((0, 1, 10), (1, 2, 5), (2, 1, 4))
    assert story(Ranked(submitted, strict=False), told) == [
        "0: 1 comes, 1 starts on n0/0",
        "1: 2 comes",
        "2: 3 comes, 3 starts on n0/1",
        "6: 3 finished with 4 s done",
        "10: 1 finished with 10 s done, 2 starts on n0/0 n0/1",
        "15: 2 finished with 5 s done",
    ]
    hurried = Ranked(Moving(lambda columns, now: columns.estimate), strict=False)
    assert story(hurried, told) == story(Ranked(submitted, strict=False), told)


# ---------------------------------------------------------------- the formulas


def columns(*jobs: Job) -> Columns:
    made = Columns()
    for place, job in enumerate(jobs):
        made.add(job, 0.0, place, float("nan"))
    return made


WAITING = (
    Job(1, 100.0, gang=4, estimate=1000.0),
    Job(2, 500.0, gang=1, estimate=50.0),
    Job(3, 0.0, gang=0, estimate=0.0),
)


def test_f1_is_the_published_formula() -> None:
    score = f1.score
    assert not isinstance(score, Moving)
    view = Cluster(parse("1x1:A"))
    assert score(WAITING[0], view) == pytest.approx(3.0 * 4 + 870.0 * 2.0)
    assert score(WAITING[1], view) == pytest.approx(log10(50) + 870.0 * log10(500))
    assert score(WAITING[2], view) == 0.0  # neither a logarithm of zero nor of the zeroth second


def test_wfp3_is_the_published_formula() -> None:
    assert isinstance(wfp3.score, Moving)
    assert wfp3.score.of(columns(*WAITING), 600.0) == pytest.approx([-(0.5**3) * 4, -(2.0**3), -(600.0**3)])


def test_unicep_is_the_published_formula() -> None:
    assert isinstance(unicep.score, Moving)
    scores = unicep.score.of(columns(*WAITING), 600.0)
    assert scores[0] == pytest.approx(-500.0 / (2.0 * 1000.0))
    assert scores[1] == -(100.0 + 1e-15) / (log2(1 + 1e-15) * 50.0)
    assert scores[2] < scores[1] < scores[0]


def test_nobody_has_waited_before_being_submitted() -> None:
    """RLScheduler's code took a waiting job's start, -1, for the time: waits were negative, and the first came last."""
    fresh = columns(Job(1, 600.0, gang=8, estimate=10.0))
    for policy in (wfp3, unicep):
        assert isinstance(policy.score, Moving)
        assert -1e-12 < policy.score.of(fresh, 600.0)[0] <= 0.0
        assert policy.score.of(fresh, 700.0)[0] < 0.0


@pytest.mark.parametrize("policy", [sjf, ljf, saf, f1, wfp3, unicep, srtf, easy])
def test_a_job_without_an_estimate_is_named(policy: Policy) -> None:
    told = Trace((Job(1, 0.0, 2), Job(7, 0.0, 2), Job(8, 0.0, 1)), {1: 1.0, 7: 1.0, 8: 1.0})
    with pytest.raises(BadInput, match=r"job [178] has no estimate .* --estimates exact or --estimates noisy:SIGMA"):
        Session(SimWorld(told, parse("1x3:A"))).play(policy)


# ---------------------------------------------------------------- EASY


def test_easy_lets_those_overtake_who_end_in_time() -> None:
    told = trace((0, 3, 10), (1, 4, 5), (2, 1, 9), (2, 1, 8))
    assert story(easy, told, "1x4:A") == [
        "0: 1 comes, 1 starts on n0/0 n0/1 n0/2",
        "1: 2 comes",
        "2: 3 comes, 4 comes, 4 starts on n0/3",  # 3 would end at 11, and 2 has all four from 10
        "10: 1 finished with 10 s done, 4 finished with 8 s done, 2 starts on n0/0 n0/1 n0/2 n0/3",
        "15: 2 finished with 5 s done, 3 starts on n0/0",
        "24: 3 finished with 9 s done",
    ]


def test_easy_lets_those_overtake_who_leave_enough() -> None:
    told = trace((0, 2, 10), (1, 3, 5), (2, 1, 100), (3, 1, 100), (4, 1, 6))
    assert story(easy, told, "1x4:A") == [
        "0: 1 comes, 1 starts on n0/0 n0/1",
        "1: 2 comes",
        "2: 3 comes, 3 starts on n0/2",  # of four, one is over at 10
        "3: 4 comes",  # and now none is
        "4: 5 comes, 5 starts on n0/3",  # but this one ends at 10
        "10: 1 finished with 10 s done, 5 finished with 6 s done, 2 starts on n0/0 n0/1 n0/3",
        "15: 2 finished with 5 s done, 4 starts on n0/0",
        "102: 3 finished with 100 s done",
        "115: 4 finished with 100 s done",
    ]


def test_easy_expects_a_job_beyond_its_estimate_to_end_now() -> None:
    told = trace((0, 1, 20, 5), (1, 2, 5), (3, 1, 2), (6, 1, 1))
    assert story(easy, told) == [
        "0: 1 comes, 1 starts on n0/0",
        "1: 2 comes",
        "3: 3 comes, 3 starts on n0/1",  # until 5, when 1 should end
        "5: 3 finished with 2 s done",
        "6: 4 comes",  # any moment now, 2 may start: 4 would be in its way
        "20: 1 finished with 20 s done, 2 starts on n0/0 n0/1",
        "25: 2 finished with 5 s done, 4 starts on n0/0",
        "26: 4 finished with 1 s done",
    ]


def test_easy_reserves_what_the_placement_wants_not_a_number() -> None:
    """Two accelerators are free at 6, but on two nodes: a gang that wants one node has it at 12."""
    told = trace((0, 1, 5), (0, 1, 20), (0, 1, 6), (0, 1, 12), (1, 2, 4), (5, 1, 5))
    by_count = story(easy, told, "2x2:A")
    assert by_count[2] == "5: 1 finished with 5 s done, 6 comes"
    assert by_count[3].endswith("5 starts on n0/0 n1/0")
    assert story(replace(easy, place=consolidated), told, "2x2:A") == [
        "0: 1 comes, 2 comes, 3 comes, 4 comes, 1 starts on n0/0, 2 starts on n0/1, 3 starts on n1/0, 4 starts on n1/1",
        "1: 5 comes",
        "5: 1 finished with 5 s done, 6 comes, 6 starts on n0/0",
        "6: 3 finished with 6 s done",
        "10: 6 finished with 5 s done",
        "12: 4 finished with 12 s done, 5 starts on n1/0 n1/1",
        "16: 5 finished with 4 s done",
        "20: 2 finished with 20 s done",
    ]


def kinds(*rows: tuple[float, int, float, str]) -> Trace:
    jobs = [Job(n, s, g, estimate=d, kinds=(k,)) for n, (s, g, d, k) in enumerate(rows, 1)]
    return Trace(tuple(jobs), {n: d for n, (_, _, d, _) in enumerate(rows, 1)})


def test_easy_lets_another_kind_be_used_at_will() -> None:
    told = kinds((0.0, 1, 10.0, "A"), (1.0, 2, 5.0, "A"), (2.0, 2, 100.0, "B"), (2.0, 1, 100.0, "A"))
    assert story(easy, told, "1x2:A+1x2:B") == [
        "0: 1 comes, 1 starts on n0/0",
        "1: 2 comes",
        "2: 3 comes, 4 comes, 3 starts on n1/0 n1/1",
        "10: 1 finished with 10 s done, 2 starts on n0/0 n0/1",
        "15: 2 finished with 5 s done, 4 starts on n0/0",
        "102: 3 finished with 100 s done",
        "115: 4 finished with 100 s done",
    ]


def test_easy_shares_what_is_over() -> None:
    halves = [Job(n, float(n), share=0.5, estimate=e) for n, e in ((1, 10.0), (3, 100.0), (4, 100.0))]
    jobs = (halves[0], Job(2, 2.0, 1, estimate=5.0), *halves[1:])
    whole_node = Job(0, 0.0, 1, estimate=20.0)
    told = Trace((whole_node, *jobs), {0: 20.0, 1: 10.0, 2: 5.0, 3: 100.0, 4: 100.0})
    assert story(easy, told)[:6] == [
        "0: 0 comes, 0 starts on n0/0",
        "1: 1 comes, 1 starts on n0/1",
        "2: 2 comes",  # may count on n0/1 from 11
        "3: 3 comes",  # would be beside 1 then
        "4: 4 comes",
        "11: 1 finished with 10 s done, 2 starts on n0/1",
    ]


def test_easy_over_any_order() -> None:
    told = trace((0, 1, 10), (1, 2, 9), (2, 2, 4), (3, 1, 7), (3, 1, 6))
    assert story(Easy(sjf.score), told)[3:6] == [
        "3: 4 comes, 5 comes, 5 starts on n0/1",
        "9: 5 finished with 6 s done",
        "10: 1 finished with 10 s done, 3 starts on n0/0 n0/1",
    ]
    moving = Easy(Moving(lambda columns, now: columns.estimate))
    stranger = Easy(lambda job, cluster: job.estimate)
    assert story(Easy(sjf.score), told) == story(moving, told) == story(stranger, told)


# ---------------------------------------------------------------- preemption


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
