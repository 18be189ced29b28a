"""The cluster's ledger: who waits, who runs where. It knows no clock and does no I/O.

Decisions reserve; only events release. Time is whatever the last event was stamped with.
"""

from __future__ import annotations

from typing import Protocol

from ..traces.job import Job
from .nodes import Node, Nodes
from .room import Room, Space
from .roster import Register, Roster, Running
from .vocabulary import Decision, Event, InvalidDecision, Placement, Preempt, Start, Stopped, Submitted, Tick


class ClusterView(Protocol):
    """What a policy may see: the ledger itself, to be read and never written. Nothing in it tells a true run time."""

    @property
    def now(self) -> float:
        """The time of the last event, seconds."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The machines."""

    @property
    def room(self) -> Room:
        """What is free."""

    @property
    def pending(self) -> Roster[Job]:
        """The jobs that wait."""

    @property
    def running(self) -> Roster[Running]:
        """The jobs that run, those that are stopping among them."""

    def attained(self, job: int) -> float:
        """Seconds of work that a waiting job has done and kept in earlier runs."""


class Cluster:
    """The ledger. `decide` applies a decision whole or refuses it whole; `observe` follows what happened."""

    def __init__(self, nodes: Nodes) -> None:
        self.now = 0.0
        self.nodes = tuple(nodes)
        self.room = self._space = Space(self.nodes)
        self.pending = self._pending = Register[Job](self)
        self.running = self._running = Register[Running](self)
        self._attained: dict[int, float] = {}
        self._submitted = 0

    def attained(self, job: int) -> float:
        """Seconds of work that a waiting job has done and kept in earlier runs."""
        return self._attained.get(job, 0.0)

    def decide(self, decision: Decision) -> None:
        """Applies a decision, or raises InvalidDecision and changes nothing."""
        match decision:
            case Start(job, placement):
                self._start(job, placement)
            case Preempt(job):
                self._preempt(job)

    def observe(self, event: Event) -> None:
        """Follows an event. Raises ValueError if it cannot have happened: a world is broken then, not a policy."""
        if event.time < self.now:
            raise ValueError(f"{event} comes before {self.now}: a world's time never goes back")
        self.now = event.time
        match event:
            case Submitted(_, job):
                self._submit(job)
            case Stopped(_, job_id, reason, progress):
                self._stop(job_id, reason, progress)
            case Tick():
                pass

    def _start(self, job_id: int, placement: Placement) -> None:
        if job_id not in self._pending:
            raise InvalidDecision(f"job {job_id} is not waiting")
        job = self._pending[job_id]
        self._space.take(job, placement)
        _, order, attained = self._pending.leave(job_id)
        self._running.enter(Running(job, placement, self.now, attained, order), job, attained, order, self.now)

    def _preempt(self, job_id: int) -> None:
        if job_id not in self._running:
            raise InvalidDecision(f"job {job_id} is not running")
        running = self._running[job_id]
        if running.stopping:
            raise InvalidDecision(f"job {job_id} is stopping already")
        if not running.job.preemptible:
            raise InvalidDecision(f"job {job_id} may not be preempted")
        running.stopping = True

    def _submit(self, job: Job) -> None:
        if job.id in self._pending or job.id in self._running:
            raise ValueError(f"job {job.id} was submitted twice")
        self._pending.enter(job, job, 0.0, self._submitted)
        self._submitted += 1

    def _stop(self, job_id: int, reason: str, progress: float | None) -> None:
        if job_id not in self._running:
            raise ValueError(f"job {job_id} stopped, but does not run")
        running, order, _ = self._running.leave(job_id)
        self._space.give(running.job, running.placement)
        if reason == "preempted":
            self._attained[job_id] = attained = running.served(self.now) if progress is None else progress
            self._pending.enter(running.job, running.job, attained, order)
        else:
            self._attained.pop(job_id, None)

    def state(self) -> dict[str, object]:
        """All that it knows, in plain values: two ledgers are equal if their states are."""
        return {
            "now": self.now,
            "pending": {j.id: self.attained(j.id) for j in self.pending},
            "running": {r.job.id: (r.placement, r.since, r.attained, r.order, r.stopping) for r in self.running},
            "room": self.room.state(),
            "submitted": self._submitted,
        }
