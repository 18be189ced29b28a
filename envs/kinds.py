"""What is known of kinds of accelerators: `kinds.toml`, where each figure stands with its source and date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..traces.data import beside

GIB = 2**30
GB = 1e9


@dataclass(frozen=True, slots=True)
class Slice:
    """A MIG profile of a kind.

    Attributes:
        profile: such as "3g.20gb".
        compute: sevenths of the accelerator's multiprocessors.
        memory: eighths of its memory.
        starts: memory slots, 0 to 7, on which an instance of it may begin.
    """

    profile: str
    compute: float
    memory: int
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of one kind of accelerator; None where nobody said.

    Attributes:
        name: as clusters say it.
        maker: who makes it.
        memory: bytes.
        tdp: watts that it draws at most for long.
        idle: watts with nothing on it.
        context: watts that a live context adds to that while it does nothing.
        tflops: dense 16-bit arithmetic; 32-bit where it has no fast 16-bit arithmetic.
        link: bytes a second to other accelerators, both directions together.
        gangs: sizes in which gangs of it are given out; beyond the largest, multiples of it. Empty for any size.
        moves: whether a running job can be frozen and moved.
        usd_per_hour: rent of one on demand.
        spot_usd_per_hour: rent of one that its owner may take away.
        mig: what it can be cut into.
        sources: figure -> key of `sources()`.
    """

    name: str
    maker: str | None = None
    memory: int | None = None
    tdp: float | None = None
    idle: float | None = None
    context: float | None = None
    tflops: float | None = None
    link: float | None = None
    gangs: tuple[int, ...] = ()
    moves: bool = True
    usd_per_hour: float | None = None
    spot_usd_per_hour: float | None = None
    mig: tuple[Slice, ...] = ()
    sources: Mapping[str, str] | None = None

    def admits(self, gang: int) -> bool:
        """Whether a gang of this size can be given out."""
        return not self.gangs or gang in self.gangs or (gang > self.gangs[-1] and gang % self.gangs[-1] == 0)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a figure is from.

    Attributes:
        title: what it is, with its address.
        read: the day on which it was read, or "recalled" for what was written from memory.
    """

    title: str
    read: str


def kind(name: str) -> Kind | None:
    """What is known of a kind; None for a word that the data file does not have."""
    return _all().get(name)


def kin(name: str) -> tuple[str, ...]:
    """A kind, and those that are named after it but for their memory: "A100" is met by an "A100-80GB" too."""
    return (name, *(other for other in known() if other.startswith(f"{name}-") and other.endswith("GB")))


def known() -> tuple[str, ...]:
    """The kinds that the data file has."""
    return tuple(_all())


@cache
def sources() -> Mapping[str, Source]:
    """Key -> where figures with that key are from."""
    return {key: Source(**said) for key, said in _table()["sources"].items()}


def _table() -> dict[str, Any]:
    return beside(__file__, "kinds.toml")


@cache
def _all() -> dict[str, Kind]:
    return {name: _kind(name, said) for name, said in _table()["kinds"].items()}


def _kind(name: str, said: Mapping[str, Any]) -> Kind:
    """A kind as its table says it: behind each figure stands its source, the maker's name has none."""
    figures = {key: value[0] for key, value in said.items() if key not in ("maker", "mig")}
    gib, link = figures.get("memory_gib"), figures.get("link_gb_s")
    return Kind(
        name,
        said.get("maker"),
        None if gib is None else int(gib * GIB),
        figures.get("tdp_w"),
        figures.get("idle_w"),
        figures.get("context_w"),
        figures.get("tflops"),
        None if link is None else link * GB,
        tuple(figures.get("gangs", ())),
        figures.get("moves", True),
        figures.get("usd_per_hour"),
        figures.get("spot_usd_per_hour"),
        tuple(_slices(*said["mig"][:2])) if "mig" in said else (),
        {key: value[-1] for key, value in said.items() if key != "maker"},
    )


def _slices(table: str, profiles: list[str]) -> list[Slice]:
    rows = _table()["slices"][table].values()
    return [Slice(name, row[0], row[1], tuple(row[2])) for name, row in zip(profiles, rows, strict=True)]
