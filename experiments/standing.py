"""How the policies of a contest stand: each one's scores, and its duels with the reference on the same windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .contest import Outcome
from .entrants import Entrant, is_oracle
from .intervals import Duel, Floats, Indices, Interval, around, duel, interquartile_mean, mean, over_seeds, resamples

METRICS = {
    "mean_bounded_slowdown": ("mean bounded slowdown", ""),
    "mean_jct": ("mean JCT", "s"),
    "median_jct": ("median JCT", "s"),
    "p99_jct": ("p99 JCT", "s"),
}
"""Metric -> its name in words and its unit. Each is of the scored jobs of a window; lower is better."""
MAIN = "mean_bounded_slowdown"
OTHERS = {
    "p95_jct": ("p95 JCT", "s"),
    "median_bounded_slowdown": ("median bounded slowdown", ""),
    "p95_bounded_slowdown": ("p95 bounded slowdown", ""),
    "p99_bounded_slowdown": ("p99 bounded slowdown", ""),
    "mean_wait": ("mean wait", "s"),
    "utilization": ("accelerators held", "part"),
    "preemptions": ("preemptions", ""),
    "energy_kwh": ("energy", "kWh"),
    "carbon_kg": ("carbon", "kg CO2e"),
    "usd": ("money", "USD"),
    "max_rho": ("largest finish-time fairness", ""),
    "jain": ("Jain index of it", ""),
}
"""What else is told where the world knows it: means over windows, without a verdict."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One policy.

    Attributes:
        policy: its name.
        scores: metric -> a score for each window, shape (windows,); NaN where it left jobs unfinished. The mean over
            seeds where there are several.
        means, middles: metric -> mean and interquartile mean over windows, with intervals.
        duels: metric -> against the reference; empty for the reference itself.
        unfinished: scored jobs that never ended, over all windows.
        longest_wait: seconds, over all windows.
        wall_seconds: of all its windows' simulations together.
        others: what is in `OTHERS` and was told in every window -> mean over windows, with its interval.
        seeds: how many trainings of one policy these are.
    """

    policy: str
    scores: Mapping[str, Floats]
    means: Mapping[str, Interval]
    middles: Mapping[str, Interval]
    duels: Mapping[str, Duel]
    unfinished: int
    longest_wait: float
    wall_seconds: float
    others: Mapping[str, Interval] = field(default_factory=dict)
    seeds: int = 1

    @property
    def oracle(self) -> bool:
        """Whether it knows what no policy can know."""
        return is_oracle(self.policy)

    def as_dict(self) -> dict[str, Any]:
        """For `--json` and `comparison.json`, without the scores; None where there is no number."""
        return {
            "policy": self.policy,
            "means": {name: _plain(one) for name, one in self.means.items()},
            "interquartile_means": {name: _plain(one) for name, one in self.middles.items()},
            "against_reference": {name: _plain(one) for name, one in self.duels.items()} or None,
            "others": {name: _plain(one) for name, one in self.others.items()},
            "seeds": self.seeds,
            "oracle": self.oracle,
            "unfinished": self.unfinished,
            "longest_wait": self.longest_wait,
            "wall_seconds": self.wall_seconds,
        }


Known = Mapping[tuple[str, int], Outcome]


def standings(
    known: Known, policies: Sequence[str | Entrant], windows: int | Sequence[int], reference: str, seed: int
) -> list[Standing]:
    """Sums outcomes up, in the order of `policies`. One draw of windows serves every interval.

    `windows` are how many, or the numbers of those that count.
    """
    numbers = range(windows) if isinstance(windows, int) else windows
    draws = resamples(len(numbers), seed)
    named = {one.name: one for one in (Entrant(p, (p,)) if isinstance(p, str) else p for p in policies)}
    rows = {name: [[known[m, w] for w in numbers] for m in one.members] for name, one in named.items()}
    scores = {name: {metric: _scores(rows[name], metric) for metric in METRICS} for name in named}
    return [
        Standing(
            name,
            {metric: over_seeds(mine[metric]) for metric in METRICS},
            {metric: around(mean, mine[metric], draws) for metric in METRICS},
            {metric: around(interquartile_mean, mine[metric], draws) for metric in METRICS},
            {m: duel(mine[m], scores[reference][m], draws) for m in METRICS if name != reference},
            sum(row.unfinished for some in rows[name] for row in some),
            max(row.max_wait or 0.0 for some in rows[name] for row in some),
            sum(row.wall_seconds for some in rows[name] for row in some),
            _others(rows[name], draws),
            len(rows[name]),
        )
        for name, mine in scores.items()
    ]


def _others(rows: Sequence[Sequence[Outcome]], draws: Indices) -> dict[str, Interval]:
    """What was told in every window."""
    told = {name: np.array([[_told(row, name) for row in some] for some in rows]) for name in OTHERS}
    return {name: around(mean, values, draws) for name, values in told.items() if np.isfinite(values).all()}


def _told(row: Outcome, name: str) -> float:
    value = getattr(row, name)
    return float("nan") if value is None else float(value)


def rival(found: Sequence[Standing], reference: str, heuristics: Sequence[str]) -> Standing | None:
    """The best of the others by the mean of the main metric; of the heuristics among them, if there are any."""
    others = [one for one in found if one.policy != reference and not one.oracle]
    others = [one for one in others if np.isfinite(one.means[MAIN].value)]
    rules = [one for one in others if one.policy in heuristics]
    return min(rules or others, key=lambda one: one.means[MAIN].value, default=None)


def extremes(reference: Standing, other: Standing) -> dict[str, int]:
    """The windows of the reference's largest win and largest loss against another, by the ratio of their scores."""
    ratios = reference.scores[MAIN] / other.scores[MAIN]
    if not np.isfinite(ratios).all():
        return {}
    best, worst = int(ratios.argmin()), int(ratios.argmax())
    return ({"wins": best} if ratios[best] < 1 else {}) | ({"loses": worst} if ratios[worst] > 1 else {})


def _scores(rows: Sequence[Sequence[Outcome]], metric: str) -> Floats:
    """Shape (seeds, windows). Who leaves jobs undone has no score there: a mean of the others would flatter it."""
    return np.array([[np.nan if row.unfinished else _told(row, metric) for row in some] for some in rows])


def _plain(one: Interval | Duel) -> dict[str, Any]:
    return {key: _number(value) for key, value in asdict(one).items()}


def _number(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _number(part) for key, part in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
