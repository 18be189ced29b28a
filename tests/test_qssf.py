"""Helios' order, by numbers one can do in one's head."""

from __future__ import annotations

from dataclasses import replace

from gpuyard.envs.log import Log
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Start
from gpuyard.experiments.names import policy
from gpuyard.policies.qssf import qssf
from gpuyard.traces.job import Job, Trace
from tales import tell


def starts(log: Log) -> list[tuple[float, int]]:
    return [(time, entry.job) for time, entry in log.timed() if isinstance(entry, Start)]


def played(trace: Trace, one: Policy) -> list[tuple[float, int]]:
    return starts(Session(SimWorld(trace, parse("1x4:V100"))).play(one))


def test_least_predicted_service_first() -> None:
    """100 s on 2 are more than 150 s on 1, whatever they turn out to be; a job without accelerators counts as 1."""
    jobs = (Job(0, 0.0, 4, estimate=9.0), *(Job(n, 1.0, g, estimate=e) for n, g, e in ((1, 2, 100), (2, 1, 150))))
    trace = Trace((*jobs, Job(3, 2.0, 4, estimate=10.0)), {0: 10.0, 1: 1.0, 2: 500.0, 3: 5.0})
    assert played(trace, policy("qssf")) == [(0, 0), (10, 3), (15, 2), (15, 1)]


def test_its_order_is_strict_and_can_be_loose() -> None:
    """One accelerator stays free for 9 s: 20 accelerator-seconds on two come before 100 s on one, fit or not."""
    jobs = (Job(0, 0.0, 3, estimate=10.0), Job(1, 1.0, 2, estimate=10.0), Job(2, 1.0, 1, estimate=100.0))
    trace = Trace(jobs, {0: 10.0, 1: 10.0, 2: 100.0})
    assert played(trace, qssf) == [(0, 0), (10, 1), (10, 2)]
    assert played(trace, replace(qssf, strict=False)) == [(0, 0), (1, 2), (10, 1)]


def test_each_virtual_cluster_has_a_line_of_its_own() -> None:
    """Ada's quota is full until 10 s; her next job, the least of all, holds nobody of ben's back."""
    own = Tenants([Tenant("ada", quota=2, borrow=0), Tenant("ben", quota=2, borrow=0)])
    jobs = [
        (Job(0, 0.0, 2, estimate=10.0, tenant="ada"), 10.0),
        (Job(1, 1.0, 1, estimate=1.0, tenant="ada"), 1.0),
        (Job(2, 1.0, 2, estimate=100.0, tenant="ben"), 100.0),
    ]
    assert starts(tell(jobs, "1x4:V100", {}, qssf, tenants=own).log) == [(0, 0), (1, 2), (10, 1)]
