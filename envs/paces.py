"""How fast a job can be expected to go, by public measurements: what may be known of unlike hardware."""

from __future__ import annotations

from functools import cache

from ..traces.job import Job
from .profiles import builtin
from .room import Room
from .vocabulary import Placement

REFERENCE, SCALING, APART = "V100", 0.9, 0.425
"""As the law of speed has them by default: see `laws.speed.Speed`, which says where they come from."""


def pace(job: Job, kind: str | None, gang: int, spread: bool) -> float:
    """Seconds of a job's work that a second brings on a gang of a kind, on one node or `spread` over several.

    By the built-in profiles; 1 for its own gang where its family, or the kind, was not measured.
    """
    if not gang or kind is None or (job.profile is None and gang == job.gang):
        return 1.0
    return _pace(job.profile, job.kinds[0] if job.kinds else REFERENCE, job.gang, kind, gang, spread)


@cache
def _pace(profile: str | None, reference: str, own: int, kind: str, gang: int, spread: bool) -> float:
    found = builtin().pace(
        profile,
        kind,
        gang,
        spread,
        reference_kind=reference,
        reference_gang=own,
        scaling=SCALING,
        apart=APART,
    )
    return found or float((gang / max(own, 1)) ** SCALING)


def at(job: Job, placement: Placement, room: Room) -> float:
    """The pace of a job on a placement."""
    there = [accelerator for _, some in placement for accelerator in some]
    kind = room.kind_of(there[0].partition("#")[0]) if there else None
    return pace(job, kind, len(there), len(placement) > 1)
