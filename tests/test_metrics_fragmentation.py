"""Fragmentation from logs: what is free and of no use to the jobs of the log."""

from __future__ import annotations

import pytest

from gpuyard.envs.metrics import summary
from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.vocabulary import Partition, Partitioned, Start, Stopped, Submitted, Tick
from gpuyard.traces.job import Job
from tales import log_of, on


def test_fragments_are_what_a_job_of_the_log_could_not_use() -> None:
    # Two nodes of two. Jobs: three gangs of 1, one of 4, which wants all of a node. n0 has one free from 0 to 10, n1 is
    # whole: a quarter of the jobs cannot use the one. Free: 1 + 2 for 10 s; fragments: 1/4 of 1 for 10 s.
    machines = parse("2x2:A100")
    waiting = [Submitted(0.0, Job(n, 0.0, gang)) for n, gang in ((1, 1), (2, 1), (3, 1), (4, 4))]
    log = log_of(*waiting, Start(1, on(0)), Stopped(10.0, 1, "finished", 10.0), machines=machines)
    assert summary(log).fragmentation == pytest.approx((10 / 4) / 30)
    # Jobs of CPUs alone say nothing about accelerators at all.
    hosts = log_of(
        Submitted(0.0, Job(1, 0.0, 0)), Start(1, (("n0", ()),)), Stopped(10.0, 1, "finished", 10.0), machines=machines
    )
    assert summary(hosts).fragmentation is None
    # A job that wants only B's says nothing about A100s.
    other = log_of(Submitted(0.0, Job(9, 0.0, 4, kinds=("B",))), *log.entries, machines=machines)
    assert summary(other).fragmentation == pytest.approx((10 / 4) / 30)


def test_what_is_left_of_a_shared_accelerator_is_a_fragment_for_larger_shares() -> None:
    # 0.7 of the only accelerator is in use: 0.3 is free for 10 s, of use to the job of 0.2 alone, of three.
    jobs = [Submitted(0.0, Job(n, 0.0, share=share)) for n, share in ((1, 0.7), (2, 0.2), (3, 1.0))]
    log = log_of(*jobs, Start(1, on(0)), Stopped(10.0, 1, "finished", 10.0), machines=parse("1x1:A100"))
    assert summary(log).fragmentation == pytest.approx(2 / 3)


def test_mig_instances_are_free_by_their_compute() -> None:
    # Cut into 3g + 3g after 5 s, which takes 5 s: free are 1, 0, then 6/7, and 3/7 once job 1 stands on one of them.
    # Shares of 3/7 fit everywhere; the whole one fits nothing but the uncut accelerator: half of what is free later.
    machines = (Node("n0", (Accelerator("n0/0", "A100", 40 * 2**30),)),)
    log = log_of(
        Submitted(0.0, Job(1, 0.0, share=0.4)),
        Submitted(0.0, Job(2, 0.0)),
        Tick(5.0),
        Partition("n0/0", ("3g.20gb", "3g.20gb")),
        Partitioned(10.0, "n0/0", ("3g.20gb", "3g.20gb")),
        Tick(20.0),
        Start(1, (("n0", ("n0/0#0",)),)),
        Stopped(40.0, 1, "finished", 20.0),
        machines=machines,
    )
    later = 2 * 0.429 * 10 + 0.429 * 20
    assert summary(log).fragmentation == pytest.approx(later / 2 / (5 + later))
