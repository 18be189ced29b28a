"""Runs save their work: snapshots while they work, a last one when they are asked to leave, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf, sqrt

from ...traces.job import Job
from ...traces.trouble import BadInput
from ..profiles import facts_of
from ..vocabulary import Placement
from .law import Run, Stage, check, not_negative, positive

GB = 1e9
GIGABYTES = 5.0
"""GB of the state of a job of which nobody says more; an assumption."""


def size(job: Job, otherwise: float = GIGABYTES) -> float:
    """GB of a job's state: what it says itself, else what is counted for its model family, else `otherwise`."""
    known = facts_of(job.profile)
    said = job.checkpoint if job.checkpoint is not None or known is None else known.checkpoint
    return otherwise if said is None else said / GB


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Asynchronous checkpoints, as CheckFreq's (Mohan et al., FAST 2021).

    A run works `interval` seconds, pauses `stall` seconds while its state is copied, and works on while the copy is
    persisted, in size / `persist_gb_s`. When it is lost, it goes on from the last snapshot that was persisted; what it
    did since is lost. When it is asked to leave, it takes a last one if `grace` is long enough, else it is killed then.
    A job that may not be preempted and has no checkpoint begins anew.

    Attributes:
        interval: seconds of work between snapshots; 0 for Young's optimum, sqrt(2 stall mtbf) (CACM 1974).
        stall: seconds. 1 to 3 s for snapshots in the background; CheckFreq keeps them below 3.5 % of the time.
        persist_gb_s: GB/s at which a snapshot is persisted.
        restore_s: seconds to start the process again: imports, communicators, loaders.
        restore_gb_s: GB/s at which the state is read back.
        move_gb_s: GB/s at which the state travels to another node; between sites it is the law of clouds that carries
            it, if that is on.
        grace: seconds from being asked to stop to being killed.
        requeue: seconds before a stopped job is in the queue again; 0 on one's own executor, about 120 on Slurm.
        mtbf: seconds between failures, for Young's interval.
        gigabytes: size of the state of a job that does not say its own, and whose model family is not known.
    """

    interval: float = 1800.0
    stall: float = 2.0
    persist_gb_s: float = 1.0
    restore_s: float = 30.0
    restore_gb_s: float = 2.0
    move_gb_s: float = 1.0
    grace: float = 120.0
    requeue: float = 0.0
    mtbf: float | None = None
    gigabytes: float = GIGABYTES

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        check(
            self,
            "checkpoints",
            ("interval", "stall", "restore_s", "grace", "requeue", "gigabytes"),
            not_negative,
            "0 or more",
        )
        check(self, "checkpoints", ("persist_gb_s", "restore_gb_s", "move_gb_s"), positive, "GB/s above 0")
        if self.mtbf is not None and not 0 < self.mtbf < inf:
            raise BadInput(f"checkpoints: mtbf = {self.mtbf} cannot be; give seconds above 0")
        if not self.interval and (not self.stall or not self.mtbf):
            raise BadInput("checkpoints: interval = 0 asks for Young's optimum, which needs stall and mtbf above 0")

    def restart(self, job: Job) -> float:
        """Seconds before a job that ran before works again."""
        return self.restore_s + size(job, self.gigabytes) / self.restore_gb_s

    def begin(self, stage: Stage) -> Saver:
        """How runs of this world save their work."""
        return Saver(self, stage)


class Saver:
    """Checkpoints in action. A run's wall time since it began is cycles of work and pause: both ways are exact."""

    def __init__(self, law: Checkpoints, stage: Stage) -> None:
        self.law, self._stage = law, stage
        self.requeue = law.requeue
        self.every = law.interval or sqrt(2 * law.stall * (law.mtbf or 0.0))
        self.cycle = self.every + law.stall
        self._pasts: dict[Run, list[tuple[float, float]]] = {}

    def size(self, run: Run) -> float:
        """GB of its state."""
        return size(run.job, self.law.gigabytes)

    def started(self, run: Run) -> None:
        """Its work so far is its first snapshot."""
        self._pasts[run] = [(0.0, run.done)]
        run.notes.pop("saved", None)

    def stopped(self, run: Run) -> None:
        """Its past is forgotten."""
        del self._pasts[run]

    def setup(self, run: Run, resumed: bool) -> float:
        """Restoring, for one that ran before."""
        return self.law.restart(run.job) if resumed else 0.0

    def _pure(self, wall: float) -> float:
        """Seconds of work proper in so many seconds since it began."""
        cycles = floor(wall / self.cycle)
        return cycles * self.every + min(wall - cycles * self.cycle, self.every)

    def worked(self, run: Run, now: float) -> float:
        """Seconds of work proper from `run.at` to now."""
        since, before = self._pure(now - run.begins), self._pure(run.at - run.begins)
        past = self._pasts[run]
        if since > past[-1][0]:
            past.append((since, run.done + run.speed * (since - before)))
        return since - before

    def wall(self, run: Run, seconds: float) -> float:
        """When so many seconds of work proper, counted from `run.at`, are done."""
        pure = self._pure(run.at - run.begins) + seconds
        return run.begins + pure + max(ceil(pure / self.every) - 1, 0) * self.law.stall

    def kept(self, run: Run) -> float:
        """The work in the last snapshot that was persisted, that which is taken for a move included."""
        if not run.job.preemptible and run.job.checkpoint is None:
            return 0.0
        if self._stage.now >= run.notes.get("saved", inf):
            return run.done
        wall = self._stage.now - run.begins - self.size(run) / self.law.persist_gb_s
        number = floor(wall / self.cycle)
        return self._at(run, number * self.every) if number > 0 else run.base

    def _at(self, run: Run, pure: float) -> float:
        """Work that was done after so many seconds of work proper."""
        past = self._pasts[run]
        at = next(i for i in range(len(past) - 1, -1, -1) if past[i][0] <= pure)
        (x0, y0), (x1, y1) = past[at], past[min(at + 1, len(past) - 1)]
        return y0 if x1 <= x0 else y0 + (y1 - y0) * (pure - x0) / (x1 - x0)

    def save(self, run: Run) -> float:
        """Seconds that a last snapshot takes until it is persisted; none for one that has not begun to work."""
        begun = self._stage.now > run.begins
        return self.law.stall + self.size(run) / self.law.persist_gb_s if begun else 0.0

    def stop(self, run: Run) -> float:
        """Seconds until a run that was asked to stop has left."""
        run.notes["saves"] = self.save(run) <= self.law.grace
        return min(self.save(run), self.law.grace)

    def left(self, run: Run) -> float:
        """What a run that was asked to stop keeps: all, or what was persisted when it is killed."""
        return run.done if run.notes.pop("saves") else self.kept(run)

    def move(self, run: Run, placement: Placement) -> float:
        """Seconds to save the state and carry it to other nodes of the site; farther, the law of clouds carries it."""
        run.notes["saved"] = self._stage.now + self.save(run)
        near = {node for node, _ in placement} <= {node for node, _ in run.placement}
        there = self._stage.machines[placement[0][0]].site
        carried = run.notes.get("state at", there) != there
        return self.save(run) + (0.0 if near or carried else self.size(run) / self.law.move_gb_s)
