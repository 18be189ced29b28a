"""What tenants hold of a room, and so what each may have more: quotas, borrowing and lending as jobs come and go."""

from __future__ import annotations

from math import inf

from .tenants import Tenants


class Holdings:
    """Thousandths of an accelerator by tenant. Asking costs the same for three tenants or three hundred.

    A tenant always may use its quota. Beyond it, it borrows what others leave of theirs, within its own `borrow` and
    their `lend`, unless somebody is owed.

    Attributes:
        used: what each holds.
        over: who holds more than its quota.
        owed: somebody waits for what is its own: nobody may borrow meanwhile.
    """

    __slots__ = ("_endless", "_left", "_lent", "_tenants", "over", "owed", "used")

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants
        self.used: dict[str | None, int] = {}
        self.over: frozenset[str | None] = frozenset()
        self.owed = False
        self._left: dict[str | None, float] = {name: tenants.own(name) for name in tenants.named}
        self._lent, self._endless = 0.0, 0
        for name in tenants.named:
            self._count(name, 1)

    def copy(self) -> Holdings:
        """A copy to think with."""
        copy: Holdings = Holdings.__new__(Holdings)
        copy._tenants, copy.used, copy._left = self._tenants, self.used.copy(), self._left.copy()
        copy.over, copy.owed, copy._lent, copy._endless = self.over, self.owed, self._lent, self._endless
        return copy

    def change(self, name: str | None, amount: int) -> None:
        """A tenant holds so many thousandths more, or less."""
        self._count(name, -1)
        self.used[name] = self.used.get(name, 0) + amount
        self._left[name] = left = self._left.get(name, 0.0) - amount
        self._count(name, 1)
        if (name in self.over) is not (left < 0):
            self.over ^= {name}

    def left(self, name: str | None) -> float:
        """What is left of a tenant's quota, below 0 what it holds beyond it."""
        return self._left.get(name, 0.0)

    def may(self, name: str | None, amount: int) -> bool:
        """Whether a tenant may have so many thousandths more."""
        left = self._left.get(name, 0.0)
        if amount <= left or not amount:
            return True
        return not self.owed and amount <= left + self._borrows(name)

    def refuses(self, name: str | None, amount: int) -> str | None:
        """Why a tenant may not have so many thousandths more, None if it may."""
        if self.may(name, amount):
            return None
        tenant = self._tenants[name]
        if amount > self.left(name) + self._tenants.borrow(name):
            return f"its quota is {tenant.quota:g} accelerators and it may borrow {tenant.borrow:g}"
        if self.owed:
            return "it would borrow, and others wait for what is theirs"
        return f"its quota is {tenant.quota:g} accelerators, and the others have no more to lend"

    def _borrows(self, name: str | None) -> float:
        """The most that a tenant may hold beyond its quota."""
        mine = self._leaves(name)
        endless, lent = (self._endless - 1, self._lent) if mine == inf else (self._endless, self._lent - mine)
        return max(min(self._tenants.borrow(name), inf if endless else lent), 0.0)

    def _leaves(self, name: str | None) -> float:
        """What a tenant leaves to others; below 0 what it borrows of them."""
        spare = self._left.get(name, 0.0)
        return min(spare, self._tenants.lend(name)) if spare > 0 else spare

    def _count(self, name: str | None, sign: int) -> None:
        if (leaves := self._leaves(name)) == inf:
            self._endless += sign
        else:
            self._lent += sign * leaves
