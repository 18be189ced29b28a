"""What became of jobs, as columns: when they came, ran and ended, what they held, kept and lost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SHORTEST = 10.0
"""Seconds: runs shorter than this count as this long in the bounded slowdown (Feitelson et al., 1997)."""
COLUMNS = (
    "job", "submit", "start", "end", "run", "held", "gang", "width", "seat", "open", "kept", "lost_preempted",
    "lost_lost", "lost_ended", "preemptions", "losses", "moves", "resizes", "starts", "deadline", "state",
)  # fmt: skip
ENDS = {"finished": 1.0, "failed": 2.0, "cancelled": 3.0}
"""States of a job that has ended; 0 for one that has not."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs in order of submission, shape (n,); times in seconds, NaN where there is none.

    Attributes:
        rows: a structured array of `COLUMNS`. `width` is the accelerators that were asked for (gang x share), `seat`
            the accelerator-seconds that it held and `open` those of a run that the log does not see the end of; `kept`
            and `lost_...` are seconds of work, `kept` NaN where the world could not tell.
        tenants: who pays for each.
        after: ids of the jobs that each comes after.
    """

    rows: npt.NDArray[Any]
    tenants: npt.NDArray[np.object_]
    after: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: str) -> Floats:
        found: Floats = self.rows[column]
        return found

    @property
    def job(self) -> npt.NDArray[np.int64]:
        """Ids."""
        return self["job"].astype(np.int64)

    @property
    def submit(self) -> Floats:
        """When it came."""
        return self["submit"]

    @property
    def start(self) -> Floats:
        """When it first started."""
        return self["start"]

    @property
    def end(self) -> Floats:
        """When it ended."""
        return self["end"]

    @property
    def run(self) -> Floats:
        """Seconds of its own work; the time it held its place where the world cannot tell."""
        return self["run"]

    @property
    def held(self) -> Floats:
        """Seconds in its places, restarts and lost work included."""
        return self["held"]

    @property
    def gang(self) -> Floats:
        """Accelerators that it asked for."""
        return self["gang"]

    @property
    def ended(self) -> npt.NDArray[np.bool_]:
        """Whether it has ended, however."""
        return self["state"] > 0

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Whether it failed."""
        return np.equal(self["state"], ENDS["failed"])

    @property
    def cancelled(self) -> npt.NDArray[np.bool_]:
        """Whether it was cancelled, in its place or before it had one."""
        return np.equal(self["state"], ENDS["cancelled"])

    @property
    def jct(self) -> Floats:
        """Job completion time: from submission to end, the time in which it waited for others (a pipeline) included."""
        return self.end - self.submit

    @property
    def wait(self) -> Floats:
        """Seconds of the completion time without a place: in the queue, or held back from it."""
        return np.maximum(self.jct - self.held, 0.0)

    @property
    def bounded_slowdown(self) -> Floats:
        """max(1, completion time / max(run, 10 s))."""
        return np.maximum(1.0, self.jct / np.maximum(self.run, SHORTEST))

    def of(self, mask: npt.NDArray[np.bool_ | np.intp]) -> Jobs:
        """Those that a mask of shape (n,) has, or those at these positions."""
        return Jobs(self.rows[mask], self.tenants[mask], self.after[mask])

    def only(self, jobs: Collection[int]) -> Jobs:
        """Those of these ids."""
        return self.of(np.isin(self.job, list(jobs)))
