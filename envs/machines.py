"""The machines of the simulated world: what is up. Down for several reasons, they come back after the last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from .estate import GONE
from .nodes import Node, Nodes
from .vocabulary import Event, NodeDown, NodeUp


class Machines:
    """Nodes and accelerators as they fall and rise.

    Args:
        nodes: all that may ever be there.
        now: the time, seconds.
        say: tells an event.
        clear: ends the runs on a node, or on some of its accelerators.

    Attributes:
        of: the nodes by id.
        up: node -> whether it is there and works.
    """

    def __init__(
        self,
        nodes: Nodes,
        now: Callable[[], float],
        say: Callable[[Event], None],
        clear: Callable[[str, frozenset[str]], None],
    ) -> None:
        self.of: dict[str, Node] = {node.id: node for node in nodes}
        self.up = {node.id: node.present for node in nodes}
        self._reasons: defaultdict[str, set[str]] = defaultdict(set)
        self._fell: dict[str, float] = {}
        self._promised: set[str] = set()
        self._now, self._say, self._clear = now, say, clear

    def fall(self, node: str, reason: str, accelerators: tuple[str, ...] = ()) -> None:
        """A node goes down, or some of its accelerators; one that is not there at all cannot."""
        if accelerators:
            self._fall_apart(node, reason, accelerators)
        elif self.up[node]:
            self.up[node] = False
            self._say(NodeDown(self._now(), node, reason))
            self._clear(node, frozenset())
            if reason not in GONE:
                self._reasons[node].add(reason)
                self._fell[node] = self._now()
        elif self._reasons[node]:
            if reason in GONE:
                self._reasons[node].clear()
                del self._fell[node]
                self._say(NodeDown(self._now(), node, reason))
            else:
                self._reasons[node].add(reason)

    def _fall_apart(self, node: str, reason: str, accelerators: tuple[str, ...]) -> None:
        fresh = tuple(a for a in accelerators if not self._reasons[a])
        for accelerator in accelerators:
            self._reasons[accelerator].add(reason)
        self._fell |= dict.fromkeys(fresh, self._now())
        if fresh and self.up[node]:
            self._say(NodeDown(self._now(), node, reason, fresh))
            self._clear(node, frozenset(fresh))

    def rise(self, node: str, reason: str, accelerators: tuple[str, ...] = ()) -> None:
        """What fell for this reason is over."""
        if not accelerators:
            if reason in self._reasons[node]:
                self._reasons[node].discard(reason)
                if not self._reasons[node]:
                    del self._fell[node]
                    self.come(node)
            return
        had = [a for a in accelerators if reason in self._reasons[a]]
        for accelerator in had:
            self._reasons[accelerator].discard(reason)
        back = tuple(a for a in had if not self._reasons[a])
        for accelerator in back:
            del self._fell[accelerator]
        if back and self.up[node]:
            self._say(NodeUp(self._now(), node, back))

    def broken(self, since: float) -> bool:
        """Whether anything is under repair that broke by a time, seconds."""
        return any(fell <= since for fell in self._fell.values())

    def come(self, node: str) -> None:
        """A node is there and works, but for its accelerators that are broken."""
        self.up[node] = True
        self._promised.discard(node)
        self._say(NodeUp(self._now(), node))
        broken = tuple(a.id for a in self.of[node].accelerators if self._reasons.get(a.id))
        if broken:
            self._say(NodeDown(self._now(), node, min(self._reasons[broken[0]]), broken))

    def promise(self, pool: str, count: int) -> list[str]:
        """The first nodes of a pool that are neither there, nor broken, nor promised already: now they are."""
        away = (n.id for n in self.of.values() if n.pool == pool and not self.up[n.id] and not self._reasons.get(n.id))
        names = [name for name in away if name not in self._promised][:count]
        self._promised.update(names)
        return names

    def withdraw(self, nodes: Sequence[str]) -> None:
        """Nodes that were promised do not come."""
        self._promised.difference_update(nodes)
