"""Placement by grades: every place where a job could stand is graded, and the one with the lowest grade is taken.

What a grade is says a function; which places there are, and that they are legal, is said here once: shares, whole
accelerators, gangs over several nodes, jobs without accelerators, MIG instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ..traces.job import Job
from .placement import packed
from .room import Floats, Room
from .shares import WHOLE, thousandths
from .survey import Bools, Ints, Survey
from .vocabulary import Placement


class Grade(Protocol):
    """Grades all places for a job, lowest first; of equals the first in the cluster's order is taken."""

    def __call__(self, job: Job, count: int, survey: Survey, able: Bools, /) -> Floats:
        """Grades places.

        Args:
            job: who is to stand there.
            count: how many of its accelerators come together in one place.
            survey: what is left.
            able: where it could stand. Shape (nodes,) for a job without accelerators, (bays, widest) for a share of one
                of them, (bays,) for whole ones.

        Returns:
            Grades, finite where it could stand and whatever elsewhere. Shape as `able`.
        """


class Graded:
    """A placement function by grades. It keeps a survey from one call to the next; its answers do not hang on it.

    A gang that fits a node gets one. A larger one gets as few nodes as hold it: whole parts on those with the most
    usable accelerators, the lowest grade of equals, and its remainder where that is graded lowest.
    A share gets a MIG instance that is just large enough where there is one, as `placement.packed` gives it.

    Args:
        grade: of a place.
        spans: whether a gang that fits no node may stand on several. If not, it waits, as a pod does.
    """

    def __init__(self, grade: Grade, spans: bool = True) -> None:
        self.grade, self.spans = grade, spans
        self._survey: Survey | None = None

    def __call__(self, job: Job, room: Room) -> Placement | None:
        """Where a job could start now, or None."""
        if not room.admits(job):
            return None
        survey = self.survey(room)
        if job.gang == 0:
            return self._on_host(job, room, survey)
        if job.share < 1:
            return self._instance(job, room) or self._part(job, room, survey)
        return self._whole(job, room, survey)

    def survey(self, room: Room) -> Survey:
        """The survey, with what is left in this room."""
        if self._survey is None or self._survey.bays is not room.bays:
            self._survey = Survey(room)
        self._survey.follow(room)
        return self._survey

    def _on_host(self, job: Job, room: Room, survey: Survey) -> Placement | None:
        able = survey.hosts(job, 1, room)
        if not able.any():
            return None
        return ((room.nodes[_lowest(self.grade(job, 0, survey, able), able)].id, ()),)

    def _instance(self, job: Job, room: Room) -> Placement | None:
        """A MIG instance, where there is one that can take the job."""
        if not any(room.shares.open.values()):
            return None
        found = packed(job, room)
        return found if found is not None and room.kind_of(found[0][1][0]) is None else None

    def _part(self, job: Job, room: Room, survey: Survey) -> Placement | None:
        """A part of an accelerator. Of those that a bay has free as a whole, the first stands for all."""
        need, left = thousandths(job.share), survey.left
        there = survey.of(room.kinds_for(job)) & survey.hosts(job, 1, room)[survey.host]
        able = there[:, None] & (left >= need)
        free = left == WHOLE
        able &= ~free | (free.cumsum(1) == 1)
        if not able.any():
            return None
        for at in _lowest_first(np.where(able, self.grade(job, 1, survey, able), np.inf)):
            bay = survey.bays[at // left.shape[1]]
            name = bay.accelerators[at % left.shape[1]]
            if name not in room.left or room.admits_beside(job, name, need) is None:
                return ((bay.node, (name,)),)
        return None

    def _whole(self, job: Job, room: Room, survey: Survey) -> Placement | None:
        groups = room.kinds_for(job)
        able = survey.of(groups) & (survey.whole >= job.gang)
        able &= survey.hosts(job, job.gang, room)[survey.host]
        if able.any():
            return (room.seats(_lowest(self.grade(job, job.gang, survey, able), able), job.gang),)
        if not self.spans:
            return None
        usable = survey.usable(job, room)
        found = [parts for group in groups if (parts := self._parts(job, survey, usable * survey.of((group,))))]
        if not found:
            return None
        return tuple(room.seats(position, count) for position, count in min(found, key=len))

    def _parts(self, job: Job, survey: Survey, usable: Ints) -> list[tuple[int, int]]:
        """The bays of one group, and how many in each, that hold a gang with the fewest nodes; none if it cannot be."""
        ordered = np.sort(usable)[::-1].cumsum()
        nodes = int(np.searchsorted(ordered, job.gang)) + 1
        return list(self._fewest(job, nodes, survey, usable)) if nodes <= len(ordered) else []

    def _fewest(self, job: Job, nodes: int, survey: Survey, usable: Ints) -> Iterator[tuple[int, int]]:
        usable, left = usable.copy(), job.gang
        for more in range(nodes, 0, -1):
            count = min(left, int(usable.max())) if more > 1 else left
            able = usable >= count
            at = _lowest(self.grade(job, count, survey, able), able)
            yield at, count
            left -= count
            usable[at] = 0


def _lowest(grades: Floats, able: Bools) -> int:
    return int(np.where(able, grades, np.inf).argmin())


def _lowest_first(grades: Floats) -> Iterator[int]:
    """Yields the finite ones' positions; the first is nearly always the one."""
    while np.isfinite(grades.flat[at := int(grades.argmin())]):
        yield at
        grades.flat[at] = np.inf
