"""`track360 replay`: send records that Track360 accepted in a period once more, with the same ids."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.management.base import CommandError, OutputWrapper
from django.db.models import QuerySet
from django.utils import timezone

from track360_django import conf
from track360_django.exceptions import PayloadError
from track360_django.history.replay import Selection, bodies, replay
from track360_django.history.stopping import INTERRUPTED, stopped_by_signals
from track360_django.management.track360 import arguments
from track360_django.management.track360.arguments import MOMENT, moment, moment_until
from track360_django.models import Activity, Customer
from track360_django.outbox import aliases

HELP: Final = (
    "Send records that were accepted in a period once more: customers with their present data, activities with the same "
    "id and the same bytes. Use it when Track360 has lost data."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--since", type=moment, required=True, metavar="TIME", help=f"accepted from this time on: {MOMENT}"
    )
    parser.add_argument(
        "--until", type=moment_until, required=True, metavar="TIME", help="accepted before this time"
    )
    arguments.add_brand(parser)
    parser.add_argument("--customer", metavar="ID", help="only this customer and their activities")
    parser.add_argument(
        "--eventname", metavar="NAME", help="only activities with this name, and no customers"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the JSON that would be sent, one record a line, and change nothing",
    )


def run(options: Mapping[str, Any], out: OutputWrapper, err: OutputWrapper) -> None:
    """
    Mark the selected records due, and print how many they are.

    Raises:
        CommandError: `--since` is not before `--until`, or an accepted record can't be sent again.
    """
    wanted = _wanted(options)
    notices = err if options["dry_run"] else out
    total = _Total()
    with stopped_by_signals() as stop:
        for using in aliases.all_known():
            for records in (wanted.customers(using), wanted.activities(using)):
                if records is not None:
                    total.add(
                        records,
                        _show(records, out, notices) if options["dry_run"] else replay(records, using, stop),
                    )
            total.pruned += wanted.pruned(using)
    for line in total.lines():
        notices.write(line, style_func=str)
    _report_deleted(wanted.since, notices)
    if stop.is_wanted:
        message = "Stopped. The records that were marked are sent. Run the command with the same times for the rest."
        raise CommandError(message, returncode=INTERRUPTED)
    if problems := total.problems():
        raise CommandError("\n".join(problems), returncode=1)


def _wanted(options: Mapping[str, Any]) -> Selection:
    if options["since"] >= options["until"]:
        message = "--since must be before --until."
        raise CommandError(message, returncode=2)
    return Selection(
        since=options["since"],
        # Not later than now: records that are accepted later may be those that this command sends.
        until=min(options["until"], timezone.now()),
        narrowed={} if options["brand"] is None else {"brand": arguments.brand_of(options["brand"])},
        customer=options["customer"],
        eventname=options["eventname"],
    )


class _Total:
    """How many records are sent again, and how many can't be."""

    def __init__(self) -> None:
        self.counts = {Customer: 0, Activity: 0}
        self.busy = 0
        self.pruned = 0

    def add(self, records: QuerySet[Any], found: tuple[int, int]) -> None:
        """Add the counts of some records."""
        self.counts[records.model] += found[0]
        self.busy += found[1]

    def lines(self) -> Iterator[str]:
        """Yield the results."""
        for model, count in self.counts.items():
            yield f"{model._meta.verbose_name_plural} to be sent again: {count}"

    def problems(self) -> Sequence[str]:
        """Return the problems that need a person."""
        problems = []
        if self.pruned:
            problems.append(
                f"activities that can't be sent again because their bodies were pruned: {self.pruned}. Bodies that came "
                "from your rows can be computed again from the rows. The others exist only in Track360 "
                "(TRACK360['RETENTION_DAYS'])."
            )
        if self.busy:
            problems.append(
                f"records that another transaction has locked: {self.busy}. Run the command with the same times again."
            )
        return problems


def _show(records: QuerySet[Any], out: OutputWrapper, notices: OutputWrapper) -> tuple[int, int]:
    """Print records as they would be sent, and name those that can't be sent; return how many were printed."""

    def refuse(row: Customer, error: PayloadError) -> None:
        notices.write(f"{row._meta.verbose_name} {row.pk}: {error}", style_func=str)

    count = 0
    for body in bodies(records, refuse=refuse):
        out.write(body)
        count += 1
    return count, 0


def _report_deleted(since: datetime, notices: OutputWrapper) -> None:
    kept = timedelta(days=min(conf.for_brand(brand).RETENTION_DAYS for brand in conf.brands()))
    if since < timezone.now() - kept:
        notices.write(
            f"Not included: activities that were reported by a call and accepted more than {kept.days} days ago. They are "
            "deleted.",
            style_func=str,
        )
