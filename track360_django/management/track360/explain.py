"""`track360 explain`: the whole life of a record, in sentences."""

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

HELP: Final = "Tell the whole life of a record: attribution, state, why, next attempt, last error."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    arguments.add_brand(parser)
    parser.add_argument("id", help="a customer id or an event id, whole")


def run(options: Mapping[str, Any], out: OutputWrapper, _err: OutputWrapper) -> None:
    """
    Print the life of each record with the id.

    Raises:
        CommandError: There is none.
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
    """Return what a person reads who asked for an id that no record has."""
    none = f"No customer and no activity has the id {key!r}."
    if _is_user(key):
        known = Customer.objects.filter(user_pk=key).values_list("customer_id", flat=True)[:5]
        if known:
            return (
                f"{none} The user with this primary key is a customer under another id: {', '.join(known)}."
            )
        return (
            f"{none} There is a user with this primary key, who is no customer: they signed up before the package was "
            "there, on a host of no brand (HOSTS), in a way that nobody noticed, or their signup could not be written "
            "down, which the log tells. Report them with customers.report(), or all like them with "
            "`track360 backfill users`."
        )
    return (
        f"{none} Ids are compared whole and exactly. Was the user reported (customers.report), the row saved with "
        "signals (bulk_create() and update() send none), its model declared in a track360.py? Accepted activities are "
        "deleted after RETENTION_DAYS."
    )


def _is_user(key: str) -> bool:
    try:
        return bool(all_users().filter(pk=key).exists())
    except (TypeError, ValueError, OverflowError, ValidationError):
        # It can be nobody's primary key.
        return False
