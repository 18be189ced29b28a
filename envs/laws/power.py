"""What accelerators draw, and how a power limit slows them down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import inf

import numpy as np
import numpy.typing as npt

from ...traces.data import beside
from ...traces.trouble import BadInput
from ..kinds import kind as facts
from .eyes import busy
from .law import Look, Run, Stage, kinds

Curve = npt.NDArray[np.float64]
"""Rows of (limit as a part of the largest, speed, energy for the same work), by limit."""


@dataclass(frozen=True, slots=True)
class Power:
    """An accelerator draws idle + context + (tdp - idle) busy^alpha; under a limit, times Zeus' speed and energy.

    Busy is what its jobs make of it, see `eyes`. A job that is set up or saves its work counts as working. A limit is
    the lowest of what was asked by `Cap` and by the tunings of the jobs there; below the lowest limit that was measured
    nothing changes any more. A gang goes at the pace of its slowest accelerator. The curves are relative: a job that
    draws more than most may draw somewhat more than a low limit.

    Attributes:
        alpha: exponent; 0.7 to 1 where busy is the part of the time that the multiprocessors are active.
        context: count what a live context draws beside the idle draw.
        tdp: watts of kinds whose own is not known; None refuses them.
        idle: watts of kinds whose own is not known, as a part of their tdp. Known ones are at 0.06 to 0.16.
    """

    alpha: float = 1.0
    context: bool = True
    tdp: float | None = None
    idle: float = 0.1

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        if not 0 < self.alpha <= 2 or not 0 <= self.idle < 1 or (self.tdp is not None and not 0 < self.tdp < inf):
            raise BadInput(
                f"power: alpha = {self.alpha}, idle = {self.idle}, tdp = {self.tdp}: give an alpha above 0 and up to "
                "2, an idle part below 1 and watts above 0"
            )

    def begin(self, stage: Stage) -> _Power:
        """The draws of a world. Raises BadInput for kinds whose draw is not known."""
        return _Power(self, stage)

    def range(self, kind: str) -> tuple[float, float]:
        """Watts of a kind when idle and at most. Raises BadInput if nobody knows."""
        known = facts(kind)
        tdp = known.tdp if known is not None and known.tdp is not None else self.tdp
        if tdp is None:
            raise BadInput(f"power: the draw of '{kind}' is not known; give laws.power.tdp, watts of such kinds")
        idle = known.idle if known is not None and known.idle is not None else self.idle * tdp
        return idle, tdp

    def standby(self, kind: str) -> float:
        """Watts of a live context of a kind, beside what it draws when idle."""
        known = facts(kind)
        return (known.context or 0.0) if self.context and known is not None else 0.0


@cache
def curves() -> Mapping[str, Curve]:
    """Kind -> its curve; "any" for all others."""
    table = beside(__file__, "power.toml")
    return {kind: np.array(rows) for kind, rows in table["curves"].items()}


@cache
def limited(kind: str, part: float) -> tuple[float, float]:
    """Speed, and energy for the same work, under a limit that is so much of the largest."""
    limits, speed, energy = curves().get(kind, curves()["any"]).T
    return float(np.interp(part, limits, speed)), float(np.interp(part, limits, energy))


class _Power:
    def __init__(self, law: Power, stage: Stage) -> None:
        self._law, self._stage = law, stage
        self._kind = kinds(stage)
        self._range = {kind: law.range(kind) for kind in set(self._kind.values())}
        self._context = {kind: law.standby(kind) for kind in self._range}
        self._caps: dict[str, float] = {}
        self._told = 0  # runs with a limit of their own

    def _part(self, accelerator: str) -> float:
        """The limit of an accelerator as a part of the largest."""
        tuned = [r.tuning.watts for r in self._stage.on(accelerator) if r.tuning is not None and r.tuning.watts]
        limit = min([self._caps.get(accelerator, np.inf), *tuned])
        return float(min(limit / self._range[self._kind[accelerator]][1], 1.0))

    def _limited(self, accelerator: str) -> tuple[float, float]:
        """Speed, and energy for the same work, under the limit of an accelerator."""
        if not self._caps and not self._told:
            return 1.0, 1.0
        return limited(self._kind[accelerator], self._part(accelerator))

    def factor(self, run: Run) -> float:
        """The pace of its slowest accelerator."""
        if not self._caps and not self._told:
            return 1.0
        there = {accelerator.partition("#")[0] for accelerator in run.accelerators}
        return min((self._limited(accelerator)[0] for accelerator in there), default=1.0)

    def started(self, run: Run) -> None:
        """Its limit is that of those beside it, too."""
        self._tell(run, 1)

    def stopped(self, run: Run) -> None:
        """Its limit is over."""
        self._tell(run, -1)

    def _tell(self, run: Run, sign: int) -> None:
        if run.tuning is not None and run.tuning.watts:
            self._told += sign
            there = dict.fromkeys(accelerator.partition("#")[0] for accelerator in run.accelerators)
            for other in [one for accelerator in there for one in self._stage.on(accelerator) if one is not run]:
                self._stage.touch(other)

    def capped(self, accelerator: str, watts: float | None) -> None:
        """Who works there changes its pace."""
        if watts is None:
            self._caps.pop(accelerator, None)
        else:
            self._caps[accelerator] = watts
        for run in list(self._stage.on(accelerator)):
            self._stage.touch(run)

    def sense(self, look: Look) -> None:
        """Its draw, by how busy it is."""
        name = look.accelerator
        kind, runs = self._kind[name], self._stage.on(name)
        idle, tdp = self._range[kind]
        look.watts = idle
        if runs:
            used = busy(self._stage, name) if look.busy is None else look.busy
            full = min(idle + self._context[kind] + (tdp - idle) * used**self._law.alpha, tdp)
            speed, energy = self._limited(name)
            look.watts = max(full * speed * energy, idle)
