"""Finish-time fairness: what a job got against what it would have had with a part of its own."""

from __future__ import annotations

import numpy as np
import pytest

from gpuyard.envs.fairness import fifo, jain, rho
from gpuyard.envs.metrics import breakdown, read, summary
from gpuyard.envs.nodes import parse
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Start, Stopped, Submitted
from gpuyard.traces.job import Job
from tales import log_of, on

FOUR = parse("1x4:A100")


def test_finish_time_fairness_compares_with_a_part_of_ones_own() -> None:
    # Four accelerators, a has 1 of its own and b 3. Alone, a's jobs end at 100 and 100 + 2 x 50 (a gang of 2 on 1), b's
    # at 60. Here a's first waits for b until 60: 160 / 100; its second ends at 210 / 200; b's at once: 60 / 60.
    tenants = Tenants((Tenant("a", quota=1), Tenant("b", quota=3)))
    log = log_of(
        Submitted(0.0, Job(1, 0.0, 3, tenant="b")),
        Submitted(0.0, Job(2, 0.0, tenant="a")),
        Submitted(0.0, Job(3, 0.0, 2, tenant="a")),
        Start(1, on(0, 1, 2)),
        Stopped(60.0, 1, "finished", 60.0),
        Start(2, on(0)),
        Stopped(160.0, 2, "finished", 100.0),
        Start(3, on(0, 1)),
        Stopped(210.0, 3, "finished", 50.0),
        machines=FOUR,
        tenants=tenants,
    )
    found = summary(log)
    assert rho(read(log).jobs, tenants, 4.0).tolist() == [1.0, 1.6, 1.05]
    assert found.max_rho == 1.6
    assert found.jain == pytest.approx((1 + 1.6 + 1.05) ** 2 / (3 * (1 + 1.6**2 + 1.05**2)))
    parts = breakdown(log)["by_tenant"]
    assert (parts["a"].max_rho, parts["b"].max_rho, parts["b"].jain) == (1.6, 1.0, 1.0)


def test_a_queue_alone_is_first_come_first_served() -> None:
    ends = fifo(np.array([0.0, 0.0, 1.0, 50.0]), np.array([10.0, 4.0, 2.0, 1.0]), np.array([2.0, 3.0, 1.0, 1.0]), 3.0)
    assert ends.tolist() == [10.0, 14.0, 16.0, 51.0]  # the third waits behind the second, though it would fit at once
    # The first comes after the third, which waits for nobody: the second starts at 0, the third at 4, the first at 6.
    ends = fifo(np.array([0.0, 0.0, 1.0]), np.array([10.0, 4.0, 2.0]), np.array([2.0, 3.0, 3.0]), 3.0, [[2], [], []])
    assert ends.tolist() == [16.0, 4.0, 6.0]
    assert (jain(np.array([2.0, 2.0])), jain(np.array([1.0, 0.0]))) == (1.0, 0.5)
