"""The data files that come with gpuyard: TOML beside the module that reads it."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def beside(module: str, name: str) -> dict[str, Any]:
    """The table in a TOML file beside a module, given that module's `__file__`. It is shared: read it, do not write."""
    return tomllib.loads(Path(module).with_name(name).read_text(encoding="utf-8"))
