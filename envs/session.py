"""One loop for every world: observe what happened, ask the policy, act."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from .cluster import Cluster, ClusterView
from .log import Log
from .nodes import Nodes
from .tenants import reclaims
from .vocabulary import Decision, Event


class World(Protocol):
    """Where decisions become real, and where events come from. It never chooses."""

    @property
    def nodes(self) -> Nodes:
        """The machines it has. A world whose tenants have quotas has `tenants` as well."""

    def act(self, decision: Decision) -> Sequence[Event] | None:
        """Begins to make a decision real. What comes of it arrives as events; what comes at once is returned."""

    def wait(self) -> Sequence[Event]:
        """Blocks (live) or jumps (simulated) until something happens: all events of that moment.

        An empty answer means that nothing will ever happen again.
        """


class Policy(Protocol):
    """Who decides. The same object serves in every world."""

    def decide(self, cluster: ClusterView) -> Iterable[Decision]:
        """Yields decisions. Read lazily: a generator sees the ledger after each of its own."""


class Session:
    """The loop between a world, its ledger and a policy, and the log of all that was said."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cluster = Cluster(world.nodes, getattr(world, "tenants", None))
        self.log = Log(self.cluster.nodes, tenants=self.cluster.tenants)

    def act(self, decision: Decision) -> None:
        """Ledger first: if it refuses (InvalidDecision), nothing has happened. Then the world, then the log."""
        self.cluster.decide(decision)
        at_once = self.world.act(decision)
        self.log.entries.append(decision)
        if at_once:
            for event in at_once:
                self.cluster.observe(event)
            self.log.entries.extend(at_once)

    def advance(self) -> bool:
        """Waits for the world's next events and follows them. False when all is over.

        What tenants reclaim is decided here, by the ledger's own rules, whatever the policy.
        """
        events = self.world.wait()
        observe = self.cluster.observe
        for event in events:
            observe(event)
        self.log.entries.extend(events)
        if self.cluster.tenants is not None:
            for decision in list(reclaims(self.cluster)):
                self.act(decision)
        return bool(events)

    def play(self, policy: Policy, listen: Callable[[Log], None] | None = None) -> Log:
        """Lets the policy decide after each moment in which something happened, until all is over.

        `listen` is called with the log whenever it has grown: when events have come, and when all is decided.
        """
        while self.advance():
            if listen is not None:
                listen(self.log)
            for decision in policy.decide(self.cluster):
                self.act(decision)
            if listen is not None:
                listen(self.log)
        return self.log
