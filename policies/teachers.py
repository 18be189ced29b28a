"""Rules that choose a row of a menu: what a learned policy imitates first, and is measured against while it trains.

They start whatever fits by one order, or only what does not delay the first job of an order (as EASY backfilling does),
and wait otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..envs.codec import Mask, Observation
from ..envs.features import ROW

Rule = Callable[[Observation, Mask], int]

AT = {name: column for column, name in enumerate(ROW)}
"""Feature -> its column."""


@dataclass(frozen=True)
class Teacher:
    """A linear score on a candidate's features, smallest first.

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
        if self.spares is not None:
            able = able & (rows[:, AT[f"spares_{self.spares}"]] > 0)
        if self.strict is not None:
            able = able & (rows[:, AT[f"is_{self.strict}"]] > 0)
        if not able.any():
            return len(rows) if mask[-1] else int(mask.argmax())
        return int(np.where(able, rows @ self.vector, np.inf).argmin())

    @cached_property
    def vector(self) -> npt.NDArray[np.float32]:
        """The weights as an array of shape (features,)."""
        vector = np.zeros(len(ROW), np.float32)
        for name, weight in self.weights.items():
            vector[AT[name]] = weight
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
