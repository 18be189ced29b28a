"""EASY backfilling as stories: who may overtake, and whom nobody keeps waiting."""

from __future__ import annotations

from dataclasses import replace

from gpuyard.envs.placement import consolidated
from gpuyard.envs.roster import Moving
from gpuyard.policies.backfill import Easy, easy
from gpuyard.policies.orders import sjf
from gpuyard.traces.job import Job, Trace
from stories import story, trace


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
