"""Nodes of pools: rented or woken where somebody waits, given back or put to sleep where nobody works."""

from __future__ import annotations

from collections.abc import Iterator

from ...traces.job import Job
from ..cluster import ClusterView
from ..nodes import Node
from ..vocabulary import Provision, Release
from .offer import PROVISION, RELEASE, Glance, Offer

POOLS = 3
"""Pools that are shown, those that cost least first."""


def offers(glance: Glance) -> Iterator[Offer]:
    """For each pool: one more node, as many as the first blocked job needs, and one idle node less."""
    cluster = glance.cluster
    pools = {node.pool for node in cluster.nodes} - {None}
    ranked = sorted((pool for pool in pools if pool), key=lambda pool: (_price(cluster, pool), pool))
    for pool in ranked[:POOLS]:
        yield from _provisions(glance, pool)
        idle = next((node for node in cluster.estate.pool(pool) if _idle(cluster, node)), None)
        if idle is not None:
            rent, watts, wanted = cluster.meter.rent(idle), _draw(cluster, idle), _short(glance)
            key = ("pool", pool)
            yield Offer(RELEASE, (Release(idle.id),), key=key, watts=-watts, usd=-rent, nodes=-1, blocked=-wanted)


def _price(cluster: ClusterView, pool: str) -> float:
    return min(cluster.meter.rent(node) for node in cluster.estate.pool(pool))


def _provisions(glance: Glance, pool: str) -> Iterator[Offer]:
    cluster = glance.cluster
    may = cluster.estate.can_come(pool)
    node = cluster.estate.pool(pool)[0]
    blocked = [job for job in glance.blocked if _suits(cluster, node, job)] if may else []
    if not blocked:
        return
    wanted = -(-blocked[0].gang // max(len(node.accelerators), 1))
    short = _short(glance)
    for count in sorted({1, min(max(wanted, 1), may)}):
        rent = cluster.meter.rent(node) * count
        first, key = blocked[0].id, ("pool", pool)
        yield Offer(PROVISION, (Provision(pool, count),), first, key=key, usd=rent, nodes=count, blocked=short)


def _suits(cluster: ClusterView, node: Node, job: Job) -> bool:
    """Whether a job may stand on a node at all."""
    room = cluster.room
    groups = {room.bays[room.seat[a.id][0]].group for a in node.accelerators}
    return not groups.isdisjoint(room.accepted(job))


def _short(glance: Glance) -> int:
    """Accelerators that the blocked wait for, beyond those on their way."""
    estate = glance.cluster.estate
    coming = sum(count * len(estate.pool(pool)[0].accelerators) for pool, count in estate.coming.items())
    return max(sum(job.gang for job in glance.blocked) - coming, 0)


def _idle(cluster: ClusterView, node: Node) -> bool:
    """Whether a node is up and nobody stands on it."""
    room = cluster.room
    if cluster.estate.states[node.id] != "up":
        return False
    bays = (room.seat[a.id][0] for a in node.accelerators)
    whole = all(room.free[position] == (1 << room.bays[position].size) - 1 for position in set(bays))
    return whole and not any(node.id == there for run in cluster.running for there, _ in run.holds)


def _draw(cluster: ClusterView, node: Node) -> float:
    """Watts that a node draws now, as far as was measured."""
    seen = cluster.meter.seen
    return node.watts + sum(seen[a.id].sample.watts or 0.0 for a in node.accelerators if a.id in seen)
