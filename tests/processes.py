"""Real processes: one that hears no request, how to wait for what they do, and whether they are gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

DEAF = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")


def until(there: Callable[[], bool], seconds: float = 5.0) -> None:
    limit = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < limit, "it does not come"
        time.sleep(0.005)


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie that nobody reaps has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
