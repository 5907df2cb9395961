"""Stopping: the first SIGINT or SIGTERM lets what is under way end, the second one does what it did before."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

POLL_SECONDS: Final = 0.1
# What a shell calls the exit code of a program that SIGINT ended.
INTERRUPTED: Final = 130


class Stop:
    """Whether a stop was asked for: a plain flag, for a lock may not be taken in a signal handler."""

    is_wanted = False

    def rest(self, seconds: float) -> None:
        """Do nothing for so many seconds, or until a stop is asked for."""
        until = time.monotonic() + seconds
        while not self.is_wanted and time.monotonic() < until:
            time.sleep(POLL_SECONDS)


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Note the first SIGINT or SIGTERM; the second one does what it did before."""
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
