"""What a series that was seen is expected to be: as at this time of the day, and further off the less so as it is now.

Additive exponential smoothing of seasons without a trend (Winters 1960): each step of the day has a mean, which follows
what was seen by a part `alpha` a day; and what the series is above its mean now is expected to fade by `fade` a step.
Before a step of the day was seen the exponentially smoothed level stands in for it.

On the nodes that Philly had in use, 73 days of ten-minute steps as Helios' artefact tells them (318 of 420 on average),
the mean of the next three hours errs by 17.6 nodes (root of the mean square) and that of six by 22.2; with what is in
use now for a forecast by 17.3 and 22.5, with yesterday's same hours by 58.6 and 56.7: Philly hardly knows days.
"""

from __future__ import annotations

import numpy as np

from ..envs.roster import Floats


class Forecast:
    """A series that holds each value until the next is noted, in means of equal steps.

    Args:
        step: seconds of a step.
        season: steps of a season: a day.
        alpha: the part by which a season's mean, and the level, follow a new value.
        fade: what is left of a departure from the season a step later.
    """

    def __init__(self, step: float = 600.0, season: int = 144, alpha: float = 0.1, fade: float = 0.995) -> None:
        self.step, self._alpha, self._fade = step, alpha, fade
        self._means = np.full(season, np.nan)
        self._level = np.nan
        self._value, self._since = np.nan, 0.0
        self._sum, self._seconds = 0.0, 0.0

    def note(self, now: float, value: float) -> None:
        """The series has this value from now on."""
        if not np.isnan(self._value):
            while (end := (self._since // self.step + 1) * self.step) <= now:
                self._pass(end)
                self._close()
            self._pass(now)
        self._value, self._since = value, now

    def _pass(self, until: float) -> None:
        self._sum += self._value * (until - self._since)
        self._seconds += until - self._since
        self._since = until

    def _close(self) -> None:
        """A step is over."""
        mean, at = self._sum / self._seconds, round(self._since / self.step - 1) % len(self._means)
        old = self._means[at]
        self._means[at] = mean if np.isnan(old) else old + self._alpha * (mean - old)
        self._level = mean if np.isnan(self._level) else self._level + self._alpha * (mean - self._level)
        self._sum = self._seconds = 0.0

    def ahead(self, count: int) -> Floats:
        """What is expected in the step that now is in, and those after it: shape (count,), NaN before anything is seen.

        The first is the value as it was noted last.
        """
        first = int(self._since // self.step)
        season = self._means[(first + np.arange(count)) % len(self._means)]
        season = np.where(np.isnan(season), self._value if np.isnan(self._level) else self._level, season)
        expected: Floats = season + (self._value - season[:1]) * self._fade ** np.arange(count)
        return expected
