"""Tenants and what they may hold: quotas, borrowing and lending, as Kueue's cohorts have them.

A tenant always may use its quota. Beyond it, it borrows what others leave of theirs, within its own `borrow` and their
`lend`. The ledger keeps these rules, so no policy can break them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from ..traces.job import Job
from ..traces.trouble import BadInput
from .shares import thousandths
from .vocabulary import Tick

if TYPE_CHECKING:
    from .laws.law import Run, Stage

WHOLE = 1000


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant.

    Attributes:
        name: as jobs say it.
        weight: its part of the cluster, relative to the others', where there is no quota.
        quota: accelerators that are its own; None for no limit.
        borrow: accelerators beyond its quota that it may use while others do not; None for no limit.
        lend: accelerators of its quota that others may use while it does not; None for all.
    """

    name: str
    weight: float = 1.0
    quota: float | None = None
    borrow: float | None = None
    lend: float | None = None

    def __post_init__(self) -> None:
        """Raises BadInput for a weight or a number of accelerators that cannot be."""
        if not 0 < self.weight < inf:
            raise BadInput(f"tenant '{self.name}': weight {self.weight:g} cannot be; give a number above 0")
        for key in ("quota", "borrow", "lend"):
            value = getattr(self, key)
            if value is not None and not 0 <= value < inf:
                raise BadInput(f"tenant '{self.name}': {key} {value:g} cannot be; give 0 or more accelerators")

    @property
    def own(self) -> float:
        """Its quota in thousandths of an accelerator."""
        return thousandths_of(self.quota)


def thousandths_of(accelerators: float | None) -> float:
    """So many accelerators in whole thousandths; infinite for no limit."""
    return inf if accelerators is None else float(round(accelerators * WHOLE))


class Tenants:
    """Who there is, and what each may hold. A tenant that is not named has no quota of its own, and may borrow.

    Args:
        tenants: those that are named.
        patience: seconds that a job within its tenant's quota waits while others borrow; then they are preempted.

    Raises:
        BadInput: for a patience that cannot be.
    """

    def __init__(self, tenants: Iterable[Tenant], patience: float = 0.0) -> None:
        if not 0 <= patience < inf:
            raise BadInput(f"'patience' cannot be {patience:g}; give seconds, 0 or more")
        self.named = {tenant.name: tenant for tenant in tenants}
        self.patience = patience
        self._owns = {name: thousandths_of(tenant.quota) for name, tenant in self.named.items()}
        self._lends = {name: thousandths_of(tenant.lend) for name, tenant in self.named.items()}
        self._borrows = {name: thousandths_of(tenant.borrow) for name, tenant in self.named.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tenants) and (self.named, self.patience) == (other.named, other.patience)

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, name: str | None) -> Tenant:
        return self.named.get(name or "") or Tenant(name or "", quota=0.0)

    def own(self, name: str | None) -> float:
        """The quota of a tenant, in thousandths of an accelerator."""
        return self._owns.get(name or "", 0.0)

    def lend(self, name: str | None) -> float:
        """The most that a tenant leaves to others, in thousandths of an accelerator."""
        return self._lends.get(name or "", 0.0)

    def borrow(self, name: str | None) -> float:
        """The most that a tenant may hold beyond its quota, in thousandths of an accelerator."""
        return self._borrows.get(name or "", inf)

    def begin(self, stage: Stage) -> Patience | None:
        """What a simulated world does about them."""
        return Patience(self, stage) if self.patience else None

    def as_dict(self) -> dict[str, Any]:
        """In plain values."""
        return {"patience": self.patience, "named": [asdict(tenant) for tenant in self.named.values()]}

    def part(self, name: str | None, size: float) -> float:
        """Its isolated share of a cluster of `size` accelerators: its quota, or its weight's part of what is not quota.

        Finish-time fairness (Themis, NSDI 2020) compares with a cluster of that size of its own.
        """
        tenant = self[name]
        if tenant.quota is not None:
            return tenant.quota
        free = [one for one in self.named.values() if one.quota is None]
        taken = sum(one.quota or 0.0 for one in self.named.values())
        return max(size - taken, 0.0) * tenant.weight / sum(one.weight for one in free)


class Patience:
    """Wakes a simulated world when a job has waited long enough to have back what is its tenant's, as a law would.

    It does so only where there is something to have back: the job is within its tenant's quota, and somebody borrows.
    """

    def __init__(self, tenants: Tenants, stage: Stage) -> None:
        self._tenants, self._stage = tenants, stage
        self._waits: dict[int, Job] = {}
        self._used: dict[str | None, int] = {}

    def submitted(self, job: Job) -> None:
        """It begins to wait."""
        if thousandths(job.share) * job.gang <= self._tenants.own(job.tenant):
            self._waits[job.id] = job
            self._stage.at(job.submit + self._tenants.patience, partial(self._over, job.id))

    def started(self, run: Run) -> None:
        """It waits no more; if it ever waits again, it has waited long enough."""
        self._waits.pop(run.job.id, None)
        self._use(run, 1)

    def stopped(self, run: Run) -> None:
        """It holds nothing any more."""
        self._use(run, -1)

    def ended(self, job: Job, reason: str) -> None:
        """It waits no more."""
        self._waits.pop(job.id, None)

    def _use(self, run: Run, sign: int) -> None:
        held = sign * thousandths(run.share) * len(run.accelerators)
        self._used[run.job.tenant] = self._used.get(run.job.tenant, 0) + held

    def _over(self, job: int) -> None:
        if (waits := self._waits.pop(job, None)) is None:
            return
        tenants, used = self._tenants, self._used
        need = thousandths(waits.share) * waits.gang + used.get(waits.tenant, 0)
        if need <= tenants.own(waits.tenant) and any(held > tenants.own(name) for name, held in used.items()):
            self._stage.say(Tick(self._stage.now))
