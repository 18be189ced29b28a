"""Tenants and what they may hold: quotas, borrowing and lending, as Kueue's cohorts have them.

A tenant always may use its quota. Beyond it, it borrows what others leave of theirs, within its own `borrow` and their
`lend`. The ledger keeps these rules, so no policy can break them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from ..traces.trouble import BadInput
from .vocabulary import Preempt

if TYPE_CHECKING:
    from .cluster import Cluster
    from .roster import Running

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
        return inf if self.quota is None else self.quota * WHOLE


class Tenants:
    """Who there is, and what each may hold. A tenant that is not named has no quota of its own, and may borrow.

    Args:
        tenants: those that are named.
        patience: seconds that a job within its tenant's quota waits while others borrow; then they are preempted.
    """

    def __init__(self, tenants: Iterable[Tenant], patience: float = 0.0) -> None:
        self.named = {tenant.name: tenant for tenant in tenants}
        self.patience = patience

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tenants) and (self.named, self.patience) == (other.named, other.patience)

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, name: str | None) -> Tenant:
        return self.named.get(name or "") or Tenant(name or "", quota=0.0)

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
        return max(0.0, used.get(name, 0) - self[name].own)

    def refuses(self, used: Mapping[str | None, int], name: str | None, amount: int, owed: bool) -> str | None:
        """Why a tenant may not have so many thousandths more, None if it may.

        Args:
            used: what each holds, thousandths of an accelerator.
            name: who asks.
            amount: thousandths.
            owed: somebody waits for what is its own: nobody may borrow meanwhile.
        """
        tenant = self[name]
        beyond = used.get(name, 0) + amount - tenant.own
        if beyond <= 0:
            return None
        if tenant.borrow is not None and beyond > tenant.borrow * WHOLE:
            return f"its quota is {tenant.quota:g} accelerators and it may borrow {tenant.borrow:g}"
        if owed:
            return "it would borrow, and others wait for what is theirs"
        if beyond > self._lent(used, name):
            return f"its quota is {tenant.quota:g} accelerators, and the others have no more to lend"
        return None

    def _lent(self, used: Mapping[str | None, int], name: str | None) -> float:
        """What the others leave to this one, those that are not named borrowing as well."""
        left = 0.0
        for other in {*self.named, *used} - {name}:
            tenant = self[other]
            spare = tenant.own - used.get(other, 0)
            left += min(spare, inf if tenant.lend is None else tenant.lend * WHOLE) if spare > 0 else spare
        return left


def reclaims(cluster: Cluster) -> Iterator[Preempt]:
    """The preemptions that the ledger itself demands: of borrowers, for jobs that are within their tenant's quota.

    For each tenant its oldest waiting job that its quota covers, when it has waited `patience` and finds no place: of
    those who borrow, the newest runs give way, as few as are needed.
    """
    from .placement import packed

    tenants, used = cluster.tenants, cluster.room.usage
    assert tenants is not None
    cluster.owe(False)
    if not any(tenants.borrowed(used, name) for name in used):
        return
    for name, line in cluster.lines.items():
        left = tenants[name].own - used.get(name, 0)
        job = next((j for j in line.values() if j.gang * round(j.share * WHOLE) <= left), None) if left > 0 else None
        if job is None:
            continue
        if cluster.now - job.submit < tenants.patience or packed(job, cluster.room) is not None:
            continue
        cluster.owe(True)
        room = cluster.room.scratch()
        for running in cluster.running:
            if running.stopping:
                room.release(running)
        for running in _borrowers(cluster, tenants):
            if packed(job, room) is not None:
                break
            if tenants.borrowed(room.usage, running.job.tenant) > 0:
                room.release(running)
                yield Preempt(running.job.id)


def _borrowers(cluster: Cluster, tenants: Tenants) -> list[Running]:
    """Runs that may give way, newest first."""
    used = cluster.room.usage
    able = [
        r
        for r in cluster.running
        if r.job.preemptible and not r.stopping and r.goes is None and tenants.borrowed(used, r.job.tenant) > 0
    ]
    return sorted(able, key=lambda r: (-r.since, -r.order))
