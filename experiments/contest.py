"""What is the same for every policy of a comparison, and one policy's play of one window of it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from threading import current_thread, main_thread
from time import perf_counter

from .. import __version__
from ..envs.log import Log
from ..envs.metrics import read, summary
from ..envs.scenario import Scenario
from ..envs.vocabulary import InvalidDecision
from ..traces.estimates import with_estimates
from ..traces.job import Trace
from ..traces.trouble import BadInput
from ..traces.windows import fingerprint
from .entrants import ORACLE
from .names import OVER, policy
from .simulate import simulate

ROOMS = ("traces", "envs", "policies")
"""Whose code decides what a window's outcome is."""


@dataclass(frozen=True)
class Contest:
    """What every policy meets alike.

    Attributes:
        windows: jobs in order, the first `warmup` of each only to fill the cluster.
        warmup: jobs of each window that are simulated and not scored.
        setting: the world; its chance is drawn anew for each window, the same for all policies.
        placement: the placement that all use, None for each policy's own.
        loads: at how many loads the same windows are played: those of the first come first.
    """

    windows: tuple[Trace, ...]
    warmup: int
    setting: Scenario
    placement: str | None
    loads: int = 1

    @cached_property
    def windows_sha256(self) -> str:
        """The digest of the windows: jobs, estimates, durations, what was there before, how many are scored."""
        pasts = [(w.past.zero, w.past.factor) for w in self.windows if w.past is not None]
        wholes = {id(w.past.history): w.past.history.trace for w in self.windows if w.past is not None}
        known = [pasts, fingerprint(*wholes.values())] if pasts else []
        return digest([self.warmup, fingerprint(*self.windows), *known])

    @cached_property
    def sha256(self) -> str:
        """The digest of all that makes one window's outcome comparable with another's, gpuyard's own code included."""
        return digest([self.windows_sha256, self.setting.as_dict(), self.placement, __version__, code()])

    def chance(self, number: int) -> int:
        """The number of a window's chance: windows of the same jobs at other loads share it."""
        return number % (len(self.windows) // self.loads)

    def scored(self, number: int) -> tuple[int, ...]:
        """The ids of the jobs of a window that count."""
        return tuple(job.id for job in self.windows[number].jobs[self.warmup :])

    def play(self, name: str, number: int) -> Log:
        """Simulates a window with a copy of the policy, which remembers no other window.

        Raises BadInput when the policy decides what cannot be.
        """
        window = self.windows[number]
        if (oracle := ORACLE.fullmatch(name)) is not None:
            name, window = oracle[1], with_estimates(window, "exact")
        fresh = deepcopy(policy(name, self.placement))
        try:
            return simulate(window, self.setting.drawn(self.chance(number)), fresh)
        except InvalidDecision as error:
            raise BadInput(f"policy {name} decided what cannot be: {error}; mend the policy") from None

    def outcome(self, name: str, number: int) -> Outcome:
        """Plays a window and scores it."""
        start = perf_counter()
        log = self.play(name, number)
        seconds = perf_counter() - start
        scored = self.scored(number)
        told = summary(log, only=scored)
        return Outcome(
            policy=name,
            window=number,
            first_job=scored[0],
            jobs=told.jobs,
            unfinished=told.jobs - told.finished - told.failed - told.cancelled,
            mean_bounded_slowdown=told.mean_bounded_slowdown,
            mean_jct=told.mean_jct,
            median_jct=told.median_jct,
            p99_jct=told.p99_jct,
            mean_wait=told.mean_wait,
            max_wait=float(read(log).ended.only(scored).wait.max(initial=0.0)),
            utilization=told.utilization,
            preemptions=told.preemptions,
            decisions=told.decisions,
            wall_seconds=seconds,
            log_sha256=log.sha256(),
            **{name: getattr(told, name) for name in MORE},
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy on one window: a row of `results.csv`. Means are of the scored jobs that ended; times in seconds.

    `utilization` and `decisions` are of the whole window, its warm-up included.
    """

    policy: str
    window: int
    first_job: int
    jobs: int
    unfinished: int
    mean_bounded_slowdown: float | None
    mean_jct: float | None
    median_jct: float | None
    p99_jct: float | None
    mean_wait: float | None
    max_wait: float | None
    utilization: float | None
    preemptions: int
    decisions: int
    wall_seconds: float
    log_sha256: str
    p95_jct: float | None = None
    median_bounded_slowdown: float | None = None
    p95_bounded_slowdown: float | None = None
    p99_bounded_slowdown: float | None = None
    energy_kwh: float | None = None
    carbon_kg: float | None = None
    usd: float | None = None
    max_rho: float | None = None
    jain: float | None = None


MORE = (
    "p95_jct", "median_bounded_slowdown", "p95_bounded_slowdown", "p99_bounded_slowdown", "energy_kwh", "carbon_kg",
    "usd", "max_rho", "jain",
)  # fmt: skip
"""What else a summary tells: see `metrics.Summary`."""

Task = tuple[str, int]
"""A policy's name and a window's number."""


def outcomes(contest: Contest, tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """Yields outcomes as they come: in this process with one worker, else in so many new ones."""
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from (contest.outcome(*task) for task in tasks)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_enter, initargs=(contest,))
    try:
        with _deaf():
            futures = [pool.submit(_outcome, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise BadInput(
            f"one of {workers} processes was ended from outside; was memory short? Try fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes begun herein never hear an interrupt: their parent does, and lets them finish their window."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_contest: Contest | None = None


def _enter(contest: Contest) -> None:
    """What a worker does first: it keeps the contest, and takes one core."""
    global _contest  # noqa: PLW0603 (a worker process has no other place to keep it)
    _contest = contest
    os.environ["OMP_NUM_THREADS"] = "1"


def _outcome(task: Task) -> Outcome:
    assert _contest is not None
    return _contest.outcome(*task)


def identity(name: str) -> str:
    """The digest of what a policy's name stands for: a folder's files, a module's source, or the name alone."""
    parts = [name.encode()]
    if (term := OVER.fullmatch(name)) is not None:
        parts += [identity(inner).encode() for inner in term.groups()]
    elif (folder := Path(name if Path(name).is_dir() else name.rpartition("@")[0] or name)).is_dir():
        parts += [file.read_bytes() for file in sorted(folder.glob("*")) if file.suffix in (".json", ".safetensors")]
    elif ":" in name and (found := find_spec(name.partition(":")[0])) and found.origin:
        parts.append(Path(found.origin).read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def code() -> str:
    """The digest of the source of the rooms that decide an outcome."""
    house = Path(__file__).parents[1]
    files = sorted(file for room in ROOMS for file in (house / room).rglob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def digest(value: object) -> str:
    """The digest of plain values, by their JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
