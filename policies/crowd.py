"""Jobs that share a cluster of unlike accelerators, as arrays, and the linear program by which they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..envs.laws.speed import Speed
from ..envs.room import Room
from ..envs.throughputs import opened
from ..traces.job import Job

Floats = npt.NDArray[np.float64]

SPARE = 1e-4
"""What is left over counts so much beside the smallest part: too little to take anything from whoever has that."""
LEAST = 1e-6
"""Parts of a job's time below this are the solver's noise."""
SHORTEST = 1.0
"""Seconds of work that an unfinished job still has at least, whatever its estimate says."""
MOST_KNOWN = 4096
"""Rates that are remembered; with accelerators that fail and return there is no end of them."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Jobs that share a cluster.

    Attributes:
        jobs: who.
        rates: seconds of work that each does in a second on each group of accelerators, 0 where it cannot stand.
            Shape (jobs, groups).
        gangs: accelerators that each holds. Shape (jobs,).
        capacity: accelerators of each group. Shape (groups,).
        waited: seconds since each was submitted. Shape (jobs,).
        remaining: seconds of work that each still has by its estimate, NaN where it has none. Shape (jobs,).
        alone: seconds that the work already done would have taken with an equal share each. Shape (jobs,).
    """

    jobs: tuple[Job, ...]
    rates: Floats
    gangs: Floats
    capacity: Floats
    waited: Floats
    remaining: Floats
    alone: Floats

    @property
    def weights(self) -> Floats:
        """The priority of each job where it is a number above 0, else 1."""
        return np.array([job.priority if job.priority and job.priority > 0 else 1.0 for job in self.jobs])

    @property
    def equal(self) -> Floats:
        """The rate of each with the same time on every accelerator. Shape (jobs,)."""
        rates: Floats = self.rates @ (self.capacity / self.capacity.sum())
        return rates

    @property
    def isolated(self) -> Floats:
        """The rate of each with its own n-th of the cluster, as jobs would have it that do not share. Shape (jobs,)."""
        times = self.capacity / len(self.jobs) / self.gangs[:, None]
        times = times / np.maximum(times.sum(1), 1.0)[:, None]
        rates: Floats = (self.rates * times).sum(1)
        return rates


Allocate = Callable[[Crowd], Floats]
"""What part of its time each job is to spend on each group: shape (jobs, groups), rows sum to 1 at most."""


@dataclass(slots=True)
class Paces:
    """How fast jobs are, by the tables that everybody may read.

    Attributes:
        law: which table, and what is assumed where nothing was measured.
    """

    law: Speed = field(default_factory=Speed)
    _known: dict[tuple[object, ...], tuple[Floats, tuple[str, ...]]] = field(default_factory=dict, repr=False)

    def on(self, room: Room, job: Job, capacity: Floats) -> tuple[Floats, tuple[str, ...]]:
        """The rate of a job on each group of a room, 0 where it cannot stand, and where it can, fastest first."""
        key = (job.profile, job.gang, job.kinds, job.memory, job.sites, capacity.tobytes())
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            accepted = set(room.accepted(job))
            fit = [g in accepted and job.gang <= most for g, most in zip(room.kinds, capacity, strict=True)]
            rates = np.array([self._rate(room, job, g) if ok else 0.0 for g, ok in zip(room.kinds, fit, strict=True)])
            best = tuple(room.kinds[column] for column in np.argsort(-rates, kind="stable") if fit[column])
            self._known[key] = rates, best
        return self._known[key]

    def _rate(self, room: Room, job: Job, group: str) -> float:
        spread = job.gang > room.largest[group]
        return self.law.pace(opened(self.law.profiles), job, kind_of(room, group), job.gang, spread)


def kind_of(room: Room, group: str) -> str:
    """The kind of a group."""
    return next(bay.kind for bay in room.bays if bay.group == group)


def capacity(room: Room) -> Floats:
    """Accelerators of each group that are there and work. Shape (groups,)."""
    there = dict.fromkeys(room.kinds, 0)
    for bay, up in zip(room.bays, room.up, strict=True):
        there[bay.group] += up.bit_count()
    return np.array([there[group] for group in room.kinds], np.float64)


def shares(rates: Floats, needs: Floats, gangs: Floats, capacity: Floats) -> tuple[Floats, float]:
    """Gives jobs time on groups of accelerators so that the smallest part that any gets of its need is largest.

    Maximise s, over the parts X of its time that each job spends on each group, with
        sum_k rates[i, k] X[i, k] >= s needs[i],  sum_k X[i, k] <= 1,  sum_i gangs[i] X[i, k] <= capacity[k].
    Of equal answers that with the most work done is taken, each job's by its own best rate. Equal jobs are one row of
    the program with a count: by symmetry some answer gives them the same.

    Args:
        rates: shape (jobs, groups), some of each row above 0.
        needs: the rate that each needs, above 0. Shape (jobs,).
        gangs: accelerators that each holds. Shape (jobs,).
        capacity: accelerators of each group. Shape (groups,).

    Returns:
        (X of shape (jobs, groups), s).
    """
    table = np.column_stack([rates, needs, gangs])
    rows, index, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    count = rates.shape[1]
    times, part = _solved(rows[:, :count], rows[:, -2], rows[:, -1], counts.astype(np.float64), capacity)
    return times[index.reshape(-1)], part


def _solved(rates: Floats, needs: Floats, gangs: Floats, counts: Floats, capacity: Floats) -> tuple[Floats, float]:
    from scipy.optimize import linprog  # type: ignore[attr-defined]  # here: dear to import, and few need it
    from scipy.sparse import coo_array

    jobs, groups = rates.shape
    cells, largest = jobs * groups, float(needs.max())
    row, column, cell = np.repeat(np.arange(jobs), groups), np.tile(np.arange(groups), jobs), np.arange(cells)
    values = np.concatenate([-rates.ravel(), needs / largest, np.ones(cells), np.repeat(gangs * counts, groups)])
    at = np.concatenate([row, np.arange(jobs), jobs + row, 2 * jobs + column])
    under = np.concatenate([cell, np.full(jobs, cells), cell, cell])
    limits: Any = coo_array((values, (at, under)), shape=(2 * jobs + groups, cells + 1))  # type: ignore[no-untyped-call]
    most = np.concatenate([np.zeros(jobs), np.ones(jobs), capacity])
    done = SPARE * counts[:, None] * rates / rates.max(1, keepdims=True) / counts.sum()
    aims = np.append(-done.ravel(), -1.0)
    answer = linprog(aims, A_ub=limits.tocsr(), b_ub=most, method="highs")  # type: ignore[no-untyped-call]
    assert answer.x is not None, answer.message  # nobody getting anything is always an answer
    times = np.clip(answer.x[:-1].reshape(jobs, groups), 0.0, 1.0)
    return np.where(times < LEAST, 0.0, times), float(answer.x[-1]) / largest
