"""Jobs that change their batch size on the way change their speed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from ...traces.job import Trace
from .law import Run, Stage

Steps = tuple[tuple[float, ...], tuple[float, ...]]
"""Parts of a job's work from which regimes hold, from 0, and their speeds."""


@dataclass(frozen=True, slots=True)
class Regimes:
    """Each regime of `Trace.regimes` has its speed: what a batch size makes of it (Shockwave, Zheng et al., NSDI 2023).

    A recorded duration is that of all regimes: so speeds are scaled such that on its reference a job still takes as
    long as recorded. What changes is how far it is at which moment.
    """

    def begin(self, stage: Stage) -> _Regimes:
        """The regimes of a world's jobs."""
        return _Regimes(stage)


def steps(trace: Trace) -> dict[int, Steps]:
    """Job -> when its regimes begin and their speeds, such that the sum of part / speed is 1."""
    return {job: _steps(regimes) for job, regimes in trace.regimes.items()}


def _steps(regimes: tuple[tuple[float, float], ...]) -> Steps:
    begins = tuple(part for part, _ in regimes)
    widths = [after - before for before, after in pairwise((*begins, 1.0))]
    seconds = sum(width / speed for width, (_, speed) in zip(widths, regimes, strict=True))
    return begins, tuple(speed * seconds for _, speed in regimes)


class _Regimes:
    def __init__(self, stage: Stage) -> None:
        self._stage, self._steps = stage, steps(stage.trace)

    def factor(self, run: Run) -> float:
        """The speed of the regime that it is in."""
        if (found := self._steps.get(run.job.id)) is None:
            return 1.0
        begins, speeds = found
        return speeds[bisect_right([part * run.total for part in begins], run.done) - 1]

    def milestones(self, run: Run) -> Iterator[tuple[float, Callable[[Run], None]]]:
        """Where its regimes change."""
        for part in self._steps.get(run.job.id, ((), ()))[0]:
            if part > 0:
                yield part * run.total, self._stage.touch
