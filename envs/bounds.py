"""What no policy can beat: lower bounds on completion times, from the jobs and the size of the cluster alone.

A job of width g (accelerators) and run time p holds g accelerators for p seconds at least, whoever schedules it and
however often it is stopped; it is done at C, not before r + p. Forget gangs, nodes, kinds, restarts and whatever else
binds a policy: what is left is one machine as fast as all `size` accelerators together, which may part its speed among
jobs as it likes. Whatever a policy does can be done there, and every job ends there no later. So, for any policy:

- the sum of C is that of shortest remaining work first on the fast machine or more (Schrage, Operations Research 16,
  1968: no order has a smaller sum on one machine);
- M, the mean time at which a job's work is done, is C - p / 2 at most, as its work is done at a constant rate during p
  seconds before C. The smallest sum of weight x M on the fast machine is that of the job with the largest weight for
  its work first, at each moment (Goemans, Queyranne, Schulz, Skutella and Wang, SIAM J. Discrete Mathematics 15(2),
  2002: mean busy times). So the sum of weight x C is that smallest sum plus the sum of weight x p / 2 or more, as
  Eastman, Even and Isaacs (Management Science 11(2), 1964) have it for jobs that are all there at first;
- C - r is p or more, one by one.

The largest of these holds. It is an optimist: often nobody can reach it.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np

from .outcomes import SHORTEST, Floats


def least_jct(submit: Floats, run: Floats, width: Floats, size: float) -> float:
    """No policy has a smaller mean completion time, seconds.

    Args:
        submit: seconds, shape (n,), ascending.
        run: seconds of work, shape (n,).
        width: accelerators that each holds meanwhile, shape (n,); 0 for none.
        size: accelerators there are.
    """
    weights = np.ones(len(submit))
    busy = mean_busy(submit, run * width / size, weights) + run / 2
    shortest = np.maximum(shortest_first(submit, run * width / size), submit)
    return float(max((shortest - submit).mean(), (busy - submit).mean(), run.mean()))


def least_slowdown(submit: Floats, run: Floats, width: Floats, size: float) -> float:
    """No policy has a smaller mean bounded slowdown; arguments as of `least_jct`.

    max(1, JCT / max(run, 10 s)) is 1 or more, and it is JCT / max(run, 10 s) or more.
    """
    weights = 1.0 / np.maximum(run, SHORTEST)
    busy = mean_busy(submit, run * width / size, weights) + run / 2
    return float(max(1.0, ((busy - submit) * weights).mean()))


def shortest_first(submit: Floats, work: Floats) -> Floats:
    """When jobs end on one machine with shortest remaining work first, shape (n,); work in its seconds."""
    ends, now, at = np.empty(len(submit)), 0.0, 0
    line: list[tuple[float, int]] = []
    while line or at < len(submit):
        if not line:
            now = max(now, float(submit[at]))
        while at < len(submit) and submit[at] <= now:
            heappush(line, (float(work[at]), at))
            at += 1
        left, job = heappop(line)
        until = float(submit[at]) if at < len(submit) else np.inf
        if now + left <= until:
            ends[job] = now = now + left
        else:
            heappush(line, (left - (until - now), job))
            now = until
    return ends


def mean_busy(submit: Floats, work: Floats, weights: Floats) -> Floats:
    """Mean times at which work is done on one machine, largest weight for its work first, shape (n,).

    No order has a smaller sum of weight x mean time. Jobs without work are done as they come.
    """
    moments, now, at = np.zeros(len(submit)), 0.0, 0
    left = work.astype(np.float64)
    line: list[tuple[float, int]] = []
    while line or at < len(submit):
        if not line:
            now = max(now, float(submit[at]))
        while at < len(submit) and submit[at] <= now:
            if work[at] > 0:
                heappush(line, (-float(weights[at] / work[at]), at))
            at += 1
        if not line:
            continue
        job = line[0][1]
        until = min(now + left[job], float(submit[at]) if at < len(submit) else np.inf)
        moments[job] += (until - now) * (until + now) / 2
        left[job] = left[job] - (until - now) if until < now + left[job] else 0.0
        now = until
        if left[job] <= 0:
            heappop(line)
    return np.where(work > 0, moments / np.where(work > 0, work, 1.0), submit)
