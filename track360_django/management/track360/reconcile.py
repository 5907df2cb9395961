"""`track360 reconcile`: find and report rows that no signal announced, and compare the ledger with Track360."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

from django.core.management.base import CommandError, OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder

from track360_django import reconcile
from track360_django.management.track360 import arguments
from track360_django.reconcile.balance import Balance, Key, Line
from track360_django.reconcile.missing_users import Unreported
from track360_django.reconcile.runner import Reconciliation

HELP: Final = (
    "Find rows of declared models without a record and report them, with the same ids as their signals would. Release "
    "customers who were activated without a signal. List users who joined and are not a customer of any brand. Then "
    "show the total of the ledger and the total that Track360 accepted, for each KPI, day, product and currency. Exits "
    "with 1 when something needs a person."
)
# The headings of the table, in order.
COLUMNS: Final = ("KPI", "day", "product", "currency", "ledger", "accepted", "waiting", "dead", "difference")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--since",
        type=arguments.moment,
        default="7d",
        metavar="TIME",
        help=f"{arguments.MOMENT}; counts from the start of that day (default: %(default)s)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only look, write nothing; exits with 1 when rows are missing"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")


def run(options: Mapping[str, Any], out: OutputWrapper, _err: OutputWrapper) -> None:
    """
    Reconcile, and print the result.

    Raises:
        CommandError: Something needs a person.
    """
    found = reconcile.run(since=options["since"], is_dry_run=options["dry_run"])
    problems = found.problems()
    if options["json"]:
        out.write(json.dumps(_as_json(found, problems), cls=DjangoJSONEncoder, indent=2))
    else:
        out.writelines(f"{line}\n" for line in _lines_of(found))
    if problems:
        raise CommandError("\n".join(("Something needs a person.", *problems)), returncode=1)


def _as_json(found: Reconciliation, problems: list[str]) -> dict[str, Any]:
    totals = [
        {**key._asdict(), **_amounts(line), "rows": line.rows, "records": line.records}
        for key, line in (found.balance.sorted() if found.balance else ())
    ]
    return {
        "since": found.since,
        "dry_run": found.is_dry_run,
        "declarations": [asdict(gap) for gap in found.gaps],
        "activated": found.activated,
        "unreported_users": asdict(found.unreported or Unreported()),
        "totals": totals,
        "unreadable": found.balance.unreadable if found.balance else 0,
        "problems": problems,
    }


def _amounts(line: Line) -> dict[str, str | None]:
    amounts = {
        "ledger": line.ledger,
        "accepted": line.accepted,
        "waiting": line.waiting,
        "dead": line.dead,
        "difference": line.difference,
    }
    return {name: None if amount is None else _plain(amount) for name, amount in amounts.items()}


def _plain(amount: Decimal) -> str:
    return format(amount.normalize() if amount else Decimal(0), "f")


def _lines_of(found: Reconciliation) -> Iterator[str]:
    yield f"since {found.since:%Y-%m-%d %H:%M %Z}" + (
        ", dry run: nothing is written" if found.is_dry_run else ""
    )
    for gap in found.gaps:
        done = [f"{gap.missing} without a record", f"{gap.reported} reported now"]
        done += [f"{gap.refused} refused"] if gap.refused else []
        done += [f"{gap.renamed} under another event id"] if gap.renamed else []
        done += (
            [f"{gap.unreversed} without their reversal, {gap.reversed} reversed now"]
            if gap.unreversed
            else []
        )
        where = "" if gap.database == "default" else f" in {gap.database}"
        yield f"{gap.eventname} from {gap.model}{where}: {gap.rows} rows, {', '.join(done)}"
    if found.activated:
        what = "not reported yet" if found.is_dry_run else "reported now"
        yield f"customers: {found.activated} activated without a signal, {what}"
    if found.unreported is not None and found.unreported.count:
        yield f"unreported users: {found.unreported.count} joined and are not a customer of any brand"
    if found.balance is not None:
        yield from _table_of(found.balance)


def _table_of(balance: Balance) -> Iterator[str]:
    rows = [_cells_of(key, line) for key, line in balance.sorted()]
    if rows:
        yield ""
        widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
        for row in (COLUMNS, *rows):
            # Names are aligned left, numbers right.
            cells = (
                cell.rjust(width) if number >= 4 else cell.ljust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            yield "  ".join(cells).rstrip()
    if balance.unreadable:
        yield f"{balance.unreadable} rows are not in the totals: their value, currency or time can't be used."


def _cells_of(key: Key, line: Line) -> tuple[str, ...]:
    name = key.eventname if key.kpi == "Value" else f"{key.eventname} {key.kpi}"
    amounts = (amount if amount is not None else "?" for amount in _amounts(line).values())
    return name, key.day, key.product or "-", key.currency or "-", *amounts
