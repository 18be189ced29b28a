"""Rules that choose a row of a menu: what a learned policy imitates first, and is measured against while it trains.

They start whatever fits (non-blocking) by one order, or only what does not delay the oldest waiting job (as EASY
backfilling does), and wait otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..envs.codec import ROW, Mask, Observation

Rule = Callable[[Observation, Mask], int]

_AT = {name: column for column, name in enumerate(ROW)}
FITS, HARMLESS, OLDEST = _AT["fits"], _AT["harmless"], _AT["oldest"]


@dataclass(frozen=True)
class Teacher:
    """A linear score on a candidate's features, smallest first.

    Attributes:
        weights: feature -> weight; features are logarithms, so area = estimate + gang.
        careful: start only the oldest job, and what does not delay it.
    """

    weights: Mapping[str, float]
    careful: bool = False

    def __call__(self, observation: Observation, mask: Mask) -> int:
        """The row it chooses: a legal start, else the last row, which waits."""
        rows = observation[:-1]
        able = mask[:-1]
        if self.careful:
            able = able & ((rows[:, HARMLESS] > 0) | (rows[:, OLDEST] == 0))
        if not able.any():
            return len(rows) if mask[-1] else int(mask.argmax())
        return int(np.where(able, rows @ self.vector, np.inf).argmin())

    @property
    def vector(self) -> npt.NDArray[np.float32]:
        """The weights as an array of shape (features,)."""
        vector = np.zeros(len(ROW), np.float32)
        for name, weight in self.weights.items():
            vector[_AT[name]] = weight
        return vector


TEACHERS: Mapping[str, Teacher] = {
    "oldest": Teacher({"oldest": 1}),
    "shortest": Teacher({"estimate": 1}),
    "smallest": Teacher({"area": 1}),
    "short-squared": Teacher({"estimate": 2, "gang": 1}),
    "narrowest": Teacher({"gang": 16, "estimate": 1}),
    "careful-oldest": Teacher({"oldest": 1}, careful=True),
    "careful-shortest": Teacher({"estimate": 1}, careful=True),
    "careful-smallest": Teacher({"area": 1}, careful=True),
}
"""The rules that training tries. `short-squared` is estimate^2 x gang, the best simple rule of our own trials."""
