"""`gpuyard run`: real commands on this machine's GPUs, placed by a policy, until all are done."""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from ..envs.log import Log
from ..envs.metrics import summary
from ..envs.nodes import Nodes, describe
from ..envs.session import Policy, Session
from ..envs.timeline import stays
from ..envs.vocabulary import Event, InvalidDecision, Preempt, Start, Stopped, Submitted
from ..executor.emulated import gpus
from ..executor.jobs import read
from ..executor.live import LiveWorld
from ..traces.job import Job, Trace
from ..traces.trouble import BadInput
from .fitting import fitting
from .missing import check_needs
from .names import policy
from .options import command_of, option
from .screen import number, out, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Place real commands on this machine's GPUs, by a policy, until all are done.

    JOBS is a TOML file of [[jobs]] tables: command (a list of strings), gpus, gpu_memory_gib, estimate, count,
    after_seconds, deadline, profile, name. Each job finds its GPUs in CUDA_VISIBLE_DEVICES and writes into a folder of
    its own below --out. Exit code 0: all finished; 1: some failed or never ran; 130: interrupted, and all that it
    started was ended.

    With --tuned a job also finds how to use the GPUs it got, as far as anybody measured it for its profile (a model
    family: resnet, lm, ...) on their kind: GPUYARD_PRECISION (bf16, ...), GPUYARD_COMPILE (1), GPUYARD_BATCH (samples a
    step on each GPU), GPUYARD_WATTS (power limit of each GPU). What is not known is not set, and following is the job's
    own affair.
    """

    jobs: Path = option(help="TOML file of jobs.", flag="JOBS")
    policy: str = option(help="A policy's name, module:object, or the folder of a learned one.")
    gpus: str = option("auto", help="auto: what NVML shows; emulated:4xA100: no hardware, and all output says so.")
    placement: str | None = option(None, help="Place jobs this way instead of the policy's own.")
    out: Path | None = option(None, help="Folder for logs; runs/live-DATE-TIME if not given.", metavar="DIR")
    grace: float = option(10.0, help="Seconds between the request to stop and the kill.")
    measure: float = option(10.0, help="Seconds between looks at use and draw of the GPUs that NVML shows; 0: none.")
    tuned: bool = option(False, help="Tell each job how to use the GPUs that it gets; see above.")
    json: bool = option(False, help="One JSON object on stdout.")

    def __post_init__(self) -> None:
        """Raises BadInput for seconds that cannot be."""
        if not 0 <= self.grace < float("inf"):
            raise BadInput(f"--grace {self.grace}: give seconds, 0 or more")
        if not 0 <= self.measure < float("inf"):
            raise BadInput(f"--measure {self.measure}: give seconds, or 0 for no looks")


def live(
    nodes: Nodes,
    jobs: tuple[Job, ...],
    chosen: Policy,
    folder: Path,
    *,
    grace: float = 10.0,
    measure: float = 10.0,
    tuned: bool = False,
    quiet: bool = False,
) -> Log:
    """Places the jobs until all are done and writes `session.jsonl` into the folder, also when it is interrupted."""
    tick, every = getattr(chosen, "tick", None), measure or None
    with LiveWorld(nodes, jobs, folder, grace=grace, tick=tick, every=every, tuned=tuned) as world, terminable():
        session = Session(world)
        say(f"{len(jobs)} jobs on {describe(nodes)}; logs in {folder}")
        try:
            session.play(chosen, Teller(jobs, quiet).tell)
        except InvalidDecision as error:
            raise BadInput(f"the policy decided what cannot be: {error}; mend the policy") from None
        finally:
            world.close()
            for event in world.aftermath:
                session.cluster.observe(event)
                session.log.entries.append(event)
            session.log.write(folder / "session.jsonl")
    return session.log


@contextmanager
def terminable() -> Iterator[None]:
    """A request to terminate, or a closed terminal, ends the session as Ctrl-C does: with its processes ended."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Teller:
    """Says on stderr what happens, as it happens."""

    def __init__(self, jobs: tuple[Job, ...], quiet: bool) -> None:
        self._names = {job.id: title(job) for job in jobs}
        self._quiet, self._said, self._now = quiet, 0, 0.0

    def tell(self, log: Log) -> None:
        """Says what is new in the log."""
        for entry in log.entries[self._said :]:
            self._now = entry.time if isinstance(entry, Event) else self._now
            if not self._quiet and (text := self._line(entry)):
                say(f"{self._now:9.2f} s  {text}")
        self._said = len(log.entries)

    def _line(self, entry: object) -> str | None:
        match entry:
            case Start(job, placement):
                return f"start     {self._names[job]} on {where(placement)}"
            case Preempt(job):
                return f"preempt   {self._names[job]}"
            case Stopped(_, job, reason):
                return f"{reason:<10}{self._names[job]}"
        return None


def title(job: Job) -> str:
    """What a job is called: its number, and its name if it has one."""
    return f"job {job.id} ({job.name})" if job.name else f"job {job.id}"


def where(placement: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    """The accelerators of a placement, or its node where there are none."""
    return ", ".join(a for _, accelerators in placement for a in accelerators) or placement[0][0]


def run(args: Run) -> int:
    """Runs the jobs; tells how they did."""
    jobs, nodes = read(args.jobs), gpus(args.gpus)
    chosen = policy(args.policy, args.placement)
    check(jobs, nodes, args.policy, chosen)
    folder = args.out or Path("runs") / time.strftime("live-%Y%m%d-%H%M%S")
    log = live(nodes, jobs, chosen, folder, grace=args.grace, measure=args.measure, tuned=args.tuned, quiet=args.json)
    rows = outcomes(log, jobs)
    told = {
        "policy": args.policy,
        "cluster": describe(nodes),
        "folder": str(folder),
        "log": str(folder / "session.jsonl"),
    }
    if args.json:
        click.echo(json.dumps({**told, **summary(log).as_dict(), "runs": rows}, indent=2))
    else:
        show(rows, log, folder)
    return 0 if all(row["state"] == "finished" for row in rows) else 1


def check(jobs: tuple[Job, ...], nodes: Nodes, name: str, chosen: Policy) -> None:
    """Refuses what could never run here, and a policy that needs what these jobs do not say. Raises BadInput."""
    trace = Trace(jobs, {job.id: 0.0 for job in jobs}, "these jobs")
    place = getattr(chosen, "place", None)
    places = {getattr(place, "__name__", "its own"): place} if place else {}
    fitting(trace, nodes, places, cure="ask for less in the jobs file, or take a larger machine")
    check_needs(name, chosen, trace, cure="give each job an estimate = SECONDS in the jobs file")


def outcomes(log: Log, jobs: tuple[Job, ...]) -> list[dict[str, Any]]:
    """A row for each job: what became of it. Seconds."""
    came = {entry.job.id: entry.time for entry in log.entries if isinstance(entry, Submitted)}
    states = {entry.job: entry.reason for entry in log.entries if isinstance(entry, Stopped)}
    stood: dict[int, list[tuple[Any, float, float]]] = {}
    for stay in stays(log):
        stood.setdefault(stay.job, []).append((stay.placement, stay.begin, stay.end))
    return [_outcome(job, came.get(job.id), states.get(job.id), stood.get(job.id, [])) for job in jobs]


def _outcome(job: Job, came: float | None, state: str | None, stood: list[tuple[Any, float, float]]) -> dict[str, Any]:
    began = stood[0][1] if stood else None
    return {
        "job": job.id,
        "name": job.name,
        "state": state or "never ran",
        "gang": job.gang,
        "wait": None if began is None or came is None else began - came,
        "held": sum(end - begin for _, begin, end in stood),
        "attempts": len(stood),
        "where": where(stood[-1][0]) if stood else None,
    }


def show(rows: list[dict[str, Any]], log: Log, folder: Path) -> None:
    """The table of jobs, and where the logs are."""
    columns: Mapping[str, Any] = {
        "job": lambda r: str(r["job"]) + (f" {r['name']}" if r["name"] else ""),
        "state": lambda r: r["state"],
        "waited s": lambda r: number(r["wait"], 2),
        "ran s": lambda r: number(r["held"], 2),
        "attempts": lambda r: str(r["attempts"]),
        "last on": lambda r: r["where"] or "-",
    }
    table = Table(title=f"{describe(log.nodes)}", title_justify="left")
    for name in columns:
        table.add_column(name, justify="right" if name.endswith(" s") or name == "attempts" else "left")
    for row in rows:
        table.add_row(*(Text(cell(row)) for cell in columns.values()))
    out().print(table)
    told = summary(log)
    energy = "" if told.energy_kwh is None else f", drew {1000 * told.energy_kwh:,.1f} Wh"
    out().print(
        f"makespan {number(told.makespan, 2)} s, mean JCT {number(told.mean_jct, 2)} s{energy}, "
        f"log {folder / 'session.jsonl'}"
    )


command = command_of(
    Run,
    run,
    examples="""
    gpuyard run --policy fifo --gpus emulated:4xA100 jobs.toml
    gpuyard run --policy runs/mine --gpus auto --out runs/tonight jobs.toml
    gpuyard run --policy sjf --gpus auto --json jobs.toml
    gpuyard run --policy sjf --measure 1 --tuned jobs.toml
    """,
)
