"""What policies remember of a session: it goes with the session, and what is kept of a job goes with the job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from ..envs.cluster import ClusterView

S = TypeVar("S")
T = TypeVar("T")


class Memory(Generic[S]):
    """What a policy remembers of each session in which it decides. It goes with the session, and a copy is empty.

    What is remembered must not hold the ledger itself, or neither ever goes.
    """

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[ClusterView, S] = WeakKeyDictionary()

    def of(self, cluster: ClusterView, make: Callable[[], S]) -> S:
        """What is remembered of the session with this ledger; made if it has just begun, or is new to the policy."""
        if (found := self._of.get(cluster)) is None:
            found = self._of[cluster] = make()
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


def forget(of: dict[int, T], cluster: ClusterView) -> dict[int, T]:
    """Forgets jobs that neither wait nor run nor are held, and returns what was remembered of them.

    Args:
        of: job -> what is remembered.
        cluster: the ledger.
    """
    there = cluster.pending, cluster.running, cluster.held
    gone = [key for key in of if not any(key in some for some in there)]
    return {key: of.pop(key) for key in gone}
