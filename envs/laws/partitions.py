"""Cutting an accelerator into MIG instances takes a while."""

from __future__ import annotations

from dataclasses import dataclass

from .law import Stage, check, not_negative


@dataclass(frozen=True, slots=True)
class Partitions:
    """The ledger sees that only idle accelerators are cut, and only as their kind allows; this says how long it takes.

    Attributes:
        seconds: for destroying and creating instances. Seconds, by NVIDIA's MIG user guide; no figure is published. On
            Ampere, turning the mode on or off also resets the GPU, which `reset` counts.
        reset: seconds more when an accelerator becomes MIG or whole again.
    """

    seconds: float = 5.0
    reset: float = 10.0

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        check(self, "partitions", ("seconds", "reset"), not_negative, "seconds, 0 or more")

    def begin(self, stage: Stage) -> _Cutter:
        """The cutter, who knows what is cut."""
        return _Cutter(self)


class _Cutter:
    def __init__(self, law: Partitions) -> None:
        self._law = law
        self._cut: set[str] = set()

    def cut(self, accelerator: str, profiles: tuple[str, ...]) -> float:
        """Seconds until it is done."""
        turned = bool(profiles) is not (accelerator in self._cut)
        (self._cut.add if profiles else self._cut.discard)(accelerator)
        return self._law.seconds + (self._law.reset if turned else 0.0)
