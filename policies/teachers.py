"""Rules that choose a row of a menu: what a learned policy imitates first, and is measured against while it trains.

They are linear: a score for each row and one for waiting, the largest legal one is taken. So a network that has a
linear rule beside it can begin as any of them, and evolution strategies can search in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..envs.codec import Codec, Mask, Observation
from ..envs.commits import Commits
from ..envs.features import ROW
from ..envs.full import Full
from ..envs.offers.offer import VERBS

Rule = Callable[[Observation, Mask], int]
Vector = npt.NDArray[np.float32]

AT = {name: column for column, name in enumerate(ROW)}
"""Feature -> its column, in the menus of all codecs."""
SHARP = 16.0
"""Logarithms are told over 16: so a factor e in run time is worth one nat."""


@dataclass(frozen=True)
class Teacher:
    """A linear score on a candidate's features, smallest first, for those that start whatever fits, or less.

    Attributes:
        weights: feature -> weight; features are logarithms, so area = estimate + gang.
        spares: start only what does not delay the first of that order ("oldest", "shortest", "smallest"), if given.
        strict: start only the first of that order ("shortest", "smallest"), if given.
    """

    weights: Mapping[str, float]
    spares: str | None = None
    strict: str | None = None

    def __call__(self, observation: Observation, mask: Mask) -> int:
        """The row it chooses: a legal start, else the last row, which waits."""
        rows = observation[:-1]
        able = mask[:-1]
        if observation.shape[1] == len(Full.row):
            able = able & (rows[:, len(ROW)] > 0)
        if self.spares is not None:
            able = able & (rows[:, AT[f"spares_{self.spares}"]] > 0)
        if self.strict is not None:
            able = able & (rows[:, AT[f"is_{self.strict}"]] > 0)
        if not able.any():
            return len(rows) if mask[-1] else int(mask.argmax())
        return int(np.where(able, rows[:, : len(ROW)] @ self.vector, np.inf).argmin())

    @cached_property
    def vector(self) -> Vector:
        """The weights as an array of shape (features of `ROW`,)."""
        return _vector(self.weights, ROW)

    def line(self, row: Sequence[str]) -> tuple[Vector, float]:
        """The weights of a row's features, and the score of waiting, by which the largest score is its choice."""
        rule = np.zeros(len(row), np.float32)
        rule[: len(ROW)] = -SHARP * self.vector
        low, high = 1.3 * float(np.minimum(rule, 0).sum()), float(np.maximum(rule, 0).sum())
        waiting = low - 1.0
        for name in (f"spares_{self.spares}", f"is_{self.strict}"):
            if name in AT:  # those that may start rank above waiting, the others below
                rule[AT[name]], waiting = high - low, high
        for verb in VERBS[1:] if len(row) == len(Full.row) else ():
            rule[row.index(f"is_{verb}")] = 2.0 * (low - high) - 16.0
        return rule, waiting


@dataclass(frozen=True)
class Line:
    """A linear score on any features of a menu's rows, largest first; waiting has the score 0.

    Attributes:
        weights: feature -> weight. What is not named counts 0: a kind of decision that has no weight is never taken.
            Names that a menu does not show are passed over.
    """

    weights: Mapping[str, float]

    def __call__(self, observation: Observation, mask: Mask) -> int:
        """The row it chooses."""
        scores = np.append(observation[:-1] @ self._of(observation.shape[1]), np.float32(0.0))
        return int(np.where(mask, scores, -np.inf).argmax())

    def _of(self, count: int) -> Vector:
        return self.line(next(row for row in (ROW, Commits.row, Full.row) if len(row) == count))[0]

    def line(self, row: Sequence[str]) -> tuple[Vector, float]:
        """The weights of a row's features, and the score of waiting."""
        told = {f"is_{verb}": -256.0 for verb in VERBS} | dict(self.weights)
        return _vector({name: weight for name, weight in told.items() if name in row}, row), 0.0


def _vector(weights: Mapping[str, float], row: Sequence[str]) -> Vector:
    vector = np.zeros(len(row), np.float32)
    for name, weight in weights.items():
        vector[row.index(name)] = weight
    return vector


OLDEST, SHORTEST, SMALLEST = {"oldest": 1.0}, {"estimate": 1.0, "known": -2.0}, {"area": 1.0, "known": -2.0}
"""Unknown run times come last, as the logarithms of known ones over 16 are hardly above 1."""

TEACHERS: Mapping[str, Teacher] = {
    "oldest": Teacher(OLDEST),
    "shortest": Teacher(SHORTEST),
    "smallest": Teacher(SMALLEST),
    "short-squared": Teacher({"estimate": 2.0, "gang": 1.0, "known": -4.0}),
    "narrowest": Teacher({"gang": 16.0, "estimate": 1.0}),
    "easy-oldest": Teacher(OLDEST, "oldest"),
    "easy-shortest": Teacher(SHORTEST, "shortest"),
    "easy-smallest": Teacher(SMALLEST, "smallest"),
    "strict-shortest": Teacher(SHORTEST, strict="shortest"),
    "shortest-sparing-oldest": Teacher(SHORTEST, "oldest"),
    "smallest-sparing-oldest": Teacher(SMALLEST, "oldest"),
}
"""The rules that training tries.

The first ones start whatever fits; `easy-` ones backfill over their own order, as EASY does; `-sparing-oldest` ones
backfill by another order; `strict-` ones let the first of the line block it. `short-squared` is estimate^2 x gang.
"""

ROOMY: Mapping[str, Line] = {
    f"shortest-leaving-{name}": Line(
        {"candidate": size - 16.0, "known": 16.0, "estimate": -8.0, "upper": -8.0, "leaves": room, "is_start": 0.0}
    )
    for name, size, room in (("a-little", 9.0, 12.0), ("some", 7.0, 12.0), ("much", 7.0, 8.0))
}
"""Shortest first; the longer a job is expected to run, the more must stay free beside it, for who comes next.

Of `shortest-leaving-some`, e^7 s (18 minutes; the geometric mean of its median and its 90th percentile) with nothing
left free, more than a day with 5 % of the accelerators. Long jobs are kept from filling the cluster, as size-based
assignment keeps them from short ones: Harchol-Balter, Crovella and Murta, "On choosing a task assignment policy for a
distributed server system", JPDC 59 (1999)."""

SRTF = {"left": -16.0, "is_start": 64.0, "victim_left": 16.0, "is_preempt": -1.0}
LAS = {"attained": -16.0, "gang": -11.0, "is_start": 64.0, "victim_served": 16.0, "is_preempt": -8.0}
FAST = {"pace": 11.0}
"""A factor in pace counts as much as one in what is left to do."""
RENT = {"is_provision": -10.0, "wait": 16.0, "blocked": 8.0, "usd": -8.0, "is_release": 0.5}
"""Nodes come for whom has waited about ten minutes longer than is usual; idle nodes go when nobody is blocked."""
AT_ONCE = {"is_provision": -1.0, "blocked": 16.0, "comes": 8.0, "usd": -4.0, "is_release": 1.5}
"""Nodes come as soon as somebody is blocked, cheap ones first; idle nodes go when nobody is."""
SLEEP = {**AT_ONCE, "usd": -160.0}
"""The same of nodes that cost nothing; others do not come at all."""

LINES: Mapping[str, Line] = {
    "srtf": Line(SRTF),
    "srtf-patient": Line({**SRTF, "is_preempt": -2.5}),
    "las": Line(LAS),
    "srtf-fast": Line({**SRTF, **FAST}),
    "shortest-fast": Line({"estimate": -16.0, "is_start": 64.0, **FAST}),
    "shortest-renting": Line({"estimate": -16.0, "is_start": 64.0, **FAST, **RENT}),
    "srtf-renting": Line({**SRTF, **FAST, **AT_ONCE}),
    "shortest-sleeping": Line({"estimate": -16.0, "is_start": 64.0, **FAST, **SLEEP}),
    "srtf-sleeping": Line({**SRTF, **FAST, **SLEEP}),
    "srtf-moving": Line({**SRTF, **FAST, "is_move": -2.0, "faster": 44.0, "lost": -1.0}),
    "srtf-elastic": Line({**SRTF, **FAST, "is_resize": -2.0, "faster": 44.0, "lost": -1.0}),
    "srtf-capped": Line({**SRTF, **FAST, "is_cap": 0.0, "watts": -1.0}),
    "srtf-green": Line({**SRTF, **FAST, "carbon": -100.0}),
}
"""What more can be tried where menus are full: stops, kinds, rents, moves, gangs, power, carbon."""


HEFTY: Mapping[str, Line] = {"lightest": Line({"heft": -64.0})}
"""F1's first term, the logarithm of the estimate times the gang, where it is shown."""


def teachers(codec: Codec) -> Mapping[str, Teacher | Line]:
    """The rules for a codec's menus."""
    more = LINES if isinstance(codec, Full) else HEFTY if isinstance(codec, Commits) else {}
    return {**TEACHERS, **ROOMY, **more}
