"""A row of a menu, and what those who make rows look at."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import import_module

import numpy as np

from ...traces.job import Job, Shape
from ..cluster import ClusterView
from ..features import describe
from ..placement import Place
from ..reclaims import to_come
from ..roster import Columns, Floats, Running
from ..space import Space
from ..vocabulary import Decision, Placement

VERBS = ("start", "preempt", "move", "resize", "cap", "provision", "release", "reserve")
"""What a row does; its number is the verb of an `Offer`."""
START, PREEMPT, MOVE, RESIZE, CAP, PROVISION, RELEASE, RESERVE = range(len(VERBS))


@dataclass(frozen=True, slots=True)
class Offer:
    """Decisions that can be made together, and what they would cost and bring. Unknown is 0.

    Attributes:
        verb: position in `VERBS`.
        decisions: what is decided, in this order; empty for a start that cannot be now, and for a reservation.
        job: whose features stand in its row, if any: one that waits, else one that runs.
        place: where it would stand then.
        key: what may be decided once in a moment; None for what may be again.
        before: its pace now, as a part of its recorded one; 0 if it does not run.
        after: its pace then.
        change: accelerators then over those now.
        lost: accelerator-seconds of restarts that it would cost.
        victims: those who are stopped.
        watts: drawn more, less than 0 if saved.
        usd: an hour more, less than 0 if saved.
        nodes: that come, less than 0 if they go.
        blocked: accelerators that candidates wait for, beyond those on their way; less than 0 where nodes would go.
    """

    verb: int
    decisions: tuple[Decision, ...]
    job: int | None = None
    place: Placement | None = None
    key: tuple[object, ...] | None = None
    before: float = 0.0
    after: float = 0.0
    change: float = 1.0
    lost: float = 0.0
    victims: tuple[Running, ...] = ()
    watts: float = 0.0
    usd: float = 0.0
    nodes: int = 0
    blocked: int = 0

    @property
    def legal(self) -> bool:
        """Whether it can be chosen now."""
        return bool(self.decisions) or self.verb == RESERVE


Fits = dict[tuple[Shape, str | None], "Placement | None"]


@dataclass(slots=True)
class Memory:
    """What a codec remembers from one menu to the next.

    Attributes:
        fits: (shape, group) -> a place, true while the room has not changed.
        version: of the room, when they were found.
        room: whose version that is.
        now: the moment of `done`.
        done: keys of offers that were taken in this moment.
        meter: whose prices `usual` is made of.
        usual: site -> what its carbon intensity usually is, g/kWh.
        priced: when that was, seconds.
    """

    fits: Fits
    version: int = -1
    room: object = None
    now: float = -1.0
    done: frozenset[tuple[object, ...]] = frozenset()
    meter: object = None
    usual: dict[str, float] = field(default_factory=dict)
    priced: float = 0.0

    def follow(self, cluster: ClusterView) -> None:
        """Forgets what is no longer true."""
        if self.room is not cluster.room:
            self.done = frozenset()
        if self.room is not cluster.room or self.version != cluster.room.version:
            self.fits, self.version, self.room = {}, cluster.room.version, cluster.room
        if self.now != cluster.now:
            self.now, self.done = cluster.now, frozenset()


class Glance:
    """A ledger as those who make offers look at it: what several of them need is found once.

    Args:
        cluster: the ledger.
        place: proposes placements.
        keys: the candidates: ids of waiting jobs, in order of submission.
        quantum: seconds that a run must have had before it may be stopped, moved or resized.
        memory: of the codec.
    """

    def __init__(self, cluster: ClusterView, place: Place, keys: list[int], quantum: float, memory: Memory) -> None:
        self.cluster, self.place, self.keys, self.quantum, self.memory = cluster, place, keys, quantum, memory
        memory.follow(cluster)

    def fit(self, job: Job, group: str | None = None) -> Placement | None:
        """Where a waiting job could start, in one group if that is given; jobs of one shape share the answer."""
        key = self.cluster.room.shape(job), group
        fits = self.memory.fits
        if key not in fits:
            fits[key] = self.place(job if group is None else within(job, group), self.cluster.room)
        return fits[key]

    @cached_property
    def those(self) -> Floats:
        """Columns of the candidates, shape (18, candidates)."""
        return self.cluster.pending.columns.of(self.keys)

    @cached_property
    def described(self) -> tuple[Floats, tuple[float, ...]]:
        """What is told of the candidates and of the cluster: see `features.describe`."""
        pending = self.cluster.pending
        return describe(self.cluster, self.those, [self.fit(pending[key]) is not None for key in self.keys])

    @cached_property
    def blocked(self) -> list[Job]:
        """Candidates that cannot start now though their tenants may have what they ask for, shortest first."""
        pending, left = self.cluster.pending, self.those[Columns.SHORT] - self.those[Columns.ATTAINED]
        jobs = (pending[self.keys[row]] for row in left.argsort(kind="stable").tolist())
        return [job for job in jobs if self.fit(job) is None and self.cluster.room.admits(job)]

    @cached_property
    def to_come(self) -> Space:
        """The room there will be when all who are stopping have stopped. It is for reading."""
        return to_come(self.cluster)

    @cached_property
    def settled(self) -> list[Running]:
        """Runs that may be stopped or moved: they have had their quantum, and are not on their way already."""
        limit = self.cluster.now - self.quantum
        return [
            run
            for run in self.cluster.running
            if run.job.preemptible
            and not run.stopping
            and run.goes is None
            and run.since <= limit
            and run.since < self.cluster.now
        ]

    def left(self, run: Running) -> float:
        """Seconds that a run is expected to need; infinite without an estimate."""
        estimate = run.job.estimate
        return np.inf if estimate is None else max(estimate - run.served(self.cluster.now), 0.0)


def within(job: Job, group: str) -> Job:
    """The same job, that wants to be in one group of the room alone: a kind, or a kind at a site."""
    kind, _, site = group.partition("@")
    return replace(job, kinds=(kind,), sites=(site,) if site else job.sites)


Offers = Callable[[Glance], Iterable[Offer]]


@cache
def found(name: str) -> Offers:
    """What makes the offers of a file of this room."""
    offers: Offers = import_module(f"{__package__}.{name}").offers
    return offers


def known() -> list[str]:
    """The files of this room that make offers."""
    from . import __path__ as where

    return sorted(module.name for module in pkgutil.iter_modules(where) if module.name != "offer")


def made(glance: Glance, names: Iterable[str]) -> Iterator[Offer]:
    """All offers of these files that were not taken in this moment."""
    for name in names:
        for offer in found(name)(glance):
            if offer.key is None or offer.key not in glance.memory.done:
                yield offer
