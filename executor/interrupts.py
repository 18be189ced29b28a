"""Holding an interrupt back for a moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """An interrupt (SIGINT, or SIGTERM and SIGHUP if the program handles them) within the block comes at its end.

    A process that is started must be known before anything can go wrong: else nobody would end it. Blocking the
    signals would not do, as the process would inherit that.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    held: list[int] = []
    caught = [number for number, handler in handlers.items() if callable(handler)]
    if threading.current_thread() is not threading.main_thread():
        caught = []  # only the main thread is ever interrupted
    for number in caught:
        signal.signal(number, lambda number, _: held.append(number))
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, handlers[number])
        if held:
            signal.raise_signal(held[0])
