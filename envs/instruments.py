"""What looks at accelerators in the simulated world: whoever changes is looked at once, when the moment has settled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .laws.law import Look
from .nodes import Nodes
from .vocabulary import Measured, Sample


class Instruments:
    """Accelerators to be looked at, and the senses that tell what there is to see.

    Args:
        nodes: all that may ever be there.
        up: node -> whether it is; nobody sees what is not there.
        senses: each fills in its part of a look.

    Attributes:
        unseen: those that are to be looked at when the moment has settled.
    """

    def __init__(self, nodes: Nodes, up: Mapping[str, bool], senses: Iterable[Callable[[Look], None]]) -> None:
        self._up, self._senses = up, list(senses)
        self._node_of = {a.id: node.id for node in nodes for a in node.accelerators}
        self.unseen: dict[str, None] = {}
        for node in nodes:
            if node.present:
                self.look(a.id for a in node.accelerators)

    def look(self, accelerators: Iterable[str]) -> None:
        """Has accelerators looked at; MIG instances are looked at with the whole."""
        if self._senses:
            self.unseen.update({name.partition("#")[0]: None for name in accelerators})

    def measure(self, now: float) -> Measured | None:
        """What is seen of those that are there."""
        seen, self.unseen = self.unseen, {}
        samples = []
        for accelerator in seen:
            if self._up[self._node_of[accelerator]]:
                look = Look(accelerator)
                for sense in self._senses:
                    sense(look)
                samples.append(Sample(accelerator, look.busy, look.memory, look.watts, look.link))
        return Measured(now, tuple(samples)) if samples else None
