"""What a law of nature is, and what it can do to the world.

A law is a frozen record of its parameters: as it stands in a scenario's TOML. What it needs to remember while a world
goes on is a second object, which `begin` makes. A world without laws is the plain simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Any, Protocol

import numpy as np

from ...traces.job import Job, Trace
from ...traces.trouble import BadInput
from ..nodes import Node
from ..vocabulary import Event, Placement, Tuning

Filename = Annotated[str, "a file"]
"""A key of a law that may name a file: a scenario looks for it beside its own."""


@dataclass(slots=True, eq=False)
class Run:
    """A job in its place, as the world has it.

    Attributes:
        job: what was asked.
        placement: where it stands.
        accelerators: all of them (MIG instances by their own ids).
        share: part of each accelerator that it was given.
        tuning: what it was told.
        since: when it took its place, seconds.
        begins: when it began, or will begin, to work.
        total: seconds of work in the whole job, at speed 1.
        base: work that was done and kept before this run.
        done: work that is done at time `at`.
        at: the time of `done`.
        speed: seconds of work in a second, from `at` on; 0 while it is being moved, saved or restored.
        stopping: it is on its way out.
        goes: where it is on its way to.
    """

    job: Job
    placement: Placement
    accelerators: tuple[str, ...]
    share: float
    tuning: Tuning | None
    since: float
    begins: float
    total: float
    base: float
    done: float
    at: float
    speed: float = 1.0
    stopping: bool = False
    goes: Placement | None = None
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Look:
    """A `Sample` in the making: each law fills in what it knows."""

    accelerator: str
    busy: float | None = None
    memory: int | None = None
    watts: float | None = None
    link: float | None = None


class Stage(Protocol):
    """The world as laws see it."""

    @property
    def now(self) -> float:
        """Seconds."""

    @property
    def trace(self) -> Trace:
        """The jobs, and the truth about them."""

    @property
    def machines(self) -> Mapping[str, Node]:
        """All nodes that may ever be there, by id, in the cluster's order."""

    @property
    def up(self) -> Mapping[str, bool]:
        """Node -> whether it is there and works."""

    @property
    def runs(self) -> Mapping[int, Run]:
        """Job -> its run, for jobs that hold a place."""

    def rng(self, *name: str | int) -> np.random.Generator:
        """A generator of the world's seed and a name: what one law draws changes nothing for another."""

    def lots(self, name: str, number: int) -> tuple[float, float]:
        """Two numbers from 0 to below 1, of the world's seed, a name and a number; a generator would be dear."""

    def at(self, time: float, then: Callable[[], None]) -> None:
        """Calls `then` at a time, before jobs are submitted and policies asked."""

    def say(self, event: Event) -> None:
        """Tells the ledger, in the order in which things are said."""

    def on(self, accelerator: str) -> Sequence[Run]:
        """Who stands on an accelerator (on its MIG instances, too), in the order in which they came."""

    def look(self, *accelerators: str) -> None:
        """Has accelerators measured at the end of this moment. Who takes or leaves a place is seen without it."""

    def touch(self, run: Run) -> None:
        """Says that a run's speed may have changed."""

    def end(self, job: int, reason: str) -> None:
        """Ends a job, or its run: "failed", "lost" or "cancelled". A job that waits can only be cancelled."""

    def ready(self, job: int) -> None:
        """A held job joins the queue."""

    def fall(self, node: str, reason: str, accelerators: tuple[str, ...] = ()) -> None:
        """A node goes down, or some of its accelerators; who stood there is lost. Nothing if it is down already.

        Down for several reasons at once it comes back when each of them has risen.
        """

    def rise(self, node: str, reason: str, accelerators: tuple[str, ...] = ()) -> None:
        """What fell for this reason is over."""

    def come(self, node: str) -> None:
        """A node that was provisioned is there."""

    def decline(self, pool: str, nodes: Sequence[str]) -> None:
        """Nodes that were asked for do not come."""


def kinds(stage: Stage) -> dict[str, str]:
    """Accelerator -> its kind, of all that may ever be there."""
    return {a.id: a.kind for node in stage.machines.values() for a in node.accelerators}


def check(law: object, name: str, keys: Iterable[str], fits: Callable[[float], bool], cure: str) -> None:
    """Raises BadInput that names the key if one of a law's numbers does not fit; the cure says what to give."""
    for key in keys:
        if not fits(value := getattr(law, key)):
            raise BadInput(f"{name}: {key} = {value} cannot be; give {cure}")


def positive(value: float) -> bool:
    """Whether a number is finite and above 0."""
    return 0 < value < inf


def not_negative(value: float) -> bool:
    """Whether a number is finite and 0 or more."""
    return 0 <= value < inf


def part(value: float) -> bool:
    """Whether a number is from 0 to 1."""
    return 0 <= value <= 1


class Law(Protocol):
    """One law of nature."""

    def begin(self, stage: Stage) -> object:
        """Makes what follows this law in a world that is about to begin.

        The answer may have any of the methods of `Following`; those that are there are called.
        """


class Following(Protocol):
    """What a law in action may have. All of it is optional; what one law alone can do is marked so."""

    def factor(self, run: Run) -> float:
        """What the run's speed is multiplied by, now. Must not change but when `stage.touch(run)` is called."""

    def started(self, run: Run) -> None:
        """A run has taken its place; also after a move."""

    def stopped(self, run: Run) -> None:
        """A run has left its place; also for a move."""

    def setup(self, run: Run, resumed: bool) -> float:
        """Seconds before the run works: restoring its state, fetching its image and its data."""

    def milestones(self, run: Run) -> Iterable[tuple[float, Callable[[Run], None]]]:
        """(seconds of the job's work, what happens when they are done): asked whenever a run takes a place."""

    def submitted(self, job: Job) -> None:
        """A job has come."""

    def ended(self, job: Job, reason: str) -> None:
        """A job has ended for good."""

    def sense(self, look: Look) -> None:
        """Fills in what this law knows of a look at an accelerator, beside what laws before it have."""

    def capped(self, accelerator: str, watts: float | None) -> None:
        """An accelerator's power limit has changed."""

    def cut(self, accelerator: str, profiles: tuple[str, ...]) -> float:
        """Seconds that an accelerator needs to be partitioned. One law alone."""

    def fits(self, profile: str | None, other: str | None, kind: str) -> bool:
        """Whether jobs of two profiles can work side by side on an accelerator of a kind. One law alone."""

    def offers(self, node: str) -> bool:
        """Whether a node that was asked for can be had now that it would come; else it is declined."""

    def came(self, node: str) -> None:
        """A node that was asked for is there."""

    def provision(self, pool: str, nodes: Sequence[str]) -> None:
        """These nodes are asked for: `come`, later, or `decline`. One law alone, with `release`."""

    def release(self, node: str) -> None:
        """A node is given back: `fall`, with the reason "released". One law alone, with `provision`."""


class Saving(Protocol):
    """What a law of checkpoints has beside: how runs save their work. One law alone."""

    @property
    def requeue(self) -> float:
        """Seconds from a stop to the job's return to the queue."""

    def worked(self, run: Run, now: float) -> float:
        """Seconds of work proper, pauses for snapshots left out, from `run.at` to now."""

    def wall(self, run: Run, seconds: float) -> float:
        """When so many seconds of work proper, counted from `run.at`, are done."""

    def kept(self, run: Run) -> float:
        """Work that is kept if the run is lost now: what was persisted."""

    def stop(self, run: Run) -> float:
        """Seconds from being asked to stop to leaving."""

    def left(self, run: Run) -> float:
        """Work that is kept when a run leaves because it was asked to."""

    def move(self, run: Run, placement: Placement) -> float:
        """Seconds from being asked to move to being elsewhere."""
