"""Sweeps: trials that report on the way, and are cancelled when others do better."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import inf, log10

import numpy as np

from ...traces.job import Job
from ...traces.trouble import BadInput
from .law import Run, Stage

DIGITS = 15
"""Of halving^rungs, at most: the lowest rung would be at no work at all."""


@dataclass(frozen=True, slots=True)
class Sweeps:
    """Asynchronous successive halving (Li et al., MLSys 2020), in its stopping form: no trial waits for others.

    A job with a `group` is a trial. At each rung, a part of its work, it reports its loss; it goes on if that is among
    the best 1/`halving` of those that have reported there, itself included, and is cancelled otherwise. A trial's loss
    is its quality, drawn once, and noise that shrinks as the rungs go up: so a good trial may be cancelled early.

    Attributes:
        halving: the factor eta, 2 or more; 4 is the paper's.
        rungs: how many before the end: at work / eta^rungs, ..., work / eta.
        noise: standard deviation of the noise at the lowest rung, in those of the trials' quality; it is divided by eta
            from rung to rung.
    """

    halving: int = 4
    rungs: int = 3
    noise: float = 0.5

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        if self.halving < 2 or self.rungs < 1 or not 0 <= self.noise < inf:
            raise BadInput(
                f"sweeps: halving = {self.halving}, rungs = {self.rungs}, noise = {self.noise}: give a halving of 2 or "
                "more, 1 rung or more and a noise of 0 or more"
            )
        if self.rungs * log10(self.halving) > DIGITS:
            raise BadInput(f"sweeps: rungs = {self.rungs} cannot be; halving^rungs can have {DIGITS} digits at most")

    def begin(self, stage: Stage) -> _Sweeps:
        """The sweeps of a world."""
        return _Sweeps(self, stage)


class _Sweeps:
    def __init__(self, law: Sweeps, stage: Stage) -> None:
        self._law, self._stage = law, stage
        self._reported: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        self._seen: defaultdict[int, set[int]] = defaultdict(set)
        self._losses: dict[int, list[float]] = {}

    def milestones(self, run: Run) -> Iterator[tuple[float, Callable[[Run], None]]]:
        """A trial's rungs."""
        if run.job.group is not None:
            for rung in range(self._law.rungs):
                if rung not in self._seen[run.job.id]:
                    yield run.total / self._law.halving ** (self._law.rungs - rung), partial(self._report, rung)

    def losses(self, job: Job) -> list[float]:
        """What a trial reports at each rung, whatever the policy does."""
        drawn = self._stage.rng("sweeps", job.id).normal(size=self._law.rungs + 1)
        scale = self._law.noise / np.power(float(self._law.halving), np.arange(self._law.rungs))
        return [float(x) for x in drawn[0] + scale * drawn[1:]]

    def _report(self, rung: int, run: Run) -> None:
        self._seen[run.job.id].add(rung)
        reported = self._reported[run.job.group or "", rung]
        if run.job.id not in self._losses:
            self._losses[run.job.id] = self.losses(run.job)
        loss = self._losses[run.job.id][rung]
        insort(reported, loss)
        best = reported[: max(1, len(reported) // self._law.halving)]
        if loss > best[-1]:
            self._stage.end(run.job.id, "cancelled")

    def ended(self, job: Job, reason: str) -> None:
        """Its rungs are forgotten."""
        self._seen.pop(job.id, None)
        self._losses.pop(job.id, None)
