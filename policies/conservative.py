"""Conservative backfilling: nobody who waits may be delayed by one behind it in line.

Feitelson and Weil, IPPS 1998; Mu'alem and Feitelson, IEEE TPDS 12(6), 2001, sec. 2. Every waiting job, in order, is
promised the earliest time at which its gang is free for as long as it is expected to run, beside those promised before.
Whoever is promised now starts. Promises are made anew at every event, in the same order: when a job ends sooner than
expected all that wait move up ("compression"), and with true estimates nobody ever starts later than first promised.

Promises are counted by kind of accelerator, and starts are the placement function's: where CPUs, memory or whole nodes
are scarce, a place that was counted on may be missing, and the job is promised the next event. As in Slurm
(bf_max_job_test) only the first `depth` in line are promised anything; those behind them cannot start.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.placement import Place, packed
from ..envs.roster import Columns, Floats
from ..envs.vocabulary import Decision, Start
from ..traces.job import Job
from .needs import ESTIMATES, Needs
from .orders import expected
from .ranked import Order, fitting, in_line, submitted


@dataclass(frozen=True, slots=True)
class Conservative:
    """Starts whoever delays nobody that is before it in line.

    Attributes:
        order: the line.
        place: where a job may stand.
        depth: waiting jobs that are promised a time.
        needs: estimates, whatever the order.
    """

    order: Order = submitted
    place: Place = packed
    depth: int = 200
    needs: Needs = ESTIMATES

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts, in order."""
        if not len(cluster.pending) or not len(fitting(cluster)):
            return
        future = Future.of(cluster)
        for number, (job, placement) in enumerate(in_line(cluster, self.order, self.place)):
            if number == self.depth or not future.now():
                return
            needed, seconds = job.gang * job.share, float(expected(job))
            kinds = cluster.room.accepted(job)
            if placement is not None and (kind := _kind(job, placement, cluster)) is not None:
                if future.earliest([kind], needed, seconds) == (kind, 0):
                    future.keep(kind, 0, needed, seconds)
                    yield Start(job.id, placement)
                    continue
            elif placement is not None:
                yield Start(job.id, placement)
                continue
            found = future.earliest(kinds, needed, seconds, 0 if placement is not None else 1)
            if found is not None:
                future.keep(*found, needed, seconds)


def _kind(job: Job, placement: tuple[tuple[str, tuple[str, ...]], ...], cluster: ClusterView) -> str | None:
    """The group of a placement; None for CPUs alone and for MIG instances, of which nobody is promised any."""
    if not job.gang:
        return None
    seat = cluster.room.seat.get(placement[0][1][0])
    return None if seat is None else cluster.room.bays[seat[0]].group


@dataclass(slots=True)
class Future:
    """How many accelerators of each kind will be free from when on, by estimates and promises.

    Attributes:
        times: when that changes, seconds, ascending from now on.
        free: kind -> accelerators from each time on.
    """

    times: list[float]
    free: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: ClusterView) -> Future:
        """What the estimates of those who run say. One that has outrun its estimate is expected to end at once."""
        columns, now, room = cluster.running.columns, cluster.now, cluster.room
        expected(columns)
        ends: Floats = np.maximum(columns.end, math.nextafter(now, math.inf))
        times = [now, *np.unique(ends).tolist()]
        steps = {kind: np.zeros(len(times)) for kind in room.kinds}
        for key, end, held in zip(columns.keys, ends.tolist(), columns.column(Columns.HELD).tolist(), strict=True):
            there = next((a for _, some in cluster.running[key].placement for a in some), None)
            if there is not None:
                group = room.bays[room.seat[there.partition("#")[0]][0]].group
                steps[group][np.searchsorted(times, end)] += held
        for kind, step in steps.items():
            step[0] = room.count[kind]
        shared = sum(room.left.values()) / 1000
        free = {kind: (step.cumsum() + (shared if len(steps) == 1 else 0.0)).tolist() for kind, step in steps.items()}
        return cls(times, free)

    def now(self) -> bool:
        """Whether anything is free now."""
        return any(free[0] > 0 for free in self.free.values())

    def earliest(
        self, kinds: list[str] | tuple[str, ...], needed: float, seconds: float, after: int = 0
    ) -> tuple[str, int] | None:
        """The first time, from position `after` on, at which a kind has so many for so long: kind and position."""
        best: tuple[str, int] | None = None
        for kind in kinds:
            at = self._first(self.free[kind], needed, seconds, after)
            if at is not None and (best is None or at < best[1]):
                best = kind, at
        return best

    def _first(self, free: list[float], needed: float, seconds: float, after: int) -> int | None:
        times, at = self.times, min(after, len(self.times) - 1)
        row = at
        while row < len(times) and times[row] < times[at] + seconds:
            if free[row] < needed:
                at = row + 1
                if at == len(times):
                    return None
            row += 1
        return at if free[at] >= needed else None

    def keep(self, kind: str, at: int, needed: float, seconds: float) -> None:
        """Promises so many of a kind from a time on for so long."""
        end = self.times[at] + seconds
        last = int(np.searchsorted(self.times, end))
        if last == len(self.times) or self.times[last] != end:
            self.times.insert(last, end)
            for free in self.free.values():
                free.insert(last, free[last - 1])
        mine = self.free[kind]
        for row in range(at, last):
            mine[row] -= needed


conservative = Conservative()
"""Conservative backfilling over first in, first out; `conservative(sjf)` and the like for other orders."""
