"""The partial allocation mechanism: an auction of things of one sort in which honest bids pay.

Cole, Gkatzelis and Goel, EC 2013, "Mechanism Design for Fair Division", as Themis uses it (Mahajan et al., NSDI 2020,
section 4). What maximises the product of all values is found exactly, by dynamic programming over counts; each winner
then keeps only the part
    c_i = (product of the others' values as it is) / (product of the others' values if i had not bid)
of what it won: the harm that it does is its hidden payment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bid:
    """What one bidder would make of more and more.

    Attributes:
        sizes: of the bundles it names, ascending, the first 0.
        values: of each, above 0.
    """

    sizes: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Win:
    """What one bidder won.

    Attributes:
        bundle: which of its bundles.
        keeps: the part of it that it keeps, 0 to 1.
    """

    bundle: int
    keeps: float


def auction(bids: Sequence[Bid], pool: int) -> list[Win]:
    """Gives at most `pool` things to bidders so that the product of their values is largest, and takes the payments."""
    tables = [_table(bid, pool) for bid in bids]
    before, after = _sums(tables, pool), _sums(tables[::-1], pool)[::-1]
    wins, left = [0] * len(bids), pool
    for number in range(len(bids) - 1, -1, -1):
        options = [before[number][left - size] + gain if size <= left else -np.inf for size, gain in tables[number]]
        wins[number] = int(np.argmax(options))
        left -= bids[number].sizes[wins[number]]
    best = before[-1][pool]
    found = []
    for number, win in enumerate(wins):
        without = float((before[number] + after[number + 1][::-1]).max())
        part = np.exp(best - tables[number][win][1] - without) * (1 + 1e-12)  # whole where nobody is harmed
        found.append(Win(win, min(float(part), 1.0)))
    return found


def _table(bid: Bid, pool: int) -> list[tuple[int, float]]:
    """(size, logarithm of the value) of the bundles that there is enough for."""
    pairs = zip(bid.sizes, np.log(bid.values).tolist(), strict=True)
    return [(size, gain) for size, gain in pairs if size <= pool]


def _sums(tables: Sequence[Sequence[tuple[int, float]]], pool: int) -> list[Floats]:
    """For the first 0, 1, 2 and so on bidders, the largest sum of logarithms by how many things there are."""
    sums = [np.zeros(pool + 1)]
    for table in tables:
        best = np.full(pool + 1, -np.inf)
        for size, gain in table:
            np.maximum(best[size:], sums[-1][: pool + 1 - size] + gain, out=best[size:])
        sums.append(best)
    return sums
