"""Which days are compiled, one after the other, and what a person hears of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import date

from django.core.exceptions import ImproperlyConfigured

from track360_django.activities.declarations import DailyActivity, daily_declarations
from track360_django.api import payloads
from track360_django.daily.compiler import Compilation
from track360_django.daily.day import DayReport
from track360_django.daily.totals import Total, add_up
from track360_django.daily.writer import Preview, Show, Writer
from track360_django.db import clock
from track360_django.outbox import aliases

logger = logging.getLogger(__name__)


def compile_day(declaration: DailyActivity, day: date) -> Iterator[Total]:
    """
    Yield what each customer did on a day by the host's ledger; nothing is written.

    Totals that can't be reported are left out: `report_day` tells of them.

    Raises:
        Exception: Whatever the declaration's `rows` raised.
    """
    return (total for total in add_up(declaration, day, aliases.home()).values() if total.error is None)


def report_windows() -> list[DayReport]:
    """
    Compile the days of each declaration's window that are over, oldest first.

    Raises:
        ExceptionGroup: Some days could not be compiled, each logged; all others were.
    """
    now = clock.read(aliases.home())
    days = [(declaration, day) for declaration in daily_declarations() for day in declaration.window(now)]
    reports, errors = report_days(days)
    if errors:
        message = "track360: days that could not be compiled; the next run tries again"
        raise ExceptionGroup(message, errors)
    return reports


def report_days(days: Iterable[tuple[DailyActivity, date]]) -> tuple[list[DayReport], list[Exception]]:
    """Compile some days; one that fails stops none of the others. Return what became of each, and the errors."""
    reports: list[DayReport] = []
    errors: list[Exception] = []
    doubled: set[tuple[str, str]] = set()
    moved_from: set[str] = set()
    for declaration, day in days:
        try:
            report = report_day(declaration, day)
        except Exception as error:
            logger.exception("track360: %s could not be compiled for %s.", declaration.label(), day)
            errors.append(error)
        else:
            logger.info("track360: %s", report)
            reports.append(report)
            doubled |= {(declaration.eventname, name) for name in report.doubled}
            moved_from |= report.moved_from
    for eventname, name in sorted(doubled):
        logger.warning(
            "track360: %s is reported per event and in the day's total %s, so it may count twice.",
            name,
            eventname,
        )
    for label in sorted(moved_from):
        logger.warning("track360: %s", moved(label))
    return reports, errors


def moved(label: str) -> str:
    """Return what a person is told of records whose declaration is not there any more."""
    return (
        f"Totals that differ were written down by {label}, which no declaration is called any more, and are not "
        f'corrected: if it was moved or renamed, set source = "{label}" in it.'
    )


def report_day(declaration: DailyActivity, day: date, *, show: Show | None = None) -> DayReport:
    """
    Compile one day and report what is new or has changed.

    Args:
        declaration: What to compile.
        day: A day that is over.
        show: For a dry run: called with the JSON text of each record that would be sent; nothing is written.

    Raises:
        ImproperlyConfigured: The declaration has no event name that can be sent.
        Exception: Whatever `rows` raised: nothing of the day was written then.
    """
    if not 0 < len(declaration.eventname) <= payloads.MAX_EVENTNAME_CHARACTERS:
        msg = f"{declaration.label()} needs an eventname of 1 to {payloads.MAX_EVENTNAME_CHARACTERS} characters."
        raise ImproperlyConfigured(msg)
    using = aliases.home()
    writer = Writer(using) if show is None else Preview(using, show)
    compilation = Compilation(declaration, day, writer)
    compilation.compile()
    compilation.compare()
    compilation.add()
    compilation.quarantine()
    return compilation.report
