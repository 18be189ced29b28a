"""When a job has waited long enough to have back what is its tenant's, and nothing else would happen then."""

from __future__ import annotations

from functools import partial

from ..traces.job import Job
from .holdings import Holdings
from .laws.law import Run, Stage
from .shares import amount, thousandths
from .tenants import Tenants
from .vocabulary import Tick


class Patience:
    """Wakes a simulated world when a job has waited long enough to have back what is its tenant's, as a law would.

    It does so only where there is something to have back: the job is within its tenant's quota, and somebody borrows.
    """

    def __init__(self, tenants: Tenants, stage: Stage) -> None:
        self._tenants, self._stage = tenants, stage
        self._holdings = Holdings(tenants)
        self._waits: dict[int, Job] = {}

    def submitted(self, job: Job) -> None:
        """It begins to wait."""
        if amount(job) <= self._tenants.own(job.tenant):
            self._waits[job.id] = job
            self._stage.at(job.submit + self._tenants.patience, partial(self._over, job.id))

    def started(self, run: Run) -> None:
        """It waits no more; if it ever waits again, it has waited long enough."""
        self._waits.pop(run.job.id, None)
        self._holdings.change(run.job.tenant, thousandths(run.share) * len(run.accelerators))

    def stopped(self, run: Run) -> None:
        """It holds nothing any more."""
        self._holdings.change(run.job.tenant, -thousandths(run.share) * len(run.accelerators))

    def ended(self, job: Job, reason: str) -> None:
        """It waits no more."""
        self._waits.pop(job.id, None)

    def _over(self, job: int) -> None:
        if (waits := self._waits.pop(job, None)) is None:
            return
        covered = amount(waits) <= self._holdings.left(waits.tenant)
        if covered and self._holdings.over:
            self._stage.say(Tick(self._stage.now))
