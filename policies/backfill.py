"""EASY backfilling: jobs may overtake the first in line as long as they do not delay it.

Lifka, JSSPP 1995; Mu'alem and Feitelson, IEEE TPDS 12(6), 2001, sec. 2. By the expected ends of those who run, the
first in line will have room at the shadow time, and beside it some accelerators, the extra ones, stay free then. A job
behind it starts if it fits now and
    now + estimate <= shadow time,   or   it needs no more than the extra ones, which are fewer then.
Left out: jobs that outrun their estimates are killed there; here they are expected to end now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.placement import Place, packed
from ..envs.space import Space
from ..envs.vocabulary import Decision, Placement, Start
from ..traces.job import Job, Shape
from .needs import ESTIMATES, Needs
from .orders import expected
from .ranked import Order, Rows, fitting, in_line, in_order, submitted


@dataclass(frozen=True, slots=True)
class Easy:
    """Starts waiting jobs in an order; when the first does not fit, it is promised the earliest time at which it will.

    By the estimates of the running jobs, that is; one that has outrun its estimate is expected to end now. Then those
    behind it start, in order, where they fit now and either end by that time or leave room for it then. Both are asked
    of the placement function in a scratch room, so the promise holds for whole nodes, kinds, CPUs and shares as well.

    Attributes:
        order: who is first in line.
        place: where a job may stand.
        needs: estimates, whatever the order.
    """

    order: Order = submitted
    place: Place = packed
    needs: Needs = ESTIMATES

    def decide(self, cluster: ClusterView) -> Iterable[Decision]:
        """Yields starts: in order while they fit, then those that overtake."""
        for head, placement in in_line(cluster, self.order, self.place):
            if placement is None:
                break
            yield Start(head.id, placement)
        else:
            return
        if len(fitting(cluster)):
            promise = self.promise(head, cluster)
            while start := self._overtaking(promise, cluster):
                yield start

    def promise(self, head: Job, cluster: ClusterView) -> Promise:
        """What the first in line may count on. One that fits not even an empty cluster cannot be delayed."""
        then, columns = cluster.room.scratch(), cluster.running.columns
        expected(columns)  # or there is no end to expect
        ends = np.maximum(columns.end, cluster.now)
        rows = np.argsort(ends, kind="stable")
        times = [*ends[rows].tolist(), math.inf]
        for number, row in enumerate(rows):
            running = cluster.running[columns.keys[row]]
            then.release(running)
            if times[number] < times[number + 1] and self.place(head, then):
                return Promise(head, times[number], then)
        return Promise(head, math.inf, then)

    def _overtaking(self, promise: Promise, cluster: ClusterView) -> Start | None:
        """The next to start. Looked for afresh after each: most often nobody of thousands fits any more."""
        refused: set[Shape] = set()
        for job in in_order(cluster, self.order, promise.candidates(cluster)):
            in_time = cluster.now + expected(job) <= promise.time
            shape = cluster.room.shape(job)
            if job is promise.head or shape in promise.failed or (shape in refused and not in_time):
                continue
            placement = self.place(job, cluster.room)
            if placement is None:
                promise.failed.add(shape)
            elif in_time or self._leaves(promise, job, placement):
                return Start(job.id, placement)
            else:
                refused.add(shape)
        return None

    def _leaves(self, promise: Promise, job: Job, placement: Placement) -> bool:
        """Whether the promise holds with this job in its place, which is then its own in the room to come."""
        promise.then.take(job, placement)
        if self.place(promise.head, promise.then):
            return True
        promise.then.give(job, placement)
        return False


@dataclass(slots=True)
class Promise:
    """What the first in line may count on while others overtake it.

    Attributes:
        head: who it is.
        time: when it will fit, seconds.
        then: the room there will be at that time, without the head itself.
        failed: shapes for which there is no place now.
    """

    head: Job
    time: float
    then: Space
    failed: set[Shape] = field(default_factory=set)

    def candidates(self, cluster: ClusterView) -> Rows:
        """The rows of `cluster.pending.columns` of those that may fit and keep the promise."""
        columns, rows = cluster.pending.columns, fitting(cluster)
        in_time = cluster.now + expected(columns)[rows] <= self.time
        kept: Rows = rows[in_time | (columns.gang[rows] <= self._spare())]
        return kept

    def _spare(self) -> float:
        """No larger gang can leave the head its room: on one kind, what is over is a matter of counting."""
        count = self.then.count
        if len(count) > 1 or self.head.share < 1:
            return math.inf
        spare = sum(count.values()) - self.head.gang
        return max(spare, 1) if self.then.left else spare  # a share may stand beside others


easy = Easy()
"""EASY over first in, first out; `easy(sjf)` and the like on the command line for other orders."""
