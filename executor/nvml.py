"""The probe: what NVML shows of this machine's GPUs. The only file that knows NVIDIA's binding."""

from __future__ import annotations

import os
from contextlib import suppress
from types import TracebackType
from typing import Any

import pynvml

from ..envs.nodes import Node
from ..traces.trouble import BadInput
from .machine import this_machine
from .names import kind_of, profile_in, profile_of
from .reading import Partition, Process, Reading

binding: Any = pynvml  # it declares no types

_CURE = "or use emulated ones (--gpus emulated:4xA100)"
_NO_DRIVER = {
    binding.NVML_ERROR_LIBRARY_NOT_FOUND: f"no NVIDIA driver here (no libnvidia-ml.so.1); install one, {_CURE}",
    binding.NVML_ERROR_DRIVER_NOT_LOADED: f"the NVIDIA driver is not loaded; load it (modprobe nvidia), {_CURE}",
    binding.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the NVIDIA driver was changed under its running module; reboot",
    binding.NVML_ERROR_NO_PERMISSION: f"this user may not talk to the NVIDIA driver; ask for /dev/nvidiactl, {_CURE}",
}
_LOST = "lost: fell off the bus; reset it or reboot"
_BROKEN = {
    binding.NVML_ERROR_GPU_IS_LOST: _LOST,
    binding.NVML_ERROR_GPU_NOT_FOUND: _LOST,
    binding.NVML_ERROR_RESET_REQUIRED: "needs a reset",
}
# NVML_FI_DEV_GET_GPU_RECOVERY_ACTION and its values (drivers from 570 on; an older binding does not name them).
_RECOVERY_ACTION = 230
_ALL_LINKS = 2**32 - 1  # as nvml.h says it: a scope of UINT_MAX sums up all links
_ACTIONS = {1: "a reset", 2: "a reboot of the node", 3: "peer-to-peer work to drain", 4: "a drain, then a reset"}


class NoDriver(BadInput):
    """There is no NVIDIA driver to ask. Its text says which part is missing and what to do."""


class Nvml:
    """A conversation with the driver, opened when first needed, and anew in a process forked from its owner.

    It remembers the GPUs it has seen, so that one that is lost later is still called by its UUID. Use it as a context
    manager, or `close()` it.
    """

    def __init__(self) -> None:
        self._pid: int | None = None
        self._seen: dict[str, Reading] = {}

    def __enter__(self) -> Nvml:
        """Opens nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()

    def close(self) -> None:
        """Ends the conversation; the next question opens it again."""
        if self._pid == os.getpid():
            with suppress(binding.NVMLError):
                binding.nvmlShutdown()
        self._pid = None

    def readings(self) -> list[Reading]:
        """Returns one reading for each GPU, in NVML's order; a lost one takes down no other.

        Raises NoDriver.
        """
        found = [self._read(index) for index in range(self._open())]
        here = {reading.uuid for reading in found}
        gone = {lost.index: lost for uuid, lost in self._seen.items() if uuid not in here}
        found = [reading if reading.uuid else gone.pop(reading.index, reading) for reading in found]
        return found + list(gone.values())

    def processes(self, uuid: str) -> tuple[Process, ...] | None:
        """Returns the compute processes on a GPU or MIG device, None if it cannot tell (or is not there).

        Raises NoDriver.
        """
        self._open()
        try:
            return _processes(_Device(binding.nvmlDeviceGetHandleByUUID(uuid)))
        except binding.NVMLError:
            return None

    def _open(self) -> int:
        """Opens if need be, and returns how many GPUs there are."""
        try:
            if self._pid != os.getpid():
                binding.nvmlInit()
                self._pid = os.getpid()
            return int(binding.nvmlDeviceGetCount())
        except binding.NVMLError as error:
            raise NoDriver(
                _NO_DRIVER.get(error.value, f"NVML does not answer: {error}; see nvidia-smi, {_CURE}")
            ) from None

    def _read(self, index: int) -> Reading:
        try:
            reading = _look(_Device(binding.nvmlDeviceGetHandleByIndex(index)), index)
        except binding.NVMLError as error:
            return Reading(index, trouble=_BROKEN.get(error.value, f"cannot be opened: {error}"))
        if reading.uuid:
            self._seen[reading.uuid] = Reading(
                index, reading.uuid, reading.name, reading.kind, emulated=reading.emulated, trouble=_LOST
            )
        return reading


def probe(skip_busy: bool = False) -> tuple[Node, ...]:
    """Returns this machine with the accelerators that can be given to jobs: whole GPUs, and MIG devices in MIG mode.

    Args:
        skip_busy: leave out those on which a process runs already.

    Raises NoDriver.
    """
    return (this_machine(a for reading in readings() for a in reading.accelerators(skip_busy)),)


def readings() -> list[Reading]:
    """Returns one look at each GPU of this machine. Raises NoDriver."""
    with Nvml() as nvml:
        return nvml.readings()


class _Device:
    """A handle that is asked politely: what it does not tell is None, and that it is lost is remembered."""

    def __init__(self, handle: object) -> None:
        self.handle = handle
        self.trouble: str | None = None

    def ask(self, what: str, *arguments: object) -> Any:
        """Returns nvmlDeviceGet`what`, or None if the binding, the driver or the hardware has no answer."""
        call = getattr(pynvml, f"nvmlDeviceGet{what}", None)
        try:
            return call and call(self.handle, *arguments)
        except binding.NVMLError as error:
            self.trouble = self.trouble or _BROKEN.get(error.value)
            return None

    def scaled(self, what: str, unit: float) -> float | None:
        """Returns the same in units of `unit`."""
        value = self.ask(what)
        return None if value is None else value * unit


def _look(device: _Device, index: int) -> Reading:
    name = device.ask("Name")
    memory, busy, pci = _memory(device), device.ask("UtilizationRates"), device.ask("PciInfo")
    mig = device.ask("MigMode")
    kind = None if name is None else kind_of(name, memory and memory.total)
    return Reading(
        index=index,
        uuid=device.ask("UUID"),
        name=name,
        kind=kind,
        pci=pci and pci.busId,
        memory_total=memory and memory.total,
        memory_used=memory and memory.used,
        gpu_busy=busy and busy.gpu / 100,
        memory_busy=busy and busy.memory / 100,
        watts=device.scaled("PowerUsage", 1e-3),
        watts_limit=device.scaled("EnforcedPowerLimit", 1e-3),
        joules=device.scaled("TotalEnergyConsumption", 1e-3),
        link_sent=_link_sent(device),
        celsius=_celsius(device),
        ecc_errors=device.ask("TotalEccErrors", binding.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, binding.NVML_VOLATILE_ECC),
        processes=_processes(device),
        mig=mig and bool(mig[0]),
        partitions=_partitions(device, kind or "GPU", memory and memory.total) if mig and mig[0] else (),
        emulated="Emulated" in (name or ""),
        trouble=_complaint(device) or device.trouble,
    )


def _memory(device: _Device) -> Any:
    # The second version tells what the driver keeps for itself apart from what is used.
    return device.ask("MemoryInfo", binding.nvmlMemory_v2) or device.ask("MemoryInfo")


def _link_sent(device: _Device) -> int | None:
    value = _field(device, binding.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, _ALL_LINKS)
    return None if value is None else int(value.ullVal) * 1024  # it counts KiB


def _field(device: _Device, which: int, scope: int = 0) -> Any:
    fields = device.ask("FieldValues", [(which, scope)])
    return fields[0].value if fields and fields[0].nvmlReturn == binding.NVML_SUCCESS else None


def _celsius(device: _Device) -> float | None:
    # The first is new, the second is going away: drivers of these years know one of them or both.
    new = device.ask("TemperatureV", binding.NVML_TEMPERATURE_GPU)
    value = device.ask("Temperature", binding.NVML_TEMPERATURE_GPU) if new is None else new
    return None if value is None else float(value)


def _processes(device: _Device) -> tuple[Process, ...] | None:
    found = device.ask("ComputeRunningProcesses_v3")
    if found is None:
        found = device.ask("ComputeRunningProcesses_v2")
    return None if found is None else tuple(Process(p.pid, p.usedGpuMemory) for p in found if _alive(p.pid))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's, alive
    return True


def _partitions(gpu: _Device, kind: str, total: int | None) -> tuple[Partition, ...]:
    most = gpu.ask("MaxMigDeviceCount") or 0
    handles = (gpu.ask("MigDeviceHandleByIndex", index) for index in range(most))  # there may be holes between
    return tuple(part for handle in handles if handle and (part := _partition(_Device(handle), kind, total)))


def _partition(device: _Device, kind: str, total: int | None) -> Partition | None:
    uuid, memory = device.ask("UUID"), _memory(device)
    if uuid is None:
        return None
    profile = profile_in(device.ask("Name") or "") or _profile(device.ask("Attributes_v2"), total)
    return Partition(
        uuid,
        f"{kind}-MIG-{profile}" if profile else f"{kind}-MIG",
        profile,
        memory and memory.total,
        memory and memory.used,
        _processes(device),
    )


def _profile(told: Any, total: int | None) -> str | None:
    if told is None or not total:
        return None
    return profile_of(told.gpuInstanceSliceCount, told.computeInstanceSliceCount, told.memorySizeMB, total)


def _complaint(device: _Device) -> str | None:
    """Returns what the driver itself holds against a GPU that still answers."""
    rows = device.ask("RemappedRows")
    if rows and rows[3]:
        return "its memory is beyond repair (row remapping failed); have it replaced"
    value = _field(device, _RECOVERY_ACTION)
    action = 0 if value is None else value.uiVal
    return f"the driver asks for {_ACTIONS.get(action, f'recovery action {action}')}" if action else None
