"""How the policies of a contest stand: each one's scores, and its duels with the reference on the same windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .contest import Outcome
from .intervals import Duel, Floats, Interval, around, duel, interquartile_mean, mean, resamples

METRICS = {
    "mean_bounded_slowdown": ("mean bounded slowdown", ""),
    "mean_jct": ("mean JCT", "s"),
    "median_jct": ("median JCT", "s"),
    "p99_jct": ("p99 JCT", "s"),
}
"""Metric -> its name in words and its unit. Each is of the scored jobs of a window; lower is better."""
MAIN = "mean_bounded_slowdown"


@dataclass(frozen=True, slots=True)
class Standing:
    """One policy.

    Attributes:
        policy: its name.
        scores: metric -> a score for each window, shape (windows,); NaN where it left jobs unfinished.
        means, middles: metric -> mean and interquartile mean over windows, with intervals.
        duels: metric -> against the reference; empty for the reference itself.
        unfinished: scored jobs that never ended, over all windows.
        longest_wait: seconds, over all windows.
        wall_seconds: of all its windows' simulations together.
    """

    policy: str
    scores: Mapping[str, Floats]
    means: Mapping[str, Interval]
    middles: Mapping[str, Interval]
    duels: Mapping[str, Duel]
    unfinished: int
    longest_wait: float
    wall_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For `--json` and `comparison.json`, without the scores; None where there is no number."""
        return {
            "policy": self.policy,
            "means": {name: _plain(one) for name, one in self.means.items()},
            "interquartile_means": {name: _plain(one) for name, one in self.middles.items()},
            "against_reference": {name: _plain(one) for name, one in self.duels.items()} or None,
            "unfinished": self.unfinished,
            "longest_wait": self.longest_wait,
            "wall_seconds": self.wall_seconds,
        }


def standings(
    known: Mapping[tuple[str, int], Outcome], policies: Sequence[str], windows: int, reference: str, seed: int
) -> list[Standing]:
    """Sums outcomes up, in the order of `policies`. One draw of windows serves every interval."""
    draws = resamples(windows, seed)
    rows = {name: [known[name, window] for window in range(windows)] for name in policies}
    scores = {name: {metric: _scores(rows[name], metric) for metric in METRICS} for name in policies}
    return [
        Standing(
            name,
            scores[name],
            {metric: around(mean, scores[name][metric], draws) for metric in METRICS},
            {metric: around(interquartile_mean, scores[name][metric], draws) for metric in METRICS},
            {m: duel(scores[name][m], scores[reference][m], draws) for m in METRICS if name != reference},
            sum(row.unfinished for row in rows[name]),
            max(row.max_wait or 0.0 for row in rows[name]),
            sum(row.wall_seconds for row in rows[name]),
        )
        for name in policies
    ]


def rival(found: Sequence[Standing], reference: str, heuristics: Sequence[str]) -> Standing | None:
    """The best of the others by the mean of the main metric; of the heuristics among them, if there are any."""
    others = [one for one in found if one.policy != reference and np.isfinite(one.means[MAIN].value)]
    rules = [one for one in others if one.policy in heuristics]
    return min(rules or others, key=lambda one: one.means[MAIN].value, default=None)


def extremes(reference: Standing, other: Standing) -> dict[str, int]:
    """The windows of the reference's largest win and largest loss against another, by the ratio of their scores."""
    ratios = reference.scores[MAIN] / other.scores[MAIN]
    if not np.isfinite(ratios).all():
        return {}
    best, worst = int(ratios.argmin()), int(ratios.argmax())
    return ({"wins": best} if ratios[best] < 1 else {}) | ({"loses": worst} if ratios[worst] > 1 else {})


def _scores(rows: Sequence[Outcome], metric: str) -> Floats:
    """A policy that leaves jobs undone has no score there: a mean of the others would flatter it."""
    values = [np.nan if row.unfinished else getattr(row, metric) for row in rows]
    return np.array(values, np.float64)


def _plain(one: Interval | Duel) -> dict[str, Any]:
    return {key: _number(value) for key, value in asdict(one).items()}


def _number(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _number(part) for key, part in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
