"""The laws of a world in action: for each thing that may happen, those who have something to say to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .laws.law import Saving
from .shares import Fits


class Acting:
    """What laws answer to, by name; see `laws.law.Following`. The lists are in the order of the laws."""

    def __init__(self, laws: Iterable[object] = ()) -> None:
        self._laws = list(laws)
        self.factors = self._all("factor")
        self.started, self.stopped = self._all("started"), self._all("stopped")
        self.setups, self.milestones = self._all("setup"), self._all("milestones")
        self.submitted, self.ended = self._all("submitted"), self._all("ended")
        self.capped, self.senses = self._all("capped"), self._all("sense")
        self.offers, self.came = self._all("offers"), self._all("came")
        self.saver: Saving | None = self._one("kept")
        self.cloud = self._one("provision")
        self.cutter = self._one("cut")
        self.fits: Fits | None = getattr(self._one("fits"), "fits", None)

    def _all(self, name: str) -> list[Callable[..., Any]]:
        return [getattr(law, name) for law in self._laws if hasattr(law, name)]

    def _one(self, name: str) -> Any:
        return next((law for law in self._laws if hasattr(law, name)), None)
