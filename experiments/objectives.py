"""What a training wants to be small: one objective, or several with weights, fixed or drawn anew for each episode."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..envs.rates import OBJECTIVES
from ..traces.trouble import BadInput, nearest

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Objectives and their weights, which sum to 1.

    Attributes:
        names: of `rates.OBJECTIVES`.
        weights: of each.
        drawn: every episode draws its own, from all mixtures alike (Dirichlet with ones), and sees them.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    drawn: bool = False

    def draw(self, rng: np.random.Generator) -> Floats:
        """The weights of an episode, shape (objectives,)."""
        return rng.dirichlet(np.ones(len(self.names))) if self.drawn else np.array(self.weights)

    def shown(self, weights: Floats) -> npt.NDArray[np.float32]:
        """The same weights as a codec shows them, shape (all objectives,)."""
        row = np.zeros(len(OBJECTIVES), np.float32)
        row[[list(OBJECTIVES).index(name) for name in self.names]] = weights
        return row


def wanted(text: str, drawn: bool = False, option: str = "--objective") -> Wanted:
    """Reads `jct`, or `jct=0.6,carbon=0.4`. Raises BadInput that says what there is."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        if name not in OBJECTIVES:
            raise BadInput(f"{option} {text}: no objective '{name}'.{nearest(name, list(OBJECTIVES))}")
        if name in found:
            raise BadInput(f"{option} {text}: '{name}' is said twice; once is enough")
        found[name] = _number(option, text, weight)
    if not (total := sum(found.values())):
        raise BadInput(f"{option} {text}: all weights are 0; give one above 0")
    if drawn and len(found) < 2:
        raise BadInput(f"{option} {text}: weights can be drawn of two objectives or more; name others beside it")
    return Wanted(tuple(found), tuple(weight / total for weight in found.values()), drawn)


def _number(option: str, text: str, weight: str) -> float:
    try:
        value = float(weight or 1.0)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise BadInput(f"{option} {text}: the weight '{weight}' is no number, 0 or more")
    return value
