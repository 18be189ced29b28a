"""`gpuyard benchmark`: how fast it is, as ratios to something else that ran in the same minutes on the same machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import click
import numpy as np
from rich.box import SIMPLE
from rich.text import Text

from ..envs.nodes import parse
from ..envs.scenario import scenario
from ..envs.scheduling import SchedulingEnv
from ..traces.job import Trace
from ..traces.source import open_trace
from ..traces.trouble import BadInput
from .fitting import fitting
from .footprint import peak
from .names import policy
from .options import command_of, option
from .screen import number, out, print_table, say
from .simulate import session

PHILLY, INSTEAD = "fetched:philly", "synthetic:philly,jobs=82247,seed=0"
CLUSTER, HARSH = "60x8:V100", "campus"
ROUNDS = 3
LARGE, CROWD, FEWER = "1250x8:V100", 1_000_000, 100_000
DENSER = 20.0
"""Bursts an hour on the large cluster over those on Philly's: it has about so many times the accelerators."""
ENVS, ROLLOUT = 16, 128
LOADED = "1x8:V100"
"""A machine so small for the default trace that the menu is nearly always full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Measure gpuyard's speed as ratios taken in one run.

    Absolute numbers are this machine's, at this moment. Slowness is reported, never an error.
    """

    trace: str | None = option(None, help="Trace of the whole-trace run; fetched Philly, or a synthetic one like it.")
    quick: bool = option(False, help="Leave out the million jobs.")
    steps: int = option(20_000, help="Environment steps to time.")
    json: bool = option(False, help="One JSON object on stdout.")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number.

    Attributes:
        name: what was measured.
        value: None where it could not be; `note` says why.
        unit: "" for ratios.
        target: what the value should reach, None where nothing was promised.
        note: what else must be known of it.
        most: the target is one to stay below.
    """

    name: str
    value: float | None
    unit: str = ""
    target: float | None = None
    note: str = ""
    most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target was reached, None where there is none."""
        if self.target is None or self.value is None:
            return None
        return self.value <= self.target if self.most else self.value >= self.target


def measures(args: Benchmark) -> Iterator[Measure]:
    """Yields each number as it is measured. Raises BadInput for a trace that cannot be opened."""
    ours, *others = whole_trace(args.trace)
    yield from (ours, *others)
    yield from harsh(ours.value)
    yield environment("environment, default", SchedulingEnv(), args.steps)
    yield environment(f"environment, loaded ({LOADED})", crowded(), args.steps)
    yield training()
    if not args.quick:
        yield from crowd()


def whole_trace(spec: str | None) -> Iterator[Measure]:
    """FIFO over a whole trace against SimPy doing nothing but letting the same jobs come and go, turn by turn."""
    trace, name = _philly(spec)
    nodes = parse(CLUSTER)
    trace, skipped = fitting(trace, nodes, {}, "skip")
    fifo = policy("fifo")
    ours, bare = [], []
    for _ in range(ROUNDS):
        bare.append(_seconds(lambda: bare_simpy(trace)))
        ready = session(trace, nodes, fifo)
        ours.append(_seconds(lambda: ready.play(fifo)))  # noqa: B023 (called at once)
    note = f"{name}, {len(trace):,} jobs on {CLUSTER}, best of {ROUNDS}" + (
        f", {len(skipped)} skipped" if skipped else ""
    )
    yield Measure("FIFO over the whole trace", len(trace) / min(ours), "jobs/s", note=note)
    yield Measure(
        "bare SimPy, the same jobs", len(trace) / min(bare), "jobs/s", note="a process a job: it comes, it goes"
    )
    yield Measure("FIFO over bare SimPy", min(bare) / min(ours), target=0.4)


def harsh(plain_rate: float | None, name: str = HARSH, spec: str | None = None) -> Iterator[Measure]:
    """FIFO over a scenario's jobs with all its laws on, and on the same machines without any, turn by turn.

    `plain_rate` is that of FIFO over the whole trace, which the laws' rate is also set against.
    """
    full = scenario(name)
    plain = replace(full, laws={}, tenants=None)
    trace = open_trace(spec or str(full.trace), seed=full.seed)
    trace, _ = fitting(trace, full.nodes, {}, "skip", room=full.room())
    fifo = policy("fifo")
    laws, none = list[float](), list[float]()
    for _ in range(ROUNDS):
        for world, took in ((full, laws), (plain, none)):
            ready = session(trace, world, fifo)
            took.append(_seconds(lambda: ready.play(fifo)))  # noqa: B023 (called at once)
    note = f"{len(trace):,} jobs of {spec or full.trace}, best of {ROUNDS}"
    rate = len(trace) / min(laws)
    yield Measure(f"FIFO, {name}, all laws on", rate, "jobs/s", note=f"{note}; tenants, {', '.join(full.laws)}")
    yield Measure(f"FIFO, {name}, no law", len(trace) / min(none), "jobs/s", note=note)
    if plain_rate is not None:
        yield Measure(f"FIFO, {name}: all laws over the whole trace's rate", rate / plain_rate)
    yield Measure(f"FIFO, {name}: all laws over none", min(none) / min(laws), target=0.2)


def bare_simpy(trace: Trace) -> None:
    """The same jobs in SimPy alone: one process a job that waits for its submission and then for its duration."""
    import simpy  # the measuring stick; nothing here schedules

    sim = simpy.Environment()

    def life(submit: float, duration: float) -> Generator[simpy.Event, Any, None]:
        yield sim.timeout(submit)
        yield sim.timeout(duration)

    for job in trace.jobs:
        sim.process(life(job.submit, trace.durations[job.id]))
    sim.run()


def crowded() -> SchedulingEnv:
    """The default environment's trace on a machine much too small for it, without the jobs it could never run."""
    nodes = parse(LOADED)
    return SchedulingEnv(fitting(SchedulingEnv().trace, nodes, {}, "skip")[0], nodes)


def environment(name: str, env: SchedulingEnv, steps: int, seed: int = 0) -> Measure:
    """Steps a second with random legal actions, resets included, on one core."""
    rng = np.random.default_rng(seed)
    chances, waiting = rng.random(steps).tolist(), 0
    env.reset(seed=seed)
    start = perf_counter()
    for chance in chances:
        legal = env.action_masks().nonzero()[0]
        over = env.step(legal[int(chance * len(legal))])[2]
        waiting += len(env.session.cluster.pending) if env.session else 0
        if over:
            env.reset()
    rows = env.codec.action_space.n - 1
    return Measure(
        name,
        steps / (perf_counter() - start),
        "steps/s",
        target=15_000.0,
        note=f"K={rows}, {waiting / steps:.0f} jobs waiting on average",
    )


def training() -> Measure:
    """Training steps a second, if there is what training needs."""
    try:
        rate = training_rate()
    except (BadInput, ImportError) as error:
        return Measure("training, end to end", None, "steps/s", note=str(error))
    return Measure("training, end to end", rate, "steps/s", note="MaskablePPO: play and updates, one process")


def training_rate(updates: int = 4) -> float:
    """Steps a second of a training: what `updates` more rollouts take, so that what is done once counts for nothing.

    Raises BadInput or ImportError where training is not installed.
    """
    from .train import Train
    from .train import run as train

    def seconds(steps: int) -> float:
        with TemporaryDirectory() as folder, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            args = Train(
                trace="synthetic:philly,jobs=20000", cluster="8x8:V100", oversized="skip", out=Path(folder) / "policy",
                steps=steps, envs=ENVS, rollout=ROLLOUT, lessons=1, validation=1, json=True,
            )  # fmt: skip
            start = perf_counter()
            if train(args):
                raise KeyboardInterrupt
            return perf_counter() - start

    once = ENVS * ROLLOUT
    seconds(once)  # imports and first calls
    return updates * once / (seconds((1 + updates) * once) - seconds(once))


def crowd() -> Iterator[Measure]:
    """A million jobs on ten thousand accelerators, and whether a tenth of them goes faster; each in its own process."""
    fewer, many = (_in_child(jobs) for jobs in (FEWER, CROWD))
    note = f"synthetic philly x{DENSER:g} on {LARGE}, FIFO"
    yield Measure(f"{FEWER:,} jobs", fewer["rate"], "jobs/s", note=note)
    yield Measure(f"{CROWD:,} jobs", many["rate"], "jobs/s", note=note)
    yield Measure(f"{CROWD:,} jobs' rate over {FEWER:,} jobs'", many["rate"] / fewer["rate"], target=0.7)
    held = many["peak"] / 2**20
    yield Measure(f"peak memory, {CROWD:,} jobs", held, "MiB", 3072.0, "trace, ledger and log", most=True)


def child(jobs: int) -> None:
    """What the process of `crowd` does: one run, and one line of JSON about it."""
    trace = open_trace(f"synthetic:philly,jobs={jobs},rate={DENSER:g},seed=0")
    nodes, fifo = parse(LARGE), policy("fifo")
    ready = session(fitting(trace, nodes, {}, "skip")[0], nodes, fifo)
    seconds = _seconds(lambda: ready.play(fifo))
    print(json.dumps({"rate": jobs / seconds, "peak": peak()}))


def _in_child(jobs: int) -> dict[str, float]:
    words = [sys.executable, "-c", f"from gpuyard.experiments.benchmark import child; child({jobs})"]
    told: dict[str, float] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return told


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _philly(spec: str | None) -> tuple[Trace, str]:
    """The trace and its name; without a spec Philly if it was fetched, else a synthetic one like it."""
    if spec is not None:
        return open_trace(spec), spec
    try:
        return open_trace(PHILLY), PHILLY
    except BadInput:
        return open_trace(INSTEAD), f"{INSTEAD} (Philly is not fetched)"


COLUMNS: dict[str, Callable[[Measure], Text]] = {
    "measure": lambda one: Text(one.name),
    "value": lambda one: Text(_told(one.value, one.unit)),
    "target": lambda one: Text("" if one.target is None else f"{'≤' if one.most else '≥'} {one.target:,g}"),
    "met": lambda one: Text({None: "", True: "yes", False: "no"}[one.met]),
}


def run(args: Benchmark) -> None:
    """Measures and prints a table or one JSON object. Raises BadInput."""
    found = []
    for one in measures(args):
        found.append(one)
        say(f"{one.name}: {_told(one.value, one.unit)}")
    if args.json:
        click.echo(json.dumps({"measures": [{**asdict(one), "met": one.met} for one in found]}, indent=2))
    else:
        print_table(out(), COLUMNS, found, box=SIMPLE)
        for one in found:
            if one.note:
                click.echo(f"{one.name}: {one.note}")


def _told(value: float | None, unit: str) -> str:
    return f"{number(value, 0 if unit else 3)} {unit}".strip()


command = command_of(
    Benchmark,
    run,
    examples="""
    gpuyard benchmark
    gpuyard benchmark --quick --json
    gpuyard benchmark --trace philly:philly.csv.gz
    """,
)
