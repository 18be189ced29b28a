"""Finish-time fairness: how long each job took beside how long it would have taken on its tenant's own part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

import numpy as np

from .outcomes import SHORTEST, Floats, Jobs
from .tenants import Tenants

TINY = 1e-9
"""Accelerators: parts add up to that much less than the whole."""


def rho(jobs: Jobs, tenants: Tenants, size: float) -> Floats:
    """T_shared / T_isolated for each job, shape (n,): 1 or less is as good as a cluster of one's own.

    Themis' measure (Mahajan et al., NSDI 2020, section 3): T_shared is the completion time here, T_isolated that on a
    cluster of the tenant's own, of its part of this one (`Tenants.part` of `size` accelerators, the mean that was up).
    There its jobs run in order of submission (a pipeline's after those that they come after), each for as long as its
    work is; a gang that is larger than the part runs on all of it, for so many times as long. Times below 10 s count as
    10 s, as in the bounded slowdown. NaN for jobs that have not finished or failed, that need no accelerators, and for
    tenants that have no part.
    """
    found = np.full(len(jobs), np.nan)
    ran = jobs.ended & (jobs["width"] > 0)
    for tenant in set(jobs.tenants[ran]):
        part = tenants.part(tenant, size)
        if part > 0:
            mine = np.flatnonzero(ran & np.equal(jobs.tenants, tenant))
            own = jobs.of(mine)
            alone = fifo(own.submit, own.run, own["width"], part, _positions(own)) - own.submit
            found[mine] = np.maximum(own.jct, SHORTEST) / np.maximum(alone, SHORTEST)
    return np.where(jobs.cancelled, np.nan, found)


def _positions(jobs: Jobs) -> list[list[int]]:
    """Which of these jobs each comes after."""
    if not any(jobs.after):
        return []
    at = {job: position for position, job in enumerate(jobs.job.tolist())}
    return [[at[one] for one in after if one in at] for after in jobs.after]


def fifo(submit: Floats, run: Floats, width: Floats, size: float, after: Sequence[Sequence[int]] = ()) -> Floats:
    """When jobs, shape (n,), would end on `size` accelerators of their own, started in the order in which they may be.

    `after` has the positions of those that must have ended before each may start; empty for no such thing.
    """
    ends, free, now = np.full(len(submit), np.nan), size, 0.0
    waits, follow = [len(some) for some in after] or [0] * len(submit), defaultdict[int, list[int]](list)
    for number, some in enumerate(after):
        for one in some:
            follow[one].append(number)
    line = [(came, number) for number, came in enumerate(submit.tolist()) if not waits[number]]
    heapify(line)
    busy: list[tuple[float, float]] = []
    while line:
        came, number = heappop(line)
        now, need = max(now, came), min(float(width[number]), size)
        while busy and (busy[0][0] <= now or free < need - TINY):
            now = max(now, busy[0][0])
            free += heappop(busy)[1]
        free -= need
        ends[number] = end = now + float(run[number] * width[number]) / need
        heappush(busy, (end, need))
        for one in follow.get(number, ()):
            waits[one] -= 1
            if not waits[one]:
                heappush(line, (max(float(submit[one]), *(float(ends[p]) for p in after[one])), one))
    return ends


def jain(values: Floats) -> float:
    """Jain's index (Jain, Chiu and Hawe, 1984): (sum x)^2 / (n sum x^2), 1 where all are equal, 1/n at worst."""
    return float(values.sum() ** 2 / (len(values) * (values**2).sum()))
