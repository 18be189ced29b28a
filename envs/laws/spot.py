"""Spot nodes are taken away after a notice, one by one and in waves, and some come back."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from ...traces.trouble import BadInput, within
from ..estate import GONE
from ..nodes import Nodes
from ..recordings import capacity
from ..vocabulary import NodeDown, NodeUp, Notice
from .alone import Alone
from .bathtub import Lives
from .law import Filename, Stage, check, not_negative, positive
from .renewal import measured

RECLAIMED = "reclaimed"
"""The node is gone: who wants it again provisions it."""
REPLACED = "reclaimed for a while"
"""The node is down, not gone: its group brings it back, so nobody can provision it meanwhile."""
_KNOWN = measured("spot")


@dataclass(frozen=True, slots=True)
class Spot:
    """Lifetimes with memory (Kadupitiya, Jadhao and Sharma, HPDC 2020), and waves that take a part of a pool at once.

    A node that comes lives t with F(t) = a (1 - exp(-t / tau1) + exp((t - b) / tau2)), up to F = 1: many go early,
    hardly any for most of a day, the rest at its end. Those that are there at the beginning have been there for long:
    what is left of their lives is stationary. Waves come to a pool at random; each takes every node with the same
    chance, which is uniform from 0 to twice `wave_part`. `Notice` comes before; a life shorter than that has what it
    has. A node that is broken is not reclaimed, and begins a new life.

    Nodes that are there at the beginning are a group that its owner keeps at its size: a reclaimed one is down until it
    is replaced. Those that a policy provisioned are gone, and have a new life when they are provisioned again; so are
    all with `returns = 0`, and those of the group that a policy gave back.

    A recorded capacity (see `recordings.capacity`) is replayed instead of lives and waves, for every pool the same,
    scaled so that the highest is the whole pool: where it falls below the nodes that are up, those above it are
    reclaimed, the last of an order that is drawn once; where it rises, the group's come back; where it leaves no room,
    nodes that are provisioned are declined. After its end it stays as it is.

    Attributes:
        a, tau1, tau2, b: of the lives; seconds but for `a`.
        wave_every: mean seconds between waves of a pool; 0 for none.
        wave_part: part of the pool that a wave takes, on average; at most 0.5.
        returns: mean seconds until a node of the group is replaced (exponential); 0 for never.
        notice: seconds between notice and reclaim.
        chaos: multiplies the rates: lives and times between waves are that many times shorter; a recorded capacity runs
            that many times as fast.
        recorded: a file to replay; None to draw.
        unit: of its times; None to tell by their looks.
    """

    a: float = _KNOWN["a"]
    tau1: float = _KNOWN["tau1"]
    tau2: float = _KNOWN["tau2"]
    b: float = _KNOWN["b"]
    wave_every: float = _KNOWN["wave_every"]
    wave_part: float = _KNOWN["wave_part"]
    returns: float = _KNOWN["returns"]
    notice: float = _KNOWN["notice"]
    chaos: float = 1.0
    recorded: Filename | None = None
    unit: Literal["seconds", "hours"] | None = None

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        check(self, "spot", ("tau1", "tau2", "b", "chaos"), positive, "a number above 0")
        check(self, "spot", ("wave_every", "returns", "notice"), not_negative, "seconds, 0 or more")
        if not 0 < self.a < 1:
            raise BadInput(f"spot: a = {self.a} cannot be; give a number between 0 and 1")
        if not 0 <= self.wave_part <= 0.5:
            raise BadInput(f"spot: wave_part = {self.wave_part} cannot be; give a part from 0 to 0.5")

    @property
    def lives(self) -> Lives:
        """Of its nodes, chaos included."""
        return Lives(self.a, self.tau1, self.tau2, self.b, self.chaos)

    def begin(self, stage: Stage) -> _Market:
        """The spot nodes of a world. Raises BadInput if the recorded file cannot be read."""
        with within("spot.recorded"):
            steps = None if self.recorded is None else capacity(Path(self.recorded), self.unit)
        pools: dict[str, list[str]] = {}
        for node in stage.machines.values():
            if node.spot:
                pools.setdefault(node.pool or "", []).append(node.id)
        made = {
            name: _Drawn(self, stage, name, there) if steps is None else _Recorded(self, stage, name, there, steps)
            for name, there in pools.items()
        }
        return _Market(stage, made)


class _Pool:
    """The spot nodes of one pool, and those of them that are about to go."""

    def __init__(self, law: Spot, stage: Stage, name: str, nodes: Sequence[str]) -> None:
        self._law, self._stage, self._nodes = law, stage, nodes
        self._rng = stage.rng("spot", name)
        self._group = {node for node in nodes if stage.machines[node].present} if law.returns else set[str]()
        self._doomed: set[str] = set()
        self._life = dict.fromkeys(nodes, 0)

    def came(self, node: str) -> None:
        """A node was provisioned: it is no longer of the group, and what was to befall it before does not."""
        self._group.discard(node)
        self._doomed.discard(node)
        self._life[node] += 1

    def _warn(self, node: str, seconds: float) -> None:
        """Gives notice, once."""
        if self._stage.up[node] and node not in self._doomed:
            self._doomed.add(node)
            if seconds > 0:
                self._stage.say(Notice(self._stage.now, node, seconds))
            self._stage.at(self._stage.now + seconds, partial(self._reclaim, node, self._life[node]))

    def _reclaim(self, node: str, life: int) -> None:
        if life != self._life[node]:
            return
        self._doomed.discard(node)
        self._life[node] += 1
        if self._stage.up[node]:
            self._stage.fall(node, REPLACED if node in self._group else RECLAIMED)
            self._gone(node)
        else:
            self._spared(node)

    def _gone(self, node: str) -> None:
        """It has just been reclaimed."""

    def _spared(self, node: str) -> None:
        """It was not there to be reclaimed."""

    def offers(self, node: str) -> bool:
        """Whether a node that was provisioned can be had."""
        return True


class _Drawn(_Pool):
    """Lives and waves are drawn, for each node and each pool by itself."""

    def __init__(self, law: Spot, stage: Stage, name: str, nodes: Sequence[str]) -> None:
        super().__init__(law, stage, name, nodes)
        self._lives = law.lives
        self._rngs = {node: stage.rng("spot", name, node) for node in nodes}
        for node in nodes:
            if stage.up[node]:
                self._live(node, self._lives.rest(self._rngs[node]))
        self._next_wave()

    def came(self, node: str) -> None:
        """A new life begins."""
        super().came(node)
        self._live(node, self._lives.whole(self._rngs[node]))

    def _live(self, node: str, seconds: float) -> None:
        notice = min(self._law.notice, seconds)
        self._stage.at(self._stage.now + (seconds - notice), partial(self._ends, node, self._life[node], notice))

    def _ends(self, node: str, life: int, notice: float) -> None:
        if life == self._life[node] and node not in self._doomed:
            if self._stage.up[node]:
                self._warn(node, notice)
            else:
                self._spared(node)

    def _spared(self, node: str) -> None:
        self._life[node] += 1
        self._live(node, self._lives.whole(self._rngs[node]))

    def _gone(self, node: str) -> None:
        if node in self._group:
            away = self._rngs[node].exponential(self._law.returns)
            self._stage.at(self._stage.now + away, partial(self._replaced, node, self._life[node]))

    def _replaced(self, node: str, life: int) -> None:
        self._stage.rise(node, REPLACED)
        self._live(node, self._lives.whole(self._rngs[node]))

    def _next_wave(self) -> None:
        if self._law.wave_every:
            after = self._rng.exponential(self._law.wave_every / self._law.chaos)
            self._stage.at(self._stage.now + after, self._wave)

    def _wave(self) -> None:
        """Draws for every node, there or not, so that nothing hangs on who is there."""
        chance = self._rng.uniform(0, 2 * self._law.wave_part)
        for node, drawn in zip(self._nodes, self._rng.random(len(self._nodes)), strict=True):
            if drawn < chance:
                self._warn(node, self._law.notice)
        self._next_wave()


class _Recorded(_Pool):
    """A recorded capacity decides how many may be up."""

    def __init__(
        self, law: Spot, stage: Stage, name: str, nodes: Sequence[str], steps: Sequence[tuple[float, int]]
    ) -> None:
        super().__init__(law, stage, name, nodes)
        highest = max(count for _, count in steps)
        self._order = [nodes[int(n)] for n in self._rng.permutation(len(nodes))]
        self._times = [time / law.chaos for time, _ in steps]
        self._counts = [int(count / max(highest, 1) * len(nodes) + 0.5) for _, count in steps]
        self._away: set[str] = set()
        before = len(nodes)
        for time, count in zip(self._times, self._counts, strict=True):
            if count < before:
                warned = max(time - law.notice, 0.0)
                stage.at(warned, partial(self._shrinks, count, time - warned))
            stage.at(time, partial(self._fits, count))
            before = count

    def _shrinks(self, count: int, seconds: float) -> None:
        """So many will stay."""
        staying = [node for node in self._order if self._stage.up[node] and node not in self._doomed]
        for node in staying[count:]:
            self._warn(node, seconds)

    def _fits(self, count: int) -> None:
        """So many stay, and so many of the group may come back; who has come too late to be warned goes at once."""
        up = [node for node in self._order if self._stage.up[node]]
        for node in sorted(up, key=self._doomed.__contains__)[count:]:
            self._reclaim(node, self._life[node])
        room = count - len(up)
        for node in [node for node in self._order if node in self._away][: max(room, 0)]:
            self._away.discard(node)
            self._stage.rise(node, REPLACED)

    def _gone(self, node: str) -> None:
        if node in self._group:
            self._away.add(node)

    def offers(self, node: str) -> bool:
        """Whether there is room."""
        now = bisect_right(self._times, self._stage.now) - 1
        return sum(self._stage.up[one] for one in self._nodes) < self._counts[now]


class _Market:
    def __init__(self, stage: Stage, pools: dict[str, _Drawn | _Recorded]) -> None:
        self._stage, self._pools = stage, pools

    def came(self, node: str) -> None:
        """A spot node has been provisioned."""
        if self._stage.machines[node].spot:
            self._pools[self._stage.machines[node].pool or ""].came(node)

    def offers(self, node: str) -> bool:
        """Whether a node that was provisioned can be had."""
        there = self._stage.machines[node]
        return not there.spot or self._pools[there.pool or ""].offers(node)


def series(law: Spot, nodes: Nodes, seconds: float, seed: int = 0) -> list[tuple[float, int]]:
    """How many of the nodes are up while nobody provisions any, as a world of that seed has it: (seconds, count)."""
    up = sum(node.present for node in nodes)
    steps = [(0.0, up)]
    for event in Alone(law, nodes, seed).play(seconds).events:
        if not isinstance(event, NodeUp | NodeDown):
            continue
        up += 1 if isinstance(event, NodeUp) else -1
        if steps[-1][0] == event.time:
            steps.pop()
        steps.append((event.time, up))
    return steps


assert RECLAIMED in GONE
assert REPLACED not in GONE
