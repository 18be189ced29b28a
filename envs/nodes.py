"""Nodes and their accelerators, and the ways to write a cluster down."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..traces.data import tables
from ..traces.trouble import BadInput


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One accelerator.

    Attributes:
        id: NVML's UUID when live, "node/index" when simulated; unique in its cluster.
        kind: "V100", "A100", "T4"; any word is a kind.
        memory: bytes, None if unknown.
        emulated: no hardware stands behind it, and every output says so.
    """

    id: str
    kind: str
    memory: int | None = None
    emulated: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A machine.

    Attributes:
        id: unique in its cluster.
        accelerators: in the order of their index.
        cpus: cores, None if unknown (then never the limit).
        memory: bytes of host memory, None if unknown (then never the limit).
        rack: nodes of one rack fail together, and are near each other.
        site: where it stands: its electricity, its data. Gangs do not span sites.
        pool: nodes of one pool are rented, woken and given back alike; None for one that is always there.
        present: whether it is there from the beginning, or has to be provisioned.
        spot: its owner may take it away.
        usd_per_hour: rent while it is there; 0 on the premises.
        watts: what it draws without its accelerators while it is up.
        pue: watts drawn from the grid for each watt of the node (power usage effectiveness).
    """

    id: str
    accelerators: tuple[Accelerator, ...] = ()
    cpus: float | None = None
    memory: int | None = None
    rack: str | None = None
    site: str | None = None
    pool: str | None = None
    present: bool = True
    spot: bool = False
    usd_per_hour: float = 0.0
    watts: float = 0.0
    pue: float = 1.0


Nodes = Sequence[Node]

_TERM = re.compile(r"(?P<nodes>[1-9]\d*)x(?P<each>[1-9]\d*):(?P<kind>[A-Za-z][\w.-]*)")
MOST = 1_000_000
"""Accelerators of a cluster, and what there can be of anything on a node."""


def parse(spec: str) -> tuple[Node, ...]:
    """Reads a cluster spec: `60x8:V100+20x4:P100` (nodes x accelerators : kind), or the path of a TOML file.

    Any word is a kind, so `1x256:CPU` is one machine of 256 processors, as batch logs have it.
    Raises BadInput, which names the part that cannot be read.
    """
    if spec.endswith(".toml"):
        return read_toml(Path(spec))
    if spec.startswith("openb:"):
        return read_openb(Path(spec.removeprefix("openb:")))
    nodes: list[Node] = []
    for part in spec.split("+"):
        if not (term := _TERM.fullmatch(part.strip())):
            raise BadInput(
                f"cluster spec {spec!r}: cannot read {part!r}; write nodes x accelerators : kind, "
                "as in '60x8:V100+20x4:P100', or give a TOML file or openb:NODES.csv"
            )
        count, each, kind = int(term["nodes"]), int(term["each"]), term["kind"]
        if count * each > MOST:
            raise BadInput(
                f"cluster spec {spec!r}: {part!r} has {count * each:,} accelerators, at most {MOST:,} can be"
            )
        nodes += rack(len(nodes), count, each, kind)
        if sum(len(node.accelerators) for node in nodes) > MOST:
            raise BadInput(f"cluster spec {spec!r}: has more than {MOST:,} accelerators; ask for fewer")
    return tuple(nodes)


def rack(
    first: int, count: int, each: int, kind: str, cpus: float | None = None, memory: int | None = None
) -> list[Node]:
    """Makes `count` like nodes of `each` accelerators, named n`first` and on."""
    return [
        Node(f"n{n}", tuple(Accelerator(f"n{n}/{i}", kind) for i in range(each)), cpus, memory)
        for n in range(first, first + count)
    ]


def read_toml(path: Path) -> tuple[Node, ...]:
    """Reads a cluster from TOML: a `[[nodes]]` table each with `count`, `accelerators`, `kind`, `cpus`, `memory_gib`.

    Raises BadInput that names the file and the key.
    """
    nodes: list[Node] = []
    for number, table in enumerate(tables(path, "nodes", f"cluster file {path}"), 1):
        nodes += _rack_of(table, len(nodes), f"cluster file {path}: [[nodes]] number {number}")
    return tuple(nodes)


def _rack_of(table: object, first: int, where: str) -> list[Node]:
    known = {"count": int, "accelerators": int, "kind": str, "cpus": (int, float), "memory_gib": (int, float)}
    if not isinstance(table, dict):
        raise BadInput(f"{where}: wants a table")
    for key, value in table.items():
        if key not in known:
            raise BadInput(f"{where}: unknown key '{key}'; known are {', '.join(known)}")
        if not isinstance(value, known[key]) or isinstance(value, bool) or not _sane(value):  # type: ignore[arg-type]
            raise BadInput(f"{where}: '{key}' cannot be {value!r}")
    count, each = table.get("count", 1), table.get("accelerators", 0)
    if count < 1 or count * max(each, 1) > MOST:
        raise BadInput(f"{where}: 'count' must be 1 or more, and at most {MOST:,} accelerators in all")
    if not each and "kind" in table:
        raise BadInput(
            f"{where}: 'accelerators' is missing; say how many {table['kind']} a node has, or leave out 'kind'"
        )
    if each and "kind" not in table:
        raise BadInput(f"{where}: 'kind' is missing; say what its {each} accelerators are")
    memory = table.get("memory_gib")
    return rack(
        first, count, each, table.get("kind", ""), table.get("cpus"), None if memory is None else int(memory * 2**30)
    )


def _sane(value: str | float) -> bool:
    return bool(value) if isinstance(value, str) else 0 <= value < 1e9


def read_openb(path: Path) -> tuple[Node, ...]:
    """Reads a node list of Alibaba's GPU trace of 2023, `openb_node_list_*.csv`. Raises BadInput."""
    from ..traces.rows import read_csv

    nodes = []
    for row in read_csv(path, ("sn", "cpu_milli", "memory_mib", "gpu", "model")):
        name, count, kind = row.text("sn"), row.whole("gpu"), row.text("model")
        if {"#", "/"}.intersection(name):
            raise row.bad("sn", f"is {name!r}, but # and / are for what is on a node; use other letters")
        if count and not kind:
            raise row.bad("model", "is empty, but the node has accelerators; give their kind")
        nodes.append(
            Node(
                name,
                tuple(Accelerator(f"{name}/{i}", kind) for i in range(count)),
                row.number("cpu_milli", least=0) / 1000,
                int(row.number("memory_mib", least=0) * 2**20),
            )
        )
    return tuple(nodes)


def describe(nodes: Nodes) -> str:
    """Says a cluster in a few words: `60x8:V100+20x4:P100`, with "emulated" where it is."""
    groups: dict[tuple[tuple[str, int], ...], int] = {}
    emulated = any(a.emulated for n in nodes for a in n.accelerators)
    for node in nodes:
        kinds = tuple(sorted(Counter(a.kind for a in node.accelerators).items())) or (("CPU-only", 0),)
        groups[kinds] = groups.get(kinds, 0) + 1
    text = "+".join(f"{count}x" + ",".join(f"{n}:{k}" for k, n in kinds) for kinds, count in groups.items())
    return f"emulated {text}" if emulated else text
