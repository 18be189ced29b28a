"""A file of jobs: `[[jobs]]` tables in TOML, each a command and what it needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..envs.kinds import kin
from ..traces.data import tables
from ..traces.job import Job
from ..traces.trouble import BadInput, nearest

_NUMBER = (int, float)
_KEYS: dict[str, tuple[type, ...]] = {
    "command": (list,),
    "name": (str,),
    "gpus": (int,),
    "share": _NUMBER,
    "kinds": (list,),
    "cpus": _NUMBER,
    "memory_gib": _NUMBER,
    "gpu_memory_gib": _NUMBER,
    "estimate": _NUMBER,
    "deadline": _NUMBER,
    "profile": (str,),
    "after_seconds": _NUMBER,
    "count": (int,),
    "user": (str,),
    "tenant": (str,),
    "priority": _NUMBER,
    "preemptible": (bool,),
}
_WANTED = {list: "a list of strings", str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
_MOST = 1_000_000


def read(path: Path) -> tuple[Job, ...]:
    """Reads jobs, in order of submission; ids count up from 0 in the order of the file.

    A table has `command` (a list of strings: no shell reads it) and may have `name`, `gpus` (1), `share` (1.0, of one
    GPU), `kinds` ("A100" is met by an A100-80GB as well), `cpus`, `memory_gib` (of the host), `gpu_memory_gib` (needed
    on each GPU), `estimate` (seconds), `after_seconds` (0) and `deadline` (both since the start of the session),
    `profile` (its model family; any word, and those of `envs/profiles.toml` can be tuned), `user`, `tenant`,
    `priority`, `preemptible` (true), and `count`: so many jobs, with {index} replaced by 0, 1, 2, ... in their name and
    command.

    Raises BadInput that names the file, the table and the key.
    """
    jobs: list[Job] = []
    for number, table in enumerate(tables(path, "jobs", str(path)), 1):
        jobs += _jobs(table, len(jobs), f"{path}: [[jobs]] number {number}")
    return tuple(sorted(jobs, key=lambda job: job.submit))


def _jobs(table: Any, first: int, where: str) -> Iterator[Job]:
    if not isinstance(table, dict):
        raise BadInput(f"{where}: wants a table")
    for key, value in table.items():
        _check(key, value, where)
    if "command" not in table:
        raise BadInput(f"{where}: 'command' is missing; give the program and its arguments as a list of strings")
    _check_ranges(table, where)
    for index in range(table.get("count", 1)):
        yield _job(table, first + index, index)


def _job(table: dict[str, Any], number: int, index: int) -> Job:
    def filled(text: str) -> str:
        return text.replace("{index}", str(index))

    return Job(
        id=number,
        submit=float(table.get("after_seconds", 0.0)),
        gang=table.get("gpus", 1),
        share=float(table.get("share", 1.0)),
        kinds=tuple(dict.fromkeys(kind for word in table.get("kinds", ()) for kind in kin(word))),
        cpus=_number(table.get("cpus")),
        host_memory=_bytes(table.get("memory_gib")),
        memory=_bytes(table.get("gpu_memory_gib")),
        deadline=_number(table.get("deadline")),
        profile=table.get("profile"),
        estimate=_number(table.get("estimate")),
        tenant=table.get("tenant"),
        user=table.get("user"),
        priority=_number(table.get("priority")),
        preemptible=table.get("preemptible", True),
        name=filled(table["name"]) if "name" in table else None,
        command=tuple(filled(word) for word in table["command"]),
    )


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _bytes(gib: float | None) -> int | None:
    return None if gib is None else int(gib * 2**30)


def _check(key: str, value: Any, where: str) -> None:
    if key not in _KEYS:
        raise BadInput(f"{where}: unknown key '{key}'.{nearest(key, list(_KEYS))}")
    if key == "command" and isinstance(value, str):
        raise BadInput(
            f"{where}: 'command' is a string, and no shell is there to read it; "
            'write a list, as in ["python", "train.py"], or ["sh", "-c", "..."] if you want a shell'
        )
    wanted = _KEYS[key]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted != (bool,)):
        raise BadInput(f"{where}: '{key}' cannot be {value!r}; it is {_WANTED[wanted[-1]]}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{where}: '{key}' cannot be {value!r}; it is a finite number")
    if isinstance(value, list) and not all(isinstance(word, str) and "\0" not in word for word in value):
        raise BadInput(f"{where}: '{key}' cannot be {value!r}; it is a list of strings")


def _check_ranges(table: dict[str, Any], where: str) -> None:
    rules = [
        ("command", bool(table["command"] and table["command"][0]), "the program and its arguments"),
        ("share", 0 < table.get("share", 1) <= 1, "a part of one GPU, more than 0 and at most 1"),
        ("share", table.get("share", 1) == 1 or table.get("gpus", 1) == 1, "1 unless 'gpus' is 1"),
        ("count", 1 <= table.get("count", 1) <= _MOST, f"1 to {_MOST:,}"),
        *(
            (key, table.get(key, 0) >= 0, "0 or more")
            for key in ("gpus", "cpus", "memory_gib", "gpu_memory_gib", "estimate", "deadline", "after_seconds")
        ),
        ("profile", table.get("profile") != "", "a word"),
    ]
    for key, good, wanted in rules:
        if not good:
            raise BadInput(f"{where}: '{key}' cannot be {table[key]!r}; it is {wanted}")
