"""One policy for all cells of RLScheduler's Lublin tables, beside the best rule of each: `python -m` this module.

The game is that of `reproduce_rlscheduler`: whoever is chosen is waited for, strictly or with one-shot backfilling, and
run times are exact or blurred (`noisy:0.8`). Policies learn from the jobs of both traces that none of the ten scored
sequences holds: from windows made of blocks of them, strict and backfilled, exact and blurred alike, by evolution
strategies, and from what these found on by MaskablePPO. One rule begins as the best one of each kind of cell, as marks
of its menu tell it how it is played and how long jobs usually are. What is kept is the best on windows of other jobs.
"""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
from rich.text import Text

from ..envs.commits import MIDDLE, Commits
from ..envs.metrics import read
from ..envs.nodes import parse
from ..envs.scenario import of_cluster
from ..envs.scheduling import SchedulingEnv
from ..envs.session import Policy, Session
from ..envs.sim import SimWorld
from ..policies.learned import Weights, load, of_rule, told_of
from ..traces.estimates import with_estimates
from ..traces.job import Job, Trace
from ..traces.windows import fingerprint
from .cores import cores
from .evolving import Evolving
from .intervals import Runs, duel, holm, resamples, verdict
from .lessons import Task, Yard
from .objectives import wanted
from .options import command_of, option, spoken
from .reproduce_rlscheduler import LENGTH, PROCESSORS, RULES, STARTS, Committed, lublin
from .scene import folder_at, positive
from .school import School
from .screen import number, out, print_table, progress, say
from .shell import ended
from .train import Train, needed, versions

BLOCK = 128
"""Consecutive jobs that stay together in a window made of blocks."""
NOISE = "noisy:0.8"
ASIDE = 0.25
"""Part of the unscored jobs by which a policy is chosen."""
NEARBY = sorted(range(len(STARTS)), key=STARTS.__getitem__)
"""The sequences in the order in which they begin."""
TOGETHER = max(sum(0 <= other - start < LENGTH for other in STARTS) for start in STARTS)
"""So many of them, at most, share jobs with one."""
SLACK = 1.03
"""How near the best rule of a cell is near enough."""


@dataclass(frozen=True)
class Blocks(Yard):
    """Windows made of blocks of consecutive jobs, in half of them with blurred run times.

    The last number of a window's seed says of which trace it is and whether it is backfilled, turn by turn.

    Attributes:
        stretches: the jobs of each trace that nobody is scored on.
    """

    stretches: tuple[Trace, ...] = ()

    def window(self, *seed: int) -> Trace:
        """Blocks of one trace, drawn by the seed, one after the other."""
        rng = np.random.default_rng(seed)
        stretch = self.stretches[seed[-1] % len(self.stretches)]
        jobs, durations, now = list[Job](), dict[int, float](), 0.0
        while len(jobs) < self.jobs:
            first = int(rng.integers(len(stretch) - BLOCK))
            block = stretch.jobs[first : first + BLOCK + 1]
            for job, following in pairwise(block):
                jobs.append(replace(job, id=len(jobs) + 1, submit=now))
                durations[len(jobs)] = stretch.durations[job.id]
                now += min(max(following.submit - job.submit, 0.0), 86400.0)
        whole = Trace(tuple(jobs[: self.jobs]), {job.id: durations[job.id] for job in jobs[: self.jobs]}, "blocks")
        return with_estimates(whole, NOISE if rng.integers(2) else "exact", int(rng.integers(1 << 30)))

    def windows(self, count: int) -> list[Trace]:
        """The same `count` windows at every call."""
        return [self.window(9, number) for number in range(count)]

    def task(self, env: SchedulingEnv, window: Trace, *seed: int) -> Task:
        """A window, strict or backfilled."""
        task = super().task(env, window, *seed)
        assert isinstance(task.codec, Commits)
        task.codec.backfill = bool(seed[-1] // len(self.stretches) % 2)
        return task


class Cells(School):
    """Begins as the rule that is best in each kind of cell: strict or backfilled, of long jobs or of short ones."""

    def begin(self, free: bool = False) -> Weights:
        """A line for each of four kinds, joined by marks: what `backfill`, `usual` and `both` add."""
        row, costs, known = self.yard.codec.row, self.state["costs"], self._lines()
        kinds = [_kind(task) for task in self.tasks]
        marks, lines = [], []
        for kind in dict.fromkeys((backfill, long) for backfill, _, long in kinds):
            those = [at for at, (backfill, _, long) in enumerate(kinds) if (backfill, long) == kind]
            paid = {name: sum(costs[name][at] / self.state["par"][at] for at in those) for name in known}
            best = min(paid, key=paid.__getitem__)
            usual = float(np.mean([kinds[at][1] for at in those]))
            marks.append([1.0, kind[0], usual, kind[0] * usual])
            lines.append(known[best].line(row)[0])
            say(f"begins      {'backfilled' if kind[0] else 'strict'}, usual {usual:+.2f}, as {best}")
        joined = np.linalg.lstsq(np.array(marks), np.array(lines, np.float64), rcond=None)[0].astype(np.float32)
        return of_rule(joined[0], 0.0, marks=joined[1:])


def _kind(task: Task) -> tuple[bool, float, bool]:
    """Whether it is backfilled, how long its jobs usually are as the codec tells it, and whether that is long."""
    assert isinstance(task.codec, Commits)
    usual = float(np.mean([np.log1p(job.estimate or 0.0) for job in task.window.jobs])) - MIDDLE
    return task.codec.backfill, usual, usual > 0.0


def unscored(trace: Trace) -> Trace:
    """The jobs of a trace that no scored sequence holds."""
    scored = {row for start in STARTS for row in range(start, start + LENGTH)}
    return trace.of(job for row, job in enumerate(trace.jobs) if row not in scored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lublin:
    """Train one policy for strict and backfilled Lublin-1 and Lublin-2, exact and blurred; score it in all eight."""

    lublin1: str = option(help="Lublin-1, such as swf:lublin_256.swf.")
    lublin2: str = option(help="Lublin-2, such as swf:lublin_256_new2.swf.")
    out: Path = option(help="Folder for the policies, in folders es-N and ppo-N.", metavar="DIR")
    seeds: int = option(1, help="Trainings of each kind.")
    generations: int = option(12, help="Generations of evolution strategies.")
    episodes: int = option(12, help="Windows in each.")
    steps: int = option(200_000, help="Decisions of practice (PPO); 0 for none.")
    sigma: float = option(0.15, help="How far the first generation's samples stray.")
    workers: int | None = option(None, help="Processes; as many as there are cores by default.")
    json: bool = option(False, help="One JSON object on stdout.")

    def __post_init__(self) -> None:
        """Raises BadInput for numbers that cannot be, before anything is opened."""
        for name, least in (("seeds", 1), ("generations", 1), ("episodes", 1), ("steps", 0), ("workers", 1)):
            positive(name, getattr(self, name), least)
        folder_at(self.out)


def parted(rest: Trace) -> tuple[Trace, Trace]:
    """Jobs to learn from, and the last quarter, by which a policy is chosen."""
    cut = round(len(rest) * (1.0 - ASIDE))
    return rest.of(rest.jobs[:cut]), rest.of(rest.jobs[cut:])


def trained(args: Lublin, algorithm: Literal["es", "ppo"], seed: int, stretches: Sequence[Trace]) -> Path:
    """Trains a policy; its folder. PPO goes on from what evolution found with the same seed."""
    train = Train(
        out=args.out / f"{algorithm}-{seed}", trace=args.lublin1, cluster=f"1x{PROCESSORS}:CPU", k=64, seed=seed,
        menu="commits", algorithm=algorithm, jobs=LENGTH, validation=16, sigma=args.sigma,
        generations=args.generations, episodes=args.episodes, validate_generations=2, workers=args.workers,
        steps=args.steps, validate_every=50_000, lessons=0,
        begin=args.out / f"es-{seed}" if algorithm == "ppo" else None,
    )  # fmt: skip
    world = of_cluster(train.cluster or "", 0.0)
    those = zip(*map(parted, stretches), strict=True)
    yard, aside = (Blocks(part[0], world, train.codec(), wanted("slowdown"), LENGTH, stretches=part) for part in those)
    school = Cells(train, yard, aside, _card(train, args, yard, aside))
    if algorithm == "es":
        done = Evolving(school).train()
    else:
        with needed():
            from .trainer import Trainer
        done = Trainer(school).train()
    if not done:
        raise KeyboardInterrupt
    return train.out


def _card(train: Train, args: Lublin, yard: Blocks, aside: Blocks) -> dict[str, Any]:
    """What it learned from: the jobs of either trace, by their digests and counts, and how to do it again."""
    parts = {
        name: [{"sha256": fingerprint(one), "jobs": len(one)} for one in blocks.stretches]
        for name, blocks in (("train", yard), ("validation", aside))
    }
    return {
        "codec": told_of(train.codec()), "network": {"width": train.width}, "algorithm": train.algorithm,
        "objectives": ["slowdown"], "weights": [1.0], "seed": train.seed, "tick": None, "needs_estimates": True,
        "command": spoken("lublin", args).replace("gpuyard lublin", "python -m gpuyard.experiments.lublin"),
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in asdict(train).items()},
        "trace": {"name": f"blocks of {args.lublin1} and {args.lublin2} that no scored sequence holds"},
        "blocks": parts, "versions": versions(),
    }  # fmt: skip


Cell = tuple[int, bool, str]
"""Which trace, whether backfilled, how run times are known."""
CELLS: tuple[Cell, ...] = tuple(
    (trace, backfill, known) for known in ("exact", NOISE) for trace in (1, 2) for backfill in (False, True)
)


def scored(trace: Trace, backfill: bool, who: str) -> list[float]:
    """The mean bounded slowdown of each sequence under a rule by name, or a policy by its folder."""
    found = []
    for start in STARTS:
        window = trace.of(trace.jobs[start : start + LENGTH])
        log = Session(SimWorld(window, parse(f"1x{PROCESSORS}:CPU"))).play(_player(who, backfill))
        found.append(float(read(log).ended.bounded_slowdown.mean()))
    return found


def _player(who: str, backfill: bool) -> Policy:
    if who in RULES:
        return Committed(RULES[who], backfill)
    policy = load(Path(who))
    assert isinstance(policy.codec, Commits)
    return replace(policy, codec=replace(policy.codec, backfill=backfill))


def table(found: Mapping[tuple[Cell, str], list[float]], kinds: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """A row for each cell: its best rule, and each kind of policy against it, over its seeds.

    Sequences share jobs with those that begin nearby (6,996 of 10,240 are different), so they are drawn in runs of
    neighbours. Verdicts are after Holm's correction for all cells and kinds.
    """
    draws, rows, duels = resamples(len(STARTS), 0, block=TOGETHER), [], []
    for cell in CELLS:
        best = min(RULES, key=lambda rule: float(np.mean(found[cell, rule])))
        row: dict[str, Any] = {
            "trace": f"Lublin-{cell[0]}",
            "backfilled": cell[1],
            "estimates": cell[2],
            "best_rule": best,
        }
        row |= {"rules": {rule: float(np.mean(found[cell, rule])) for rule in RULES}}
        for kind, folders in kinds.items():
            scores = np.array([found[cell, folder] for folder in folders])[:, NEARBY]
            rule = np.array([found[cell, best]])[:, NEARBY]
            mine, its = (
                Runs.of(one, draws.seeds(name, len(one)), draws) for name, one in ((kind, scores), (best, rule))
            )
            told = duel(mine, its, draws)
            duels.append((row, kind, told))
            row[kind] = {
                "slowdown": float(scores.mean()), "ratio": told.ratio.value, "low": told.ratio.low,
                "high": told.ratio.high, "seeds": scores.mean(1).tolist(),
            }  # fmt: skip
        rows.append(row)
    for (row, kind, told), p in zip(duels, holm([told.p for _, _, told in duels]), strict=True):
        row[kind]["verdict"] = verdict(told.difference.value, p)
    return rows


def run(args: Lublin) -> int:
    """Trains what is not there, plays all cells, prints the table. 1 if some kind of policy is beyond 3 % in a cell."""
    traces = {1: lublin(args.lublin1), 2: lublin(args.lublin2)}
    rest = [unscored(trace) for trace in traces.values()]
    algorithms: tuple[Literal["es", "ppo"], ...] = ("es", "ppo") if args.steps else ("es",)
    kinds: dict[str, list[str]] = {
        kind: [str(trained(args, kind, seed, rest)) for seed in range(args.seeds)] for kind in algorithms
    }
    known = {(t, how): with_estimates(trace, how) for t, trace in traces.items() for how in ("exact", NOISE)}
    work = [(cell, who) for cell in CELLS for who in (*RULES, *(f for folders in kinds.values() for f in folders))]
    jobs = [(known[cell[0], cell[2]], cell[1], who) for cell, who in work]
    with (
        ProcessPoolExecutor(args.workers or cores(), get_context("spawn")) as pool,
        progress("cells", len(work)) as tell,
    ):
        found = {}
        for count, (key, scores) in enumerate(zip(work, pool.map(scored, *zip(*jobs, strict=True)), strict=True), 1):
            found[key] = scores
            tell(count)
    rows = table(found, kinds)
    if args.json:
        click.echo(json.dumps(rows, indent=1))
    else:
        print_table(out(), {**COLUMNS, **{kind: _against(kind) for kind in kinds}}, rows)
    near = all(row[kind]["ratio"] <= SLACK for row in rows for kind in kinds)
    say(f"policies    {args.out}")
    return int(not near)


def _against(kind: str) -> Callable[[dict[str, Any]], Text]:
    def told(row: dict[str, Any]) -> Text:
        one = row[kind]
        return Text(f"{one['slowdown']:.2f}, {one['ratio']:.2f} [{one['low']:.2f}, {one['high']:.2f}] {one['verdict']}")

    return told


COLUMNS: dict[str, Callable[[dict[str, Any]], Text]] = {
    "cell": lambda row: Text(f"{row['trace']}{', backfilled' if row['backfilled'] else ''}, {row['estimates']}"),
    "best rule": lambda row: Text(f"{row['best_rule']} {number(row['rules'][row['best_rule']], 2)}"),
}

command = command_of(
    Lublin,
    run,
    examples="""
    python -m gpuyard.experiments.lublin --lublin1 swf:lublin_256.swf \\
      --lublin2 swf:lublin_256_new2.swf --out runs/lublin
    """,
)


if __name__ == "__main__":
    ended(command)
