"""Quantiles by gradient-boosted trees: fitted by scikit-learn, asked row by row in a few microseconds a tree.

The only file that knows scikit-learn, and it is imported when something is fitted. A fitted forest is arrays alone: it
can be copied, pickled and asked without the library, whose own `predict` costs milliseconds for a single row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .roster import Floats

CUT = 500
"""Rows of the first fit."""
GROWTH, MOST_NEW = 1.5, 10_000
"""The next fit is due when there are so many times as many rows, or so many more."""
MOST_ROWS = 60_000
"""The latest rows alone are fitted, so that a fit never takes more than a second or so."""
SETTINGS = {"max_iter": 30, "learning_rate": 0.05, "max_leaf_nodes": 4, "min_samples_leaf": 150, "max_bins": 64}
"""Slow and coarse: clusters change from week to week, and larger forests learn last month by heart.

Of some 30 sets of settings that of the least losses on the first 70 % of Philly.
"""


def due(rows: int) -> int:
    """Of how many rows the latest fit is made when there are so many: fixed counts, so that windows share fits."""
    before, cut = 0, CUT
    while cut <= rows:
        before, cut = cut, cut + min(int(cut * (GROWTH - 1)), MOST_NEW)
    return before


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees of several quantiles as one set of arrays; a leaf is its own child.

    Attributes:
        feature, threshold, value: of each node, shape (nodes,).
        child: shape (nodes, 2): where a row goes whose feature is at most the threshold, and above it.
        roots: shape (quantiles, trees).
        first: what is predicted before any tree, shape (quantiles,).
        depth: of the deepest tree.
    """

    feature: Any
    threshold: Floats
    value: Floats
    child: Any
    roots: Any
    first: Floats
    depth: int

    def of(self, row: Floats) -> Floats:
        """The quantiles of one row of shape (features,), as fitted: they may cross."""
        at, child = self.roots.ravel(), self.child.ravel()
        for _ in range(self.depth):
            above = row.take(self.feature.take(at)) > self.threshold.take(at)
            at = child.take(2 * at + above)
        found: Floats = self.first + self.value.take(at).reshape(self.roots.shape).sum(1)
        return found


def boosted(rows: Floats, targets: Floats, quantiles: tuple[float, ...], **settings: float) -> Forest:
    """Fits a forest to rows of shape (n, features) without NaN, and targets of shape (n, quantiles).

    Equal rows give equal forests on any number of cores: one thread fits.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor as Boosting

    models = []
    with _threads().limit(limits=1):
        for number, quantile in enumerate(quantiles):
            model: Any = Boosting(  # type: ignore[no-untyped-call]
                loss="quantile", quantile=quantile, early_stopping=False, random_state=0, **SETTINGS | settings
            )
            models.append(model.fit(rows, targets[:, number]))
    return _flat(models)


@cache
def _threads() -> Any:
    """Looked for once: it takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()  # type: ignore[no-untyped-call]


def _flat(models: list[Any]) -> Forest:
    """All trees of all models, one behind the other. scikit-learn's nodes are not public; a test watches them."""
    trees = [tree.nodes for model in models for (tree,) in model._predictors]
    starts = np.cumsum([0, *(len(nodes) for nodes in trees)])
    nodes, own = np.concatenate(trees), np.arange(starts[-1])
    base = np.repeat(starts[:-1], np.diff(starts))
    leaf = nodes["is_leaf"].astype(bool)
    sides = [np.where(leaf, own, base + nodes[side].astype(np.intp)) for side in ("left", "right")]
    return Forest(
        nodes["feature_idx"].astype(np.intp),
        np.where(leaf, np.inf, nodes["num_threshold"]),
        nodes["value"].astype(float),
        np.stack(sides, 1),
        starts[:-1].reshape(len(models), -1),
        np.array([float(np.ravel(model._baseline_prediction)[0]) for model in models]),
        int(nodes["depth"].max()),
    )
