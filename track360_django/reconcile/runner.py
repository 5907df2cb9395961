"""
Reconciliation: finds and reports rows that no signal announced, because each declaration is also a query.

It also finds customers who were activated but still wait. `bulk_create`, `update` and raw SQL send no signal, and
neither does a process that died between the commit and the hook.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from track360_django import activities, conf, daily, signup
from track360_django.activities.declarations import ledger
from track360_django.activities.declarations.daily_activity import last_day_over
from track360_django.db import clock
from track360_django.exceptions import describe
from track360_django.outbox import aliases
from track360_django.reconcile import balance, missing_users
from track360_django.reconcile.balance import Balance
from track360_django.reconcile.missing_rows import Gap, Search, names_of
from track360_django.reconcile.missing_users import Unreported

logger = logging.getLogger(__name__)

# How far back the beat task looks: longer than a weekend with a broken beat.
DEFAULT_WINDOW: Final = timedelta(days=3)


@dataclass(kw_only=True)
class Reconciliation:
    """What a run found and, unless it was a dry run, did."""

    since: datetime
    is_dry_run: bool
    gaps: list[Gap] = field(default_factory=list)
    balance: Balance | None = None
    # Customers who waited although they were activated, because no signal announced it. Released now.
    activated: int = 0
    # Users who joined since then and are customers of no brand; None if the run did not look for them.
    unreported: Unreported | None = None
    # Declarations or days that could not be checked, and why.
    failures: list[str] = field(default_factory=list)

    def problems(self) -> list[str]:
        """Return what needs a person, one line for each problem."""
        lines = [*self.failures, *(line for gap in self.gaps for line in self._problems_of(gap))]
        if self.is_dry_run and self.activated:
            lines.append(
                f"{self.activated} customers wait although they were activated. Run the command without --dry-run to "
                "release them."
            )
        if self.unreported is not None and self.unreported.count:
            lines.append(_problem_of_users(self.unreported))
        return lines

    def _problems_of(self, gap: Gap) -> Iterator[str]:
        if gap.refused:
            yield (
                f"{gap.declaration}: {gap.refused} rows can't be reported. Each has a dead record with the reason "
                "(`track360 status`, or the admin). Correct the row or track360.py, then run `track360 requeue`."
            )
        if gap.reactivated:
            yield (
                f"{gap.declaration}: {gap.reactivated} rows count again after their reversal was reported. Nothing is "
                "reported twice automatically. Report the new payment with activities.report(), or create a new row "
                "for it."
            )
        if gap.unreadable:
            yield (
                f"{gap.declaration}: the declaration can't read {gap.unreadable} rows. Correct the declaration in "
                "track360.py, or the rows."
            )
        if gap.renamed:
            yield (
                f"{gap.declaration}: {gap.renamed} rows have a record under another event id, so they were not "
                "reported again. Track360 would count them twice. Restore the `eventid` with which the declaration "
                "reported them."
            )
        if self.is_dry_run and gap.missing + gap.unreversed:
            yield (
                f"{gap.declaration}: {gap.missing} rows without a record, {gap.unreversed} missing reversals. Run the "
                "command without --dry-run to report them."
            )


def _problem_of_users(found: Unreported) -> str:
    named = ", ".join(found.pks) + (", …" if found.count > len(found.pks) else "")
    several = len(conf.brands()) > 1
    way = "customers.report(user, brand=…)" if several else "track360 backfill users"
    return (
        f"{found.count} unreported users (primary keys: {named}) joined in this period and are customers of no brand. "
        f"Their signups were not noticed, or could not be recorded (see the log). `{way}` reports them."
    )


def run(
    *,
    since: datetime,
    until: datetime | None = None,
    is_dry_run: bool = False,
    with_balance: bool = True,
    with_users: bool = True,
) -> Reconciliation:
    """
    Find rows of the host that have no record, and report them. Release customers who wait although they were activated.

    This is idempotent. The rows are read in pages, whatever their number. Rows that are written meanwhile are reported
    by their signals.

    Args:
        since: Older rows are not checked; `dated_by` of their declaration gives their age. Rows without a date are
            always checked.
        until: Rows from this time on are not checked.
        is_dry_run: Find only; write nothing.
        with_balance: Also add up the ledger and the records, in whole days from the day of `since` on.
        with_users: Also look for users who joined and are customers of no brand.
    """
    start = _start_of_day(since) if with_balance else since
    found = Reconciliation(since=start, is_dry_run=is_dry_run)
    totals = Balance(since=start.astimezone(balance.zone()).date()) if with_balance else None
    for declaration in activities.declarations():
        for alias in ledger.aliases_of(declaration.model):
            search = Search(
                declaration=declaration,
                alias=alias,
                since=start,
                until=until,
                is_dry_run=is_dry_run,
                balance=totals,
            )
            try:
                search.run()
            except Exception as error:  # noqa: BLE001  one declaration must not hide the gaps of another
                found.failures.append(f"{search.gap.declaration} could not be reconciled: {describe(error)}.")
            found.gaps.append(search.gap)
    _release_activated(found)
    if with_users:
        _look_for_users(found, until)
    if totals is not None:
        declared = {
            name
            for declaration in activities.declarations()
            # A declaration without a value has nothing to add up: its KPIs are fields.
            if declaration.value is not None or hasattr(declaration, "get_value")
            for name in names_of(declaration)
        }
        found.failures += _add_days(totals, until)
        declared |= {declaration.eventname for declaration in activities.daily_declarations()}
        for alias in aliases.all_known():
            totals.add_records(alias, declared)
        found.balance = totals
    return found


def _release_activated(found: Reconciliation) -> None:
    try:
        found.activated = signup.release_unnoticed(is_dry_run=found.is_dry_run)
    except Exception as error:  # noqa: BLE001  nor must customers hide the gaps
        found.failures.append(f"Customers who wait could not be looked at: {describe(error)}.")


def _look_for_users(found: Reconciliation, until: datetime | None) -> None:
    try:
        found.unreported = missing_users.find(found.since, until)
    except Exception as error:  # noqa: BLE001  nor must users
        found.failures.append(f"Users who joined could not be looked at: {describe(error)}.")


def fill(window: timedelta = DEFAULT_WINDOW) -> Reconciliation:
    """Report what is missing of the last days: what the beat task does. People hear of gaps that it can't close."""
    now = clock.read(aliases.home())
    # When users joined has no index with Django's own, so each hour would read them all.
    found = run(since=now - window, with_balance=False, with_users=False)
    for gap in found.gaps:
        if gap.reported or gap.reversed:
            logger.warning(
                "track360: %s: %d rows and %d reversals had no record and were reported. No signal announced them. "
                "Possible causes: bulk_create() or update() without ReportingManager, raw SQL, or a process that died "
                "after its commit.",
                gap.declaration,
                gap.reported,
                gap.reversed,
            )
    if found.activated:
        logger.warning(
            "track360: %d customers were activated without a signal (update(), raw SQL) and still waited. They are "
            "reported now.",
            found.activated,
        )
    for problem in found.problems():
        logger.error("track360: %s", problem)
    return found


def _add_days(totals: Balance, until: datetime | None) -> list[str]:
    """Add each day's total of the days that are over to the ledger; return what could not be compiled."""
    failures: list[str] = []
    now = clock.read(aliases.home())
    for declaration in activities.daily_declarations():
        last = last_day_over(min(now - timedelta(minutes=declaration.grace_minutes), until or now))
        day = max(totals.since, declaration.first_day or totals.since)
        while day <= last:
            try:
                for total in daily.compile_day(declaration, day):
                    totals.add_total(declaration.eventname, total.kpis, total.currency, day, total.product)
            except Exception as error:  # noqa: BLE001  nor one day those of another
                failures.append(f"{declaration.label()} could not be added up for {day}: {describe(error)}.")
            day += timedelta(days=1)
    return failures


def _start_of_day(moment: datetime) -> datetime:
    """Return the beginning of the day in the agreed zone. The sum of a part of a day can't be compared."""
    local = moment.astimezone(balance.zone())
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
