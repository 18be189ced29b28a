"""Cloud bursting: nodes are rented while jobs wait too long for what is there, and given back when they stand idle.

Queue time (Mattess, Vecchiola, Garg and Buyya, "Cloud bursting: managing peak loads by leasing public cloud services",
2011, 1.5.2): a resource is asked for when somebody has waited for longer than a threshold. `burst` does that. Its
`burst_ahead` asks as soon as a job is expected to wait that long, by estimates, as their clairvoyant variant knows run
times (1.5.4): jobs in the order of submission, each when as many accelerators have become free as it and those before
it want. When idle nodes are given back follows Marshall, Keahey and Freeman, "Elastic site", CCGrid 2010: what nobody
needs goes, at the end of what is paid for in any case; clouds bill by the second now, so that is soon.

How many, and of which pool: as many as the jobs that are due would take, were all that may come there, each placed
where the rent is least at the moment. So what is our own comes first (a sleeping hall is woken), then whatever costs
least; a job that may not be preempted gets nothing spot. A job whose data would travel for longer than it waits does
not go.

Left out of the papers: lengths of queues as triggers, budgets, hourly leases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.kinds import GB
from ..envs.nodes import Node
from ..envs.placement import packed
from ..envs.roster import Floats
from ..envs.session import Policy
from ..envs.vocabulary import Decision, Provision, Release
from ..traces.job import Job
from .backfill import easy
from .cheapest import Cheapest
from .governor import Governor, changed, pools, standing, wanted
from .memory import Memory
from .needs import ESTIMATES, Needs
from .orders import expected


@dataclass(slots=True)
class _Books:
    """What is remembered of a session: its pools, since when nodes idle, what pools should have and when they rest."""

    pools: dict[str, list[Node]]
    idle: dict[str, float] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    rests: dict[str, float] = field(default_factory=dict)

    def count(self, cluster: ClusterView, until: float) -> None:
        """A pool that has fewer than it should had none, or took one away: it rests until then."""
        states, coming = cluster.estate.states, cluster.estate.coming
        for pool, nodes in self.pools.items():
            has = sum(states[node.id] == "up" for node in nodes) + coming[pool]
            if has < self.counted[pool]:
                self.rests[pool] = until
            self.counted[pool] = has

    def absent(self, cluster: ClusterView) -> dict[str, str]:
        """The nodes that may be asked for, each with its pool; of a pool that rests those that are on their way."""
        found, states = dict[str, str](), cluster.estate.states
        for pool, nodes in self.pools.items():
            there = [node.id for node in nodes if states[node.id] == "absent"]
            if cluster.now < self.rests.get(pool, 0.0):
                there = there[: cluster.estate.coming[pool]]
            found |= dict.fromkeys(there, pool)
        return found


@dataclass(frozen=True, slots=True)
class Burst(Governor):
    """Rents nodes for jobs that wait too long, the cheapest first, and gives them back when they stand idle.

    Attributes:
        inner: who starts; it places jobs on what is our own first.
        patience: seconds that a job may wait, or be expected to wait.
        ahead: expected waits count, by estimates; else only what was waited.
        hold: seconds that a rented node may stand idle; longer than any minimum rent that we know of (60 s).
        rest: seconds for which a pool is not asked again when it had none, or took one away.
        wan: bytes a second between sites, for who has data: 1 Gb/s.
        every: seconds between ticks.
    """

    inner: Policy = easy
    patience: float = 900.0
    ahead: bool = False
    hold: float = 300.0
    rest: float = 600.0
    wan: float = 0.125 * GB
    every: float | None = 60.0
    _memory: Memory[_Books] = field(default_factory=Memory, init=False, repr=False, compare=False)
    own: ClassVar[Needs] = frozenset({"pools"})

    def __post_init__(self) -> None:
        """Has the inner policy place jobs where the rent is least."""
        place = getattr(self.inner, "place", None)
        if place is not None and not isinstance(place, Cheapest):
            object.__setattr__(self, "inner", changed(self.inner, place=Cheapest(place)) or self.inner)

    @property
    def needs(self) -> Needs:
        """Pools, estimates to look ahead, and what the inner policy needs."""
        inner: Needs = getattr(self.inner, "needs", frozenset())
        return self.own | inner | (ESTIMATES if self.ahead else frozenset())

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields the inner policy's decisions, then what is rented and given back."""
        yield from self.inner.decide(cluster)
        if not (books := self._memory.of(cluster, lambda: _Books(pools(cluster)))).pools:
            return
        books.count(cluster, cluster.now + self.rest)
        short = self._short(cluster, books)
        for pool, count in short.items():
            if (more := min(count - cluster.estate.coming[pool], cluster.estate.can_come(pool))) > 0:
                books.counted[pool] += more
                yield Provision(pool, more)
        for pool, node in self._idle(cluster, books):
            if pool not in short:
                books.counted[pool] -= 1
                yield Release(node)

    def _short(self, cluster: ClusterView, books: _Books) -> Counter[str]:
        """How many absent nodes of each pool those who are due would take."""
        due = list(self._due(cluster))
        if not due or not (may := books.absent(cluster)):
            return Counter()
        return Counter(may[node] for node in wanted(cluster, due, self._spending(cluster), may))

    def _spending(self, cluster: ClusterView) -> Cheapest:
        """Places jobs on what is there, then where the rent is least at the moment."""
        place, states = self.place, cluster.estate.states
        inner = place.inner if isinstance(place, Cheapest) else place or packed
        return Cheapest(inner, lambda node: -1.0 if states[node.id] == "up" else cluster.meter.rent(node))

    def _due(self, cluster: ClusterView) -> Iterator[Job]:
        """The jobs that have waited for too long, or will have, in the order of submission."""
        columns = cluster.pending.columns
        waits = cluster.now - columns.submit - columns.attained
        if self.ahead:
            waits = waits + _delays(cluster)
        rows = np.flatnonzero(waits >= self.patience)
        for row in rows[np.argsort(columns.order[rows], kind="stable")]:
            job = cluster.pending[columns.keys[row]]
            if (job.data or 0) / self.wan <= waits[row]:
                yield job

    def _idle(self, cluster: ClusterView, books: _Books) -> list[tuple[str, str]]:
        """The rented nodes on which nobody has stood for too long, each after its pool."""
        states, meter = cluster.estate.states, cluster.meter
        there = [(pool, n) for pool, nodes in books.pools.items() for n in nodes if states[n.id] == "up"]
        rented = [(pool, node.id) for pool, node in there if meter.rent(node) > 0]
        busy = standing(cluster) if rented else set()
        idle = [(pool, node) for pool, node in rented if node not in busy]
        books.idle = {node: books.idle.get(node, cluster.now) for _, node in idle}
        return [(pool, node) for pool, node in idle if cluster.now - books.idle[node] >= self.hold]


def _delays(cluster: ClusterView) -> Floats:
    """Seconds until waiting jobs are expected to start, shape (n,): when enough has become free for all before them."""
    waiting, running = cluster.pending.columns, cluster.running.columns
    rows = np.argsort(waiting.order, kind="stable")
    need = np.cumsum(waiting.gang[rows]) - cluster.room.spare
    expected(running)
    by_end = np.argsort(running.end, kind="stable")
    freed = np.cumsum(running.gang[by_end])
    ends = np.append(np.maximum(running.end[by_end] - cluster.now, 0.0), np.inf)
    delays = np.empty(len(waiting))
    delays[rows] = np.where(need <= 0, 0.0, ends[np.searchsorted(freed, need)])
    return delays


burst = Burst()
"""Rents for jobs that have waited for 15 minutes."""
burst_ahead = Burst(ahead=True)
"""Rents for jobs that are expected to wait for 15 minutes, by estimates."""
