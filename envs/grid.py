"""A timeline as a grid: rows of accelerators or nodes, columns of equal spans of time."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from .nodes import Nodes
from .outcomes import Floats
from .timeline import Timeline


@dataclass(slots=True)
class Rows:
    """What a picture has as rows: accelerators, nodes, or groups of neighbouring nodes.

    Attributes:
        names: of each row.
        of: accelerator -> its row.
        sizes: accelerators in each row, shape (rows,).
        single: each row is one accelerator.
    """

    names: list[str]
    of: dict[str, int]
    sizes: Floats
    single: bool


def rows(nodes: Nodes, most: int) -> Rows:
    """About so many rows: by accelerator where that is enough, else by node, else by group of nodes of a pool."""
    with_some = [node for node in nodes if node.accelerators]
    every = [a.id for node in with_some for a in node.accelerators]
    if len(every) <= most:
        return Rows(every, {a: row for row, a in enumerate(every)}, np.ones(len(every)), True)
    each = -(-len(with_some) // most)
    pools = (list(some) for _, some in groupby(with_some, key=lambda node: (node.site, node.pool)))
    groups = [some[at : at + each] for some in pools for at in range(0, len(some), each)]
    of = {a.id: row for row, group in enumerate(groups) for node in group for a in node.accelerators}
    names = [_span(group[0].id, group[-1].id) for group in groups]
    return Rows(names, of, np.bincount(list(of.values()), minlength=len(groups)).astype(float), False)


def _span(first: str, last: str) -> str:
    """Says "hall-0" and "hall-3" as "hall-0..3"."""
    same = first.rstrip("0123456789")
    return first if first == last else f"{first}..{last.removeprefix(same)}"


def occupancy(line: Timeline, by: Rows, bins: int) -> Floats:
    """The mean part of each row that is in use in each of so many equal spans of time, shape (rows, bins)."""
    marks = array("d")
    for _, placement, begin, end, share in line.stays:
        for _, accelerators in placement:
            for accelerator, count in _counted(accelerators, by):
                marks.extend((by.of[accelerator.partition("#")[0]], begin, end, share * count))
    return _means(marks, by, line.until, bins)


def absence(line: Timeline, by: Rows, bins: int) -> Floats:
    """The mean part of each row that is not there, or does not work; the same shape."""
    marks = array("d")
    for accelerators, begin, end in line.gaps:
        for accelerator in accelerators:
            marks.extend((by.of[accelerator], begin, end, 1.0))
    return _means(marks, by, line.until, bins)


def _counted(accelerators: Sequence[str], by: Rows) -> Iterable[tuple[str, int]]:
    """Accelerators of one node, at once where a row is nodes."""
    if by.single or not accelerators:
        return ((a, 1) for a in accelerators)
    return ((accelerators[0], len(accelerators)),)


def _means(marks: array[float], by: Rows, until: float, bins: int) -> Floats:
    """Exact means of steps: each is a ramp of its integral, which begins in one bin and ends in another."""
    row, begin, end, weight = np.frombuffer(marks).reshape(-1, 4).T
    ramps = np.zeros((len(by.names), bins + 2))
    wide = (until or 1.0) / bins
    for at, sign in ((begin, 1.0), (end, -1.0)):
        place = np.minimum((at / wide).astype(int), bins - 1)
        part = np.clip(place + 1 - at / wide, 0.0, 1.0)
        np.add.at(ramps, (row.astype(int), place), sign * weight * part)
        np.add.at(ramps, (row.astype(int), place + 1), sign * weight * (1 - part))
    found: Floats = np.cumsum(ramps, axis=1)[:, :bins] / np.maximum(by.sizes, 1.0)[:, None]
    clipped: Floats = found.clip(0.0, 1.0)
    return clipped


def means(line: Timeline, level: Floats, bins: int) -> Floats:
    """The time mean of a level in each of so many equal spans, shape (bins,); NaN where it is not known."""
    edges = np.linspace(0.0, line.until or 1.0, bins + 1)
    known = ~np.isnan(level)
    steps = np.diff(np.append(line.times, edges[-1]))
    whole = [np.append(0.0, np.cumsum(np.where(known, values, 0.0) * steps)) for values in (level, np.ones(len(level)))]
    total, seconds = (np.diff(np.interp(edges, np.append(line.times, edges[-1]), one)) for one in whole)
    found: Floats = np.divide(total, seconds, out=np.full(bins, np.nan), where=seconds > 1e-12)
    return found


def owners(line: Timeline, by: Rows, bins: int) -> npt.NDArray[np.int64]:
    """The last job that stands on each row in each span of time, -1 for none, shape (rows, bins)."""
    found = np.full((len(by.names), bins), -1, np.int64)
    wide = (line.until or 1.0) / bins
    for job, placement, begin, end, _ in line.stays:
        low, high = int(begin / wide), max(int(np.ceil(end / wide)), int(begin / wide) + 1)
        for _, accelerators in placement:
            for accelerator in accelerators:
                found[by.of[accelerator.partition("#")[0]], low:high] = job
    return found
