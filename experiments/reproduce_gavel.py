"""`python -m gpuyard.experiments.reproduce_gavel`: the makespans of Gavel's evaluation, published and found here.

Its static trace of jobs with gangs, on 36 each of V100, P100 and K80, in rounds of 360 s, restarts free.
"""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
from rich.text import Text

from ..envs.harsh import HarshWorld
from ..envs.laws.speed import Speed
from ..envs.nodes import parse
from ..envs.session import Policy, Session
from ..policies.gavel import gavel_makespan
from ..policies.orders import fifo
from ..policies.rounds import Rounds
from ..traces.rows import content
from ..traces.trouble import BadInput
from .contest import code
from .cores import cores
from .gavel_jobs import CLUSTER, PublishedFifo, data, static
from .options import command_of, option
from .screen import number, out, print_table, progress, say, share
from .shell import ended

HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduce:
    """Play Gavel's static trace under its makespan policy and under FIFO, and put the makespans beside the published.

    Each makespan is a mean over seeds 0, 1 and 2, as the published ones are. Interrupted, the same command goes on.
    """

    throughputs: Path = option(help="Gavel's simulation_throughputs.json, plain or gzipped.")
    most: int = option(700, help="Jobs of the largest trace: 100, 200 and so on to 700 were published.")
    out: Path | None = option(None, help="File that keeps what was played, to go on with; none keeps nothing.")
    workers: int | None = option(None, help="Processes; as many as there are cores by default.")
    json: bool = option(False, help="One JSON object on stdout.")


@dataclass(frozen=True, slots=True)
class Played:
    """One policy on one trace.

    Attributes:
        policy: which.
        jobs: how many.
        seed: of the trace.
        hours: makespan.
        wall_seconds: that it took here.
    """

    policy: str
    jobs: int
    seed: int
    hours: float
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One makespan, published and found.

    Attributes:
        policy: which.
        jobs: how many.
        published: hours, None where none was.
        hours: found here, the mean over seeds.
        by_seed: hours for each seed.
        off: found / published - 1.
        wall_seconds: of all seeds.
    """

    policy: str
    jobs: int
    published: float | None
    hours: float
    by_seed: tuple[float, ...]
    off: float | None
    wall_seconds: float


POLICIES: Mapping[str, tuple[Callable[[Speed, int], Policy], str | None]] = {
    "gavel_makespan": (lambda law, _: replace(gavel_makespan, law=law, fills=False), "gavel"),
    "FIFO as published": (lambda law, seed: Rounds(PublishedFifo(seed), law=law, fills=False, spares=False), "fifo"),
    "fifo": (lambda _law, _seed: fifo, None),
}
"""Name -> how it is made, and the published figures that it is to meet. `fifo` is gpuyard's own, for comparison."""

Task = tuple[str, str, int, int]
"""(table, policy, jobs, seed)."""


def play(task: Task) -> Played:
    """Plays one policy on one trace."""
    table, name, jobs, seed = task
    law = Speed(profiles=table)
    policy = POLICIES[name][0](law, seed)
    began = perf_counter()
    world = HarshWorld(
        static(Path(table), jobs, seed), parse(CLUSTER), {"speed": law}, restart=0.0, tick=getattr(policy, "tick", None)
    )
    session = Session(world)
    session.play(policy)
    if left := len(session.cluster.pending):
        raise RuntimeError(f"{name} left {left} of {jobs} jobs of seed {seed} undone")
    return Played(name, jobs, seed, session.cluster.now / HOUR, perf_counter() - began)


def run(args: Reproduce) -> None:
    """Plays what is not known yet, and prints the table."""
    try:
        rows = list(summed(played(args)))
    except BadInput as error:
        raise click.UsageError(str(error)) from None
    if args.json:
        found = {"cluster": CLUSTER, "round_seconds": gavel_makespan.tick, "rows": [asdict(row) for row in rows]}
        click.echo(json.dumps(found, indent=1))
    else:
        print_table(out(), COLUMNS, rows)


def played(args: Reproduce) -> list[Played]:
    """All of it, from the file or played now, shortest traces first."""
    seeds, sizes = data()["published"]["seeds"], [n for n in data()["published"]["jobs"] if n <= args.most]
    if not sizes:
        raise BadInput(f"--most {args.most}: give 100 or more")
    tasks = [(str(args.throughputs), name, n, seed) for n in sizes for name in POLICIES for seed in seeds]
    static(args.throughputs, sizes[0], seeds[0])  # a wrong table is said before processes are begun
    kept = Kept(args.out, args.throughputs)
    left = [task for task in tasks if task[1:] not in kept.known]
    with progress("reproduce", len(tasks)) as tell:
        for count, one in enumerate(_played(left, args.workers or cores()), len(tasks) - len(left) + 1):
            kept.add(one)
            tell(count)
    return [kept.known[task[1:]] for task in tasks]


def _played(tasks: Sequence[Task], workers: int) -> Iterator[Played]:
    if workers <= 1 or len(tasks) <= 1:
        yield from map(play, tasks)
        return
    pool = ProcessPoolExecutor(min(workers, len(tasks)), get_context("spawn"), initializer=_alone)
    try:
        for future in as_completed([pool.submit(play, task) for task in tasks]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _alone() -> None:
    """What a worker does first: it takes one core."""
    os.environ["OMP_NUM_THREADS"] = "1"


class Kept:
    """What was played already, by this very code and on this very table: a JSON object a line.

    Attributes:
        known: (policy, jobs, seed) -> what came of it.
    """

    def __init__(self, path: Path | None, table: Path) -> None:
        parts = (
            code().encode(),
            content(table),
            *(p.read_bytes() for p in sorted(Path(__file__).parent.glob("*gavel*"))),
        )
        self._path, self._mark = path, hashlib.sha256(b"\0".join(parts)).hexdigest()
        self.known: dict[tuple[str, int, int], Played] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else ():
            self._read(line)

    def _read(self, line: str) -> None:
        """A line that an interrupt has torn, or that other code wrote, is played again."""
        try:
            said: dict[str, Any] = json.loads(line)
            if said.pop("code") == self._mark:
                one = Played(**said)
                self.known[one.policy, one.jobs, one.seed] = one
        except (ValueError, TypeError, KeyError, AttributeError):
            say(f"gpuyard: {self._path}: a line cannot be read; what it told is played again")

    def add(self, one: Played) -> None:
        """Notes one, and writes it at once."""
        self.known[one.policy, one.jobs, one.seed] = one
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"code": self._mark, **asdict(one)}) + "\n")


def summed(found: Sequence[Played]) -> Iterator[Row]:
    """A row for each policy and number of jobs."""
    published = data()["published"]
    for name, (_, key) in POLICIES.items():
        for column, jobs in enumerate(published["jobs"]):
            if mine := [one for one in found if (one.policy, one.jobs) == (name, jobs)]:
                hours = float(np.mean([one.hours for one in mine]))
                there = published[key][column] if key else None
                off = hours / there - 1 if there else None
                by_seed = tuple(one.hours for one in mine)
                yield Row(name, jobs, there, hours, by_seed, off, sum(one.wall_seconds for one in mine))


COLUMNS: Mapping[str, Callable[[Row], Text]] = {
    "policy": lambda row: Text(row.policy),
    "jobs": lambda row: Text(number(row.jobs)),
    "published, h": lambda row: Text(number(row.published, 1)),
    "here, h": lambda row: Text(number(row.hours, 1)),
    "off by": lambda row: Text(share(row.off)),
    "by seed, h": lambda row: Text(", ".join(number(hours, 1) for hours in row.by_seed)),
    "took, s": lambda row: Text(number(row.wall_seconds, 1)),
}

command = command_of(
    Reproduce,
    run,
    examples="""
    python -m gpuyard.experiments.reproduce_gavel --throughputs simulation_throughputs.json.gz --out gavel.jsonl
    python -m gpuyard.experiments.reproduce_gavel --throughputs simulation_throughputs.json.gz --most 100 --json
    """,
)

if __name__ == "__main__":
    ended(command)
