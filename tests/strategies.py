"""Random traces, clusters and policies for the laws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.placement import packed
from gpuyard.envs.vocabulary import Decision, Preempt, Start
from gpuyard.traces.job import Job, Trace


@st.composite
def jobs(draw: st.DrawFn, number: int, submit: float) -> Job:
    """A job that may want a gang, a share, or CPUs alone, of some kind or any."""
    gang = draw(st.sampled_from([1, 1, 1, 2, 3, 4, 0]))
    share = draw(st.sampled_from([1.0, 0.25, 0.333, 0.5])) if gang == 1 else 1.0
    return Job(
        number,
        submit,
        gang,
        share,
        kinds=draw(st.sampled_from([(), (), ("A",), ("B", "A")])),
        cpus=draw(st.sampled_from([None, 0.7, 3.0])),
        host_memory=draw(st.sampled_from([None, 1000])),
        estimate=draw(st.sampled_from([None, 1.0, 7.5, 30.0])),
        preemptible=draw(st.booleans()),
    )


@st.composite
def traces(draw: st.DrawFn, most: int = 12) -> Trace:
    """A few jobs with many ties: whole seconds, zero durations, bursts."""
    made, durations, now = [], {}, 0.0
    for number in range(draw(st.integers(1, most))):
        now += draw(st.sampled_from([0.0, 0.0, 1.0, 2.5, 10.0]))
        made.append(draw(jobs(number, now)))
        durations[number] = draw(st.sampled_from([0.0, 1.0, 2.0, 5.5, 20.0]))
    return Trace(tuple(made), durations)


@st.composite
def rich_traces(draw: st.DrawFn, most: int = 12) -> Trace:
    """The same jobs with all that a job can have: elastic bounds, pipelines, sweeps, deadlines, data, regimes."""
    plain = draw(traces(most))
    regimes = st.sampled_from([((0.0, 1.0), (0.5, 2.0)), ((0.0, 1.0), (0.25, 0.5), (0.75, 3.0))])
    changing = [job.id for job in plain.jobs if draw(st.booleans())]
    jobs = tuple(replace(job, **draw(riches(job, plain.jobs[:at]))) for at, job in enumerate(plain.jobs))
    return replace(plain, jobs=jobs, regimes={number: draw(regimes) for number in changing})


@st.composite
def riches(draw: st.DrawFn, job: Job, earlier: tuple[Job, ...]) -> dict[str, Any]:
    """Fields that make a job richer; it may come after earlier ones."""
    elastic = job.gang > 1 and draw(st.booleans())
    before = draw(st.lists(st.sampled_from([one.id for one in earlier]), max_size=2)) if earlier else []
    return {
        "tenant": draw(st.sampled_from([None, "ann", "bob"])),
        "priority": draw(st.sampled_from([None, -1.0, 3.0])),
        "deadline": draw(st.sampled_from([None, job.submit + 10.0])),
        "profile": draw(st.sampled_from([None, "resnet", "lm"])),
        "min_gang": draw(st.integers(1, job.gang)) if elastic else None,
        "max_gang": draw(st.integers(job.gang, 8)) if elastic else None,
        "memory": draw(st.sampled_from([None, 500, 2**34])),
        "checkpoint": draw(st.sampled_from([None, 0, 2**30])),
        "after": tuple(dict.fromkeys(before)),
        "group": draw(st.sampled_from([None, "sweep-1"])),
        "sites": draw(st.sampled_from([(), ("hall",), ("hall", "east")])),
        "data": draw(st.sampled_from([None, 10**9])),
    }


def nodes() -> tuple[Node, ...]:
    """Three unlike nodes: eight accelerators of two kinds, and one without any."""
    return (
        Node("n0", tuple(Accelerator(f"n0/{i}", "A") for i in range(4)), cpus=6, memory=4000),
        Node(
            "n1", (*(Accelerator(f"n1/{i}", "A") for i in range(2)), *(Accelerator(f"n1/b{i}", "B") for i in range(2)))
        ),
        Node("n2", (), cpus=4, memory=1500),
    )


@dataclass
class Random:
    """Decides at random, but legally: starts what fits, preempts what may be."""

    rng: np.random.Generator
    preempts: float = 0.3

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        for job in [j for j in cluster.pending if self.rng.random() < 0.8]:
            if placement := packed(job, cluster.room):
                yield Start(job.id, placement)
        for running in list(cluster.running):
            if running.job.preemptible and not running.stopping and self.rng.random() < self.preempts:
                yield Preempt(running.job.id)
