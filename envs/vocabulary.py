"""All that is said between a policy, the ledger and a world: decisions one way, events the other.

Frozen, slotted records to be taken apart with `match`. A new thing to say is a new record here, not a new mechanism.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..traces.job import Job

Placement = tuple[tuple[str, tuple[str, ...]], ...]
"""Where a job stands: for each node its accelerators' ids, as ((node, (accelerator, ...)), ...).

A share of an accelerator names that one accelerator, or one MIG instance of it; a CPU-only job names its node with no
accelerators.
"""

Reason = Literal["finished", "failed", "preempted", "lost", "cancelled"]
"""Why a job left its place: "finished", "failed" and "cancelled" (by its user or its sweep) end it; "preempted" (by a
decision) and "lost" (with its node, accelerator or spot machine) send it back to the queue."""

BACK: frozenset[str] = frozenset({"preempted", "lost"})
"""The reasons that send a job back to the queue."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a job is told for the hardware it got. None leaves a thing to the job.

    Attributes:
        precision: "fp32", "tf32", "fp16", "bf16" or "fp8"; "fp16" and "bf16" are mixed with fp32.
        compile: whether to compile the model ahead.
        batch: samples a step on each accelerator.
        watts: power cap of each of its accelerators.
    """

    precision: str | None = None
    compile: bool | None = None
    batch: int | None = None
    watts: float | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Let a pending job run there.

    Attributes:
        job: its id.
        placement: where; an elastic job may get any gang within its bounds.
        tuning: what it is told for that hardware.
        share: part of each accelerator that it is given; None for what it asked. Below its own share it is packed.
    """

    job: int
    placement: Placement
    tuning: Tuning | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Preempt:
    """Ask a running job to save its work and go back to the queue. It holds its place until it has `Stopped`."""

    job: int


@dataclass(frozen=True, slots=True)
class Move:
    """Let a running job save its work and go on elsewhere. It holds both places until it has `Moved`.

    Attributes:
        job: its id.
        placement: where.
        tuning: what it is told for that hardware; None for what it was told before.
    """

    job: int
    placement: Placement
    tuning: Tuning | None = None


@dataclass(frozen=True, slots=True)
class Resize:
    """Let a running elastic job go on with another gang. It holds what it had and what it gets until `Resized`.

    Attributes:
        job: its id.
        placement: where.
        tuning: what it is told for that hardware; None for what it was told before.
    """

    job: int
    placement: Placement
    tuning: Tuning | None = None


@dataclass(frozen=True, slots=True)
class Partition:
    """Cut an idle accelerator into MIG instances of these profiles, none to make it whole again."""

    accelerator: str
    profiles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cap:
    """Limit an accelerator's power, None to lift the limit."""

    accelerator: str
    watts: float | None


@dataclass(frozen=True, slots=True)
class Provision:
    """Rent nodes of a pool, or wake sleeping ones: they come as `NodeUp`, or not (`Declined`)."""

    pool: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Release:
    """Give an idle node of a pool back, or let it sleep."""

    node: str


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job has come. One that comes `after` others is held until it is `Ready`."""

    time: float
    job: Job


@dataclass(frozen=True, slots=True)
class Ready:
    """A held job joins the queue: those before it have finished, or its requeue delay is over."""

    time: float
    job: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """A job has left its place, which is free again; a "cancelled" one may have had none.

    Attributes:
        time: seconds on the world's clock.
        job: its id.
        reason: see `Reason`.
        progress: seconds of its work that are done and kept, over all its runs; None where nobody can tell.
        lost: seconds of its work that were done and are not kept.
        held: it goes back to the queue only when it is `Ready`.
    """

    time: float
    job: int
    reason: Reason = "finished"
    progress: float | None = None
    lost: float = 0.0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """A job goes on in its new place; the old one is free."""

    time: float
    job: int


@dataclass(frozen=True, slots=True)
class Resized:
    """A job goes on with its new gang; what it no longer needs is free."""

    time: float
    job: int


@dataclass(frozen=True, slots=True)
class Partitioned:
    """An accelerator has become MIG instances of these profiles, or whole again."""

    time: float
    accelerator: str
    profiles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeUp:
    """A node can be used (again), or some accelerators of it.

    Attributes:
        time: seconds on the world's clock.
        node: its id.
        accelerators: those that are back; empty for the node with all it has.
    """

    time: float
    node: str
    accelerators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeDown:
    """A node cannot be used any more, or some accelerators of it. Jobs there stop as "lost" in the same moment.

    Attributes:
        time: seconds on the world's clock.
        node: its id.
        reason: in a few words: "failed", "rack failed", "reclaimed", "released".
        accelerators: those that are gone; empty for the node with all it has.
    """

    time: float
    node: str
    reason: str
    accelerators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """A spot node will be taken away in so many seconds."""

    time: float
    node: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Declined:
    """A pool has no such nodes at the moment: what was asked for will not come."""

    time: float
    pool: str
    count: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at an accelerator; what the world cannot tell is None.

    Attributes:
        accelerator: its id.
        busy: part of the time that it works, 0 to 1.
        memory: bytes in use.
        watts: power draw.
        link: bytes a second over its links to other accelerators.
    """

    accelerator: str
    busy: float | None = None
    memory: int | None = None
    watts: float | None = None
    link: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """Some accelerators were looked at. Each value holds until the next look."""

    time: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Priced:
    """Prices from now on; None leaves one as it was.

    Attributes:
        time: seconds on the world's clock.
        place: a site for electricity, a pool for its nodes.
        usd_per_kwh: of electricity.
        grams_per_kwh: of CO2 equivalent.
        usd_per_hour: of a node of the pool.
    """

    time: float
    place: str
    usd_per_kwh: float | None = None
    grams_per_kwh: float | None = None
    usd_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Billed:
    """A sum falls due at once: egress, what is left of a minimum rent."""

    time: float
    usd: float
    what: str


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A predictor says what will be asked for soon. It holds until the next such word.

    Attributes:
        time: seconds on the world's clock.
        demand: accelerators of all jobs expected to be submitted: the median and the 90th percentile for the next 10
            minutes, then both for the next 60.
    """

    time: float
    demand: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed and nothing else happened: a chance to think again, for policies that ask for one."""

    time: float


Decision = Start | Preempt | Move | Resize | Partition | Cap | Provision | Release
SIMPLE: frozenset[type] = frozenset({Start, Preempt})
"""What every world can make real."""
EVERY: frozenset[type] = frozenset(get_args(Decision))
Event = (
    Submitted
    | Ready
    | Stopped
    | Moved
    | Resized
    | Partitioned
    | NodeUp
    | NodeDown
    | Notice
    | Declined
    | Measured
    | Priced
    | Billed
    | Foreseen
    | Tick
)


class InvalidDecision(ValueError):
    """What a policy asked for cannot be, and nothing has changed. The text says which job, its need, what there is."""
