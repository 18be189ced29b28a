"""What electricity costs and how much carbon it has in it, by site and hour; what a pool's nodes cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from ...traces.data import beside
from ...traces.trouble import BadInput, nearest, within
from ..kinds import kind as facts
from ..nodes import Node
from ..series import Region, Step, recorded, reverting, stamp, synthetic, table
from ..vocabulary import Priced
from .law import Filename, Stage

MADE = "synthetic"
DIGITS = {"carbon": 1, "price": 5}
SAYS = {"carbon": "grams_per_kwh", "price": "usd_per_kwh", "spot": "usd_per_hour"}
"""Key of a place -> what `Priced` calls it."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of one site, or of one pool. Each is a number, "synthetic:REGION", a file, or unknown.

    Files are read by `series.table`; a file of ours (`time,value`) has the units below.

    Attributes:
        carbon: grams of CO2 equivalent in a kWh of a site; regions are the balancing authorities of `market.toml`.
        price: USD for a kWh of a site; may be negative. Regions are the markets of `market.toml`.
        spot: USD an hour for a node of a pool; "synthetic" goes about the node's own `usd_per_hour`, or, where that is
            0, about the spot price of its kind of accelerator times their number.
    """

    carbon: float | Filename | None = None
    price: float | Filename | None = None
    spot: float | Filename | None = None

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        for key in SAYS:
            least = -inf if key == "price" else 0.0
            match getattr(self, key):
                case float(value) | int(value) if not (least <= value < inf and value > -inf):
                    raise BadInput(f"market: {key} = {value} cannot be; give a number" + " of 0 or more" * (least == 0))
                case str(value) if key == "spot" and value.startswith(MADE) and value != MADE:
                    raise BadInput(f"market: spot = '{value}' cannot be; a generated one is '{MADE}' alone")
                case str(value) if key != "spot" and value.partition(":")[0] == MADE:
                    region(key, value.partition(":")[2])


@dataclass(frozen=True, slots=True)
class Market:
    """Prices and carbon by place, from tables or generators; said when they change, for as long as the world goes on.

    A missing value of a table leaves the last known one; before the first known one the price is unknown. Generated
    carbon and price of a place share seasons and hours, but not chance; in fact windy hours are both clean and cheap.
    Generated spot prices go smoothly, as AWS' since November 2017 (Wolski et al., UCSB report 2018-02); how far and how
    fast is an assumption, for no table of them is at hand.

    Attributes:
        places: site or pool -> its series; "" is the site of nodes that name none.
        start: ISO date (UTC if it names no zone) at which second 0 is. None: tables begin with their first row,
            generators with a Monday in January, midnight by the region's clock.
        repeat: whether tables begin anew when they end; None: those with dates do, those in seconds hold their last.
        sigma: standard deviation of the logarithm of generated spot prices.
        tau: hours in which they go back to their mean.
    """

    places: Mapping[str, Place] = field(default_factory=dict)
    start: str | None = None
    repeat: bool | None = None
    sigma: float = 0.1
    tau: float = 72.0

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        if not 0 <= self.sigma < inf or not 0 < self.tau < inf:
            raise BadInput(f"market: sigma = {self.sigma}, tau = {self.tau}: give a sigma of 0 or more, hours above 0")
        try:
            self._zero()
        except ValueError:
            raise BadInput(f"market: start = '{self.start}' is no date; write it as 2023-01-31 05:00 (UTC)") from None

    def _zero(self) -> float | None:
        return None if self.start is None else stamp(self.start)

    def begin(self, stage: Stage) -> None:
        """Opens the market of each place. Raises BadInput for places that are not there, and for bad tables."""
        nodes = list(stage.machines.values())
        for name, place in self.places.items():
            pool = next((node for node in nodes if node.pool == name), None)
            site = any((node.site or "") == name for node in nodes)
            if (place.carbon, place.price) != (None, None) and not site:
                raise BadInput(f"market.places: no node is at site '{name}'; name it in 'site' of its nodes")
            if place.spot is not None and pool is None:
                raise BadInput(f"market.places: no node is of pool '{name}'; name it in 'pool' of its nodes")
            if not site and pool is None:
                raise BadInput(f"market.places: '{name}' is neither site nor pool of any node; name it in theirs")
            chances = stage.rng("market", name).spawn(len(SAYS))
            told = {key: getattr(place, key) for key in SAYS}
            series = {
                SAYS[key]: self._steps(f"market.places.{name}.{key}", what, pool, rng)
                for (key, what), rng in zip(told.items(), chances, strict=True)
                if what is not None
            }
            _Teller(stage, name, series).tell()

    def _steps(self, where: str, what: float | str, pool: Node | None, rng: np.random.Generator) -> Iterator[Step]:
        """The series that a key of a place stands for."""
        key = where.rpartition(".")[2]
        if not isinstance(what, str):
            return iter([(0.0, what)])
        if what == MADE and key == "spot":
            assert pool is not None
            return reverting(usual(pool), self.sigma, self.tau, rng)
        kind, _, name = what.partition(":")
        if kind == MADE:
            return synthetic(region(key, name), rng, self._zero())
        with within(where):
            return recorded(table(Path(what)), self._zero(), self.repeat)


class _Teller:
    """Says what changes at one place, and sleeps until the next step of one of its series."""

    def __init__(self, stage: Stage, place: str, series: Mapping[str, Iterator[Step]]) -> None:
        self._stage, self._place, self._series = stage, place, series
        self._next = {name: next(steps, None) for name, steps in series.items()}
        self._told: dict[str, float] = {}

    def tell(self) -> None:
        """Says what holds from now on, where it is new."""
        before = dict(self._told)
        for name, steps in self._series.items():
            while (step := self._next[name]) is not None and step[0] <= self._stage.now:
                self._told[name], self._next[name] = step[1], next(steps, None)
        if new := {name: value for name, value in self._told.items() if value != before.get(name)}:
            self._stage.say(Priced(self._stage.now, self._place, **new))
        if coming := [step[0] for step in self._next.values() if step is not None]:
            self._stage.at(min(coming), self.tell)


def usual(node: Node) -> float:
    """USD an hour about which the spot price of such a node goes. Raises BadInput if nobody knows."""
    known = [facts(a.kind) for a in node.accelerators]
    prices = [None if one is None else one.spot_usd_per_hour for one in known]
    if not node.usd_per_hour and (None in prices or not prices):
        raise BadInput(f"market: the spot price of {node.id} is not known; give its [[nodes]] 'usd_per_hour'")
    return node.usd_per_hour or sum(price or 0.0 for price in prices)


def _file() -> dict[str, Any]:
    return beside(__file__, "market.toml")


def regions(key: str) -> Mapping[str, Mapping[str, Any]]:
    """Region -> its numbers, for "carbon" and "price"."""
    found: Mapping[str, Mapping[str, Any]] = _file()[key]
    return found


@cache
def region(key: str, name: str) -> Region:
    """The region whose "carbon" or "price" has this name. Raises BadInput."""
    if name not in regions(key):
        raise BadInput(f"market: there is no {key} of a region '{name}'.{nearest(name, list(regions(key)))}")
    return Region.of(regions(key)[name], DIGITS[key])
