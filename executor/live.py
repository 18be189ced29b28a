"""The live world: jobs are processes of this machine, time is the wall's."""

from __future__ import annotations

import atexit
import math
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from ..envs.nodes import Accelerator, Nodes
from ..envs.vocabulary import (
    Decision,
    Event,
    InvalidDecision,
    Placement,
    Preempt,
    Start,
    Stopped,
    Submitted,
    Tick,
    Tuning,
)
from ..traces.job import Job
from ..traces.trouble import BadInput
from .exits import Exits
from .eyes import Eyes
from .interrupts import held_back
from .launch import Attempt, launch

HUNG = 5.0
"""Seconds after which `close` leaves a killed process that does not go: it hangs in the kernel, often in a driver."""


class LiveWorld:
    """Real commands on this machine's accelerators, real or emulated.

    The clock starts at the first `wait`; a job is submitted when its `submit` seconds have passed on it. All happens
    within `wait`: it is there that ended processes are noticed and those past their grace are killed, so events carry
    the time at which they were noticed, which never goes back. `progress` is None: nobody here can tell.

    An accelerator is free again when its job's processes have been ended, as far as they stayed in the job's process
    group. Whether the driver, too, shows none of them on the GPU is not verified here.

    Use it as a context manager: on leaving, by whatever way, all processes that it started are ended. An interrupt
    during `wait`, and the end of the program, end them as well; a signal that kills this program outright does not.
    Of jobs that were ended so, `aftermath` holds the last events.

    Args:
        nodes: this machine, from `nvml.probe` or `emulated.emulated`.
        jobs: in any order, each with a command.
        folder: empty or not there yet; job 7 writes into `job-7/`, see `launch`.
        grace: seconds between the request to stop and the kill.
        tick: seconds without an event after which a `Tick` comes while anything runs or is to come, None for none.
        every: seconds between looks at the accelerators, told as `Measured` while anything runs or is to come, from the
            first moment on; None for no looks. They are events: no `Tick` comes with them.
        tuned: whether each job is told how to use what it got (`envs/tuning.py`), by what its profile is.
        eyes: who looks; the driver's if None.

    Raises BadInput for a job without a command, ids given twice, a folder that is in use or cannot be written, and
    seconds between looks that are not above 0.
    """

    def __init__(
        self,
        nodes: Nodes,
        jobs: Iterable[Job],
        folder: Path,
        *,
        grace: float = 10.0,
        tick: float | None = None,
        every: float | None = None,
        tuned: bool = False,
        eyes: Eyes | None = None,
    ) -> None:
        self.nodes, self.tuned = nodes, tuned
        self.grace, self.tick = grace, math.inf if tick is None else tick
        self._coming = deque(sorted(jobs, key=lambda job: job.submit))
        self._waiting: dict[int, Job] = {}
        self._running: dict[int, tuple[Job, Attempt]] = {}
        self._attempts: dict[int, int] = {}
        self._accelerators = {node.id: {a.id: a for a in node.accelerators} for node in nodes}
        self._exits = Exits()
        self.aftermath: list[Stopped] = []
        self._started: float | None = None
        self._folder = folder
        self._owner = os.getpid()
        _check(self._coming)
        self._every = _seconds(every)
        _claim(folder)
        self._eyes = None if every is None else eyes or Eyes(nodes)
        self._looks = 0.0 if self._eyes and self._eyes.watched else math.inf
        atexit.register(self.close)

    def __enter__(self) -> LiveWorld:
        """Starts nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends all processes that it started."""
        self.close()

    @property
    def now(self) -> float:
        """Seconds since the first `wait`."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    def act(self, decision: Decision) -> None:
        """Starts a job's command, or asks a running one to end. Raises InvalidDecision for what is not there."""
        match decision:
            case Start(job_id, placement, tuning):
                self._start(job_id, placement, tuning)
            case Preempt(job_id):
                if job_id not in self._running:
                    raise InvalidDecision(f"job {job_id} does not run here")
                self._running[job_id][1].stop(self.grace)

    def wait(self) -> Sequence[Event]:
        """Blocks until something happens. Empty when no job is to come, none runs, and no tick is wanted."""
        try:
            return self._wait()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends all its processes by the signal ladder, and submits no more. An interrupt kills those still there."""
        atexit.unregister(self.close)
        if os.getpid() != self._owner:
            return  # a copy in a forked process owns nothing
        self._coming.clear()
        self._waiting.clear()
        attempts = [attempt for _, attempt in self._running.values()]
        last = time.monotonic() + self.grace + HUNG
        try:
            for attempt in attempts:
                attempt.stop(self.grace)
            while self._running and time.monotonic() < last:
                self._exits.sleep(min(self._deadline(), last) - time.monotonic())
                self._kill_overdue()
                self._settle()
        finally:
            for attempt in attempts:
                attempt.kill()
            self._settle()
            if self._eyes is not None:
                self._eyes.close()

    def _settle(self) -> None:
        """Jobs that were ended by `close` have stopped too, though nobody waits for it any more."""
        self.aftermath += [Stopped(self.now, job.id, attempt.reason) for job, attempt in self._forget_ended()]

    def _wait(self) -> Sequence[Event]:
        if self._started is None:
            self._started = time.monotonic()
        ticks = self.now + self.tick if self._running or self._coming else math.inf
        while self._coming or self._running or ticks < math.inf:
            self._kill_overdue()
            now = self.now
            if events := [*self._stopped(now), *self._submitted(now), *self._seen(now)]:
                return events
            if now >= ticks:
                return (Tick(now),)
            coming = self._coming[0].submit if self._coming else math.inf
            self._exits.sleep(min(coming, ticks, self._looks, self._deadline() - self._started) - now)
        return ()

    def _start(self, job_id: int, placement: Placement, tuning: Tuning | None) -> None:
        if job_id not in self._waiting:
            raise InvalidDecision(f"job {job_id} is not waiting here")
        accelerators = self._find(placement)
        job = self._waiting.pop(job_id)
        self._attempts[job_id] = number = self._attempts.get(job_id, 0) + 1
        with held_back():
            attempt = launch(job, accelerators, self._folder / f"job-{job_id}", number, tuning=tuning)
            self._running[job_id] = job, attempt
        if attempt.pid is not None:
            self._exits.watch(attempt.pid)

    def _find(self, placement: Placement) -> list[Accelerator]:
        found: list[Accelerator] = []
        for node, accelerators in placement:
            here = self._accelerators.get(node, {})
            if node not in self._accelerators or not here.keys() >= set(accelerators):
                raise InvalidDecision(f"there is no {', '.join(accelerators) or 'room'} of {node} here")
            found += [here[a] for a in accelerators]
        return found

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for _, attempt in self._running.values():
            if now >= attempt.deadline:
                attempt.kill()

    def _deadline(self) -> float:
        return min((attempt.deadline for _, attempt in self._running.values()), default=math.inf)

    def _stopped(self, now: float) -> Iterator[Event]:
        for job, attempt in self._forget_ended():
            if attempt.reason == "preempted":
                self._waiting[job.id] = job
            yield Stopped(now, job.id, attempt.reason)

    def _forget_ended(self) -> list[tuple[Job, Attempt]]:
        ended = [(job, attempt) for job, attempt in self._running.values() if attempt.poll() is not None]
        for job, attempt in ended:
            del self._running[job.id]
            if attempt.pid is not None:
                self._exits.forget(attempt.pid)
        return ended

    def _submitted(self, now: float) -> Iterator[Event]:
        while self._coming and self._coming[0].submit <= now:
            job = self._coming.popleft()
            self._waiting[job.id] = job
            yield Submitted(now, job)

    def _seen(self, now: float) -> Iterator[Event]:
        if self._eyes is not None and now >= self._looks:
            self._looks = now + self._every
            yield self._eyes.look(now)


def _check(jobs: Iterable[Job]) -> None:
    ids: set[int] = set()
    for job in jobs:
        if not job.command:
            raise BadInput(f"job {job.id} has no command; a live world runs commands, a simulator needs none")
        if job.id in ids:
            raise BadInput(f"job {job.id} is there twice; give every job an id of its own")
        ids.add(job.id)


def _seconds(every: float | None) -> float:
    if every is not None and not 0 < every < math.inf:
        raise BadInput(f"looks every {every} seconds cannot be; give seconds above 0, or None for no looks")
    return math.inf if every is None else every


def _claim(folder: Path) -> None:
    """Makes the folder. One that is in use may hold checkpoints of other jobs with the same ids."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = any(folder.glob("job-*"))
    except OSError as error:
        raise BadInput(f"{folder}: cannot be made ({error.strerror}); choose another folder") from None
    if used:
        raise BadInput(f"{folder}: holds jobs of an earlier session; choose an empty folder")
