"""`gpuyard compare`: policies on the same held-out windows, with intervals for every difference."""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from ..envs.session import Policy
from ..envs.sim import RESTART
from ..traces.trouble import BadInput, nearest
from .board import show
from .bounds import unbound
from .comparison import Comparison, document
from .contest import Contest, Key, identity, outcomes
from .cores import cores
from .doubts import doubts
from .entrants import entrants
from .headroom import headroom
from .held_out import held_out
from .intervals import resamples
from .noted import cards, note
from .options import command_of, option
from .report import page
from .results import Results, replace
from .scene import Scene, folder_at, jobs, policies, positive, scene, setting
from .screen import progress, say
from .simulate import Oversized
from .standing import standings


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
    note: bool = option(False, help="Write into the learned reference's card how it did beside the best rule.")
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
        folder_at(self.out)
        if len(self.policy) < 2:
            raise BadInput("a comparison needs two policies; give --policy twice or more")
        if self.reference is not None and self.reference not in self.policy:
            raise BadInput(
                f"--reference {self.reference}: is none of --policy.{nearest(self.reference, [*self.policy])}"
            )


def compare(args: Compare) -> Comparison:
    """Plays what is not yet known in `args.out`, keeps each window as it ends, and sums up. Raises BadInput.

    More than one worker means new processes: a script that calls this needs `if __name__ == "__main__":`.
    """
    world = setting(args, args.restart_cost)
    rows = entrants(args.policy, args.oracle, not unbound(world))
    if args.note:
        reference = args.reference or args.policy[0]
        cards(reference, next(one.members for one in rows if one.name == reference))
    chosen = policies([name for one in rows for name in one.members if not one.oracle], args.placement)
    policies(args.oracle, args.placement)
    stage = scene(jobs(args, world), world, chosen, args.oversized)
    part = held_out(stage.trace, args.part, args.windows, args.jobs, args.warmup)
    contest = Contest(part.windows, args.warmup, world, args.placement)
    names = [name for one in rows for name in one.members]
    results = _results(args, names, contest, stage)
    _play(contest, names, results, args)
    draws = resamples(args.windows, args.seed, block=part.block)
    found = standings(results.known, rows, draws, args.reference or args.policy[0], args.load)
    rules = tuple(one.name for one in rows if not one.oracle and not any(_learned(chosen[m]) for m in one.members))
    gain = list(headroom(found, rules, args.load, draws, unbound(world)))
    told = document(args, stage, part, contest, found, gain, list(doubts(stage, part, found, chosen)))
    return Comparison(found, args.reference or args.policy[0], rules, contest, results.known, gain, told)


def run(args: Compare) -> int:
    """Compares, writes `comparison.json` and `report.html`, and prints the table. 130 when interrupted."""
    try:
        done = compare(args)
    except KeyboardInterrupt:
        say(f"gpuyard: interrupted; finished windows are kept in {args.out / 'results.csv'}, the same command goes on")
        return 130
    replace(args.out / "comparison.json", json.dumps(done.document, indent=1, allow_nan=False) + "\n")
    replace(args.out / "report.html", page(done))
    for card in note(done) if args.note else ():
        say(f"noted       {card}")
    if args.json:
        click.echo(json.dumps(done.document, indent=1, allow_nan=False))
    else:
        show(done)
        click.echo(f"report      {args.out / 'report.html'} (rows in results.csv, numbers in comparison.json)")
    return 0


def _results(args: Compare, names: Sequence[str], contest: Contest, stage: Scene) -> Results:
    labels = {"estimates": stage.trace.estimates, "seed": str(args.seed)}
    identities = {name: identity(name) for name in names}
    return Results(args.out / "results.csv", contest.sha256, identities, labels, args.fresh)


def _play(contest: Contest, names: Sequence[str], results: Results, args: Compare) -> None:
    """Plays every window that is not known, window by window, so that all policies are equally far at any time."""
    tasks: list[Key] = [(n, load, window) for window in range(args.windows) for load in args.load for n in names]
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


command = command_of(
    Compare,
    run,
    examples="""
    gpuyard compare --trace synthetic:philly,jobs=40000 --cluster 8x8:V100 --policy easy --policy fifo --out runs/first
    gpuyard compare --scenario campus --policy fifo --policy "easy(sjf)" --load 0.8 --load 1.1 --out runs/campus
    gpuyard compare --trace philly:philly.csv.gz --cluster 60x8:V100 --policy runs/mine --policy fifo --out out
    """,
)
