"""Schedulers that are obviously right: a list, a number of free processors, and every job looked at in turn.

They share nothing with the product but the fields of a job. Processors are counted, so gangs may span nodes.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from math import inf
from typing import Any

Times = dict[int, tuple[float, float]]
"""Job -> when it started and ended."""
Line = list[tuple[float, int, Any]]
"""Who waits, sorted: key, place in the order of submission, job."""


def by_submission(job: Any) -> float:
    return float(job.submit)


def by_estimate(job: Any) -> float:
    return float(job.estimate)


class Machine:
    """Processors, and what runs on them. Whatever happens at one time has happened before anybody is asked."""

    def __init__(self, jobs: Sequence[Any], durations: Mapping[int, float], processors: int) -> None:
        self.jobs, self.durations, self.free = list(jobs), durations, processors
        self.now, self.seen = 0.0, 0
        self.ends: list[tuple[float, int, Any]] = []
        self.running: dict[int, tuple[float, Any]] = {}
        self.times: Times = {}

    def next(self) -> list[Any] | None:
        """Goes to the next time at which something happens; returns who was submitted then."""
        end = self.ends[0][0] if self.ends else inf
        submit = self.jobs[self.seen].submit if self.seen < len(self.jobs) else inf
        self.now = min(end, submit)
        if self.now == inf:
            return None
        while self.ends and self.ends[0][0] == self.now:
            job = heappop(self.ends)[2]
            del self.running[job.id]
            self.free += job.gang
        came = []
        while self.seen < len(self.jobs) and self.jobs[self.seen].submit == self.now:
            came.append(self.jobs[self.seen])
            self.seen += 1
        return came

    def start(self, job: Any) -> None:
        end = self.now + self.durations[job.id]
        self.free -= job.gang
        self.times[job.id] = (self.now, end)
        self.running[job.id] = (self.now, job)
        heappush(self.ends, (end, job.id, job))


def strict(jobs: Sequence[Any], durations: Mapping[int, float], processors: int, key: Callable[[Any], float]) -> Times:
    """The first in line starts when it fits; until then nobody does."""
    line: Line = []
    machine, number = Machine(jobs, durations, processors), 0
    while (came := machine.next()) is not None:
        for job in came:
            insort(line, (key(job), number, job))
            number += 1
        while line and line[0][2].gang <= machine.free:
            machine.start(line.pop(0)[2])
    return machine.times


def easy(jobs: Sequence[Any], durations: Mapping[int, float], processors: int, key: Callable[[Any], float]) -> Times:
    """Mu'alem and Feitelson's EASY, by shadow time and extra nodes."""
    line: Line = []
    machine, number = Machine(jobs, durations, processors), 0
    while (came := machine.next()) is not None:
        for job in came:
            insort(line, (key(job), number, job))
            number += 1
        while line and line[0][2].gang <= machine.free:
            machine.start(line.pop(0)[2])
        if line and machine.free:
            line = backfilled(machine, line)
    return machine.times


def backfilled(machine: Machine, line: Line) -> Line:
    """Starts who may overtake the first in line; returns the line without them."""
    now = machine.now
    shadow, extra = reservation(machine, line[0][2].gang)
    started = set()
    for _, number, job in line[1:]:
        if job.gang <= machine.free:
            over_in_time = now + job.estimate <= shadow
            if over_in_time or job.gang <= extra:
                machine.start(job)
                started.add(number)
                if not over_in_time:
                    extra -= job.gang
                if not machine.free:
                    break
    return [entry for entry in line if entry[1] not in started] if started else line


def reservation(machine: Machine, gang: int) -> tuple[float, int]:
    """When there will be enough for the gang by the estimates, and how many processors are over then."""
    ends = sorted((max(since + job.estimate, machine.now), job.gang) for since, job in machine.running.values())
    free, shadow = machine.free, machine.now
    for end, held in ends:
        if free >= gang and end > shadow:
            break
        shadow, free = end, free + held
    return shadow, free - gang
