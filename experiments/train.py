"""`gpuyard train`: a policy from a trace. Teachers play, the best is imitated, MaskablePPO goes on from there.

Everything is drawn from the first part of the trace by time; the checkpoint that is kept is chosen on validation
windows alone. The last part is for `gpuyard compare` and is never opened here.
"""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np

from ..envs.codec import Starts
from ..envs.commits import Commits
from ..envs.full import Full
from ..envs.nodes import describe
from ..envs.scenario import Scenario
from ..policies.learned import told_of
from ..traces.job import Trace
from ..traces.trouble import BadInput
from ..traces.windows import fingerprint, split
from .evolving import Evolving
from .fitting import fitting
from .lessons import Yard
from .missing import check_goals
from .names import place, policy
from .objectives import wanted
from .options import command_of, option, spoken
from .scene import folder_at, jobs, positive, setting
from .school import School
from .screen import say

FRACTIONS = (0.6, 0.1, 0.3)
"""Training, validation and test parts of a trace, in order of time."""
GAP = 3600.0
"""Seconds between the parts whose jobs are left out, so that no burst of like jobs lies on both sides."""


COUNTS = (
    "jobs", "k", "width", "lessons", "envs", "replicas", "rollout", "batch", "epochs", "validation", "generations",
    "population", "episodes", "validate_generations", "workers", "seeds",
)  # fmt: skip
LATER = ("out", "steps", "json", "restart", "validate_every", "generations", "validate_generations", "workers", "seeds")
"""Settings that another run may change and still go on with the first one's work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """Train a policy on a trace; interrupt it when you like, the same command goes on where it stopped.

    The trace's first 60 % are for training, the next 10 % for choosing a checkpoint; the last 30 % are not touched.
    """

    out: Path = option(help="Folder for the policy, its curves and what is needed to go on.", metavar="DIR")
    trace: str | None = option(None, help="FORMAT:PATH, or synthetic:PRESET[,jobs=N,seed=S]; else the scenario's.")
    cluster: str | None = option(None, help="Nodes x accelerators : kind, as in 60x8:V100+20x4:P100, or a TOML file.")
    scenario: str | None = option(
        None, help="A whole world instead: a name of `gpuyard scenario list`, or a TOML file."
    )
    estimates: str | None = option(
        None, help="Run times that policies see: recorded (default), none, predicted, exact (oracle), noisy:SIGMA."
    )
    algorithm: Literal["ppo", "es"] = option(
        "ppo", help="Imitation and MaskablePPO, or evolution strategies on a linear score: the cheap baseline."
    )
    menu: Literal["starts", "full", "commits", "passes"] = option(
        "starts",
        help="What it may decide: which job starts; all that the world can make real; or whom to wait for, strictly or "
        "while others pass.",
    )
    objective: str = option(
        "slowdown",
        help="What is to be small: slowdown, jct, energy, carbon, cost or fairness; several as jct=1,cost=2.",
    )
    draw: bool = option(False, help="Draw the objectives' weights anew for each episode: one policy for all mixtures.")
    teacher: tuple[str, ...] = option((), help="A policy to imitate beside the built-in rules. Repeatable.")
    begin: Path | None = option(None, help="Begin as this saved policy, not as the best rule.", metavar="DIR")
    blank: bool = option(False, help="Begin with no rule beside the network: to see what it is good for (ppo).")
    oldest: bool = option(False, help="Show the oldest jobs alone, not the first of several orders (starts).")
    placement: str = option("packed", help="How its placements are proposed.")
    oversized: Literal["refuse", "skip"] = option(
        "refuse", help="What to do with jobs that the cluster could never run."
    )
    limit: int | None = option(None, help="Only the first N jobs of the trace.", metavar="N")
    steps: int = option(400_000, help="Decisions to train on after imitation.")
    jobs: int = option(256, help="Jobs in a window.")
    warmup: int = option(0, help="Jobs before each window that fill the cluster, scheduled by --warm-policy.")
    warm_policy: str = option("fifo", help="Who schedules them.")
    k: int | None = option(None, help="Rows on the menu; 48 for full, else 32.", metavar="N")
    quantum: float = option(0.0, help="Seconds that a run must have had before it may be stopped (full menus).")
    tick: float | None = option(None, help="Seconds between moments to decide though nothing happens; none by default.")
    width: int = option(32, help="Width of the network's layers.")
    squeeze: float = option(0.2, help="Compress the arrivals of training windows by a factor from this to 1.")
    lessons: int = option(48, help="Windows on which the teachers play.")
    envs: int = option(16, help="Environments stepped together.")
    replicas: int = option(4, help="How many of them play the same window.")
    rollout: int = option(128, help="Steps of each environment between two updates.")
    batch: int = option(1024, help="Decisions in a minibatch.")
    epochs: int = option(3, help="Times each rollout is learned from.")
    rate: float = option(1e-4, help="Adam's step size at first; it falls linearly to a tenth.")
    entropy: float = option(0.002, help="Weight of the policy's entropy.")
    validation: int = option(24, help="Windows on which checkpoints are compared.")
    validate_every: int = option(50_000, help="Decisions between two validations.")
    generations: int = option(40, help="Generations of evolution strategies.")
    population: int = option(14, help="Policies in a generation.")
    sigma: float = option(0.25, help="How far the first generation's samples stray: 1 is far.")
    episodes: int = option(24, help="Windows that each of them plays, the same for all.")
    validate_generations: int = option(5, help="Generations between two validations.")
    workers: int | None = option(None, help="Processes of evolution strategies; as many as there are cores by default.")
    seeds: int = option(1, help="How many policies to train, each with a seed and a folder seed-N of its own.")
    seed: int = option(0, help="Seed of all that is random.")
    restart: bool = option(False, flag="--from-scratch", help="Begin anew, even if the folder holds a training.")
    json: bool = option(False, help="One JSON object on stdout when done.")

    def __post_init__(self) -> None:
        """Raises BadInput for numbers that cannot be."""
        for name in COUNTS:
            least = {"population": 4, "lessons": 0}.get(name, 1)
            if (value := getattr(self, name)) is not None and value < least:
                raise BadInput(f"--{name.replace('_', '-')} {value}: give {least} or more")
        wanted(self.objective, self.draw)
        if self.draw and self.menu != "full":
            raise BadInput("--draw: only full menus show the weights; add --menu full")
        if self.oldest and self.menu != "starts":
            raise BadInput("--oldest: is for --menu starts alone")
        if self.begin is not None and self.algorithm == "es":
            raise BadInput("--begin: is for --algorithm ppo; evolution strategies begin with the best rule")
        if self.quantum and self.menu != "full":
            raise BadInput("--quantum: is for --menu full, where runs are stopped")
        if self.blank and (self.algorithm != "ppo" or self.begin is not None):
            raise BadInput("--blank: is for --algorithm ppo without --begin")
        if not 0 <= self.quantum < float("inf"):
            raise BadInput(f"--quantum {self.quantum}: give seconds, 0 or more")
        if self.tick is not None and not 0 < self.tick < float("inf"):
            raise BadInput(f"--tick {self.tick}: give seconds above 0")
        if not 0 < self.squeeze <= 1:
            raise BadInput(f"--squeeze {self.squeeze}: give a factor above 0, at most 1")
        if not 0 < self.sigma < float("inf"):
            raise BadInput(f"--sigma {self.sigma}: give a number above 0")
        for name in ("rate", "entropy"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise BadInput(f"--{name} {getattr(self, name)}: give a number, 0 or more")
        positive("limit", self.limit)
        positive("steps", self.steps, 0)
        positive("validate-every", self.validate_every)
        positive("seed", self.seed, 0)
        positive("warmup", self.warmup, 0)
        policy(self.warm_policy)
        if self.envs * self.rollout % self.batch or self.batch < 2:
            raise BadInput(
                f"--batch {self.batch}: --envs {self.envs} x --rollout {self.rollout} decisions do not part into such "
                "minibatches of 2 or more"
            )
        folder_at(self.out)
        if self.envs % self.replicas:
            raise BadInput(
                f"--envs {self.envs} is no multiple of --replicas {self.replicas}; choose numbers that divide"
            )
        place(self.placement)

    def same(self) -> dict[str, Any]:
        """What two runs must share for one to go on with the other's work."""
        told = {name: value for name, value in asdict(self).items() if name not in LATER}
        return told | {"begin": None if self.begin is None else str(self.begin), "teacher": list(self.teacher)}

    def codec(self) -> Starts | Commits | Full:
        """What it sees and chooses from."""
        if self.menu == "starts":
            return Starts(self.k or 32, place(self.placement), self.oldest)
        if self.menu in ("commits", "passes"):
            return Commits(self.k or 32, place(self.placement), self.menu == "passes")
        goals = wanted(self.objective, self.draw)
        shown = goals.shown(np.array(goals.weights))
        return Full(self.k or 48, place(self.placement), quantum=self.quantum, weights=shown)


@dataclass(frozen=True, slots=True)
class Parts:
    """The world, and the trace in its parts."""

    world: Scenario
    whole: Trace
    train: Trace
    validation: Trace
    test: Trace
    skipped: int


def parts(args: Train) -> Parts:
    """Opens the trace, leaves out what cannot run, splits it by time. Raises BadInput where a part is too short."""
    world = setting(args)
    there = {args.placement: place(args.placement)}
    whole, skipped = fitting(jobs(args, world), world.nodes, there, args.oversized, room=world.room())
    check_goals(wanted(args.objective, args.draw).names, whole, world)
    train, validation, test = split(whole, FRACTIONS, GAP)
    for name, part in (("training", train), ("validation", validation)):
        warm = args.warmup if name == "training" else 0
        if len(part) < (size := warm + args.jobs):
            more = f" behind --warmup {warm}" if warm else ""
            raise BadInput(
                f"the {name} part of {whole.name} has {len(part)} jobs, a window of --jobs {args.jobs}{more} needs "
                "more; take a longer trace"
            )
        if name == "validation" and len(part) - size + 1 < args.validation:
            raise BadInput(
                f"--validation {args.validation}: the {name} part has only {len(part)} jobs; ask for fewer windows"
            )
    return Parts(world, whole, train, validation, test, len(skipped))


def card(args: Train, found: Parts) -> dict[str, Any]:
    """What `policy.json` says of where a policy comes from: all that is needed to train it again."""
    part = {
        name: {"jobs": len(p), "from": p.jobs[0].submit, "to": p.jobs[-1].submit} if p.jobs else None
        for name, p in (("train", found.train), ("validation", found.validation), ("test", found.test))
    }
    return {
        "codec": told_of(args.codec()),
        "network": {"width": args.width},
        "algorithm": args.algorithm,
        "objectives": list(wanted(args.objective, args.draw).names),
        "weights": "drawn" if args.draw else list(wanted(args.objective).weights),
        "seed": args.seed,
        "tick": args.tick,
        "needs_estimates": _estimated(found),
        "command": spoken("train", args),
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in asdict(args).items()},
        "trace": {
            "name": found.whole.name,
            "sha256": fingerprint(found.whole),
            "jobs": len(found.whole),
            "skipped": found.skipped,
        },
        "estimates": found.whole.estimates,
        "cluster": describe(found.world.nodes),
        "laws": sorted(found.world.laws),
        "split": {"fractions": FRACTIONS, "gap_seconds": GAP, **part},
        "versions": versions(),
    }


LIBRARIES = ("gpuyard", "torch", "stable-baselines3", "sb3-contrib", "numpy", "scipy", "scikit-learn")


def versions() -> dict[str, str]:
    """Of the libraries that have a part in a training, as far as they are there."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _estimated(found: Parts) -> bool:
    """Whether every job it learns from has an estimate."""
    if found.whole.estimates in ("none", "predicted"):
        return found.whole.estimates == "predicted"
    return all(job.estimate is not None for job in found.train.jobs)


@contextmanager
def needed() -> Iterator[None]:
    """Says how to get torch where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in ("torch", "stable_baselines3", "sb3_contrib", "tensorboard"):
            raise BadInput(f"training needs {error.name}; run: pip install 'gpuyard[learn]'") from None
        raise


def run(args: Train) -> int:
    """Trains; says where the policies are and how they did on validation windows. Exit code 130 when interrupted."""
    found = parts(args)
    told = []
    for one in of_seeds(args):
        told.append(trained(one, found))
        if not told[-1]["finished"]:
            break
    if args.json:
        click.echo(json.dumps(told[0] if args.seeds == 1 else told, indent=2))
    else:
        for row in told:
            if row["score"] is not None:
                say(f"policy      {row['policy']}: validation {row['score']:.4f} of the best teacher's cost")
    if not (done := told[-1]["finished"]):
        say("interrupted; the same command goes on from here")
    return 0 if done else 130


def of_seeds(args: Train) -> list[Train]:
    """The training of each seed, in a folder of its own where there are several."""
    if args.seeds == 1:
        return [args]
    seeds = range(args.seed, args.seed + args.seeds)
    return [replace(args, seed=seed, seeds=1, out=args.out / f"seed-{seed}") for seed in seeds]


def before(whole: Trace, part: Trace, count: int) -> Trace:
    """A part of a trace behind the last jobs before it, which warm its first window up."""
    at = {job.id: row for row, job in enumerate(whole.jobs)}
    first = max(at[part.jobs[0].id] - count, 0)
    return whole.of(whole.jobs[first : at[part.jobs[-1].id] + 1])


def trained(args: Train, found: Parts) -> dict[str, Any]:
    """Trains one policy; what is to be told of it."""
    goals, codec, warm = wanted(args.objective, args.draw), args.codec(), (args.warmup, args.warm_policy)
    yard = Yard(found.train, found.world, codec, goals, args.jobs, args.squeeze, args.tick, *warm)
    aside = Yard(before(found.whole, found.validation, args.warmup), found.world, codec, goals, args.jobs, 1.0,
                 args.tick, *warm)  # fmt: skip
    school = School(args, yard, aside, card(args, found))
    if args.algorithm == "es":
        done = Evolving(school).train()
    else:
        with needed():
            from .trainer import Trainer
        done = Trainer(school).train()
    return {"policy": str(args.out), **school.told(), "finished": done}


command = command_of(
    Train,
    run,
    examples="""
    gpuyard train --trace synthetic:lab,jobs=20000 --cluster 1x8:A100 --estimates noisy:0.8 --out runs/mine
    gpuyard train --trace philly:philly.csv.gz --cluster 60x8:V100 --estimates predicted --out runs/philly
    gpuyard train --trace philly:philly.csv.gz --cluster 60x8:V100 --estimates predicted --algorithm es --out runs/es
    gpuyard train --scenario hybrid --menu full --objective jct=1,carbon=1,cost=1 --draw --tick 600 --out runs/front
    tensorboard --logdir runs/mine
    """,
)
