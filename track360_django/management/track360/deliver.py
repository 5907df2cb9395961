"""`track360 deliver`: delivery without Celery, once (for cron) or until a signal stops it."""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from django.core.management.base import OutputWrapper
from django.db import InterfaceError, OperationalError, close_old_connections

from track360_django import conf, delivery
from track360_django.delivery import Report, worker
from track360_django.history.stopping import Stop, stopped_by_signals
from track360_django.management.track360 import arguments

HELP: Final = (
    "Deliver due records without Celery: once, or again and again with --watch. The first interrupt waits for the "
    "batch that is being sent. The second interrupt stops at once."
)
# A drain can't be interrupted, so it runs in slices. A stop takes at most one slice and one attempt.
SLICE_SECONDS: Final = 2.0
EVERY_SECONDS: Final = 2.0


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    arguments.add_brand(parser)
    parser.add_argument("--watch", action="store_true", help="run until SIGINT or SIGTERM")
    parser.add_argument(
        "--every",
        type=_seconds,
        default=EVERY_SECONDS,
        metavar="SECONDS",
        help="with --watch: how long to wait when nothing is due (default: %(default)s)",
    )


def run(options: Mapping[str, Any], out: OutputWrapper, err: OutputWrapper) -> None:
    """Deliver."""
    wanted = conf.brands() if options["brand"] is None else (arguments.brand_of(options["brand"]),)
    if not any(conf.for_brand(brand).ENABLED for brand in wanted):
        err.write("TRACK360['ENABLED'] is off for every brand. Nothing is delivered.")
    with stopped_by_signals() as stop:
        if options["watch"]:
            _watch(stop, wanted, options["every"], out, err)
        else:
            _print(_drain(stop, wanted), out)


def _watch(
    stop: Stop, wanted: Sequence[str], every_seconds: float, out: OutputWrapper, err: OutputWrapper
) -> None:
    """Drain again and again. If the database is not available, wait and try again."""
    while not stop.is_wanted:
        close_old_connections()
        try:
            report = _drain(stop, wanted)
        except (OperationalError, InterfaceError) as error:
            err.write(f"The database is not available ({type(error).__name__}). Trying again.")
        else:
            _print(report, out)
            if not report.is_finished:
                continue
        stop.rest(every_seconds)


def _drain(stop: Stop, wanted: Sequence[str]) -> Report:
    """Deliver until nothing is due, the time limit of one drain is over, or a stop is requested."""
    total = Report()
    deadline = time.monotonic() + worker.BUDGET_SECONDS
    while not stop.is_wanted:
        report = delivery.drain(budget_seconds=SLICE_SECONDS, brands=wanted)
        total = _sum(total, report)
        if report.is_finished or time.monotonic() >= deadline:
            break
    return total


def _sum(total: Report, report: Report) -> Report:
    counts = {
        item.name: getattr(total, item.name) + getattr(report, item.name)
        for item in fields(Report)
        if item.name != "is_finished"
    }
    return Report(**counts, is_finished=report.is_finished)


def _print(report: Report, out: OutputWrapper) -> None:
    """Print one line for a drain that sent or settled a record."""
    if report.requests or report.held or report.dead:
        out.write(
            f"delivered {report.delivered}, to be retried {report.retried}, held {report.held}, dead {report.dead}, "
            f"in {report.requests} request{'' if report.requests == 1 else 's'}"
        )
        out.flush()
    if not report.is_finished:
        out.write("more records are due")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        message = f"{text!r} is not a number of seconds greater than 0 and up to 3600"
        raise ArgumentTypeError(message)
    return seconds
