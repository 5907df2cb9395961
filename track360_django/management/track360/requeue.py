"""`track360 requeue`: give dead records another try, after a person has corrected the cause."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from django.core.management.base import CommandError, OutputWrapper
from django.db import router
from django.db.models import QuerySet

from track360_django import activities
from track360_django.management.track360 import arguments
from track360_django.models import Activity, Customer
from track360_django.outbox import dead_letters, wakeup

HELP: Final = "Give dead records another try. Options narrow the selection; --all takes every dead record."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--customer", metavar="ID", help="this customer and their activities")
    parser.add_argument("--eventid", metavar="ID", help="the activities with this event id")
    parser.add_argument(
        "--reason",
        metavar="REASON",
        help="records that are dead for this reason, as `track360 status` names it",
    )
    arguments.add_brand(parser)
    parser.add_argument("--all", action="store_true", help="every dead record")


def run(options: Mapping[str, Any], out: OutputWrapper, _err: OutputWrapper) -> None:
    """
    Requeue the selected records, and print how many they are.

    Raises:
        CommandError: Nothing is selected, or some records still can't be reported.
    """
    wanted = {name: options[name] for name in ("customer", "eventid", "reason") if options[name] is not None}
    _refuse(wanted, is_all=options["all"])
    using = router.db_for_write(Activity)
    by_brand = arguments.narrowed(options["brand"])
    customers = _customers(Customer.objects.using(using).filter(**by_brand), wanted)
    requeued_customers = dead_letters.requeue(customers)
    requeued = activities.requeue(_activities(Activity.objects.using(using).filter(**by_brand), wanted))
    wakeup.after_commit(using=using)
    out.write(f"customers requeued: {requeued_customers}")
    out.write(f"activities requeued: {requeued.count}")
    if requeued.refused:
        message = (
            f"activities that still can't be reported: {requeued.refused}. See the reason of each with `track360 explain "
            "EVENTID` or in the admin. Correct the host's row or its declaration in track360.py, then requeue it."
        )
        raise CommandError(message, returncode=1)


def _refuse(wanted: Mapping[str, str], *, is_all: bool) -> None:
    if not wanted and not is_all:
        message = (
            "Nothing was selected, so nothing was requeued. Select dead records with --customer ID, --eventid ID, "
            "--reason REASON (see `track360 status`), or --all."
        )
        raise CommandError(message, returncode=2)
    if wanted and is_all:
        message = "--all takes every dead record. Use either --all or the other options."
        raise CommandError(message, returncode=2)


def _customers(customers: QuerySet[Customer], wanted: Mapping[str, str]) -> QuerySet[Customer]:
    if "eventid" in wanted:
        return customers.none()
    if "customer" in wanted:
        customers = customers.filter(customer_id=wanted["customer"])
    return customers.filter(reason=wanted["reason"]) if "reason" in wanted else customers


def _activities(rows: QuerySet[Activity], wanted: Mapping[str, str]) -> QuerySet[Activity]:
    paths = {"customer": "customer__customer_id", "eventid": "eventid", "reason": "reason"}
    return rows.filter(**{paths[name]: value for name, value in wanted.items()})
