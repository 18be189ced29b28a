"""Short words for GPUs: the kind in a product's name, the profile of a MIG device."""

from __future__ import annotations

import math
import re

from ..envs.kinds import kind as facts

_MAKERS = re.compile(r"\b(?:NVIDIA|Emulated|Tesla|Quadro|GeForce) ")
_SERVER = re.compile(r"([A-Z]{1,2}\d{1,3}[A-Z]?)(?=[ -]|$)")
_CARD = re.compile(r"(RTX|GTX) (A?\d{3,4})((?: (?:Ti|SUPER|Ada|D|Laptop|Max-Q))*)(?= |$)")
_PROFILE = re.compile(r"\bMIG (\S+)$")


def kind_of(name: str, memory: int | None = None) -> str:
    """Returns the kind in a product's name: "Tesla V100-SXM2-16GB" is a V100, "NVIDIA GeForce RTX 4090" an RTX4090.

    A name of no known form is its own kind, with "-" for what cannot stand in a cluster spec.

    Args:
        name: as the driver says it.
        memory: its bytes; with 80 GiB an A100 is an "A100-80GB", because `envs/kinds.toml` has such a kind.
    """
    kind = _word(name)
    larger = kind if memory is None else f"{kind}-{math.ceil(memory / 2**30)}GB"
    return kind if facts(larger) is None else larger


def _word(name: str) -> str:
    bare = _MAKERS.sub("", f"{name} ").strip()
    if server := _SERVER.match(bare):
        return server[1]
    if card := _CARD.match(bare):
        return "".join(card.groups()).replace(" ", "")
    return re.sub(r"[^\w.-]+", "-", name.strip()).strip("-")


def profile_in(name: str) -> str | None:
    """Returns the profile in the name that a driver gives a MIG device ("... MIG 1g.5gb"), None if there is none."""
    found = _PROFILE.search(name)
    return found[1] if found else None


def profile_of(slices: int, compute: int, mebibytes: int, total: int) -> str:
    """Returns a MIG device's profile from its attributes, "3g.20gb" or "1c.3g.20gb".

    Named as in NVIDIA's MIG user guide (MIG Device Names, Supported MIG Profiles): compute slices, then memory, which
    is dealt out in eighths of the whole and said in whole GB.

    Args:
        slices: compute slices of its GPU instance.
        compute: compute slices of its compute instance, named only when they are fewer.
        mebibytes: its memory.
        total: bytes of memory of the GPU it is cut from.
    """
    eighths = math.ceil(mebibytes * 2**20 / total * 8)
    memory = math.floor(eighths / 8 * math.ceil(total / 2**30) + 0.5)  # a B200 of 180 GB has parts of 22.5: 1g.23gb
    return f"{f'{compute}c.' if compute < slices else ''}{slices}g.{memory}gb"
