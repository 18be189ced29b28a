"""Accelerators and links are slow for a while, and gangs wait for the slowest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import log

import numpy as np

from ...traces.trouble import BadInput
from .law import Run, Stage, check, not_negative, positive
from .renewal import measured

_KNOWN = measured("stragglers")
Pace = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stragglers:
    """Slow episodes come to each accelerator, and to each node's links, at random; their length is lognormal.

    A gang goes at the pace of its slowest accelerator, times, if it is on several nodes, that of its slowest node's
    links. During an episode its pace is constant, uniform between two bounds. Gaps from one episode's end to the next
    beginning are exponential: nobody published more. What is slow while nobody is there is slow all the same.

    Attributes:
        every: mean seconds between an accelerator's episodes; 0 for none.
        lasts: mean seconds.
        pace: bounds of the speed during an episode.
        link_every, link_lasts, link_pace: the same of a node's links.
        sigma: of the logarithm of how long; 0 for always the mean.
        chaos: multiplies how often.
    """

    every: float = _KNOWN["every"]
    lasts: float = _KNOWN["lasts"]
    pace: Pace = field(default=tuple(_KNOWN["pace"]))
    link_every: float = _KNOWN["link_every"]
    link_lasts: float = _KNOWN["link_lasts"]
    link_pace: Pace = field(default=tuple(_KNOWN["link_pace"]))
    sigma: float = _KNOWN["sigma"]
    chaos: float = 1.0

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        check(self, "stragglers", ("every", "link_every", "sigma"), not_negative, "0 or more")
        check(self, "stragglers", ("lasts", "link_lasts", "chaos"), positive, "a number above 0")
        for key in ("pace", "link_pace"):
            low, high = getattr(self, key)
            if not 0 < low <= high <= 1:
                raise BadInput(f"stragglers: {key} = [{low}, {high}] cannot be; give two speeds above 0, up to 1")

    def begin(self, stage: Stage) -> _Stragglers:
        """The episodes of a world."""
        return _Stragglers(self, stage)


@dataclass(frozen=True, slots=True)
class _Part:
    """Something that is slow now and then: an accelerator, or a node's links."""

    id: str
    accelerators: Sequence[str]
    rng: np.random.Generator
    every: float
    lasts: float
    bounds: Pace


class _Stragglers:
    def __init__(self, law: Stragglers, stage: Stage) -> None:
        self._law, self._stage = law, stage
        self._accelerators: dict[str, float] = {}
        self._links: dict[str, float] = {}
        for node in stage.machines.values():
            there = [a.id for a in node.accelerators]
            for one in there if law.every else ():
                rng = stage.rng("stragglers", one)
                part = _Part(one, [one], rng, law.every / law.chaos, law.lasts, law.pace)
                self._wait(part, self._accelerators)
            if law.link_every:
                rng = stage.rng("stragglers", "links", node.id)
                part = _Part(node.id, there, rng, law.link_every / law.chaos, law.link_lasts, law.link_pace)
                self._wait(part, self._links)

    def _wait(self, part: _Part, paces: dict[str, float]) -> None:
        self._stage.at(self._stage.now + part.rng.exponential(part.every), partial(self._begin, part, paces))

    def _begin(self, part: _Part, paces: dict[str, float]) -> None:
        paces[part.id] = float(part.rng.uniform(*part.bounds))
        self._touch(part)
        sigma = self._law.sigma
        seconds = float(part.rng.lognormal(log(part.lasts) - sigma**2 / 2, sigma))
        self._stage.at(self._stage.now + seconds, partial(self._end, part, paces))

    def _end(self, part: _Part, paces: dict[str, float]) -> None:
        del paces[part.id]
        self._touch(part)
        self._wait(part, paces)

    def _touch(self, part: _Part) -> None:
        touched = {run.job.id: run for one in part.accelerators for run in self._stage.on(one)}
        for run in touched.values():
            self._stage.touch(run)

    def factor(self, run: Run) -> float:
        """The pace of its slowest accelerator, and of its slowest links."""
        if not self._accelerators and not self._links:
            return 1.0
        pace = _slowest(self._accelerators, (one.partition("#")[0] for one in run.accelerators))
        if len(run.placement) > 1:
            pace *= _slowest(self._links, (node for node, _ in run.placement))
        return pace


def _slowest(paces: dict[str, float], names: Iterable[str]) -> float:
    return min((paces.get(name, 1.0) for name in names), default=1.0)
