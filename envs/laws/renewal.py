"""What trouble is made of: gaps with memory, times to repair, and the constants that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import gamma, log
from typing import Any

import numpy as np

from ...traces.data import beside

Mixture = tuple[tuple[float, float, float], ...]
"""Lognormals: (part, median in seconds, sigma of the logarithm)."""


@cache
def measured(law: str) -> dict[str, Any]:
    """What `trouble.toml` says of a law."""
    return dict(beside(__file__, "trouble.toml")[law])


def gap(rng: np.random.Generator, mean: float, shape: float) -> float:
    """Seconds from a new beginning to the next failure: Weibull with that mean."""
    return float(mean / gamma(1 + 1 / shape) * rng.weibull(shape))


def rest(rng: np.random.Generator, mean: float, shape: float) -> float:
    """Seconds from now to the next failure of what has been going on for long: the stationary residual of `gap`.

    The gap that is met at a moment is drawn by its length: (gap / scale)^shape is Gamma(1 + 1 / shape); and the moment
    is anywhere in it (Cox, Renewal Theory, 1962).
    """
    met = mean / gamma(1 + 1 / shape) * rng.gamma(1 + 1 / shape) ** (1 / shape)
    return float(rng.random() * met)


def mixed(rng: np.random.Generator, parts: Mixture) -> float:
    """Seconds, from one of several lognormals."""
    weights = np.array([part for part, _, _ in parts])
    _, median, sigma = parts[int(rng.choice(len(parts), p=weights / weights.sum()))]
    return float(rng.lognormal(log(median), sigma))


def merged(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The union of (start, end) in seconds, in order; those that touch are one, empty ones are left out."""
    union: list[tuple[float, float]] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    return union
