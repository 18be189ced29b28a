"""What a TOML table says, as a record: strictly, and with errors that name the key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from ..traces.trouble import BadInput, nearest
from .laws.law import Filename

T = TypeVar("T")


def filled(kind: type[T], table: Mapping[str, Any], where: str, law: str = "") -> T:
    """Makes a record of a TOML table. Raises BadInput that names the key.

    It is read as JSON, for which pydantic has strict rules that are TOML's, too: 2 is a number, "2" and true are not.

    Args:
        kind: of the record.
        table: what was said.
        where: it was said.
        law: whose record it is, which says its name itself.
    """
    from pydantic import TypeAdapter, ValidationError

    _strict(kind)
    try:
        return TypeAdapter(kind).validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        raise BadInput(f"{where}: {_told(kind, table, dict(error.errors()[0]), law)}") from None


def _told(kind: Any, table: Mapping[str, Any], first: Mapping[str, Any], law: str) -> str:
    """Pydantic's first complaint in our words."""
    loc = _place(first["loc"], table)
    key = ".".join(str(part + 1 if isinstance(part, int) else part) for part in loc)
    if first["type"] == "unexpected_keyword_argument":
        return f"unknown key '{key}'.{_guess(kind, loc)}"
    said = first["msg"].removeprefix("Value error, ").removeprefix(f"{law}: ").replace("an object", "a table")
    said = said[:1].lower() + said[1:]
    if first["type"] != "value_error":
        return f"'{key}' cannot be {first['input']!r}: {said}"
    return f"{key}: {said}" if key else said


def _place(loc: tuple[int | str, ...], table: Any) -> tuple[int | str, ...]:
    """Where it is in the table: pydantic also says which of several types it tried."""
    for depth, part in enumerate(loc):
        if isinstance(table, dict):
            table = table.get(part)
        elif isinstance(table, list) and isinstance(part, int):
            table = table[part] if part < len(table) else None
        else:
            return loc[:depth]
    return loc


def _guess(kind: Any, loc: tuple[int | str, ...]) -> str:
    """What may have been meant by an unknown key of a record, or of one within it."""
    for part in loc[:-1]:
        kind = next(iter(_records(get_type_hints(kind).get(str(part)))), kind)
    known = [one.name for one in fields(kind)]
    return nearest(str(loc[-1]), known, cutoff=0.6) if known else " There are none here."


def _strict(kind: Any) -> None:
    """Has unknown keys refused, in a record and in those within it."""
    kind.__pydantic_config__ = {"extra": "forbid"}
    for one in _within(kind):
        _strict(one)


def _within(kind: Any) -> list[type]:
    """The records within a record."""
    return [one for hint in get_type_hints(kind).values() for one in _records(hint)]


def _records(hint: Any) -> list[type]:
    return [one for one in (hint, *get_args(hint)) if isinstance(one, type) and is_dataclass(one)]


def nearby(table: Mapping[str, Any], names: set[str], folder: Path) -> dict[str, Any]:
    """The same values, with files beside the scenario's file as paths, where a key may name one."""
    near = dict(table)
    for key, value in table.items():
        if isinstance(value, dict):
            near[key] = nearby(value, names, folder)
        elif key in names and isinstance(value, str) and (folder / value).is_file():
            near[key] = str(folder / value)
    return near


def filenames(kind: Any) -> set[str]:
    """The keys of a record, and of those within it, that may name a file."""
    hints = get_type_hints(kind, include_extras=True)
    mine = {key for key, hint in hints.items() if Filename in (hint, *get_args(hint))}
    return mine.union(*(filenames(one) for one in _within(kind)))
