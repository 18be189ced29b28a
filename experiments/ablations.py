"""What each part of a training is good for: the same training without it, over seeds, with curves: `python -m` this.

Left out are, one at a time: imitation (no lessons), the rule beside the network (it begins as nothing), the union of
orders (the menu shows the oldest jobs alone), and common windows (every environment plays windows of its own). All
arms have the same steps, windows for validation and seeds, and meet the same held-out windows in the end.
"""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from . import compare, train
from .figures import COLOURS, STYLE
from .options import command_of, option
from .scene import folder_at
from .screen import say
from .shell import ended

WHOLE = "whole"
ARMS: dict[str, dict[str, Any]] = {
    WHOLE: {},
    "no imitation": {"lessons": 0},
    "no rule": {"blank": True},
    "neither": {"lessons": 0, "blank": True},
    "oldest only": {"oldest": True},
    "own windows": {"replicas": 1},
}
"""Name -> what is other than in the whole training."""
Scores = Sequence[Sequence[float]]
"""(steps, validation score) as a training went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablations:
    """Train without one part at a time, over seeds; compare all on held-out windows; draw the curves."""

    out: Path = option(help="Folder for the policies, the comparison and curves.png.", metavar="DIR")
    trace: str = option("synthetic:philly,jobs=40000", help="FORMAT:PATH, or synthetic:PRESET[,jobs=N,seed=S].")
    cluster: str = option("8x8:V100", help="Nodes x accelerators : kind.")
    estimates: str = option("noisy:0.8", help="Run times that policies see.")
    objective: str = option("jct", help="What is to be small.")
    jobs: int = option(256, help="Jobs in a window.")
    steps: int = option(200_000, help="Decisions of each training.")
    seeds: int = option(3, help="Trainings of each arm.")
    windows: int = option(24, help="Held-out windows.")
    workers: int | None = option(None, help="Processes of the comparison; as many as there are cores by default.")

    def __post_init__(self) -> None:
        """Raises BadInput where there can be no such folder."""
        folder_at(self.out)


def arm(args: Ablations, name: str) -> train.Train:
    """The training of an arm."""
    whole = train.Train(
        out=args.out / name.replace(" ", "-"), trace=args.trace, cluster=args.cluster, estimates=args.estimates,
        objective=args.objective, oversized="skip", jobs=args.jobs, steps=args.steps, seeds=args.seeds,
        validate_every=max(args.steps // 8, 1),
    )  # fmt: skip
    return replace(whole, **ARMS[name])


def curves(args: Ablations) -> dict[str, list[Scores]]:
    """How validation went, a curve for each seed of each arm, all over the best rules of the whole training's menu.

    Scores are means over windows of a cost over the best rule's of the own menu. Where that menu is another, they are
    told over the whole training's by the mean of the ratio of the two: exact but for how windows differ in it.
    """
    found = {}
    for name in ARMS:
        pairs = zip(*(train.of_seeds(arm(args, one)) for one in (name, WHOLE)), strict=True)
        found[name] = [_over(_state(mine), _state(whole)) for mine, whole in pairs]
    return found


def _state(one: train.Train) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((one.out / "training" / "state.json").read_text(encoding="utf-8"))
    return told


def _over(mine: Mapping[str, Any], whole: Mapping[str, Any]) -> Scores:
    scale = float(np.mean(np.divide(mine["par"], whole["par"])))
    return [(steps, score * scale) for steps, score in mine["scores"]]


def drawn(found: Mapping[str, Sequence[Scores]]) -> Figure:
    """Validation cost over steps: the mean over seeds of each arm, and from the best seed to the worst."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 5), layout="constrained")
        axes = figure.subplots()
        for (name, seeds), colour in zip(found.items(), COLOURS, strict=False):
            steps, scores = reached(seeds)
            axes.plot(steps, scores.mean(0), color=colour, label=name, marker="o", markersize=3)
            axes.fill_between(steps, scores.min(0), scores.max(0), color=colour, alpha=0.15, linewidth=0)
        axes.set_yscale("log")
        axes.axhline(1.0, color="0.5", linewidth=1, linestyle=":")
        axes.set_xlabel("decisions of practice")
        axes.set_ylabel("cost on validation windows over each window's best rule")
        axes.legend(frameon=False)
    return figure


def reached(seeds: Sequence[Scores]) -> tuple[np.ndarray, np.ndarray]:
    """Steps, shape (n,), and the last score at each, shape (seeds, n), of steps that every seed has."""
    last = [{int(steps): score for steps, score in scores} for scores in seeds]
    steps = sorted(set.intersection(*(set(one) for one in last)))
    return np.array(steps), np.array([[one[step] for step in steps] for one in last])


def run(args: Ablations) -> int:
    """Trains what is not there, draws `curves.png`, compares. Exit code 130 when interrupted."""
    contest = compare.Compare(
        trace=args.trace, cluster=args.cluster, estimates=args.estimates, oversized="skip", windows=args.windows,
        jobs=args.jobs, policy=(*(str(arm(args, name).out) for name in ARMS), "easy(sjf)", "sjf"),
        out=args.out / "comparison", workers=args.workers,
    )  # fmt: skip
    for name in ARMS:
        say(f"arm         {name}")
        if code := train.run(arm(args, name)):
            return code
    drawn(curves(args)).savefig(args.out / "curves.png", dpi=120)
    say(f"curves      {args.out / 'curves.png'}")
    return compare.run(contest)


command = command_of(
    Ablations,
    run,
    examples="""
    python -m gpuyard.experiments.ablations --out runs/ablations
    """,
)


if __name__ == "__main__":
    ended(command)
