"""A reservation for the oldest candidate that cannot start: until something happens, nobody may delay it."""

from __future__ import annotations

from collections.abc import Iterator

from .offer import RESERVE, Glance, Offer

KEY = ("reserve",)


def offers(glance: Glance) -> Iterator[Offer]:
    """One row, while somebody is blocked."""
    if glance.blocked and len(glance.cluster.running):
        head = min(glance.blocked, key=lambda job: (job.submit, job.id))
        yield Offer(RESERVE, (), head.id, key=KEY)
