"""All chance of a simulated world, by name: what one law draws changes nothing for another."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from struct import unpack
from zlib import crc32

import numpy as np


@dataclass(frozen=True, slots=True)
class Chance:
    """What is drawn from one seed."""

    seed: int

    def rng(self, *name: str | int) -> np.random.Generator:
        """A generator of the seed and a name."""
        return np.random.default_rng([self.seed, *(crc32(n.encode()) if isinstance(n, str) else n for n in name)])

    def lots(self, name: str, number: int) -> tuple[float, float]:
        """Two numbers from 0 to below 1, of the seed, a name and a number. A generator for each would be dear."""
        first, second = unpack("<QQ", blake2b(f"{self.seed} {name} {number}".encode(), digest_size=16).digest())
        return (first >> 11) * 2.0**-53, (second >> 11) * 2.0**-53
