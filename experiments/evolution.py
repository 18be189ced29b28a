"""CMA-ES, a search without gradients: samples around a mean, and a covariance that learns where better ones lie.

Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772 (2016), figure 6, with its default parameters and
weights above 0 alone. All it knows are a few arrays, so a search can be kept and gone on with; the libraries for it
keep theirs in pickles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass
class Evolution:
    """A search for the smallest value of a function of n numbers.

    Args:
        mean: where to begin, shape (n,).
        scale: standard deviation of each number at first, shape (n,).
        population: samples in a generation; half of them are mirrored through the mean.

    Attributes:
        generation: how many there were.
        sigma, covariance, path, step_path: as in the tutorial.
    """

    mean: Floats
    scale: Floats
    population: int = 14
    sigma: float = 1.0
    generation: int = 0
    covariance: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    path: Floats = field(default_factory=lambda: np.zeros(0))
    step_path: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        n = len(self.mean)
        if not self.covariance.size:
            self.covariance, self.path, self.step_path = np.eye(n), np.zeros(n), np.zeros(n)
        self._mu = self.population // 2
        weights = log((self.population + 1) / 2) - np.log(np.arange(1, self._mu + 1))
        self._weights: Floats = weights / weights.sum()
        mass = self._mass = 1.0 / float((self._weights**2).sum())
        self._c_sigma = (mass + 2) / (n + mass + 5)
        self._damping = 1 + 2 * max(0.0, sqrt((mass - 1) / (n + 1)) - 1) + self._c_sigma
        self._c_path = (4 + mass / n) / (n + 4 + 2 * mass / n)
        self._c_one = 2 / ((n + 1.3) ** 2 + mass)
        self._c_mu = min(1 - self._c_one, 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))
        self._usual = sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))

    def ask(self, rng: np.random.Generator) -> list[Floats]:
        """Draws a generation."""
        half = rng.standard_normal((-(-self.population // 2), len(self.mean)))
        drawn = np.concatenate([half, -half])[: self.population]
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 1e-20))
        return [self.mean + self.sigma * self.scale * (root @ one) for one in drawn]

    def tell(self, samples: Sequence[Floats], values: Sequence[float]) -> None:
        """Learns from a generation: the smaller a value, the better its sample."""
        best = np.argsort(values, kind="stable")[: self._mu]
        steps = np.stack([(samples[row] - self.mean) / (self.sigma * self.scale) for row in best])
        step = self._weights @ steps
        self.mean = self.mean + self.sigma * self.scale * step
        self.generation += 1
        eigen, vectors = np.linalg.eigh(self.covariance)
        white = vectors @ ((vectors.T @ step) / np.sqrt(np.maximum(eigen, 1e-20)))
        keep = 1 - self._c_sigma
        self.step_path = keep * self.step_path + sqrt(self._c_sigma * (2 - self._c_sigma) * self._mass) * white
        length = float(np.linalg.norm(self.step_path))
        fresh = sqrt(1 - keep ** (2 * self.generation))
        on = length / fresh < (1.4 + 2 / (len(self.mean) + 1)) * self._usual
        gain = sqrt(self._c_path * (2 - self._c_path) * self._mass)
        self.path = (1 - self._c_path) * self.path + (gain * step if on else 0.0)
        short = 0.0 if on else self._c_one * self._c_path * (2 - self._c_path)
        self.covariance = (
            (1 + short - self._c_one - self._c_mu) * self.covariance
            + self._c_one * np.outer(self.path, self.path)
            + self._c_mu * (steps.T * self._weights) @ steps
        )
        self.sigma *= exp(min(1.0, self._c_sigma / self._damping * (length / self._usual - 1)))

    def state(self) -> dict[str, Floats]:
        """All that is needed to go on, as arrays."""
        numbers = np.array([self.sigma, self.generation, self.population], np.float64)
        return {
            "mean": self.mean, "scale": self.scale, "numbers": numbers,
            "covariance": self.covariance, "path": self.path, "step_path": self.step_path,
        }  # fmt: skip

    @classmethod
    def of(cls, state: Mapping[str, Floats]) -> Evolution:
        """Goes on from what was kept. Raises KeyError where something is missing."""
        sigma, generation, population = state["numbers"].tolist()
        arrays = [state[name] for name in ("covariance", "path", "step_path")]
        return cls(state["mean"], state["scale"], int(population), sigma, int(generation), *arrays)
