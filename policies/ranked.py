"""How most policies are written: whom to serve first, and where to place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..envs.cluster import ClusterView
from ..envs.placement import Place, packed
from ..envs.room import Room
from ..envs.roster import Moving, Score
from ..envs.vocabulary import Decision, Placement, Start
from ..traces.job import Job, Shape
from .needs import NOTHING, Needs


@dataclass(frozen=True, slots=True)
class Formula:
    """A fixed score, written once: what it reads is a job, or the columns of many, whose names are the same.

    Attributes:
        of: `Job` -> number, or `Columns` -> float array of shape (n,), smallest first.
    """

    of: Callable[[Any], Any]

    def __call__(self, job: Job, _: ClusterView) -> float:
        """The score of one job, as rosters ask for it."""
        return float(self.of(job))


Order = Score | Moving
"""Whom to serve first: smallest first, equals in order of submission. A `Formula` is a `Score`, and quick for many."""
Rows = npt.NDArray[np.intp]
"""Rows of a roster's columns."""

submitted = Formula(attrgetter("submit"))
"""First come, first served."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Starts waiting jobs in an order, looked at afresh whenever something happens.

    Attributes:
        score: the order.
        place: where a job may stand.
        strict: the first that has to wait blocks all behind it; one that waits for its tenant's quota blocks those of
            its tenant alone, as Kueue's StrictFIFO. Otherwise those behind it start where they fit, and a large gang
            may wait for ever.
        needs: what the order reads, see `needs.Need`.
    """

    score: Order = submitted
    place: Place = packed
    strict: bool = True
    needs: Needs = NOTHING

    def decide(self, cluster: ClusterView) -> Iterable[Decision]:
        """Yields starts until the line is blocked, or until nobody in it fits."""
        return self._strict(cluster) if self.strict else self._loose(cluster)

    def _strict(self, cluster: ClusterView) -> Iterator[Decision]:
        if isinstance(self.score, Moving) and not len(fitting(cluster)):
            return  # moving scores are dear
        for job, placement in in_line(cluster, self.score, self.place):
            if placement is None:
                return
            yield Start(job.id, placement)

    def _loose(self, cluster: ClusterView) -> Iterator[Decision]:
        failed: set[Shape] = set()
        while start := self._first_that_fits(cluster, failed):
            yield start

    def _first_that_fits(self, cluster: ClusterView, failed: set[Shape]) -> Start | None:
        """Looked for afresh after each start: most often nobody of thousands fits any more."""
        room = cluster.room
        for job in in_order(cluster, self.score, fitting(cluster)):
            if (shape := room.shape(job)) not in failed:
                if placement := self.place(job, room):
                    return Start(job.id, placement)
                failed.add(shape)
        return None


def in_line(cluster: ClusterView, order: Order, place: Place) -> Iterator[tuple[Job, Placement | None]]:
    """Yields the waiting jobs in an order, each with its place now. They may leave meanwhile.

    Who waits for its tenant's quota leaves the line, with those of its tenant behind it, as in Kueue's StrictFIFO.
    """
    without: set[str | None] = set()
    for job in cluster.pending.by(order, without):
        if cluster.room.admits(job):
            yield job, place(job, cluster.room)
        else:
            without.add(job.tenant)


def fitting(cluster: ClusterView, room: Room | None = None) -> Rows:
    """The rows of `cluster.pending.columns` whose gang is no larger than what is free: nobody else could start.

    Free is what is free in a `room`, the ledger's own where none is given.
    """
    room = cluster.room if room is None else room
    most = max(room.count.values(), default=0) or bool(room.left) or any(room.shares.open.values())
    return np.flatnonzero(cluster.pending.columns.gang <= most)


def in_order(cluster: ClusterView, order: Order, rows: Rows) -> Iterator[Job]:
    """Yields the waiting jobs of these rows of `cluster.pending.columns` in an order. They may leave meanwhile."""
    pending, columns = cluster.pending, cluster.pending.columns
    keys = columns.keys.copy()
    match order:
        case Moving(of):
            scores = of(columns, cluster.now)[rows]
        case Formula(of):
            scores = of(columns)[rows]
        case _:
            scores = np.array([order(pending[keys[row]], cluster) for row in rows])
    for row in rows[np.lexsort((columns.order[rows], scores))]:
        yield pending[keys[row]]
