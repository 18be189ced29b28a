"""What a reader must know of a comparison before any number: what its intervals do not say, and who knew too much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt

from ..envs.session import Policy
from .entrants import BOUND
from .held_out import HeldOut, seen_before
from .intervals import neighbours
from .scene import Scene, told_estimates
from .scores import CENTRAL, MAIN, METRICS
from .standing import Standing, ranked

FEW = 20
"""Below so many windows a percentile bootstrap's intervals are known to be too narrow."""
FEW_SEEDS = 5
"""The same of seeds, as the statistical precipice's authors have it for runs."""
ALIKE = 3.0
"""Correlation of neighbouring windows that is told of, in standard errors of independent ones: 1 / sqrt(windows)."""


def doubts(stage: Scene, part: HeldOut, found: Sequence[Standing], chosen: Mapping[str, Policy]) -> Iterator[str]:
    """One sentence for each thing to know.

    Args:
        stage: the jobs and the world.
        part: the windows.
        found: standings of all loads.
        chosen: the policies by name, each seed by its own.
    """
    yield from _of_estimates(stage)
    yield from _of_windows(part, found)
    if stage.skipped:
        yield f"{len(stage.skipped):,} jobs were left out because this cluster could never run them."
    several = len({one.load for one in found}) > 1
    for one in found:
        where = f" at load {one.load:g}" if several else ""
        if one.unfinished:
            what = f"{one.unfinished:,} scored jobs unfinished{where}"
            yield f"{one.policy} left {what}: it has no score in those windows."
        yield from _beyond(one, found, where)
    yield from _of_seeds([one for one in found if one.load == found[0].load], chosen)
    yield from seen_before(chosen, part)


def _of_estimates(stage: Scene) -> Iterator[str]:
    estimates = stage.trace.estimates
    if estimates == "exact":
        yield "Estimates are exact: an oracle gave every policy the true run times, which no real scheduler has."
    elif estimates.startswith("noisy"):
        yield f"Estimates are {told_estimates(estimates)}: no user stated them."


def _of_windows(part: HeldOut, found: Sequence[Standing]) -> Iterator[str]:
    """What becomes of intervals where windows are few, share jobs, or are alike."""
    count = len(part.windows)
    if not part.disjoint:
        yield (
            f"Windows overlap: {count:,} were asked for, and no more than {part.fits:,} fit into the part without a "
            f"job that is scored twice. The bootstrap draws them in runs of {part.block:,}, as {part.shared:,} "
            f"neighbours share jobs: its intervals are about as wide as those of {part.fits:,} windows."
        )
    if min(count, part.fits) < FEW:
        which = f"Only {count} windows" if part.disjoint else f"Only {part.fits} windows' worth of jobs"
        yield f"{which}: the intervals are rough, and rather too narrow."
    if part.disjoint and (alike := [*_alike(found)]):
        yield (
            "Neighbouring windows are alike, and the bootstrap takes them for independent: intervals of differences of "
            f"the {METRICS[MAIN].words} are too narrow, by about {', '.join(alike)}. Take fewer windows, further "
            "apart, or longer ones."
        )
    if not any(one.longest_wait for one in found):
        yield "No job ever waited, whatever the policy: raise --load or --warmup, or take a smaller --cluster."


def _alike(found: Sequence[Standing]) -> Iterator[str]:
    """Rivals whose differences to the reference in one window tell those in the next, with how much that matters.

    A mean of values of which each takes over a part r of the last one's deviation has a standard error that is
    sqrt((1 + r) / (1 - r)) times that of independent ones.
    """
    own = {one.load: one.scores() for one in found if not one.duels}
    several = len(own) > 1
    for one in ranked(found):
        values = one.scores() - own[one.load]
        if one.duels and (same := min(neighbours(values), 0.99)) > ALIKE / sqrt(len(values)):
            where = f" at load {one.load:g}" if several else ""
            yield f"{1.0 - sqrt((1.0 - same) / (1.0 + same)):.0%} ({one.policy}{where})"


def _beyond(one: Standing, found: Sequence[Standing], where: str) -> Iterator[str]:
    """Says so where a policy did what cannot be, by the bound: it gave jobs less than they asked for."""
    bound = next((other for other in found if other.policy == BOUND and other.load == one.load), None)
    for metric in CENTRAL:
        if bound is not None and (one.runs[metric] < bound.runs[metric] * (1 - 1e-9)).any():
            what = f"is below the bound's {METRICS[metric].words}{where}"
            yield f"{one.policy} {what}: it gives jobs less than they asked for, at no cost."


def _of_seeds(found: Sequence[Standing], chosen: Mapping[str, Policy]) -> Iterator[str]:
    """What the intervals of learned policies say nothing of."""
    for one in ranked(found):
        count = len(one.members)
        if count == 1 and getattr(chosen[one.members[0]], "card", None) is not None:
            name = one.policy
            yield f"{name} is one trained seed: its intervals say nothing of how another training would have ended."
        elif 1 < count < FEW_SEEDS:
            yield f"{one.policy} has only {count} seeds: the intervals are rough, and rather too narrow."
