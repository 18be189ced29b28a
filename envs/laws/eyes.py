"""What can be seen of accelerators at work: how busy they are, their memory, their links."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf

from ...traces.trouble import BadInput
from ..profiles import facts_of
from .law import Look, Run, Stage

USUAL = 0.67
"""How busy an accelerator is whose job has no profile: what makes a V100 draw 71 % of its 250 W, the median of training
in Zeus' measurements (see power.toml), at an idle draw of 30 W."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """Each accelerator is looked at when somebody comes or goes there, and every so often.

    Busy is the sum over its jobs of what their profile makes of such a kind, at most 1; with noise, which is the work's
    own: what is seen is so, and what is drawn follows from it. What a job does not say of its memory and links, nor its
    profile, is None.

    Attributes:
        noise: standard deviation of busy, relative; drawn at each look.
        every: seconds between looks at accelerators at work; None for no looks but when somebody comes or goes.
    """

    noise: float = 0.05
    every: float | None = None

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        if not 0 <= self.noise < 1 or (self.every is not None and not 0 < self.every < inf):
            raise BadInput(
                f"eyes: noise = {self.noise}, every = {self.every}: give a noise from 0 to below 1, and seconds above 0"
            )

    def begin(self, stage: Stage) -> _Eyes:
        """The eyes of a world."""
        return _Eyes(self, stage)


def busy(stage: Stage, accelerator: str) -> float:
    """How busy the jobs on an accelerator make it, 0 to 1."""
    return min(sum([_busy(run) for run in stage.on(accelerator)]), 1.0)


def _busy(run: Run) -> float:
    """How busy a run makes its part of an accelerator: what it was given of a MIG instance's, else all of it."""
    told = facts_of(run.job.profile)
    makes = USUAL if told is None or told.busy is None else told.busy
    return run.share * makes if run.share < 1 and any("#" in name for name in run.accelerators) else makes


class _Eyes:
    def __init__(self, law: Eyes, stage: Stage) -> None:
        self._law, self._stage = law, stage
        self._rng = stage.rng("eyes")
        if law.every is not None:
            stage.at(law.every, partial(self._again, law.every))

    def _again(self, every: float) -> None:
        self._stage.look(*dict.fromkeys(a for run in self._stage.runs.values() for a in run.accelerators))
        self._stage.at(self._stage.now + every, partial(self._again, every))

    def sense(self, look: Look) -> None:
        """How busy it is, its memory in use and its link traffic."""
        runs = self._stage.on(look.accelerator)
        seen = busy(self._stage, look.accelerator) if runs else 0.0
        if self._law.noise and runs:
            seen = min(max(seen * (1 + self._law.noise * float(self._rng.standard_normal())), 0.0), 1.0)
        look.busy, look.memory, look.link = seen, 0, 0.0
        for run in runs:
            memory, link = _memory(run), _link(run)
            look.memory = None if memory is None or look.memory is None else look.memory + memory
            look.link = None if link is None or look.link is None else look.link + link


def _memory(run: Run) -> int | None:
    told = facts_of(run.job.profile)
    return run.job.memory if run.job.memory is not None or told is None else told.memory


def _link(run: Run) -> float | None:
    if len(run.accelerators) < 2:
        return 0.0
    told = facts_of(run.job.profile)
    return None if told is None else told.link
