"""How sure a comparison is: by hand, and by how often an interval holds the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpuyard.experiments.intervals import (
    Duel,
    Floats,
    Interval,
    Runs,
    chance,
    duel,
    holm,
    interquartile_mean,
    neighbours,
    profile,
    resamples,
    verdict,
)


def test_interquartile_means_by_hand() -> None:
    assert interquartile_mean(np.arange(1.0, 9.0)) == 4.5
    assert interquartile_mean(np.array([100.0, 3.0, 1.0, 2.0, 4.0])) == 3.0
    assert interquartile_mean(np.array([[1.0, 5.0], [2.0, 4.0]])).tolist() == [3.0, 3.0]


def against(policy: Any, reference: Any, more: bool = False) -> Duel:
    """A duel of scores of shape (windows,), or (seeds, windows)."""
    ours, theirs = np.atleast_2d(policy).astype(float), np.atleast_2d(reference).astype(float)
    draws = resamples(ours.shape[1], 0)
    mine, other = (Runs.of(x, draws.seeds(n, len(x)), draws) for n, x in (("a", ours), ("b", theirs)))
    return duel(mine, other, draws, more)


def test_a_duel_by_hand() -> None:
    found = against([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    assert (found.difference.value, found.ratio.value, found.improvement.value) == (0.0, 1.0, 0.5)
    assert (found.wins, found.ties, found.verdict) == (1 / 3, 1 / 3, "tie")
    assert (found.difference.low, found.difference.high) == (-1.0, 1.0)
    assert (found.ratio.low, found.ratio.high) == (0.5, 1.5)


def test_a_steady_difference_is_certain() -> None:
    reference = np.array([5.0, 9.0, 7.0, 6.0])
    found = against(reference - 1, reference)
    assert (found.difference, found.verdict) == (Interval(-1.0, -1.0, -1.0), "win")
    assert against(reference + 1, reference).verdict == "loss"
    assert against(reference + 1, reference, more=True).verdict == "win"
    assert against(reference, [1.0, np.nan, 1.0, 1.0]).verdict == "unknown"


@pytest.mark.parametrize(
    ("difference", "p", "more", "said"),
    [(-1.0, 0.049, False, "win"), (-1.0, 0.051, False, "tie"), (1.0, 0.01, False, "loss"), (1.0, 0.01, True, "win")],
)
def test_a_verdict_needs_a_small_p(difference: float, p: float, more: bool, said: str) -> None:
    assert verdict(difference, p, more) == said
    assert verdict(difference, float("nan"), more) == "unknown"


def test_chances_by_hand() -> None:
    assert chance(np.array([1.0] * 98 + [-1.0])) == 2 * 2 / 100
    assert chance(np.zeros(9)) == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == [0.03, 0.06, 0.06, 0.02]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.04, float("nan")])[0] == 0.04


def test_of_many_rivals_some_differ_by_chance_and_are_not_believed() -> None:
    """Without a correction one in twenty rivals that are no better is called so; with it, hardly ever one of all."""
    rng = np.random.default_rng(0)
    reference = rng.normal(0, 1, 40)
    duels = [against(rng.normal(0, 1, 40), reference) for _ in range(100)]
    assert any(one.verdict != "tie" for one in duels)
    assert all(p > 0.05 for p in holm([one.p for one in duels]))


def test_seeds_widen_an_interval_by_as_much_as_they_differ() -> None:
    """Two seeds of scores 1 and 3 in every window: a draw has either alone, or both, with chances 1/4, 1/4, 1/2."""
    draws = resamples(5, 0)
    values = np.array([[1.0] * 5, [3.0] * 5])
    runs = Runs.of(values, draws.seeds("mine", 2), draws)
    assert runs.mean == Interval(2.0, 1.0, 3.0)
    assert sorted(set(runs.means.tolist())) == [1.0, 2.0, 3.0]
    assert np.mean(runs.means == 2.0) == pytest.approx(0.5, abs=0.02)
    assert runs.middle(draws).value == 2.0
    found = against(values, [2.0] * 5)
    assert (found.difference, found.improvement.value, found.verdict) == (Interval(0.0, -1.0, 1.0), 0.5, "tie")


def test_middles_of_draws_are_those_of_what_was_drawn() -> None:
    rng, draws = np.random.default_rng(3), resamples(7, 0, 50)
    runs = Runs.of(rng.lognormal(0, 2, (1, 7)), draws.seeds("one", 1), draws)
    (drawn,) = runs._middles(draws)
    for counts, found in zip(draws.windows, drawn, strict=True):
        assert interquartile_mean(np.repeat(runs.values[0], counts.astype(int))) == pytest.approx(found)


def test_profiles_by_hand() -> None:
    shares = profile(np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 4.0]]), np.array([1.0, 2.0, 4.0]))
    assert shares.tolist() == [[0.0, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 1.0]]


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng, draws = np.random.default_rng(1), resamples(40, 0, 1000)
    ones = draws.seeds("one", 1)
    found = [Runs.of(rng.exponential(1.0, (1, 40)), ones, draws).mean for _ in range(400)]
    assert 0.88 <= sum(one.low <= 1.0 <= one.high for one in found) / 400 <= 0.97


def test_intervals_over_seeds_cover_the_truth_about_as_often_as_they_say() -> None:
    """Scores are what is hard of a window, plus what is bad of a seed, plus noise; another study draws all anew."""

    def study(rng: np.random.Generator) -> Floats:
        noise = rng.normal(0, 0.5, (10, 40))
        return rng.normal(0, 1, 40) + rng.normal(0, 0.5, 10)[:, None] + noise

    rng, draws = np.random.default_rng(2), resamples(40, 0, 1000)
    seeds = draws.seeds("mine", 10)
    found = [Runs.of(study(rng), seeds, draws).mean for _ in range(300)]
    assert 0.88 <= sum(one.low <= 0.0 <= one.high for one in found) / 300 <= 0.985


def test_a_block_is_drawn_whole() -> None:
    """Five windows in runs of two: three runs, the last cut to one. A draw's runs begin anywhere, the end joins on."""
    draws = resamples(5, 0, 2000, block=2)
    assert set(draws.windows.sum(1)) == {5.0}
    alone = resamples(4, 0, 2000, block=4).windows
    assert set(map(tuple, alone.tolist())) == {(1.0, 1.0, 1.0, 1.0)}, "one run of all windows has each once"
    pairs = set(map(tuple, resamples(4, 0, 2000, block=2).windows.tolist()))
    assert (2.0, 2.0, 0.0, 0.0) in pairs
    assert (1.0, 0.0, 0.0, 1.0) not in {tuple(row[:4]) for row in pairs if sum(row) != 4}
    assert (2.0, 0.0, 2.0, 0.0) not in pairs, "no window is drawn without its neighbour"
    assert (2.0, 0.0, 0.0, 2.0) in pairs, "the first comes after the last"


def overlapping(rng: np.random.Generator, count: int, shared: int) -> Floats:
    """Scores of windows of which so many that follow one another share parts: sums of what each part is worth."""
    parts = rng.exponential(1.0, count + shared - 1)
    return np.convolve(parts, np.ones(shared), "valid") / shared


def test_windows_that_overlap_get_intervals_that_are_wide_enough() -> None:
    """Drawn one by one they look like many windows, and the truth is left out much of the time."""
    rng = np.random.default_rng(5)
    studies = [overlapping(rng, 400, 10) for _ in range(200)]
    covered = {}
    for block in (1, 20):
        draws = resamples(400, 0, 500, block)
        found = [Runs.of(scores[None], draws.seeds("one", 1), draws).mean for scores in studies]
        covered[block] = float(np.mean([one.low <= 1.0 <= one.high for one in found]))
    assert covered[20] >= 0.87
    assert covered[1] < 0.6


def test_neighbours_that_are_alike_are_found() -> None:
    assert neighbours(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(1.0)
    assert neighbours(np.array([1.0, -1.0, 1.0, -1.0])) == pytest.approx(-1.0)
    for nothing in ([1.0] * 9, [1.0, np.nan, 2.0, 3.0], [1.0, 2.0]):
        assert neighbours(np.array(nothing)) == 0.0
    noise = np.random.default_rng(0).normal(0, 1, 400)
    assert abs(neighbours(noise)) < 3 / 20
    assert neighbours(noise[1:] + noise[:-1]) == pytest.approx(0.5, abs=0.15)
