"""Tenants and what they may hold: quotas, borrowing and lending, as Kueue's cohorts have them.

A tenant always may use its quota. Beyond it, it borrows what others leave of theirs, within its own `borrow` and their
`lend`. The ledger keeps these rules, so no policy can break them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

from ..traces.trouble import BadInput

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
