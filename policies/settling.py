"""How a division of a cluster among jobs becomes starts, resizes and stops.

Nobody is stopped or shrunk unless somebody who is to have more needs the room, and would find a place in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.offers.offer import within
from ..envs.placement import Place
from ..envs.room import Room, width
from ..envs.roster import Columns, Running
from ..envs.space import Space
from ..envs.vocabulary import Decision, InvalidDecision, Placement, Preempt, Resize, Start
from ..traces.job import Job, Shape
from .gangs import Claim, coming
from .ranked import in_order, submitted


def small(cluster: ClusterView, place: Place) -> Iterator[Start]:
    """Starts jobs that want part of an accelerator, or none, where they fit, oldest first."""
    columns = cluster.pending.columns
    held, gang = columns.column(Columns.HELD), columns.gang
    failed: set[Shape] = set()
    for job in in_order(cluster, submitted, np.flatnonzero((held < gang) | (gang == 0))):
        if (shape := cluster.room.shape(job)) not in failed:
            if placement := place(job, cluster.room):
                yield Start(job.id, placement)
            else:
                failed.add(shape)


@dataclass(slots=True)
class Settling:
    """Makes a division real.

    Attributes:
        cluster: the ledger.
        place: where a job may stand.
        worth: whether a run that could grow shall.
        refused: what found no place, until somebody has left.
    """

    cluster: ClusterView
    place: Place
    worth: Callable[[Claim], bool]
    refused: set[tuple[object, ...]] = field(default_factory=set)

    def decisions(self, given: Sequence[Claim], others: Sequence[Claim]) -> Iterator[Decision]:
        """Yields starts and growths that have room, and stops and shrinkings for those that have none.

        Args:
            given: those that were given something, whom to serve first.
            others: runs that were given nothing, whom to stop last.
        """
        unmet = []
        for claim in given:
            if claim.run is None or (claim.gang > claim.run.gang and self.worth(claim)):
                if (placement := self._seat(claim, self.cluster.room)) is None:
                    unmet.append(claim)
                else:
                    yield _decision(claim, placement)
        if unmet:
            able = [claim for claim in given if claim.run is not None and claim.gang < claim.run.gang]
            yield from self._make_room(unmet, [*reversed(others), *reversed(able)])

    def _seat(self, claim: Claim, room: Room) -> Placement | None:
        """Where a claim could have what it was given, if the ledger would have it."""
        key = (id(room), room.version, room.shape(claim.job), claim.gang, claim.group)
        if claim.run is None and key in self.refused:
            return None
        trial = room.scratch()
        if claim.run is not None:
            trial.release(claim.run)
        placement = self.place(resized(claim.job, claim.gang, claim.group), trial)
        if placement is not None and width(placement) == claim.gang and allowed(claim, placement, room):
            return placement
        self.refused.add(key)
        return None

    def _make_room(self, unmet: Sequence[Claim], givers: list[Claim]) -> Iterator[Decision]:
        """As few give way as somebody needs, and none for one who would find no place all the same."""
        room = coming(self.cluster)
        for claim in unmet:
            placement, gone = self._seat(claim, room), list[tuple[Claim, Placement | None]]()
            trial = room.scratch()
            for giver in givers if placement is None else ():
                if claim.group in giver.ladders:
                    gone += _gives(giver, trial, self.cluster.room)
                    if gone and (placement := self._seat(claim, trial)) is not None:
                        break
            if placement is not None:
                room = trial
                if claim.run is not None:
                    room.release(claim.run)
                room.take(claim.job, placement)
                left = {giver.job.id for giver, _ in gone}
                givers = [giver for giver in givers if giver.job.id not in left]
                yield from (_gone(giver, smaller) for giver, smaller in gone)
            elif claim.run is None and (less := self._less(claim)) is not None:
                yield less

    def _less(self, claim: Claim) -> Start | None:
        """A start with fewer accelerators than it was given, as many as there are."""
        full = claim.rung
        for rung in range(full - 1, -1, -1):
            claim.rung = rung
            if (placement := self._seat(claim, self.cluster.room)) is not None:
                return Start(claim.job.id, placement)
        claim.rung = full
        return None


def _gives(giver: Claim, trial: Space, room: Room) -> list[tuple[Claim, Placement | None]]:
    """Takes out of a trial what somebody gives up; nothing if the ledger would not have it smaller."""
    assert giver.run is not None
    smaller = None if giver.rung < 0 else shrunk(giver.run, giver.gang)
    if smaller is not None and not allowed(giver, smaller, room):
        return []
    trial.release(giver.run)
    try:
        if smaller is not None:
            trial.take(giver.job, smaller)
    except InvalidDecision:  # what its tenant had borrowed somebody else has taken in the trial
        trial.put_back(giver.run)
        return []
    return [(giver, smaller)]


def _gone(giver: Claim, smaller: Placement | None) -> Decision:
    return Preempt(giver.job.id) if smaller is None else Resize(giver.job.id, smaller)


def _decision(claim: Claim, placement: Placement) -> Decision:
    return Start(claim.job.id, placement) if claim.run is None else Resize(claim.job.id, placement)


def resized(job: Job, gang: int, group: str) -> Job:
    """The job as if it had asked for this gang in this group, its CPUs and host memory in proportion."""
    part = gang / max(job.gang, 1)
    cpus = None if job.cpus is None else job.cpus * part
    memory = None if job.host_memory is None else round(job.host_memory * part)
    return within(replace(job, gang=gang, cpus=cpus, host_memory=memory, min_gang=None, max_gang=None), group)


def shrunk(run: Running, gang: int) -> Placement:
    """So much of a run's place: whole nodes are left first."""
    parts = []
    for node, some in sorted(run.placement, key=lambda part: -len(part[1])):
        if (count := min(gang, len(some))) > 0:
            parts.append((node, some[:count]))
            gang -= count
    return tuple(parts)


def allowed(claim: Claim, placement: Placement, room: Room) -> bool:
    """Whether the ledger would have a claim's job there, its own place given back in part as it goes."""
    trial = room.scratch()
    try:
        if claim.run is None:
            trial.take(claim.job, placement)
        else:
            trial.extend(claim.job, claim.run.placement, placement, claim.run.share)
    except InvalidDecision:
        return False
    return True
