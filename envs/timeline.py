"""A log as what a picture is made of: who stood where from when to when, what was away, and levels over time."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from typing import Any, NamedTuple

import numpy as np

from .log import Log
from .mig import SLOTS, instances
from .nodes import Nodes
from .outcomes import Floats
from .story import Life, Reader
from .vocabulary import NodeDown, NodeUp, Partitioned, Placement, Ready, Start, Stopped, Submitted

UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))


class Stay(NamedTuple):
    """A job in a place, seconds. A job that moves holds both places meanwhile: that is a stay of its own."""

    job: int
    placement: Placement
    begin: float
    end: float
    share: float


class Gap(NamedTuple):
    """Accelerators that are not there, or do not work, seconds."""

    accelerators: tuple[str, ...]
    begin: float
    end: float


class Cut(NamedTuple):
    """An accelerator as MIG instances: id -> the part of its height that it takes, (low, high)."""

    accelerator: str
    begin: float
    end: float
    instances: dict[str, tuple[float, float]]


@dataclass(slots=True)
class Timeline:
    """What happened over time. Levels hold from one time to the next, arrays of shape (n,).

    Attributes:
        nodes: the machines.
        jobs: how many were submitted.
        stays, gaps, cuts: see there; in the order in which they ended.
        times: seconds, ascending; the last is the log's end.
        waiting: jobs without a place.
        back: those of them that were held back from the queue.
        used: accelerators in use.
        up: accelerators that are there.
        busy: accelerators by how busy they were measured; NaN before the first look.
        watts: drawn from the grid; NaN before the first look.
    """

    nodes: Nodes
    jobs: int
    stays: list[Stay]
    gaps: list[Gap]
    cuts: list[Cut]
    times: Floats
    waiting: Floats
    back: Floats
    used: Floats
    up: Floats
    busy: Floats
    watts: Floats

    @property
    def until(self) -> float:
        """The log's end, seconds."""
        return float(self.times[-1])

    @property
    def scale(self) -> tuple[float, str]:
        """What seconds are multiplied by for an axis, and the unit that they are in then."""
        for seconds, unit in UNITS:
            if self.until > 3 * seconds:
                return 1 / seconds, unit
        return 1.0, "seconds"


def timeline(log: Log) -> Timeline:
    """Reads a log. What still stands at its end stands to its end."""
    tracer = _Tracer(log)
    tracer.read(log)
    return tracer.close(log.nodes)


def stays(log: Log) -> list[Stay]:
    """Each stay of a job in a place; those that the log does not see the end of are last, and end with it."""
    return timeline(log).stays


class _Tracer(Reader):
    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.stays: list[Stay] = []
        self.gaps: list[Gap] = []
        self.cuts: list[Cut] = []
        self.jobs, self.used = 0, 0
        self.held: set[int] = set()
        self.runs: dict[int, float] = {}
        self.levels = array("d")
        self.of = {node.id: tuple(a.id for a in node.accelerators) for node in log.nodes}
        self.kind = {a.id: a.kind for node in log.nodes for a in node.accelerators}
        self.away = {a: 0.0 for node in log.nodes if not node.present for a in self.of[node.id]}
        self.sliced: dict[str, Cut] = {}
        self.speaks[Ready] = self._ready

    def _to(self, event: Any) -> None:
        if event.time > self.now:
            self._note()
        super()._to(event)

    def _note(self) -> None:
        watts = self.meter.watts if self.meter.runs else None
        self.levels.extend((
            self.now, len(self.lives) - len(self.runs), len(self.held), self.used / 1000, self.ground.up,
            self.busy.level if self.busy else nan, nan if watts is None else watts,
        ))  # fmt: skip

    def _submitted(self, event: Submitted) -> None:
        super()._submitted(event)
        self.jobs += 1
        if event.job.after:
            self.held.add(event.job.id)

    def _ready(self, event: Ready) -> None:
        self._to(event)
        self.held.discard(event.job)

    def _start(self, start: Start) -> None:
        self.held.discard(start.job)
        self.runs[start.job] = self.now
        super()._start(start)

    def _stopped(self, event: Stopped) -> None:
        super()._stopped(event)
        self.runs.pop(event.job, None)
        self.held.discard(event.job)
        if event.held:
            self.held.add(event.job)

    def _hold(self, life: Life) -> None:
        super()._hold(life)
        self.used += life.holds

    def _leave(self, life: Life) -> None:
        begin = life.since
        super()._leave(life)
        self.used -= life.holds
        self._stayed(life, begin)

    def _stayed(self, life: Life, begin: float) -> None:
        if life.place is not None and self.now >= begin:
            self.stays.append(Stay(life.job.id, life.place, begin, self.now, life.share / 1000))

    def _up(self, event: NodeUp) -> None:
        super()._up(event)
        self._back(event.accelerators or self.of[event.node])

    def _back(self, accelerators: Iterable[str]) -> None:
        """They are there again: those that went together are one gap."""
        since: dict[float, list[str]] = {}
        for accelerator in accelerators:
            if accelerator in self.away:
                since.setdefault(self.away.pop(accelerator), []).append(accelerator)
        self.gaps += [Gap(tuple(some), begin, self.now) for begin, some in since.items() if self.now > begin]

    def _down(self, event: NodeDown) -> None:
        super()._down(event)
        for accelerator in event.accelerators or self.of[event.node]:
            self.away.setdefault(accelerator, self.now)

    def _partitioned(self, event: Partitioned) -> None:
        super()._partitioned(event)
        self._whole(event.accelerator)
        made = instances(self.kind[event.accelerator], event.profiles)
        if made:
            ends = [*(one.start for one in made[1:]), SLOTS]
            spans = {
                f"{event.accelerator}#{one.start}": (one.start / SLOTS, end / SLOTS)
                for one, end in zip(made, ends, strict=True)
            }
            self.sliced[event.accelerator] = Cut(event.accelerator, self.now, self.now, spans)

    def _whole(self, accelerator: str) -> None:
        if (was := self.sliced.pop(accelerator, None)) is not None:
            self.cuts.append(was._replace(end=self.now))

    def close(self, nodes: Nodes) -> Timeline:
        """All of it, up to the log's end."""
        self._note()
        for life in self.lives.values():
            if life.place is not None:
                self._stayed(life, life.since)
        self._back(list(self.away))
        for accelerator in list(self.sliced):
            self._whole(accelerator)
        levels = np.frombuffer(self.levels).reshape(-1, 7).T
        return Timeline(nodes, self.jobs, self.stays, self.gaps, self.cuts, *levels)
