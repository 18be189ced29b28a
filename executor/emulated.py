"""Emulated GPUs, for machines without any: real processes run, no hardware computes, and every output says so."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from ..envs.kinds import kind as facts
from ..envs.nodes import Accelerator, Node
from ..traces.trouble import BadInput, nearest
from .machine import this_machine

_SPEC = re.compile(r"(?P<count>[1-9]\d{0,3})x(?P<kind>[A-Za-z][\w.-]*)")


def gpus(spec: str) -> tuple[Node, ...]:
    """Returns this machine with the GPUs that `--gpus` names: "auto" (what NVML shows) or "emulated:4xA100".

    Raises BadInput for any other word, NoDriver if "auto" finds no driver.
    """
    how, _, what = spec.partition(":")
    if how == "emulated":
        return emulated(what)
    if spec == "auto":
        from .nvml import probe

        return tuple(visible(node) for node in probe(skip_busy=True))
    raise BadInput(f"no GPUs {spec!r}; say auto or emulated:COUNTxKIND.{nearest(spec, ['auto', 'emulated:4xA100'])}")


def visible(node: Node) -> Node:
    """The node with those accelerators alone that CUDA_VISIBLE_DEVICES leaves to this program, if it is set.

    It may hold UUIDs, beginnings of them, or indices in the order of the PCI bus. Raises BadInput for none of these.
    """
    words = os.environ.get("CUDA_VISIBLE_DEVICES")
    if words is None:
        return node
    chosen = []
    for word in filter(None, (word.strip() for word in words.split(","))):
        found = [
            a for n, a in enumerate(node.accelerators) if str(n) == word or (len(word) > 4 and a.id.startswith(word))
        ]
        if len(found) != 1:
            there = ", ".join(a.id for a in node.accelerators) or "none"
            raise BadInput(f"CUDA_VISIBLE_DEVICES={words}: '{word}' is none of the GPUs that are free: {there}")
        chosen += found
    return replace(node, accelerators=tuple(chosen))


def emulated(spec: str) -> tuple[Node, ...]:
    """Returns this machine with emulated GPUs: "4xA100" has EMULATED-A100-0 to EMULATED-A100-3.

    Any word is a kind; the memory of one that `envs/kinds.toml` does not know is None. Raises BadInput.
    """
    if not (found := _SPEC.fullmatch(spec)):
        raise BadInput(f"emulated GPUs {spec!r}: write how many (1 to 9999), x, and their kind, as in emulated:4xA100")
    kind = found["kind"]
    memory = None if (known := facts(kind)) is None else known.memory
    return (
        this_machine(
            Accelerator(f"EMULATED-{kind}-{index}", kind, memory, emulated=True) for index in range(int(found["count"]))
        ),
    )
