"""Policies over other policies: the inner one says who starts where, a governor which machines are there.

At the command line `burst(easy(sjf))` is a governor over a policy, and governors may stand over governors.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar, cast

from ..envs.cluster import ClusterView
from ..envs.nodes import Node
from ..envs.placement import Place
from ..envs.room import Room
from ..envs.session import Policy
from ..envs.space import Space
from ..envs.vocabulary import Provision
from ..traces.job import Job, Shape
from .needs import NOTHING, Needs


class Governor:
    """What a policy over another one has of that one. A governor is a dataclass with a field `inner`.

    Attributes:
        inner: the policy that says who starts where.
        own: what the governor itself needs.
        every: seconds between the ticks that it asks for itself, None for none.
    """

    __slots__ = ()
    inner: Policy
    own: ClassVar[Needs] = NOTHING
    every: float | None

    @property
    def needs(self) -> Needs:
        """What both need."""
        inner: Needs = getattr(self.inner, "needs", NOTHING)
        return self.own | inner

    @property
    def tick(self) -> float | None:
        """Seconds between ticks: the shorter of both."""
        asked = [one for one in (self.every, getattr(self.inner, "tick", None)) if one is not None]
        return min(asked, default=None)

    @property
    def place(self) -> Place | None:
        """Where the inner policy places jobs, None if it does not say."""
        return getattr(self.inner, "place", None)

    @property
    def longest_restart(self) -> float:
        """Seconds that a restart may take, for the inner policy's sake."""
        return float(getattr(self.inner, "longest_restart", math.inf))


def changed(policy: Any, **change: Any) -> Policy | None:
    """A policy with one field changed: its own, else that of the policy under it; None if neither has it."""
    (field,) = change
    if not is_dataclass(policy) or isinstance(policy, type):
        return None
    named = {one.name for one in fields(policy)}
    if field in named:
        return cast(Policy, replace(policy, **change))
    inner = changed(cast(Any, policy).inner, **change) if "inner" in named else None
    return None if inner is None else cast(Policy, replace(policy, inner=inner))


def pools(cluster: ClusterView) -> dict[str, list[Node]]:
    """The nodes of each pool, there or not; none where the world lets no nodes come."""
    found: dict[str, list[Node]] = {}
    for node in cluster.nodes if Provision in cluster.does else ():
        if node.pool is not None:
            found.setdefault(node.pool, []).append(node)
    return found


def standing(cluster: ClusterView) -> set[str]:
    """The nodes on which jobs stand, or to which they are on their way."""
    return {node for running in cluster.running for node, _ in running.holds}


def wanted(cluster: ClusterView, jobs: Iterable[Job], place: Place, nodes: Collection[str]) -> dict[str, Job]:
    """Of some absent nodes those that waiting jobs would take if they were there, each with the first that would.

    Jobs take their places one after the other; what is free already is not wanted anew.

    Args:
        cluster: the ledger.
        jobs: who waits, in the order of who comes first.
        place: where they would be placed.
        nodes: those that may come.
    """
    room, found, failed = _with(cluster.room, nodes), dict[str, Job](), set[Shape]()
    for job in jobs:
        if len(found) == len(nodes):
            break
        if (shape := room.shape(job)) not in failed:
            if placement := place(job, room):
                room.take(job, placement)
                found |= {node: job for node, _ in placement if node in nodes and node not in found}
            else:
                failed.add(shape)
    return found


def _with(room: Room, nodes: Collection[str]) -> Space:
    """The room as if some more nodes were there."""
    scratch = room.scratch()
    scratch.up, scratch.shut = room.up.copy(), room.shut.copy()  # which a scratch room shares with the ledger
    for node in nodes:
        scratch.rise(node)
    return scratch
