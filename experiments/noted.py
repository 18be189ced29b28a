"""What a learned policy's card says of where it was compared: how it did beside the best rule there, losses too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..policies.learned import COMPARED, write
from ..traces.trouble import BadInput
from .comparison import Comparison
from .scores import CENTRAL
from .standing import Standing, at, named, plain

TURNED = {"win": "loss", "loss": "win"}
"""A rule's win is the policy's loss."""
WHERE = (
    "trace", "cluster", "scenario", "part", "estimates", "windows", "windows_sha256", "jobs", "warmup", "restart_cost",
    "load", "metric",
)  # fmt: skip
"""What two notes must share for the later one to stand in the earlier one's place."""


def cards(reference: str, members: tuple[str, ...]) -> list[Path]:
    """The cards of a learned policy's seeds. Raises BadInput where it is none."""
    found = [_folder(member) / "policy.json" for member in members]
    if not all(card.is_file() for card in found):
        raise BadInput(f"--note: the reference {reference} is no folder of a learned policy; name it by --reference")
    return found


def _folder(member: str) -> Path:
    """A policy's folder, without the mixture behind it."""
    return Path(member) if Path(member).is_dir() else Path(member.rpartition("@")[0] or member)


def note(done: Comparison) -> list[Path]:
    """Writes into the cards of the reference how it did beside the best rule of each load; the cards."""
    found = cards(done.reference, named(done.found, done.reference).members)
    fresh = list(notes(done))
    for path in found:
        card = json.loads(path.read_text(encoding="utf-8"))
        kept = [one for one in card.get(COMPARED, []) if all(_where(one) != _where(new) for new in fresh)]
        write(path, (json.dumps(card | {COMPARED: [*kept, *fresh]}, indent=1) + "\n").encode())
    return found


def notes(done: Comparison) -> Iterator[dict[str, Any]]:
    """A note for each load and central metric that there is a rule for."""
    for load in done.loads:
        here = at(done.everybody, load)
        mine = named(here, done.reference)
        for metric in CENTRAL:
            rules = [one for one in here if one.policy in done.heuristics and np.isfinite(one.means[metric].value)]
            if rules:
                yield _of(done, mine, min(rules, key=lambda one: one.means[metric].value), metric)


def _of(done: Comparison, mine: Standing, rule: Standing, metric: str) -> dict[str, Any]:
    told, against = done.document, rule.duels[metric]
    return {
        "trace": told["trace"], "cluster": told["cluster"], "scenario": told["scenario"],
        "part": told["provenance"]["split"]["part"], "windows_sha256": told["provenance"]["windows_sha256"],
        "restart_cost": told["restart_cost"], "as": mine.policy, "unfinished": mine.unfinished,
        "estimates": told["estimates"], "windows": told["windows"], "jobs": told["jobs"], "warmup": told["warmup"],
        "load": mine.load, "metric": metric, "mean": plain(mine.means[metric])["value"], "seeds": len(mine.members),
        "best_rule": rule.policy, "its_mean": rule.means[metric].value, "its_over_mine": plain(against.ratio),
        "verdict": "loss" if mine.unfinished else TURNED.get(against.verdict, against.verdict),
    }  # fmt: skip


def _where(one: dict[str, Any]) -> str:
    return json.dumps([one.get(name) for name in (*WHERE, "as")], sort_keys=True)
