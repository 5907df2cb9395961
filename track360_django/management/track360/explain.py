"""`track360 explain`: the whole life of a record, in sentences."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from django.core.management.base import CommandError, OutputWrapper
from django.db import router
from django.utils import timezone

from track360_django import explanation
from track360_django.management.track360 import brands
from track360_django.models import Activity

HELP: Final = "Tell the whole life of a record: attribution, state, why, next attempt, last error."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    brands.add_argument(parser)
    parser.add_argument("id", help="a customer id or an event id, whole")


def run(options: Mapping[str, Any], out: OutputWrapper, _err: OutputWrapper) -> None:
    """
    Print the life of each record with the id.

    Raises:
        CommandError: There is none.
    """
    wanted = brands.narrowed(options["brand"])
    records = [
        record
        for record in explanation.find(options["id"], using=router.db_for_read(Activity))
        if record.brand == wanted.get("brand", record.brand)
    ]
    if not records:
        message = (
            f"No customer and no activity has the id {options['id']!r}. Ids are compared whole and exactly. Was the "
            "user reported (customers.report), the row saved with signals (bulk_create() and update() send none), its "
            "model declared in a track360.py? Accepted activities are deleted after RETENTION_DAYS."
        )
        raise CommandError(message, returncode=1)
    now = timezone.now()
    for position, record in enumerate(records):
        if position:
            out.write("")
        out.writelines(f"{sentence}\n" for sentence in explanation.life_of(record, now))
