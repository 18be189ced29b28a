"""What can be seen of accelerators at work: how busy they are, their memory, their links."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf

from ...traces.trouble import BadInput
from ..kinds import kind as facts
from ..nodes import Accelerator
from ..profiles import facts_of
from .law import Look, Run, Stage

USUAL = 0.67
"""How busy an accelerator is whose job has no profile: what makes a V100 draw 71 % of its 250 W, the median of training
in Zeus' measurements (see power.toml), at an idle draw of 30 W."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """Each accelerator is looked at when somebody comes or goes there, and every so often.

    Busy is the sum over its jobs of what their profile makes of such a kind, at most 1; with noise, which is the work's
    own: what is seen is so, and what is drawn follows from it. Link traffic is the sum of what their profiles send, and
    rises and falls with the work: times the same noise. Memory has no noise, as a framework keeps what it once took: it
    is what its jobs say, else their profiles, at most what the accelerator has. What neither says is None.

    Attributes:
        noise: standard deviation of busy and link traffic, relative; drawn at each look.
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
        self._has = {a.id: _has(a) for node in stage.machines.values() for a in node.accelerators}
        if law.every is not None:
            stage.at(law.every, partial(self._again, law.every))

    def _again(self, every: float) -> None:
        self._stage.look(*dict.fromkeys(a for run in self._stage.runs.values() for a in run.accelerators))
        self._stage.at(self._stage.now + every, partial(self._again, every))

    def sense(self, look: Look) -> None:
        """How busy it is, its memory in use and its link traffic."""
        runs, works = self._stage.on(look.accelerator), 1.0
        if self._law.noise and runs:
            works = max(1 + self._law.noise * float(self._rng.standard_normal()), 0.0)
        look.busy = min(busy(self._stage, look.accelerator) * works, 1.0) if runs else 0.0
        look.memory, look.link = 0, 0.0
        has = self._has[look.accelerator]
        for run in runs:
            memory, link = _memory(run, has), _link(run)
            look.memory = None if memory is None or look.memory is None else look.memory + memory
            look.link = None if link is None or look.link is None else look.link + link * works
        if look.memory is not None and has is not None:
            look.memory = min(look.memory, has)


def _has(accelerator: Accelerator) -> int | None:
    """Its memory, else that of its kind."""
    known = facts(accelerator.kind)
    return accelerator.memory if accelerator.memory is not None or known is None else known.memory


def _memory(run: Run, has: int | None) -> int | None:
    """What the job says, else its profile: on a MIG instance no more than its part of the memory."""
    told = facts_of(run.job.profile)
    if run.job.memory is not None or told is None or told.memory is None or has is None:
        return run.job.memory if run.job.memory is not None or told is None else told.memory
    return min(told.memory, int(run.share * has)) if any("#" in name for name in run.accelerators) else told.memory


def _link(run: Run) -> float | None:
    if len(run.accelerators) < 2:
        return 0.0
    told = facts_of(run.job.profile)
    return None if told is None else told.link
