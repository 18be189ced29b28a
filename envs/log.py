"""The log of a session: events and decisions in order. Metrics are read from it; it replays into an equal ledger."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import MISSING, asdict, astuple, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, get_args

from ..traces.job import Job
from ..traces.rows import lines
from ..traces.trouble import BadInput
from .cluster import Cluster
from .nodes import Accelerator, Node
from .tenants import Tenant, Tenants
from .vocabulary import Decision, Event, Placement, Sample, Submitted, Tuning

FORMAT = 1
Entry = Event | Decision
DECISIONS = get_args(Decision)
EVENTS = get_args(Event)


@dataclass(slots=True)
class Log:
    """What was said in a session.

    Attributes:
        nodes: the machines.
        entries: events and decisions in order. A decision was made at the time of the last event before it.
        tenants: who might hold how much.
    """

    nodes: tuple[Node, ...]
    entries: list[Entry] = field(default_factory=list)
    tenants: Tenants | None = None

    def timed(self) -> Iterator[tuple[float, Entry]]:
        """Yields (time in seconds, entry)."""
        now = 0.0
        for entry in self.entries:
            if isinstance(entry, EVENTS):
                now = entry.time
            yield now, entry

    def replay(self) -> Cluster:
        """The ledger after the whole log."""
        cluster = Cluster(self.nodes, self.tenants)
        for entry in self.entries:
            follow(cluster, entry)
        return cluster

    def lines(self) -> Iterator[str]:
        """The log as JSON lines, each with its end. Nothing in it depends on anything but the log."""
        head = {"gpuyard_log": FORMAT, "nodes": [_node(n) for n in self.nodes]}
        yield _dump(head if self.tenants is None else head | {"tenants": self.tenants.as_dict()})
        for time, entry in self.timed():
            yield _line(time, entry)

    def sha256(self) -> str:
        """The digest of the JSON lines: equal logs, equal digests."""
        digest = hashlib.sha256()
        for chunk in _chunks(self.lines()):
            digest.update(chunk.encode())
        return digest.hexdigest()

    def write(self, path: Path) -> None:
        """Writes JSON lines; the file appears whole or not at all. Raises BadInput if it cannot be written."""
        part = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("w", encoding="utf-8") as file:
                _write(file, self.lines())
            part.replace(path)
        except OSError as error:
            raise BadInput(f"{path}: cannot be written ({error.strerror}); choose another --log") from None
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path | str) -> Log:
        """Reads JSON lines back. Raises BadInput with the line that is not one of a log's."""
        number, rows = 1, lines(Path(path))
        try:
            number, text = next(rows, (1, ""))
            head = json.loads(text)
            if head["gpuyard_log"] != FORMAT:
                raise BadInput(f"{path}, line 1: a log of format {head['gpuyard_log']}, this gpuyard reads {FORMAT}")
            tenants = _read_tenants(head["tenants"]) if "tenants" in head else None
            log = cls(tuple(_read_node(n) for n in head["nodes"]), tenants=tenants)
            for number, text in rows:  # noqa: B007 (the complaint below names it)
                log.entries.append(_read_entry(json.loads(text)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{path}, line {number}: is not a line of a gpuyard log; cut the file before it") from None
        return log


def follow(cluster: Cluster, entry: Entry) -> None:
    """Lets a ledger follow an entry of a log."""
    if isinstance(entry, DECISIONS):
        cluster.decide(entry)
    elif isinstance(entry, EVENTS):
        cluster.observe(entry)


def _chunks(rows: Iterable[str], size: int = 4096) -> Iterator[str]:
    batch: list[str] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield "".join(batch)
            batch.clear()
    yield "".join(batch)


def _write(file: IO[str], rows: Iterable[str]) -> None:
    for chunk in _chunks(rows):
        file.write(chunk)
    file.flush()
    os.fsync(file.fileno())


_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _dump(value: dict[str, Any]) -> str:
    return _JSON(value) + "\n"


_SPEAKS: dict[str, type] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", one.__name__).lower(): one for one in (*get_args(Event), *get_args(Decision))
}
"""What records are called in a log: "submitted", "node_down"."""
_NAMES = {one: name for name, one in _SPEAKS.items()}
_FIELDS = {one: tuple(f.name for f in fields(one) if f.name != "time") for one in _NAMES}
QUIET = {"tuning": None, "share": None, "lost": 0.0, "held": False, "accelerators": ()}
"""What is left out of a line when it says nothing."""


def _line(time: float, entry: Entry) -> str:
    kind = type(entry)
    said: dict[str, Any] = {"time": time, "decision" if isinstance(entry, DECISIONS) else "event": _NAMES[kind]}
    for name in _FIELDS[kind]:
        value = getattr(entry, name)
        if name not in QUIET or value != QUIET[name]:
            said[name] = _plain(value)
    return _dump(said)


def _plain(value: Any) -> Any:
    """A value as JSON has it: a job and a tuning by what differs from their defaults, samples as rows."""
    match value:
        case Job():
            return _job(value)
        case Tuning():
            return {k: v for k, v in asdict(value).items() if v is not None}
        case (Sample(), *_):
            return [astuple(sample) for sample in value]
    return value


def _read_entry(row: dict[str, Any]) -> Entry:
    time = row.pop("time")
    if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
        raise ValueError(row)
    event, decision = row.pop("event", None), row.pop("decision", None)
    kind = _SPEAKS[event or decision]
    if (decision is None) == (event is None) or issubclass(kind, DECISIONS) != (event is None):
        raise ValueError(row)
    if kind is Submitted:
        return Submitted(time, _read_job(row["job"]))
    said = {name: _READ[name](value) for name, value in row.items()}
    entry: Entry = kind(**said) if decision else kind(time=time, **said)
    return entry


def _read_samples(rows: list[list[Any]]) -> tuple[Sample, ...]:
    return tuple(Sample(*row) for row in rows)


def _reason(value: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _as_is(value: Any) -> Any:
    return value


def _read_placement(parts: list[tuple[str, list[str]]]) -> Placement:
    return tuple((node, tuple(accelerators)) for node, accelerators in parts)


_READ: dict[str, Callable[[Any], Any]] = dict.fromkeys({n for names in _FIELDS.values() for n in names}, _as_is) | {
    "placement": _read_placement,
    "tuning": lambda value: Tuning(**value),
    "samples": _read_samples,
    "accelerators": tuple,
    "profiles": tuple,
    "demand": tuple,
    "reason": _reason,
}
_DEFAULTS = {f.name: f.default for f in fields(Job) if f.default is not MISSING}


def _job(job: Job) -> dict[str, Any]:
    """What differs from a job's defaults: most jobs are a few words."""
    said: dict[str, Any] = {"id": job.id, "submit": job.submit}
    for name, default in _DEFAULTS.items():
        if (value := getattr(job, name)) != default:
            said[name] = value
    return said


def _read_job(said: dict[str, Any]) -> Job:
    known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items()}
    return Job(**known)


_NODE_DEFAULTS = {f.name: f.default for f in fields(Node) if f.name not in ("id", "cpus", "memory", "accelerators")}


def _node(node: Node) -> dict[str, Any]:
    accelerators = [[a.id, a.kind, a.memory, a.emulated] for a in node.accelerators]
    more = {name: getattr(node, name) for name, default in _NODE_DEFAULTS.items() if getattr(node, name) != default}
    return {"id": node.id, "cpus": node.cpus, "memory": node.memory, "accelerators": accelerators} | more


def _read_node(said: dict[str, Any]) -> Node:
    return Node(**said | {"accelerators": tuple(Accelerator(*a) for a in said["accelerators"])})


def _read_tenants(said: dict[str, Any]) -> Tenants:
    return Tenants((Tenant(**one) for one in said["named"]), said["patience"])
