"""Measured throughputs as others published them: tables of Gavel and Shockwave, folders of Pollux and Sia."""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from ..traces.rows import content, read_csv
from ..traces.trouble import BadInput
from .profiles import Curve, Profile, Profiles, builtin, read

APART = "_unconsolidated"
"""What Gavel adds to a kind for gangs on several nodes."""

Points = dict[int, float]
Found = tuple[bool, int, int, float]
"""(on several nodes, accelerators, samples a step on each, seconds a step)."""


def opened(spec: str) -> Profiles:
    """The profiles of a spec: "builtin", a TOML file, a table of Gavel's, or a folder of Pollux'. Raises BadInput."""
    if spec == "builtin":
        return builtin()
    path = Path(spec)
    if not path.exists():
        raise BadInput(
            f"profiles {spec}: no such file; give 'builtin', a .toml file, one of Gavel's *_throughputs.json(.gz), or "
            "a folder of Pollux' simulator/traces"
        )
    return _opened(spec, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _opened(spec: str, _: int) -> Profiles:
    """Worlds begin often, and files change seldom."""
    path = Path(spec)
    if path.is_dir():
        return pollux(path)
    return read(content(path).decode("utf-8", "replace"), spec) if path.suffix == ".toml" else gavel(path)


def gavel(path: Path | str) -> Profiles:
    """Reads one of Gavel's `*_throughputs.json(.gz)` (Narayanan et al., OSDI 2020), or of Shockwave's, in its shape.

    A profile is a job type as the table has it, such as "ResNet-50 (batch size 64)"; its rates are steps a second,
    summed over its workers. A rate of zero was not measured. Pairs of jobs on one accelerator that got nothing were
    infeasible together, or not measured: they are infeasible. Larger gangs have no pairs: the table has only zeros.

    Raises:
        BadInput: a file that is no such table, with the entry that cannot be read.
    """
    path = Path(path)
    near: defaultdict[str, dict[str, Points]] = defaultdict(lambda: defaultdict(dict))
    spread: defaultdict[str, dict[str, Points]] = defaultdict(lambda: defaultdict(dict))
    kept: defaultdict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for kind, (model, gang), entry in _entries(path):
        alone = entry["null"]
        if alone <= 0:
            continue
        if not kind.endswith(APART):
            near[model][kind.upper()][gang] = alone
            for (other, _), (own, _) in _pairs(path, entry) if gang == 1 else ():
                kept[model][kind.upper()][other] = own / alone
        elif gang > 1:
            spread[model][kind.removesuffix(APART).upper()][gang] = alone
    made = (Profile(name, _curves(near[name]), _curves(spread[name]), dict(kept[name])) for name in near)
    return Profiles(str(path), {one.name: one for one in made})


def _entries(path: Path) -> Iterator[tuple[str, tuple[str, int], dict[str, Any]]]:
    """(kind, (job type, accelerators), what was measured) of a table."""
    try:
        table = json.loads(content(path))
        for kind, entries in table.items():
            for key, entry in entries.items():
                yield kind, _key(path, key), {**entry, "null": _rate(path, key, entry["null"])}
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{path}: is not JSON ({error}); give one of Gavel's *_throughputs.json") from None
    except (AttributeError, KeyError, TypeError):
        raise BadInput(f"{path}: is no throughput table; give one of Gavel's *_throughputs.json") from None


def _pairs(path: Path, entry: Mapping[str, Any]) -> Iterator[tuple[tuple[str, int], tuple[float, float]]]:
    for key, rates in entry.items():
        if key != "null":
            own, theirs = rates
            yield _key(path, key), (_rate(path, key, own), _rate(path, key, theirs))


def _key(path: Path, text: str) -> tuple[str, int]:
    """A Python tuple's text, read as a literal."""
    try:
        model, gang = ast.literal_eval(text)
        if isinstance(model, str) and isinstance(gang, int) and gang >= 1:
            return model, gang
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        pass
    raise BadInput(f"{path}: the entry {text[:80]!r} is no ('job type', accelerators); is it one of Gavel's tables?")


def _rate(path: Path, key: str, value: object) -> float:
    if not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise BadInput(f"{path}: the entry {key[:80]!r} has the rate {value!r}; mend or drop it")
    return float(value)


def pollux(folder: Path | str, kind: str = "T4") -> Profiles:
    """Reads a folder of Pollux' simulator/traces (Qiao et al., OSDI 2021), or of Sia's: one folder a model.

    A rate is samples a second, at the largest batch of one accelerator that was measured in every placement (weak
    scaling: elastic jobs keep it as they grow). Where several placements were measured with so many accelerators on
    several nodes, it is their median.

    Args:
        folder: has MODEL/placements.csv (a placement is a digit for each node) and MODEL/scalability.csv.
        kind: what it was measured on; Pollux used AWS g4dn.12xlarge, of four T4.

    Raises:
        BadInput: no model in the folder; a row that cannot be read, with file, line and column.
    """
    folder = Path(folder)
    models = sorted(one.parent for one in folder.glob("*/placements.csv"))
    if not models:
        raise BadInput(f"{folder}: has no MODEL/placements.csv; give Pollux' folder simulator/traces")
    return Profiles(str(folder), {one.name: _model(one, kind) for one in models})


def _model(folder: Path, kind: str) -> Profile:
    found = [*_placements(folder), *_scalability(folder)]
    everywhere = {(apart, gang) for apart, gang, _, _ in found}
    batches = {batch for _, _, batch, _ in found}
    common = [b for b in batches if everywhere == {(apart, gang) for apart, gang, batch, _ in found if batch == b}]
    if not common:
        raise BadInput(f"{folder}: no batch size was measured in every placement; drop rows of placements that lack it")
    rates: defaultdict[tuple[bool, int], list[float]] = defaultdict(list)
    for apart, gang, batch, seconds in found:
        if batch == max(common):
            rates[apart, gang].append(gang * batch / seconds)
    near, spread = ({g: median(r) for (a, g), r in rates.items() if a is apart} for apart in (False, True))
    return Profile(folder.name, _curves({kind: near}), _curves({kind: spread} if spread else {}))


def _placements(folder: Path) -> Iterator[Found]:
    for row in read_csv(folder / "placements.csv", ("placement", "local_bsz", "step_time")):
        nodes = row.text("placement")
        if not nodes.isdecimal() or "0" in nodes:
            raise row.bad("placement", f"{nodes!r} is not a digit from 1 to 9 for each node")
        yield len(nodes) > 1, sum(map(int, nodes)), row.whole("local_bsz", least=1), row.number("step_time", least=1e-9)


def _scalability(folder: Path) -> Iterator[Found]:
    if (path := folder / "scalability.csv").exists():
        for row in read_csv(path, ("num_nodes", "num_replicas", "local_bsz", "step_time")):
            batch, seconds = row.whole("local_bsz", least=1), row.number("step_time", least=1e-9)
            yield row.whole("num_nodes", least=1) > 1, row.whole("num_replicas", least=1), batch, seconds


def _curves(rates: Mapping[str, Points]) -> dict[str, Curve]:
    return {kind: Curve(*zip(*sorted(points.items()), strict=True)) for kind, points in rates.items()}
