"""`track360 daily`: compile day's totals now, for days that the beat no longer compiles, or without a beat."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from django.core.management.base import CommandError, OutputWrapper

from track360_django import daily
from track360_django.activities.declarations import DailyActivity, daily_declarations
from track360_django.activities.declarations.daily_activity import last_day_over
from track360_django.daily import DayReport
from track360_django.db import clock
from track360_django.management.track360 import arguments
from track360_django.outbox import aliases

HELP: Final = (
    "Compile the declared day's totals, and report the totals that are new or have changed. "
    "Without a date, compile the days of each declaration's window, as the beat does."
)
# How many refused totals of a day are printed. The admin lists all.
MAX_PRINTED: Final = 10


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--date", type=arguments.day, help="compile this day, such as 2025-07-21")
    parser.add_argument(
        "--from",
        type=arguments.day,
        dest="first",
        metavar="DATE",
        help="the first day of a period; needs --to",
    )
    parser.add_argument(
        "--to", type=arguments.day, dest="last", metavar="DATE", help="the last day of a period; needs --from"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the JSON objects that would be sent, and write nothing"
    )


def run(options: Mapping[str, Any], out: OutputWrapper, err: OutputWrapper) -> None:
    """
    Compile, and print one line per day.

    Raises:
        CommandError: A day can't be compiled, or a total can't be reported.
    """
    if not daily_declarations():
        message = (
            "No app declares a day's total. Write a subclass of activities.DailyActivity in a track360.py, with "
            "@activities.register_daily above it."
        )
        raise CommandError(message, returncode=1)
    show = out.write if options["dry_run"] else None
    # The output of a dry run is for a program: it has the JSON objects only.
    lines = err if options["dry_run"] else out
    problems: list[str] = []
    doubled: set[str] = set()
    moved_from: set[str] = set()
    for declaration, day in list(_days_of(options)):
        try:
            report = daily.report_day(declaration, day, show=show)
        except Exception as error:  # noqa: BLE001  the host's rows() may raise anything; the other days go on
            problems.append(f"{day} {declaration.eventname}: {type(error).__name__}: {error}")
        else:
            lines.write(str(report))
            problems += _problems_of(report)
            doubled |= {f"{report.eventname}: {name}" for name in report.doubled}
            moved_from |= report.moved_from
    for name in sorted(doubled):
        err.write(f"{name} is also reported per event and may count twice.")
    _report([*problems, *map(daily.moved, sorted(moved_from))])


def _report(problems: Sequence[str]) -> None:
    if problems:
        message = (
            "Some totals could not be compiled. The other totals are reported. Correct rows(), and run the command "
            "again: nothing is reported twice."
        )
        raise CommandError("\n".join((message, *problems)), returncode=1)


def _problems_of(report: DayReport) -> Iterator[str]:
    for refusal in report.refusals[:MAX_PRINTED]:
        yield f"{report.day} {refusal}"
    if len(report.refusals) > MAX_PRINTED:
        yield f"{report.day} and {len(report.refusals) - MAX_PRINTED} more: each is a dead record in the admin."


def _days_of(options: Mapping[str, Any]) -> Iterator[tuple[DailyActivity, date]]:
    now = clock.read(aliases.home())
    first, last = _range_of(options)
    if first is None or last is None:
        yield from ((each, day) for each in daily_declarations() for day in each.window(now))
        return
    _refuse_unfinished(last, last_day_over(now))
    for days in range((last - first).days + 1):
        for declaration in daily_declarations():
            yield declaration, first + timedelta(days=days)


def _range_of(options: Mapping[str, Any]) -> tuple[date | None, date | None]:
    single, first, last = (options[name] for name in ("date", "first", "last"))
    if single is not None and (first or last):
        message = "Give --date, or --from and --to, not both."
        raise CommandError(message, returncode=2)
    if (first is None) != (last is None):
        message = "--from and --to must be given together. For one day use --date."
        raise CommandError(message, returncode=2)
    if first is not None and last is not None and first > last:
        message = f"--from {first} is after --to {last}: no day lies between them."
        raise CommandError(message, returncode=2)
    return (single, single) if single is not None else (first, last)


def _refuse_unfinished(last: date, last_over: date) -> None:
    if last > last_over:
        message = (
            f"The day {last} is not over in the agreed time zone (TRACK360['TIME_ZONE']), so its total would not be "
            f"complete. The last day that can be compiled is {last_over}."
        )
        raise CommandError(message, returncode=2)
