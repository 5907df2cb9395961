"""`track360 status`: show the state of delivery for each brand, and fail when something needs a person."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import CommandError, OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder
from django.db import router

from track360_django.management.track360 import arguments
from track360_django.models import Activity, Customer, Endpoint
from track360_django.operations import explanation, reasons, status
from track360_django.operations.status import BrandStatus, Records

HELP: Final = (
    "Show the records of each brand by state, the reasons of dead and held records, and the paused endpoints. "
    "Exits with 1 when something needs a person."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    arguments.add_brand(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")


def run(options: Mapping[str, Any], out: OutputWrapper, _err: OutputWrapper) -> None:
    """
    Print the status.

    Raises:
        CommandError: Something needs a person.
    """
    wanted = arguments.narrowed(options["brand"])
    brands = [
        each
        for each in status.read(using=router.db_for_read(Activity))
        if each.brand == wanted.get("brand", each.brand)
    ]
    problems = [problem for brand in brands for problem in brand.problems()]
    if options["json"]:
        report = {"brands": [asdict(brand) for brand in brands], "problems": problems}
        out.write(json.dumps(report, cls=DjangoJSONEncoder, indent=2))
    else:
        for brand in brands:
            out.writelines(f"{line}\n" for line in _lines_of(brand))
    if problems:
        raise CommandError("\n".join(("Something needs a person.", *problems)), returncode=1)


def _lines_of(brand: BrandStatus) -> Iterator[str]:
    name = brand.brand
    if not brand.is_delivered:
        yield f"{name}: not delivered (ENABLED is off, or the brand is missing in TRACK360['BRANDS'])"
    yield from _lines_of_records(f"{name} customers", brand.customers, Customer)
    yield from _lines_of_records(f"{name} activities", brand.activities, Activity)
    for endpoint, breaker in brand.endpoints.items():
        row = Endpoint(paused_until=breaker.paused_until, reason=breaker.reason)
        yield f"{name} {endpoint} endpoint: {explanation.state_of_endpoint(row, breaker.asked_at)}"
        if breaker.error:
            yield f"{name} {endpoint} endpoint: last error: {breaker.error}"


def _lines_of_records(name: str, records: Records, model: type[Customer | Activity]) -> Iterator[str]:
    yield f"{name}: {', '.join(f'{count} {state}' for state, count in records.counts.items())}"
    if records.oldest_pending_seconds is not None:
        yield f"{name}: oldest pending record waits for {records.oldest_pending_seconds:.0f} s"
    if records.late:
        yield f"{name}: due for more than five minutes: {records.late}"
    for reason, count in records.dead_by_reason.items():
        yield f"{name}: dead, {reason or 'without a reason'}: {count} ({reasons.meaning_of(reason).what})"
    for reason, count in records.held_by_reason.items():
        named = f"held, {reason}" if reason else "held"
        yield f"{name}: {named}: {count} ({reasons.why_held(model, reason)})"
    if records.changed:
        yield f"{name}: changed after they were recorded: {records.changed}"
