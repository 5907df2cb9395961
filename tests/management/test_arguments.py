"""Times and days as a person types them."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from track360_django.management.track360 import arguments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-07-21", datetime(2025, 7, 20, 22, 0, tzinfo=UTC)),
        ("2025-07-21 08:46", datetime(2025, 7, 21, 6, 46, tzinfo=UTC)),
        ("2025-01-21T08:46:10", datetime(2025, 1, 21, 7, 46, 10, tzinfo=UTC)),
        ("2025-07-21T08:46Z", datetime(2025, 7, 21, 8, 46, tzinfo=UTC)),
        ("2025-07-21T08:46-05:00", datetime(2025, 7, 21, 13, 46, tzinfo=UTC)),
    ],
)
def test_iso_time_is_read_in_the_hosts_zone(text: str, expected: datetime, settings: Settings) -> None:
    """A time without a zone is one of `TIME_ZONE`, summer and winter; a zone that is given wins."""
    settings.TIME_ZONE = "Europe/Berlin"

    assert arguments.moment(text) == expected


def test_end_in_an_hour_that_a_clock_repeats_is_the_second_of_the_two(settings: Settings) -> None:
    """From its first 02:30 until its second one: nothing that was accepted in that hour is left out."""
    settings.TIME_ZONE = "Europe/Berlin"
    night = "2025-10-26 02:30"

    assert arguments.moment(night) == datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert arguments.moment_until(night) == datetime(2025, 10, 26, 1, 30, tzinfo=UTC)
    assert arguments.moment_until("2025-10-26T02:30+02:00") == arguments.moment(night)
    # In an hour that a clock leaves out, both are the same time.
    assert arguments.moment_until("2025-03-30 02:30") == arguments.moment("2025-03-30 02:30")


def test_activated_zone_changes_nothing(settings: Settings) -> None:
    """What somebody activated for a visitor is not the host's zone."""
    settings.TIME_ZONE = "UTC"

    with timezone.override("Asia/Tokyo"):
        assert arguments.moment("2025-07-21") == datetime(2025, 7, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("7d", timedelta(days=7)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("2w", timedelta(weeks=2)),
        ("45s", timedelta(seconds=45)),
        ("0d", timedelta(0)),
    ],
)
def test_how_long_ago_is_counted_from_now(text: str, ago: timedelta) -> None:
    """A number with a unit is so long before now."""
    before = timezone.now()

    found = arguments.moment(text)

    assert before - ago <= found <= timezone.now() - ago


@pytest.mark.parametrize(
    "text", ["", "yesterday", "-7d", "7 d", "7y", "1.5h", "2025-02-30", "2025-07-21 25:00", "999999w"]
)
def test_text_that_is_no_time_is_refused(text: str) -> None:
    """The message repeats what was typed."""
    with pytest.raises(ArgumentTypeError, match=repr(text)):
        arguments.moment(text)


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59-05:00"])
def test_time_at_the_end_of_all_is_refused(text: str, settings: Settings) -> None:
    """A time that overflows in some zone is no crash later on."""
    settings.TIME_ZONE = "Europe/Berlin"

    with pytest.raises(ArgumentTypeError, match="out of range"):
        arguments.moment(text)


def test_day_is_a_date_or_so_many_days_ago(settings: Settings) -> None:
    """Days are counted by the host's calendar."""
    settings.TIME_ZONE = "Asia/Tokyo"
    today = timezone.localtime(timezone.now(), timezone.get_default_timezone()).date()

    assert arguments.day("2025-07-21") == date(2025, 7, 21)
    assert today - arguments.day("7d") in {timedelta(days=7), timedelta(days=6)}


@pytest.mark.parametrize("text", ["", "today", "2025-07-21 08:00", "2025-13-01"])
def test_text_that_is_no_day_is_refused(text: str) -> None:
    """The message repeats what was typed."""
    with pytest.raises(ArgumentTypeError, match=repr(text)):
        arguments.day(text)
