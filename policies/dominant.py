"""Who holds how much of what a cluster has, tenant by tenant, and who is next in each tenant's line."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.room import Room, needs, width
from ..envs.roster import Columns, Running
from ..envs.shares import WHOLE, thousandths
from ..envs.vocabulary import Placement
from ..traces.job import Job
from .leases import group_of
from .ranked import Rows

TINY = 1e-9
"""The part, beside that of others, of a tenant that owns nothing."""


def priority(job: Job) -> float:
    """Larger is more urgent; unknown is 0."""
    return job.priority or 0.0


def held(run: Running) -> int:
    """Thousandths of an accelerator that a run holds."""
    return width(run.holds) * thousandths(run.share)


def stands(room: Room, placement: Placement) -> str:
    """The group on which a placement stands, "" if it has no accelerators."""
    return next((group_of((part,), room) for part in placement if part[1]), "")


class DominantShares:
    """Dominant shares: what each tenant holds of each resource over what there is of it, and over the tenant's part."""

    def __init__(self, cluster: ClusterView) -> None:
        self._room, self._tenants, room = cluster.room, cluster.tenants, cluster.room
        self._position = {group: position for position, group in enumerate(room.kinds)}
        cpus, memory = sum(node.cpus or 0.0 for node in room.nodes), sum(node.memory or 0 for node in room.nodes)
        self._total = [*(WHOLE * float(room.total[group]) for group in room.kinds), WHOLE * cpus, float(memory)]
        self._holds: dict[str | None, list[float]] = {}
        self._parts: dict[str | None, float] = {}
        for run in cluster.running:
            if not run.stopping:
                self.add(run.job, run.holds, run.share)

    def of(self, name: str | None) -> float:
        """s of a tenant."""
        holds = self._holds.get(name)
        if holds is None:
            return 0.0
        part = self._parts.get(name) or self._parts.setdefault(name, self._part(name))
        return max((have / total for have, total in zip(holds, self._total, strict=True) if total), default=0.0) / part

    def _part(self, name: str | None) -> float:
        if self._tenants is None:
            return 1.0
        size = float(self._room.size or 1)
        return self._tenants.part(name, size) / size or TINY * self._tenants[name].weight

    def add(self, job: Job, placement: Placement, share: float, sign: int = 1) -> None:
        """Counts what a job holds with its tenant."""
        holds = self._holds.setdefault(job.tenant, [0.0] * len(self._total))
        count = width(placement)
        if count:
            holds[self._position[stands(self._room, placement)]] += sign * count * thousandths(share)
        if job.cpus is not None or job.host_memory is not None:
            cpus, memory = needs(job, count if job.gang else 1)
            holds[-2] += sign * cpus
            holds[-1] += sign * memory


@dataclass(slots=True)
class Line:
    """The waiting jobs of a tenant, most urgent first.

    Attributes:
        tenant: whose.
        keys: their ids.
        shapes: the numbers of their shapes.
        orders: their places in the order of submission.
        at: who is next.
        refused: shapes for which there is no room.
        ahead: the most that those who were refused would have borrowed, over the tenant's weight.
    """

    tenant: str | None
    keys: list[int]
    shapes: list[float]
    orders: list[float]
    at: int = 0
    refused: set[float] = field(default_factory=set)
    ahead: float = 0.0

    @property
    def key(self) -> int:
        """The id of the next job."""
        return self.keys[self.at]

    def next(self) -> bool:
        """Goes on to the next job that was not refused; False if there is none."""
        while self.at < len(self.keys) and self.shapes[self.at] in self.refused:
            self.at += 1
        return self.at < len(self.keys)


def lines(cluster: ClusterView, rows: Rows) -> list[Line]:
    """The lines of the tenants who have any of these rows of `cluster.pending.columns`."""
    columns = cluster.pending.columns
    tenants, urgent = columns.tenant[rows], np.nan_to_num(columns.priority[rows])
    found = []
    order = np.lexsort((columns.order[rows], -urgent, tenants))
    for some in np.split(order, np.flatnonzero(np.diff(tenants[order])) + 1):
        those = rows[some]
        shapes, orders = columns.column(Columns.SHAPE)[those].tolist(), columns.order[those].tolist()
        name = columns.tenants[int(tenants[some[0]])]
        found.append(Line(name, [columns.keys[row] for row in those.tolist()], shapes, orders))
    return found
