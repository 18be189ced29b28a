"""What rows of a full menu say beyond their jobs: what they would cost and bring, and how heuristics rank the jobs."""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, exp, inf, log, log1p, log2

import numpy as np

from ..traces.job import Job
from .cluster import ClusterView
from .features import NEVER, SCALE
from .offers.offer import VERBS, Memory, Offer
from .room import width
from .roster import Columns, Floats

GAINS = (
    "pace", "faster", "change", "lost", "victims", "victim_left", "victim_served", "watts", "usd", "comes",
    "blocked", "nodes", "risk", "carbon", "deficit", "slack", "left",
)  # fmt: skip
"""pace: log2 over 4 of the job's pace there; faster: the same of pace then over now; change: of accelerators then over
now; lost: log1p accelerator-seconds over 16 of restarts; victims: over 8; victim_left, victim_served: log1p seconds and
accelerator-seconds over 16 of the least that a victim still needs and the most that one has had; watts, usd: log1p over
16 (W) and 8 (USD an hour) of what is drawn and paid more, below 0 for less; comes: nodes over 8 that come or go;
blocked: log1p over 4 of the accelerators that candidates wait for beyond those on their way, below 0 where nodes would
go; nodes: log2 over 8 of the placement's; risk: 1 on a node that will go, 0.5 on a spot node; carbon: log of the site's
intensity over its usual one; deficit: what the job's tenant holds over its quota, at most 4, over 4; slack: log1p
seconds over 16 that its deadline leaves beyond its estimate, 1 without one; left: log1p seconds over 16 that the job
still needs.
"""

RANKS = ("fifo", "sjf", "saf", "sqf", "f1", "wfp3", "las", "srtf")
"""Heuristics whose rank of each candidate stands in its row, from 0 (first) to 1 (last)."""

DAY = 86400.0
"""Seconds after which a site's carbon intensity has lost all but 1/e of its weight in the usual one."""


def gains(cluster: ClusterView, offers: Sequence[Offer], usual: dict[str, float]) -> Floats:
    """One-hot verbs, then `GAINS`, shape (rows, verbs + gains)."""
    out = np.zeros((len(offers), len(VERBS) + len(GAINS)))
    for row, offer in enumerate(offers):
        out[row, offer.verb] = 1.0
        out[row, len(VERBS) :] = _gains(cluster, offer, usual)
    return out


def _gains(cluster: ClusterView, offer: Offer, usual: dict[str, float]) -> tuple[float, ...]:
    job = None if offer.job is None else _job(cluster, offer.job)
    return (
        _log2(offer.after or 1.0, 4),
        _log2(offer.after / offer.before if offer.before and offer.after else 1.0, 4),
        _log2(offer.change, 4),
        log1p(offer.lost) * SCALE,
        min(len(offer.victims), 8) / 8,
        *_victims(cluster, offer),
        copysign(log1p(abs(offer.watts)) * SCALE, offer.watts),
        copysign(log1p(abs(offer.usd)) / 8, offer.usd),
        max(min(offer.nodes, 8), -8) / 8,
        copysign(log1p(abs(offer.blocked)) / 4, offer.blocked),
        *_there(cluster, offer, usual),
        *_of(cluster, job),
    )


def _job(cluster: ClusterView, key: int) -> Job:
    return cluster.pending[key] if key in cluster.pending else cluster.running[key].job


def _log2(value: float, scale: float) -> float:
    return max(min(log2(value) / scale, 4.0), -4.0)


def _victims(cluster: ClusterView, offer: Offer) -> tuple[float, float]:
    if not offer.victims:
        return 0.0, 0.0
    left, served = inf, 0.0
    for run in offer.victims:
        mine = run.served(cluster.now)
        left = min(left, inf if run.job.estimate is None else max(run.job.estimate - mine, 0.0))
        served = max(served, mine * width(run.placement))
    return log1p(min(left, NEVER)) * SCALE, log1p(served) * SCALE


def _there(cluster: ClusterView, offer: Offer, usual: dict[str, float]) -> tuple[float, float, float]:
    """Nodes, risk and carbon of its placement."""
    if not offer.place:
        return 0.0, 0.0, 0.0
    estate, nodes = cluster.estate, cluster.estate.nodes
    risk = max(1.0 if n in estate.noticed else 0.5 * nodes[n].spot for n, _ in offer.place)
    return log2(len(offer.place)) / 8, risk, carbon(cluster, nodes[offer.place[0][0]].site or "", usual)


def carbon(cluster: ClusterView, site: str, usual: dict[str, float]) -> float:
    """The logarithm of a site's carbon intensity over its usual one, between -2 and 2; 0 where it is not known."""
    price = cluster.meter.prices.get(site)
    if price is None or not price.grams_per_kwh or not usual.get(site):
        return 0.0
    return max(min(log(price.grams_per_kwh / usual[site]), 2.0), -2.0)


def _of(cluster: ClusterView, job: Job | None) -> tuple[float, float, float]:
    """Its tenant's deficit, its deadline's slack and what it still needs."""
    if job is None:
        return 0.0, 0.0, 0.0
    tenants, holdings = cluster.tenants, cluster.room.holdings
    deficit = 0.0
    if tenants is not None and holdings is not None and (part := tenants.part(job.tenant, cluster.room.size)):
        deficit = min(holdings.used.get(job.tenant, 0) / 1000 / part, 4.0) / 4
    had = cluster.running[job.id].served(cluster.now) if job.id in cluster.running else cluster.attained(job.id)
    left = NEVER if job.estimate is None else max(job.estimate - had, 0.0)
    slack = 1.0
    if job.deadline is not None:
        slack = log1p(min(max(job.deadline - cluster.now - min(left, NEVER), 0.0), NEVER)) * SCALE
    return deficit, slack, log1p(left) * SCALE


def ranks(cluster: ClusterView, those: Floats) -> Floats:
    """Where each of `RANKS` would put waiting jobs, shape (ranks, jobs), from 0 (first) to 1 (last).

    `those` are their columns, shape (18, jobs).
    """
    order, short, small = those[Columns.ORDER], those[Columns.SHORT], those[Columns.SMALL]
    gang, attained = np.maximum(those[Columns.GANG], 1.0), those[Columns.ATTAINED]
    wait = cluster.now - those[Columns.SUBMIT]
    finite = np.maximum(np.minimum(short, NEVER), 1.0)
    f1 = np.log10(finite) * gang + 870.0 * np.log10(np.maximum(those[Columns.SUBMIT], 1.0))
    wfp3 = -((wait / finite) ** 3) * gang
    scores = np.stack([order, short, small, gang, f1, wfp3, attained * gang, np.maximum(short - attained, 0.0)])
    places = np.lexsort((np.broadcast_to(order, scores.shape), scores), axis=1).argsort(1)
    ranked: Floats = places / max(scores.shape[1] - 1, 1)
    return ranked


AROUND = (
    "demand_10_p50", "demand_10_p90", "demand_60_p50", "demand_60_p90",
    "intensity", "drawn", "up", "coming", "stopping",
)  # fmt: skip
"""What stands in the last row beside `WHOLE` and the objectives' weights.

demand_*: log1p of what is expected to be asked for in the next minutes, accelerators over the cluster's; intensity: of
the first site, as in a row; drawn: watts over 700 an accelerator; up: nodes that are there over all; coming: asked for,
over all; stopping: running jobs that are on their way out.
"""


def around(cluster: ClusterView, usual: dict[str, float]) -> tuple[float, ...]:
    """The values of `AROUND`."""
    estate, nodes = cluster.estate, max(len(cluster.nodes), 1)
    size = max(cluster.room.size, 1)
    demand = [log1p(value / size) for value in demand_of(cluster)]
    first = next((site for site in cluster.meter.prices if site in usual), "")
    stopping = sum(run.stopping for run in cluster.running) / max(len(cluster.running), 1)
    return (
        *demand,
        carbon(cluster, first, usual),
        min((cluster.meter.watts or 0.0) / (700.0 * size), 4.0),
        sum(state == "up" for state in estate.states.values()) / nodes,
        min(sum(estate.coming.values()) / nodes, 1.0),
        stopping,
    )


def demand_of(cluster: ClusterView) -> tuple[float, ...]:
    """Accelerators expected to be asked for, p50 and p90 in 10 and in 60 minutes; 0 where nobody says."""
    return (0.0, 0.0, 0.0, 0.0) if cluster.foreseen is None else cluster.foreseen.demand


def follow(memory: Memory, cluster: ClusterView) -> dict[str, float]:
    """What each site's carbon intensity usually is: an exponential mean over about a day."""
    if memory.meter is not cluster.meter:
        memory.meter, memory.usual, memory.priced = cluster.meter, {}, cluster.now
    kept = exp((memory.priced - cluster.now) / DAY)
    for site, price in cluster.meter.prices.items():
        if price.grams_per_kwh is not None:
            before = memory.usual.get(site, price.grams_per_kwh)
            memory.usual[site] = price.grams_per_kwh + (before - price.grams_per_kwh) * kept
    memory.priced = cluster.now
    return memory.usual
