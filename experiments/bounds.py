"""What no policy can be below in a window of a world, where its laws leave anything to say."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..envs.bounds import least_jct, least_slowdown
from ..envs.scenario import Scenario
from ..traces.job import Job, Trace

FASTER = ("mishaps", "sharing", "speed", "sweeps", "tuned")
"""Laws by which a job may hold less than its recorded run time, or never end by itself, so that nothing bounds it."""


def unbound(setting: Scenario) -> list[str]:
    """Why nothing bounds what happens in a world; nothing where every job holds what it asked for as long as recorded.

    Or longer: what slows jobs down or stops them leaves the bound as it is.
    """
    return [*(name for name in FASTER if name in setting.laws), *["accelerators cut"] * bool(setting.opening)]


def bound(window: Trace, scored: Collection[int], setting: Scenario) -> tuple[float, float]:
    """The least mean completion time (seconds) and bounded slowdown of the scored jobs, whatever becomes of others.

    An elastic job counts with the fewest accelerators that it can work on. Policies that give jobs smaller shares than
    they asked for are not bound where that costs nothing.
    """
    counted = set(scored)
    jobs = [job for job in window.jobs if job.id in counted]
    submit = np.array([job.submit for job in jobs])
    run = np.array([window.durations[job.id] for job in jobs])
    width = np.array([_least(job) for job in jobs])
    size = float(sum(len(node.accelerators) for node in setting.nodes))
    if not size:
        return float(run.mean()), 1.0
    return least_jct(submit, run, width, size), least_slowdown(submit, run, width, size)


def _least(job: Job) -> float:
    return (job.min_gang or job.gang) * job.share
