"""Other gangs for running elastic jobs: twice as large where there is room, half as large where others wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..kinds import kind as facts
from ..paces import at
from ..room import width
from ..roster import Running
from ..vocabulary import InvalidDecision, Placement, Resize
from .offer import RESIZE, Glance, Offer
from .preempts import RESTART

SHOWN = 2
"""Of those that grow, and of those that shrink."""


def offers(glance: Glance) -> Iterator[Offer]:
    """Those that gain most by growing, and those that lose least by shrinking."""
    elastic = [run for run in glance.settled if run.share == 1 and _bounds(run)[0] < _bounds(run)[1]]
    if not elastic:
        return
    free = glance.cluster.room.spare
    grown = [offer for run in elastic if free and (offer := _offer(glance, run, _grown(glance, run))) is not None]
    yield from sorted(grown, key=lambda offer: offer.before / offer.after)[:SHOWN]
    if glance.blocked:
        shrunk = [offer for run in elastic if (offer := _offer(glance, run, _shrunk(run))) is not None]
        yield from sorted(shrunk, key=lambda offer: offer.before / offer.after)[:SHOWN]


def _bounds(run: Running) -> tuple[int, int]:
    job = run.job
    return job.min_gang or job.gang, job.max_gang or job.gang


def _grown(glance: Glance, run: Running) -> Placement | None:
    """Its place with up to as many more, on the nodes where it is as far as they hold them."""
    room = glance.cluster.room.scratch()
    room.release(run)
    target = min(2 * run.gang, _bounds(run)[1])
    return glance.place(replace(run.job, gang=target), room) if target > run.gang else None


def _shrunk(run: Running) -> Placement | None:
    """Half of its place: whole nodes are left first."""
    left = max(run.gang // 2, _bounds(run)[0])
    if left == run.gang:
        return None
    parts = []
    for node, some in sorted(run.placement, key=lambda part: -len(part[1])):
        if (count := min(left, len(some))) > 0:
            parts.append((node, some[:count]))
            left -= count
    return tuple(parts)


def _offer(glance: Glance, run: Running, place: Placement | None) -> Offer | None:
    """The resize, if the ledger would have it."""
    room = glance.cluster.room
    if place is None or width(place) == run.gang or not _admitted(glance, run, place):
        return None
    try:
        room.scratch().extend(run.job, run.placement, place, run.share)
    except InvalidDecision:
        return None
    before, after = at(run.job, run.placement, room), at(run.job, place, room)
    change, lost = width(place) / run.gang, RESTART * width(run.placement)
    decision = Resize(run.job.id, place)
    key = ("resize", run.job.id)
    return Offer(RESIZE, (decision,), run.job.id, place, key, before, after, change, lost)


def _admitted(glance: Glance, run: Running, place: Placement) -> bool:
    """Whether the kinds of both places let gangs change."""
    room = glance.cluster.room
    kinds = {room.kind_of(a) for _, some in (*run.placement, *place) for a in some} - {None}
    known = [facts(kind or "") for kind in kinds]
    return all(one is None or (one.moves and one.admits(width(place))) for one in known)
