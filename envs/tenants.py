"""Tenants and what they may hold: quotas, borrowing and lending, as Kueue's cohorts have them.

A tenant always may use its quota. Beyond it, it borrows what others leave of theirs, within its own `borrow` and their
`lend`. The ledger keeps these rules, so no policy can break them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from ..traces.job import Job
from ..traces.trouble import BadInput
from .vocabulary import Tick

if TYPE_CHECKING:
    from .laws.law import Run, Stage

WHOLE = 1000
Lends = tuple[float, dict[str | None, float]]
"""What tenants leave to others, in all and each: thousandths of an accelerator, below 0 for what it borrows."""


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
        """Its quota in whole thousandths of an accelerator."""
        return inf if self.quota is None else float(round(self.quota * WHOLE))


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
        self._owns: dict[str | None, float] = {name: tenant.own for name, tenant in self.named.items()}
        self._most: dict[str | None, float] = {
            name: inf if tenant.lend is None else float(round(tenant.lend * WHOLE))
            for name, tenant in self.named.items()
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tenants) and (self.named, self.patience) == (other.named, other.patience)

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, name: str | None) -> Tenant:
        return self.named.get(name or "") or Tenant(name or "", quota=0.0)

    def own(self, name: str | None) -> float:
        """The quota of a tenant, in thousandths of an accelerator."""
        return self._owns.get(name or "", 0.0)

    def begin(self, stage: Stage) -> Patience | None:
        """What a simulated world does about them."""
        return Patience(self.patience, stage) if self.patience else None

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

    def borrowed(self, used: Mapping[str | None, int], name: str | None) -> float:
        """Thousandths of an accelerator that a tenant holds beyond its quota."""
        return max(0.0, used.get(name, 0) - self.own(name))

    def lends(self, used: Mapping[str | None, int]) -> Lends:
        """What all leave to others, given what each holds, thousandths of an accelerator."""
        each: dict[str | None, float] = {}
        for name, own in self._owns.items():
            spare = own - used.get(name, 0)
            each[name] = min(spare, self._most[name]) if spare > 0 else spare
        for name, held in used.items():
            if name not in each:
                each[name] = -held
        return sum(each.values()), each

    def headroom(
        self, used: Mapping[str | None, int], name: str | None, owed: bool, lends: Lends | None = None
    ) -> float:
        """Thousandths of an accelerator that a tenant may have more.

        Args:
            used: what each holds, thousandths of an accelerator.
            name: who asks.
            owed: somebody waits for what is its own: nobody may borrow meanwhile.
            lends: `lends(used)`, if that is at hand.
        """
        own = self.own(name) - used.get(name, 0)
        if owed or own == inf:
            return own
        most = self.named[name or ""].borrow if (name or "") in self.named else None
        total, each = self.lends(used) if lends is None else lends
        lent = sum(left for other, left in each.items() if other != name) if total == inf else total - each.get(name, 0)
        return own + max(min(inf if most is None else most * WHOLE, lent), 0.0)

    def refuses(self, used: Mapping[str | None, int], name: str | None, amount: int, owed: bool) -> str | None:
        """Why a tenant may not have so many thousandths more, None if it may: see `headroom`."""
        if amount <= self.headroom(used, name, owed):
            return None
        tenant = self[name]
        beyond = used.get(name, 0) + amount - tenant.own
        if tenant.borrow is not None and beyond > tenant.borrow * WHOLE:
            return f"its quota is {tenant.quota:g} accelerators and it may borrow {tenant.borrow:g}"
        if owed:
            return "it would borrow, and others wait for what is theirs"
        return f"its quota is {tenant.quota:g} accelerators, and the others have no more to lend"


class Patience:
    """Wakes a simulated world when a job has waited long enough to have back what is its tenant's, as a law would."""

    def __init__(self, seconds: float, stage: Stage) -> None:
        self._seconds, self._stage = seconds, stage
        self._waits = set[int]()

    def submitted(self, job: Job) -> None:
        """It begins to wait."""
        self._waits.add(job.id)
        self._stage.at(job.submit + self._seconds, partial(self._over, job.id))

    def started(self, run: Run) -> None:
        """It waits no more; if it ever waits again, it has waited long enough."""
        self._waits.discard(run.job.id)

    def ended(self, job: Job, reason: str) -> None:
        """It waits no more."""
        self._waits.discard(job.id)

    def _over(self, job: int) -> None:
        if job in self._waits:
            self._waits.discard(job)
            self._stage.say(Tick(self._stage.now))
