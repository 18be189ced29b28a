"""Jobs run at the pace of their model family on the kind of accelerator, the gang and the spread that they got."""

from __future__ import annotations

from dataclasses import dataclass

from ...traces.job import Job
from ...traces.trouble import BadInput, within
from ..kinds import kind as facts
from ..profiles import Profiles
from ..throughputs import opened
from .law import Filename, Run, Stage, check, kinds, positive


@dataclass(frozen=True, slots=True)
class Speed:
    """A run's speed is its rate where it is, by its rate where its duration was recorded.

    A recorded duration is that on the first kind the job names, else on `reference`, with its own gang on one node.
    Spread is a gang on more than one node. What was not measured is carried over, see `profiles.Profile.carried`; a
    profile that was not measured on a kind at all is refused when the world begins.

    A job without a profile is as fast on every kind, near or spread; with another gang than its own it is
    (gang / own gang)^scaling times as fast. Without this law every job runs alike on any kind and with any gang.

    Attributes:
        reference: the kind of recorded durations of jobs that name no kind.
        profiles: "builtin", a TOML file written as `envs/profiles.toml` is, one of Gavel's `*_throughputs.json(.gz)`,
            or a folder of Pollux' simulator/traces.
        scaling: exponent of the gang where no scaling was measured: 0.90 is the median of Gavel's job types from 1 to 8
            V100 on one node.
        spread: the part of its rate that a gang with a profile keeps on several nodes where its family was not
            measured there: 0.425 is the median of Gavel's gangs on V100.
        across_racks: the same on nodes of several racks, on top of that; no figure is published, so 1.
    """

    reference: str = "V100"
    profiles: Filename = "builtin"
    scaling: float = 0.9
    spread: float = 0.425
    across_racks: float = 1.0

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        check(self, "speed", ("scaling", "spread", "across_racks"), positive, "a number above 0")

    def pace(self, profiles: Profiles, job: Job, kind: str, gang: int, spread: bool) -> float:
        """The rate of a job with this gang on a kind, by its rate where its duration was recorded.

        Racks and whatever other laws do are left out: it is what tables tell anybody, policies too.
        """
        found = profiles.pace(
            job.profile,
            kind,
            gang,
            spread,
            reference_kind=job.kinds[0] if job.kinds else self.reference,
            reference_gang=job.gang,
            scaling=self.scaling,
            apart=self.spread,
        )
        return float((gang / job.gang) ** self.scaling) if found is None else found

    def begin(self, stage: Stage) -> _Speed:
        """The speeds of a world.

        Raises BadInput if a profile was not measured on a kind that its jobs may get, or nobody knows `reference`.
        """
        return _Speed(self, stage)


class _Speed:
    def __init__(self, law: Speed, stage: Stage) -> None:
        self._law = law
        with within("speed.profiles"):
            self._profiles = opened(law.profiles)
        self._kind = kinds(stage)
        self._rack = {node.id: node.rack for node in stage.machines.values() if node.rack is not None}
        self._known: dict[tuple[object, ...], float] = {}
        if not self._knows(law.reference):
            raise BadInput(f"speed.reference: '{law.reference}' is no kind that a node has or that anybody measured")
        with within("speed"):
            self._profiles.check(stage.trace, self._kind.values(), law.reference)

    def _knows(self, kind: str) -> bool:
        """Whether it is a kind of accelerator, as far as anybody can tell."""
        measured = (self._profiles.kind(kind) in one.near for one in self._profiles.of.values())
        return kind in self._kind.values() or facts(kind) is not None or any(measured)

    def factor(self, run: Run) -> float:
        """Its rate here by its rate where its duration was recorded."""
        job, gang = run.job, len(run.accelerators)
        if not gang or (job.profile is None and gang == job.gang):
            return self._across(run)
        kind = self._kind[run.accelerators[0].partition("#")[0]]
        key = (job.profile, job.kinds, job.gang, kind, gang, len(run.placement) > 1)
        if key not in self._known:
            self._known[key] = self._law.pace(self._profiles, job, kind, gang, len(run.placement) > 1)
        return self._known[key] * self._across(run)

    def _across(self, run: Run) -> float:
        racks = len({self._rack[node] for node, _ in run.placement if node in self._rack})
        return self._law.across_racks if racks > 1 else 1.0
