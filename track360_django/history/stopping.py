"""Stopping a command: the first SIGINT or SIGTERM finishes the current step, the second one acts as usual."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

POLL_SECONDS: Final = 0.1
# The exit code that a shell gives a program that SIGINT ended.
INTERRUPTED: Final = 130


class Stop:
    """Whether a stop was requested. A plain flag, because a signal handler must not take a lock."""

    is_wanted = False

    def rest(self, seconds: float) -> None:
        """Wait for so many seconds, or until a stop is requested."""
        until = time.monotonic() + seconds
        while not self.is_wanted and time.monotonic() < until:
            time.sleep(POLL_SECONDS)


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Record the first SIGINT or SIGTERM as a request to stop, and restore the former handler for the second one."""
    stop = Stop()
    before: dict[int, Any] = {}

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stop.is_wanted = True
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)
