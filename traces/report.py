"""What became of a file's rows on their way into a trace."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class LoadReport:
    """Rows read, kept, dropped and why, clamped and why, and what else a reader should know.

    Attributes:
        path: the file read.
        format: the loader's name.
        rows: data rows read.
        jobs: jobs made of them.
        dropped: reason -> rows left out.
        clamped: reason -> rows kept with a changed value.
        noted: fact -> rows it holds for (duplicates, unsorted, censored, CPU-only, unknown fields).
        facts: what the source says of itself as a whole: "processors" -> "256", "kind" -> "v100".
    """

    path: str
    format: str
    rows: int = 0
    jobs: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    clamped: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    facts: dict[str, str] = field(default_factory=dict)

    def note(self, fact: str, rows: int = 1) -> None:
        """Adds to what is noted, unless there is nothing to add."""
        if rows:
            self.noted[fact] += rows

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "path": self.path,
            "format": self.format,
            "rows": self.rows,
            "jobs": self.jobs,
            "dropped": dict(self.dropped),
            "clamped": dict(self.clamped),
            "noted": dict(self.noted),
            "facts": dict(self.facts),
        }

    def __str__(self) -> str:
        parts = [f"{self.rows:,} rows read, {self.jobs:,} jobs"]
        for title, counts in (("dropped", self.dropped), ("clamped", self.clamped), ("noted", self.noted)):
            if counts:
                parts.append(f"{title}: " + ", ".join(f"{n:,} {why}" for why, n in counts.items()))
        if self.facts:
            parts.append("source: " + ", ".join(f"{key} {value}" for key, value in self.facts.items()))
        return "; ".join(parts)
