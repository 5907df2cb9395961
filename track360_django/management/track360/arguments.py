"""Options of several subcommands: times and days (`--since`, `--until`, `--date`), and brands (`--brand`)."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.core.management.base import CommandError
from django.utils import timezone

from track360_django import conf
from track360_django.models import Customer, Lane

MOMENT: Final = "an ISO time or date (without a zone: in Django's TIME_ZONE), or how long ago: 7d, 12h, 30m"

_AGO: Final = re.compile(r"([0-9]{1,6})([wdhms])")
_UNITS: Final = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def moment(text: str) -> datetime:
    """
    Return the time that a text names, aware, in UTC.

    Args:
        text: An ISO time or date, with a zone or in the host's `TIME_ZONE` (a date means its first moment); or how
            long ago, such as `7d` or `12h`.

    Raises:
        ArgumentTypeError: The text is not a time. argparse prints the message.
    """
    return _ago(text) or _iso(text, is_end=False)


def moment_until(text: str) -> datetime:
    """
    Return the time that a text names as an end. If the clock shows this time twice in that night, return the second one.

    `moment` returns the first one, so nothing is left out between them.

    Raises:
        ArgumentTypeError: The text is not a time. argparse prints the message.
    """
    return _ago(text) or _iso(text, is_end=True)


def day(text: str) -> date:
    """
    Return the date that a text names. `7d` is the day a week ago in the host's `TIME_ZONE`.

    Raises:
        ArgumentTypeError: The text is not a day. argparse prints the message.
    """
    if ago := _ago(text):
        return timezone.localtime(ago, timezone.get_default_timezone()).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is not a day: write it as 2025-07-21, or as days ago, such as 7d"
        raise ArgumentTypeError(message) from None


def _ago(text: str) -> datetime | None:
    found = _AGO.fullmatch(text)
    if found is None:
        return None
    return _existing(
        text, lambda: timezone.now() - timedelta(**{_UNITS[found.group(2)]: int(found.group(1))})
    )


def _iso(text: str, *, is_end: bool) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        message = (
            f"{text!r} is not a time: write it as 2025-07-21, '2025-07-21 08:46', 2025-07-21T08:46+02:00, or as how "
            "long ago, such as 7d or 12h"
        )
        raise ArgumentTypeError(message) from None
    if timezone.is_naive(value):
        # The default zone, in which Django stores naive times; not a zone that other code has activated.
        value = timezone.make_aware(value, timezone.get_default_timezone())
        second = value.replace(fold=1)
        # Compared in UTC: within one zone, Python compares the local clock times and ignores `fold`.
        return _existing(text, lambda: max(_utc(value), _utc(second)) if is_end else _utc(value))
    return _existing(text, lambda: _utc(value))


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _existing(text: str, compute: Callable[[], datetime]) -> datetime:
    """Return a time that databases can store: times in the first and the last year overflow in some zones."""
    try:
        return compute()
    except OverflowError:
        message = f"{text!r} is out of range: dates go from the year 1 to the year 9999"
        raise ArgumentTypeError(message) from None


def add_brand(parser: ArgumentParser) -> None:
    """Add the option that narrows a command to one brand."""
    parser.add_argument("--brand", help="only records of this brand")


def brand_of(name: str | None) -> str:
    """
    Return the brand that a person named; without a name, the brand for code without a request.

    Raises:
        CommandError: There is no such brand, or the brand is unknown without a name.
    """
    if name is None:
        _refuse_renamed()
        try:
            return conf.brand_of(None)
        except conf.BrandError as error:
            message = f"{error} A command takes --brand: {', '.join(conf.brands())}."
            raise CommandError(message, returncode=2) from None
    if name not in conf.brands():
        message = f"There is no brand {name!r}: TRACK360['BRANDS'] has {', '.join(conf.brands())}."
        raise CommandError(message, returncode=2)
    return name


def _refuse_renamed() -> None:
    """
    Refuse to report customers again that were reported before `BRANDS` was set.

    Most likely they were reported with a token that is still in use.
    """
    if conf.DEFAULT_BRAND in conf.brands() or not Customer.objects.filter(brand=conf.DEFAULT_BRAND).exists():
        return
    message = (
        "Some customers were reported before TRACK360['BRANDS'] was set. Nothing was written. Name their brand "
        f"{conf.DEFAULT_BRAND!r} in TRACK360['BRANDS'], or name the brand for this command with --brand."
    )
    raise CommandError(message, returncode=2)


def narrowed(name: str | None) -> dict[str, str]:
    """
    Return the filter for records of a brand that a person named. A brand that was removed may still have records.

    Raises:
        CommandError: There is no such brand, and no record has its name.
    """
    if name is None:
        return {}
    if name not in conf.brands() and not any(
        model._default_manager.filter(brand=name).exists() for model in (Lane, Customer)
    ):
        brand_of(name)
    return {"brand": name}
