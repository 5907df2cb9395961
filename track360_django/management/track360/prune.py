"""`track360 prune`: delete activities that were accepted long ago; empty those with an id that must stay known."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import OutputWrapper

from track360_django import conf
from track360_django.management.track360 import arguments
from track360_django.outbox import retention

HELP: Final = "Delete activities that were accepted long ago. Customers and dead records stay."
MAX_DAYS: Final = 36_500


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    arguments.add_brand(parser)
    parser.add_argument(
        "--days", type=_days, help="keep activities accepted in the last DAYS days (default: RETENTION_DAYS)"
    )


def run(options: Mapping[str, Any], out: OutputWrapper, _err: OutputWrapper) -> None:
    """Prune the activities, and print how many they are."""
    days, brand = options["days"], arguments.narrowed(options["brand"]).get("brand", "")
    if days is None and not brand:
        count = retention.prune_all()
    else:
        count = retention.prune(
            older_than=timedelta(days=days or conf.for_brand(brand).RETENTION_DAYS), brand=brand
        )
    out.write(f"activities pruned: {count}")


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_DAYS):
        message = f"{text!r} is not a whole number of days from 1 to {MAX_DAYS}"
        raise ArgumentTypeError(message)
    return int(text)
