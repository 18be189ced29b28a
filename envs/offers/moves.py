"""Moves of running jobs: to fewer nodes, to a kind on which they are faster, away from a node that will go."""

from __future__ import annotations

from collections.abc import Iterator

from ..paces import at
from ..room import width
from ..roster import Running
from ..vocabulary import InvalidDecision, Move, Placement
from .offer import MOVE, Glance, Offer
from .preempts import RESTART

LOOKED_AT = 8
"""Runs that are looked at: those on nodes that will go, on several nodes or slow ones, which still need longest."""
SHOWN = 4
WORTH = 1.05
"""A move must make a job at least so many times as fast, unless its node will go."""


def offers(glance: Glance) -> Iterator[Offer]:
    """The moves that would speed jobs up by most, or save them."""
    found = [offer for run in _looked_at(glance) if (offer := _offer(glance, run)) is not None]
    yield from sorted(found, key=lambda offer: -offer.after / offer.before)[:SHOWN]


def _looked_at(glance: Glance) -> list[Running]:
    room, noticed = glance.cluster.room, glance.cluster.estate.noticed
    several = len(room.kinds) > 1
    able = [
        run
        for run in glance.settled
        if run.share == 1 and run.gang and (several or len(run.placement) > 1 or _doomed(run, noticed))
    ]
    return sorted(able, key=lambda run: (not _doomed(run, noticed), -glance.left(run), run.order))[:LOOKED_AT]


def _doomed(run: Running, noticed: dict[str, float]) -> bool:
    return any(node in noticed for node, _ in run.placement)


def _offer(glance: Glance, run: Running) -> Offer | None:
    """The best place that it could move to, if that is worth it."""
    room, noticed = glance.cluster.room, glance.cluster.estate.noticed
    before, doomed = at(run.job, run.placement, room), _doomed(run, noticed)
    best: tuple[float, Placement] | None = None
    for group in room.accepted(run.job):
        place = glance.fit(run.job, group)
        if place is None or width(place) != run.gang or any(node in noticed for node, _ in place):
            continue
        after = at(run.job, place, room)
        worth = (doomed or after >= WORTH * before) and (best is None or after > best[0])
        if worth and _could_go(glance, run, place):
            best = after, place
    if best is None:
        return None
    lost = RESTART * width(run.placement)
    decision = Move(run.job.id, best[1])
    return Offer(MOVE, (decision,), run.job.id, best[1], ("move", run.job.id), before, best[0], lost=lost)


def _could_go(glance: Glance, run: Running, place: Placement) -> bool:
    """Whether it could have a place now, beside its own until it is there."""
    try:
        glance.cluster.room.scratch().extend(run.job, run.placement, place, run.share)
    except InvalidDecision:
        return False
    return True
