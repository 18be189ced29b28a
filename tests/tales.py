"""Tales of the simulated world: jobs, machines and laws, what is decided and what befalls at which second.

told = tell([(Job(0, 0.0), 100.0)], "1x1:V100", {"speed": Speed()}, [(0.0, Start(0, at("n0/0")))])
assert ended(told) == ends((100.0, 0, "finished", 100.0, 0.0))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.law import Stage
from gpuyard.envs.log import Entry, Log
from gpuyard.envs.nodes import Node, Nodes, parse
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.tenants import Tenants
from gpuyard.envs.vocabulary import Decision, Measured, Placement, Priced, Stopped, Tick
from gpuyard.traces.job import Job, Trace

Fate = tuple[float, Callable[[Stage], None]]
"""(seconds, what befalls the world then)."""
TWO = parse("1x2:A100")
"""The machines of a log, where it names no others."""


@dataclass
class Script:
    """A policy that decides what its script says, when it says so."""

    lines: list[tuple[float, Decision]]

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        while self.lines and self.lines[0][0] <= cluster.now:
            yield self.lines.pop(0)[1]


@dataclass(frozen=True)
class Befalls:
    """A law by which things happen at given times; it also wakes the script then."""

    fates: Sequence[Fate] = ()
    wakes: Sequence[float] = field(default=())

    def begin(self, stage: Stage) -> None:
        for time, then in self.fates:
            stage.at(time, partial(then, stage))
        for time in dict.fromkeys(self.wakes):
            stage.at(time, partial(self._wake, stage, time))

    def _wake(self, stage: Stage, time: float) -> None:
        stage.say(Tick(time))


def grid(*grams: float, site: str = "", slot: float = 10.0) -> list[Fate]:
    """A site's carbon intensity in slots of so many seconds, one after the other."""

    def tells(time: float, value: float) -> Callable[[Stage], None]:
        return lambda stage: stage.say(Priced(time, site, grams_per_kwh=value))

    return [(slot * number, tells(slot * number, value)) for number, value in enumerate(grams)]


def trace_of(jobs: Sequence[tuple[Job, float]], **more: Any) -> Trace:
    return Trace(tuple(job for job, _ in jobs), {job.id: seconds for job, seconds in jobs}, **more)


def tell(
    jobs: Sequence[tuple[Job, float]] | Trace,
    nodes: Nodes | str,
    laws: Mapping[str, Any],
    script: Sequence[tuple[float, Any]] | Policy,
    fates: Sequence[Fate] = (),
    **world: Any,
) -> Session:
    """Plays a tale to its end; its log must replay into the very ledger that the session has."""
    trace = jobs if isinstance(jobs, Trace) else trace_of(jobs)
    lines = script if isinstance(script, Sequence) else ()
    befalls = Befalls(fates, [time for time, _ in lines])
    machines = parse(nodes) if isinstance(nodes, str) else nodes
    world = {"restart": 0.0} | world
    session = Session(HarshWorld(trace, machines, {**laws, "befalls": befalls}, **world))
    session.play(Script(list(script)) if isinstance(script, Sequence) else script)
    assert session.log.replay().state() == session.cluster.state()
    return session


def at(*accelerators: str) -> Placement:
    """A placement on accelerators that are called "node/index", or "node/index#start"."""
    nodes: dict[str, list[str]] = {}
    for accelerator in accelerators:
        nodes.setdefault(accelerator.partition("/")[0], []).append(accelerator)
    return tuple((node, tuple(some)) for node, some in nodes.items())


def on(*accelerators: int, node: int = 0) -> Placement:
    """A placement on accelerators of one node, by number."""
    return at(*(f"n{node}/{number}" for number in accelerators))


def log_of(*entries: Entry, machines: tuple[Node, ...] = TWO, tenants: Tenants | None = None) -> Log:
    """A log that the ledger would have written: it replays."""
    log = Log(machines, list(entries), tenants)
    log.replay()
    return log


def said(told: Session, *kinds: type) -> list[Any]:
    """What was said of these kinds."""
    return [entry for entry in told.log.entries if isinstance(entry, kinds)]


def ended(told: Session) -> list[tuple[float, int, str, float | None, float]]:
    """Every stop: (time, job, reason, progress, lost)."""
    return [(s.time, s.job, s.reason, s.progress, s.lost) for s in told.log.entries if isinstance(s, Stopped)]


def ends(*rows: tuple[float, int, str, float | None, float]) -> list[Any]:
    """The same as worked out by hand, to a relative 1e-6."""
    return [pytest.approx(row) for row in rows]


def without(log: Log, *kinds: type) -> list[Entry]:
    """A log without some kinds of entries."""
    return [entry for entry in log.entries if not isinstance(entry, kinds)]


def draws(told: Session) -> list[tuple[float, str, float | None]]:
    """Every look: (time, accelerator, watts)."""
    looks = [entry for entry in told.log.entries if isinstance(entry, Measured)]
    return [(look.time, sample.accelerator, sample.watts) for look in looks for sample in look.samples]
