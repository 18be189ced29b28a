"""Who is beaten in completion time, carbon and money at once, and by whom; who is beaten by nobody is on the front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .scores import METRICS
from .standing import Standing, ranked

WAYS = ("mean_jct", "carbon_kg", "usd")


def ways(found: Sequence[Standing]) -> tuple[str, ...]:
    """Those of `WAYS` that are known of everybody who competes and left no job unfinished."""
    return tuple(way for way in WAYS if all(np.isfinite(one.means[way].value) for one in _done(found)))


def beaten(found: Sequence[Standing]) -> dict[str, list[str]]:
    """Policy -> those whose means are as small in every way and smaller in one.

    Oracles do not count, nor who left jobs unfinished. Empty where fewer than two ways are known of everybody.
    """
    known, here = ways(found), _done(found)
    if len(known) < 2:
        return {}
    points = {one.policy: np.array([one.means[way].value for way in known]) for one in here}
    return {
        name: [other for other, there in points.items() if np.all(there <= mine) and np.any(there < mine)]
        for name, mine in points.items()
    }


def _done(found: Sequence[Standing]) -> list[Standing]:
    return [one for one in ranked(found) if not one.unfinished]


def said(found: Sequence[Standing]) -> Iterator[str]:
    """A sentence on the front, and one for each who is not on it."""
    if not (told := beaten(found)):
        return
    names = ", ".join(METRICS[way].words for way in ways(found))
    yield f"{names}, by means alone: nobody beats {', '.join(name for name, by in told.items() if not by)} in all"
    for name, by in told.items():
        if by:
            yield f"{name} is beaten in all by {', '.join(by)}"
