"""Helios' order, by numbers one can do in one's head."""

from __future__ import annotations

from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Start
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job, Trace


def test_least_predicted_service_first() -> None:
    """100 s on 2 are more than 150 s on 1, whatever they turn out to be; a job without accelerators counts as 1."""
    jobs = (Job(0, 0.0, 4, estimate=9.0), *(Job(n, 1.0, g, estimate=e) for n, g, e in ((1, 2, 100), (2, 1, 150))))
    trace = Trace((*jobs, Job(3, 2.0, 4, estimate=10.0)), {0: 10.0, 1: 1.0, 2: 500.0, 3: 5.0})
    log = Session(SimWorld(trace, parse("1x4:V100"))).play(policy("qssf"))
    assert [(time, e.job) for time, e in log.timed() if isinstance(e, Start)] == [(0, 0), (10, 3), (15, 2), (15, 1)]
