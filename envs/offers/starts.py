"""Starts of waiting jobs: on the two kinds (or sites) that suit each best, elastic ones with the gang that fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...traces.job import Job
from ..paces import at
from ..room import width
from ..vocabulary import Placement, Start
from .offer import START, Glance, Offer

KINDS = 2
"""Placements of one job at most, each on another kind, or at another site."""


def offers(glance: Glance) -> Iterator[Offer]:
    """A row for each candidate, without decisions where it cannot start now; a second one for a second kind."""
    pending = glance.cluster.pending
    for key in glance.keys:
        job = pending[key]
        places = list(_places(glance, job))[:KINDS]
        yield from [_offer(glance, job, place) for place in places] or [Offer(START, (), job.id)]


def _offer(glance: Glance, job: Job, place: Placement) -> Offer:
    pace = at(job, place, glance.cluster.room)
    change = width(place) / job.gang if job.gang else 1.0
    return Offer(START, (Start(job.id, place),), job.id, place, after=pace, change=change)


def _places(glance: Glance, job: Job) -> Iterator[Placement]:
    """Where it could start, the fastest kind first."""
    if len(glance.cluster.room.kinds) == 1 or job.gang == 0:
        found = [glance.fit(job)]
    else:
        found = [glance.fit(job, group) for group in glance.cluster.room.kinds_for(job)]
    able = [place for place in found if place is not None]
    if not able and job.min_gang is not None and job.min_gang < job.gang:
        able = [place for place in [_smaller(glance, job)] if place is not None]
    yield from sorted(able, key=lambda place: -at(job, place, glance.cluster.room))


def _smaller(glance: Glance, job: Job) -> Placement | None:
    """The largest gang, halved until it fits, that an elastic job takes."""
    gang, least = job.gang // 2, job.min_gang or 1
    while gang >= least:
        if (place := glance.fit(replace(job, gang=gang))) is not None:
            return place
        gang = gang // 2 if gang > least and gang // 2 >= least else (least if gang > least else 0)
    return None
