"""Jobs fail by themselves, most of them early, whatever anybody decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, log1p

from ...traces.job import Job
from ...traces.trouble import BadInput, nearest
from .law import Run, Stage, check, not_negative, positive
from .renewal import measured

_KNOWN = measured("mishaps")


@dataclass(frozen=True, slots=True)
class Mishaps:
    """A job fails with a probability, at a point of its work: Weibull in seconds of work, cut off at the job's whole.

    Which jobs fail, and where, is drawn by job: no policy changes it, a job that lost its work fails at the same point
    again when it gets there. It ends as "failed" and is not tried again. A trace's durations are those of jobs that
    ended in any way, so what fails here ends earlier than recorded.

    Attributes:
        like: whose rate of failed jobs: "philly", "helios", "seren" or "kalos".
        probability: of a job's failing, instead of theirs.
        shape: of the Weibull; below 1 most fail early.
        scale: of the Weibull, seconds of work.
        chaos: multiplies the odds p / (1 - p).
    """

    like: str = "philly"
    probability: float | None = None
    shape: float = _KNOWN["shape"]
    scale: float = _KNOWN["scale"]
    chaos: float = 1.0

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        if self.like not in _KNOWN["probability"]:
            raise BadInput(f"mishaps: like = '{self.like}' cannot be.{nearest(self.like, list(_KNOWN['probability']))}")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise BadInput(f"mishaps: probability = {self.probability} cannot be; give a number from 0 to 1")
        check(self, "mishaps", ("shape", "scale"), positive, "a number above 0")
        check(self, "mishaps", ("chaos",), not_negative, "0 or more")

    @property
    def fails(self) -> float:
        """The probability that a job fails, with chaos."""
        p = _KNOWN["probability"][self.like] if self.probability is None else self.probability
        return float(p if p == 1 and self.chaos else self.chaos * p / (1 - p + self.chaos * p))

    def begin(self, stage: Stage) -> _Mishaps:
        """The mishaps of a world."""
        return _Mishaps(self, stage)


class _Mishaps:
    def __init__(self, law: Mishaps, stage: Stage) -> None:
        self._law, self._stage = law, stage

    def point(self, job: Job, total: float) -> float | None:
        """Seconds of work after which a job fails, None if it does not."""
        whether, when = self._stage.lots("mishaps", job.id)
        if whether >= self._law.fails:
            return None
        within = 1 - exp(-((total / self._law.scale) ** self._law.shape))
        return float(self._law.scale * (-log1p(-when * within)) ** (1 / self._law.shape))

    def milestones(self, run: Run) -> Iterator[tuple[float, Callable[[Run], None]]]:
        """Where it fails."""
        if (point := self.point(run.job, run.total)) is not None:
            yield point, self._fail

    def _fail(self, run: Run) -> None:
        self._stage.end(run.job.id, "failed")
