"""Stops of running jobs that make room for one that waits, as few as it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...traces.job import Job
from ..room import width
from ..roster import Running
from ..vocabulary import Preempt
from .offer import PREEMPT, Glance, Offer

JOBS = 3
"""Waiting jobs for which others may be stopped: the shortest, the oldest and the one with the least attained."""
RESTART = 60.0
"""Seconds that a restart is taken to cost: what the features of a row say, not what it will."""


def offers(glance: Glance) -> Iterator[Offer]:
    """For each of a few waiting jobs: those stopped who still need longest, and those who had most."""
    if not glance.blocked or not (settled := glance.settled):
        return
    now = glance.cluster.now
    longest = sorted(settled, key=lambda run: (-glance.left(run), -run.order))
    served = sorted(settled, key=lambda run: (-run.served(now) * run.gang, -run.order))
    for job in _jobs(glance):
        seen: set[tuple[int, ...]] = set()
        for line in (longest, served):
            victims = _victims(glance, job, line)
            ids = tuple(sorted(run.job.id for run in victims))
            if victims and ids not in seen:
                seen.add(ids)
                yield _offer(job, victims)


def _jobs(glance: Glance) -> list[Job]:
    """Whom to make room for, but those for whom it is being made."""
    blocked, cluster = glance.blocked, glance.cluster
    first = blocked[0], min(blocked, key=lambda j: j.submit), min(blocked, key=lambda j: cluster.attained(j.id))
    jobs = {job.id: job for job in first if job.share == 1 and job.gang}
    return [job for job in jobs.values() if glance.place(job, glance.to_come) is None][:JOBS]


def _victims(glance: Glance, job: Job, line: Sequence[Running]) -> list[Running]:
    """The first of a line whose leaving makes room, without those who make no difference; none if nobody's does."""
    room = glance.to_come.scratch()
    kinds = set(room.accepted(job))
    taken: list[Running] = []
    for run in line:
        if not any(room.bays[room.seat[a.partition("#")[0]][0]].group in kinds for _, s in run.placement for a in s):
            continue
        room.release(run)
        taken.append(run)
        if room.free_for(job) >= job.gang and glance.place(job, room) is not None:
            break
    else:
        return []
    needed = []
    for run in reversed(taken):
        room.put_back(run)
        if glance.place(job, room) is None:
            room.release(run)
            needed.append(run)
    return needed


def _offer(job: Job, victims: list[Running]) -> Offer:
    lost = RESTART * sum(width(run.placement) for run in victims)
    return Offer(PREEMPT, tuple(Preempt(run.job.id) for run in victims), job.id, lost=lost, victims=tuple(victims))
