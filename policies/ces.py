"""Cluster energy saving: nodes that nobody will need for a while sleep, and wake when jobs come.

Helios' service (Hu, Sun, Yan, Wen and Zhang, SC 2021, section 4.3 and algorithm 2; the rules below are those of its
published code). Every ten minutes, of a pool's nodes in use u(t):

    mean of u over the last hour - u(t) >= falls, and u(t) - mean of what is expected over three hours >= will_fall,
    and over three hours no more is expected than over six, and no node was woken in the last two hours:
        all but u(t) + buffer nodes sleep;
    more nodes are needed than are awake, whenever that is: as many are woken as are needed, and `buffer` more.

The numbers are those of their cluster Earth, 143 nodes, a buffer of 5 and falls of 1, as parts of a pool's nodes. Left
out: their forecaster (gradient boosted trees over calendar and lags of months of history); here it is `Forecast`, smoothed
seasons of what the policy itself has seen.

`sleepy` is what they compare with, and what Slurm's SuspendTime does: a node sleeps that was idle for so long. Both let
nodes of pools sleep that cost no rent; rented ones are for `burst`.
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
from .forecast import Forecast
from .governor import Governor, Memory, standing, wanted
from .needs import Needs
from .orders import fifo

POOLS: Needs = frozenset({"pools"})
STEP, DAY = 600.0, 144
"""Seconds between looks at whether nodes may sleep, and such steps in a day."""
HOUR, AHEAD, KEEP = 6, 18, 12
"""Steps that are looked back and ahead, and for which nothing sleeps after nodes were woken."""


@dataclass(slots=True)
class _Pool:
    """What is remembered of a pool: the most nodes in use in each of the last steps, and what will be."""

    used: deque[int] = field(default_factory=lambda: deque(maxlen=HOUR))
    ahead: Forecast = field(default_factory=lambda: Forecast(STEP, DAY))
    most: int = 0
    step: float = -1.0
    stable: float = -inf


@dataclass(frozen=True, slots=True)
class Ces(Governor):
    """Lets nodes of its pools sleep while fewer are in use than were, and fewer will be; wakes them for who waits.

    Attributes:
        inner: who starts where.
        buffer: part of a pool's nodes, rounded up, that stays awake beside those in use.
        falls: part of a pool's nodes by which the use must have fallen from the mean of the last hour.
        will_fall: the same by which the mean of the next three hours must be below the use now.
        every: seconds between ticks.
    """

    inner: Policy = fifo
    buffer: float = 5 / 143
    falls: float = 1 / 143
    will_fall: float = 1 / 143
    every: float | None = STEP
    _memory: Memory[dict[str, _Pool]] = field(
        default_factory=lambda: Memory(dict), init=False, repr=False, compare=False
    )
    own: ClassVar[Needs] = POOLS

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields the inner policy's decisions, then who wakes and who sleeps."""
        yield from self.inner.decide(cluster)
        if not (pools := _beds(cluster)):
            return
        memory, busy = self._memory.of(cluster), standing(cluster)
        asked = _asked(self, cluster, pools)
        for pool, nodes in pools.items():
            known = memory.setdefault(pool, _Pool())
            rest = _follow(known, cluster.now, sum(node.id in busy for node in nodes))
            if needed := asked.get(pool, 0):
                known.stable = cluster.now + KEEP * STEP
                yield from _wake(cluster, pool, needed, ceil(self.buffer * len(nodes)))
            elif rest:
                yield from self._sleep(cluster, nodes, busy, known)

    def _sleep(self, cluster: ClusterView, nodes: list[Node], busy: set[str], known: _Pool) -> Iterator[Decision]:
        used = sum(node.id in busy for node in nodes)
        expected = known.ahead.ahead(2 * AHEAD)
        soon, later = expected[:AHEAD].mean(), expected.mean()
        fell, will = np.mean(known.used) - used, used - soon
        if min(fell / self.falls, will / self.will_fall) < len(nodes) or soon < later or cluster.now < known.stable:
            return
        awake = [node for node in nodes if cluster.estate.states[node.id] == "up"]
        idle = [node for node in reversed(awake) if node.id not in busy]
        for node in idle[: max(len(awake) - used - ceil(self.buffer * len(nodes)), 0)]:
            yield Release(node.id)


@dataclass(frozen=True, slots=True)
class Sleepy(Governor):
    """Lets a node of its pools sleep that was idle for so long; wakes nodes for who waits.

    Attributes:
        inner: who starts where.
        idle: seconds.
        every: seconds between ticks.
    """

    inner: Policy = fifo
    idle: float = 600.0
    every: float | None = 60.0
    _memory: Memory[dict[str, float]] = field(
        default_factory=lambda: Memory(dict), init=False, repr=False, compare=False
    )
    own: ClassVar[Needs] = POOLS

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields the inner policy's decisions, then who wakes and who sleeps."""
        yield from self.inner.decide(cluster)
        if not (pools := _beds(cluster)):
            return
        since, busy = self._memory.of(cluster), standing(cluster)
        asked = _asked(self, cluster, pools)
        for pool, nodes in pools.items():
            yield from _wake(cluster, pool, asked.get(pool, 0), 0)
            for node in nodes:
                if node.id in busy or cluster.estate.states[node.id] != "up":
                    since.pop(node.id, None)
                elif cluster.now - since.setdefault(node.id, cluster.now) >= self.idle and not asked.get(pool):
                    yield Release(node.id)


def _beds(cluster: ClusterView) -> dict[str, list[Node]]:
    """The nodes that may sleep, by pool."""
    pools: dict[str, list[Node]] = {}
    for node in cluster.nodes:
        if node.pool is not None and not cluster.meter.rent(node):
            pools.setdefault(node.pool, []).append(node)
    return pools


def _asked(governor: Governor, cluster: ClusterView, pools: dict[str, list[Node]]) -> dict[str, int]:
    """How many nodes of each pool that are not there those who wait would take."""
    states = cluster.estate.states
    absent = [node.id for nodes in pools.values() for node in nodes if states[node.id] == "absent"]
    if not absent or not len(cluster.pending):
        return {}
    found = wanted(cluster, cluster.pending, governor.place or packed, absent)
    return {pool: sum(node.id in found for node in nodes) for pool, nodes in pools.items()}


def _wake(cluster: ClusterView, pool: str, needed: int, buffer: int) -> Iterator[Decision]:
    """Wakes as many as are needed and are not on their way, and some more."""
    coming = cluster.estate.coming[pool]
    if needed > coming:
        yield Provision(pool, min(needed + buffer - coming, cluster.estate.can_come(pool)))


def _follow(known: _Pool, now: float, used: int) -> bool:
    """Notes how many nodes are in use; whether a step is over, and some may sleep."""
    step, over = now // STEP, False
    if step > known.step:
        if over := known.step >= 0:
            known.used.extend([known.most] * int(min(step - known.step, HOUR)))
        known.step, known.most = step, used
    known.most = max(known.most, used)
    known.ahead.note(now, used)
    return over


ces = Ces()
"""Lets sleep what nobody will need for a while."""
sleepy = Sleepy()
"""Lets sleep what was idle for ten minutes."""
