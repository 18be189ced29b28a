"""By when a job that says nothing itself is to have ended: how long a policy may let it wait for greener hours.

`NextWorkday` and `SemiWeekly` are the two constraints of Wiesner et al., "Let's Wait Awhile", Middleware 2021, section
5.2, as in the published code: what nobody looks at before a certain hour may as well come at that hour. All count
from the time at which the job would end if it began as it came, by its estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..traces.job import Job

HOUR, DAY = 3600.0, 86400.0
WEEK = 7 * DAY

Until = Callable[[Job], float]
"""A job -> by when it is to have ended, seconds; infinite where its length is not known."""


def due(job: Job, until: Until) -> float:
    """The job's own deadline, else what a rule says."""
    return until(job) if job.deadline is None else job.deadline


def _ends(job: Job) -> float:
    return math.inf if job.estimate is None else job.submit + job.estimate


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many times its own length later, but no more than so much.

    Attributes:
        times: of its estimate.
        most: seconds.
    """

    times: float = 1.0
    most: float = DAY

    def __call__(self, job: Job) -> float:
        """By when a job is to have ended."""
        return _ends(job) + min(self.times * (job.estimate or 0.0), self.most)


@dataclass(frozen=True, slots=True)
class NextWorkday:
    """When the next working day begins, for a job that would end when nobody is at work; else as it would end.

    Attributes:
        opens, closes: seconds of the day between which somebody is at work, Monday to Friday.
        monday: a second at which a Monday begins; 0 as in generated traces and prices.
    """

    opens: float = 9 * HOUR
    closes: float = 17 * HOUR
    monday: float = 0.0

    def __call__(self, job: Job) -> float:
        """By when a job is to have ended."""
        if (end := _ends(job)) == math.inf:
            return end
        day, hour = divmod((end - self.monday) % WEEK, DAY)
        if day < 5 and self.opens <= hour <= self.closes:
            return end
        ahead = 0.0 if day < 5 and hour < self.opens else 7 - day if day >= 4 else 1.0
        return end - hour + ahead * DAY + self.opens


@dataclass(frozen=True, slots=True)
class SemiWeekly:
    """The next Monday or Thursday at the hour at which people look at what has come.

    Attributes:
        opens: seconds of the day.
        monday: a second at which a Monday begins; 0 as in generated traces and prices.
    """

    opens: float = 9 * HOUR
    monday: float = 0.0

    def __call__(self, job: Job) -> float:
        """By when a job is to have ended."""
        if (end := _ends(job)) == math.inf:
            return end
        second = (end - self.monday) % WEEK
        looks = (self.opens, 3 * DAY + self.opens, WEEK + self.opens)
        return end - second + next(look for look in looks if look >= second)


TWICE = Stretch()
"""Twice its estimate after it came, or a day after it would have ended, whichever is first."""
