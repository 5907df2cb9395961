"""
When to try again: the schedule and the breaker. Pure decisions; no clock, no table, no network.

Source: none, our choice: the API guide asks for safe retries ("Update behavior") and gives no numbers.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

# Between one attempt and the next, in seconds; the last one repeats until the record is too old.
SCHEDULE_SECONDS: Final = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 21_600)
JITTER: Final = 0.2
# An overloaded or silent server gets a minute at least.
CALM_SECONDS: Final = 60
CALM_REASONS: Final = frozenset({"http_429", "timeout"})
MAX_RETRY_AFTER_SECONDS: Final = 3_600

FAILURES_TO_OPEN: Final = 5
BREAKER_SECONDS: Final = 30
MAX_BREAKER_SECONDS: Final = 300
# So many records refused one by one, none accepted between: it is the endpoint that is wrong.
REFUSALS_TO_PAUSE: Final = 3


def retry_in(attempts: int, *, reason: str, retry_after: float | None = None) -> timedelta:
    """Return the wait after a failed attempt; `attempts` counts it, `retry_after` is in seconds."""
    step = SCHEDULE_SECONDS[min(max(attempts, 1), len(SCHEDULE_SECONDS)) - 1]
    least = max(step * random.uniform(1 - JITTER, 1 + JITTER), CALM_SECONDS if reason in CALM_REASONS else 0)  # noqa: S311  spreads load, keeps no secret
    return timedelta(seconds=max(least, min(retry_after or 0, MAX_RETRY_AFTER_SECONDS)))


def breaker_pause(failures: int) -> timedelta | None:
    """Return how long an endpoint rests after so many failures in a row, None while it stays open for business."""
    if failures < FAILURES_TO_OPEN:
        return None
    doublings = min(failures - FAILURES_TO_OPEN, 10)
    return timedelta(seconds=min(BREAKER_SECONDS * 2**doublings, MAX_BREAKER_SECONDS))


def asked_pause(retry_after: float | None) -> timedelta | None:
    """Return how long an endpoint rests because the API asked for it; at most an hour."""
    if retry_after is None:
        return None
    return timedelta(seconds=min(max(retry_after, SCHEDULE_SECONDS[0]), MAX_RETRY_AFTER_SECONDS))
