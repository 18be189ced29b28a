"""Synthetic traces: the same numbers make the same trace, and it is like the real one by the measures that matter.

The bounds are stated beside each measure, as ratios of the mean over `SEEDS` to the real trace's value. Run times
within a sweep resemble each other, so a trace of 75,000 jobs holds only some five hundred independent sweeps, and a
single seed's quantiles may well lie farther off.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real import REAL

from gpuyard.traces import philly
from gpuyard.traces.calibrate import KINDS, calibrate, find_bursts
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.statistics import Summary, describe
from gpuyard.traces.synthetic import generate, preset_named, presets, quiet_hours
from gpuyard.traces.trouble import BadInput
from gpuyard.traces.windows import fingerprint

PHILLY = REAL / "philly" / "philly.csv.gz"
needs_real = pytest.mark.skipif(not PHILLY.is_file(), reason="the real Philly trace is not beside this checkout")
SEEDS = range(4)


@pytest.mark.parametrize("preset", ["philly", "sweeps", "lab"])
def test_the_same_numbers_make_the_same_trace(preset: str) -> None:
    trace = generate(preset, jobs=700, seed=5)
    assert fingerprint(trace) == fingerprint(generate(preset, jobs=700, seed=5))
    assert fingerprint(trace) != fingerprint(generate(preset, jobs=700, seed=6))
    assert [job.id for job in trace.jobs] == list(range(1, 701))
    assert (trace.estimates, trace.origin) == ("none", None)
    assert trace.name == f"synthetic {preset} seed 5"


def test_every_preset_says_what_it_is_and_where_its_numbers_come_from() -> None:
    for name, numbers in presets().items():
        assert numbers["about"], name
        assert all(numbers["source"]), name
        assert len(numbers["date"]) == 10, name
        assert len(generate(name)) == numbers["jobs"]


@settings(max_examples=40, deadline=None)
@given(
    preset=st.sampled_from(["philly", "sweeps", "lab"]),
    jobs=st.integers(1, 400),
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([0.1, 1.0, 30.0]),
    longest=st.sampled_from([60.0, 3600.0, 1e7]),
    largest=st.sampled_from([1.0, 4.0, 128.0]),
)
def test_whatever_is_asked_is_kept(
    preset: str, jobs: int, seed: int, rate: float, longest: float, largest: float
) -> None:
    trace = generate(preset, jobs=jobs, seed=seed, rate=rate, longest=longest, largest=largest)
    assert len(trace) == jobs
    assert all(1 <= run <= longest for run in trace.durations.values())
    assert all(1 <= job.gang <= largest for job in trace.jobs)
    assert all(job.submit == int(job.submit) for job in trace.jobs)
    assert all(job.tenant and job.estimate is None and job.user is None for job in trace.jobs)


def test_the_rate_shortens_the_trace_and_leaves_bursts_alone() -> None:
    slow, fast = (describe(generate("sweeps", jobs=20_000, seed=1, rate=rate)) for rate in (1.0, 4.0))
    assert slow.span / fast.span == pytest.approx(4, rel=0.35)
    assert slow.together == pytest.approx(fast.together or 0, abs=0.1)


def test_a_hundred_thousand_jobs_take_half_a_second() -> None:
    began = perf_counter()
    assert len(generate("philly", jobs=100_000)) == 100_000
    assert perf_counter() - began < 5, "ten times what it takes, for a busy machine"


@pytest.mark.slow
def test_a_million_jobs_take_seconds_and_less_than_a_gigabyte() -> None:
    code = (
        "import time; from gpuyard.experiments.footprint import peak; from gpuyard.traces.synthetic import generate;"
        "t = time.perf_counter(); generate('philly', jobs=1_000_000); print(time.perf_counter() - t); print(peak())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    seconds, memory = map(float, told.split())
    assert seconds < 30, "it takes about four"
    assert memory < 1e9


def test_sweeps_are_short_trials_in_bursts() -> None:
    s = describe(generate("sweeps", jobs=20_000))
    assert s.gangs[1] / s.jobs > 0.97
    assert s.together is not None
    assert s.together > 0.6
    assert 120 < s.run_times[-1].quantiles[1] < 600


def test_a_lab_keeps_its_server_busy_by_day() -> None:
    trace = generate("lab", jobs=20_000)
    s = describe(trace)
    assert 4 < (s.load or 0) < 7, "of 8 GPUs"
    assert set(s.gangs) == {1, 2, 4, 8}
    assert s.tenants == 6
    hours = np.array([job.submit // 3600 % 24 for job in trace.jobs])
    assert (hours == 15).sum() > 4 * (hours == 4).sum()
    days = np.array([job.submit // 86400 % 7 for job in trace.jobs])
    assert (days < 5).mean() > 0.75


@cache
def real() -> Trace:
    return philly.load(PHILLY, since="2017-10-02", until="2017-12-13")


@cache
def summaries() -> tuple[Summary, tuple[Summary, ...]]:
    jobs = len(real())
    return describe(real()), tuple(describe(generate("philly", jobs=jobs, seed=s, holes=0)) for s in SEEDS)


MEASURES = {
    "jobs an hour": (lambda s: s.hourly, 0.85, 1.15),
    "dispersion of hourly counts": (lambda s: s.dispersion, 0.7, 1.3),
    "sd of the hourly log rate": (lambda s: s.log_rate_sd, 0.9, 1.1),
    "lag-1 correlation of the hourly log rate": (lambda s: s.log_rate_ar1, 0.8, 1.2),
    "cv of gaps": (lambda s: s.gap_cv, 0.8, 1.25),
    "arrivals within 1 s": (lambda s: s.together, 0.85, 1.15),
    "Gini of tenants by jobs": (lambda s: s.gini_jobs, 0.93, 1.07),
    "Gini of tenants by work": (lambda s: s.gini_work, 0.85, 1.15),
    "accelerators offered": (lambda s: s.load, 0.8, 1.25),
    "part of one-GPU jobs": (lambda s: s.gangs[1] / s.jobs, 0.97, 1.03),
    "part of 4-GPU jobs": (lambda s: s.gangs[4] / s.jobs, 0.75, 1.35),
    "part of 8-GPU jobs": (lambda s: s.gangs[8] / s.jobs, 0.75, 1.35),
    "p10 of one-GPU run times": (lambda s: row(s, "1").quantiles[0], 0.9, 1.1),
    "p50 of one-GPU run times": (lambda s: row(s, "1").quantiles[1], 0.8, 1.25),
    "p90 of one-GPU run times": (lambda s: row(s, "1").quantiles[2], 0.75, 1.3),
    "p99 of one-GPU run times": (lambda s: row(s, "1").quantiles[3], 0.7, 1.4),
    "p50 of two-GPU run times": (lambda s: row(s, "2").quantiles[1], 0.8, 1.25),
    "p50 of four-GPU run times": (lambda s: row(s, "3-4").quantiles[1], 0.5, 2.0),
    "p90 of four-GPU run times": (lambda s: row(s, "3-4").quantiles[2], 0.6, 1.7),
    "p50 of eight-GPU run times": (lambda s: row(s, "5-8").quantiles[1], 0.5, 2.0),
    "p90 of eight-GPU run times": (lambda s: row(s, "5-8").quantiles[2], 0.7, 1.4),
    "mean run time": (lambda s: s.run_times[-1].mean, 0.8, 1.25),
}


@needs_real
@pytest.mark.parametrize("measure", list(MEASURES))
def test_philly_is_like_philly(measure: str) -> None:
    of, low, high = MEASURES[measure]
    truth, made = summaries()
    ratio = np.mean([of(s) for s in made]) / of(truth)  # type: ignore[no-untyped-call]
    assert low <= ratio <= high


def row(summary: Summary, gangs: str):  # type: ignore[no-untyped-def]
    return next(r for r in summary.run_times if r.gangs == gangs)


def test_holes_take_the_part_of_hours_that_the_trace_has_empty() -> None:
    quiet = quiet_hours(preset_named("philly")["holes"], 200_000, np.random.default_rng(0))
    assert quiet.mean() == pytest.approx(114 / 1953, rel=0.2)
    assert max_gap(generate("philly", jobs=40_000, seed=0)) > 86400
    assert max_gap(generate("philly", jobs=40_000, seed=0, holes=0)) < 3 * 3600


def max_gap(trace: Trace) -> float:
    return float(np.diff([job.submit for job in trace.jobs]).max())


@needs_real
def test_the_philly_preset_is_what_calibrate_reads_off_the_trace() -> None:
    read, stored = calibrate(real()), preset_named("philly")
    assert read["noise_rho"] == stored["noise_rho"]
    for mine, theirs in zip(read["bursts"], stored["bursts"], strict=True):
        assert [n for *_, n in mine.pop("of")] == [n for *_, n in theirs["of"]]
        fits = mine.pop("durations")
        for low, fit in fits.items():
            assert fit["longest"] == theirs["durations"][low]["longest"]
            assert np.array(fit["lognormals"]) == pytest.approx(
                np.array(theirs["durations"][low]["lognormals"]), abs=0.01
            )
        assert mine == {key: theirs[key] for key in mine}


def test_bursts_are_like_jobs_that_come_together() -> None:
    submits = [(0.0, "a", 1), (30.0, "b", 1), (50.0, "a", 1), (60.0, "a", 2), (111.0, "a", 1)]
    jobs = tuple(Job(n, submit, gang, tenant=tenant) for n, (submit, tenant, gang) in enumerate(submits))
    bursts = find_bursts(Trace(jobs, {n: 10.0 + n for n in range(5)}))
    found = sorted((b.tenant, b.gang, b.times.tolist(), b.durations.tolist()) for b in bursts)
    assert found == [
        ("a", 1, [0.0, 50.0], [10.0, 12.0]),
        ("a", 1, [111.0], [14.0]),
        ("a", 2, [60.0], [13.0]),
        ("b", 1, [30.0], [11.0]),
    ]


def test_what_is_generated_is_calibrated_back(tmp_path: Path) -> None:
    stored = preset_named("philly")
    read = calibrate(generate("philly", jobs=60_000, seed=2, holes=0))
    assert [kind["kind"] for kind in read["bursts"]] == list(KINDS)
    for mine, theirs in zip(read["bursts"], stored["bursts"], strict=True):
        assert mine["per_hour"] == pytest.approx(theirs["per_hour"], rel=0.25)
        assert mine["mean"] == pytest.approx(theirs["mean"], rel=0.25)
        assert mine["likeness"] == pytest.approx(theirs["likeness"], abs=0.15)
    path = tmp_path / "again.json"
    path.write_text(json.dumps(read))
    again = generate(str(path), jobs=3000, seed=1)
    assert (len(again), again.name) == (3000, "synthetic again seed 1")


def test_too_little_to_calibrate_on() -> None:
    with pytest.raises(BadInput, match="a week and 500 jobs"):
        calibrate(generate("lab", jobs=100))


@pytest.mark.parametrize(
    "overrides",
    [{"rate": 0.0}, {"rate": -1.0}, {"rate": math.inf}, {"rate": math.nan}, {"longest": 0.0}, {"speed": 2.0}],
)
def test_overrides_that_cannot_be(overrides: dict[str, float]) -> None:
    with pytest.raises(BadInput):
        generate("philly", 10, 0, **overrides)
