"""Orders as stories: few accelerators, few jobs, the whole log, numbers one can do in one's head; and the formulas."""

from __future__ import annotations

from math import log2, log10

import pytest

from gpuyard.envs.cluster import Cluster
from gpuyard.envs.nodes import parse
from gpuyard.envs.roster import Columns, Moving
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.sim import SimWorld
from gpuyard.policies.backfill import easy
from gpuyard.policies.orders import f1, fifo, ljf, saf, sjf, sqf, unicep, wfp3
from gpuyard.policies.preemptive import srtf
from gpuyard.policies.ranked import Ranked, submitted
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput
from stories import story, trace

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
