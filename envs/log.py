"""The log of a session: events and decisions in order. Metrics are read from it; it replays into an equal ledger."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, get_args

from ..traces.job import Job
from ..traces.rows import lines
from ..traces.trouble import BadInput
from .cluster import Cluster
from .nodes import Accelerator, Node
from .vocabulary import Decision, Event, Placement, Preempt, Reason, Start, Stopped, Submitted, Tick

FORMAT = 1
REASONS = get_args(Reason)
Entry = Event | Decision


@dataclass(slots=True)
class Log:
    """What was said in a session.

    Attributes:
        nodes: the machines.
        entries: events and decisions in order. A decision was made at the time of the last event before it.
    """

    nodes: tuple[Node, ...]
    entries: list[Entry] = field(default_factory=list)

    def timed(self) -> Iterator[tuple[float, Entry]]:
        """Yields (time in seconds, entry)."""
        now = 0.0
        for entry in self.entries:
            if isinstance(entry, Submitted | Stopped | Tick):
                now = entry.time
            yield now, entry

    def replay(self) -> Cluster:
        """The ledger after the whole log."""
        cluster = Cluster(self.nodes)
        for entry in self.entries:
            if isinstance(entry, Start | Preempt):
                cluster.decide(entry)
            else:
                cluster.observe(entry)
        return cluster

    def lines(self) -> Iterator[str]:
        """The log as JSON lines, each with its end. Nothing in it depends on anything but the log."""
        yield _dump({"gpuyard_log": FORMAT, "nodes": [_node(n) for n in self.nodes]})
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
    def read(cls, path: Path) -> Log:
        """Reads JSON lines back. Raises BadInput with the line that is not one of a log's."""
        rows = lines(path)
        try:
            number, text = next(rows, (1, ""))
            head = json.loads(text)
            if head["gpuyard_log"] != FORMAT:
                raise BadInput(f"{path}, line 1: a log of format {head['gpuyard_log']}, this gpuyard reads {FORMAT}")
            log = cls(tuple(_read_node(n) for n in head["nodes"]))
            for number, text in rows:  # noqa: B007 (the complaint below names it)
                log.entries.append(_read_entry(json.loads(text)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{path}, line {number}: is not a line of a gpuyard log; cut the file before it") from None
        return log


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


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"


def _line(time: float, entry: Entry) -> str:
    match entry:
        case Submitted(_, job):
            return _dump({"time": time, "event": "submitted", "job": _job(job)})
        case Stopped(_, job_id, reason, progress):
            return _dump({"time": time, "event": "stopped", "job": job_id, "reason": reason, "progress": progress})
        case Tick():
            return _dump({"time": time, "event": "tick"})
        case Start(job_id, placement):
            return _dump({"time": time, "decision": "start", "job": job_id, "placement": placement})
        case Preempt(job_id):
            return _dump({"time": time, "decision": "preempt", "job": job_id})


def _read_entry(row: dict[str, Any]) -> Entry:
    if not isinstance(row["time"], int | float) or not math.isfinite(row["time"]):
        raise ValueError(row)
    match row:
        case {"event": "submitted", "time": time, "job": job}:
            return Submitted(time, _read_job(job))
        case {"event": "stopped", "time": time, "job": job_id, "reason": reason, "progress": progress} if (
            reason in REASONS
        ):
            return Stopped(time, job_id, reason, progress)
        case {"event": "tick", "time": time}:
            return Tick(time)
        case {"decision": "start", "job": job_id, "placement": placement}:
            return Start(job_id, _read_placement(placement))
        case {"decision": "preempt", "job": job_id}:
            return Preempt(job_id)
    raise ValueError(row)


def _read_placement(parts: list[tuple[str, list[str]]]) -> Placement:
    return tuple((node, tuple(accelerators)) for node, accelerators in parts)


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


def _node(node: Node) -> dict[str, Any]:
    accelerators = [[a.id, a.kind, a.memory, a.emulated] for a in node.accelerators]
    return {"id": node.id, "cpus": node.cpus, "memory": node.memory, "accelerators": accelerators}


def _read_node(said: dict[str, Any]) -> Node:
    return Node(said["id"], tuple(Accelerator(*a) for a in said["accelerators"]), said["cpus"], said["memory"])
