"""Jobs that wait, or run, with the orders and columns that policies ask for: made once, kept as jobs come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, log1p, log2, nan
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ..traces.job import Job, Shape
from .order import Order
from .vocabulary import Placement, Tuning

if TYPE_CHECKING:
    from .cluster import ClusterView

MOST_ORDERS = 32
"""Orders of one roster at most: more come from scores that are made anew at each call."""

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Running:
    """A job in its place.

    Attributes:
        job: what was asked.
        placement: where it stands.
        since: when this run began, seconds.
        attained: seconds of work that earlier runs did and kept.
        stopping: it was asked to stop, and holds its place until it has.
        share: part of each accelerator that it was given.
        tuning: what it was told for the hardware it got.
        goes: where it is on its way to, None while it stays.
        both: its place and the one it is on its way to, together.
    """

    job: Job
    placement: Placement
    since: float
    attained: float
    order: int
    stopping: bool = False
    share: float = 1.0
    tuning: Tuning | None = None
    goes: Placement | None = None
    both: Placement | None = None

    @property
    def preemptible(self) -> bool:
        """Whether it may be stopped now: its job may at all, and it is neither stopping nor on its way."""
        return self.job.preemptible and not self.stopping and self.goes is None

    @property
    def holds(self) -> Placement:
        """All accelerators that it keeps from others."""
        return self.placement if self.both is None else self.both

    @property
    def gang(self) -> int:
        """Accelerators that it works on."""
        return sum(len(accelerators) for _, accelerators in self.placement)

    def served(self, now: float) -> float:
        """Seconds it has run in all, this run included."""
        return self.attained + now - self.since


T = TypeVar("T")
Score = Callable[[Any, "ClusterView"], float]
"""A job's place in a fixed order, smallest first: read once, when it enters. Takes the Job (waiting) or Running."""


@dataclass(frozen=True, slots=True)
class Moving:
    """A score that changes while jobs wait, computed over all of them at once.

    Attributes:
        of: columns and the time -> scores, float array of shape (len(columns),), smallest first.
    """

    of: Callable[[Columns, float], Floats]


class Columns:
    """The same jobs as arrays, row by row in no particular order. All columns have shape (n,) and are float64.

    The logarithms that codecs read are taken once, when a job enters.

    Attributes:
        keys: the id of the job in each row, a list.
        shapes: a job of each shape that was ever here; column SHAPE holds positions in it.
        tenants: each tenant that ever had a job here; column TENANT holds positions in it.
    """

    SUBMIT, GANG, ESTIMATE, ATTAINED, ORDER, SINCE, END, SHAPE, HELD, SHORT, SMALL = range(11)
    KNOWN, LOG_ESTIMATE, LOG_AREA, LOG_ATTAINED, LOG_GANG = range(11, 16)
    UPPER, LOG_UPPER, TENANT, PRIORITY = range(16, 20)

    def __init__(self, shape: Callable[[Job], Shape] = attrgetter("shape")) -> None:
        self.keys: list[int] = []
        self._shape = shape
        self.shapes: list[Job] = []
        self.tenants: list[str | None] = []
        self._numbers: dict[Shape, int] = {}
        self._tenants: dict[str | None, int] = {}
        self._data = np.empty((20, 64))
        self._row: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, job: Job, attained: float, order: int, since: float, held: float | None = None) -> None:
        """Puts a job into the last row; `held` is what it holds in accelerators, by default what it asks for."""
        row = len(self.keys)
        if row == self._data.shape[1]:
            self._data = np.concatenate([self._data, np.empty_like(self._data)], 1)
        gang, held = max(job.gang, 1), job.gang * job.share if held is None else held
        known = job.estimate is not None
        estimate = job.estimate or 0.0
        end = since + max(estimate - attained, 0.0) if known else nan
        shape = self._numbers.setdefault(self._shape(job), len(self.shapes))
        if shape == len(self.shapes):
            self.shapes.append(job)
        tenant = self._tenants.setdefault(job.tenant, len(self.tenants))
        if tenant == len(self.tenants):
            self.tenants.append(job.tenant)
        self._data[:, row] = (
            job.submit, job.gang, estimate if known else nan, attained, order, since, end, shape, held,
            estimate if known else inf, estimate * gang if known else inf, known,
            log1p(estimate), log1p(estimate * gang), log1p(attained), log2(gang),
            nan if job.upper is None else job.upper, log1p(job.upper or 0.0),
            tenant, nan if job.priority is None else job.priority,
        )  # fmt: skip
        self._row[job.id] = row
        self.keys.append(job.id)

    def remove(self, key: int) -> None:
        """Takes a job out; the last row moves into its place."""
        row, last = self._row.pop(key), self.keys.pop()
        if last != key:
            self._data[:, row] = self._data[:, len(self.keys)]
            self.keys[row] = last
            self._row[last] = row

    def of(self, keys: list[int]) -> Floats:
        """The columns of these jobs alone, shape (20, len(keys)): rows are SUBMIT, GANG, ESTIMATE and so on."""
        return self._data[:, [self._row[key] for key in keys]]

    def column(self, number: int) -> Floats:
        """One column, such as `Columns.GANG`: a view, true until the next job comes or goes."""
        return self._data[number, : len(self.keys)]

    @property
    def submit(self) -> Floats:
        """Seconds."""
        return self.column(self.SUBMIT)

    @property
    def gang(self) -> Floats:
        """Accelerators."""
        return self.column(self.GANG)

    @property
    def estimate(self) -> Floats:
        """Seconds, NaN where unknown."""
        return self.column(self.ESTIMATE)

    @property
    def upper(self) -> Floats:
        """The 90th percentile that a predictor expects, seconds, NaN where unknown."""
        return self.column(self.UPPER)

    @property
    def tenant(self) -> Floats:
        """Position in `tenants`."""
        return self.column(self.TENANT)

    @property
    def priority(self) -> Floats:
        """Larger is more urgent, NaN where unknown."""
        return self.column(self.PRIORITY)

    @property
    def attained(self) -> Floats:
        """Seconds of work that earlier runs did and kept."""
        return self.column(self.ATTAINED)

    @property
    def order(self) -> Floats:
        """Place in the order of submission."""
        return self.column(self.ORDER)

    @property
    def since(self) -> Floats:
        """When this run began, NaN for waiting jobs."""
        return self.column(self.SINCE)

    @property
    def end(self) -> Floats:
        """When this run is expected to end, NaN for waiting jobs and where there is no estimate."""
        return self.column(self.END)


class Roster(Generic[T]):
    """Jobs by id, for reading."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view
        self._held: dict[int, tuple[T, Job, float, int, float]] = {}
        self._orders: dict[Score, Order[T]] = {}
        self._columns: Columns | None = None

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def __getitem__(self, key: int) -> T:
        return self._held[key][0]

    def __iter__(self) -> Iterator[T]:
        """Those it holds, in the order they entered."""
        return (held[0] for held in self._held.values())

    @property
    def columns(self) -> Columns:
        """The same jobs as arrays."""
        if self._columns is None:
            self._columns = Columns(self._view.room.shape)
            for item, job, attained, order, since in self._held.values():
                self._columns.add(job, attained, order, since, _holds(item))
        return self._columns

    def by(self, score: Score | Moving, without: set[str | None] | None = None) -> Iterator[T]:
        """Yields those it holds by score, smallest first, equals in order of submission.

        Jobs may leave while it is read, as they do when a policy starts them; and tenants may be put into `without`,
        whose jobs are passed over from then on.
        """
        return self._moving(score, without) if isinstance(score, Moving) else self._order(score).walk(without)

    def first(self, score: Score, count: int) -> list[T]:
        """The first `count` by a fixed score."""
        return self._order(score).first(count)

    def _moving(self, score: Moving, without: set[str | None] | None) -> Iterator[T]:
        """Heads are found without sorting; only when one is passed over are the others sorted, once."""
        columns, head = self.columns, None
        while head not in self._held:
            if not len(columns):
                return
            scores = score.of(columns, self._view.now)
            best = np.flatnonzero(scores == scores.min())
            head = columns.keys[best[np.argmin(columns.order[best])]]
            yield self[head]
        rows = np.lexsort((columns.order, score.of(columns, self._view.now)))
        for key in [columns.keys[row] for row in rows]:
            if key != head and key in self._held and not (without and self._held[key][1].tenant in without):
                yield self[key]

    def _order(self, score: Score) -> Order[T]:
        found = self._orders.get(score)
        if found is None:
            if len(self._orders) == MOST_ORDERS:
                raise ValueError(
                    f"{MOST_ORDERS + 1} orders of one roster: each is kept for ever, so a score must be one object, "
                    "not a function made anew at each call; define it once, outside decide"
                )
            entries = (((score(h[0], self._view), h[3], key, h[0]), h[1].tenant) for key, h in self._held.items())
            found = self._orders[score] = Order(entries)
        return found


class Register(Roster[T]):
    """A roster that the ledger writes."""

    def enter(self, item: T, job: Job, attained: float, order: int, since: float = np.nan) -> None:
        """Adds one."""
        self._held[job.id] = (item, job, attained, order, since)
        for score, kept in self._orders.items():
            kept.add((score(item, self._view), order, job.id, item), job.tenant)
        if self._columns is not None:
            self._columns.add(job, attained, order, since, _holds(item))

    def leave(self, key: int) -> tuple[T, int, float]:
        """Takes one out; returns it, its place in the order of submission and what it had attained."""
        item, _, attained, order, _ = self._held.pop(key)
        for kept in self._orders.values():
            kept.remove(key)
        if self._columns is not None:
            self._columns.remove(key)
        return item, order, attained


def _holds(item: object) -> float | None:
    """Accelerators that a job holds, None while it waits."""
    return item.gang * item.share if isinstance(item, Running) else None
