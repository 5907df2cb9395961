"""Processes of the host that die or stop at a chosen moment: `python -m tests.processes <name>`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import django
from django.conf import settings

DAY = date(2025, 7, 21)


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

    def check(_status: int, _text: str) -> bool:
        act()
        return True

    settings.TRACK360 = {**settings.TRACK360, "RESPONSE_CHECK": check}
    drain()


def compile_day() -> None:
    """Compile a day of 1100 totals, and tell what became of it."""
    from track360_django import daily

    print(daily.report_day(_player_day(), DAY))  # noqa: T201  what the test reads


def die_while_compiling() -> None:
    """Die by -9 with the second thousand of them."""
    from django.db import connection

    from track360_django.daily.writer import CHUNK

    inserted = 0

    def die(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        nonlocal inserted
        if "INTO" in sql and "track360_django_activity" in sql:
            # Postgres takes a list for each column.
            flat = [one for each in params for one in (each if isinstance(each, list) else [each])]
            if inserted == CHUNK:
                os.kill(os.getpid(), signal.SIGKILL)
            inserted += sum(str(one).startswith(f"DailyStats-{DAY}-") for one in flat)
        return execute(sql, params, *rest)

    with connection.execute_wrapper(die):
        compile_day()


def _player_day() -> Any:
    from track360_django import activities

    class PlayerDay(activities.DailyActivity):
        eventname = "DailyStats"

        def rows(self, day: date) -> Iterator[dict[str, Any]]:
            del day
            for number in range(1100):
                yield {"customer": "c-1", "currency": "USD", "product": f"game {number}", "GGR": number + 1}

    settings.TRACK360 = {**settings.TRACK360, "PRODUCT_FIELD": "gameType"}
    return PlayerDay()


ACTIONS = {
    function.__name__: function
    for function in (drain, die_before_settling, stop_before_settling, compile_day, die_while_compiling)
}

if __name__ == "__main__":
    django.setup()
    ACTIONS[sys.argv[1]]()
