"""Times in a file: read as they are meant, or refused; a time that can be read in two ways is not guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from django.utils import timezone

from track360_django.exceptions import PayloadError

# A number of seconds, milliseconds or days, or 20250721: which one, a file does not say.
_DIGITS: Final = re.compile(r"[+-]?[0-9]+([.,][0-9]*)?([eE][+-]?[0-9]+)?")
# 21/07/2025 and 21.07.25: 05/06 is in May in one country and in June in another.
_DAY_FIRST: Final = re.compile(r"[0-9]{1,2}[./-][0-9]{1,2}[./-]([0-9]{2}|[0-9]{4})\b.*", re.DOTALL)
# Years before it come out of a damaged column: 1970 for a zero, 1900 for an empty cell, 1512 for milliseconds.
EARLIEST_YEAR: Final = 1990
# Clocks and time zones differ by less.
FUTURE: Final = timedelta(days=1)

_AS_WRITTEN: Final = "write it as in the guide, 2025-07-21 08:46, or as 2025-07-21T08:46:00Z"


def read_time(value: Any, name: str, zone: tzinfo) -> datetime:
    """
    Return a time of a file in UTC; without a zone of its own it is in `zone`.

    Raises:
        PayloadError: It is no time, it can be read in several ways, or no customer can have been active then.

    Source: API guide, Field definitions; what is refused beyond it is our choice: a wrong time is a wrong month's pay.
    """
    refusal = _why_unclear(value)
    found = None if refusal else _parse(value, zone)
    if found is not None:
        refusal = _why_impossible(found)
    elif refusal is None:
        refusal = "is no time"
    if found is None or refusal:
        message = f"{name} {refusal}: {_AS_WRITTEN}."
        raise PayloadError(message, field=name, reason="invalid_time")
    return found


def _why_unclear(value: Any) -> str | None:
    """Return why a text may mean several times, as the end of a sentence."""
    text = value.strip() if isinstance(value, str) else str(value)
    if _DIGITS.fullmatch(text):
        return "is made of digits alone, which may be seconds, milliseconds, days or a date"
    if _DAY_FIRST.fullmatch(text):
        return "begins with a day or a month, and only its country knows which of the two"
    return None


def _parse(value: Any, zone: tzinfo) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _why_impossible(found: datetime) -> str | None:
    if found.year < EARLIEST_YEAR:
        return f"is before {EARLIEST_YEAR}, as a damaged column says it"
    if found > timezone.now() + FUTURE:
        return "is in the future"
    return None
