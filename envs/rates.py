"""Rates: what a moment of the cluster is worth, per second.

The ledger is constant between two events, so a rate times the seconds between them is an exact integral. The same rate
is the environment's reward and, over a log, a metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..traces.job import Trace
from .cluster import ClusterView

Rate = Callable[[ClusterView], float]


def active_jobs(cluster: ClusterView) -> float:
    """Minus the jobs in the system: its integral is minus the sum of completion times (Little's law)."""
    return -float(len(cluster.pending) + len(cluster.running))


def waiting_jobs(cluster: ClusterView) -> float:
    """Minus the jobs in the queue: its integral is minus the sum of waits."""
    return -float(len(cluster.pending))


def idle_accelerators(cluster: ClusterView) -> float:
    """Minus the whole accelerators that are free."""
    return -float(sum(cluster.room.count.values()))


def slowdown(trace: Trace) -> Rate:
    """Minus the growth of the summed bounded slowdown: 1 / max(run, 10 s) for each job in the system, per second.

    It knows the true run times: it may be a training reward, never an observation. Its integral is minus the sum of
    (wait + run) / max(run, 10 s), which is the bounded slowdown but for its floor of 1.
    """
    return Weighted({job: 1.0 / max(run, 10.0) for job, run in trace.durations.items()})


class Weighted:
    """Minus the summed weights of the jobs in the system."""

    def __init__(self, weights: Mapping[int, float]) -> None:
        self._jobs = np.array(sorted(weights))
        self._weights = np.array([weights[job] for job in sorted(weights)])

    def __call__(self, cluster: ClusterView) -> float:
        """Minus the sum, per second."""
        total = 0.0
        for roster in (cluster.pending, cluster.running):
            if len(roster):
                keys = roster.columns.keys
                total += float(self._weights[self._jobs.searchsorted(keys)].sum())
        return -total
