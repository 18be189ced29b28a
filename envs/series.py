"""Hourly series of prices and carbon: read from tables, or made by a generator that was calibrated on them. No world.

A series is an iterator of steps (seconds, value): from that second on, the value holds. It is made as it is read, so a
long world costs no more than it lasts, and it may have no end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from itertools import accumulate, count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..traces.rows import Row, read_csv
from ..traces.trouble import BadInput

Floats = npt.NDArray[np.float64]
Step = tuple[float, float]

HOUR = 3600.0
YEAR = 8766
"""Hours in a mean year, 365.25 days: where in a year an hour is, is told by it."""
WEEK = 168
"""Hours that are made at once."""
MISSING = frozenset({"", "nan", "na", "null"})
MONDAY = datetime(2024, 1, 1)
"""Where generated series begin if nobody says: a Monday, midnight by the region's own clock, as synthetic traces do."""


# Tables.


@dataclass(frozen=True, slots=True)
class Table:
    """A recorded series.

    Attributes:
        path: the file.
        dated: whether its times are dates, or seconds of a world of its own.
        times: seconds, ascending; since 1970 (UTC) if dated. Shape (rows,).
        values: one for each time, NaN where it is missing.
    """

    path: Path
    dated: bool
    times: Floats
    values: Floats

    @property
    def period(self) -> float:
        """Seconds until it begins anew: its length, the last row being as long as the one before it."""
        return float(self.times[-1] - self.times[0] + self.times[-1] - self.times[-2])


@dataclass(frozen=True, slots=True)
class Format:
    """How a table looks: where its time is, and what its column's unit is in ours."""

    column: str
    time: str | None
    unit: float = 1.0
    last: str = ""


FORMATS = (
    Format("avg_ci", None),  # dc-rl: the first column is the time, with or without a name
    Format("price (usd/mwh)", "Datetime (UTC)", 1e-3),  # sustain-cluster
    Format("carbon intensity g", "Datetime (UTC)", last="(direct)"),  # Electricity Maps; the sign in CO2 varies
    Format("value", "time"),  # our own: in the units of the key that names the file
)


@lru_cache(maxsize=64)
def table(path: Path) -> Table:
    """Reads a table, plain or gzipped, once in a process. Empty fields and NaN are missing values.

    Its header says what it is: `time,value` (ours; times are ISO dates, UTC where they say no zone, or seconds), or one
    of dc-rl (`avg_CI`), sustain-cluster (`Price (USD/MWh)`), Electricity Maps (`Carbon Intensity ... (direct)`).

    Raises:
        BadInput: with file, line and column.
    """
    times, values, dated = list[float](), list[float](), True
    form: tuple[str, str, float] | None = None
    for row in read_csv(path, ()):
        form = form or _form(row)
        time, value, unit = form
        if not times:
            dated = not _number(row.text(time))
        times.append(_date(row, time) if dated else row.number(time))
        if len(times) > 1 and times[-1] <= times[-2]:
            raise row.bad(
                time, f"{row.text(time)!r} is not after the row above; sort the rows, keep one of equal times"
            )
        values.append(math.nan if row.text(value).casefold() in MISSING else row.number(value) * unit)
    if np.isnan(values).all():
        raise BadInput(f"{path}: has no value at all; is it the right file?")
    return Table(path, dated, np.array(times), np.array(values))


def _form(row: Row) -> tuple[str, str, float]:
    """(column of times, column of values, our unit in theirs)."""
    header = list(row.fields)
    for form in FORMATS:
        for name in header:
            if name.casefold().startswith(form.column) and name.endswith(form.last):
                time = header[0] if form.time is None else form.time
                if time in header:
                    return time, name, form.unit
    known = "'time' and 'value', or those of dc-rl, sustain-cluster or Electricity Maps"
    raise BadInput(f"{row.path}, line 1: has the columns {', '.join(header)[:200]!r}; wanted are {known}")


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _date(row: Row, column: str) -> float:
    try:
        return stamp(row.text(column))
    except ValueError:
        raise row.bad(column, f"{row.text(column)!r} is no date; write it as 2023-01-31 05:00 (UTC)") from None


def stamp(text: str) -> float:
    """Seconds since 1970 of an ISO date, UTC where it names no zone. Raises ValueError."""
    date = datetime.fromisoformat(text)
    return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()


def recorded(found: Table, start: float | None = None, repeat: bool | None = None) -> Iterator[Step]:
    """The steps of a table. Missing values are left out: the last known one holds.

    A table that repeats begins anew after its last row: one of a whole year is a year like any other, so `start` may be
    in another year. Weekdays shift. One that does not repeat holds its last value for ever.

    Args:
        found: the table.
        start: where second 0 is, seconds since 1970; None for the first row.
        repeat: whether it begins anew; None if it has dates, and not if it has seconds.

    Raises:
        BadInput: a start that is not in the table, or that its times, seconds, cannot tell.
    """
    first, last = float(found.times[0]), float(found.times[-1])
    if start is not None and not found.dated:
        raise BadInput(f"{found.path}: its times are seconds; 'start' needs dates. Leave it out, or write dates")
    zero = (0.0 if not found.dated else first) if start is None else start
    if len(found.times) < 2 or not (found.dated if repeat is None else repeat):
        if not first <= zero <= last and found.dated:
            span = f"{_iso(first)} to {_iso(last)}"
            raise BadInput(f"{found.path}: goes from {span}; let 'start' be there, or the series repeat")
        return _from(found, zero, math.inf)
    zero -= math.floor((zero - first) / found.period) * found.period
    return _from(found, zero, found.period)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "minutes")


def _from(found: Table, zero: float, period: float) -> Iterator[Step]:
    """Known values from second `zero` of a table on, round after round; first what holds there."""
    known = ~np.isnan(found.values)
    times, values = found.times[known] - zero, found.values[known]
    before = int(np.searchsorted(times, 0.0, side="right")) - 1
    if before >= 0 or period < math.inf:
        yield 0.0, float(values[before])  # the last of all, where the table begins with missing values and repeats
    rest = zip(times[before + 1 :].tolist(), values[before + 1 :].tolist(), strict=True)
    yield from rest
    for turn in count(1) if period < math.inf else ():
        yield from zip((times + turn * period).tolist(), values.tolist(), strict=True)


# Generators.


@dataclass(frozen=True, slots=True)
class Region:
    """What a region's hours are like, as a Gaussian copula: a score with hours, seasons and memory, then a map.

    score(t) = seasons_h . (1, cos y, sin y, cos 2y, sin 2y) + weekend + noise (sqrt(quick) a + sqrt(1 - quick) b).
    h is the hour of the day (UTC), y the angle of the year from 1 January on; a and b are AR(1) of unit variance that
    keep 1/e after `taus` hours: the weather of the hours and that of the days. The value is the score's on straight
    lines between `knots`, so generated values have the recorded quantiles, spikes and negative prices with them, but
    none beyond the lowest and highest that was recorded.

    Attributes:
        seasons: of the score: mean, and swings with the year and its halves, by hour of the day. Shape (5, 24).
        weekend: what Saturdays and Sundays add.
        noise: standard deviation.
        quick: the part of the noise's variance that `taus[0]` has.
        taus: hours.
        knots: rows of (part of the hours, score, value), ascending.
        utc: hours by which the region's standard time is ahead of UTC.
        digits: of values, after the point.
    """

    seasons: Floats
    weekend: float
    noise: float
    quick: float
    taus: tuple[float, float]
    knots: Floats
    utc: float = 0.0
    digits: int = 2

    @classmethod
    def of(cls, row: Mapping[str, Any], digits: int) -> Region:
        """The region that a TOML table describes."""
        quick, slow = row["taus"]
        seasons, knots = np.array(row["seasons"], float), np.array(row["knots"], float)
        return cls(seasons, row["weekend"], row["noise"], row["quick"], (quick, slow), knots, row["utc"], digits)

    def usual(self, clock: npt.NDArray[np.int64]) -> Floats:
        """The score without noise at each of these hours since 1970, UTC."""
        weekend = (clock // 24 + 3) % 7 >= 5  # 1970 began with a Thursday
        usual = (self.seasons[:, clock % 24] * yearly(clock)).sum(0) + self.weekend * weekend
        return np.asarray(usual, float)

    def values(self, scores: Floats) -> Floats:
        """What scores mean."""
        return np.round(np.interp(scores, self.knots[:, 1], self.knots[:, 2]), self.digits)

    def noises(self, rng: np.random.Generator) -> Iterator[Floats]:
        """The noise of one week after the other."""
        days, hours = (memory(tau, rng) for tau in reversed(self.taus))
        for a, b in zip(hours, days, strict=True):
            yield self.noise * (math.sqrt(self.quick) * a + math.sqrt(1 - self.quick) * b)


def yearly(clock: npt.NDArray[np.int64]) -> Floats:
    """What the rows of `Region.seasons` are multiplied by at each of these hours since 1970. Shape (5, hours)."""
    y = clock * (2 * math.pi / YEAR)
    return np.stack([np.ones(len(y)), np.cos(y), np.sin(y), np.cos(2 * y), np.sin(2 * y)])


def memory(tau: float, rng: np.random.Generator) -> Iterator[Floats]:
    """A stationary AR(1) series of variance 1 which keeps 1/e after `tau` hours; week after week, without end."""
    rho = math.exp(-1 / tau)
    last = float(rng.standard_normal())
    while True:
        shocks = (math.sqrt(1 - rho * rho) * rng.standard_normal(WEEK)).tolist()
        made = list(accumulate(shocks, lambda before, shock: rho * before + shock, initial=last))
        yield np.array(made[:WEEK])
        last = made[WEEK]


def begins(region: Region, start: float | None = None) -> float:
    """Where second 0 of a generated series is, seconds since 1970: `start`, or `MONDAY` by the region's clock."""
    return MONDAY.replace(tzinfo=timezone(timedelta(hours=region.utc))).timestamp() if start is None else start


def synthetic(region: Region, rng: np.random.Generator, start: float | None = None) -> Iterator[Step]:
    """Steps of a series like the region's, hour by hour, without end. The same generator and start, the same series."""
    zero = begins(region, start)
    first = math.floor(zero / HOUR)
    for week, noise in enumerate(region.noises(rng)):
        clock = first + week * WEEK + np.arange(WEEK)
        values = region.values(region.usual(clock) + noise)
        yield from zip(np.maximum(clock * HOUR - zero, 0.0).tolist(), values.tolist(), strict=True)


def reverting(mean: float, sigma: float, tau: float, rng: np.random.Generator) -> Iterator[Step]:
    """Hourly steps of a price whose logarithm goes back to its mean, with standard deviation `sigma`, in `tau` hours.

    `mean` is the price's own mean, not that of the logarithm. To four digits after the point.
    """
    for week, noise in enumerate(memory(tau, rng)):
        values = np.round(mean * np.exp(sigma * noise - sigma * sigma / 2), 4)
        yield from zip(((week * WEEK + np.arange(WEEK)) * HOUR).tolist(), values.tolist(), strict=True)


def sampled(steps: Iterable[Step], hours: int) -> Floats:
    """The values of a series at hours 0, 1, 2, ...; NaN before its first step. Shape (hours,)."""
    seconds, values = list[float](), list[float]()
    for second, value in steps:
        if second > (hours - 1) * HOUR:
            break
        seconds.append(second)
        values.append(value)
    at = np.searchsorted(np.array(seconds), np.arange(hours) * HOUR, side="right") - 1
    return np.where(at >= 0, np.array([*values, math.nan])[at], math.nan)
