"""MIG: cutting an accelerator into instances. Profiles begin on fixed memory slots, so not every set of them fits.

Profiles, sizes and slots are those of NVIDIA's Multi-Instance GPU User Guide and `nvidia-smi mig -lgipp`; they stand in
`kinds.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from .kinds import Slice
from .kinds import kind as facts
from .vocabulary import InvalidDecision

SLOTS, SEVENTHS = 8, 7
"""Memory slots, and sevenths of compute, of one accelerator."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A MIG instance.

    Attributes:
        profile: such as "3g.20gb".
        compute: sevenths of the accelerator.
        memory: bytes.
        start: the memory slot on which it begins; no other instance of its accelerator has the same.
    """

    profile: str
    compute: float
    memory: int
    start: int


@cache
def instances(kind: str, profiles: tuple[str, ...]) -> tuple[Instance, ...]:
    """Where instances of these profiles stand on an accelerator, by start slot; none for none.

    The first arrangement in the order of the profiles, each on the first slot that lets the others fit as well.

    Raises:
        InvalidDecision: a kind that cannot be cut, a profile that it does not have, or profiles that do not fit.
    """
    if not profiles:
        return ()
    known = facts(kind)
    if known is None or not known.mig:
        raise InvalidDecision(f"{kind} cannot be cut into MIG instances")
    there = {one.profile: one for one in known.mig}
    if wrong := next((name for name in profiles if name not in there), None):
        raise InvalidDecision(f"{kind} has no MIG profile '{wrong}'; it has {', '.join(there)}")
    cut = [there[name] for name in profiles]
    starts = _arranged(cut)
    if starts is None:
        raise InvalidDecision(f"{kind} cannot be cut into {' + '.join(profiles)}: they do not fit side by side")
    each = (known.memory or 0) // SLOTS
    made = (Instance(s.profile, s.compute, s.memory * each, at) for s, at in zip(cut, starts, strict=True))
    return tuple(sorted(made, key=lambda one: one.start))


def _arranged(cut: Sequence[Slice]) -> list[int] | None:
    """A start slot for each, None if there is no way."""
    if sum(one.compute for one in cut) > SEVENTHS:
        return None
    return next(_ways(cut, 0), None)


def _ways(cut: Sequence[Slice], taken: int) -> Iterator[list[int]]:
    """All ways to place the profiles on slots that are not taken (as bits)."""
    if not cut:
        yield []
        return
    first, *rest = cut
    for start in first.starts:
        mask = ((1 << first.memory) - 1) << start
        if not mask & taken and mask < 1 << SLOTS:
            for others in _ways(rest, taken | mask):
                yield [start, *others]
