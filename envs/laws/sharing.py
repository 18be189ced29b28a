"""Jobs that share an accelerator slow each other down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...traces.trouble import BadInput, within
from ..throughputs import opened
from .law import Filename, Run, Stage, kinds


@dataclass(frozen=True, slots=True)
class Sharing:
    """A run keeps of its speed what was measured for each pair; beside several others, the product. A gang keeps the
    least over its accelerators.

    Two that were infeasible together for want of memory never share one: the ledger refuses the second. No two built-in
    families are on the kinds where they were measured (V100, P100, K80): that takes Gavel's own table, which has larger
    batches. What jobs say of their `memory` the ledger minds in any case.

    MIG instances are walls: runs on them feel nobody, but one that was given less than it asked for is slower by as
    much (as if its work were all computing).

    Attributes:
        kept: part kept beside another where the pair was not measured, for want of a profile or of the kind: 0.686 is
            half the median sum of Gavel's pairs on V100.
        profiles: as in the law of speed.
    """

    kept: float = 0.686
    profiles: Filename = "builtin"

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        if not 0 < self.kept <= 1:
            raise BadInput(f"sharing: kept = {self.kept} cannot be; give a part above 0 and up to 1")

    def begin(self, stage: Stage) -> _Sharing:
        """Who shares with whom in a world."""
        return _Sharing(self, stage)


class _Sharing:
    def __init__(self, law: Sharing, stage: Stage) -> None:
        self._law, self._stage = law, stage
        with within("sharing.profiles"):
            self._profiles = opened(law.profiles)
        self._kind = kinds(stage)

    def factor(self, run: Run) -> float:
        """What it keeps of its speed beside the others; who has whole accelerators has no others there."""
        if run.share == 1:
            return 1.0
        if any("#" in accelerator for accelerator in run.accelerators):
            return min(run.share / run.job.share, 1.0)
        return min((self._on(run, accelerator) for accelerator in run.accelerators), default=1.0)

    def started(self, run: Run) -> None:
        """Those beside it slow down."""
        for other in self._beside(run) if run.share < 1 else ():
            self._stage.touch(other)

    def stopped(self, run: Run) -> None:
        """Those that stood beside it speed up."""
        self.started(run)

    def _beside(self, run: Run) -> Iterator[Run]:
        there = (r for a in run.accelerators for r in self._stage.on(a) if r is not run and a in r.accelerators)
        return iter(dict.fromkeys(there))

    def _on(self, run: Run, accelerator: str) -> float:
        """What a run keeps on one of its accelerators."""
        there = [one for one in self._stage.on(accelerator) if accelerator in one.accelerators]
        if len(there) < 2:
            return 1.0
        kept = 1.0
        for other in there:
            if other is not run:
                kept *= self._pair(run, other, accelerator)
        return kept

    def _pair(self, run: Run, other: Run, accelerator: str) -> float:
        found = self._profiles.kept(run.job.profile, other.job.profile, self._kind[accelerator])
        return self._law.kept if found is None else found

    def fits(self, profile: str | None, other: str | None, kind: str) -> bool:
        """Whether both got anything done when they were measured together; pairs that nobody measured fit."""
        return self._profiles.kept(profile, other, kind) != 0 and self._profiles.kept(other, profile, kind) != 0
