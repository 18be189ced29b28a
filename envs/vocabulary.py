"""All that is said between a policy, the ledger and a world: decisions one way, events the other.

Frozen, slotted records to be taken apart with `match`. A new thing to say is a new record here, not a new mechanism.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..traces.job import Job

Placement = tuple[tuple[str, tuple[str, ...]], ...]
"""Where a job stands: for each node its accelerators' ids, as ((node, (accelerator, ...)), ...).

A share of an accelerator names that one accelerator; a CPU-only job names its node with no accelerators.
"""

Reason = Literal["finished", "failed", "preempted"]


@dataclass(frozen=True, slots=True)
class Start:
    """Let a pending job run there."""

    job: int
    placement: Placement


@dataclass(frozen=True, slots=True)
class Preempt:
    """Ask a running job to save its work and go back to the queue. It holds its place until it has `Stopped`."""

    job: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job has come."""

    time: float
    job: Job


@dataclass(frozen=True, slots=True)
class Stopped:
    """A job has left its place, which is free again.

    Attributes:
        time: seconds on the world's clock.
        job: its id.
        reason: "finished" and "failed" end it; "preempted" sends it back to the queue.
        progress: seconds of its work that are done and kept, over all its runs; None where nobody can tell.
    """

    time: float
    job: int
    reason: Reason = "finished"
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed and nothing else happened: a chance to think again, for policies that ask for one."""

    time: float


Decision = Start | Preempt
Event = Submitted | Stopped | Tick


class InvalidDecision(ValueError):
    """What a policy asked for cannot be, and nothing has changed. The text says which job, its need, what there is."""
