"""TOML: the data files that come with gpuyard, each beside the module that reads it, and users' lists of tables."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from .trouble import BadInput


@cache
def beside(module: str, name: str) -> dict[str, Any]:
    """The table in a TOML file beside a module, given that module's `__file__`. It is shared: read it, do not write."""
    return tomllib.loads(Path(module).with_name(name).read_text(encoding="utf-8"))


def tables(path: Path, name: str, where: str) -> list[Any]:
    """The `[[name]]` tables of a TOML file that has nothing else; what each of them is remains to be seen.

    Raises BadInput that begins with `where`.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{where}: {error.strerror}; give a TOML file with [[{name}]] tables") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{where}: not valid TOML: {error}") from None
    found = content.get(name)
    if not isinstance(found, list) or not found or set(content) != {name}:
        has = ", ".join(sorted(content)) or "nothing"
        raise BadInput(f"{where}: wants [[{name}]] tables and nothing else, has {has}")
    return found
