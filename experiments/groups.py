"""How the jobs of each tenant did, and those of each size of gang, over all windows of a contest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..envs.metrics import by_gang, by_tenant
from ..envs.outcomes import Jobs
from .intervals import Draws, Floats, Interval, interval, parted, ratio

Kind = Literal["gang", "tenant"]
MOST = 10
"""Tenants that are told of, those with the most jobs."""
KINDS = {"gang": "size of gang", "tenant": "tenant"}
"""By what jobs are parted -> what that is called."""


@dataclass(frozen=True, slots=True)
class Group:
    """How one policy served one group of jobs.

    Attributes:
        jobs: how many ended, over all windows, in the mean over seeds.
        jct, slowdown: means over these jobs; seconds, and bounded slowdown.
        jct_ratio, slowdown_ratio: over the reference's, with intervals; None for the reference itself.
    """

    jobs: float
    jct: float
    slowdown: float
    jct_ratio: Interval | None
    slowdown_ratio: Interval | None


def grouped(jobs: Jobs) -> str:
    """The sums of each group as JSON, `{"gang": {"1": [jobs, seconds, slowdowns], ...}, "tenant": {...}}`.

    A cancelled job's times are others' doing; it is in no sum.
    """
    over = jobs.of(jobs.ended & ~jobs.cancelled)
    kinds = {"gang": by_gang(over), "tenant": by_tenant(over)}
    return json.dumps({kind: dict(_sums(over, groups)) for kind, groups in kinds.items()}, ensure_ascii=False)


def _sums(jobs: Jobs, groups: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, list[float]]]:
    jct, slowdown = jobs.jct, jobs.bounded_slowdown
    for name, mask in groups:
        yield name, [int(mask.sum()), float(jct[mask].sum()), float(slowdown[mask].sum())]


def stacked(rows: Sequence[Sequence[str]], kind: str, names: Iterable[str] | None = None) -> dict[str, Floats]:
    """Group -> sums, shape (3, seeds, windows), from the JSON of each seed and window; of all groups if not told."""
    known = [[json.loads(text).get(kind, {}) for text in seed] for seed in rows]
    names = dict.fromkeys(name for seed in known for window in seed for name in window) if names is None else names
    nothing = [0.0, 0.0, 0.0]
    return {
        name: np.moveaxis(np.array([[window.get(name, nothing) for window in seed] for seed in known], float), -1, 0)
        for name in names
    }


def chosen(kind: str, reference: Mapping[str, Floats]) -> list[str]:
    """The groups that are told of: gangs by size, tenants by how many jobs they had under the reference."""
    if kind == "gang":
        return sorted(reference, key=lambda name: int(name.rstrip("+").partition("-")[0]))
    return sorted(reference, key=lambda name: (-float(reference[name][0].sum()), name))[:MOST]


@dataclass(frozen=True, slots=True)
class Sums:
    """What one policy's runs add up to, for the groups of one kind.

    Attributes:
        of: group -> jobs, completion times and bounded slowdowns, shape (3,); means over seeds of sums over windows.
        drawn: group -> the same for each draw, shape (3, times).
    """

    of: Mapping[str, Floats]
    drawn: Mapping[str, Floats]


def sums(parts: Mapping[str, Floats], weights: Floats, draws: Draws) -> Sums:
    """Draws windows, with whatever jobs there are in them, and seeds, of which `weights` are those in each draw."""
    if not parts:
        return Sums({}, {})
    flat = np.array(list(parts.values())).reshape(-1, draws.windows.shape[1])
    drawn = (draws.windows @ flat.T).reshape(len(weights), len(parts), 3, -1)
    drawn = np.moveaxis((drawn * weights[:, None, None, :]).sum(-1), 0, -1)
    return Sums({name: some.mean(1).sum(1) for name, some in parts.items()}, dict(zip(parts, drawn, strict=True)))


def against(mine: Sums, reference: Sums | None, name: str) -> Group:
    """One group under a policy and under the reference, None for the reference itself."""
    jobs, jct, slowdown = mine.of[name].tolist()
    if not jobs:
        return Group(0, np.nan, np.nan, None, None)
    if reference is None:
        return Group(jobs, jct / jobs, slowdown / jobs, None, None)
    ratios = [_ratio(mine, reference, name, what) for what in (1, 2)]
    return Group(jobs, jct / jobs, slowdown / jobs, *ratios)


def _ratio(mine: Sums, reference: Sums, name: str, what: int) -> Interval:
    """The ratio of means: of completion times (1) or slowdowns (2)."""
    values = [float(one.of[name][what] / one.of[name][0]) for one in (mine, reference)]
    drawn = [parted(one.drawn[name][what], one.drawn[name][0]) for one in (mine, reference)]
    return interval(float(ratio(*values)), ratio(*drawn))
