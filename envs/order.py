"""One fixed order of the jobs of a roster, kept while they come and go; of each tenant's alone where asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heapreplace
from typing import Any, Generic, TypeVar

from sortedcontainers import SortedList

T = TypeVar("T")
Entry = tuple[float, int, int, T]
"""(score, place in the order of submission, job's id, what the roster holds)."""
FEW = 4
"""Jobs that are passed over one by one before more of them are looked up at once."""
MOST_AHEAD = 256
"""Jobs of an order that are looked up at once, when many are passed over."""


class Order(Generic[T]):
    """Entries by score, equals in order of submission."""

    def __init__(self, entries: Iterable[tuple[Entry[T], str | None]]) -> None:
        self._of = {entry[2]: (entry, tenant) for entry, tenant in entries}
        self._all: Any = SortedList(entry for entry, _ in self._of.values())
        self._lines: dict[str | None, Any] | None = None

    def add(self, entry: Entry[T], tenant: str | None) -> None:
        """Puts one in."""
        self._of[entry[2]] = entry, tenant
        self._all.add(entry)
        if self._lines is not None:
            self._line(tenant).add(entry)

    def remove(self, key: int) -> None:
        """Takes one out."""
        entry, tenant = self._of.pop(key)
        self._all.remove(entry)
        if self._lines is not None:
            self._lines[tenant].remove(entry)

    def first(self, count: int) -> list[T]:
        """The first `count`."""
        return [entry[3] for entry in self._all.islice(0, count)]

    def walk(self, without: set[str | None] | None = None) -> Iterator[T]:
        """Yields all. They may leave meanwhile, and tenants may be put into `without`: theirs are passed over.

        When the first tenant is left out the others' lines are merged: a long line that is left out costs nothing.
        """
        entries, passed = self._all, 0
        entry = entries[0] if entries else None
        while entry is not None and passed < FEW:
            yield entry[3]
            if without:
                yield from self._merged(entry, without)
                return
            passed += entry[2] in self._of
            at = entries.bisect_right(entry) if passed else 0
            before, entry = entry, entries[at] if at < len(entries) else None
        if entry is not None:
            yield from self._further(before, without)

    def _further(self, after: Entry[T], without: set[str | None] | None) -> Iterator[T]:
        for entry in self._from(self._all, after):
            yield entry[3]
            if without:
                yield from self._merged(entry, without)
                return

    def _from(self, entries: Any, after: Entry[T]) -> Iterator[Entry[T]]:
        """Yields the entries behind one, looked up in ever larger pieces: most often few are read."""
        size, at = 1, entries.bisect_right(after)
        while some := list(entries.islice(at, at + size)):
            for entry in some:
                if entry[2] in self._of:
                    yield entry
            size = min(4 * size, MOST_AHEAD)
            at = entries.bisect_right(some[-1])

    def _merged(self, after: Entry[T], without: set[str | None]) -> Iterator[T]:
        if self._lines is None:
            self._lines = {}
            for entry, tenant in self._of.values():
                self._line(tenant).add(entry)
        heads: list[tuple[tuple[float, int], Entry[T], str | None, Any]] = []
        for tenant, line in self._lines.items():
            if line and tenant not in without and (at := line.bisect_right(after)) < len(line):
                heads.append((line[at][:2], line[at], tenant, line))
        heapify(heads)
        while heads:
            _, entry, tenant, line = heads[0]
            if tenant not in without and entry[2] in self._of:
                yield entry[3]
            if tenant in without or (at := line.bisect_right(entry)) == len(line):
                heappop(heads)
            else:
                heapreplace(heads, (line[at][:2], line[at], tenant, line))

    def _line(self, tenant: str | None) -> Any:
        assert self._lines is not None
        return self._lines.setdefault(tenant, SortedList())
