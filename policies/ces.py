"""Cluster energy saving: nodes that nobody will need for a while sleep, and wake before they are needed again.

Helios' service (Hu, Sun, Yan, Wen and Zhang, SC 2021, section 4.3 and algorithm 2; the rules are those of its published
code). Of a pool's nodes u(t) are in use, at most, in the ten minutes before t. Every ten minutes:

    mean of u over the last hour - u(t) >= falls, and u(t) - mean of what is expected over three hours >= will_fall,
    and the mean expected over six hours is no higher than that, and no node was woken in the last two hours:
        all but u(t) + buffer nodes sleep;
    more nodes are needed than are awake, whenever that is: as many are woken as are needed, and `buffer` more.

In the first hour all but u(t) + buffer sleep whatever the trend.

The numbers are those of their cluster Earth, 143 nodes, a buffer of 5 and falls of 1, as parts of a pool's nodes. Ours
is that nodes are also woken when more are expected in the next `ahead` steps than are awake, and do not fall asleep
then: with their rules the first jobs of a morning wait while nodes boot.

Left out: their forecaster, gradient boosted trees over calendar and lags of months of history; here it is `Forecast`,
smoothed seasons of what the policy itself has seen. And their least number of nodes that are worth falling asleep.

`sleepy` is what Slurm's SuspendTime does: a node sleeps that was idle for so long. Both let nodes of pools sleep that
cost no rent; rented ones are for `burst`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, inf
from typing import ClassVar

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.nodes import Node
from ..envs.placement import packed
from ..envs.session import Policy
from ..envs.vocabulary import Decision, Provision, Release
from .backfill import easy
from .forecast import Forecast
from .governor import Governor, pools, standing, wanted
from .memory import Memory
from .needs import Needs

HOUR, SOON, KEEP = 6, 18, 12
"""Steps that are looked back and ahead, and for which nothing sleeps after nodes were woken."""
CLOSE = 1e-9
"""Of a node: means of equal counts are equal."""


@dataclass(slots=True)
class _Use:
    """What is remembered of a pool: the most nodes in use in each of the last steps, and what is expected."""

    expected: Forecast
    used: deque[int] = field(default_factory=lambda: deque(maxlen=HOUR))
    most: int = 0
    step: int = -1
    stable: float = -inf

    def follow(self, now: float, used: int) -> bool:
        """Notes how many nodes are in use; whether a step is over."""
        step, over = int(now // self.expected.step), False
        if step > self.step:
            if over := self.step >= 0:
                self.used.extend([self.most] + [used] * min(step - self.step - 1, HOUR))
            self.step, self.most = step, used
        self.most = max(self.most, used)
        self.expected.note(now, used)
        return over


@dataclass(slots=True)
class _Hall:
    """What is remembered of a pool: its nodes, their use, and since when those that are idle are."""

    nodes: list[Node]
    use: _Use | None = None
    since: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Halls:
    """The pools of a session whose nodes have no rent by themselves."""

    pools: dict[str, _Hall]

    @classmethod
    def of(cls, cluster: ClusterView) -> _Halls:
        own = {pool: nodes for pool, nodes in pools(cluster).items() if not any(n.usd_per_hour for n in nodes)}
        return cls({pool: _Hall(nodes) for pool, nodes in own.items()})

    def free(self, cluster: ClusterView) -> dict[str, _Hall]:
        """Those that cost none at the moment: their nodes may sleep."""
        return {pool: hall for pool, hall in self.pools.items() if not cluster.meter.rent(hall.nodes[0])}


@dataclass(frozen=True, slots=True)
class Ces(Governor):
    """Lets nodes of its pools sleep while fewer are in use than were, and fewer will be; wakes them for who comes.

    Attributes:
        inner: who starts where.
        buffer: part of a pool's nodes, rounded up, that stays awake beside those in use.
        falls: part of a pool's nodes by which the use must have fallen from the mean of the last hour.
        will_fall: the same by which the mean of the next three hours must be below the use now.
        ahead: steps for which as many stay awake as are expected to be in use; 0 as in the paper.
        every: seconds of a step, and between ticks.
        day: seconds of a season.
    """

    inner: Policy = easy
    buffer: float = 5 / 143
    falls: float = 1 / 143
    will_fall: float = 1 / 143
    ahead: int = 3
    every: float = 600.0
    day: float = 86400.0
    own: ClassVar[Needs] = frozenset({"pools"})
    _memory: Memory[_Halls] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields the inner policy's decisions, then who wakes and who sleeps."""
        yield from self.inner.decide(cluster)
        halls, busy = self._memory.of(cluster, lambda: _Halls.of(cluster)).free(cluster), standing(cluster)
        asked = _asked(self, cluster, halls)
        for pool, hall in halls.items():
            nodes, used = hall.nodes, sum(node.id in busy for node in hall.nodes)
            use = hall.use = hall.use or _Use(Forecast(self.every, round(self.day / self.every)))
            over, buffer = use.follow(cluster.now, used), ceil(self.buffer * len(nodes))
            if asked.get(pool):
                use.stable = cluster.now + KEEP * self.every
                yield from _wake(cluster, pool, asked[pool], buffer)
            elif over:
                needed = max(used, self._foreseen(use)) + buffer
                yield from self._change(cluster, nodes, busy, use, needed)

    def _foreseen(self, use: _Use) -> int:
        """The most nodes that are expected to be in use soon."""
        return round(float(use.expected.ahead(self.ahead + 1)[1:].max(initial=0.0)))

    def _change(
        self, cluster: ClusterView, nodes: list[Node], busy: set[str], use: _Use, needed: int
    ) -> Iterator[Decision]:
        """Wakes nodes that will be needed, or lets those sleep that will not."""
        pool, awake = nodes[0].pool or "", [node for node in nodes if cluster.estate.states[node.id] == "up"]
        if (missing := needed - len(awake)) > 0:
            yield from _wake(cluster, pool, missing, 0)
        elif self._falls(use, cluster.now, len(nodes)):
            idle = [node for node in reversed(awake) if node.id not in busy]
            yield from (Release(node.id) for node in idle[: len(awake) - needed])

    def _falls(self, use: _Use, time: float, size: int) -> bool:
        """Whether fewer nodes are in use than were, fewer still will be, and not more again after that."""
        if len(use.used) < HOUR or time < use.stable:
            return len(use.used) < HOUR
        now, expected = use.most, use.expected.ahead(2 * SOON)
        soon, later = expected[:SOON].mean(), expected.mean()
        fell, will = np.mean(use.used) - now, now - soon
        return bool(fell >= self.falls * size and will >= self.will_fall * size and soon >= later - CLOSE)


@dataclass(frozen=True, slots=True)
class Sleepy(Governor):
    """Lets a node of its pools sleep that was idle for so long; wakes nodes for who waits.

    Attributes:
        inner: who starts where.
        idle: seconds.
        every: seconds between ticks.
    """

    inner: Policy = easy
    idle: float = 600.0
    every: float | None = 60.0
    own: ClassVar[Needs] = frozenset({"pools"})
    _memory: Memory[_Halls] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields the inner policy's decisions, then who wakes and who sleeps."""
        yield from self.inner.decide(cluster)
        halls, busy = self._memory.of(cluster, lambda: _Halls.of(cluster)).free(cluster), standing(cluster)
        asked, states = _asked(self, cluster, halls), cluster.estate.states
        for pool, hall in halls.items():
            idle = [node.id for node in hall.nodes if states[node.id] == "up" and node.id not in busy]
            hall.since = {node: hall.since.get(node, cluster.now) for node in idle}
            if asked.get(pool):
                yield from _wake(cluster, pool, asked[pool], 0)
            else:
                yield from [Release(node) for node in idle if cluster.now - hall.since[node] >= self.idle]


def _asked(governor: Governor, cluster: ClusterView, halls: dict[str, _Hall]) -> dict[str, int]:
    """How many nodes of each pool that are not there those who wait would take."""
    if not halls or not len(cluster.pending):
        return {}
    states = cluster.estate.states
    absent = {node.id: pool for pool, hall in halls.items() for node in hall.nodes if states[node.id] == "absent"}
    found = wanted(cluster, cluster.pending, governor.place or packed, absent) if absent else {}
    return {pool: sum(absent[node] == pool for node in found) for pool in halls}


def _wake(cluster: ClusterView, pool: str, needed: int, buffer: int) -> Iterator[Provision]:
    """Wakes as many as are needed and are not on their way, and some more."""
    missing = needed - cluster.estate.coming[pool]
    if missing > 0 and (count := min(missing + buffer, cluster.estate.can_come(pool))) > 0:
        yield Provision(pool, count)


ces = Ces()
"""Lets sleep what nobody will need for a while."""
sleepy = Sleepy()
"""Lets sleep what was idle for ten minutes."""
