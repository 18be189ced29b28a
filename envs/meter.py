"""What runs up while time passes: energy, carbon and money. Fed by events alone, so a log replays into equal sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from typing import NamedTuple

from .nodes import Node
from .vocabulary import Billed, Measured, Priced, Sample

KWH = 3.6e6
"""Joules in a kilowatt-hour."""
MEAN = 300.0
"""Seconds after which a value has lost all but 1/e of its weight in the mean."""


@dataclass(slots=True)
class Price:
    """What a site's electricity, or a pool's node, costs now; None where nobody said.

    Attributes:
        usd_per_kwh: of electricity.
        grams_per_kwh: of CO2 equivalent.
        usd_per_hour: of a node.
    """

    usd_per_kwh: float | None = None
    grams_per_kwh: float | None = None
    usd_per_hour: float | None = None


class Means(NamedTuple):
    """Exponential means of what looks tell, in the units of `Sample`; None for what was never told."""

    busy: float | None
    memory: float | None
    watts: float | None
    link: float | None


@dataclass(slots=True)
class Seen:
    """An accelerator as it was last seen, and exponential means of what was seen.

    Attributes:
        sample: the last look.
        since: when that was, seconds.
        means: over about the last `MEAN` seconds, up to `since`.
    """

    sample: Sample
    since: float
    means: Means

    def mean(self, now: float) -> Means:
        """The means up to now: the last values hold until the next look. One that was not told leaves its mean."""
        kept = exp((self.since - now) / MEAN)
        both = zip(self.means, _values(self.sample), strict=True)
        return Means._make([old if old is None or last is None else last + (old - last) * kept for old, last in both])

    def follow(self, sample: Sample, time: float) -> None:
        """Is seen anew. What was never told before has its mean from here."""
        means = self.mean(time)
        if None in means:
            both = zip(means, _values(sample), strict=True)
            means = Means._make([new if old is None else old for old, new in both])
        self.sample, self.since, self.means = sample, time, means


def _values(sample: Sample) -> Means:
    return Means._make((sample.busy, sample.memory, sample.watts, sample.link))


class Meter:
    """Energy, carbon and money so far, and what they grow by in a second.

    Attributes:
        seen: each accelerator that was looked at.
        prices: of sites and pools.
        joules: drawn from the grid; None until a draw is told.
        grams: of CO2 equivalent, of all sites whose intensity is told; None until one is.
        usd: electricity where its price is told, rents and bills; None until there is any.
        runs: whether anything runs up, as it does not in a world that tells neither draws nor prices.
    """

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.seen: dict[str, Seen] = {}
        self.prices: dict[str, Price] = {}
        self.joules: float | None = None
        self.grams: float | None = None
        self.usd: float | None = None
        self._nodes = nodes
        self._of = {a.id: node for node in nodes.values() for a in node.accelerators}
        self._up = {node.id for node in nodes.values() if node.present}
        self._watts: dict[str, float] = {}  # from the grid, by site
        self._host = {node.site or "": 0.0 for node in nodes.values()}
        for node in nodes.values():
            if node.present:
                self._host[node.site or ""] += node.watts * node.pue
        self._rent = 0.0
        self._flow: tuple[float | None, float | None, float | None] | None = None  # until something changes
        self.runs = False
        self._pay()

    @property
    def watts(self) -> float | None:
        """Drawn from the grid now; None until a draw is told."""
        return self._flows()[0]

    @property
    def grams_per_second(self) -> float | None:
        """Of CO2 equivalent, where it is known."""
        return self._flows()[1]

    @property
    def usd_per_second(self) -> float | None:
        """Electricity where its price is known, and rents."""
        return self._flows()[2]

    def at(self, site: str) -> float:
        """Watts that a site draws from the grid."""
        return self._watts.get(site, 0.0) + self._host.get(site, 0.0)

    def _flows(self) -> tuple[float | None, float | None, float | None]:
        """Watts, grams and USD in a second, kept until something changes."""
        if self._flow is None:
            watts, grams, usd = 0.0, None, None
            for site in self._host:
                watts += (here := self.at(site))
                if (price := self.prices.get(site)) is not None:
                    if price.grams_per_kwh is not None:
                        grams = (grams or 0.0) + here * price.grams_per_kwh / KWH
                    if price.usd_per_kwh is not None:
                        usd = (usd or 0.0) + here * price.usd_per_kwh / KWH
            power = usd if self._watts else None
            paid = None if power is None and not self._rent else (power or 0.0) + self._rent
            self._flow = (watts, grams, paid) if self._watts else (None, None, paid)
        return self._flow

    def go(self, seconds: float) -> None:
        """Lets time pass."""
        watts, grams, usd = self._flows()
        if watts is not None:
            self.joules = (self.joules or 0.0) + watts * seconds
        if grams is not None:
            self.grams = (self.grams or 0.0) + grams * seconds
        if usd is not None:
            self.usd = (self.usd or 0.0) + usd * seconds

    def measure(self, event: Measured) -> None:
        """Follows a look at accelerators."""
        for sample in event.samples:
            name = sample.accelerator
            before = self.seen.get(name)
            if sample.watts is not None or (before and before.sample.watts is not None):
                node = self._of[name]
                old = (before.sample.watts or 0.0) if before else 0.0
                site = node.site or ""
                self.runs, self._flow = True, None
                self._watts[site] = self._watts.get(site, 0.0) + ((sample.watts or 0.0) - old) * node.pue
            if before is None:
                self.seen[name] = Seen(sample, event.time, _values(sample))
            else:
                before.follow(sample, event.time)

    def price(self, event: Priced) -> None:
        """Follows a change of prices."""
        price = self.prices.setdefault(event.place, Price())
        for name in ("usd_per_kwh", "grams_per_kwh", "usd_per_hour"):
            if (value := getattr(event, name)) is not None:
                setattr(price, name, value)
        self._flow = None
        if event.usd_per_hour is not None:
            self._pay()

    def bill(self, event: Billed) -> None:
        """Follows a sum that falls due."""
        self.usd = (self.usd or 0.0) + event.usd

    def up(self, node: str) -> None:
        """A node begins to draw, and to cost its rent."""
        self._up.add(node)
        self._host[self._nodes[node].site or ""] += self._nodes[node].watts * self._nodes[node].pue
        self._pay()

    def down(self, node: str, time: float) -> None:
        """A node draws nothing any more, nor do its accelerators."""
        self._up.discard(node)
        self._host[self._nodes[node].site or ""] -= self._nodes[node].watts * self._nodes[node].pue
        there = [a.id for a in self._nodes[node].accelerators if a.id in self.seen]
        off = tuple(Sample(a, 0.0, 0, None if self.seen[a].sample.watts is None else 0.0) for a in there)
        self.measure(Measured(time, off))
        self._pay()

    def rent(self, node: Node) -> float:
        """USD an hour for a node: its pool's price where one was told, else its own."""
        price = self.prices.get(node.pool or "")
        return node.usd_per_hour if price is None or price.usd_per_hour is None else price.usd_per_hour

    def _pay(self) -> None:
        self._flow = None
        self._rent = sum(self.rent(self._nodes[node]) for node in self._up) / 3600
        self.runs = bool(self._watts or self._rent)

    def state(self) -> dict[str, object]:
        """All sums, in plain values."""
        return {"joules": self.joules, "grams": self.grams, "usd": self.usd, "watts": dict(self._watts)}
