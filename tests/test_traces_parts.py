"""Splits, windows, compression, fingerprints and estimates."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.traces.estimates import explained, with_estimates
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from gpuyard.traces.windows import compressed, fingerprint, split, windows


def trace(*submits: float) -> Trace:
    jobs = tuple(Job(n, submit, deadline=submit + 100) for n, submit in enumerate(submits))
    return Trace(jobs, {n: float(n + 1) for n in range(len(jobs))}, "t", "2017-10-02T00:00:00")


TEN = trace(0, 10, 20, 30, 40, 50, 60, 70, 80, 90)


def ids(part: Trace) -> list[int]:
    return [job.id for job in part.jobs]


def test_a_split_cuts_by_count_in_order_of_time() -> None:
    train, validation, test = split(TEN)
    assert (ids(train), ids(validation), ids(test)) == ([0, 1, 2, 3, 4, 5], [6], [7, 8, 9])
    assert train.name == "t train"
    assert train.origin == TEN.origin
    assert [job.submit for job in test.jobs] == [70, 80, 90]


def test_a_gap_leaves_out_what_follows_each_cut_within_it() -> None:
    train, validation, test = split(TEN, (0.4, 0.3, 0.3), gap=20)
    assert (ids(train), ids(validation), ids(test)) == ([0, 1, 2, 3], [5, 6], [8, 9])


def test_what_the_fractions_leave_is_not_used() -> None:
    assert [len(part) for part in split(TEN, (0.2, 0.2, 0.2))] == [2, 2, 2]


@pytest.mark.parametrize(
    ("fractions", "gap"),
    [((0.6, 0.4), 0.0), ((0.6, 0.3, 0.3), 0.0), ((1.0, 0.0, 0.0), 0.0), ((0.6, 0.1, 0.3), -1.0)],
)
def test_splits_that_are_none(fractions: tuple[float, ...], gap: float) -> None:
    with pytest.raises(BadInput):
        split(TEN, fractions, gap)


def test_a_part_without_jobs_is_said() -> None:
    with pytest.raises(BadInput, match="nothing is left to validation"):
        split(TEN, gap=1000)


@settings(max_examples=50, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0.0, 1.0, 5.0, 60.0]), min_size=20, max_size=60),
    gap=st.sampled_from([0.0, 3.0, 30.0]),
)
def test_no_part_sees_another_or_comes_too_near(gaps: list[float], gap: float) -> None:
    whole = trace(*np.cumsum(gaps).tolist())
    try:
        parts = split(whole, gap=gap)
    except BadInput:
        return
    seen = [number for part in parts for number in ids(part)]
    assert seen == sorted(set(seen))
    for earlier, later in pairwise(parts):
        assert later.jobs[0].submit - earlier.jobs[-1].submit >= gap


def test_windows_are_rebased_runs_of_jobs() -> None:
    first, second, third = windows(TEN, jobs=3)
    assert [ids(w) for w in (first, second, third)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert [(job.submit, job.deadline) for job in third.jobs] == [(0, 100), (10, 110), (20, 120)]
    assert (second.name, second.origin, second.durations) == ("t[3:6]", None, {3: 4.0, 4: 5.0, 5: 6.0})


def test_a_count_of_windows_is_spread_evenly_or_drawn() -> None:
    assert [w.name for w in windows(TEN, jobs=2, count=2)] == ["t[0:2]", "t[4:6]"]
    assert [w.name for w in windows(TEN, jobs=4, count=3, disjoint=False)] == ["t[0:4]", "t[2:6]", "t[4:8]"]
    drawn = windows(TEN, jobs=2, count=3, rng=np.random.default_rng(1))
    assert drawn == windows(TEN, jobs=2, count=3, rng=np.random.default_rng(1))
    assert len({w.name for w in drawn}) == 3


@pytest.mark.parametrize(("jobs", "count"), [(11, None), (0, None), (3, 4), (3, 0), (-1, 1)])
def test_windows_that_cannot_be_had(jobs: int, count: int | None) -> None:
    with pytest.raises(BadInput):
        windows(TEN, jobs=jobs, count=count)


def test_windows_that_may_overlap_need_a_count() -> None:
    with pytest.raises(BadInput, match="say how many"):
        windows(TEN, jobs=3, disjoint=False)


def test_compression_keeps_work_and_slack_and_raises_the_load() -> None:
    fast = compressed(TEN, 2.0)
    assert [job.submit for job in fast.jobs][-1] == 45
    assert all(job.deadline == job.submit + 100 for job in fast.jobs)
    assert fast.work / fast.span == pytest.approx(2 * TEN.work / TEN.span)
    assert (fast.name, fast.origin, fast.durations) == ("t x2", None, TEN.durations)
    for factor in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(BadInput):
            compressed(TEN, factor)


def test_a_fingerprint_changes_with_any_job_or_duration_and_nothing_else() -> None:
    same = Trace(TEN.jobs, dict(TEN.durations), "another name")
    assert fingerprint(TEN) == fingerprint(same)
    assert fingerprint(TEN) != fingerprint(TEN.first(9))
    assert fingerprint(TEN) != fingerprint(Trace(TEN.jobs, {**TEN.durations, 3: 4.5}))
    assert fingerprint(TEN) != fingerprint(with_estimates(TEN, "exact"))
    assert fingerprint(*windows(TEN, 5)) != fingerprint(*reversed(windows(TEN, 5)))
    assert fingerprint(*windows(TEN, 5)) != fingerprint(TEN)


def test_a_fingerprint_covers_every_field_and_regimes() -> None:
    job = Job(1, 0.0, 2)
    changes: dict[str, Any] = {
        "id": 2, "submit": 1.0, "gang": 3, "share": 1.0, "kinds": ("A",), "cpus": 2.0, "host_memory": 3,
        "estimate": 4.0, "tenant": "a", "user": "b", "priority": 5.0, "deadline": 6.0, "preemptible": False,
        "profile": "lm", "name": "n", "command": ("c",), "min_gang": 1, "max_gang": 4, "memory": 7, "checkpoint": 8,
        "after": (9,), "group": "g", "sites": ("s",), "data": 10, "upper": 11.0,
    }  # fmt: skip
    assert set(changes) == {f.name for f in fields(Job)}
    others = [replace(job, **{name: value}) for name, value in changes.items() if name != "share"]
    shared = Trace((Job(1, 0.0, 1, 0.5),), {1: 1.0})
    regimes = [((0.0, 1.0), (0.5, speed)) for speed in (2.0, 3.0)]
    traces = [Trace((one,), {one.id: 1.0}) for one in [job, *others]]
    traces += [shared, Trace((Job(1, 0.0, 1),), {1: 1.0}), *(replace(traces[0], regimes={1: r}) for r in regimes)]
    assert len({fingerprint(trace) for trace in traces}) == len(traces) == 29


def test_windows_keep_pipelines_and_regimes() -> None:
    """Job 3 comes after 1 and 2; regimes are 1's and 3's. The second window begins at 2, at second 5."""
    jobs = (Job(1, 0.0), Job(2, 5.0), Job(3, 8.0, deadline=20.0, after=(1, 2)))
    steps = ((0.0, 1.0), (0.5, 2.0))
    whole = Trace(jobs, {1: 1.0, 2: 1.0, 3: 4.0}, regimes={1: steps, 3: steps})
    first, last = windows(whole, 2, count=2, disjoint=False)
    assert first.regimes == {1: steps}
    assert last.jobs == (Job(2, 0.0), Job(3, 3.0, deadline=15.0, after=(1, 2)))
    assert last.regimes == {3: steps}
    assert compressed(whole, 2.0).regimes == whole.regimes
    assert compressed(whole, 2.0).jobs[2] == Job(3, 4.0, deadline=16.0, after=(1, 2))


def test_a_fingerprint_takes_numbers_as_they_are_however_held() -> None:
    plain = Trace((Job(1, 2.0, estimate=3.0),), {1: 4.0})
    numpy = Trace((Job(1, np.float64(2.0), estimate=3),), {1: np.float64(4.0)})
    assert fingerprint(plain) == fingerprint(numpy)


def test_a_fingerprint_is_the_same_in_every_run() -> None:
    code = (
        "from gpuyard.traces.synthetic import generate; from gpuyard.traces.windows import fingerprint;"
        "print(fingerprint(generate('lab', jobs=50, seed=1)))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert runs == {fingerprint(generate("lab", jobs=50, seed=1))}


def test_estimates_as_recorded_none_and_exact() -> None:
    some = Trace((Job(1, 0.0, estimate=9.0), Job(2, 1.0)), {1: 5.0, 2: 6.0})
    assert with_estimates(some, "recorded") is some
    none, exact = with_estimates(some, "none"), with_estimates(some, "exact")
    assert ([job.estimate for job in none.jobs], none.estimates) == ([None, None], "none")
    assert ([job.estimate for job in exact.jobs], exact.estimates) == ([5.0, 6.0], "exact")
    assert exact.durations == some.durations
    assert "oracle" in explained("exact")
    assert "true run times" in explained("noisy:0.8")


def test_noisy_estimates_are_one_fixed_draw_with_the_stated_spread() -> None:
    whole = generate("philly", jobs=20_000)
    told = with_estimates(whole, "noisy:0.80", seed=1)
    assert told.estimates == "noisy:0.8"
    assert told == with_estimates(whole, "noisy:0.8", seed=1)
    assert told != with_estimates(whole, "noisy:0.8", seed=2)
    errors = [np.log(job.estimate / whole.durations[job.id]) for job in told.jobs if job.estimate]
    assert len(errors) == len(whole)
    assert np.mean(errors) == pytest.approx(0, abs=0.02)
    assert np.std(errors) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("mode", ["exakt", "noisy", "noisy:", "noisy:x", "noisy:-1", "noisy:nan", "noisy:11", ""])
def test_estimates_that_are_none(mode: str) -> None:
    with pytest.raises(BadInput):
        with_estimates(TEN, mode)
