"""How long jobs will run, as a median and a 90th percentile, from what is known when they come and what has ended.

    log1p(quantile) = log1p(rolling quantile) + forest(features)

The rolling quantile is that of the last 24 ends of the narrowest kind of jobs that has had a few: of the same user (or
tenant), gang, accelerators, model and name, of the same user, of the same tenant, of all. Boosted trees learn what to
add to it from `recent.FEATURES`, when `boosting.CUT` jobs have ended and again as more have. Helios' QSSF merges a
rolling estimate and LightGBM too, by a fixed weight (Hu et al., SC 2021, section 4.2). Trees that predict run times
themselves, without the rolling quantiles to begin with, were worse on Philly than the rolling quantiles alone.

Helios finds like names by their Levenshtein distance; here names are alike when they are equal, and the public traces
that have names are few.
"""

from __future__ import annotations

from math import expm1, log1p
from typing import Any

import numpy as np

from ..traces.history import Past
from ..traces.job import Job
from .boosting import CUT, MOST_ROWS, Forest, boosted, due
from .recent import ROLLING, Recent, Told, rows_of, told

QUANTILES = (0.5, 0.9)
OWN = 2000
"""Ends in a window between fits of its own; until then its rolling quantiles alone learn from what ends in it."""


class Runtimes:
    """Predicts run times, and learns as jobs end. Short windows fit nothing anew: that takes `OWN` ends of their own.

    Args:
        past: what was there before; None to begin with nothing.
        start: second of the past's history at which this begins: what ended before is known.
    """

    def __init__(self, past: Past | None = None, start: float = 0.0) -> None:
        self._told: Told | None = None if past is None else told(past.history)
        self._kept = {} if past is None else past.history.kept
        offset = 0.0 if past is None else past.history.offset
        self.recent = Recent(None if self._told is None else self._told.lines, start, offset)
        self._before = 0 if self._told is None else int(np.searchsorted(self._told.ends, start))
        self._open: dict[int, tuple[Job, list[float]]] = {}
        self._rows: list[list[float]] = []
        self._runs: list[float] = []
        self._cut = due(self._before)
        self._pause = OWN if self._cut else CUT
        self._again = OWN if self._cut else 0
        self.forest = self._of_past(self._cut)

    def submitted(self, job: Job, now: float) -> tuple[float, float]:
        """The median and 90th percentile expected of a job that comes now, seconds."""
        row = self.recent.submitted(job, now)
        self._open[job.id] = job, row
        low, high = row[ROLLING]
        if self.forest is not None:
            more = self.forest.of(np.array(row))
            low, high = low + float(more[0]), high + float(more[1])
        return max(expm1(low), 0.0), max(expm1(max(low, high)), 0.0)

    def row(self, job: int) -> list[float]:
        """The `recent.FEATURES` of a job that has come and not ended."""
        return self._open[job][1]

    def ended(self, job: int, seconds: float | None) -> None:
        """A job has ended after so many seconds of work; None where nothing is to be learned from it."""
        known = self._open.pop(job, None)
        if known is None or seconds is None:
            return
        run = log1p(seconds)
        self.recent.ended(known[0], run)
        self._rows.append(known[1])
        self._runs.append(run)
        if len(self._runs) >= self._again and (cut := due(self._before + len(self._runs))) > self._cut:
            self._cut, self._again = cut, len(self._runs) + self._pause
            self.forest = self._with_own()

    def _of_past(self, cut: int) -> Forest | None:
        """The forest of the first so many ends of the history, fitted once for all its windows."""
        if not cut or self._told is None:
            return None
        if ("runtimes", cut) not in self._kept:
            rows, runs = self._told.rows[:cut], self._told.runs[:cut]
            self._kept["runtimes", cut] = _fitted(rows[-MOST_ROWS:], runs[-MOST_ROWS:])
        found: Forest = self._kept["runtimes", cut]
        return found

    def _with_own(self) -> Forest:
        """A forest of the latest ends, those of the history before those in this world."""
        rows, runs = rows_of(_latest(self._rows)), np.array(_latest(self._runs))
        if self._told is not None and (more := min(MOST_ROWS - len(rows), self._before)) > 0:
            old = slice(self._before - more, self._before)
            rows, runs = np.concatenate([self._told.rows[old], rows]), np.concatenate([self._told.runs[old], runs])
        return _fitted(rows, runs)


def _latest(values: list[Any]) -> list[Any]:
    return values[max(len(values) - MOST_ROWS, 0) :]


def _fitted(rows: np.ndarray, runs: np.ndarray) -> Forest:
    return boosted(rows, runs[:, None] - rows[:, ROLLING], QUANTILES)
