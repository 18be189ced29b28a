"""What a trace is like, in numbers one can do in one's head and in the published ones; and its picture."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from real import REAL, needs_real

from gpuyard.traces import openb, philly
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.picture import draw
from gpuyard.traces.statistics import correlation, describe, gini, hourly
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput

SMALL = Trace(
    (
        Job(1, 0.0, 1, tenant="a"),
        Job(2, 1.0, 2, tenant="a"),
        Job(3, 3600.0, 1, 0.5, tenant="b"),
        Job(4, 3600.0, 1, 0.5, tenant="b"),
        Job(5, 10800.0, 0),
    ),
    {1: 10.0, 2: 5.0, 3: 20.0, 4: 20.0, 5: 60.0},
    "small",
)


def test_a_small_trace_in_numbers() -> None:
    s = describe(SMALL)
    assert (s.jobs, s.span, s.gangs) == (5, 10800.0, {0: 1, 1: 3, 2: 1})
    assert (s.tenants, s.gini_jobs, s.gini_work) == (2, 0.0, 0.0)
    assert s.load == 40.0 / 10800
    assert s.peak == 3.0, "jobs 1 and 2 would run together"
    assert (s.duplicates, s.fractional, s.cpu_only) == (1, 2, 1)
    assert (s.hourly, s.empty_hours) == (1.25, 0.25)
    assert s.dispersion == np.var([2, 2, 0, 1]) / 1.25
    assert (s.gap_mean, s.together) == (2700.0, 0.5)
    assert [(r.gangs, r.jobs, r.mean, r.work) for r in s.run_times] == [
        ("0 (CPU)", 1, 60.0, 0.0),
        ("1", 3, 50 / 3, 0.75),
        ("2", 1, 5.0, 0.25),
        ("all", 5, 23.0, 1.0),
    ]


def test_too_short_a_trace_leaves_its_rhythm_unknown() -> None:
    s = describe(Trace((Job(1, 5.0),), {1: 0.0}))
    assert (s.hourly, s.dispersion, s.log_rate_ar1, s.gap_cv, s.load, s.gini_jobs) == (None,) * 6
    assert s.jobs == 1


def test_inequality_and_correlation() -> None:
    assert gini([5, 5, 5, 5]) == 0
    assert gini([0, 0, 0, 1]) == 0.75
    assert gini([1, 3]) == 0.25
    assert gini([]) is None
    assert correlation(np.array([1.0, -1.0] * 50), 1) == pytest.approx(-1)
    assert correlation(np.ones(9), 1) is None
    assert hourly(np.array([7200.0, 7201.0, 14400.0])).tolist() == [2, 0, 1]


@needs_real
def test_philly_is_as_published_studies_of_it_say() -> None:
    s = describe(philly.load(REAL / "philly" / "philly.csv.gz"))
    assert (s.jobs, s.tenants, s.duplicates) == (82_247, 15, 65)
    assert [s.gini_jobs, s.gini_work] == pytest.approx([0.765, 0.573], abs=0.001)
    assert [s.gap_mean, s.gap_cv] == pytest.approx([114.4, 15.1], abs=0.1)
    assert s.load == pytest.approx(374, abs=1)
    assert s.gangs[1] / s.jobs == pytest.approx(0.9317, abs=0.0001)
    one, whole = s.run_times[0], s.run_times[-1]
    assert (one.gangs, one.jobs, one.quantiles[1]) == ("1", 76_627, 1117.0)
    assert [whole.mean, whole.quantiles[1]] == pytest.approx([13_136, 1144], abs=1)
    later = describe(philly.load(REAL / "philly" / "philly.csv.gz", since="2017-10-02"))
    assert later.hourly == pytest.approx(39.1, abs=0.1)
    assert later.log_rate_sd == pytest.approx(1.34, abs=0.01)
    assert later.log_rate_ar1 == pytest.approx(0.72, abs=0.01)
    assert later.empty_hours == pytest.approx(0.058, abs=0.001)


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_a_picture_is_drawn(tmp_path: Path, ending: str) -> None:
    draw(generate("lab", jobs=300), tmp_path / f"lab{ending}")
    assert (tmp_path / f"lab{ending}").stat().st_size > 10_000


def test_odd_traces_are_drawn_without_a_warning(tmp_path: Path) -> None:
    at_once = Trace(tuple(Job(n, 0.0) for n in range(3)), dict.fromkeys(range(3), 0.0), "at once")
    alone = Trace((Job(1, 5.0, 0),), {1: 3.0}, "$\\alone_{$ $x", "2017-10-02T00:00:00")
    crowd = Trace(
        tuple(Job(n, n * 9e5, tenant=f"a very long name of a tenant {n % 40}") for n in range(80)),
        dict.fromkeys(range(80), 1e7),
        "crowd",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for odd in (at_once, alone, crowd, SMALL):
            draw(odd, tmp_path / f"{len(odd)}.png")


def test_pictures_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no jobs to draw"):
        draw(Trace((), {}), tmp_path / "x.png")
    with pytest.raises(BadInput, match="cannot be written"):
        draw(SMALL, tmp_path / "x.docx")
    with pytest.raises(BadInput, match="cannot be written"):
        draw(SMALL, tmp_path / "nowhere" / "x.png")


@needs_real
def test_pods_without_tenants_are_drawn_by_what_they_ask_for(tmp_path: Path) -> None:
    draw(openb.load(REAL / "alibaba-v2023-openb" / "openb_pod_list_gpuspec33.csv.gz"), tmp_path / "pods.svg")
    assert (tmp_path / "pods.svg").stat().st_size > 10_000
