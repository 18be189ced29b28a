"""Stories of the plain simulator: who asks for what, and the whole log in words."""

from __future__ import annotations

from collections.abc import Iterator

from gpuyard.envs.log import Log
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Preempt, Start, Stopped, Submitted
from gpuyard.traces.job import Job, Trace

Ask = tuple[float, int, float] | tuple[float, int, float, float]
"""Submission, gang, duration; and an estimate where it is not the duration."""


def trace(*asks: Ask) -> Trace:
    """Jobs 1, 2, 3 and so on."""
    jobs = [Job(n, float(a[0]), a[1], estimate=float(a[-1])) for n, a in enumerate(asks, 1)]
    return Trace(tuple(jobs), {n: float(a[2]) for n, a in enumerate(asks, 1)})


def story(
    policy: Policy, told: Trace, cluster: str = "1x2:A", restart: float = 0.0, tick: float | None = None
) -> list[str]:
    """The whole log in words, a moment a line, without ticks."""
    world = SimWorld(told, parse(cluster), restart=restart, tick=tick)
    moments: dict[float, list[str]] = {}
    for time, text in _said(Session(world).play(policy)):
        moments.setdefault(time, []).append(text)
    return [f"{time:g}: {', '.join(texts)}" for time, texts in moments.items()]


def _said(log: Log) -> Iterator[tuple[float, str]]:
    for time, entry in log.timed():
        match entry:
            case Submitted(_, job):
                yield time, f"{job.id} comes"
            case Start(job_id, placement):
                yield time, f"{job_id} starts on {' '.join(a for _, accelerators in placement for a in accelerators)}"
            case Preempt(job_id):
                yield time, f"stop {job_id}"
            case Stopped(_, job_id, reason, progress):
                yield time, f"{job_id} {reason} with {progress:g} s done"
