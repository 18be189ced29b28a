"""How fast a job can be expected to go, by public measurements: what may be known of unlike hardware."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..traces.job import Job
from .laws.power import Curve, curves
from .laws.speed import Speed
from .profiles import builtin
from .room import Room
from .vocabulary import Placement

LAW = Speed()
"""The law's defaults: a world may have other tables, which nobody here knows."""
_known: dict[tuple[object, ...], float] = {}


def pace(job: Job, kind: str | None, gang: int, spread: bool) -> float:
    """Seconds of a job's work that a second brings on a gang of a kind, on one node or `spread` over several.

    By the built-in profiles; 1 for its own gang where its family, or the kind, was not measured.
    """
    if not gang or not job.gang or kind is None or (job.profile is None and gang == job.gang):
        return 1.0
    key = job.profile, job.kinds, job.gang, kind, gang, spread
    if key not in _known:
        _known[key] = LAW.pace(builtin(), job, kind, gang, spread)
    return _known[key]


def at(job: Job, placement: Placement, room: Room) -> float:
    """The pace of a job on a placement."""
    there = [accelerator for _, some in placement for accelerator in some]
    kind = room.kind_of(there[0].partition("#")[0]) if there else None
    return pace(job, kind, len(there), len(placement) > 1)


def drawn(kind: str, limit: float) -> float:
    """What a power limit leaves of a draw, 0 to 1, by public tables (`laws/power.toml`).

    Args:
        kind: of the accelerator.
        limit: a part of the largest.
    """
    limits, draws, _ = _limits(kind)
    return float(np.interp(limit, limits, draws))


def slowed(kind: str, draw: float) -> float:
    """How fast a job goes whose draw a power limit has taken down to this part, 0 to 1, by the same tables."""
    _, draws, speeds = _limits(kind)
    return float(np.interp(draw, draws, speeds))


@cache
def _limits(kind: str) -> tuple[Curve, Curve, Curve]:
    """Limits, draws and speeds, ascending, each a part of what it is without a limit; nothing is done without a draw.

    A draw that the medians have a hair above that of the largest limit counts as that.
    """
    limits, speeds, energies = np.vstack([np.zeros(3), curves().get(kind, curves()["any"])]).T
    return limits, np.minimum(np.maximum.accumulate(speeds * energies), 1.0), speeds
