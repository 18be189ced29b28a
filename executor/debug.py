"""The debug world: the live world's contract without GPUs, processes or a clock. For tests and for dry runs."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..envs.nodes import Nodes
from ..envs.vocabulary import Decision, Event, InvalidDecision, Placement, Preempt, Reason, Start, Stopped, Submitted
from ..traces.job import Job


@dataclass(slots=True)
class _Run:
    """A pretended run: when it began, the work done before it, how it will end."""

    began: float
    done: float
    end: Reason
    stopping: bool = False


@dataclass(slots=True)
class DebugWorld:
    """Jobs that last as long as they are told to, on a clock that only `wait` moves, to the next moment at once.

    A job that is asked to stop does so after `grace`, or is finished if that comes first; its work is kept.

    Attributes:
        nodes: any.
        jobs: to be submitted.
        seconds: job id -> how long it works.
        failing: ids of those that fail at their end.
        grace: seconds from the request to stop until a job has stopped.
        now: the time.
        starts: what was started where, in order.
    """

    nodes: Nodes
    jobs: Iterable[Job]
    seconds: Mapping[int, float]
    failing: Collection[int] = ()
    grace: float = 0.0
    now: float = 0.0
    starts: list[Start] = field(default_factory=list)
    _moments: list[tuple[float, int, Job, _Run | None]] = field(init=False, default_factory=list)
    _waiting: dict[int, Job] = field(init=False, default_factory=dict)
    _running: dict[int, tuple[Job, _Run]] = field(init=False, default_factory=dict)
    _kept: dict[int, float] = field(init=False, default_factory=dict)
    _count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        for job in self.jobs:
            self._later(job.submit, job, None)

    def act(self, decision: Decision) -> None:
        """Begins a run, or asks one to stop. Raises InvalidDecision for what is not there."""
        match decision:
            case Start(job_id, placement):
                self._start(job_id, placement)
                self.starts.append(decision)
            case Preempt(job_id):
                self._preempt(job_id)

    def wait(self) -> Sequence[Event]:
        """Moves the clock to the next moment: its events, stops before submissions. Empty when there is none."""
        events: list[Event] = []
        while self._moments and (not events or self._moments[0][0] == self.now):
            time, _, job, run = heapq.heappop(self._moments)
            if run is None:
                self.now, self._waiting[job.id] = time, job
                events.append(Submitted(time, job))
            elif self._running.get(job.id, (job, None))[1] is run:
                self.now = time
                events.append(self._stop(job, run))
        return sorted(events, key=lambda event: isinstance(event, Submitted))

    def _start(self, job_id: int, placement: Placement) -> None:
        here = {node.id: {a.id for a in node.accelerators} for node in self.nodes}
        if job_id not in self._waiting:
            raise InvalidDecision(f"job {job_id} is not waiting here")
        if any(node not in here or not here[node] >= set(accelerators) for node, accelerators in placement):
            raise InvalidDecision(f"job {job_id} cannot stand on {placement}: that is not here")
        job, done = self._waiting.pop(job_id), self._kept.get(job_id, 0.0)
        run = _Run(self.now, done, "failed" if job_id in self.failing else "finished")
        self._running[job_id] = job, run
        self._later(self.now + self.seconds[job_id] - done, job, run)

    def _preempt(self, job_id: int) -> None:
        if job_id not in self._running:
            raise InvalidDecision(f"job {job_id} does not run here")
        job, run = self._running[job_id]
        if not run.stopping and self.now + self.grace < run.began + self.seconds[job_id] - run.done:
            run.end = "preempted"
            self._later(self.now + self.grace, job, run)
        run.stopping = True

    def _stop(self, job: Job, run: _Run) -> Stopped:
        del self._running[job.id]
        progress = run.done + self.now - run.began
        if run.end == "preempted":
            self._waiting[job.id], self._kept[job.id] = job, progress
        return Stopped(self.now, job.id, run.end, progress)

    def _later(self, time: float, job: Job, run: _Run | None) -> None:
        self._count += 1
        heapq.heappush(self._moments, (time, self._count, job, run))
