"""`track360 explain`: print the whole life of a record in sentences."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, OutputWrapper
from django.db import router
from django.utils import timezone

from track360_django.management.track360 import arguments
from track360_django.models import Activity, Customer
from track360_django.operations import explanation
from track360_django.users.lookup import all_users

HELP: Final = "Print the whole life of a record: attribution, state, reason, next attempt, last error."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    arguments.add_brand(parser)
    parser.add_argument("id", help="a complete customer id or event id")


def run(options: Mapping[str, Any], out: OutputWrapper, _err: OutputWrapper) -> None:
    """
    Print the life of each record with the id.

    Raises:
        CommandError: There is no such record.
    """
    wanted = arguments.narrowed(options["brand"])
    records = [
        record
        for record in explanation.find(options["id"], using=router.db_for_read(Activity))
        if record.brand == wanted.get("brand", record.brand)
    ]
    if not records:
        raise CommandError(_why_none(options["id"]), returncode=1)
    now = timezone.now()
    for position, record in enumerate(records):
        if position:
            out.write("")
        out.writelines(f"{sentence}\n" for sentence in explanation.life_of(record, now))


def _why_none(key: str) -> str:
    """Return the message for an id that no record has."""
    none = f"No customer and no activity has the id {key!r}."
    if _is_user(key):
        known = Customer.objects.filter(user_pk=key).values_list("customer_id", flat=True)[:5]
        if known:
            return (
                f"{none} The user with this primary key is a customer under another id: {', '.join(known)}."
            )
        return (
            f"{none} A user with this primary key exists but was never reported. Possible causes: the user signed up "
            "before the package was installed; on a host that no brand has in HOSTS; in a way that no signup source "
            "sees; or the signup could not be recorded (see the log). Report this user with customers.report(), or all "
            "users who were never reported with `track360 backfill users`."
        )
    return (
        f"{none} The id must be complete and exact. Possible causes: the user was not reported (customers.report()); the "
        "row was saved without signals (bulk_create() and update() send none); no track360.py declares its model; or "
        "the activity was accepted and deleted after RETENTION_DAYS."
    )


def _is_user(key: str) -> bool:
    try:
        return bool(all_users().filter(pk=key).exists())
    except (TypeError, ValueError, OverflowError, ValidationError):
        # This text can't be a primary key of the user model.
        return False
