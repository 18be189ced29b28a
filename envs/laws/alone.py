"""A stage without jobs: what laws do to machines alone, to look at or to compare with what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from ...traces.job import Trace
from ..chance import Chance
from ..machines import Machines
from ..nodes import Node, Nodes
from ..vocabulary import Event
from .law import Law, Run


@dataclass(frozen=True, slots=True)
class Fall:
    """A node was taken down, or an accelerator, by one cause.

    Attributes:
        node: its id.
        reason: in a few words.
        accelerators: those that fell; empty for the node with all it has.
        start: seconds.
        end: seconds; infinite if it had not risen when the play ended.
    """

    node: str
    reason: str
    accelerators: tuple[str, ...]
    start: float
    end: float


class Alone:
    """Machines under one law, without any job. It is a `law.Stage`, and draws what a world of the same seed draws.

    Args:
        law: the law.
        nodes: the machines.
        seed: of all chance.

    Attributes:
        falls: what the law took down, in the order in which it rose again; each cause by itself, overlapping or not.
        events: what a ledger would be told.
    """

    def __init__(self, law: Law, nodes: Nodes, seed: int = 0) -> None:
        self.now = 0.0
        self.rng, self.lots = Chance(seed).rng, Chance(seed).lots
        self.trace = Trace((), {})
        self.events: list[Event] = []
        self.falls: list[Fall] = []
        self.runs: Mapping[int, Run] = {}
        self._machines = Machines(nodes, lambda: self.now, self.events.append, lambda _, __: None)
        self.machines: Mapping[str, Node] = self._machines.of
        self.up: Mapping[str, bool] = self._machines.up
        self._open: dict[tuple[str, str, tuple[str, ...]], float] = {}
        self._order = count()
        self._ahead: list[tuple[float, int, Callable[[], None]]] = []
        self._following = law.begin(self)

    def play(self, seconds: float) -> Alone:
        """Lets time pass up to then; what is down then stays so for ever."""
        while self._ahead and self._ahead[0][0] <= seconds:
            self.now, _, then = heappop(self._ahead)
            then()
        self.now = seconds
        left = [Fall(node, why, some, start, float("inf")) for (node, why, some), start in self._open.items()]
        self.falls += left
        self._open.clear()
        return self

    def at(self, time: float, then: Callable[[], None]) -> None:
        """Calls `then` at a time; at once if that is over."""
        heappush(self._ahead, (max(time, self.now), next(self._order), then))

    def say(self, event: Event) -> None:
        """Notes an event."""
        self.events.append(event)

    def fall(self, node: str, reason: str, accelerators: tuple[str, ...] = ()) -> None:
        """A node goes down, or some of its accelerators."""
        self._open.setdefault((node, reason, accelerators), self.now)
        self._machines.fall(node, reason, accelerators)

    def rise(self, node: str, reason: str, accelerators: tuple[str, ...] = ()) -> None:
        """What fell for this reason is over."""
        start = self._open.pop((node, reason, accelerators), None)
        if start is not None:
            self.falls.append(Fall(node, reason, accelerators, start, self.now))
        self._machines.rise(node, reason, accelerators)

    def come(self, node: str) -> None:
        """A node that was provisioned is there."""
        self._machines.come(node)

    def decline(self, pool: str, nodes: Sequence[str]) -> None:
        """Nodes do not come; nobody asked."""

    def on(self, accelerator: str) -> Sequence[Run]:
        """Nobody."""
        return ()

    def look(self, *accelerators: str) -> None:
        """Nobody looks."""

    def touch(self, run: Run) -> None:
        """Nobody runs."""

    def end(self, job: int, reason: str) -> None:
        """Nobody runs."""

    def ready(self, job: int) -> None:
        """Nobody waits."""
