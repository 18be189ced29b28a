"""The codec of a stricter game: whoever is chosen is waited for, whether it fits or not.

So RLScheduler (Zhang et al., SC 2020) and the heuristics of its tables are played: the job that a policy chooses is
committed to, and until it fits nobody else is chosen, however short. With backfilling it is promised once when it will
fit, by estimates; then whoever fits and would end before that starts, first come first served.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar
from weakref import ReferenceType, ref

import numpy as np
from gymnasium import spaces

from .cluster import ClusterView
from .codec import Menu, Observation, Starts, candidates
from .features import MARKS, ROW, WHOLE, expected_ends, time_to_fit
from .placement import Place, packed
from .roster import Columns
from .vocabulary import Decision


@dataclass(frozen=True, slots=True)
class _Promise:
    """To whom a policy has committed itself in a cluster, and when it should fit by estimates."""

    cluster: ReferenceType[ClusterView]
    job: int
    by: float


SHOWN = ("backfill", "usual", "both")
"""Marks of the last row.

backfill: whether others may pass who is waited for; usual: how long jobs usually are here, the mean of log1p of the
estimates of all that came, less 5 (two and a half minutes), at most 2 from 0; both: their product.
"""
MIDDLE, TRUST = 5.0, 16.0
"""What jobs are taken to be before any came, log1p seconds; it counts as so many jobs."""


@dataclass(slots=True)
class _Seen:
    """The jobs that a session has brought so far.

    Attributes:
        cluster: whose session it is.
        last: the latest of them in order of submission.
        count: how many there were.
        total: the sum of log1p of their estimates less `MIDDLE`.
    """

    cluster: ReferenceType[ClusterView]
    last: float = -np.inf
    count: int = 0
    total: float = 0.0

    def look(self, columns: Columns) -> None:
        """Takes notice of those who wait for the first time."""
        order = columns.column(Columns.ORDER)
        fresh = order > self.last
        if fresh.any():
            estimates = columns.column(Columns.ESTIMATE)[fresh]
            self.last, self.count = float(order.max()), self.count + len(estimates)
            self.total += float((np.log1p(estimates[np.isfinite(estimates)]) - MIDDLE).sum())

    @property
    def usual(self) -> float:
        """The mean, drawn towards 0 while few are known."""
        return max(min(self.total / (self.count + TRUST), 2.0), -2.0)


@dataclass(slots=True)
class Commits:
    """Choices of a waiting job that is waited for. Waiting is not chosen: it is what comes of a choice.

    Rows are those of starts, and heft: four times the estimate's feature times the width, as F1's first term is.

    Args:
        k: candidates shown at most.
        place: proposes each candidate's placement.
        backfill: who cannot delay the chosen one starts before it, by estimates; nobody chooses who.
    """

    k: int = 32
    place: Place = packed
    backfill: bool = False
    row: ClassVar[tuple[str, ...]] = (*ROW, "heft")
    whole: ClassVar[tuple[str, ...]] = (*WHOLE[:MARKS], *SHOWN, *("",) * (len(ROW) + 1 - MARKS - len(SHOWN)))
    marks: ClassVar[int] = len(SHOWN)
    _starts: Starts = field(init=False, repr=False)
    _promise: _Promise | None = field(default=None, init=False, repr=False)
    _seen: _Seen | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Rows are those of starts."""
        self._starts = Starts(self.k, self.place)

    @property
    def observation_space(self) -> spaces.Box:
        """Float32 of shape (k + 1, features), between -4 and 4."""
        return spaces.Box(-4.0, 4.0, (self.k + 1, len(self.row)), np.float32)

    @property
    def action_space(self) -> spaces.Discrete:
        """k candidates, then waiting."""
        return self._starts.action_space

    def menu(self, cluster: ClusterView) -> Menu:
        """All candidates; or, while somebody is waited for, who starts now: it or who may pass it, or nobody."""
        seen = self._look(cluster)
        menu = self._menu(cluster)
        observe = menu.observe
        menu.observe = lambda: self._told(observe(), seen)
        return menu

    def _look(self, cluster: ClusterView) -> _Seen:
        """How long the jobs of this session usually are, those who have just come among them."""
        if self._seen is None or self._seen.cluster() is not cluster:
            self._seen = _Seen(ref(cluster))
        self._seen.look(cluster.pending.columns)
        return self._seen

    def _told(self, plain: Observation, seen: _Seen) -> Observation:
        """With heft and marks beside what menus of starts show."""
        out = np.zeros((len(plain), len(self.row)), np.float32)
        out[:, : len(ROW)] = plain
        out[:-1, -1] = 4.0 * plain[:-1, ROW.index("estimate")] * plain[:-1, ROW.index("width")]
        out[-1, MARKS : MARKS + len(SHOWN)] = self.backfill, seen.usual, self.backfill * seen.usual
        return out

    def _menu(self, cluster: ClusterView) -> Menu:
        if (promise := self._waited_for(cluster)) is None:
            return self._free(cluster)
        menu = self._starts.of(cluster, [promise.job])
        if not menu.mask[0]:
            menu = self._starts.of(cluster, self._passing(cluster, promise) if self.backfill else [])
        menu.mask[-1] = not menu.mask[:-1].any()
        return menu

    def _waited_for(self, cluster: ClusterView) -> _Promise | None:
        promise = self._promise
        held = promise is not None and promise.cluster() is cluster and promise.job in cluster.pending
        return promise if held else None

    def _free(self, cluster: ClusterView) -> Menu:
        """Everybody may be chosen, who does not fit too."""
        starts = self._starts.of(cluster, candidates(cluster, self.k))
        jobs, fits = starts.jobs, starts.mask[:-1].copy()
        starts.mask[: len(jobs)] = True
        starts.mask[-1] = not jobs

        def choose(row: int) -> tuple[Decision, ...] | None:
            if row >= len(jobs):
                return None
            if fits[row]:
                return starts.choose(row)
            self._promise = _Promise(ref(cluster), jobs[row], self._fits_at(cluster, jobs[row]))
            return ()

        look = lambda row: (starts.choose(row) or ()) if row < len(jobs) else ()  # noqa: E731
        return Menu(starts.mask, jobs, choose, starts.observe, look)

    def _fits_at(self, cluster: ClusterView, job: int) -> float:
        ends, freed = expected_ends(cluster)
        gang = cluster.pending.columns.of([job])[Columns.GANG]
        return cluster.now + float(time_to_fit(gang, float(cluster.room.spare), ends, freed, cluster.now)[0])

    def _passing(self, cluster: ClusterView, promise: _Promise) -> list[int]:
        """The oldest that fits and would end before the promise, if there is one."""
        columns, room = cluster.pending.columns, cluster.room
        those = columns.of(list(columns.keys))
        able = (those[Columns.GANG] <= room.spare) & (cluster.now + those[Columns.ESTIMATE] < promise.by)
        rows = np.flatnonzero(able)
        oldest = (columns.keys[row] for row in rows[those[Columns.ORDER][rows].argsort()].tolist())
        return next(([job] for job in oldest if self.place(cluster.pending[job], room) is not None), [])
