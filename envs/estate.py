"""The machines as the ledger knows them: which are there, which come and go, what limits their power."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import Literal

from .nodes import Node
from .vocabulary import Cap, Declined, InvalidDecision, NodeDown, NodeUp, Notice, Partition, Partitioned, Provision

State = Literal["up", "absent", "down", "leaving"]


class Estate:
    """Nodes by state.

    Attributes:
        nodes: all that may ever be there, by id.
        states: "up"; "absent" (not provisioned, or asleep); "down" (broken); "leaving" (given back, not yet gone).
        noticed: spot nodes that will be taken away -> when, seconds.
        coming: nodes that each pool was asked for and that are not there yet.
        caps: accelerators with a power limit -> watts.
        cutting: accelerators that are being partitioned -> into what.
    """

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.states: dict[str, State] = {node.id: "up" if node.present else "absent" for node in nodes}
        self.noticed: dict[str, float] = {}
        self.coming: Counter[str] = Counter()
        self.caps: dict[str, float] = {}
        self.cutting: dict[str, tuple[str, ...]] = {}
        self._node_of = {a.id: node.id for node in nodes for a in node.accelerators}

    def pool(self, name: str) -> list[Node]:
        """The nodes of a pool, there or not."""
        return [node for node in self.nodes.values() if node.pool == name]

    def can_come(self, pool: str) -> int:
        """How many more nodes of a pool may be asked for."""
        absent = sum(self.states[node.id] == "absent" for node in self.pool(pool))
        return absent - self.coming[pool]

    def provision(self, decision: Provision) -> None:
        """Notes what was asked for, or raises InvalidDecision."""
        pool, count = decision.pool, decision.count
        if not self.pool(pool):
            pools = sorted({node.pool for node in self.nodes.values() if node.pool}) or ["none"]
            raise InvalidDecision(f"there is no pool '{pool}'; there is {', '.join(pools)}")
        if not 1 <= count <= self.can_come(pool):
            raise InvalidDecision(f"pool '{pool}' cannot give {count} nodes: {self.can_come(pool)} more may come")
        self.coming[pool] += count

    def release(self, node: str) -> None:
        """Notes that a node is given back, or raises InvalidDecision."""
        if node not in self.nodes or self.nodes[node].pool is None:
            raise InvalidDecision(f"node {node} is of no pool: it cannot be given back")
        if self.states[node] != "up":
            raise InvalidDecision(f"node {node} is {self.states[node]}: it cannot be given back")
        self.states[node] = "leaving"

    def cap(self, decision: Cap) -> None:
        """Notes a power limit, or raises InvalidDecision."""
        if decision.accelerator not in self._node_of:
            raise InvalidDecision(f"there is no accelerator {decision.accelerator}")
        if decision.watts is None:
            self.caps.pop(decision.accelerator, None)
        elif not 0 < decision.watts < inf:
            raise InvalidDecision(f"{decision.accelerator} cannot be limited to {decision.watts} W")
        else:
            self.caps[decision.accelerator] = decision.watts

    def partition(self, decision: Partition) -> None:
        """Notes what an accelerator is being cut into."""
        self.cutting[decision.accelerator] = decision.profiles

    def went_up(self, event: NodeUp) -> bool:
        """Follows a node that has come; whether the whole node has."""
        if self.states[event.node] == "up" and not event.accelerators:
            raise ValueError(f"{event}: it is up already")
        if event.accelerators:
            return False
        pool = self.nodes[event.node].pool
        if self.states[event.node] == "absent" and pool is not None and self.coming[pool]:
            self.coming[pool] -= 1
        self.states[event.node] = "up"
        return True

    def went_down(self, event: NodeDown) -> bool:
        """Follows a node that has gone; whether the whole node has that was up. A broken one may be taken away."""
        if event.accelerators:
            return False
        before, gone = self.states[event.node], event.reason in GONE
        if before == "absent" or (before == "down" and not gone):
            raise ValueError(f"{event}: it is {before} already")
        self.states[event.node] = "absent" if gone else "down"
        self.noticed.pop(event.node, None)
        return before != "down"

    def notice(self, event: Notice) -> None:
        """Follows the notice of a spot node's end."""
        self.noticed[event.node] = event.time + event.seconds

    def declined(self, event: Declined) -> None:
        """Follows a pool that has none."""
        self.coming[event.pool] -= event.count

    def partitioned(self, event: Partitioned) -> None:
        """Follows a partition that is done."""
        if self.cutting.pop(event.accelerator, None) != event.profiles:
            raise ValueError(f"{event} was not asked for")

    def state(self) -> dict[str, object]:
        """All that it knows, in plain values."""
        return {
            "nodes": {node: state for node, state in self.states.items() if state != "up"},
            "noticed": dict(self.noticed),
            "coming": {pool: count for pool, count in self.coming.items() if count},
            "caps": dict(self.caps),
            "cutting": dict(self.cutting),
        }


GONE = frozenset({"released", "reclaimed"})
"""Reasons for which a node is gone rather than broken: it may be provisioned again."""
