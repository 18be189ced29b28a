"""How sure a comparison is: paired bootstrap intervals over windows and seeds, and summaries that outliers cannot sway.

After Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021:
interquartile means, probabilities of improvement and performance profiles. Windows and trained seeds are drawn apart
from each other, and every drawn seed meets every drawn window (Owen, "The pigeonhole bootstrap", Annals of Applied
Statistics 1(2), 2007), for a window that is hard is so for all seeds, and a seed that is bad is so in all windows.
Windows that share jobs are drawn in runs that are as long as they share any, the first after the last (Politis and
Romano, "A circular block-resampling procedure for stationary data", in Exploring the Limits of Bootstrap, 1992): each
alone would be counted as if it told something new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
RESAMPLES = 10_000
COVERAGE = 0.95
Verdict = Literal["win", "tie", "loss", "unknown", "oracle"]
CHUNK = 100
"""Resamples of which interquartile means are taken at once: so many fit into a processor's cache."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the percentile bootstrap interval around it."""

    value: float
    low: float
    high: float


NOTHING = Interval(np.nan, np.nan, np.nan)


@dataclass(frozen=True, slots=True)
class Duel:
    """One policy against the reference on one metric, window by window.

    Attributes:
        difference: mean of the policy's scores less the reference's, in the metric's unit.
        ratio: mean of the policy's scores over the reference's.
        improvement: probability that the policy is better in a window, ties counted half.
        wins, ties: shares of windows (and seeds) in which it is strictly better, exactly equal.
        p: of the bootstrap, for no difference.
        corrected: the same after Holm, for as many rivals and loads as were compared by this metric.
        verdict: "win" or "loss" where that is below 5 %, "tie" where it is not; "oracle" is out of competition.
    """

    difference: Interval
    ratio: Interval
    improvement: Interval
    wins: float
    ties: float
    p: float
    corrected: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Draws:
    """What a bootstrap has drawn; one draw of windows serves a whole comparison.

    Attributes:
        windows: how often each was drawn, shape (times, windows).
        counts: how many were drawn, shape (times, 1).
        seed: of the draws of seeds.
    """

    windows: Floats
    counts: Floats
    seed: int

    def only(self, windows: npt.NDArray[np.bool_]) -> Draws:
        """The same draws, of which these windows alone count."""
        if windows.all():
            return self
        kept = self.windows[:, windows]
        return Draws(kept, kept.sum(1, keepdims=True), self.seed)

    def seeds(self, name: str, count: int) -> Floats:
        """Weights of the seeds of the policy of this name, which sum to 1; shape (times, count)."""
        rng = np.random.default_rng([self.seed, crc32(name.encode())])
        return counted(rng, len(self.windows), count) / count

    def means(self, values: Floats) -> Floats:
        """Means over the drawn windows of values of shape (n, windows); shape (times, n). NaN where none was drawn."""
        return parted(self.windows @ values.T, self.counts)


def resamples(count: int, seed: int, times: int = RESAMPLES, block: int = 1) -> Draws:
    """Draws windows with replacement, in runs of `block` that follow one another."""
    return Draws(counted(np.random.default_rng(seed), times, count, block), np.full((times, 1), float(count)), seed)


def counted(rng: np.random.Generator, times: int, count: int, block: int = 1) -> Floats:
    """How often each of `count` things is drawn in `count` draws with replacement, shape (times, count)."""
    drawn = rng.integers(count, size=(times, -(-count // block)))
    if block > 1:
        runs = (drawn[:, :, None] + np.arange(block)) % count
        drawn = runs.reshape(times, -1)[:, :count]
    drawn += np.arange(times)[:, None] * count
    return np.bincount(drawn.ravel(), minlength=times * count).reshape(times, count).astype(np.float64)


def neighbours(values: Floats) -> float:
    """The correlation of each value with the next, shape (n,): 0 or near it where they are drawn apart; 0 for few."""
    before, after = values[:-1], values[1:]
    if len(values) < 3 or not np.isfinite(values).all() or not before.std() or not after.std():
        return 0.0
    return float(np.corrcoef(before, after)[0, 1])


def parted(sums: Floats, counts: Floats) -> Floats:
    """Sums over counts, NaN where nothing was counted."""
    answer: Floats = np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)
    return answer


def interval(value: float, drawn: Floats) -> Interval:
    """The middle 95 % of a bootstrap's draws, of shape (times,), around the value itself."""
    drawn = drawn[~np.isnan(drawn)]
    if not np.isfinite(value) or not len(drawn):
        return Interval(value, np.nan, np.nan)
    tail = 0.5 * (1.0 - COVERAGE)
    method: Literal["linear", "inverted_cdf"] = "linear" if np.isfinite(drawn).all() else "inverted_cdf"
    low, high = np.quantile(drawn, (tail, 1.0 - tail), method=method)
    return Interval(value, float(low), float(high))


def interquartile_mean(values: Floats) -> Floats:
    """The mean of the middle half along the last axis: a quarter of the values (rounded down) is cut at either end."""
    cut = values.shape[-1] // 4
    middle: Floats = np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)
    return middle


@dataclass(frozen=True, slots=True)
class Runs:
    """One policy's scores by one metric.

    Attributes:
        values: of each seed in each window, shape (seeds, windows).
        weights: of its seeds in each draw, shape (times, seeds).
        means: in each draw, shape (times,).
    """

    values: Floats
    weights: Floats
    means: Floats

    @classmethod
    def of(cls, values: Floats, weights: Floats, draws: Draws) -> Runs:
        """Draws the means of scores."""
        return cls(values, weights, (draws.means(values) * weights).sum(1))

    @property
    def known(self) -> bool:
        """Whether there is a score for every seed and window, and at least one."""
        return bool(self.values.size and np.isfinite(self.values).all())

    @property
    def mean(self) -> Interval:
        """The mean over seeds and windows."""
        return interval(float(self.values.mean()), self.means) if self.known else NOTHING

    def middle(self, draws: Draws) -> Interval:
        """The interquartile mean over seeds and windows together."""
        if not self.known:
            return NOTHING
        return interval(float(interquartile_mean(self.values.ravel())), np.concatenate([*self._middles(draws)]))

    def _middles(self, draws: Draws) -> Iterator[Floats]:
        """The interquartile mean of each draw, from how often each score was drawn."""
        order = np.argsort(self.values, axis=None, kind="stable")
        scores, times = self.values.ravel()[order], len(self.values)
        for start in range(0, len(draws.windows), CHUNK):
            part = slice(start, start + CHUNK)
            each = (self.weights[part, :, None] * times * draws.windows[part, None, :]).round()
            each = each.reshape(len(each), -1)[:, order]
            upto, all_ = each.cumsum(1), each.sum(1, keepdims=True)
            cut = all_ // 4
            kept = np.minimum(upto, all_ - cut) - np.maximum(upto - each, cut)
            yield parted(np.maximum(kept, 0.0) @ scores, (all_ - 2 * cut)[:, 0])


def duel(policy: Runs, reference: Runs, draws: Draws, more: bool = False) -> Duel:
    """Compares two policies on the same windows. A score that is not known makes it "unknown".

    Every seed of the one meets every seed of the other. `more` says that more is better.
    """
    if not policy.known or not reference.known:
        return Duel(NOTHING, NOTHING, NOTHING, np.nan, np.nan, np.nan, np.nan, "unknown")
    ours, theirs = policy.values[:, None], reference.values[None]
    better, equal = (ours > theirs if more else ours < theirs), ours == theirs
    pairs = (policy.weights[:, :, None] * reference.weights[:, None, :]).reshape(len(policy.weights), -1)
    both = np.stack([ours - theirs, better + 0.5 * equal])
    drawn, improved = ((flat * pairs).sum(1) for flat in _flat(both, draws))
    p = chance(drawn)
    difference = float(both[0].mean())
    times = float(ratio(policy.values.mean(), reference.values.mean()))
    return Duel(
        interval(difference, drawn),
        interval(times, ratio(policy.means, reference.means)),
        interval(float(both[1].mean()), improved),
        float(better.mean()),
        float(equal.mean()),
        p,
        p,
        verdict(difference, p, more),
    )


def _flat(values: Floats, draws: Draws) -> Iterator[Floats]:
    """The draws' means of values of shape (n, seeds, other's seeds, windows): n of (times, seeds x other's seeds)."""
    means = draws.means(values.reshape(-1, values.shape[-1]))
    yield from np.split(means, len(values), axis=1)


def chance(drawn: Floats) -> float:
    """The two-sided p-value of a bootstrap's differences: how often they lie on the rarer side of zero, twice.

    Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 5.4, with one draw more on either
    side, so that it is never zero.
    """
    below, above = int((drawn <= 0).sum()), int((drawn >= 0).sum())
    return min(1.0, 2 * (1 + min(below, above)) / (1 + len(drawn)))


def holm(chances: Sequence[float]) -> list[float]:
    """p-values corrected for how many there are (Holm, Scandinavian Journal of Statistics 6(2), 1979).

    Those that are not known (NaN) stay so and do not count.
    """
    known = [at for at in np.argsort(chances, kind="stable").tolist() if not np.isnan(chances[at])]
    answer, highest = [float("nan")] * len(chances), 0.0
    for rank, at in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * chances[at]))
        answer[at] = highest
    return answer


def verdict(difference: float, p: float, more: bool = False) -> Verdict:
    """What a difference and its p-value say."""
    if not p < 1.0 - COVERAGE:
        return "unknown" if np.isnan(p) else "tie"
    return "win" if (difference > 0) is more else "loss"


def profile(scores: Floats, taus: Floats) -> Floats:
    """Performance profiles (Dolan and More, 2002): in which share of windows is a policy within tau times the best?

    Args:
        scores: shape (policies, windows).
        taus: shape (n,), 1 and above.

    Returns:
        Shares of shape (policies, n).
    """
    ratios = ratio(scores, scores.min(axis=0))
    shares: Floats = (ratios[:, :, None] <= taus).mean(axis=1)
    return shares


def ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Floats:
    """above / below, where two zeros are equal and so make 1."""
    top, bottom = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    safe = np.where(bottom == 0.0, 1.0, bottom)
    answer: Floats = np.where(bottom == 0.0, np.where(top == 0.0, 1.0, np.inf), top / safe)
    return answer
