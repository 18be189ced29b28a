"""A log read once from end to end: what became of each job, and what the machines did meanwhile."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..traces.job import Job
from .ground import Ground, Want
from .log import DECISIONS, EVENTS, Log
from .meter import Meter
from .outcomes import COLUMNS, ENDS, Jobs
from .shares import WHOLE, thousandths
from .space import union
from .vocabulary import (
    BACK,
    Billed,
    Measured,
    Move,
    Moved,
    NodeDown,
    NodeUp,
    Partition,
    Partitioned,
    Placement,
    Priced,
    Release,
    Resize,
    Resized,
    Sample,
    Start,
    Stopped,
    Submitted,
)


@dataclass(slots=True)
class Story:
    """A log read once.

    Attributes:
        jobs: all that were submitted.
        first, until: the first submission and the log's end, seconds. What follows counts from the first to the last.
        ground: accelerators that were up and free.
        wants: what jobs asked for -> how many did.
        measured: accelerator-seconds that were measured busy, and those for which it is known whether they were.
        meter: the ledger's sums of energy, carbon and money, from second 0 on.
        decisions: made by the policy, or by the ledger for tenants.
    """

    jobs: Jobs
    first: float
    until: float
    ground: Ground
    wants: Counter[Want]
    measured: tuple[float, float]
    meter: Meter
    decisions: int

    @property
    def ended(self) -> Jobs:
        """Those that have ended, cancelled ones among them."""
        return self.jobs.of(self.jobs.ended)


def read(log: Log) -> Story:
    """Reads a log from end to end. What still runs at its end has held its place to its end."""
    reader = Reader(log)
    reader.read(log)
    return reader.story()


class Life:
    """A job as the log goes on; accelerators in thousandths."""

    __slots__ = (
        "goes", "held", "holds", "job", "kept", "losses", "lost_lost", "lost_preempted", "moves", "place",
        "preemptions", "resizes", "run_from", "seat", "share", "since", "start", "starts", "submit", "told",
    )  # fmt: skip

    def __init__(self, job: Job, submit: float) -> None:
        self.job, self.submit = job, submit
        self.start, self.since, self.run_from = np.nan, 0.0, 0.0
        self.held = self.seat = self.kept = self.lost_preempted = self.lost_lost = 0.0
        self.preemptions = self.losses = self.moves = self.resizes = self.starts = 0
        self.told, self.share, self.holds = True, WHOLE, 0
        self.place: Placement | None = None
        self.goes: Placement | None = None

    def go(self, now: float) -> None:
        """Holds its place up to now."""
        self.held += now - self.since
        self.seat += self.holds * (now - self.since)
        self.since = now


class Reader:
    """Follows a log entry by entry, as the ledger does, but without its checks."""

    def __init__(self, log: Log) -> None:
        self.now, self.decisions = 0.0, 0
        self.first: float | None = None
        self.ground = Ground(log.nodes)
        self.meter = Meter({node.id: node for node in log.nodes})
        self.busy = _Busy(log)
        self.lives: dict[int, Life] = {}
        self.rows, self.tenants = array("d"), list[str | None]()
        self.after: list[tuple[int, ...]] = []
        self.wants: Counter[Want] = Counter()
        self.there = {node.id for node in log.nodes if node.present}
        self.speaks: dict[type, Callable[[Any], None]] = dict.fromkeys(EVENTS, self._to)
        self.speaks |= dict.fromkeys(DECISIONS, self._decision)
        self.speaks |= {
            Submitted: self._submitted, Start: self._start, Stopped: self._stopped, Move: self._relocate,
            Resize: self._relocate, Moved: self._arrived, Resized: self._arrived, NodeUp: self._up,
            NodeDown: self._down, Partition: self._partition, Partitioned: self._partitioned,
            Measured: self._measured, Priced: self._priced, Billed: self._billed, Release: self._release,
        }  # fmt: skip

    def read(self, log: Log) -> None:
        """Follows all of a log."""
        speaks = self.speaks
        for entry in log.entries:
            speaks[type(entry)](entry)

    def _to(self, event: Any) -> None:
        if self.meter.runs:
            self.meter.go(event.time - self.now)
        self.now = event.time

    def _decision(self, decision: Any) -> None:
        self.decisions += 1

    def _submitted(self, event: Submitted) -> None:
        self._to(event)
        if self.first is None:
            self.first = self.now
            self.ground.begin(self.now)
            self.busy.begin(self.now)
        job = event.job
        self.lives[job.id] = Life(job, self.now)
        if job.gang:
            self.wants[job.min_gang or job.gang, job.share, job.kinds] += 1

    def _start(self, start: Start) -> None:
        self.decisions += 1
        life, now = self.lives[start.job], self.now
        life.since = now
        if not life.starts:
            life.start = now
        life.starts += 1
        life.run_from = life.seat
        life.place = start.placement
        share = life.job.share if start.share is None else start.share
        life.share = WHOLE if share == 1 else thousandths(share)
        self._hold(life)

    def _hold(self, life: Life) -> None:
        place, share = life.place, life.share
        assert place is not None
        life.holds = share * sum(len(some) for _, some in place)
        self.ground.take(self.now, place, share)

    def _leave(self, life: Life) -> None:
        life.go(self.now)
        assert life.place is not None
        self.ground.take(self.now, life.place, -life.share)

    def _stopped(self, event: Stopped) -> None:
        self._to(event)
        life, reason = self.lives[event.job], event.reason
        if event.progress is not None:
            life.kept = event.progress
        elif life.place is not None:
            life.told = False
        if life.place is not None:
            self._leave(life)
            life.place = life.goes = None
        if reason not in BACK:
            del self.lives[event.job]
            run = life.held if event.progress is None else event.progress
            self._row(life, self.now, ENDS[reason], run, event.lost, 0.0)
        elif reason == "preempted":
            life.preemptions += 1
            life.lost_preempted += event.lost
        else:
            life.losses += 1
            life.lost_lost += event.lost

    def _row(self, life: Life, end: float, state: float, run: float, lost: float, under_way: float) -> None:
        job = life.job
        self.rows.extend((
            job.id, life.submit, life.start, end, run, life.held, job.gang,
            job.gang * job.share, life.seat / WHOLE, under_way / WHOLE, life.kept if life.told else np.nan,
            life.lost_preempted, life.lost_lost, lost, life.preemptions, life.losses, life.moves, life.resizes,
            life.starts, np.nan if job.deadline is None else job.deadline, state,
        ))  # fmt: skip
        self.tenants.append(job.tenant)
        self.after.append(job.after)

    def _relocate(self, decision: Move | Resize) -> None:
        self.decisions += 1
        life = self.lives[decision.job]
        self._leave(life)
        assert life.place is not None
        life.goes, life.place = decision.placement, union(life.place, decision.placement)
        self._hold(life)

    def _arrived(self, event: Moved | Resized) -> None:
        self._to(event)
        life = self.lives[event.job]
        self._leave(life)
        life.place, life.goes = life.goes, None
        if isinstance(event, Moved):
            life.moves += 1
        else:
            life.resizes += 1
        self._hold(life)

    def _up(self, event: NodeUp) -> None:
        self._to(event)
        if not event.accelerators and event.node not in self.there:
            self.there.add(event.node)
            self.meter.up(event.node)
        self.ground.rise(self.now, event.node, event.accelerators)

    def _down(self, event: NodeDown) -> None:
        self._to(event)
        if not event.accelerators and event.node in self.there:
            self.there.discard(event.node)
            self.meter.down(event.node, self.now)
        self.ground.fall(self.now, event.node, event.accelerators)
        self.busy.down(self.now, event)

    def _release(self, decision: Release) -> None:
        """Nobody can stand there any more, though it costs its rent until it is down."""
        self.decisions += 1
        self.ground.fall(self.now, decision.node)

    def _partition(self, decision: Partition) -> None:
        self.decisions += 1
        self.ground.close(self.now, decision.accelerator)

    def _partitioned(self, event: Partitioned) -> None:
        self._to(event)
        self.ground.cut(self.now, event.accelerator, event.profiles)

    def _measured(self, event: Measured) -> None:
        self._to(event)
        self.meter.measure(event)
        self.busy.see(self.now, event.samples)

    def _priced(self, event: Priced) -> None:
        self._to(event)
        self.meter.price(event)

    def _billed(self, event: Billed) -> None:
        self._to(event)
        self.meter.bill(event)

    def story(self) -> Story:
        """All that was read."""
        now = self.now
        for life in self.lives.values():
            if life.place is not None:
                life.go(now)
            under_way = life.seat - life.run_from if life.place is not None else 0.0
            self._row(life, np.nan, 0.0, np.nan, 0.0, under_way)
        self.ground.go(now)
        return Story(
            _jobs(self.rows, self.tenants, self.after), self.first or 0.0, now, self.ground, self.wants,
            self.busy.until(now), self.meter, self.decisions,
        )  # fmt: skip


def _jobs(rows: array[float], tenants: list[str | None], after: list[tuple[int, ...]]) -> Jobs:
    table = np.frombuffer(rows, dtype=[(name, np.float64) for name in COLUMNS])
    order = np.argsort(table["submit"], kind="stable")
    return Jobs(table[order], _objects(tenants)[order], _objects(after)[order])


def _objects(values: Sequence[object]) -> npt.NDArray[np.object_]:
    """A column of anything; NumPy would make a matrix of tuples."""
    column = np.empty(len(values), object)
    column[:] = values
    return column


class _Busy:
    """Accelerator-seconds that were measured busy, and those for which it is known; `level` are busy now."""

    def __init__(self, log: Log) -> None:
        self._of = {node.id: tuple(a.id for a in node.accelerators) for node in log.nodes}
        self._seen: dict[str, tuple[float, float]] = {}
        self._busy = self._known = self.level = 0.0

    def _go(self, now: float, accelerator: str, busy: float | None) -> None:
        before = self._seen.pop(accelerator, None)
        self.level += (busy or 0.0) - (before[0] if before is not None else 0.0)
        if before is not None:
            self._busy += before[0] * (now - before[1])
            self._known += now - before[1]
        if busy is not None:
            self._seen[accelerator] = (busy, now)

    def __bool__(self) -> bool:
        return bool(self._seen)

    def begin(self, now: float) -> None:
        self.until(now)
        self._busy = self._known = 0.0

    def see(self, now: float, samples: Sequence[Sample]) -> None:
        for sample in samples:
            self._go(now, sample.accelerator, sample.busy)

    def down(self, now: float, event: NodeDown) -> None:
        for accelerator in event.accelerators or self._of[event.node]:
            self._go(now, accelerator, None)

    def until(self, now: float) -> tuple[float, float]:
        for accelerator, (busy, _) in list(self._seen.items()):
            self._go(now, accelerator, busy)
        return self._busy, self._known
