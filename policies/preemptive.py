"""Orders in which running jobs stand as well: one that is further behind has to give way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.placement import Place, packed
from ..envs.reclaims import to_come
from ..envs.roster import Columns, Floats, Moving, Running, Score
from ..envs.space import Space
from ..envs.vocabulary import Decision, Preempt, Start
from ..traces.job import Job
from .needs import ESTIMATES, NOTHING, Needs
from .orders import expected
from .ranked import in_line


@dataclass(frozen=True, slots=True)
class Preemptive:
    """Starts the first in line if it fits; else asks running jobs that rank behind it to stop, the last of them first.

    As few are asked as the first in line needs, and none if even all of them would not do: then the line is blocked, as
    it is while jobs are stopping that will make the room. Jobs that may not be preempted are let alone.

    Attributes:
        waiting: the rank of a waiting job, smallest first.
        running: the rank of running jobs, on the same scale.
        place: where a job may stand.
        tick: seconds between the ticks that a world should give it, because ranks change while nothing happens.
        needs: what the ranks read, see `needs.Need`.
        longest_restart: seconds; if a restart takes longer, jobs could be stopped again and again with nothing done.
    """

    waiting: Score
    running: Moving
    place: Place = packed
    tick: float | None = None
    needs: Needs = NOTHING
    longest_restart: float = math.inf

    def decide(self, cluster: ClusterView) -> Iterable[Decision]:
        """Yields starts, and then stops for the first that does not fit."""
        for job, placement in in_line(cluster, self.waiting, self.place):
            if placement is None:
                yield from self._make_room(job, cluster)
                return
            yield Start(job.id, placement)

    def _make_room(self, job: Job, cluster: ClusterView) -> Iterator[Decision]:
        columns = cluster.running.columns
        ranks = self.running.of(columns, cluster.now)
        behind = np.flatnonzero(ranks > self.waiting(job, cluster))
        if not len(behind):
            return
        room = to_come(cluster)
        if self.place(job, room) or room.free_for(job) + columns.gang[behind].sum() < job.gang:
            return
        asked: list[Running] = []
        for row in behind[np.lexsort((-columns.order[behind], -ranks[behind]))]:
            running = cluster.running[columns.keys[row]]
            if running.preemptible:
                room.release(running)
                asked.append(running)
                if self.place(job, room):
                    yield from [Preempt(r.job.id) for r in self._needed(job, asked, room)]
                    return

    def _needed(self, job: Job, asked: list[Running], room: Space) -> Iterator[Running]:
        """Of those asked, the ones that the job cannot do without; the best placed in line are spared first."""
        for running in reversed(asked):
            room.put_back(running)
            if not self.place(job, room):
                room.release(running)
                yield running


def remaining(job: Job, cluster: ClusterView) -> float:
    """Seconds that a waiting job still needs, by its estimate."""
    return float(max(expected(job) - cluster.attained(job.id), 0.0))


def all_remaining(columns: Columns, now: float) -> Floats:
    """Seconds that running jobs still need, shape (n,). One that has outrun its estimate is expected to end now."""
    left: Floats = np.maximum(expected(columns) - columns.attained - (now - columns.since), 0.0)
    return left


srtf = Preemptive(remaining, Moving(all_remaining), needs=ESTIMATES)
"""Shortest remaining time first (Schrage 1968), by estimates."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of attained service, accelerators times seconds: 0 below the quantum, 1 below two of them, 2 below four.

    Attributes:
        quantum: accelerator-seconds.
        grace: seconds at the beginning of a run that count only once it has stopped. With less than a restart takes, a
            job that passes a level while it restarts would be stopped for another, and be before it in line again with
            nothing done.
    """

    quantum: float
    grace: float

    def of(self, service: Any) -> Any:
        """The level of a number or an array: the binary exponent of service / quantum, exactly."""
        return np.maximum(np.frexp(service / self.quantum)[1], 0)

    def waiting(self, job: Job, cluster: ClusterView) -> float:
        """The level of a waiting job."""
        return float(self.of(max(job.gang, 1) * cluster.attained(job.id)))

    def running(self, columns: Columns, now: float) -> Floats:
        """The levels of running jobs, shape (n,)."""
        served = columns.attained + np.maximum(now - columns.since - self.grace, 0.0)
        levels: Floats = self.of(np.maximum(columns.gang, 1.0) * served).astype(np.float64)
        return levels


def least_attained(quantum: float = 3250.0, grace: float = 360.0) -> Preemptive:
    """Least attained service first: good without any estimate, as most jobs are short (Nuyens and Wierman 2008, "FB").

    Pure, it would swap jobs of like service without end. So service is counted in levels and equals keep the order of
    submission, as in Tiresias (Gu et al., NSDI 2019, "discretized 2D-LAS"); levels double, so that few are ever passed.

    Args:
        quantum: accelerator-seconds of the lowest level; 3250 is the first threshold of Tiresias' published simulator.
        grace: seconds of a run that do not count while it lasts, at least those of a restart; also between ticks.
            360 is Gavel's round (Narayanan et al., OSDI 2020).
    """
    levels = Levels(quantum, grace)
    return Preemptive(levels.waiting, Moving(levels.running), tick=grace, longest_restart=grace)


las = least_attained()
"""Least attained service first, in levels."""
