"""What nobody can do better than: bounds that know every run time, set beside a result and never among policies."""

from __future__ import annotations

from collections.abc import Collection
from heapq import heappop, heappush

from ..traces.job import Trace


def jct_bound(window: Trace, scored: Collection[int], size: float) -> float | None:
    """A mean JCT in seconds below which no schedule of these jobs on so many accelerators can come.

    Nobody else is there, jobs can be cut into pieces of any width, and all accelerators are one fast machine on which
    the shortest remaining work comes first: Schrage (1968) shows that nothing beats that on one machine. No job ends
    before its own run time is over, so the mean run time is a bound too; the larger one is told. None where no job is
    scored. It holds where no accelerator is faster than the one on which durations were recorded, and for gangs as they
    were asked for.
    """
    jobs = [job for job in window.jobs if job.id in scored]
    if not jobs or size <= 0:
        return None
    runs = [window.durations[job.id] for job in jobs]
    work = [run * job.gang * job.share / size for run, job in zip(runs, jobs, strict=True)]
    fluid = shortest_remaining([job.submit for job in jobs], work)
    return max(fluid, sum(runs)) / len(jobs)


def shortest_remaining(submits: list[float], work: list[float]) -> float:
    """The summed completion times less submissions of one machine that serves the shortest remaining work, seconds."""
    total, now, at = 0.0, 0.0, 0
    waiting: list[tuple[float, float]] = []
    while at < len(work) or waiting:
        if not waiting:
            now = max(now, submits[at])
        while at < len(work) and submits[at] <= now:
            heappush(waiting, (work[at], submits[at]))
            at += 1
        left, submit = heappop(waiting)
        until = submits[at] if at < len(work) else float("inf")
        if now + left <= until:
            now += left
            total += now - submit
        else:
            heappush(waiting, (left - (until - now), submit))
            now = until
    return total
