"""Processes of the host with something wrong about them: `python -m tests.faults.hosts NAME [ARGUMENT]`."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime as RealDateTime  # noqa: N812  its name is taken over below
from typing import Any, Final

import django


def die_of(customer_id: str) -> None:
    """Deliver, and die by -9 whenever this customer is about to be sent."""
    from django.conf import settings

    def before_send(record: dict[str, Any]) -> dict[str, Any]:
        if record.get("customerId") == customer_id:
            os.kill(os.getpid(), signal.SIGKILL)
        return record

    settings.TRACK360 = {**settings.TRACK360, "BEFORE_SEND": before_send}
    drain()


def drain(_argument: str = "") -> None:
    """Deliver what is due."""
    from track360_django import delivery

    delivery.drain(budget_seconds=60)


def shift_clock(seconds: float) -> None:
    """Let this process believe that it is so much later; the monotonic clock is right, as on a real machine."""
    real_time, real_time_ns = time.time, time.time_ns
    shift = dt.timedelta(seconds=seconds)

    class _Kind(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, RealDateTime)

    class _Shifted(RealDateTime, metaclass=_Kind):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return RealDateTime.now(tz) + shift

        @classmethod
        def utcnow(cls) -> Any:
            return RealDateTime.now(dt.UTC).replace(tzinfo=None) + shift

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_time_ns() + int(seconds * 10**9)
    dt.datetime = _Shifted  # type: ignore[misc]  # before anybody else imports it


def tell_time(_argument: str = "") -> None:
    """Print how far this process's clocks are ahead of the database's, in whole seconds."""
    from django.db import connection
    from django.utils import timezone

    with connection.cursor() as cursor:
        is_sqlite = connection.vendor == "sqlite"
        cursor.execute("SELECT unixepoch()" if is_sqlite else "SELECT extract(epoch FROM now())")
        now = float(cursor.fetchone()[0])
    print(round(time.time() - now), round(timezone.now().timestamp() - now))  # noqa: T201  what the test reads


ACTIONS: Final[dict[str, Callable[[str], None]]] = {
    function.__name__: function for function in (die_of, drain, tell_time)
}

if __name__ == "__main__":
    if shift := float(os.environ.get("FAULTS_CLOCK_AHEAD_SECONDS", "0")):
        shift_clock(shift)
    django.setup()
    ACTIONS[sys.argv[1]](*sys.argv[2:])
