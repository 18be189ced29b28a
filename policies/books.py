"""What policies that work in rounds remember of a session: who is to have what, what each has had, whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.room import Room
from ..envs.shares import WHOLE, amount
from ..envs.space import Space
from ..envs.vocabulary import Placement
from ..traces.job import Job
from .crowd import SHORTEST, Crowd, Floats, Paces, capacity
from .leases import group_of


@dataclass(slots=True)
class Books:
    """The books of one session.

    Attributes:
        paces: how fast jobs are.
        round: the number of the round.
        turned: when it began, seconds.
        capacity: accelerators of each group that were there then.
        since: when the allocation was made, seconds.
        times: job -> what part of its time it is to have on each group; whom the allocation was made for.
        had: job -> seconds that it has had on each since then.
        seats: job -> where it is to stand in this round, until it does.
        alone: job -> (seconds that its work would have taken alone, work that remained, its rate alone), as of then.
    """

    paces: Paces
    round: float = -1.0
    turned: float = 0.0
    capacity: Floats = field(default_factory=lambda: np.zeros(0))
    since: float = -np.inf
    times: dict[int, Floats] = field(default_factory=dict)
    had: dict[int, Floats] = field(default_factory=dict)
    seats: dict[int, Placement] = field(default_factory=dict)
    alone: dict[int, tuple[float, float, float]] = field(default_factory=dict)

    def turn(self, cluster: ClusterView) -> None:
        """Counts what running jobs have had in the round that ends, and begins another."""
        column = {group: number for number, group in enumerate(cluster.room.kinds)}
        for running in cluster.running:
            if running.job.id in self.had and running.goes is None:
                spent = cluster.now - max(running.since, self.turned)
                self.had[running.job.id][column[group_of(running.placement, cluster.room)]] += spent
        self.turned, self.capacity, self.seats = cluster.now, capacity(cluster.room), {}

    def best(self, room: Room, job: Job) -> tuple[str, ...]:
        """The groups on which a job can stand, fastest first."""
        return self.paces.on(room, job, self.capacity)[1]

    def crowd(self, jobs: Sequence[Job], rates: Floats, cluster: ClusterView) -> Crowd:
        """Those who share the cluster, as an allocation wants to know them: those who can stand somewhere now."""
        able = [row for row in range(len(jobs)) if rates[row].any()]
        some = tuple(jobs[row] for row in able)
        left = np.array([remaining(job, self._attained(job, cluster)) for job in some])
        alone = [self._alone(job, now) for job, now in zip(some, left.tolist(), strict=True)]
        return Crowd(
            some,
            rates[able],
            np.array([job.gang * job.share for job in some]),
            self.capacity,
            np.array([cluster.now - job.submit for job in some]),
            left,
            np.array(alone),
        )

    def allot(self, crowd: Crowd, times: Floats, now: float, head_start: float) -> None:
        """Notes an allocation; what jobs have had counts anew from now, beginning with the same for each."""
        keys = [job.id for job in crowd.jobs]
        self.since = now
        self.times = dict(zip(keys, times, strict=True))
        self.had = {key: np.full(times.shape[1], head_start) for key in keys}
        figures = zip(crowd.alone.tolist(), crowd.remaining.tolist(), crowd.isolated.tolist(), strict=True)
        self.alone = dict(zip(keys, figures, strict=True))

    def order(self, jobs: Sequence[Job]) -> Iterator[tuple[int, int]]:
        """Yields (row of the job, column of the group), highest priority first, without those that have none."""
        none = np.zeros(len(self.capacity))
        times = np.array([self.times.get(job.id, none) for job in jobs])
        had = np.array([self.had.get(job.id, none + 1.0) for job in jobs])
        parts = had / sum(self.had.values(), none + 1e-9)
        cells = np.argsort(-(times / parts), axis=None, kind="stable")
        for cell in cells[times.ravel()[cells] > 0]:
            yield divmod(int(cell), len(none))

    def _attained(self, job: Job, cluster: ClusterView) -> float:
        """Seconds of work that a job has done: of a running one, as far as tables tell."""
        if job.id not in cluster.running:
            return cluster.attained(job.id)
        running = cluster.running[job.id]
        rates, _ = self.paces.on(cluster.room, job, self.capacity)
        rate = rates[cluster.room.kinds.index(group_of(running.placement, cluster.room))]
        return float(running.attained + (cluster.now - running.since) * rate)

    def _alone(self, job: Job, left: float) -> float:
        """Seconds that the work which a job has done would have taken alone, with the share it would have had."""
        alone, before, rate = self.alone.get(job.id, (0.0, left, 1.0))
        return alone + max(before - left, 0.0) / rate


def remaining(job: Job, attained: float) -> float:
    """Seconds of work that a job still has by its estimate, NaN without one."""
    return np.nan if job.estimate is None else max(job.estimate - attained, SHORTEST)


class Choice:
    """Who gets which group in a round, by counts and quotas alone.

    Attributes:
        of: job -> group.
        free: accelerators of each group that nobody was given.
    """

    def __init__(self, room: Space) -> None:
        self.of: dict[int, str] = {}
        self.free: dict[str, float] = dict(room.count)
        for accelerator, left in room.left.items():
            self.free[room.bays[room.seat[accelerator][0]].group] += left / WHOLE
        self._holdings = None if room.holdings is None else room.holdings.copy()

    @property
    def over(self) -> bool:
        """Whether all is given."""
        return max(self.free.values(), default=0.0) <= 0

    def ask(self, job: Job, group: str) -> bool:
        """Gives a job a group, unless it has one, too little is left, or its tenant may have no more."""
        if job.id in self.of or job.gang * job.share > self.free[group] + 1e-9:
            return False
        if self._holdings is not None:
            if not self._holdings.may(job.tenant, amount(job)):
                return False
            self._holdings.change(job.tenant, amount(job))
        self.of[job.id] = group
        self.free[group] -= job.gang * job.share
        return True
