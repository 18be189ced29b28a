"""What will be asked for soon: accelerators of the jobs that come in the next 10 and 60 minutes, as quantiles.

Boosted trees predict log1p of the sum of gangs times shares from what came lately and at the same time of earlier days
and weeks, the lags by which hourly loads are usually foreseen. Fitted on the past alone, on every fifth minute of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..traces.history import WEEK, Past
from ..traces.job import Job
from .boosting import MOST_ROWS, Forest, boosted, due
from .roster import Floats

QUANTILES = (0.5, 0.9)
AHEAD = (600.0, 3600.0)
"""Seconds."""
STEP = 300.0
"""Seconds between the moments of the past that are learned from: with `boosting.CUT`, the first fit takes two days."""
DAY = 86400.0
AGAIN = 14 * DAY
"""Seconds between fits in one world: shorter windows take what their history had and fit nothing anew."""
BACK = (600.0, 3600.0, 6 * 3600.0, DAY)
"""Seconds of the recent past that are summed."""
LAGS = (DAY, 2 * DAY, WEEK)
"""Seconds ago at which what came in the then next minutes is summed."""
SETTINGS = {"max_iter": 60, "learning_rate": 0.1, "max_leaf_nodes": 4, "min_samples_leaf": 200}
"""Of 18 sets of settings that of the least losses on the first 70 % of Philly."""
FEATURES = (*(f"last_{s:g}" for s in BACK), *(f"lag_{lag:g}_{s:g}" for s in AHEAD for lag in LAGS), "hour", "day")


class Arrivals:
    """What was asked for so far, as a sum over time.

    Args:
        times, sums: ascending seconds, and what all who came until then asked for.
    """

    def __init__(self, times: Floats | None = None, sums: Floats | None = None) -> None:
        self._size = 0 if times is None else len(times)
        self._times, self._sums = np.empty(max(64, 2 * self._size)), np.zeros(max(64, 2 * self._size) + 1)
        if times is not None and sums is not None:
            self._times[: self._size], self._sums[1 : self._size + 1] = times, sums

    def add(self, time: float, demand: float) -> None:
        """Somebody has come."""
        if self._size == len(self._times):
            self._times = np.concatenate([self._times, np.empty_like(self._times)])
            self._sums = np.concatenate([self._sums, np.zeros(len(self._times) - self._size)])
        self._times[self._size] = time
        self._sums[self._size + 1] = self._sums[self._size] + demand
        self._size += 1

    @property
    def span(self) -> tuple[float, float] | None:
        """When the first and the last came."""
        return (float(self._times[0]), float(self._times[self._size - 1])) if self._size else None

    def until(self, times: Floats) -> Floats:
        """What had been asked for by these times, themselves included; shape (n,)."""
        found: Floats = self._sums[self._times[: self._size].searchsorted(times, side="right")]
        return found


def features(arrivals: Arrivals, times: Floats, offset: float, pace: float = 1.0) -> Floats:
    """The `FEATURES` at times, shape (n, features); of a compressed world with windows `pace` times as long."""
    back, ahead = np.array(BACK) * pace, np.array(AHEAD) * pace
    now = times[:, None]
    starts = (now - np.array(LAGS))[:, None, :]
    marks = [now, now - back, np.broadcast_to(starts, (len(times), 2, 3)).reshape(-1, 6)]
    marks.append(np.minimum((starts + ahead[None, :, None]).reshape(-1, 6), now))
    sums = arrivals.until(np.concatenate(marks, 1))
    clock = (times + offset) % WEEK
    recent, lagged = sums[:, :1] - sums[:, 1:5], sums[:, 11:] - sums[:, 5:11]
    return np.concatenate(
        [np.log1p(recent), np.log1p(lagged), (clock % DAY / 3600.0)[:, None], (clock // DAY)[:, None]], 1
    )


class Demand:
    """Foresees what will be asked for, and learns as jobs come. Times are seconds of the past's history.

    Args:
        past: what was there before; None to begin with nothing.
        start: the second at which this begins: who came before is known.
    """

    def __init__(self, past: Past | None = None, start: float = 0.0) -> None:
        self._kept: dict[Any, Any] = {} if past is None else past.history.kept
        self._offset = 0.0 if past is None else past.history.offset
        self._pace = 1.0 if past is None else past.factor
        self.arrivals = Arrivals() if past is None else _before(past, start)
        self._cut = self._rows(start)
        self.forest = self._of_past(self._cut)
        self._again = start + AGAIN if self._cut else start

    def submitted(self, job: Job, now: float) -> None:
        """A job has come."""
        self.arrivals.add(now, job.gang * job.share)

    def foreseen(self, now: float) -> tuple[float, float, float, float] | None:
        """Median and 90th percentile of accelerators asked for in the next 10, and 60 minutes; None with no fit yet."""
        span = self.arrivals.span
        if span is not None and span[1] >= self._again and (cut := self._rows(span[1])) > self._cut:
            self._cut, self.forest, self._again = cut, self._fitted(cut), now + AGAIN
        if self.forest is None:
            return None
        row = features(self.arrivals, np.array([now]), self._offset, self._pace)[0]
        a, b, c, d = np.maximum(np.expm1(self.forest.of(row)), 0.0).tolist()
        return a, max(a, b), c, max(c, d)

    def _rows(self, now: float) -> int:
        """Of how many moments the latest fit is made."""
        span = self.arrivals.span
        return 0 if span is None else due(max(int((now - span[0] - AHEAD[-1]) // STEP), 0))

    def _of_past(self, cut: int) -> Forest | None:
        """The forest of the first moments of the history, fitted once for all its windows."""
        if not cut:
            return None
        if ("demand", cut) not in self._kept:
            self._kept["demand", cut] = self._fitted(cut)
        found: Forest = self._kept["demand", cut]
        return found

    def _fitted(self, cut: int) -> Forest:
        """A forest of the latest of the first so many moments; all that it is told of them was over by then."""
        first = (self.arrivals.span or (0.0, 0.0))[0]
        times = first + STEP * np.arange(max(cut - MOST_ROWS, 0), cut, dtype=float)
        came = [self.arrivals.until(times + ahead) - self.arrivals.until(times) for ahead in AHEAD]
        targets = np.log1p(np.stack([came[0], came[0], came[1], came[1]], 1))
        return boosted(features(self.arrivals, times, self._offset), targets, QUANTILES * 2, **SETTINGS)


def _before(past: Past, start: float) -> Arrivals:
    """Who had come before a second of the history."""
    kept = past.history.kept
    if "arrivals" not in kept:
        jobs = past.history.trace.jobs
        times = np.array([job.submit for job in jobs])
        kept["arrivals"] = times, np.cumsum([job.gang * job.share for job in jobs])
    times, sums = kept["arrivals"]
    count = int(np.searchsorted(times, start))
    return Arrivals(times[:count], sums[:count])
