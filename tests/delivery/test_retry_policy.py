"""When a record goes again, and how long an endpoint rests."""

from __future__ import annotations

from datetime import timedelta

import pytest

from track360_django.delivery import retry_policy
from track360_django.outbox import lanes

HOUR = 3600


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [
        (1, 5),
        (2, 30),
        (3, 2 * 60),
        (4, 10 * 60),
        (5, 30 * 60),
        (6, HOUR),
        (7, 2 * HOUR),
        (8, 4 * HOUR),
        (9, 6 * HOUR),
        (10, 6 * HOUR),
        (10_000, 6 * HOUR),
        (0, 5),
    ],
)
def test_wait_grows_with_the_attempts(attempts: int, seconds: int) -> None:
    """Each attempt waits longer, a fifth more or less, and from the ninth on every six hours."""
    waits = [retry_policy.retry_in(attempts, reason="http_500").total_seconds() for _ in range(200)]

    assert all(0.8 * seconds <= wait <= 1.2 * seconds for wait in waits)
    # Records that failed together don't come back together.
    assert max(waits) - min(waits) > 0.2 * seconds


@pytest.mark.parametrize("reason", ["http_429", "timeout"])
def test_overloaded_or_silent_server_gets_a_minute(reason: str) -> None:
    """After a 429 or a timeout nothing goes again before 60 seconds have passed."""
    waits = [retry_policy.retry_in(attempts, reason=reason) for attempts in (1, 2, 3) for _ in range(50)]

    assert min(waits) >= timedelta(seconds=60)
    assert retry_policy.retry_in(9, reason=reason) > timedelta(hours=4)


@pytest.mark.parametrize(
    ("attempts", "retry_after", "least", "most"),
    [
        (1, 42.0, 42, 42),
        (1, 0.0, 4, 6),  # never sooner than the step
        (9, 42.0, 0.8 * 6 * HOUR, 1.2 * 6 * HOUR),
        (1, 31_536_000.0, HOUR, HOUR),  # a year
        (1, None, 4, 6),
    ],
    ids=["seconds", "zero", "less-than-the-step", "a-year", "none"],
)
def test_wait_that_the_api_asks_for_is_clamped(
    attempts: int, retry_after: float | None, least: float, most: float
) -> None:
    """`Retry-After` is honoured between the schedule's step and an hour."""
    wait = retry_policy.retry_in(attempts, reason="http_503", retry_after=retry_after).total_seconds()

    assert least <= wait <= most


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, None), (4, None), (5, 30), (6, 60), (7, 120), (8, 240), (9, 300), (10, 300), (10_000, 300)],
)
def test_breaker_opens_after_five_failures(failures: int, seconds: int | None) -> None:
    """An endpoint rests from the fifth failure in a row: 30 seconds, doubling to five minutes."""
    pause = retry_policy.breaker_pause(failures)

    assert pause == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(None, None), (0.0, 5), (4.0, 5), (42.0, 42), (31_536_000.0, HOUR)],
)
def test_endpoint_rests_as_long_as_it_asks(retry_after: float | None, seconds: int | None) -> None:
    """`Retry-After` holds for the endpoint too: five seconds at least, an hour at most."""
    pause = retry_policy.asked_pause(retry_after)

    assert pause == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("losses", "batch_size", "records"),
    [(0, 500, 500), (1, 500, 50), (2, 500, 5), (3, 500, 1), (4, 500, 1), (9, 500, 1), (1, 20, 20), (2, 3, 3)],
)
def test_batch_narrows_with_each_lost_worker(losses: int, batch_size: int, records: int) -> None:
    """A lane that loses worker after worker sends ever fewer records at once, until one is alone."""
    assert lanes.width(losses, batch_size) == records


def test_single_record_is_blamed_after_it_was_alone() -> None:
    """A record is named a killer only when workers died twice with it alone."""
    alone = [losses for losses in range(10) if lanes.width(losses, 500) == 1]

    assert [losses for losses in range(10) if lanes.is_single(losses)] == alone
    assert [trials for trials in range(4) if lanes.is_killer(trials)] == [2, 3]
