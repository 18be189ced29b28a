"""What carbon intensity is likely to come, site by site, from what was said before: no world tells anybody a forecast.

Persistence: each slot of the next day is expected to be as the same slot of the day before was, and the present one to
stay as it is. Until a whole day was seen nothing is expected to change. Slots are hours by default, as tables of carbon
are. Only what a ledger has said up to now is read: who is called in the middle of a session learns from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..envs.cluster import ClusterView
from ..envs.room import Room
from ..envs.roster import Floats, Running
from ..traces.job import Job

HOUR = 3600.0
DIGITS = 6
"""Of a mean, after the point: equal values over unequal times are equal."""
CLOSE = 1 - 1e-9
"""Below this part of another a sum is lower."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is expected of one site: the present value to the end of this slot, then a day of slots, again and again.

    Attributes:
        now: seconds.
        end: of the present slot, seconds.
        present: grams of CO2 equivalent in a kWh now.
        values: the same for the slots that follow, a day of them, shape (n,); the last is this hour's.
        slot: seconds.
    """

    now: float
    end: float
    present: float
    values: Floats
    slot: float

    @property
    def flat(self) -> bool:
        """Whether nothing is expected to change."""
        return bool((self.values == self.present).all())

    def greener(self, until: Floats) -> Floats:
        """Seconds before each of these times at which less than now is expected. Shape of `until`."""
        return self._sum(until, (self.values < self.present).astype(np.float64))

    def grams(self, until: Floats) -> Floats:
        """What a kW would cause until each of these times, grams/kWh times seconds. Shape of `until`."""
        here = np.clip(np.minimum(until, self.end) - self.now, 0.0, None)
        return np.asarray(self.present * here + self._sum(until, self.values), np.float64)

    def better_later(self, seconds: Floats, latest: Floats) -> npt.NDArray[np.bool_]:
        """Whether so many seconds in one piece cause less if they begin with a later slot than now. Shape (jobs,).

        `latest` says by when each has to begin. Who begins more than a day later gains no more by that.
        """
        starts = self.end + np.arange(len(self.values), dtype=np.float64) * self.slot
        grams = self.grams(starts + seconds[:, None]) - self.grams(starts)
        grams[starts > latest[:, None]] = np.inf
        lower: npt.NDArray[np.bool_] = grams.min(1) < self.grams(self.now + seconds) * CLOSE
        return lower

    def slots(self, until: float) -> tuple[Floats, Floats]:
        """The slots before a time: what is left of each in seconds, and grams/kWh. Both of shape (slots,)."""
        more = max(int(np.ceil((until - self.end) / self.slot)), 0)
        starts = self.end + np.arange(more) * self.slot
        lengths = np.minimum(
            np.array([self.end - self.now, *[self.slot] * more]), until - np.array([self.now, *starts])
        )
        return lengths, np.array([self.present, *np.resize(self.values, more)])

    def _sum(self, until: Floats, weights: Floats) -> Floats:
        """The integral of a weight by slot from the end of the present slot on."""
        grid = np.arange(len(weights) + 1) * self.slot
        sums = np.concatenate([[0.0], np.cumsum(weights * self.slot)])
        days, rest = np.divmod(np.maximum(until - self.end, 0.0), grid[-1])
        return np.asarray(days * sums[-1] + np.interp(rest, grid, sums), np.float64)


@dataclass(slots=True)
class Diary:
    """What one site's carbon intensity was in each slot of a day, when that slot was last over.

    Attributes:
        means: grams/kWh over each slot of the day, NaN where it was not seen yet. Shape (n,).
        slot: seconds.
        time: of the last look, seconds.
        value: what holds since then.
    """

    means: Floats
    slot: float
    time: float
    value: float
    _sum: float = 0.0
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._since = self.time

    @property
    def number(self) -> int:
        """The present slot, counted from second 0 on."""
        return int(self.time // self.slot)

    def follow(self, value: float, now: float) -> None:
        """Notes that the last value has held until now, and which holds from now on."""
        while (end := (self.number + 1) * self.slot) <= now:
            self._sum += self.value * (end - self.time)
            self.means[self.number % len(self.means)] = round(self._sum / (end - self._since), DIGITS)
            self.time, self._since, self._sum = end, end, 0.0
        self._sum += self.value * (now - self.time)
        self.time, self.value = now, value

    def ahead(self) -> Ahead:
        """What is expected, as of the last look."""
        size, end = len(self.means), (self.number + 1) * self.slot
        values = self.means[(self.number + 1 + np.arange(size)) % size]
        values[-1] = self.value
        if np.isnan(values).any():
            values = np.full(size, self.value)
        return Ahead(self.time, end, self.value, values, self.slot)


@dataclass(slots=True)
class Outlook:
    """The diaries of all sites whose carbon intensity is told in one session.

    Attributes:
        slot: seconds.
        day: seconds, a whole number of slots.
    """

    slot: float = HOUR
    day: float = 24 * HOUR
    _up: dict[str, int] = field(default_factory=dict)
    _site: dict[str, str] = field(default_factory=dict)
    _diaries: dict[str, Diary] = field(default_factory=dict)
    _ahead: dict[str, Ahead] = field(default_factory=dict)
    _likely: dict[tuple[str, ...], str] = field(default_factory=dict)
    _now: float = -1.0

    def follow(self, cluster: ClusterView) -> bool:
        """Notes what holds now; whether anything else is to be expected than at the last look."""
        turned = cluster.now // self.slot != self._now // self.slot
        self._now = cluster.now
        for site, price in cluster.meter.prices.items():
            if price.grams_per_kwh is not None:
                turned |= self._note(site, price.grams_per_kwh)
        self._ahead = {}
        if turned:
            self._look(cluster.room)
        return turned

    def ahead(self, site: str) -> Ahead:
        """What is expected of a site: where nothing is told, no change."""
        if site not in self._ahead:
            diary = self._diaries.get(site) or self._blank(1.0)
            self._ahead[site] = diary.ahead()
        return self._ahead[site]

    def waiting(self, jobs: Iterable[Job], room: Room) -> list[str]:
        """The site where each waiting job would likely stand: that of most accelerators it accepts."""
        return [self._of(room.accepted(job)) for job in jobs]

    def running(self, runs: Iterable[Running], room: Room) -> list[str]:
        """The site where each run stands."""
        return [room.nodes[room.host[run.placement[0][0]]].site or "" for run in runs]

    def at(self, group: str) -> Ahead:
        """What is expected where a group of accelerators stands."""
        return self.ahead(self._site[group])

    def _note(self, site: str, grams: float) -> bool:
        diary = self._diaries.get(site)
        if diary is None:
            self._diaries[site] = self._blank(grams)
            return True
        changed = grams != diary.value
        diary.follow(grams, self._now)
        return changed

    def _blank(self, grams: float) -> Diary:
        return Diary(np.full(max(round(self.day / self.slot), 1), np.nan), self.slot, self._now, grams)

    def _of(self, groups: tuple[str, ...]) -> str:
        if groups not in self._likely:
            best = max(groups, key=lambda group: self._up[group], default="")
            self._likely[groups] = self._site.get(best, "")
        return self._likely[groups]

    def _look(self, room: Room) -> None:
        self._up, self._likely = dict.fromkeys(room.kinds, 0), {}
        for bay, up in zip(room.bays, room.up, strict=True):
            self._up[bay.group] += up.bit_count()
            self._site[bay.group] = room.nodes[bay.host].site or ""
