"""Who should run now, of all who wait and all who run: what policies that share a cluster in turns have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..envs.cluster import ClusterView
from ..envs.placement import Place
from ..envs.reclaims import to_come
from ..envs.room import Room
from ..envs.roster import Columns, Floats, Running
from ..envs.shares import WHOLE, amount, thousandths
from ..envs.space import Space
from ..envs.vocabulary import Decision, Preempt, Start
from ..traces.job import Job, Shape
from .ranked import Rows, fitting


@dataclass(frozen=True, slots=True)
class Everybody:
    """All jobs that wait or run, as arrays of shape (n,): those that wait first.

    Attributes:
        keys: their ids.
        runs: whether each runs.
        gang: accelerators that it holds, or wants.
        held: the same, a share counted as its part.
        served: seconds that it has run in all.
        submit, order: when it came, and its place in the order of submission.
        estimate: seconds, NaN where unknown.
        since: when this run began, seconds; NaN for those that wait.
    """

    keys: list[int]
    runs: npt.NDArray[np.bool_]
    gang: Floats
    held: Floats
    served: Floats
    submit: Floats
    order: Floats
    estimate: Floats
    since: Floats

    def ranked(self, *scores: Floats) -> Rows:
        """The rows by the first score, then the next, then the order of submission; smallest first."""
        return np.lexsort((self.order, *reversed(scores)))


COLUMNS = [Columns.GANG, Columns.HELD, Columns.ATTAINED, Columns.SUBMIT, Columns.ORDER, Columns.ESTIMATE, Columns.SINCE]


def everybody(cluster: ClusterView) -> Everybody:
    """All jobs that wait or run."""
    waiting, running = cluster.pending.columns, cluster.running.columns
    both = (np.concatenate([waiting.column(number), running.column(number)]) for number in COLUMNS)
    gang, held, served, submit, order, estimate, since = both
    runs = np.arange(len(gang)) >= len(waiting)
    served[len(waiting) :] += cluster.now - running.since
    return Everybody([*waiting.keys, *running.keys], runs, gang, held, served, submit, order, estimate, since)


def serve(cluster: ClusterView, jobs: Everybody, ranked: Rows, place: Place, least: float = 0.0) -> Iterator[Decision]:
    """Lets the first of a ranking run, as many as the cluster holds: starts who fits, and stops others for the rest.

    Who should run is found on counts, in the order of the ranking; those that do not fit are passed over. A run is let
    alone if it may not be preempted or has not yet had `least` seconds. Nobody is stopped unless that makes room for
    somebody who should run, the last in the ranking first and as few as it needs. Where it makes none, those behind
    take what is free.

    Args:
        cluster: the ledger.
        jobs: all there are.
        ranked: rows of `jobs`, whom to serve first.
        place: where a job may stand.
        least: seconds.
    """
    touchable = [run for run in cluster.running if not _pinned(run, cluster.now, least)]
    if not touchable and not len(fitting(cluster)):
        return
    chosen, out = _chosen(cluster, jobs, ranked, touchable)
    blocked: list[Job] = []
    refused: set[Shape] = set()
    yield from _starts(cluster, chosen, place, refused, blocked)
    if not blocked:
        return
    gone = list(_leavers(cluster, blocked, out, place))
    if gone:
        yield from (Preempt(run.job.id) for run in gone)
    elif not any(run.stopping for run in cluster.running):
        first = set(chosen)
        rest = [jobs.keys[row] for row in ranked.tolist() if not jobs.runs[row] and jobs.keys[row] not in first]
        yield from _starts(cluster, rest, place, refused, [])


def _starts(
    cluster: ClusterView, keys: Sequence[int], place: Place, refused: set[Shape], blocked: list[Job]
) -> Iterator[Start]:
    """Starts who fits, and notes who does not; what one shape was refused, others of it are not asked again."""
    pending, room = cluster.pending, cluster.room
    for key in keys:
        job = pending[key]
        shape = room.shape(job)
        if shape not in refused and (placement := place(job, room)) is not None:
            yield Start(key, placement)
        else:
            refused.add(shape)
            blocked.append(job)


def _leavers(cluster: ClusterView, blocked: Sequence[Job], out: list[Running], place: Place) -> Iterator[Running]:
    """Who has to leave for those that should run and found no room, as far as that helps them."""
    trial, hopeless = to_come(cluster), set[Shape]()
    for job in blocked:
        if (shape := trial.shape(job)) not in hopeless:
            if (gone := _leaving(job, out, trial, place)) is None:
                hopeless.add(shape)
            else:
                yield from gone


def _leaving(job: Job, out: list[Running], trial: Space, place: Place) -> list[Running] | None:
    """Who has to leave a trial room so that a job finds its place there, which it then takes; None if that is no help.

    They are taken from `out`, last in the ranking first; the best of them are spared if the job can do without.
    """
    gone, placement = list[Running](), place(job, trial)
    groups = set(trial.accepted(job))
    helpful = [run for run in out if not job.gang or group_of(trial, run) in groups] if placement is None else []
    for run in helpful:
        trial.release(run)
        gone.append(run)
        if trial.free_for(job) >= job.gang * (job.share == 1) and (placement := place(job, trial)) is not None:
            break
    for run in gone[::-1]:
        trial.put_back(run)
        spared = None if placement is None else place(job, trial)
        if placement is None or spared is not None:
            placement = spared
            gone.remove(run)
        else:
            trial.release(run)
    if placement is None:
        return None
    trial.take(job, placement)
    out[:] = [run for run in out if run not in gone]
    return gone


def _chosen(
    cluster: ClusterView, jobs: Everybody, ranked: Rows, touchable: list[Running]
) -> tuple[list[int], list[Running]]:
    """Who waits and should run, in order; and who runs and should not, the last in the ranking first."""
    room, keys, runs = cluster.room, jobs.keys, jobs.runs
    free = {run.job.id: run for run in touchable}
    able = ~runs
    able[[row for row in range(len(cluster.pending), len(keys)) if keys[row] in free]] = True
    rows = ranked[able[ranked]]
    needs, there = jobs.held[rows], runs[rows].tolist()
    counts = _Counts(room, touchable, float(needs[runs[rows]].sum()))
    fewest = np.minimum.accumulate(needs[::-1])[::-1].tolist()
    chosen, kept = list[int](), set[int]()
    for row, need, run, least in zip(rows.tolist(), needs.tolist(), there, fewest, strict=True):
        if least > counts.most:
            break
        if need <= counts.most:
            key = keys[row]
            if run and counts.keep(free[key], need):
                kept.add(key)
            elif not run and counts.take(cluster.pending[key], need):
                chosen.append(key)
    last = (keys[row] for row in rows[runs[rows]][::-1].tolist())
    return chosen, [free[key] for key in last if key not in kept]


class _Counts:
    """How many accelerators of each group are to be had, and what tenants may have, if those that may be were stopped.

    Attributes:
        most: the largest count of a group.
    """

    def __init__(self, room: Room, touchable: list[Running], held: float) -> None:
        self._room, self._left = room, {group: float(count) for group, count in room.count.items()}
        for accelerator, part in room.left.items():
            self._left[room.bays[room.seat[accelerator][0]].group] += part / WHOLE
        self._holdings = None if room.holdings is None else room.holdings.copy()
        self._only = room.kinds[0] if len(room.kinds) == 1 else None
        if self._only is not None:
            self._left[self._only] += held
        for run in touchable if self._only is None or self._holdings is not None else ():
            if self._only is None and run.gang:
                self._left[group_of(room, run)] += run.gang * run.share
            self._pay(run.job, -run.gang * thousandths(run.share))
        self.most = max(self._left.values(), default=0.0)

    def keep(self, run: Running, need: float) -> bool:
        """Lets a run stay where it is, if it can."""
        return self._give(run.job, self._only or group_of(self._room, run), need)

    def take(self, job: Job, need: float) -> bool:
        """Gives a waiting job its first group that has enough."""
        accepted = self._room.accepted(job)
        group = next((one for one in accepted if self._left[one] >= need), None) if need else ""
        return group is not None and self._give(job, group, need)

    def _give(self, job: Job, group: str, need: float) -> bool:
        if need and self._left[group] < need:
            return False
        if self._holdings is not None:
            if not self._holdings.may(job.tenant, amount(job)):
                return False
            self._pay(job, amount(job))
        if need:
            self._left[group] -= need
            self.most = self._left[group] if self._only is not None else max(self._left.values())
        return True

    def _pay(self, job: Job, more: int) -> None:
        if self._holdings is not None:
            self._holdings.change(job.tenant, more)


def _pinned(run: Running, now: float, least: float) -> bool:
    since = run.since
    return now - since < least or now <= since or not run.preemptible


def group_of(room: Room, run: Running) -> str:
    """The group on which a run stands, "" if it has no accelerators."""
    for _, some in run.placement:
        for accelerator in some:
            seat = room.seat.get(accelerator) or room.seat[accelerator.partition("#")[0]]
            return room.bays[seat[0]].group
    return ""
