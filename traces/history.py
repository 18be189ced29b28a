"""What was there before a window of a trace: the whole trace, shared by all its windows, and where they stand in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .job import Trace

WEEK = 604800.0


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """A whole trace, for predictors that begin with what had ended before a window of it.

    Attributes:
        trace: the whole.
        kept: what predictors have worked out of it, kept for all its windows; nothing that a window decides.
    """

    trace: Trace
    kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def offset(self) -> float:
        """Seconds from the last Monday's midnight to second 0 of the trace; 0 where the trace knows no date."""
        try:
            first = datetime.fromisoformat(self.trace.origin or "")
        except ValueError:
            return 0.0
        midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
        return first.weekday() * 86400.0 + (first - midnight).total_seconds()


@dataclass(frozen=True, slots=True)
class Past:
    """Where a window's clock stands in its history.

    Attributes:
        history: what all windows share.
        zero: the history's second at second 0 of the window.
        factor: seconds of the history in a second of the window: above 1 in compressed windows.
    """

    history: History
    zero: float = 0.0
    factor: float = 1.0

    def at(self, second: float) -> float:
        """The history's second at a second of the window."""
        return self.zero + self.factor * second

    def rebased(self, start: float) -> Past:
        """That of the same window whose second 0 is now at `start`."""
        return Past(self.history, self.at(start), self.factor)

    def compressed(self, factor: float) -> Past:
        """That of the same window, `factor` times as fast."""
        return Past(self.history, self.zero, self.factor * factor)
