"""The codec: a cluster as a menu of decisions. The environment and the learned policy read the same menu.

One row a candidate, one row for waiting and the cluster as a whole; an action is the number of a row. Only logarithms
and ratios are features, so that clusters and traces of other sizes look alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from math import log1p
from typing import Protocol

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ..traces.job import Job
from .cluster import ClusterView
from .placement import Place, packed
from .roster import Columns, Floats, Score
from .vocabulary import Decision, Placement, Start

Observation = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


@dataclass
class Menu:
    """What can be decided now.

    Attributes:
        mask: bool of shape (rows,): what may be chosen. At least one row may.
        jobs: the candidates' ids, row by row, in order of submission.
        choose: row -> the decision, None to wait.
        observe: makes the observation.
    """

    mask: Mask
    jobs: list[int]
    choose: Callable[[int], Decision | None]
    observe: Callable[[], Observation]

    @cached_property
    def observation(self) -> Observation:
        """Float32 of shape (rows, features); the last row is the cluster's, and that of waiting.

        Made when first read, as many menus offer nothing but waiting; read it before the ledger changes.
        """
        return self.observe()

    @property
    def forced(self) -> bool:
        """Whether waiting is all that can be chosen."""
        return not self.mask[:-1].any()


class Codec(Protocol):
    """Between a ledger and arrays."""

    @property
    def observation_space(self) -> spaces.Box:
        """The space of `Menu.observation`."""

    @property
    def action_space(self) -> spaces.Discrete:
        """The rows."""

    def menu(self, cluster: ClusterView) -> Menu:
        """What can be decided now."""


def by_arrival(job: Job, _: ClusterView) -> float:
    """Oldest first."""
    return job.submit


def by_estimate(job: Job, _: ClusterView) -> float:
    """Shortest first; unknown last."""
    return np.inf if job.estimate is None else job.estimate


def by_area(job: Job, _: ClusterView) -> float:
    """Smallest expected area first; unknown last."""
    return np.inf if job.estimate is None else job.estimate * max(job.gang, 1)


def by_gang(job: Job, _: ClusterView) -> float:
    """Smallest gang first: if it does not fit, nothing does on a cluster of one kind."""
    return job.gang * job.share


def by_size(job: Job, _: ClusterView) -> float:
    """Largest gang first."""
    return -job.gang


ORDERS: tuple[Score, ...] = (by_arrival, by_estimate, by_area, by_gang, by_size)
"""A window of one order hides the right job: each gives its first few, and the oldest fill what is left."""

ROW = (
    "candidate", "known", "estimate", "area", "attained", "gang", "width", "fits", "wait", "time_to_fit", "pressure",
    "demand", "oldest", "is_shortest", "is_smallest", "spares_oldest", "spares_shortest", "spares_smallest",
)  # fmt: skip
"""A candidate's features.

candidate: 1; known: it has an estimate; estimate, area (accelerator-seconds), attained, wait, time_to_fit: log1p
seconds over 16; gang: log2 over 16; width: gang over the cluster; fits: it can start now; pressure: wait less estimate,
in logarithms; demand: gang over free, at most 4; oldest: its place among the candidates by submission, 0 (first) to 1;
is_shortest, is_smallest (area): it is the first in that order; spares_*: started now, it would by estimates not delay
the first of that order (EASY's rule, on counts).
"""

WHOLE = (
    "candidate", "free", "pending", "running", "backlog", "fitting", "hidden", "next_end",
    "head_time_to_fit", "head_width", "head_wait", "widest_free", "none_running", "", "", "", "", "",
)  # fmt: skip
"""The cluster's features, in the last row.

candidate: 0; free: part of the accelerators; pending, running: log1p count over 16; backlog: log1p of expected waiting
accelerator-seconds per accelerator over 16; fitting: part of the candidates that fit; hidden: part of the queue that is
not shown; next_end: log1p seconds over 16 to the first expected end; head_*: of the oldest candidate; widest_free: the
largest free count on one node over its size; none_running: 1 if nothing runs.
"""

SCALE = 1.0 / 16.0
NEVER = float(np.exp(16.0))
_STATIC = slice(Columns.KNOWN, Columns.LOG_GANG + 1)
_SCALES = np.array([[1.0], [SCALE], [SCALE], [SCALE], [SCALE]])
_RANKED = [Columns.ORDER, Columns.SHORT, Columns.SMALL]


@dataclass(slots=True)
class Starts:
    """Starts of waiting jobs, and waiting.

    Waiting may not be chosen while nothing runs and something could start: nothing else might ever happen.

    Args:
        k: candidates shown at most.
        place: proposes each candidate's placement.
    """

    k: int = 32
    place: Place = packed
    _fits: dict[float, Placement | None] = field(default_factory=dict, repr=False)
    _for: tuple[Columns | None, int] = field(default=(None, -1), repr=False)

    @property
    def observation_space(self) -> spaces.Box:
        """Float32 of shape (k + 1, features), between -4 and 4."""
        return spaces.Box(-4.0, 4.0, (self.k + 1, len(ROW)), np.float32)

    @property
    def action_space(self) -> spaces.Discrete:
        """k candidates, then waiting."""
        return spaces.Discrete(self.k + 1)

    def menu(self, cluster: ClusterView) -> Menu:
        """What can be decided now: rows of candidates, empty rows, and the row of waiting."""
        keys = self.candidates(cluster)
        columns = cluster.pending.columns
        those = columns.of(keys)
        order = those[Columns.ORDER].argsort()
        keys, those = [keys[row] for row in order.tolist()], those[:, order]
        placements = self._placements(cluster, columns, those[Columns.SHAPE])
        fits = [placement is not None for placement in placements]
        mask = np.zeros(self.k + 1, np.bool_)
        mask[: len(keys)] = fits
        mask[self.k] = len(cluster.running) > 0 or True not in fits

        def choose(row: int) -> Decision | None:
            placement = placements[row] if row < len(keys) else None
            return None if placement is None else Start(keys[row], placement)

        def observe() -> Observation:
            observation = np.zeros((self.k + 1, len(ROW)), np.float32)
            if keys:
                describe(cluster, those, fits, observation)
            else:
                observation[-1, 1] = cluster.room.spare / (cluster.room.size or 1)
            return observation

        return Menu(mask, keys, choose, observe)

    def candidates(self, cluster: ClusterView) -> list[int]:
        """The ids of the candidates: all that wait, or a union of orders, each giving its first few."""
        pending = cluster.pending
        if len(pending) <= self.k:
            return list(pending.columns.keys)
        each = -(-self.k // len(ORDERS))
        keys = dict.fromkeys(job.id for order in ORDERS[1:] for job in pending.first(order, each))
        oldest = [job.id for job in pending.first(ORDERS[0], self.k) if job.id not in keys]
        return [*list(keys)[: self.k - each], *oldest][: self.k]

    def _placements(self, cluster: ClusterView, columns: Columns, shapes: Floats) -> list[Placement | None]:
        """Where each row could start; jobs of one shape share the answer until the room changes."""
        room = cluster.room
        if self._for[0] is not columns or self._for[1] != room.version:
            self._fits, self._for = {}, (columns, room.version)
        fits, numbers = self._fits, shapes.tolist()
        for number in set(numbers) - fits.keys():
            fits[number] = self.place(columns.shapes[int(number)], room)
        return [fits[number] for number in numbers]


def describe(cluster: ClusterView, those: Floats, fits: list[bool], out: Observation) -> None:
    """Fills an observation of shape (k + 1, features); `those` are the candidates' columns, shape (16, candidates),
    in order of submission."""
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
    view[15:] = spares(those, heads, to_fit[heads], free, ends, freed, now)
    out[:count] = view.T
    out[-1, 1:13] = whole(cluster, view, int(heads[0]), ends)


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


def spares(those: Floats, heads: Rows, to_fit: Floats, free: float, ends: Floats, freed: Floats, now: float) -> Mask:
    """Which candidates, started now, would by estimates not delay each of the heads: EASY's rule, on counts.

    `heads` are the first candidates of some orders and `to_fit` the seconds until they fit, both of shape (orders,);
    the answer has shape (orders, candidates). Where the head fits now, all spare it.
    """
    gang = those[Columns.GANG]
    by_then = ends.searchsorted(now + to_fit, side="right")
    extra = np.concatenate(([free], freed))[by_then] - gang[heads]
    ends_first = those[Columns.ESTIMATE] <= to_fit[:, None]
    answer: Mask = ends_first | (gang <= extra[:, None]) | (gang[heads] <= free)[:, None]
    return answer
