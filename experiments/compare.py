"""`gpuyard compare`: policies on the same held-out windows, with intervals for every difference."""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import numpy as np

from .. import __version__
from ..envs.nodes import Nodes, describe
from ..envs.session import Policy
from ..envs.sim import RESTART
from ..traces.job import Trace
from ..traces.trouble import BadInput, nearest
from ..traces.windows import fingerprint
from .board import show
from .bounds import jct_bound
from .contest import Contest, Outcome, Task, identity, outcomes
from .cores import cores
from .entrants import entrants
from .held_out import HeldOut, held_out, seen_before
from .intervals import RESAMPLES
from .options import command_of, option, spoken
from .report import page
from .results import Results, replace
from .scene import Scene, accelerators, jobs, policies, positive, restarts, scene, setting, told_estimates
from .screen import progress, say
from .simulate import Oversized
from .standing import METRICS, Standing, standings

if TYPE_CHECKING:
    from pandas import DataFrame

FEW = 20
"""Below so many windows a percentile bootstrap's intervals are known to be too narrow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """Compare policies on held-out windows, with intervals, table and report.

    All policies meet the same windows of the trace's last part, the same estimates and the same costs. Every window
    begins with warm-up jobs that fill the cluster and are not scored. Interrupted, the same command goes on later.
    """

    policy: tuple[str, ...] = option(help="A policy's name, module:object, or the folder of a learned one. Repeatable.")
    out: Path = option(help="Folder for results.csv, comparison.json and report.html.", metavar="DIR")
    trace: str | None = option(None, help="FORMAT:PATH, or synthetic:PRESET[,jobs=N,seed=S]; else the scenario's.")
    cluster: str | None = option(None, help="Nodes x accelerators : kind, as in 60x8:V100+20x4:P100, or a TOML file.")
    scenario: str | None = option(
        None, help="A whole world instead: a name of `gpuyard scenario list`, or a TOML file."
    )
    reference: str | None = option(None, help="The policy that the others are compared with; the first by default.")
    placement: str | None = option(None, help="Place jobs this way instead of each policy's own.")
    estimates: str | None = option(
        None, help="Run times that policies see: recorded (default), none, predicted, exact (oracle), noisy:SIGMA."
    )
    limit: int | None = option(None, help="Only the first N jobs of the trace.", metavar="N")
    part: Literal["test", "validation", "train", "all"] = option("test", help="Part of the trace, by time.")
    windows: int = option(32, help="How many windows.")
    jobs: int = option(256, help="Scored jobs in a window.")
    warmup: int = option(64, help="Jobs before them that are simulated and not scored.")
    load: tuple[float, ...] = option((1.0,), help="Submit jobs so many times as fast as they were. Repeatable.")
    oracle: tuple[str, ...] = option((), help="A policy that is told exact run times, to measure by. Repeatable.")
    restart_cost: float | None = option(None, help=f"Seconds before a preempted job works again; {RESTART:g} if plain.")
    oversized: Oversized = option("refuse", help="What to do with jobs that the cluster could never run.")
    seed: int = option(0, help="Seed of whatever is random: synthetic traces, noisy estimates, the bootstrap.")
    workers: int | None = option(None, help="Processes; as many as there are cores by default.")
    fresh: bool = option(False, help="Begin anew, whatever the folder holds.")
    json: bool = option(False, help="One JSON object on stdout.")

    def __post_init__(self) -> None:
        """Raises BadInput for numbers and names that cannot be."""
        positive("limit", self.limit)
        positive("seed", self.seed, 0)
        positive("windows", self.windows, 2)
        positive("jobs", self.jobs)
        positive("warmup", self.warmup, 0)
        positive("workers", self.workers)
        if bad := [load for load in self.load if not 0 < load < float("inf")]:
            raise BadInput(f"--load {bad[0]}: give a number above 0")
        if not self.load or len(set(self.load)) < len(self.load):
            raise BadInput("--load: give each load once, and one at least")
        if self.restart_cost is not None and not 0 <= self.restart_cost < float("inf"):
            raise BadInput(f"--restart-cost {self.restart_cost}: give seconds, 0 or more")
        if len(self.policy) < 2:
            raise BadInput("a comparison needs two policies; give --policy twice or more")
        if self.reference is not None and self.reference not in self.policy:
            raise BadInput(
                f"--reference {self.reference}: is none of --policy.{nearest(self.reference, [*self.policy])}"
            )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found.

    Attributes:
        found: a standing for each policy, in the order they were named.
        reference: the policy that the others were compared with.
        heuristics: those that were not learned.
        contest: what all met.
        known: (policy, window) -> its outcome.
        by_load: load -> the same for the windows at that load; `found` is that of the first.
        document: all of it in plain values, as `comparison.json` has it.
    """

    found: list[Standing]
    reference: str
    heuristics: tuple[str, ...]
    contest: Contest
    document: dict[str, Any]
    by_load: dict[float, list[Standing]] = field(default_factory=dict)
    known: dict[tuple[str, int], Outcome] = field(default_factory=dict)

    def frame(self) -> DataFrame:
        """Every window's outcome under every policy as a pandas DataFrame, a row each."""
        from .frames import frame

        return frame(self)


def compare(args: Compare) -> Comparison:
    """Plays what is not yet known in `args.out`, keeps each window as it ends, and sums up. Raises BadInput.

    More than one worker means new processes: a script that calls this needs `if __name__ == "__main__":`.
    """
    world = setting(args, args.restart_cost)
    rows = entrants(args.policy, args.oracle)
    members = [name for one in rows for name in one.members if not one.oracle]
    chosen = policies(members, args.placement)
    policies(args.oracle, args.placement)
    stage = scene(jobs(args, world), world, chosen, args.oversized)
    parts = [held_out(stage.trace, args.part, args.windows, args.jobs, args.warmup, load) for load in args.load]
    part = parts[0]
    windows = tuple(window for one in parts for window in one.windows)
    contest = Contest(windows, args.warmup, world, args.placement, len(parts))
    names = [name for one in rows for name in one.members]
    results = _results(args, names, contest, stage)
    _play(contest, names, results, args)
    reference = args.reference or args.policy[0]
    by_load = {
        load: standings(results.known, rows, range(at * args.windows, (at + 1) * args.windows), reference, args.seed)
        for at, load in enumerate(args.load)
    }
    found = by_load[args.load[0]]
    warnings = [*_warnings(stage, part, found), *seen_before(chosen, part)]
    document = _document(args, stage, part, contest, by_load, warnings)
    heuristics = tuple(one.name for one in rows if not one.oracle and not _learned(chosen[one.members[0]]))
    return Comparison(found, reference, heuristics, contest, document, by_load, results.known)


def run(args: Compare) -> int:
    """Compares, writes `comparison.json` and `report.html`, and prints the table. 130 when interrupted."""
    try:
        done = compare(args)
    except KeyboardInterrupt:
        say(f"gpuyard: interrupted; finished windows are kept in {args.out / 'results.csv'}, the same command goes on")
        return 130
    replace(args.out / "comparison.json", json.dumps(done.document, indent=1, allow_nan=False) + "\n")
    replace(args.out / "report.html", _page(done))
    if args.json:
        click.echo(json.dumps(done.document, indent=1, allow_nan=False))
    else:
        show(done.document, done.found, done.reference)
        click.echo(f"report      {args.out / 'report.html'} (rows in results.csv, numbers in comparison.json)")
    return 0


def _page(done: Comparison) -> str:
    return page(done.document, done.found, done.reference, done.heuristics, done.contest, done.by_load)


def _results(args: Compare, names: Sequence[str], contest: Contest, stage: Scene) -> Results:
    labels = {"estimates": stage.trace.estimates, "seed": str(args.seed)}
    identities = {name: identity(name) for name in names}
    return Results(args.out / "results.csv", contest.sha256, identities, labels, args.fresh)


def _play(contest: Contest, names: Sequence[str], results: Results, args: Compare) -> None:
    """Plays every window that is not known, window by window, so that all policies are equally far at any time."""
    tasks: list[Task] = [(name, number) for number in range(len(contest.windows)) for name in names]
    left = [task for task in tasks if task not in results.known]
    with progress("compare", len(tasks)) as tell:
        tell(len(tasks) - len(left))
        for count, outcome in enumerate(outcomes(contest, left, args.workers or cores()), len(tasks) - len(left) + 1):
            results.add(outcome)
            tell(count)
    if left:
        results.write()


def _learned(one: Policy) -> bool:
    return isinstance(getattr(one, "card", None), Mapping)


def _warnings(stage: Scene, part: HeldOut, found: Sequence[Standing]) -> Iterator[str]:
    """What a reader must know before any number."""
    estimates = stage.trace.estimates
    if estimates == "exact":
        yield "Estimates are exact: an oracle gave every policy the true run times, which no real scheduler has."
    elif estimates.startswith("noisy"):
        yield f"Estimates are {told_estimates(estimates)}: no user stated them."
    if not part.disjoint:
        yield "Windows overlap, as the part is too short for disjoint ones: the intervals are too narrow."
    if len(part.windows) < FEW:
        yield f"Only {len(part.windows)} windows: the intervals are rough, and rather too narrow."
    if not any(one.longest_wait for one in found):
        yield "No job ever waited, whatever the policy: raise --load or --warmup, or take a smaller --cluster."
    if stage.skipped:
        yield f"{len(stage.skipped):,} jobs were left out because this cluster could never run them."
    for one in found:
        if one.unfinished:
            yield f"{one.policy} left {one.unfinished:,} scored jobs unfinished: it has no score in those windows."


def _document(
    args: Compare,
    stage: Scene,
    part: HeldOut,
    contest: Contest,
    by_load: Mapping[float, Sequence[Standing]],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """All that was found and all that is needed to find it again. Times in seconds."""
    trace, found = stage.trace, by_load[args.load[0]]
    return {
        "trace": args.trace or stage.setting.trace,
        "cluster": args.cluster,
        "scenario": args.scenario,
        "estimates": told_estimates(trace.estimates),
        "reference": args.reference or args.policy[0],
        "windows": args.windows,
        "jobs": args.jobs,
        "warmup": args.warmup,
        "load": args.load[0],
        "loads": list(args.load),
        "offered_load": offered(part.windows, stage.nodes),
        "jct_bound": bound(contest, args.windows, stage.nodes),
        "restart_cost": stage.setting.restart,
        "restarts": restarts(stage.setting),
        "placement": args.placement,
        "warnings": list(warnings),
        "metrics": {name: {"name": words, "unit": unit} for name, (words, unit) in METRICS.items()},
        "policies": [one.as_dict() for one in found],
        "by_load": [{"load": load, "policies": [s.as_dict() for s in some]} for load, some in by_load.items()],
        "provenance": {
            "command": spoken("compare", args),
            "version": __version__,
            "trace": trace.name,
            "trace_sha256": fingerprint(trace),
            "cluster": describe(stage.nodes),
            "laws": sorted(stage.setting.laws),
            "scenario": None if stage.setting.plain else stage.setting.name,
            "split": part.dates(),
            "windows_sha256": contest.windows_sha256,
            "contest_sha256": contest.sha256,
            "policy_sha256": {m: identity(m) for one in entrants(args.policy, args.oracle) for m in one.members},
            "seed": args.seed,
            "bootstrap": {"resamples": RESAMPLES, "seed": args.seed, "interval": "percentile, 95 %"},
            "skipped": [job.id for job in stage.skipped],
            "load_report": trace.report.as_dict() if trace.report else None,
        },
        "window_list": [_window(contest, number) for number in range(args.windows)],
    }


def offered(windows: Sequence[Trace], nodes: Nodes) -> float | None:
    """The median over windows of the work they bring over the work that the cluster could do while they come."""
    size = accelerators(nodes)
    loads = [window.work / (size * window.span) for window in windows if window.span and size]
    return float(np.median(loads)) if loads else None


def bound(contest: Contest, count: int, nodes: Nodes) -> float | None:
    """The mean over the first windows of `bounds.jct_bound`; None in worlds whose laws change how fast jobs run."""
    if contest.setting.laws:
        return None
    size = accelerators(nodes)
    found = [jct_bound(contest.windows[number], set(contest.scored(number)), size) for number in range(count)]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def _window(contest: Contest, number: int) -> dict[str, Any]:
    scored = contest.scored(number)
    return {"window": number, "first_job": scored[0], "last_job": scored[-1]}


command = command_of(
    Compare,
    run,
    examples="""
    gpuyard compare --trace synthetic:philly,jobs=40000 --cluster 8x8:V100 --policy easy --policy fifo --out runs/first
    gpuyard compare --scenario campus --policy fifo --policy "easy(sjf)" --load 0.8 --load 1.1 --out runs/campus
    gpuyard compare --trace philly:philly.csv.gz --cluster 60x8:V100 --policy runs/mine --policy fifo --out out
    """,
)
