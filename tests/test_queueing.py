"""Queues whose waits are known: Erlang's, and Pollaczek's and Khinchine's; and Little's law, exactly, in any world."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import factorial, isclose, sqrt

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuyard.envs.cluster import Cluster
from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.log import Log, follow
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import BACK, Start, Stopped, Submitted
from gpuyard.policies.orders import fifo
from gpuyard.traces.job import Job, Trace
from storm import told, traces

Draw = Callable[[np.random.Generator, int], "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"]
RUNS, JOBS, WARM = 16, 3000, 500
QUANTILE = 4.073
"""Student's t with 15 degrees of freedom at 0.9995: an interval that covers the mean 999 times in 1,000."""


def arrivals(rate: float, service: Draw, seed: int) -> Trace:
    """Poisson arrivals of jobs that want one accelerator for a drawn time."""
    rng = np.random.default_rng(seed)
    submits, runs = rng.exponential(1 / rate, JOBS).cumsum(), service(rng, JOBS)
    return Trace(tuple(Job(n, float(t)) for n, t in enumerate(submits)), {n: float(run) for n, run in enumerate(runs)})


def wait(log: Log) -> float:
    """The mean wait of those that came when the queue had forgotten how it began, seconds."""
    starts = {entry.job: time for time, entry in log.timed() if isinstance(entry, Start)}
    waits = [starts[e.job.id] - e.time for e in log.entries if isinstance(e, Submitted) and e.job.id >= WARM]
    return float(np.mean(waits))


def interval(rate: float, service: Draw, servers: int) -> tuple[float, float]:
    """Where the mean wait is, by independent runs of which half are told by each of the two simulators."""
    nodes, waits = parse(f"1x{servers}:V100"), []
    for seed in range(RUNS):
        trace = arrivals(rate, service, seed)
        waits.append(wait(Session((SimWorld if seed % 2 else HarshWorld)(trace, nodes)).play(fifo)))
    half = QUANTILE * float(np.std(waits, ddof=1)) / sqrt(RUNS)
    return float(np.mean(waits)) - half, float(np.mean(waits)) + half


def erlang(rate: float, mean: float, servers: int) -> float:
    """The mean wait in M/M/c: the probability of waiting (Erlang's C) over the rate at which the queue shrinks."""
    load = rate * mean
    last = load**servers / factorial(servers) / (1 - load / servers)
    waiting = last / (sum(load**k / factorial(k) for k in range(servers)) + last)
    return waiting * mean / (servers - load)


def exponential(mean: float) -> Draw:
    return lambda rng, count: rng.exponential(mean, count)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (3, 2.1), (8, 5.6)])
def test_exponential_jobs_wait_as_erlang_says(servers: int, load: float) -> None:
    low, high = interval(load / 10.0, exponential(10.0), servers)
    assert low < erlang(load / 10.0, 10.0, servers) < high
    for wrong in {servers - 1, servers + 1} - {0}:
        assert not (wrong > load and low < erlang(load / 10.0, 10.0, wrong) < high)


def two_phases(rng: np.random.Generator, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Nine in ten take 5 s on average, the tenth 55 s: second moment 2 (0.9 x 25 + 0.1 x 3,025) = 650 s^2."""
    return rng.exponential(np.where(rng.random(count) < 0.9, 5.0, 55.0))


SERVICES: dict[str, tuple[Draw, float]] = {
    "always 10 s": (lambda rng, count: np.full(count, 10.0), 100.0),
    "uniform to 20 s": (lambda rng, count: rng.uniform(0, 20, count), 400 / 3),
    "exponential": (exponential(10.0), 200.0),
    "two phases": (two_phases, 650.0),
}
"""Draws of mean 10 s, and their second moments."""


@pytest.mark.parametrize("name", SERVICES)
def test_other_jobs_wait_as_pollaczek_and_khinchine_say(name: str) -> None:
    service, second = SERVICES[name]
    low, high = interval(0.05, service, 1)
    assert low < 0.05 * second / (2 * (1 - 0.5)) < high
    for other, (_, moment) in SERVICES.items():
        assert other == name or not low < 0.05 * moment / (2 * (1 - 0.5)) < high


# Little's law.


def area(log: Log) -> float:
    """The integral over time of how many jobs are in the ledger's lists."""
    cluster, total, now = Cluster(log.nodes, log.tenants), 0.0, 0.0
    for time, entry in log.timed():
        total += (time - now) * (len(cluster.pending) + len(cluster.held) + len(cluster.running))
        now = time
        follow(cluster, entry)
    return total


def stays(log: Log) -> float:
    """The sum of the times that jobs spent in the system, up to the end of the log for those that are still there."""
    ends = {e.job: e.time for e in log.entries if isinstance(e, Stopped) and e.reason not in BACK}
    last = max((time for time, _ in log.timed()), default=0.0)
    return sum(ends.get(e.job.id, last) - e.time for e in submissions(log))


def submissions(log: Log) -> Iterable[Submitted]:
    return (entry for entry in log.entries if isinstance(entry, Submitted))


def test_littles_law_on_a_long_queue() -> None:
    log = Session(SimWorld(arrivals(0.29, exponential(10.0), 1), parse("1x3:V100"))).play(fifo)
    assert isclose(area(log), stays(log), rel_tol=1e-9)
    assert stays(log) > JOBS * 10


@given(traces(least=4), st.integers(0, 7))
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_littles_law_when_all_goes_wrong(trace: Trace, seed: int) -> None:
    log = told(trace, seed).log
    assert isclose(area(log), stays(log), rel_tol=1e-9, abs_tol=1e-9)
