"""What rows of a menu say of jobs and of the cluster, in numbers that a network reads.

Only logarithms and ratios, so that clusters and traces of other sizes look alike.
"""

from __future__ import annotations

from functools import cache
from math import log1p

import numpy as np
import numpy.typing as npt

from .cluster import ClusterView
from .roster import Columns, Floats

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]

ROW = (
    "candidate", "known", "estimate", "area", "attained", "gang", "width", "fits", "wait", "time_to_fit", "pressure",
    "demand", "oldest", "is_shortest", "is_smallest", "spares_oldest", "spares_shortest", "spares_smallest", "leaves",
    "upper",
)  # fmt: skip
"""A candidate's features.

candidate: 1; known: it has an estimate; estimate, area (accelerator-seconds), attained, wait, time_to_fit: log1p
seconds over 16; gang: log2 over 16; width: gang over the cluster; fits: it can start now; pressure: wait less estimate,
in logarithms; demand: gang over free, at most 4; oldest: its place among the candidates by submission, 0 (first) to 1;
is_shortest, is_smallest (area): it is the first in that order; spares_*: started now, it would by estimates not delay
the first of that order (EASY's rule, on counts); leaves: log1p over log(101) of 100 times the part that stays free of
the accelerators that it does not take itself: 0 for none, 1 for all, and for who takes the whole cluster; upper: log1p
over 16 of the seconds that a predictor expects it to stay below nine times in ten, 0 where nobody says.
"""

WHOLE = (
    "candidate", "free", "pending", "running", "backlog", "fitting", "hidden", "next_end",
    "head_time_to_fit", "head_width", "head_wait", "widest_free", "none_running", "", "", "", "", "", "", "",
)  # fmt: skip
"""The cluster's features, in the last row.

candidate: 0; free: part of the accelerators; pending, running: log1p count over 16; backlog: log1p of expected waiting
accelerator-seconds per accelerator over 16; fitting: part of the candidates that fit; hidden: part of the queue that is
not shown; next_end: log1p seconds over 16 to the first expected end; head_*: of the oldest candidate; widest_free: the
largest free count on one node over its size; none_running: 1 if nothing runs.
"""

MARKS = sum(name != "" for name in WHOLE)
"""Where the last row may show marks by which a rule changes: objectives' weights, or how the game is played."""

SCALE = 1.0 / 16.0
NEVER = float(np.exp(16.0))
_HUNDRED = log1p(100.0)
_STATIC = slice(Columns.KNOWN, Columns.LOG_GANG + 1)
_SCALES = np.array([[1.0], [SCALE], [SCALE], [SCALE], [SCALE]])
_RANKED = [Columns.ORDER, Columns.SHORT, Columns.SMALL]


def describe(cluster: ClusterView, those: Floats, fits: list[bool]) -> tuple[Floats, tuple[float, ...]]:
    """The features of waiting jobs, shape (features of `ROW`, jobs), and those of `WHOLE` behind the first.

    `those` are the jobs' columns, shape (20, jobs), in order of submission; `fits` says which can start now.
    """
    room, now, count = cluster.room, cluster.now, len(fits)
    free = float(room.spare)
    gang = those[Columns.GANG]
    ends, freed = expected_ends(cluster)
    heads = those[_RANKED].argmin(1)
    view = np.empty((len(ROW), count))
    view[0] = 1.0
    np.multiply(those[_STATIC], _SCALES, out=view[1:6])
    np.divide(gang, max(room.size, 1), out=view[6])
    view[7] = fits
    np.subtract(now, those[Columns.SUBMIT], out=view[8])
    view[9] = to_fit = time_to_fit(gang, free, ends, freed, now)
    logs = view[8:10]
    np.log1p(logs, out=logs)
    logs *= SCALE
    np.subtract(view[8], view[2], out=view[10])
    np.minimum(gang / max(free, 1.0), 4.0, out=view[11])
    view[12] = places(count)
    view[13:15] = 0.0
    view[13, heads[1]] = view[14, heads[2]] = 1.0
    view[15:18] = spares(those, heads, to_fit[heads], free, ends, freed, now)
    view[18] = leaves(gang, free, room.size)
    np.multiply(those[Columns.LOG_UPPER], SCALE, out=view[19])
    return view, whole(cluster, view, int(heads[0]), ends)


def leaves(gang: Floats, free: float, size: float) -> Floats:
    """How much stays free beside gangs, shape (jobs,), 0 to 1: of what is left once they have theirs."""
    beside, others = free - gang, size - gang
    part = np.divide(beside, others, out=np.ones_like(gang), where=others > 0)
    told: Floats = np.log1p(100.0 * np.where(beside < 0, 0.0, part)) / _HUNDRED
    return told


@cache
def places(count: int) -> Floats:
    """From 0 (first) to 1 (last), shape (count,)."""
    return np.arange(count) / max(count - 1, 1)


def whole(cluster: ClusterView, view: Floats, head: int, ends: Floats) -> tuple[float, ...]:
    """The cluster's own features; `view` holds the candidates', shape (features, candidates)."""
    shown, pending, running, room = view.shape[1], len(cluster.pending), len(cluster.running), cluster.room
    size = max(room.size, 1)
    work = float(np.expm1(view[3] / SCALE).sum()) * pending / shown / size
    next_end = max(0.0, float(ends[0]) - cluster.now) if len(ends) else 0.0
    return (
        room.spare / size,
        log1p(pending) * SCALE,
        log1p(running) * SCALE,
        log1p(work) * SCALE,
        float(view[7].sum()) / shown,
        1.0 - shown / pending,
        log1p(min(next_end, NEVER)) * SCALE,
        view[9, head],
        view[6, head],
        view[8, head],
        room.widest,
        float(running == 0),
    )


def expected_ends(cluster: ClusterView) -> tuple[Floats, Floats]:
    """When running jobs are expected to end, ascending, and how many accelerators will be free then.

    Both of shape (running,), over all kinds; a share counts as its part. A job beyond its estimate is expected to end
    now; without an estimate it is NaN, at last.
    """
    columns = cluster.running.columns
    order = columns.end.argsort()
    return np.maximum(columns.end[order], cluster.now), cluster.room.spare + columns.column(Columns.HELD)[
        order
    ].cumsum()


def time_to_fit(gang: Floats, free: float, ends: Floats, freed: Floats, now: float) -> Floats:
    """Seconds until so many accelerators are expected to be free, shape (rows,); e^16 s where nobody can tell."""
    if not len(ends):
        return np.where(gang <= free, 0.0, NEVER)
    after = freed.searchsorted(gang)
    to_fit = np.fmin(ends.take(after, mode="clip") - now, NEVER)
    to_fit[after == len(ends)] = NEVER
    to_fit[gang <= free] = 0.0
    return to_fit


def spares(those: Floats, heads: Rows, to_fit: Floats, free: float, ends: Floats, freed: Floats, now: float) -> Flags:
    """Which candidates, started now, would by estimates not delay each of the heads: EASY's rule, on counts.

    `heads` are the first candidates of some orders and `to_fit` the seconds until they fit, both of shape (orders,);
    the answer has shape (orders, candidates). Where the head fits now, all spare it.
    """
    gang = those[Columns.GANG]
    by_then = ends.searchsorted(now + to_fit, side="right")
    extra = np.concatenate(([free], freed))[by_then] - gang[heads]
    ends_first = those[Columns.ESTIMATE] <= to_fit[:, None]
    answer: Flags = ends_first | (gang <= extra[:, None]) | (gang[heads] <= free)[:, None]
    return answer


def of_running(cluster: ClusterView, keys: list[int]) -> Floats:
    """The features of running jobs, shape (features of `ROW`, jobs): of themselves alone, as nobody is before them."""
    those, size = cluster.running.columns.of(keys), max(cluster.room.size, 1)
    view = np.zeros((len(ROW), len(keys)))
    view[0] = 1.0
    view[1:6] = those[_STATIC] * _SCALES
    view[4] = np.log1p(those[Columns.ATTAINED] + cluster.now - those[Columns.SINCE]) * SCALE
    view[6] = those[Columns.HELD] / size
    view[19] = those[Columns.LOG_UPPER] * SCALE
    return view
