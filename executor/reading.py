"""What one look at a GPU tells. What the hardware or its driver cannot tell is None, never 0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..envs.nodes import Accelerator


@dataclass(frozen=True, slots=True)
class Process:
    """A compute process on a GPU.

    Attributes:
        pid: as this process sees it (its own pid namespace).
        memory: bytes of GPU memory, None if the driver does not say.
    """

    pid: int
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Partition:
    """A MIG device: a fixed part of a GPU that can be given to a job like a GPU.

    Attributes:
        uuid: "MIG-...", what CUDA_VISIBLE_DEVICES understands.
        kind: "A100-MIG-1g.5gb", or "A100-MIG" where the driver does not tell the profile.
        profile: "1g.5gb", as NVIDIA's MIG user guide names it.
        memory_total: bytes.
        memory_used: bytes.
        processes: the compute processes on it.
    """

    uuid: str
    kind: str
    profile: str | None = None
    memory_total: int | None = None
    memory_used: int | None = None
    processes: tuple[Process, ...] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at one GPU.

    Attributes:
        index: NVML's index, for display only: it changes when a GPU is lost.
        uuid: its name for ever; None for a GPU that was lost before it was ever seen.
        name: as the driver says it, "NVIDIA A100-SXM4-40GB".
        kind: in short, as `envs/kinds.toml` has it: "A100", "A100-80GB".
        pci: its address on the bus, "00000000:3B:00.0".
        memory_total: bytes.
        memory_used: bytes, without what the driver keeps for itself where it tells that apart.
        gpu_busy: part of the last moments (a sixth of a second to one second) with a kernel running, 0 to 1.
        memory_busy: part of them with memory read or written, 0 to 1.
        watts: power draw.
        watts_limit: the enforced limit.
        joules: energy since the driver was loaded.
        link_sent: bytes sent to other accelerators over NVLink since the driver was loaded, all links together.
        celsius: temperature.
        ecc_errors: uncorrected memory errors since the driver was loaded.
        processes: compute processes that are alive.
        mig: whether it is in MIG mode.
        partitions: its MIG devices.
        emulated: no hardware stands behind it.
        trouble: why it cannot be used: lost, or in need of a reset or of repair.
    """

    index: int
    uuid: str | None = None
    name: str | None = None
    kind: str | None = None
    pci: str | None = None
    memory_total: int | None = None
    memory_used: int | None = None
    gpu_busy: float | None = None
    memory_busy: float | None = None
    watts: float | None = None
    watts_limit: float | None = None
    joules: float | None = None
    link_sent: int | None = None
    celsius: float | None = None
    ecc_errors: int | None = None
    processes: tuple[Process, ...] | None = None
    mig: bool | None = None
    partitions: tuple[Partition, ...] = ()
    emulated: bool = False
    trouble: str | None = None

    def names(self) -> Iterator[str]:
        """What it and its MIG devices are called."""
        if self.uuid is not None:
            yield self.uuid
        yield from (part.uuid for part in self.partitions)

    def accelerators(self, skip_busy: bool = False) -> Iterator[Accelerator]:
        """What of it can be given to jobs: nothing when in trouble, its MIG devices in MIG mode, else itself.

        Args:
            skip_busy: leave out those on which a process runs.
        """
        if self.trouble or self.uuid is None:
            return
        if not self.mig:
            if not (skip_busy and self.processes):
                yield Accelerator(self.uuid, self.kind or "unknown", self.memory_total, self.emulated)
            return
        for part in self.partitions:
            if not (skip_busy and part.processes):
                yield Accelerator(part.uuid, part.kind, part.memory_total, self.emulated)
