"""How much memory this process has held at most."""

from __future__ import annotations

import re
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak() -> int:
    """Bytes at most held by this process.

    Linux tells it of the process itself. Elsewhere it is what `getrusage` says, which begins with the largest size that
    the parent had.
    """
    told = re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE) if STATUS.exists() else None
    if told is not None:
        return int(told[1]) * 1024
    import resource  # which not every system has

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
