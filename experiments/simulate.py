"""`gpuyard simulate`: policies over a trace in the simulator, and how they did."""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import click
from rich.box import SIMPLE
from rich.text import Text

from .. import __version__
from ..envs.log import Log
from ..envs.metrics import summary
from ..envs.nodes import Nodes
from ..envs.scenario import Scenario, of_cluster
from ..envs.session import Policy, Session
from ..envs.sim import RESTART
from ..envs.vocabulary import BACK, InvalidDecision, Stopped
from ..traces.job import Trace
from ..traces.trouble import BadInput
from ..traces.windows import fingerprint
from .options import command_of, option
from .scene import (
    Scene,
    accelerators,
    headline,
    jobs,
    placed,
    policies,
    positive,
    restarts,
    scene,
    setting,
    told_estimates,
)
from .screen import hours, number, out, polled, print_table, share

Oversized = Literal["refuse", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulate:
    """Run policies over a trace in the simulator and tell how they did.

    All times are in seconds. A job runs for its recorded duration; no policy sees that duration unless the estimates
    are 'exact', and then every table says so.
    """

    policy: tuple[str, ...] = option(help="A policy's name, module:object, or the folder of a learned one. Repeatable.")
    trace: str | None = option(None, help="FORMAT:PATH, or synthetic:PRESET[,jobs=N,seed=S]; else the scenario's.")
    cluster: str | None = option(None, help="Nodes x accelerators : kind, as in 60x8:V100+20x4:P100, or a TOML file.")
    scenario: str | None = option(
        None, help="A whole world instead: a name of `gpuyard scenario list`, or a TOML file."
    )
    placement: str | None = option(None, help="Place jobs this way instead of each policy's own.")
    estimates: str | None = option(
        None, help="Run times that policies see: recorded (default), none, predicted, exact (oracle), noisy:SIGMA."
    )
    limit: int | None = option(None, help="Only the first N jobs.", metavar="N")
    seed: int = option(0, help="Seed of whatever is random: synthetic traces, noisy estimates.")
    restart_cost: float | None = option(None, help=f"Seconds before a preempted job works again; {RESTART:g} if plain.")
    oversized: Oversized = option("refuse", help="What to do with jobs that the cluster could never run.")
    log: Path | None = option(None, help="Write the log of events and decisions here; one file a policy.")
    json: bool = option(False, help="One JSON object on stdout.")

    def __post_init__(self) -> None:
        """Raises BadInput for numbers that cannot be."""
        positive("limit", self.limit)
        positive("seed", self.seed, 0)
        if self.restart_cost is not None and not 0 <= self.restart_cost < float("inf"):
            raise BadInput(f"--restart-cost {self.restart_cost}: give seconds, 0 or more")


@dataclass(frozen=True, slots=True)
class Run:
    """One policy's run."""

    name: str
    placement: str
    log: Log
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        told = summary(self.log).as_dict()
        return {"policy": self.name, **told, "placement": self.placement, "wall_seconds": self.seconds} | {
            "log_sha256": self.log.sha256()
        }


def session(trace: Trace, world: Scenario | Nodes, policy: Policy, restart: float = RESTART) -> Session:
    """A session that is ready for this policy, with the ticks that it asks for."""
    there = world if isinstance(world, Scenario) else of_cluster(world, restart)
    return Session(there.world(trace, tick=getattr(policy, "tick", None)))


def simulate(trace: Trace, world: Scenario | Nodes, policy: Policy, *, restart: float = RESTART) -> Log:
    """Plays a policy over a trace in a scenario, or on plain nodes. Equal arguments give equal logs.

    `restart`, in seconds, is that of plain nodes; a scenario has its own.
    """
    return session(trace, world, policy, restart).play(policy)


def play(name: str, one: Policy, scene: Scene) -> Run:
    """Plays one policy, with a bar for whoever looks. The time is that of the simulation alone."""
    ready = session(scene.trace, scene.setting, one)
    with polled(f"simulate {name}", len(scene.trace), ended(ready.log)):
        start = perf_counter()
        try:
            log = ready.play(one)
        except InvalidDecision as error:
            raise BadInput(f"policy {name} decided what cannot be: {error}; mend the policy") from None
        return Run(name, placed(one), log, perf_counter() - start)


def ended(log: Log) -> Callable[[], int]:
    """What counts the jobs that have ended in a growing log, reading each entry once."""
    seen = count = 0

    def look() -> int:
        nonlocal seen, count
        fresh = log.entries[seen:]
        seen += len(fresh)
        count += sum(isinstance(entry, Stopped) and entry.reason not in BACK for entry in fresh)
        return count

    return look


def log_files(path: Path | None, names: Sequence[str]) -> dict[str, Path]:
    """Where each policy's log goes: `path`, or with several policies `path` with the policy's name inserted."""
    if path is None:
        return {}
    if path.is_dir():
        raise BadInput(f"--log {path}: is a folder; give a file")
    if len(names) == 1:
        return {names[0]: path}
    files = {name: path.with_name(f"{path.stem}.{slug(name)}{path.suffix}") for name in names}
    if len(set(files.values())) < len(names):
        raise BadInput("--log: two of these policies would write one file; simulate them one by one")
    return files


def slug(name: str) -> str:
    """A policy's name as part of a file's."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")


def run(args: Simulate) -> None:
    """Simulates, and prints a table or one JSON object. Raises BadInput."""
    world = setting(args, args.restart_cost)
    chosen = policies(args.policy, args.placement)
    files = log_files(args.log, args.policy)
    stage = scene(jobs(args, world), world, chosen, args.oversized)
    rows = []
    for name, one in chosen.items():
        done = play(name, one, stage)
        if name in files:
            done.log.write(files[name])
        rows.append(done.as_dict())
    if args.json:
        click.echo(json.dumps(document(args, stage, rows, files), indent=2, allow_nan=False))
    else:
        show(stage, rows, files)


def document(args: Simulate, stage: Scene, rows: list[dict[str, Any]], files: Mapping[str, Path]) -> dict[str, Any]:
    """The JSON object: what was asked, what was loaded, and a row for each policy. Times in seconds."""
    return {
        "trace": args.trace or stage.setting.trace,
        "cluster": args.cluster,
        "scenario": args.scenario,
        "estimates": told_estimates(stage.trace.estimates),
        "runs": rows,
        "accelerators": accelerators(stage.nodes),
        "restart_cost": stage.setting.restart,
        "seed": args.seed,
        "skipped": [job.id for job in stage.skipped],
        "load": stage.trace.report.as_dict() if stage.trace.report else None,
        "trace_sha256": fingerprint(stage.trace),
        "logs": {name: str(path) for name, path in files.items()},
        "version": __version__,
    }


Row = Mapping[str, Any]
COLUMNS: dict[str, Callable[[Row], Text]] = {
    "policy": lambda row: Text(row["policy"]),
    "finished": lambda row: Text(number(row["finished"])),
    "mean\nJCT s": lambda row: Text(number(row["mean_jct"])),
    "median\nJCT s": lambda row: Text(number(row["median_jct"])),
    "p95\nJCT s": lambda row: Text(number(row["p95_jct"])),
    "p99\nJCT s": lambda row: Text(number(row["p99_jct"])),
    "mean\nwait s": lambda row: Text(number(row["mean_wait"])),
    "mean bounded\nslowdown": lambda row: Text(number(row["mean_bounded_slowdown"], 2)),
    "makespan\ns": lambda row: Text(number(row["makespan"])),
    "busy": lambda row: Text(share(row["utilization"])),
    "preempted": lambda row: Text(number(row["preemptions"])),
    "lost work\nacc. h": lambda row: Text(hours(lost(row))),
    "deadlines\nmet": lambda row: Text(share(row["deadlines_met"])),
    "worst\nrho": lambda row: Text(number(row["max_rho"], 2)),
    "energy\nkWh": lambda row: Text(number(row["energy_kwh"], 1)),
    "CO2\nkg": lambda row: Text(number(row["carbon_kg"], 1)),
    "cost\nUSD": lambda row: Text(number(row["usd"], 2)),
    "took s": lambda row: Text(number(row["wall_seconds"], 2)),
}
SPARE = (
    "took s", "finished", "p95\nJCT s", "makespan\ns", "preempted", "mean\nwait s", "busy", "p99\nJCT s", "CO2\nkg",
    "deadlines\nmet", "lost work\nacc. h",
)  # fmt: skip
"""What a narrow screen does without, the first of them first."""
SOME: dict[str, Callable[[Row], float | None]] = {
    "lost work\nacc. h": lambda row: lost(row) or None,
    "deadlines\nmet": lambda row: row["deadlines_met"],
    "worst\nrho": lambda row: row["max_rho"],
    "energy\nkWh": lambda row: row["energy_kwh"],
    "CO2\nkg": lambda row: row["carbon_kg"],
    "cost\nUSD": lambda row: row["usd"],
}
"""Columns that are there only where a run has them."""


def lost(row: Row) -> float | None:
    """Accelerator-seconds of work that was done in vain, for whatever cause."""
    causes = row["work"]["lost"]
    return None if causes is None else sum(causes.values())


def known(rows: Sequence[Row]) -> dict[str, Callable[[Row], Text]]:
    """The columns that say something of any of these runs."""
    return {t: cell for t, cell in COLUMNS.items() if t not in SOME or any(SOME[t](row) is not None for row in rows)}


def show(stage: Scene, rows: Sequence[Mapping[str, Any]], files: Mapping[str, Path]) -> None:
    """Prints the table, and what a reader must not miss."""
    console = out()
    for line in headline(stage.trace, stage.setting):
        console.print(line, markup=False, soft_wrap=True)
    if stage.skipped:
        console.print(f"skipped    {len(stage.skipped):,} jobs that this cluster could never run")
    used = {row["placement"]: [r["policy"] for r in rows if r["placement"] == row["placement"]] for row in rows}
    told = [place if len(used) == 1 else f"{place} by {', '.join(names)}" for place, names in used.items()]
    console.print(f"placement  {'; '.join(told)}", markup=False, soft_wrap=True)
    columns = known(rows)
    print_table(console, columns, rows, [title for title in SPARE if title in columns], box=SIMPLE)
    console.print(f"estimates {told_estimates(stage.trace.estimates)}; {restarts(stage.setting)}", markup=False)
    for line in [*unfinished(rows), *(f"log of {name}: {path}" for name, path in files.items())]:
        console.print(line, markup=False, soft_wrap=True)


def unfinished(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Says which policies left jobs undone."""
    for row in rows:
        if left := row["jobs"] - row["finished"] - row["failed"] - row["cancelled"]:
            yield f"{row['policy']} left {left:,} of {row['jobs']:,} jobs unfinished; its means are of the others"
        if row["failed"]:
            yield f"{row['policy']}: {row['failed']:,} jobs failed"
        if row["cancelled"]:
            yield f"{row['policy']}: {row['cancelled']:,} jobs were cancelled; they are in no mean"


command = command_of(
    Simulate,
    run,
    examples="""
    gpuyard simulate --trace synthetic:philly,jobs=2000 --cluster 4x8:V100 --policy fifo --policy las
    gpuyard simulate --trace philly:philly.csv.gz --cluster 60x8:V100 --policy fifo --log fifo.jsonl --json
    gpuyard simulate --scenario campus --policy fifo --policy "easy(sjf)"
    gpuyard simulate --trace swf:lublin_256.swf --cluster 1x256:CPU --policy runs/mine --limit 1000
    """,
)
