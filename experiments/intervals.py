"""How sure a comparison is: paired bootstrap intervals over windows, and the summaries that few outliers cannot sway.

After Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021:
interquartile means, probabilities of improvement and performance profiles. Lower scores are better throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
RESAMPLES = 10_000
COVERAGE = 0.95
Verdict = Literal["win", "tie", "loss", "unknown"]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the percentile bootstrap interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Duel:
    """One policy against the reference on one metric, window by window; below is better.

    Attributes:
        difference: mean of the policy's scores less the reference's, in the metric's unit.
        ratio: mean of the policy's scores over the reference's.
        improvement: probability that the policy is better in a window, ties counted half.
        wins, ties: shares of windows in which it is strictly better, exactly equal.
        verdict: "win" or "loss" when the difference's interval excludes zero, "tie" when not.
    """

    difference: Interval
    ratio: Interval
    improvement: Interval
    wins: float
    ties: float
    verdict: Verdict


def drawn(scores: Floats, draws: Indices, seed: int = 0) -> Floats:
    """Bootstrap samples of windows' scores, shape (times, windows).

    Scores of shape (windows,) are those of one policy. Of shape (seeds, windows) they are those of several trainings of
    one: then seeds are drawn with replacement too, and each sample is the mean over those that were drawn.
    """
    if scores.ndim == 1 or len(scores) == 1:
        only: Floats = np.atleast_2d(scores)[0][draws]
        return only
    rng = np.random.default_rng((seed, len(scores)))
    counts: Floats = rng.multinomial(len(scores), np.full(len(scores), 1.0 / len(scores)), len(draws)) / len(scores)
    sampled: Floats = np.take_along_axis(counts @ scores, draws, 1)
    return sampled


def over_seeds(scores: Floats) -> Floats:
    """The mean over seeds: shape (windows,)."""
    averaged: Floats = np.atleast_2d(scores).mean(0)
    return averaged


def resamples(count: int, seed: int, times: int = RESAMPLES) -> Indices:
    """Windows drawn with replacement, int array of shape (times, count). One draw serves a whole comparison."""
    return np.random.default_rng(seed).integers(count, size=(times, count))


def interval(value: float, drawn: Floats) -> Interval:
    """The middle 95 % of a bootstrap's draws, of shape (times,), around the value itself."""
    tail = 50.0 * (1.0 - COVERAGE)
    low, high = np.percentile(drawn, (tail, 100.0 - tail))
    return Interval(value, float(low), float(high))


def interquartile_mean(values: Floats) -> Floats:
    """The mean of the middle half along the last axis: a quarter of the values (rounded down) is cut at either end."""
    cut = values.shape[-1] // 4
    middle: Floats = np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)
    return middle


def mean(values: Floats) -> Floats:
    """The mean along the last axis."""
    middle: Floats = values.mean(axis=-1)
    return middle


def around(of: Callable[[Floats], Floats], values: Floats, draws: Indices) -> Interval:
    """A statistic of windows' scores, shape (windows,) or (seeds, windows), with its interval."""
    return interval(float(of(over_seeds(values))), of(drawn(values, draws)))


def duel(policy: Floats, reference: Floats, draws: Indices) -> Duel:
    """Compares two policies' scores on the same windows, of shape (windows,) or (seeds, windows) each.

    NaN in either makes it "unknown".
    """
    if not (np.isfinite(policy).all() and np.isfinite(reference).all()):
        nothing = Interval(np.nan, np.nan, np.nan)
        return Duel(nothing, nothing, nothing, np.nan, np.nan, "unknown")
    mine, its = np.atleast_2d(policy)[:, None], np.atleast_2d(reference)[None]
    better, equal = (mine < its).mean((0, 1)), (mine == its).mean((0, 1))
    ours, theirs = drawn(policy, draws).mean(1), drawn(reference, draws, 1).mean(1)
    difference = interval(float(policy.mean() - reference.mean()), ours - theirs)
    return Duel(
        difference,
        interval(float(_ratio(policy.mean(), reference.mean())), _ratio(ours, theirs)),
        around(mean, better + 0.5 * equal, draws),
        float(better.mean()),
        float(equal.mean()),
        verdict(difference),
    )


def verdict(difference: Interval) -> Verdict:
    """What an interval of a difference says."""
    return "win" if difference.high < 0.0 else "loss" if difference.low > 0.0 else "tie"


def profile(scores: Floats, taus: Floats) -> Floats:
    """Performance profiles (Dolan and More, 2002): in which share of windows is a policy within tau times the best?

    Args:
        scores: shape (policies, windows).
        taus: shape (n,), 1 and above.

    Returns:
        Shares of shape (policies, n).
    """
    ratios = _ratio(scores, scores.min(axis=0))
    shares: Floats = (ratios[:, :, None] <= taus).mean(axis=1)
    return shares


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Floats:
    """above / below, where two zeros are equal and so make 1."""
    top, bottom = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    safe = np.where(bottom == 0.0, 1.0, bottom)
    answer: Floats = np.where(bottom == 0.0, np.where(top == 0.0, 1.0, np.inf), top / safe)
    return answer
