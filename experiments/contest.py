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
from ..envs.metrics import read, told
from ..envs.outcomes import Jobs
from ..envs.scenario import Scenario
from ..envs.session import Policy
from ..envs.vocabulary import InvalidDecision
from ..policies.learned import COMPARED
from ..traces.estimates import with_estimates
from ..traces.job import Trace
from ..traces.trouble import BadInput
from ..traces.windows import compressed, fingerprint
from .bounds import bound
from .entrants import BOUND, ORACLE
from .groups import grouped
from .names import OVER, policy
from .simulate import simulate

ROOMS = ("traces", "envs", "policies")
"""Whose code decides what a window's outcome is, beside these files of this room."""
FILES = ("bounds.py", "contest.py", "entrants.py", "groups.py", "names.py", "simulate.py")


@dataclass(frozen=True)
class Contest:
    """What every policy meets alike.

    Attributes:
        windows: jobs in order, the first `warmup` of each only to fill the cluster.
        warmup: jobs of each window that are simulated and not scored.
        setting: the world; its chance is drawn anew for each window, the same for all policies.
        placement: the placement that all use, None for each policy's own.
    """

    windows: tuple[Trace, ...]
    warmup: int
    setting: Scenario
    placement: str | None

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

    @cached_property
    def _known(self) -> dict[str, Policy]:
        return {}

    def window(self, number: int, load: float = 1.0) -> Trace:
        """The jobs of a window, submitted so many times as fast as they were."""
        found = self.windows[number]
        return found if load == 1.0 else compressed(found, load)

    def scored(self, number: int) -> tuple[int, ...]:
        """The ids of the jobs of a window that count."""
        return tuple(job.id for job in self.windows[number].jobs[self.warmup :])

    def play(self, name: str, number: int, load: float = 1.0) -> Log:
        """Simulates a window with a copy of the policy, which remembers no other window.

        An oracle's policy is told the true run times. Raises BadInput when the policy decides what cannot be.
        """
        window = self.window(number, load)
        if (oracle := ORACLE.fullmatch(name)) is not None:
            name, window = oracle[1], with_estimates(window, "exact")
        if name not in self._known:
            self._known[name] = policy(name, self.placement)
        try:
            return simulate(window, self.setting.drawn(number), deepcopy(self._known[name]))
        except InvalidDecision as error:
            raise BadInput(f"policy {name} decided what cannot be: {error}; mend the policy") from None

    def outcome(self, name: str, number: int, load: float = 1.0) -> Outcome:
        """Plays a window and scores it."""
        scored, start = self.scored(number), perf_counter()
        if name == BOUND:
            least = bound(self.window(number, load), scored, self.setting)
            return Outcome(
                name, load, number, scored[0], len(scored), wall_seconds=perf_counter() - start,
                mean_jct=least[0], mean_bounded_slowdown=least[1],
            )  # fmt: skip
        log = self.play(name, number, load)
        seconds = perf_counter() - start
        story = read(log)
        found, whole = story.jobs.only(scored), told(story, log, scored)
        return Outcome(
            policy=name,
            load=load,
            window=number,
            first_job=scored[0],
            jobs=whole.jobs,
            unfinished=whole.jobs - whole.finished - whole.failed - whole.cancelled,
            **{metric: getattr(whole, metric) for metric in TOLD},
            preemptions=float(whole.preemptions),
            max_wait=longest(found),
            groups=grouped(found),
            wall_seconds=seconds,
            log_sha256=log.sha256(),
        )


TOLD = (
    *(f"{which}_{what}" for what in ("bounded_slowdown", "jct") for which in ("mean", "median", "p95", "p99")),
    "mean_wait", "utilization", "decisions", "energy_kwh", "carbon_kg", "usd", "max_rho", "p95_rho", "jain",
    "deadlines_met",
)  # fmt: skip
"""What a summary knows by the same name."""


def longest(jobs: Jobs) -> float:
    """The longest wait of those that have ended, seconds."""
    return float(jobs.of(jobs.ended).wait.max(initial=0.0))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy on one window at one load: a row of `results.csv`. None for what is not known.

    Times are in seconds and of the scored jobs that ended, as are fairness, deadlines and preemptions. Use, energy,
    carbon, money and decisions are of the whole window, its warm-up included. `groups`: see `groups.grouped`.
    """

    policy: str
    load: float
    window: int
    first_job: int
    jobs: int
    unfinished: int = 0
    mean_bounded_slowdown: float | None = None
    median_bounded_slowdown: float | None = None
    p95_bounded_slowdown: float | None = None
    p99_bounded_slowdown: float | None = None
    mean_jct: float | None = None
    median_jct: float | None = None
    p95_jct: float | None = None
    p99_jct: float | None = None
    mean_wait: float | None = None
    max_wait: float | None = None
    utilization: float | None = None
    preemptions: float | None = None
    energy_kwh: float | None = None
    carbon_kg: float | None = None
    usd: float | None = None
    max_rho: float | None = None
    p95_rho: float | None = None
    jain: float | None = None
    deadlines_met: float | None = None
    decisions: int = 0
    wall_seconds: float = 0.0
    log_sha256: str = ""
    groups: str = "{}"


Key = tuple[str, float, int]
"""A policy's name, a load and a window's number."""


def outcomes(contest: Contest, tasks: Sequence[Key], workers: int) -> Iterator[Outcome]:
    """Yields outcomes as they come: in this process with one worker, else in so many new ones."""
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from (contest.outcome(name, number, load) for name, load, number in tasks)
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


def _outcome(task: Key) -> Outcome:
    assert _contest is not None
    name, load, number = task
    return _contest.outcome(name, number, load)


def identity(name: str) -> str:
    """The digest of what a policy's name stands for: a folder's files, a module's source, or the name alone."""
    parts = [name.encode()]
    if (term := OVER.fullmatch(name)) is not None:
        parts += [identity(inner).encode() for inner in term.groups()]
    elif (folder := Path(name if Path(name).is_dir() else name.rpartition("@")[0] or name)).is_dir():
        parts += [_content(file) for file in sorted(folder.glob("*")) if file.suffix in (".json", ".safetensors")]
    elif ":" in name and (found := find_spec(name.partition(":")[0])) and found.origin:
        parts.append(Path(found.origin).read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _content(file: Path) -> bytes:
    """What a policy's file says of what it does: not how it did where it was compared."""
    if file.name != "policy.json":
        return file.read_bytes()
    card = json.loads(file.read_text(encoding="utf-8"))
    return json.dumps({name: value for name, value in card.items() if name != COMPARED}, sort_keys=True).encode()


def code() -> str:
    """The digest of the source that decides an outcome."""
    here = Path(__file__).parent
    rooms = [here.parent / room for room in ROOMS]
    files = sorted(file for room in rooms for ending in ("py", "toml") for file in room.rglob(f"*.{ending}"))
    files += [here / name for name in FILES]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def digest(value: object) -> str:
    """The digest of plain values, by their JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
