"""Our schedulers and ones that are obviously right tell the same times, to the last digit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real import REAL

import brute
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Start, Stopped
from gpuyard.experiments.names import policy
from gpuyard.traces.estimates import with_estimates
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.source import open_trace

PHILLY, LUBLIN = REAL / "philly" / "philly.csv.gz", REAL / "swf" / "lublin_256.swf.gz"


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Whole seconds, so that ties abound; estimates that may be right, short or long."""
    jobs, durations, now = [], {}, 0
    for number in range(draw(st.integers(1, 25))):
        now += draw(st.sampled_from([0, 0, 1, 2, 3]))
        durations[number] = float(draw(st.integers(0, 8)))
        estimate = durations[number] + draw(st.sampled_from([0, 0, 0, 1, 4, -2]))
        jobs.append(Job(number, float(now), draw(st.integers(1, 8)), estimate=max(estimate, 0.0)))
    return Trace(tuple(jobs), durations)


def times(log: Log) -> brute.Times:
    """When each job started and ended."""
    starts = {entry.job: time for time, entry in log.timed() if isinstance(entry, Start)}
    return {e.job: (starts[e.job], e.time) for e in log.entries if isinstance(e, Stopped) and e.reason == "finished"}


def played(trace: Trace, cluster: str, policy: Policy) -> brute.Times:
    return times(Session(SimWorld(trace, parse(cluster))).play(policy))


@given(traces())
@settings(max_examples=100, deadline=None)
def test_small_traces_full_of_ties(trace: Trace) -> None:
    for cluster in ("1x8:A", "4x2:A"):
        for name, key in (("fifo", brute.by_submission), ("sjf", brute.by_estimate)):
            assert played(trace, cluster, policy(name)) == brute.strict(trace.jobs, trace.durations, 8, key)
            assert played(trace, cluster, policy(f"easy({name})")) == brute.easy(trace.jobs, trace.durations, 8, key)


@pytest.fixture(scope="module")
def lublin() -> Trace:
    return opened("swf", LUBLIN)


@pytest.fixture(scope="module")
def philly() -> Trace:
    return opened("philly", PHILLY)


def opened(kind: str, path: Path) -> Trace:
    if not path.exists():
        pytest.skip(f"{path.name} is not here; it lies beside the checkout in shared/traces")
    return with_estimates(open_trace(f"{kind}:{path}"), "exact")


@pytest.mark.parametrize("name", ["fifo", "sjf"])
def test_ten_thousand_jobs_of_the_lublin_model(lublin: Trace, name: str) -> None:
    key = {"fifo": brute.by_submission, "sjf": brute.by_estimate}[name]
    assert len(lublin) == 10_000
    assert played(lublin, "1x256:CPU", policy(name)) == brute.strict(lublin.jobs, lublin.durations, 256, key)


@pytest.mark.parametrize("estimates", ["exact", pytest.param("noisy:0.8", marks=pytest.mark.slow)])
def test_they_agree_on_backfilling_too(lublin: Trace, estimates: str) -> None:
    told = with_estimates(lublin, estimates, seed=1)
    for name, key in (("fifo", brute.by_submission), ("sjf", brute.by_estimate)):
        assert played(told, "1x256:CPU", policy(f"easy({name})")) == brute.easy(told.jobs, told.durations, 256, key)


@pytest.mark.parametrize("name", ["fifo", "sjf"])
def test_all_of_philly_in_strict_order(philly: Trace, name: str) -> None:
    key = {"fifo": brute.by_submission, "sjf": brute.by_estimate}[name]
    assert len(philly) == 82_247
    assert played(philly, "60x8:V100", policy(name)) == brute.strict(philly.jobs, philly.durations, 480, key)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fifo", "sjf"])
def test_all_of_philly_with_backfilling(philly: Trace, name: str) -> None:
    key = {"fifo": brute.by_submission, "sjf": brute.by_estimate}[name]
    assert played(philly, "60x8:V100", policy(f"easy({name})")) == brute.easy(philly.jobs, philly.durations, 480, key)
