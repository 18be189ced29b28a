"""Who should run now, of all who wait and all who run: what policies that share a cluster in turns have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ..envs.cluster import ClusterView
from ..envs.placement import Place
from ..envs.roster import Floats, Running
from ..envs.vocabulary import Decision, Preempt, Start
from ..traces.job import Job


@dataclass(frozen=True, slots=True)
class Everybody:
    """All jobs that wait or run, as arrays of shape (n,): those that wait first.

    Attributes:
        keys: their ids.
        runs: whether each runs.
        gang: accelerators that it holds, or wants.
        served: seconds that it has run in all.
        submit, order: when it came, and its place in the order of submission.
        estimate: seconds, NaN where unknown.
        since: when this run began, seconds; NaN for those that wait.
    """

    keys: list[int]
    runs: npt.NDArray[np.bool_]
    gang: Floats
    served: Floats
    submit: Floats
    order: Floats
    estimate: Floats
    since: Floats

    def ranked(self, *scores: Floats) -> list[int]:
        """The ids by the first score, then the next, then the order of submission; smallest first."""
        rows = np.lexsort((self.order, *reversed(scores)))
        return [self.keys[row] for row in rows.tolist()]


def everybody(cluster: ClusterView) -> Everybody:
    """All jobs that wait or run."""
    waiting, running = cluster.pending.columns, cluster.running.columns
    now = np.concatenate([waiting.attained, running.attained + cluster.now - running.since])
    both = {
        name: np.concatenate([getattr(waiting, name), getattr(running, name)])
        for name in ("gang", "submit", "order", "estimate", "since")
    }
    runs = np.arange(len(waiting) + len(running)) >= len(waiting)
    return Everybody([*waiting.keys, *running.keys], runs, both["gang"], now, both["submit"], both["order"],
                     both["estimate"], both["since"])  # fmt: skip


def serve(cluster: ClusterView, ranked: Iterable[int], place: Place, least: float = 0.0) -> Iterator[Decision]:
    """Lets the first of a ranking run, as many as the cluster holds: stops others for them, and starts who fits.

    Who would run is found on counts, first come first served in the ranking; those that do not fit are passed over. A
    run is left alone if it may not be preempted or has not yet had `least` seconds. Nobody is stopped unless somebody
    who should run needs the room.
    """
    chosen, short = _chosen(cluster, ranked, least)
    refused: set[object] = set()
    blocked = False
    for key in chosen:
        if key not in cluster.pending:
            continue
        job = cluster.pending[key]
        shape = cluster.room.shape(job)
        if shape not in refused and (placement := place(job, cluster.room)) is not None:
            yield Start(key, placement)
        else:
            refused.add(shape)
            blocked = True
    if blocked:
        coming = sum(run.gang for run in cluster.running if run.stopping)
        wanted = sum(cluster.pending[key].gang for key in chosen if key in cluster.pending)
        for run in short:
            if coming + cluster.room.spare >= wanted:
                return
            if run.job.id in cluster.running and not run.stopping:
                coming += run.gang
                yield Preempt(run.job.id)


def _chosen(cluster: ClusterView, ranked: Iterable[int], least: float) -> tuple[list[int], list[Running]]:
    """Who should run, in order; and who runs and should not, the last in the ranking first."""
    room, now = cluster.room, cluster.now
    left = {kind: float(count) for kind, count in room.count.items()}
    pinned: set[int] = set()
    for run in cluster.running:
        if _pinned(run, now, least):
            pinned.add(run.job.id)
        if run.stopping or run.job.id not in pinned:
            _count(cluster, run, left)
    chosen: list[int] = []
    out: list[Running] = []
    for key in ranked:
        if key in pinned:
            continue
        here = None if key in cluster.pending else cluster.running[key]
        job = cluster.pending[key] if here is None else here.job
        kinds = _kinds(cluster, here, job)
        kind = next((one for one in kinds if left.get(one, 0.0) >= job.gang * job.share), None)
        if kind is not None or not job.gang:
            chosen.append(key)
            if kind is not None:
                left[kind] -= job.gang * job.share
        elif here is not None:
            out.append(here)
    return chosen, out[::-1]


def _pinned(run: Running, now: float, least: float) -> bool:
    return (
        not run.job.preemptible or run.stopping or run.goes is not None or now - run.since < least or now <= run.since
    )


def _kinds(cluster: ClusterView, run: Running | None, job: Job) -> tuple[str, ...]:
    """The groups where it could be counted: where it runs, or those that it accepts."""
    if run is None:
        return cluster.room.accepted(job) if cluster.room.admits(job) else ()
    group = _group(cluster, run)
    return () if group is None else (group,)


def _group(cluster: ClusterView, run: Running) -> str | None:
    there = next((accelerator for _, some in run.placement for accelerator in some), None)
    return None if there is None else cluster.room.bays[cluster.room.seat[there.partition("#")[0]][0]].group


def _count(cluster: ClusterView, run: Running, left: dict[str, float]) -> None:
    """What a run would leave if it went."""
    if (group := _group(cluster, run)) is not None:
        left[group] = left.get(group, 0.0) + run.gang * run.share


T = TypeVar("T")


@dataclass
class Recall(Generic[T]):
    """What a policy remembers of jobs, forgotten when they end and when another session begins.

    Attributes:
        of: job -> what is remembered.
    """

    of: dict[int, T] = field(default_factory=dict)
    _cluster: object = None
    _now: float = -1.0

    def follow(self, cluster: ClusterView) -> dict[int, T]:
        """Forgets jobs that neither wait nor run nor are held, and returns what was remembered of them.

        If the ledger is another one, everything is forgotten.
        """
        if self._cluster is not cluster or cluster.now < self._now:
            self._cluster, self.of = cluster, {}
        self._now = cluster.now
        there = cluster.pending, cluster.running, cluster.held
        gone = [key for key in self.of if not any(key in some for some in there)]
        return {key: self.of.pop(key) for key in gone}
