"""Processes of the host that die or stop at a chosen moment: `python -m tests.processes <name>`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import django


def drain() -> None:
    """Deliver what is due."""
    from track360_django import delivery

    report = delivery.drain(budget_seconds=60)
    print(report.delivered)  # noqa: T201  what the test reads


def die_before_settling() -> None:
    """Die by -9 between the answer and the settling."""
    _drain_with(lambda: os.kill(os.getpid(), signal.SIGKILL))


def stop_before_settling() -> None:
    """Stop between the answer and the settling, until somebody continues the process."""
    _drain_with(lambda: os.kill(os.getpid(), signal.SIGSTOP))


def _drain_with(act: Callable[[], None]) -> None:
    """Deliver, and act when an answer was read and nothing settled: that is where RESPONSE_CHECK is called."""
    from django.conf import settings

    def check(_status: int, _text: str) -> bool:
        act()
        return True

    settings.TRACK360 = {**settings.TRACK360, "RESPONSE_CHECK": check}
    drain()


ACTIONS = {function.__name__: function for function in (drain, die_before_settling, stop_before_settling)}

if __name__ == "__main__":
    django.setup()
    ACTIONS[sys.argv[1]]()
