"""The simulated world, in SimPy: time jumps from one event to the next.

Timeouts with callbacks rather than a process for each job: two SimPy events a job, and nothing to switch between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappush
from typing import Any

import simpy
from simpy.events import NORMAL, URGENT, EventPriority

from ..traces.job import Job, Trace
from ..traces.trouble import BadInput
from .nodes import Nodes
from .pipelines import Pipelines
from .vocabulary import Decision, Event, Preempt, Ready, Start, Stopped, Submitted, Tick

RESTART = 30.0
"""Seconds that a preempted job needs before it works again: what Pollux' and Sia's simulators charge for a restart."""


class Moment(simpy.Event):
    """A SimPy event at a moment, as `Timeout` is after a delay: sums of delays would drift from the trace's times."""

    def __init__(
        self, sim: simpy.Environment, time: float, callback: Callable[[Any], None], what: Any, priority: EventPriority
    ) -> None:
        self.env = sim
        self.callbacks = [callback]
        self._value = what
        self._ok = True
        heappush(sim._queue, (time, priority, next(sim._eid), self))


def check_seconds(restart: float, tick: float | None) -> None:
    """Raises BadInput for a restart or a tick that cannot be."""
    if not 0 <= restart < float("inf") or (tick is not None and not 0 < tick < float("inf")):
        raise BadInput(f"restart={restart}, tick={tick}: give seconds, 0 or more for a restart, above 0 for a tick")


class Ticks:
    """Ticks while anything runs or is to come: a tick after that would only be the first of endlessly many.

    Args:
        sim: where moments are put.
        seconds: between ticks, None for none.
        alive: whether anything runs or is to come.
        say: tells the ledger.
    """

    def __init__(
        self, sim: simpy.Environment, seconds: float | None, alive: Callable[[], bool], say: Callable[[Event], None]
    ) -> None:
        self._sim, self._seconds, self._alive, self._say = sim, seconds, alive, say
        self._on = seconds is None

    def go_on(self) -> None:
        """Sees that the next tick is to come."""
        if not self._on:
            assert self._seconds is not None
            self._on = True
            Moment(self._sim, self._sim.now + self._seconds, self._tick, None, NORMAL)

    def _tick(self, _: Moment) -> None:
        self._on = False
        if self._alive():
            self._say(Tick(self._sim.now))
            self.go_on()


class Arrivals:
    """The jobs of a trace, one after the other, each at the time when it is submitted.

    Args:
        sim: where moments are put.
        jobs: in the order in which they come.
        come: told of each.

    Attributes:
        left: whether any is to come, or comes now.
    """

    def __init__(self, sim: simpy.Environment, jobs: Iterable[Job], come: Callable[[Job], None]) -> None:
        self._sim, self._jobs, self._come = sim, iter(jobs), come
        self.left = True
        self._expect()

    def _expect(self) -> None:
        job = next(self._jobs, None)
        self.left = job is not None
        if job is not None:
            Moment(self._sim, job.submit, self._arrived, job, NORMAL)

    def _arrived(self, moment: Moment) -> None:
        self._come(moment._value)
        self._expect()


@dataclass(slots=True)
class _Run:
    """A run under way: when its work began (restart done), how much had been done before, and its end."""

    begins: float
    done: float
    end: Moment
    stopping: bool = False


class SimWorld:
    """A trace happening on nodes.

    A job runs for its recorded duration wherever it is placed: on any kind, with any gang within its bounds, and with
    any share beside any other; what that costs is for the laws of speed and sharing of `HarshWorld`. A preempted job
    keeps its work and pays `restart` seconds when it starts again; a stop takes no time.

    Args:
        trace: the jobs, and the truth about them.
        nodes: the machines.
        restart: seconds that a job which was preempted needs before it works again.
        tick: seconds between `Tick` events while anything runs or is to come, None for none.
    """

    def __init__(self, trace: Trace, nodes: Nodes, *, restart: float = RESTART, tick: float | None = None) -> None:
        check_seconds(restart, tick)
        self.nodes = nodes
        self.restart, self.tick = restart, tick
        self._durations = trace.durations
        self._done: dict[int, float] = {}
        self._runs: dict[int, _Run] = {}
        self._sim = simpy.Environment()
        self._happened: list[Event] = []
        self._pipelines = Pipelines(trace) or None
        self._ticks = Ticks(self._sim, tick, self._alive, self._say)
        self._arrivals = Arrivals(self._sim, trace.jobs, self._arrived)

    def act(self, decision: Decision) -> None:
        """Starts a run, or stops one at this very moment."""
        match decision:
            case Start(job, _):
                self._start(job)
            case Preempt(job):
                run = self._runs[job]
                run.stopping = True
                Moment(self._sim, self._sim.now, self._preempted, job, URGENT)

    def wait(self) -> Sequence[Event]:
        """Jumps to the next moment at which something happens: its events, stops before submissions."""
        sim, happened = self._sim, self._happened
        queue, step = sim._queue, sim.step
        while queue and not happened:
            step()
        now = sim.now
        while queue and queue[0][0] == now:
            step()
        self._happened = []
        return happened

    def _alive(self) -> bool:
        return bool(self._runs) or self._arrivals.left

    def _say(self, event: Event) -> None:
        self._happened.append(event)

    def _arrived(self, job: Job) -> None:
        self._happened.append(Submitted(job.submit, job))
        if self._pipelines is not None:
            self._release(self._pipelines.submitted(job))
        self._ticks.go_on()

    def _start(self, job: int) -> None:
        done = self._done.get(job)
        begins = self._sim.now if done is None else self._sim.now + self.restart
        left = self._durations[job] - (done or 0.0)
        self._ticks.go_on()
        self._runs[job] = _Run(begins, done or 0.0, Moment(self._sim, begins + left, self._finished, job, URGENT))

    def _finished(self, moment: Moment) -> None:
        job: int = moment._value
        del self._runs[job]
        self._done.pop(job, None)
        self._happened.append(Stopped(self._sim.now, job, "finished", self._durations[job]))
        if self._pipelines is not None:
            self._release(self._pipelines.ended(job, well=True))

    def _release(self, fates: Iterator[tuple[int, bool]]) -> None:
        """Stages of pipelines join the queue; here no job fails, so none is cancelled."""
        self._happened += [Ready(self._sim.now, job) for job, _ in fates]

    def _preempted(self, moment: Moment) -> None:
        job: int = moment._value
        run = self._runs.pop(job, None)
        if run is None:  # it finished in this very moment, before it could be stopped
            return
        run.end.callbacks = []
        self._done[job] = done = run.done + max(0.0, self._sim.now - run.begins)
        self._happened.append(Stopped(self._sim.now, job, "preempted", done))
