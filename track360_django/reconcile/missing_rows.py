"""
Missing rows: rows of one declaration that have no record, and rows that were reported and count no more.

The ledger is read in pages and compared by event id. A missing row gets the record that the hook would have written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import DatabaseError, connections, router
from django.db.models import Exists, Model, OuterRef

from track360_django import activities
from track360_django.activities import event_id
from track360_django.activities.declarations import ledger, reversals
from track360_django.activities.declarations.ledger import Entry
from track360_django.activities.declarations.model_activity import ModelActivity
from track360_django.activities.declarations.rows import ROWS_AT_ONCE, reverse_locked, reverse_record
from track360_django.activities.declarations.stored_values import all_rows
from track360_django.db import pages
from track360_django.db.lookups import is_one_of
from track360_django.exceptions import describe
from track360_django.models import Activity, Status
from track360_django.outbox import aliases
from track360_django.reconcile import balance
from track360_django.reconcile.balance import Balance

logger = logging.getLogger(__name__)

# How many missing rows are kept in memory before they are reported.
MANY: Final = 5000
PAGE: Final = 1000
_NAMES: Final = ("eventid", "eventname", "source", "source_pk")
_BODY: Final = ("body", "brand")
_Record = dict[str, Any]


@dataclass(kw_only=True)
class Gap:
    """What was found for one declaration in one database: the rows that fulfil it, and those without a record."""

    declaration: str
    eventname: str
    model: str
    database: str
    rows: int = 0
    missing: int = 0
    reported: int = 0
    # Missing rows and reversals that can't be reported. Each has a dead record with the reason.
    refused: int = 0
    # Rows that have a record under another event id, because the declaration's `eventid` was changed.
    renamed: int = 0
    # Rows that were reported, do not count any more, and had no reversal.
    unreversed: int = 0
    reversed: int = 0
    # Rows that count again after their reversal. Nothing reports this to Track360.
    reactivated: int = 0
    # Rows that the declaration can't read.
    unreadable: int = 0


@dataclass(kw_only=True)
class Search:
    """
    Finds the gaps of one declaration in one database of the host.

    `since`, `until` and `is_dry_run` are as in `reconcile.run`. With a `balance`, all amounts are added up too.
    """

    declaration: ModelActivity
    alias: str
    since: datetime
    until: datetime | None
    is_dry_run: bool
    balance: Balance | None

    def __post_init__(self) -> None:
        """Set up an empty result."""
        kind = type(self.declaration)
        self.gap = Gap(
            declaration=f"{kind.__module__}.{kind.__qualname__}",
            eventname=self.declaration.eventname,
            model=self.declaration.model._meta.label,
            database=self.alias,
        )
        # Where the records of these rows are.
        self._using = aliases.of_rows(self.declaration.model, self.alias)
        self._missing: list[Any] = []

    def run(self) -> None:
        """Check all rows, and report what is missing."""
        for page in ledger.entries(self.declaration, self.alias, self.since, self.until):
            self._compare(page)
            if len(self._missing) >= MANY:
                self._report_missing()
        self._report_missing()
        if self.declaration.on_reverse is not None:
            self._reverse_rows()
            self._reverse_gone()

    # Rows without a record.

    def _compare(self, page: Sequence[Entry]) -> None:
        self.gap.rows += len(page)
        known = self._records_of([event_id.shorten(entry.eventid) for entry in page])
        found = {entry.pk: self._record_of(entry, known) for entry in page}
        self._missing += [pk for pk, record in found.items() if record is None]
        self.gap.unreadable += sum(bool(entry.error) for entry in page)
        if self.declaration.on_reverse is not None:
            self._note_reactivated([record for record in found.values() if record is not None])
        if self.balance is not None:
            self._add_up(self.balance, page, found)

    def _note_reactivated(self, known: Sequence[_Record]) -> None:
        """Find rows that count although their reversal was reported. Such a reversal is not part of the ledger."""
        ids = {reversals.id_of(Activity(eventid=record["eventid"])) for record in known}
        if not ids:
            return
        rows = Activity.objects.using(self._using).filter(
            is_one_of("eventid", ids),
            eventname=reversals.eventname_of(self.declaration),
            source=reversals.source_of(self.declaration),
        )
        for brand, body in rows.values_list("brand", "body"):
            self.gap.reactivated += 1
            if self.balance is not None:
                self.balance.take_back(body, brand)

    def _records_of(self, eventids: Sequence[str], *more: str) -> dict[str, list[_Record]]:
        """Return the records with these event ids, grouped by event id."""
        found: dict[str, list[_Record]] = {}
        if not eventids:
            return found
        names = (*_NAMES, *more)
        rows = Activity.objects.using(self._using).filter(is_one_of("eventid", set(eventids)))
        for values in rows.values_list(*names):
            found.setdefault(values[0], []).append(dict(zip(names, values, strict=True)))
        return found

    def _record_of(self, entry: Entry, known: dict[str, list[_Record]]) -> _Record | None:
        """
        Return a row's record.

        It has the event name of the declaration. It belongs to this row, or to no row if a call reported it.
        """
        own = (self.gap.model, str(entry.pk))
        for record in known.get(event_id.shorten(entry.eventid), ()):
            is_own = not record["source_pk"] or (record["source"], record["source_pk"]) == own
            if is_own and record["eventname"] == self.declaration.eventname:
                return record
        return None

    def _add_up(self, balance: Balance, page: Sequence[Entry], found: Mapping[Any, _Record | None]) -> None:
        timeless: list[str] = []
        for entry in page:
            record = found[entry.pk]
            if entry.error:
                continue
            if entry.createtime is None:
                # A row without a time belongs to the day that its record has.
                timeless += [record["eventid"]] if record else []
                continue
            balance.add_row(
                self.declaration.eventname, entry.value, entry.currency, entry.createtime, entry.product
            )
        for records in self._records_of(timeless, *_BODY).values():
            for record in records:
                if (record["eventname"], record["source"]) == (self.declaration.eventname, self.gap.model):
                    balance.add_body(record["body"], record["brand"])

    def _report_missing(self) -> None:
        pks, self._missing = self._without_renamed(self._missing), []
        self.gap.missing += len(pks)
        if self.is_dry_run:
            return
        rows = ledger.related(self.declaration, self.declaration.due_rows(self.alias))
        for start in range(0, len(pks), ROWS_AT_ONCE):
            # Read again: only what is due by now.
            chunk = list(rows.filter(pk__in=pks[start : start + ROWS_AT_ONCE]))
            written = self.declaration.write_many(chunk, self._using)
            self.gap.reported += written.added
            self.gap.refused += written.refused

    def _without_renamed(self, pks: list[Any]) -> list[Any]:
        """Return the rows without a record under another event id. The others would be paid a second time."""
        if not pks:
            return pks
        rows = Activity.objects.using(self._using).filter(
            is_one_of("source_pk", map(str, pks)), source=self.gap.model, customer__isnull=False
        )
        own = rows.filter(eventname=self.declaration.eventname)
        renamed = self._without_twins(list(own.values_list("source_pk", "eventid")))
        self.gap.renamed += len(renamed)
        return [pk for pk in pks if str(pk) not in renamed]

    def _without_twins(self, others: list[tuple[str, str]]) -> set[str]:
        """
        Return the rows that were renamed.

        A row was not renamed if its other record was made by another declaration with the same event name.
        """
        twins = [
            other
            for other in activities.declarations()
            if other is not self.declaration
            and (other.model, other.eventname) == (self.declaration.model, self.declaration.eventname)
        ]
        if not twins or not others:
            return {source_pk for source_pk, _ in others}
        rows = all_rows(self.declaration.model, self.alias)
        there = {str(row.pk): row for row in rows.filter(pk__in=[source_pk for source_pk, _ in others])}
        return {
            source_pk
            for source_pk, eventid in others
            if not any(_makes(twin, there.get(source_pk), eventid) for twin in twins)
        }

    # Rows that do not count any more.

    def _reverse_rows(self) -> None:
        """Find rows that were reported and do not fulfil the declaration any more, and reverse them."""
        declaration = self.declaration
        if declaration.when is None:
            return
        due = declaration.due_rows(self.alias).filter(pk=OuterRef("pk"))
        others = all_rows(declaration.model, self.alias).filter(~Exists(due))
        for page in ledger.pages(declaration, others, since=self.since, until=self.until, is_reversed=True):
            for row in reversals.reported_among(declaration, page, self._using):
                reported = self._asked(lambda row=row: reversals.find_reported(declaration, row, self._using))  # type: ignore[misc]
                if isinstance(reported, Activity):
                    self._reverse(
                        reported,
                        lambda row=row: reverse_locked(  # type: ignore[misc]
                            declaration, declaration.pk_of(row), self.alias, self._using
                        ),
                    )

    def _reverse_gone(self) -> None:
        """Find records of deleted rows, and reverse those without a reversal: no signal announced their deletion."""
        for page in self._reported_pages():
            there = self._there([record.source_pk for record in page], self.alias)
            gone = [record for record in page if record.source_pk not in there]
            for alias in _elsewhere(self.declaration.model, self.alias) if gone else ():
                there |= self._there([record.source_pk for record in gone], alias)
            for record in gone:
                if record.source_pk not in there:
                    self._reverse(
                        record,
                        lambda record=record: reverse_record(  # type: ignore[misc]
                            self.declaration, record, None, self._using
                        ),
                    )

    def _there(self, pks: Sequence[str], alias: str) -> set[str]:
        rows = self.declaration.model._base_manager.using(alias)
        try:
            return set(map(str, rows.filter(pk__in=pks).values_list("pk", flat=True)))
        except (TypeError, ValueError, ValidationError):
            # A composite key can't be found by its text, so it is unknown whether such a row is gone.
            return set(pks)

    def _reported_pages(self) -> Iterator[list[Activity]]:
        """Yield the declaration's own records from the first day on, without reversals."""
        rows = Activity.objects.using(self._using).filter(
            source=self.gap.model, eventname=self.declaration.eventname, customer__isnull=False
        )
        rows = rows.exclude(status=Status.DEAD, accepted_version=0)
        first = balance.first_pk_since(self.since.astimezone(balance.zone()).date(), self._using)
        yield from pages.by_key(rows.filter(pk__gte=first).select_related("customer"), PAGE)

    def _reverse(self, reported: Activity, write: Callable[[], Activity | None]) -> None:
        """
        Write a missing reversal, and count it.

        The reported amount is added to the balance, because it was right on its day.
        """
        reversal = reversals.find_reversal(self.declaration, reported, self._using)
        if reversal is None:
            self.gap.unreversed += 1
            if not self.is_dry_run:
                reversal = self._asked(write)
                self.gap.reversed += reversal is not None and reversal.status != Status.DEAD
        if reversal is not None and reversal.status == Status.DEAD:
            self.gap.refused += 1
        if self.balance is not None:
            self.balance.add_body(reported.body, reported.brand)

    def _asked(self, ask: Callable[[], Activity | None]) -> Activity | None:
        """Return the result of a function for one row; None if the row can't be read, so that the other rows go on."""
        try:
            return ask()
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001  the host's declaration may raise anything
            logger.error("track360: %s: a reversal can't be told: %s.", self.gap.declaration, describe(error))  # noqa: TRY400
            self.gap.unreadable += 1
            return None


def _makes(twin: ModelActivity, row: Any, eventid: str) -> bool:
    """Return whether another declaration gives a row this event id."""
    try:
        return row is not None and event_id.shorten(twin.id_of(row)) == eventid
    except Exception:  # noqa: BLE001  the host's declaration may raise anything
        return False


def _elsewhere(model: type[Model], alias: str) -> list[str]:
    """Return the other databases that may have rows of a model."""
    return [other for other in connections if other != alias and router.allow_migrate_model(other, model)]


def names_of(declaration: ModelActivity) -> set[str]:
    """Return the event names of a declaration, with the one of its reversals."""
    names = {declaration.eventname}
    return names if declaration.on_reverse is None else names | {reversals.eventname_of(declaration)}
