"""Lives of spot nodes: many end early, hardly any in the middle, the rest at the end of a day."""

from __future__ import annotations

from math import exp, log

import numpy as np

GRID = 1024
"""Points of the whole life, of its beginning and of its end, between which F is taken as straight."""


class Lives:
    """Draws lives, and what is left of them, with F(t) = a (1 - exp(-t / tau1) + exp((t - b) / tau2)) up to F = 1.

    Kadupitiya, Jadhao and Sharma, HPDC 2020, arXiv 1911.05160.

    Args:
        a, tau1, tau2, b: of F; seconds but for `a`.
        chaos: lives are that many times shorter.

    Attributes:
        mean: seconds of a life.
    """

    def __init__(self, a: float, tau1: float, tau2: float, b: float, chaos: float = 1.0) -> None:
        self._of, self._chaos = (a, tau1, tau2, b), chaos
        end = max(b + tau2 * log(1 / a), tau2)  # exp((end - b) / tau2) = 1 / a, so F has reached 1
        spans = ((0.0, end), (0.0, min(10 * tau1, end)), (max(end - 20 * tau2, 0.0), end))
        self._t = np.unique(np.concatenate([np.linspace(*span, GRID) for span in spans]))
        self._f = np.array([self._over(t) for t in self._t])
        self._f[-1] = 1.0
        lived = np.concatenate([[0.0], np.cumsum((1 - (self._f[1:] + self._f[:-1]) / 2) * np.diff(self._t))])
        self.mean, self._left = float(lived[-1]) / chaos, lived / lived[-1]

    def cdf(self, seconds: float) -> float:
        """The probability that a life is over after so many seconds."""
        return self._over(seconds * self._chaos)

    def _over(self, t: float) -> float:
        a, tau1, tau2, b = self._of
        return min(1.0, max(0.0, a * (1 - exp(-t / tau1) + exp(min((t - b) / tau2, 50.0)))))

    def whole(self, rng: np.random.Generator) -> float:
        """Seconds that a node lives which has just come."""
        return float(np.interp(rng.random(), self._f, self._t)) / self._chaos

    def rest(self, rng: np.random.Generator) -> float:
        """Seconds that a node goes on living which has been there for long: the stationary residual."""
        return float(np.interp(rng.random(), self._left, self._t)) / self._chaos
