"""What a comparison measures in a window: each metric's name, its unit and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Metric:
    """What is measured of one policy in one window.

    Attributes:
        words: its name.
        unit: of its values, "" for none.
        digits: after the point, in tables.
        more: whether more is better; less is, if not.
    """

    words: str
    unit: str = ""
    digits: int = 0
    more: bool = False

    @property
    def title(self) -> str:
        """Name and unit."""
        return f"{self.words} {self.unit}".strip()

    def as_dict(self) -> dict[str, Any]:
        """For `comparison.json`."""
        return {"name": self.words, "unit": self.unit, "better": "more" if self.more else "less"}


TIMES: Mapping[str, Metric] = {
    "mean_bounded_slowdown": Metric("mean bounded slowdown", "", 2),
    "median_bounded_slowdown": Metric("median bounded slowdown", "", 2),
    "p95_bounded_slowdown": Metric("p95 bounded slowdown", "", 2),
    "p99_bounded_slowdown": Metric("p99 bounded slowdown", "", 2),
    "mean_jct": Metric("mean JCT", "s"),
    "median_jct": Metric("median JCT", "s"),
    "p95_jct": Metric("p95 JCT", "s"),
    "p99_jct": Metric("p99 JCT", "s"),
}
"""Of the scored jobs of a window, in every world."""
OTHERS: Mapping[str, Metric] = {
    "energy_kwh": Metric("energy", "kWh", 1),
    "carbon_kg": Metric("carbon", "kg CO2e", 2),
    "usd": Metric("money", "USD", 2),
    "mean_wait": Metric("mean wait", "s"),
    "max_rho": Metric("worst finish-time fairness", "", 2),
    "p95_rho": Metric("p95 finish-time fairness", "", 2),
    "jain": Metric("Jain's index", "", 3, more=True),
    "deadlines_met": Metric("deadlines met", "", 3, more=True),
    "utilization": Metric("utilisation", "", 3, more=True),
    "preemptions": Metric("preemptions", "", 1),
}
"""Where the world knows them. Energy, carbon, money and utilisation are of the whole window, its warm-up included."""
METRICS: Mapping[str, Metric] = {**TIMES, **OTHERS}
MAIN = "mean_bounded_slowdown"
SHORT = ("mean_bounded_slowdown", "mean_jct", "median_jct", "p99_jct")
"""What a screen has room for."""
CENTRAL = ("mean_bounded_slowdown", "mean_jct")
"""Those of which interquartile means and headroom are told, and by which loads are compared."""
