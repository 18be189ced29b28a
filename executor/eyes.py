"""Eyes on this machine's accelerators: what NVML tells of them, with the fields that the simulated world has."""

from __future__ import annotations

from collections.abc import Iterator

from ..envs.nodes import Nodes
from ..envs.vocabulary import Measured, Sample
from .nvml import NoDriver, Nvml
from .reading import Reading


class Eyes:
    """Looks at the accelerators that the driver shows when they are opened; no others are ever told of.

    What the driver cannot tell is None: all of a GPU that is lost, and of a MIG device all but its memory, because
    use, draw and links are measured of whole GPUs alone. An emulated GPU that no driver shows is not watched. A driver
    that hangs holds up whoever looks.

    Attributes:
        watched: ids of the accelerators that are looked at.

    Args:
        nodes: the machines.
        nvml: who is asked, a new conversation with the driver if None.
    """

    def __init__(self, nodes: Nodes, nvml: Nvml | None = None) -> None:
        self._nvml = Nvml() if nvml is None else nvml
        self._sent: dict[str, tuple[float, int]] = {}
        shown = {name for reading in self._readings() for name in reading.names()}
        self.watched = tuple(a.id for node in nodes for a in node.accelerators if a.id in shown)

    def look(self, now: float) -> Measured:
        """One look at all that is watched. Link traffic is the mean since the look before, unknown at the first."""
        told = {one.accelerator: one for reading in self._readings() for one in self._samples(reading, now)}
        return Measured(now, tuple(told.get(name, Sample(name)) for name in self.watched))

    def close(self) -> None:
        """Ends the conversation with the driver."""
        self._nvml.close()

    def _readings(self) -> list[Reading]:
        try:
            return self._nvml.readings()
        except NoDriver:
            return []

    def _samples(self, reading: Reading, now: float) -> Iterator[Sample]:
        for part in reading.partitions:
            yield Sample(part.uuid, memory=part.memory_used)
        if reading.uuid is not None:
            link = self._link(reading.uuid, reading.link_sent, now)
            yield Sample(reading.uuid, reading.gpu_busy, reading.memory_used, reading.watts, link)

    def _link(self, name: str, sent: int | None, now: float) -> float | None:
        """Bytes a second since the last look; None if one of both counts is unknown, or began anew."""
        then, before = self._sent.pop(name, (now, 0))
        if sent is None:
            return None
        self._sent[name] = now, sent
        return (sent - before) / (now - then) if now > then and sent >= before else None
