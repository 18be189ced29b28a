"""Rates: what a moment of the cluster is worth, per second.

The ledger is constant between two events, so a rate times the seconds between them is an exact integral. The same rate
is the environment's reward and, over a log, a metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..traces.job import Trace
from .cluster import ClusterView
from .roster import Floats

Rate = Callable[[ClusterView], float]


def active_jobs(cluster: ClusterView) -> float:
    """Minus the jobs in the system, those held back among them: its integral is minus the sum of completion times.

    That is Little's law. A pipeline's later stage is in the system from its submission on.
    """
    return -float(len(cluster.pending) + len(cluster.running) + len(cluster.held))


def waiting_jobs(cluster: ClusterView) -> float:
    """Minus the jobs without a place, in the queue or held back: its integral is minus the sum of waits."""
    return -float(len(cluster.pending) + len(cluster.held))


def idle_accelerators(cluster: ClusterView) -> float:
    """Minus the whole accelerators that are free."""
    return -float(sum(cluster.room.count.values()))


def watts(cluster: ClusterView) -> float:
    """Minus the power drawn from the grid, W; 0 where it is not known: its integral is minus the energy in joules."""
    return -(cluster.meter.watts or 0.0)


def grams(cluster: ClusterView) -> float:
    """Minus the CO2 equivalent, g/s; 0 where it is not known: its integral is minus the carbon in grams."""
    return -(cluster.meter.grams_per_second or 0.0)


def usd(cluster: ClusterView) -> float:
    """Minus electricity and rents, USD/s; its integral is minus the money but for what was billed at once."""
    return -(cluster.meter.usd_per_second or 0.0)


def unfairness(cluster: ClusterView) -> float:
    """Minus the accelerators that waiting tenants lack of their parts, over the cluster's; 0 without tenants.

    A tenant's part is its quota, or its weight's part of what is not quota. What it lacks is at most what it waits for.
    """
    tenants, holdings = cluster.tenants, cluster.room.holdings
    if tenants is None or holdings is None:
        return 0.0
    size, lacking = float(max(cluster.room.size, 1)), 0.0
    for name, line in cluster.lines.items():
        if line and (missing := tenants.part(name, size) - holdings.used.get(name, 0) / 1000) > 0:
            lacking += min(missing, sum(job.gang * job.share for job in line.values()))
    return -lacking / size


def slowdown(trace: Trace) -> Rate:
    """Minus the growth of the summed bounded slowdown: 1 / max(run, 10 s) for each job in the system, per second.

    It knows the true run times: it may be a training reward, never an observation. Its integral is minus the sum of
    JCT / max(run, 10 s), which is the bounded slowdown but for its floor of 1.
    """
    return Weighted({job: 1.0 / max(run, 10.0) for job, run in trace.durations.items()})


OBJECTIVES: Mapping[str, Callable[[Trace], Rate]] = {
    "jct": lambda _: active_jobs,
    "slowdown": slowdown,
    "energy": lambda _: watts,
    "carbon": lambda _: grams,
    "cost": lambda _: usd,
    "fairness": lambda _: unfairness,
}
"""What can be wanted: name -> the rate of a window."""


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
                total += self._sum(keys)
        return -total - (self._sum(list(cluster.held)) if cluster.held else 0.0)

    def _sum(self, keys: list[int]) -> float:
        return float(self._weights[self._jobs.searchsorted(keys)].sum())


class Mix:
    """Several objectives at once: what each has cost so far, and a weighted sum of them as reward.

    Args:
        names: of `OBJECTIVES`.

    Attributes:
        weights: of each objective's cost, in the order of `names`; a window may have its own.
        paid: what each has cost since the window began: job-seconds, slowdowns, joules, grams, USD, seconds.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.weights = np.ones(len(names))
        self.paid = np.zeros(len(names))
        self._rates: list[Rate] = []
        self._then: tuple[float, list[float]] = (0.0, [])
        self._usd = 0.0

    def begin(self, window: Trace, weights: Floats | None = None) -> None:
        """Begins a window, with other weights if they are given."""
        self.weights = self.weights if weights is None else weights
        self._rates = [OBJECTIVES[name](window) for name in self.names]
        self.paid, self._usd = np.zeros(len(self.names)), 0.0

    def before(self, cluster: ClusterView) -> None:
        """Looks at a moment before time passes."""
        self._then = cluster.now, [rate(cluster) for rate in self._rates]

    def after(self, cluster: ClusterView) -> float:
        """What the time since then earned. Sums that fell due at once count as cost, by decisions too."""
        then, rates = self._then
        costs = np.array(rates) * (then - cluster.now)
        if "cost" in self.names:
            costs[self.names.index("cost")] = (cluster.meter.usd or 0.0) - self._usd
            self._usd = cluster.meter.usd or 0.0
        self.paid += costs
        return -float(self.weights @ costs)
