"""Parts of accelerators: soft shares, which work side by side, and MIG instances, which do not feel each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

from ..traces.job import Job
from .mig import Instance

WHOLE = 1000
"""Thousandths in an accelerator: shares are counted in whole thousandths, so that they add up exactly."""


def thousandths(share: float) -> int:
    """A share in thousandths of an accelerator, at least one."""
    return WHOLE if share == 1 else max(1, round(share * WHOLE))


def amount(job: Job) -> int:
    """Thousandths of accelerators that a job asks for in all."""
    return job.gang * thousandths(job.share)


Fits = Callable[[str | None, str | None, str], bool]
"""Whether jobs of two profiles can work side by side on one accelerator of a kind; no world says so, all can."""


class Shares:
    """What is left of accelerators that are not given whole.

    Attributes:
        left: thousandths that are free, for each accelerator that is shared.
        tenant: who shares it: one tenant alone, as soft shares are no wall.
        memory: bytes that are free on it.
        guests: the profiles of the jobs that share it.
        slices: the MIG instances of each accelerator that is partitioned.
        open: those of them that are free, as bits.
        seat: instance's id -> (accelerator, position).
    """

    __slots__ = ("guests", "left", "memory", "open", "seat", "slices", "tenant")

    def __init__(self) -> None:
        self.left: dict[str, int] = {}
        self.tenant: dict[str, str | None] = {}
        self.memory: dict[str, float] = {}
        self.guests: dict[str, tuple[str | None, ...]] = {}
        self.slices: dict[str, tuple[Instance, ...]] = {}
        self.open: dict[str, int] = {}
        self.seat: dict[str, tuple[str, int]] = {}

    def copy(self) -> Shares:
        """A copy to think with."""
        copy = Shares()
        for name in self.__slots__:
            setattr(copy, name, getattr(self, name).copy())
        return copy

    def admits(self, job: Job, accelerator: str, need: int) -> str | None:
        """Why a job cannot have so many thousandths of a shared accelerator, None if it can."""
        left = self.left.get(accelerator, 0)
        if need > left:
            return f"{left}/{WHOLE} is left"
        if job.tenant != self.tenant[accelerator]:
            return f"tenant {self.tenant[accelerator]} has the rest"
        if (job.memory or 0) > self.memory[accelerator]:
            return f"{self.memory[accelerator]:.0f} bytes of its memory are left"
        return None

    def clashes(self, job: Job, accelerator: str, kind: str, fits: Fits) -> str | None:
        """Why a job cannot work beside those who share an accelerator of this kind, None if it can."""
        worse = next((guest for guest in self.guests[accelerator] if not fits(job.profile, guest, kind)), None)
        return None if worse is None else f"beside '{worse}' '{job.profile}' does not fit on {kind}"

    def enter(self, job: Job, accelerator: str, need: int, memory: int | None) -> None:
        """Gives a part of an accelerator; `memory` is all that it has, bytes."""
        if accelerator not in self.left:
            self.left[accelerator] = WHOLE
            self.tenant[accelerator] = job.tenant
            self.memory[accelerator] = inf if memory is None else memory
            self.guests[accelerator] = ()
        self.guests[accelerator] += (job.profile,)
        self.left[accelerator] -= need
        self.memory[accelerator] -= job.memory or 0

    def leave(self, job: Job, accelerator: str, need: int) -> bool:
        """Takes a part back; True if the accelerator is whole again."""
        self.left[accelerator] += need
        self.memory[accelerator] += job.memory or 0
        if self.left[accelerator] < WHOLE:
            at = self.guests[accelerator].index(job.profile)
            self.guests[accelerator] = self.guests[accelerator][:at] + self.guests[accelerator][at + 1 :]
            return False
        del self.left[accelerator], self.tenant[accelerator], self.memory[accelerator], self.guests[accelerator]
        return True

    def cut(self, accelerator: str, instances: tuple[Instance, ...], usable: bool) -> None:
        """Notes that an accelerator has become these MIG instances; none: it is whole."""
        for identity in self.names(accelerator):
            del self.seat[identity]
        self.slices.pop(accelerator, None)
        self.open.pop(accelerator, None)
        if instances:
            self.slices[accelerator] = instances
            self.open[accelerator] = (1 << len(instances)) - 1 if usable else 0
            self.seat |= {name: (accelerator, at) for at, name in enumerate(self.names(accelerator))}

    def names(self, accelerator: str) -> list[str]:
        """The ids of an accelerator's MIG instances: "accelerator#start"."""
        return [f"{accelerator}#{one.start}" for one in self.slices.get(accelerator, ())]

    def idle(self, accelerator: str) -> bool:
        """Whether a partitioned accelerator has nobody on its instances."""
        return self.open[accelerator] == (1 << len(self.slices[accelerator])) - 1

    def holds(self, job: Job, identity: str, share: float) -> str | None:
        """Why a MIG instance cannot take a job, None if it can."""
        accelerator, at = self.seat[identity]
        if not self.open[accelerator] >> at & 1:
            return "it is taken"
        one = self.slices[accelerator][at]
        if round(share * 7 * WHOLE) > one.compute * WHOLE:
            return f"it is {one.compute}/7 of an accelerator"
        if (job.memory or 0) > one.memory:
            return f"it has {one.memory} bytes of memory"
        return None

    def flip(self, identity: str) -> None:
        """Takes a MIG instance, or gives it back."""
        accelerator, at = self.seat[identity]
        self.open[accelerator] ^= 1 << at

    def instances(self, job: Job, share: float) -> Iterator[tuple[float, int, str]]:
        """Free MIG instances that can take the job: (compute sevenths, bytes, id)."""
        for accelerator, free in self.open.items():
            if free:
                for one, name in zip(self.slices[accelerator], self.names(accelerator), strict=True):
                    if self.holds(job, name, share) is None:
                        yield one.compute, one.memory, name
