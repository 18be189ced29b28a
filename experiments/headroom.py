"""How far the best rule is from what nobody can beat: what there is to gain at most."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .board import ranged
from .entrants import BOUND
from .intervals import Draws, Interval, Runs, duel
from .scores import CENTRAL, METRICS
from .screen import number
from .standing import Standing, at, plain, ranked


@dataclass(frozen=True, slots=True)
class Headroom:
    """The best rule by one metric at one load, beside the oracles.

    Attributes:
        metric: by which it is the best.
        load: at which.
        policy: who it is.
        rule: whether it is a rule; where none was compared, the best is that of learned policies.
        value: its mean.
        over: oracle -> its mean over the oracle's, with the paired interval.
        unbound: why there is no bound, if there is none.
    """

    metric: str
    load: float
    policy: str
    rule: bool
    value: float
    over: dict[str, Interval]
    unbound: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For `comparison.json`."""
        return plain(self)  # type: ignore[no-any-return]

    def __str__(self) -> str:
        """In one sentence."""
        about, who = METRICS[self.metric], "rule" if self.rule else "policy"
        value = f"{number(self.value, about.digits)} {about.unit}".strip()
        parts = [f"{ranged(one)} times {name} ({_words(name)})" for name, one in self.over.items()]
        parts += [f"no bound is known in this world (laws: {', '.join(self.unbound)})"] * bool(self.unbound)
        return f"{about.words}: the best {who} is {self.policy} with {value}, {' and '.join(parts)}"


def _words(name: str) -> str:
    return "no schedule can be below" if name == BOUND else "told true run times"


def headroom(
    found: Sequence[Standing],
    heuristics: Collection[str],
    loads: Sequence[float],
    draws: Draws,
    unbound: Sequence[str] = (),
) -> Iterator[Headroom]:
    """For each load and central metric, where somebody finished all jobs."""
    for load in loads:
        here = at(found, load)
        for metric in CENTRAL:
            able = [one for one in ranked(here) if np.isfinite(one.means[metric].value)]
            rules = [one for one in able if one.policy in heuristics]
            best = min(rules or able, key=lambda one: one.means[metric].value, default=None)
            if best is not None:
                oracles = [one for one in here if one.oracle and np.isfinite(one.means[metric].value)]
                over = {one.policy: _ratio(best, one, metric, draws) for one in oracles}
                yield Headroom(metric, load, best.policy, bool(rules), best.means[metric].value, over, tuple(unbound))


def _ratio(best: Standing, oracle: Standing, metric: str, draws: Draws) -> Interval:
    weights = [draws.seeds(one.policy, len(one.members)) for one in (best, oracle)]
    mine, its = (Runs.of(one.runs[metric], w, draws) for one, w in zip((best, oracle), weights, strict=True))
    return duel(mine, its, draws).ratio
