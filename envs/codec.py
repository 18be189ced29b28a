"""The codec: a cluster as a menu of decisions. The environment and the learned policy read the same menu.

One row a candidate, one row for waiting and the cluster as a whole; an action is the number of a row. Only logarithms
and ratios are features, so that clusters and traces of other sizes look alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ..traces.job import Job
from .cluster import ClusterView
from .features import ROW, WHOLE, describe
from .placement import Place, packed
from .roster import Columns, Floats, Score
from .vocabulary import Decision, Placement, Start

Observation = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass
class Menu:
    """What can be decided now.

    Attributes:
        mask: bool of shape (rows,): what may be chosen. At least one row may.
        jobs: the candidates' ids, row by row, in order of submission.
        choose: row -> the decisions, None to wait; what can be chosen once in a moment is taken then.
        observe: makes the observation.
        look: row -> its decisions without choosing it; None where `choose` changes nothing.
    """

    mask: Mask
    jobs: list[int]
    choose: Callable[[int], tuple[Decision, ...] | None]
    observe: Callable[[], Observation]
    look: Callable[[int], tuple[Decision, ...]] | None = None

    @cached_property
    def observation(self) -> Observation:
        """Float32 of shape (rows, features); the last row is the cluster's, and that of waiting.

        Made when first read, as many menus offer nothing but waiting; read it before the ledger changes.
        """
        return self.observe()

    def peek(self, row: int) -> tuple[Decision, ...]:
        """The decisions of a row, which is not chosen."""
        return (self.look(row) if self.look is not None else self.choose(row)) or ()

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

    @property
    def row(self) -> tuple[str, ...]:
        """The names of a row's features."""

    @property
    def whole(self) -> tuple[str, ...]:
        """The names of the last row's features."""

    @property
    def marks(self) -> int:
        """How many marks the last row shows from `features.MARKS` on."""

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


def candidates(cluster: ClusterView, k: int) -> list[int]:
    """The ids of at most k candidates: all that wait, or a union of orders, each giving its first few."""
    pending = cluster.pending
    if len(pending) <= k:
        return list(pending.columns.keys)
    each = -(-k // len(ORDERS))
    keys = dict.fromkeys(job.id for order in ORDERS[1:] for job in pending.first(order, each))
    oldest = [job.id for job in pending.first(ORDERS[0], k) if job.id not in keys]
    return [*list(keys)[: k - each], *oldest][:k]


@dataclass(slots=True)
class Starts:
    """Starts of waiting jobs, and waiting.

    Waiting may not be chosen while nothing runs and something could start: nothing else might ever happen.

    Args:
        k: candidates shown at most.
        place: proposes each candidate's placement.
        oldest: show the oldest jobs alone, not the first of several orders.
    """

    k: int = 32
    place: Place = packed
    oldest: bool = False
    row: ClassVar[tuple[str, ...]] = ROW
    whole: ClassVar[tuple[str, ...]] = WHOLE
    marks: ClassVar[int] = 0
    _fits: dict[float, Placement | None] = field(default_factory=dict, repr=False, init=False)
    _for: tuple[Columns | None, int] = field(default=(None, -1), repr=False, init=False)

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
        if self.oldest:
            return self.of(cluster, [job.id for job in cluster.pending.first(by_arrival, self.k)])
        return self.of(cluster, candidates(cluster, self.k))

    def of(self, cluster: ClusterView, keys: list[int]) -> Menu:
        """The menu of these candidates, at most k."""
        columns = cluster.pending.columns
        those = columns.of(keys)
        order = those[Columns.ORDER].argsort()
        keys, those = [keys[row] for row in order.tolist()], those[:, order]
        placements = self._placements(cluster, columns, those[Columns.SHAPE])
        fits = [placement is not None for placement in placements]
        mask = np.zeros(self.k + 1, np.bool_)
        mask[: len(keys)] = fits
        mask[self.k] = len(cluster.running) > 0 or True not in fits

        def choose(row: int) -> tuple[Decision, ...] | None:
            placement = placements[row] if row < len(keys) else None
            return None if placement is None else (Start(keys[row], placement),)

        def observe() -> Observation:
            observation = np.zeros((self.k + 1, len(ROW)), np.float32)
            if keys:
                view, observation[-1, 1:13] = describe(cluster, those, fits)
                observation[: len(keys)] = view.T
            else:
                observation[-1, 1] = cluster.room.spare / (cluster.room.size or 1)
            return observation

        return Menu(mask, keys, choose, observe)

    def _placements(self, cluster: ClusterView, columns: Columns, shapes: Floats) -> list[Placement | None]:
        """Where each row could start; jobs of one shape share the answer until the room changes."""
        room = cluster.room
        if self._for[0] is not columns or self._for[1] != room.version:
            self._fits, self._for = {}, (columns, room.version)
        fits, numbers = self._fits, shapes.tolist()
        for number in set(numbers) - fits.keys():
            fits[number] = self.place(columns.shapes[int(number)], room)
        return [fits[number] for number in numbers]
