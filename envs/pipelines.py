"""Jobs that come after others: a pipeline's stages join the queue when those before them have finished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ..traces.job import Job, Trace


class Pipelines:
    """Who waits for whom. Ids that are in no trace count as finished; what comes after a failed job is cancelled."""

    def __init__(self, trace: Trace) -> None:
        known = {job.id for job in trace.jobs if job.after}
        known = {job.id for job in trace.jobs} if known else known
        self._waits = {job.id: {a for a in job.after if a in known} for job in trace.jobs if job.after}
        self._next: dict[int, list[int]] = defaultdict(list)
        for job, before in self._waits.items():
            for one in sorted(before):
                self._next[one].append(job)
        self._here: set[int] = set()
        self._doomed: set[int] = set()

    def __bool__(self) -> bool:
        """Whether there is any pipeline."""
        return bool(self._waits)

    def submitted(self, job: Job) -> Iterator[tuple[int, bool]]:
        """Yields (job, whether it may join the queue; else it is cancelled) for those whose fate is known now."""
        if job.id in self._waits:
            self._here.add(job.id)
            yield from self._fate(job.id)

    def ended(self, job: int, well: bool) -> Iterator[tuple[int, bool]]:
        """The same when a job has ended, well or not."""
        for one in self._next.pop(job, ()):
            if well:
                self._waits[one].discard(job)
            else:
                self._doomed.add(one)
            yield from self._fate(one)

    def _fate(self, job: int) -> Iterator[tuple[int, bool]]:
        if job not in self._here:
            return
        if job in self._doomed:
            self._here.discard(job)
            yield job, False
            yield from self.ended(job, well=False)
        elif not self._waits[job]:
            self._here.discard(job)
            yield job, True
