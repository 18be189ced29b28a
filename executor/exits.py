"""Sleeping until a process ends."""

from __future__ import annotations

import math
import os
import select

LOOK = 0.05
"""Seconds between looks where the kernel has no pidfd (Linux before 5.3, or a container that forbids it)."""
LONGEST = 3600.0


class Exits:
    """Wakes its one sleeper when any of the watched processes ends: no thread, and no polling where pidfds exist."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._fds: dict[int, int] = {}
        self._blind: set[int] = set()

    def watch(self, pid: int) -> None:
        """Watches a child of this process that has not been reaped."""
        try:
            self._fds[pid] = fd = os.pidfd_open(pid)
        except (OSError, AttributeError):
            self._blind.add(pid)
        else:
            self._poll.register(fd, select.POLLIN)

    def forget(self, pid: int) -> None:
        """Watches it no longer."""
        self._blind.discard(pid)
        if (fd := self._fds.pop(pid, None)) is not None:
            self._poll.unregister(fd)
            os.close(fd)

    def sleep(self, seconds: float) -> None:
        """Returns when a watched process has ended, or after so many seconds (an hour at most), or a little earlier."""
        longest = LOOK if self._blind else LONGEST
        self._poll.poll(math.ceil(1000 * max(0.0, min(seconds, longest))))
