"""Who takes whose place when leases end: seats for those whose turn it is, and what is left over for the others.

A seat is a placement that is free once those who were asked to stop have stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ..envs.cluster import ClusterView
from ..envs.placement import Place
from ..envs.room import Room
from ..envs.roster import Running
from ..envs.space import Space
from ..envs.vocabulary import Decision, Placement, Start
from ..traces.job import Job, Shape
from .crowd import kind_of
from .ranked import fitting, in_order, submitted

Seats = dict[int, Placement]
"""Job -> where it is to stand, until it does."""


def gives_way(running: Running) -> bool:
    """Whether a run may be stopped now: it holds accelerators, may be stopped at all, and is not on its way already."""
    return running.job.gang > 0 and running.preemptible


def seats(jobs: Iterable[Job], place: Place, room: Space) -> Seats:
    """Places for jobs in a room that is to come, which they take: the largest gangs first. Some may find none."""
    found: Seats = {}
    for job in sorted(jobs, key=lambda job: -job.gang):
        if placement := place(job, room):
            room.take(job, placement)
            found[job.id] = placement
    return found


def stays(running: Running, room: Space) -> bool:
    """Whether a run that has lost its turn can stay, as nobody wants its place. Then it takes it again."""
    return room.took(running.job, running.placement, running.share)


def seated(awaited: Seats, cluster: ClusterView) -> Iterator[Decision]:
    """Starts those whose seats are free. Seats that will not become free any more are given up."""
    if not awaited:
        return
    room = cluster.room.scratch()
    leaving = any(running.stopping or running.goes for running in cluster.running)
    for key, placement in list(awaited.items()):
        if key in cluster.pending and room.took(cluster.pending[key], placement):
            del awaited[key]
            yield Start(key, placement)
        elif key not in cluster.running and key not in cluster.held and not (leaving and key in cluster.pending):
            del awaited[key]


def filled(
    awaited: Seats, cluster: ClusterView, place: Place, groups: Callable[[Job], Iterable[str]]
) -> Iterator[Decision]:
    """Starts whoever fits, oldest first, beside those who are still to take their seats.

    Args:
        awaited: those who are; nobody else begins on kinds where they are to stand.
        cluster: the ledger.
        place: where a job may stand.
        groups: the groups that a job with accelerators is tried on, in this order; "" for wherever `place` says.
    """
    room, failed = cluster.room, set[tuple[Shape, str]]()
    kept = {group_of(placement, room) for placement in awaited.values()}
    for job in in_order(cluster, submitted, fitting(cluster)):
        shape = room.shape(job)
        for group in () if job.id in awaited else groups(job) if job.gang else ("",):
            if group in kept or (shape, group) in failed:
                continue
            placement = place(only(job, group, room), room)
            if placement and not (job.gang and group_of(placement, room) in kept):
                yield Start(job.id, placement)
                break
            failed.add((shape, group))


def only(job: Job, group: str, room: Room) -> Job:
    """The job, as if it could stand on the kind of one group alone."""
    return replace(job, kinds=(kind_of(room, group),)) if group else job


def group_of(placement: Placement, room: Room) -> str:
    """The group on which a job with accelerators stands."""
    return room.bays[room.seat[placement[0][1][0].partition("#")[0]][0]].group
