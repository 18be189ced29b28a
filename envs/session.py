"""One loop for every world: observe what happened, ask the policy, act."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from .cluster import Cluster, ClusterView
from .log import Log
from .nodes import Nodes
from .reclaims import Reclaims
from .tuning import with_tuning
from .vocabulary import SIMPLE, Decision, Event, InvalidDecision, Move, Resize, Start


class World(Protocol):
    """Where decisions become real, and where events come from. It never chooses.

    A world may have more, which a session asks for: `does`, the kinds of decisions that it can make real (`SIMPLE` if
    it does not say); `tenants`, who may hold how much; `fits`, which profiles can share an accelerator; `tuned`,
    whether jobs are told how to use what they get; `opening`, decisions that are made before anything happens.
    """

    @property
    def nodes(self) -> Nodes:
        """The machines it has."""

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
        self._does: frozenset[type] = getattr(world, "does", SIMPLE)
        tenants, fits = getattr(world, "tenants", None), getattr(world, "fits", None)
        self.cluster = Cluster(world.nodes, tenants, fits, self._does)
        self.log = Log(self.cluster.nodes, tenants=self.cluster.tenants)
        self._tuned = bool(getattr(world, "tuned", False))
        self._opening: Sequence[Decision] = getattr(world, "opening", ())
        self._reclaims = None if tenants is None else Reclaims(self.cluster, tenants)

    def act(self, decision: Decision) -> None:
        """Ledger first: if it refuses (InvalidDecision), nothing has happened. Then the world, then the log."""
        if type(decision) not in self._does:
            can = ", ".join(sorted(one.__name__ for one in self._does))
            raise InvalidDecision(f"{decision}: {type(self.world).__name__} knows {can} alone")
        if self._tuned and isinstance(decision, Start | Move | Resize):
            decision = with_tuning(decision, self.cluster)
        self.cluster.decide(decision)
        if self._reclaims is not None:
            self._reclaims.follow(decision)
        at_once = self.world.act(decision)
        self.log.entries.append(decision)
        if at_once:
            for event in at_once:
                self.cluster.observe(event)
            self.log.entries.extend(at_once)

    def advance(self) -> bool:
        """Waits for the world's next events and follows them. False when all is over.

        What tenants reclaim is decided here, by the ledger's own rules, whatever the policy. When a place that was kept
        for somebody has been let pass the policy is to decide again, and nothing has happened.
        """
        if self._opening:
            opening, self._opening = self._opening, ()
            self._all(opening)
        if self._reclaims is not None:
            self._all(self._reclaims.after_all())
            if self._reclaims.again:
                return True
        events = self.world.wait()
        observe = self.cluster.observe
        for event in events:
            observe(event)
        self.log.entries.extend(events)
        if self._reclaims is not None:
            self._all(self._reclaims.demands())
        return bool(events)

    def _all(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            self.act(decision)

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
