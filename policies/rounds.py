"""Rounds: how parts of time, as a linear program gives them to jobs, become jobs on accelerators.

Narayanan et al., OSDI 2020, section 5. At the end of a round each kind goes to the jobs of the highest priority there,
    priority = (part of its time that a job is to have on the kind) / (part of all time given out there that it had).
A job that stays on its kind stays in its place, as if a lease were extended; others are stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.laws.speed import Speed
from ..envs.placement import Place, packed
from ..envs.roster import Running
from ..envs.space import Space
from ..envs.vocabulary import Decision, Preempt
from ..traces.job import Job
from .books import Books, Choice
from .crowd import Allocate, Floats, Paces
from .leases import filled, gives_way, group_of, only, seated, seats, stays
from .memory import Memory
from .needs import NOTHING, Needs
from .ranked import submitted


@dataclass(slots=True)
class Rounds:
    """Shares a cluster in rounds, by what an allocation says.

    An allocation is made when jobs have come or gone, but not more often than `resets`, and what jobs have had counts
    anew from then. What nobody claims, in a round or in the middle of one, goes to whoever fits, oldest first, each on
    its fastest kind; so do jobs that came after the allocation. Jobs without accelerators start where they fit. Jobs
    that may not be preempted keep what they once got.

    Attributes:
        allocate: what part of its time each job is to have on each kind.
        place: where a job may stand, among accelerators of one kind.
        tick: seconds of a round; 360 in the paper.
        resets: seconds between allocations at least; 1920 in the paper's published simulator.
        fills: whether what becomes free in the middle of a round is given out at once; in the paper it waits.
        spares: whether what no allocation claims is given out at all.
        law: the tables by which it knows how fast jobs are on which kind.
        most: waiting jobs, the oldest, that take part; the others wait until they are among them.
        needs: what the allocation reads, see `needs.Need`.
    """

    allocate: Allocate
    place: Place = packed
    tick: float = 360.0
    resets: float = 1920.0
    fills: bool = True
    spares: bool = True
    law: Speed = field(default_factory=Speed)
    most: int = 1000
    needs: Needs = NOTHING
    _memory: Memory[Books] = field(default_factory=Memory, init=False, repr=False, compare=False)

    @property
    def longest_restart(self) -> float:
        """Seconds; if a restart takes longer than a round, jobs could be stopped again and again with nothing done."""
        return self.tick

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields stops at the end of a round, starts of those whose turn it is, and starts where room is left."""
        books = self._memory.of(cluster, lambda: Books(Paces(self.law)))
        if (number := cluster.now // self.tick) > books.round:
            books.round = number
            books.turn(cluster)
            yield from self._turn(books, cluster)
        yield from seated(books.seats, cluster)
        if len(cluster.pending) and (self.fills or not len(cluster.running)):
            yield from filled(books.seats, cluster, self.place, partial(books.best, cluster.room))

    def _turn(self, books: Books, cluster: ClusterView) -> Iterator[Decision]:
        there = {running.job.id: running for running in cluster.running if gives_way(running)}
        jobs = self._partners(there, cluster)
        if not jobs or (len(cluster.room.kinds) == 1 and not len(cluster.pending)):
            return
        rates = np.array([books.paces.on(cluster.room, job, books.capacity)[0] for job in jobs])
        if cluster.now - books.since >= self.resets and books.times.keys() != {job.id for job in jobs}:
            self._allot(books, jobs, rates, cluster)
        room = cluster.room.scratch()
        for running in there.values():
            room.release(running)
        chosen = self._chosen(books, jobs, rates, room)
        kept = {key for key, running in there.items() if chosen.get(key) == group_of(running.placement, room)}
        for key in kept:
            room.put_back(there[key])
        others = [only(job, chosen[job.id], room) for job in jobs if job.id in chosen and job.id not in kept]
        books.seats = seats(others, self.place, room)
        for key, running in there.items():
            if key not in kept and (key in books.seats or not (self.spares and stays(running, room))):
                yield Preempt(key)

    def _partners(self, there: dict[int, Running], cluster: ClusterView) -> list[Job]:
        """Who shares the cluster, by age: the oldest of those that wait, and those that run and may be stopped."""
        waiting = cluster.pending.first(submitted, self.most)
        jobs = [*(job for job in waiting if job.gang), *(running.job for running in there.values())]
        return sorted(jobs, key=lambda job: (job.submit, job.id))

    def _allot(self, books: Books, jobs: list[Job], rates: Floats, cluster: ClusterView) -> None:
        crowd = books.crowd(jobs, rates, cluster)
        if crowd.jobs:
            books.allot(crowd, self.allocate(crowd), cluster.now, self.tick / 2)

    def _chosen(self, books: Books, jobs: list[Job], rates: Floats, room: Space) -> dict[int, str]:
        """Who gets which group in this round: by priority, and what is left over by age."""
        choice = Choice(room)
        for row, column in books.order(jobs):
            if rates[row, column] > 0:
                choice.ask(jobs[row], room.kinds[column])
        for job in jobs if self.spares else ():
            if choice.over:
                break
            any(choice.ask(job, group) for group in books.best(room, job))
        return choice.of
