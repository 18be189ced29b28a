"""A job that was told how to use the hardware it got runs faster."""

from __future__ import annotations

from dataclasses import dataclass

from ..tuning import speedup
from .law import Run, Stage, kinds


@dataclass(frozen=True, slots=True)
class Tuned:
    """Precision, compilation and batch size speed a run up by what was measured for its family on the kind.

    Figures and sources stand in `envs/tuning.toml`. A tuning that nobody measured changes nothing, and neither does the
    power limit: that is the law of power's.
    """

    def begin(self, stage: Stage) -> _Tuned:
        """The speedups of a world."""
        return _Tuned(stage)


class _Tuned:
    def __init__(self, stage: Stage) -> None:
        self._kind = kinds(stage)

    def factor(self, run: Run) -> float:
        """The speedup of what it was told."""
        if run.tuning is None or not run.accelerators:
            return 1.0
        return speedup(run.tuning, run.job.profile, self._kind[run.accelerators[0].partition("#")[0]])
