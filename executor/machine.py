"""This machine as a node."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

from ..envs.nodes import Accelerator, Node


def this_machine(accelerators: Iterable[Accelerator] = ()) -> Node:
    """Returns this machine with these accelerators: its host name, the CPUs this process may use, its memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Node(socket.gethostname(), tuple(accelerators), float(len(os.sched_getaffinity(0))), memory)
