"""The cluster's ledger: who waits, who runs where. It knows no clock and does no I/O.

Decisions reserve; only events release. Time is whatever the last event was stamped with.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Protocol

from ..traces.job import Job
from .estate import Estate
from .kinds import kind as facts
from .meter import Meter
from .mig import instances
from .nodes import Node, Nodes
from .room import Room, width
from .roster import Register, Roster, Running
from .shares import Fits
from .space import Space
from .tenants import Tenants
from .vocabulary import (
    BACK,
    EVERY,
    Billed,
    Cap,
    Decision,
    Declined,
    Event,
    Foreseen,
    InvalidDecision,
    Measured,
    Move,
    Moved,
    NodeDown,
    NodeUp,
    Notice,
    Partition,
    Partitioned,
    Preempt,
    Priced,
    Provision,
    Ready,
    Release,
    Resize,
    Resized,
    Start,
    Stopped,
    Submitted,
    Tick,
    Tuning,
)


class ClusterView(Protocol):
    """What a policy may see: the ledger itself, to be read and never written. Nothing in it tells a true run time."""

    @property
    def now(self) -> float:
        """The time of the last event, seconds."""

    @property
    def does(self) -> frozenset[type]:
        """The kinds of decisions that this world can make real."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The machines, those that are not there at the moment included."""

    @property
    def room(self) -> Room:
        """What is free."""

    @property
    def pending(self) -> Roster[Job]:
        """The jobs that wait."""

    @property
    def held(self) -> Mapping[int, Job]:
        """The jobs that may not start yet: others come before them, or their requeue delay is not over."""

    @property
    def running(self) -> Roster[Running]:
        """The jobs that run, those that are stopping among them."""

    @property
    def estate(self) -> Estate:
        """The machines by state: up, absent, down; pools, power limits."""

    @property
    def meter(self) -> Meter:
        """What was last measured, prices, and what has run up: energy, carbon, money."""

    @property
    def foreseen(self) -> Foreseen | None:
        """What a predictor last said will be asked for; None where nobody predicts."""

    @property
    def lines(self) -> Mapping[str | None, Mapping[int, Job]]:
        """Tenant -> its waiting jobs in order of entry; kept only where there are tenants."""

    @property
    def tenants(self) -> Tenants | None:
        """Who may hold how much, None for no limits."""

    def attained(self, job: int) -> float:
        """Seconds of work that a waiting job has done and kept in earlier runs."""


class Cluster:
    """The ledger. `decide` applies a decision whole or refuses it whole; `observe` follows what happened."""

    def __init__(
        self,
        nodes: Nodes,
        tenants: Tenants | None = None,
        fits: Fits | None = None,
        does: frozenset[type] = EVERY,
    ) -> None:
        self.now, self.does = 0.0, does
        self.nodes = tuple(nodes)
        self.tenants = tenants
        self.room = self._space = Space(self.nodes, tenants, fits)
        self.estate = Estate(self.nodes)
        self.meter = Meter(self.estate.nodes)
        self.pending = self._pending = Register[Job](self)
        self.running = self._running = Register[Running](self)
        self.foreseen: Foreseen | None = None
        self.held: dict[int, Job] = {}
        self.lines: dict[str | None, dict[int, Job]] = {}
        """Tenant -> its waiting jobs in order of entry; kept only where there are tenants."""
        self._attained: dict[int, float] = {}
        self._orders: dict[int, int] = {}
        self._submitted = 0

    def attained(self, job: int) -> float:
        """Seconds of work that a waiting job has done and kept in earlier runs."""
        return self._attained.get(job, 0.0)

    def decide(self, decision: Decision) -> None:
        """Applies a decision, or raises InvalidDecision and changes nothing."""
        match decision:
            case Start():
                self._start(decision)
            case Preempt(job):
                self._preempt(job)
            case Move() | Resize():
                self._relocate(decision)
            case Partition(accelerator, profiles):
                self._partition(decision, accelerator, profiles)
            case Cap():
                self.estate.cap(decision)
            case Provision():
                self.estate.provision(decision)
            case Release(node):
                self._release(node)

    def observe(self, event: Event) -> None:
        """Follows an event. Raises ValueError if it cannot have happened: a world is broken then, not a policy."""
        if event.time < self.now:
            raise ValueError(f"{event} comes before {self.now}: a world's time never goes back")
        if self.meter.runs:
            self.meter.go(event.time - self.now)
        self.now = event.time
        match event:
            case Submitted(_, job):
                self._submit(job)
            case Stopped(_, job_id, reason, progress, _, held):
                self._stop(job_id, reason, progress, held)
            case Measured():
                self.meter.measure(event)
            case Tick():
                pass
            case Ready(_, job_id):
                if job_id not in self.held:
                    raise ValueError(f"{event}: it is not held")
                self._enter(self.held.pop(job_id), self._orders.pop(job_id))
            case Moved(_, job_id) | Resized(_, job_id):
                self._arrive(job_id)
            case Partitioned(_, accelerator, profiles):
                self.estate.partitioned(event)
                self._space.cut(accelerator, profiles)
            case NodeUp(_, node, accelerators):
                if self.estate.went_up(event):
                    self.meter.up(node)
                self._space.rise(node, accelerators)
            case NodeDown(_, node, _, accelerators):
                if self.estate.went_down(event):
                    self.meter.down(node, event.time)
                self._space.fall(node, accelerators)
            case Notice():
                self.estate.notice(event)
            case Declined():
                self.estate.declined(event)
            case Priced():
                self.meter.price(event)
            case Billed():
                self.meter.bill(event)
            case Foreseen():
                self.foreseen = event

    def _start(self, start: Start) -> None:
        if start.job not in self._pending:
            raise InvalidDecision(f"job {start.job} is {'held' if start.job in self.held else 'not waiting'}")
        job = self._pending[start.job]
        share = job.share if start.share is None else start.share
        if not 0 < share <= job.share:
            raise InvalidDecision(f"job {job.id} asks for {job.share} of an accelerator, it cannot be given {share}")
        _tell(job, start.tuning)
        self._space.take(job, start.placement, share)
        _, order, attained = self._pending.leave(start.job)
        if self.tenants is not None:
            del self.lines[job.tenant][job.id]
        running = Running(job, start.placement, self.now, attained, order, False, share, start.tuning)
        self._running.enter(running, job, attained, order, self.now)

    def _preempt(self, job_id: int) -> None:
        running = self._settled(job_id)
        if not running.job.preemptible:
            raise InvalidDecision(f"job {job_id} may not be preempted")
        running.stopping = True

    def _settled(self, job_id: int) -> Running:
        """A run that is neither on its way out nor elsewhere."""
        if job_id not in self._running:
            raise InvalidDecision(f"job {job_id} is not running")
        running = self._running[job_id]
        if running.stopping:
            raise InvalidDecision(f"job {job_id} is stopping already")
        if running.goes is not None:
            raise InvalidDecision(f"job {job_id} is on its way to another place already")
        return running

    def _relocate(self, move: Move | Resize) -> None:
        job_id, placement, resize = move.job, move.placement, isinstance(move, Resize)
        running = self._settled(job_id)
        job, count = running.job, width(placement)
        _tell(job, move.tuning)
        if not job.preemptible:
            raise InvalidDecision(f"job {job_id} may not be stopped, so it cannot be moved")
        if placement == running.placement or (count == running.gang) is resize:
            wanted = "another gang" if resize else f"another place for {running.gang} accelerators"
            raise InvalidDecision(f"job {job_id} runs on {running.gang} accelerators; this decision wants {wanted}")
        for kind in {self.room.kind_of(a) for _, some in (*running.placement, *placement) for a in some} - {None}:
            known = facts(kind or "")
            if known is not None and not (known.moves and known.admits(count)):
                raise InvalidDecision(f"job {job_id} cannot be moved while it runs on {kind}, or have {count} of them")
        running.both = self._space.extend(job, running.placement, placement, running.share)
        running.goes = placement
        running.tuning = running.tuning if move.tuning is None else move.tuning

    def _arrive(self, job_id: int) -> None:
        if job_id not in self._running or self._running[job_id].goes is None:
            raise ValueError(f"job {job_id} has arrived, but was not on its way")
        running, order, attained = self._running.leave(job_id)
        assert running.goes is not None
        self._space.settle(running.job, running.holds, running.goes, running.share)
        running.placement, running.goes, running.both = running.goes, None, None
        self._running.enter(running, running.job, attained, order, running.since)

    def _partition(self, decision: Partition, accelerator: str, profiles: tuple[str, ...]) -> None:
        if accelerator not in self.room.seat:
            raise InvalidDecision(f"there is no accelerator {accelerator}")
        instances(self.room.bays[self.room.seat[accelerator][0]].kind, profiles)
        self._space.close(accelerator)
        self.estate.partition(decision)

    def _release(self, node: str) -> None:
        if any(node == there for running in self._running for there, _ in running.holds):
            raise InvalidDecision(f"node {node} cannot be given back: jobs stand on it")
        self.estate.release(node)
        self._space.fall(node)

    def _submit(self, job: Job) -> None:
        if job.id in self._pending or job.id in self._running or job.id in self.held:
            raise ValueError(f"job {job.id} was submitted twice")
        order = self._submitted
        self._submitted += 1
        if job.after:
            self._hold(job, order)
        else:
            self._enter(job, order)

    def _hold(self, job: Job, order: int) -> None:
        self.held[job.id] = job
        self._orders[job.id] = order

    def _enter(self, job: Job, order: int) -> None:
        if self.tenants is not None:
            self.lines.setdefault(job.tenant, {})[job.id] = job
        self._pending.enter(job, job, self._attained.get(job.id, 0.0), order)

    def _stop(self, job_id: int, reason: str, progress: float | None, held: bool) -> None:
        if job_id not in self._running:
            self._cancel(job_id, reason)
            return
        running, order, _ = self._running.leave(job_id)
        self._space.release(running)
        if reason in BACK:
            self._attained[job_id] = running.served(self.now) if progress is None else progress
            if held:
                self._hold(running.job, order)
            else:
                self._enter(running.job, order)
        else:
            self._attained.pop(job_id, None)

    def _cancel(self, job_id: int, reason: str) -> None:
        """Only cancelled jobs end without having a place."""
        if reason != "cancelled" or (job_id not in self._pending and job_id not in self.held):
            raise ValueError(f"job {job_id} stopped, but does not run")
        self._attained.pop(job_id, None)
        if self.held.pop(job_id, None) is not None:
            del self._orders[job_id]
        else:
            job, _, _ = self._pending.leave(job_id)
            if self.tenants is not None:
                del self.lines[job.tenant][job_id]

    def owe(self, owed: bool) -> None:
        """Notes whether somebody waits for what is its own: nobody may borrow meanwhile. See `reclaims`."""
        self._space.owe(owed)

    def state(self) -> dict[str, object]:
        """All that it knows, in plain values: two ledgers are equal if their states are."""
        return {
            "now": self.now,
            "pending": {j.id: self.attained(j.id) for j in self.pending},
            "held": {j.id: self.attained(j.id) for j in self.held.values()},
            "running": {
                r.job.id: (r.placement, r.holds, r.goes, r.since, r.attained, r.order, r.stopping, r.share, r.tuning)
                for r in self.running
            },
            "room": self.room.state(),
            "estate": self.estate.state(),
            "meter": self.meter.state(),
            "submitted": self._submitted,
            "foreseen": self.foreseen,
        }


def _tell(job: Job, tuning: Tuning | None) -> None:
    """Refuses to tell a job what cannot be."""
    if tuning is not None and not 0 < (tuning.watts or 1.0) < inf:
        raise InvalidDecision(f"job {job.id} cannot be limited to {tuning.watts} W")
