"""
Gaps: rows of one declaration that have no record, and rows that were reported and count no more.

The ledger is read in pages and compared by event id: whatever is missing gets the record that the hook would have
written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Model

from track360_django import balance, databases, drafts, records
from track360_django.balance import Balance
from track360_django.declarations import columns, ledger, reversals, writing
from track360_django.declarations.ledger import Entry
from track360_django.declarations.model import ModelActivity
from track360_django.exceptions import PayloadError
from track360_django.expressions import is_one_of
from track360_django.models import Activity, Status

# How many missing rows are kept in mind before they are reported.
MANY: Final = 5000
PAGE: Final = 1000
_NAMES: Final = ("eventid", "eventname", "source", "source_pk")
_BODY: Final = ("body", "brand")
_Record = dict[str, Any]


@dataclass(kw_only=True)
class Gap:
    """What was found of one declaration in one database: rows that fulfil it, and those without a record."""

    declaration: str
    eventname: str
    model: str
    database: str
    rows: int = 0
    missing: int = 0
    reported: int = 0
    refused: int = 0
    # Rows with a record under another event id: the declaration's `eventid` was changed.
    renamed: int = 0
    # Rows that were reported, count no more, and whose reversal was missing.
    unreversed: int = 0
    reversed: int = 0


@dataclass(kw_only=True)
class Search:
    """
    The gaps of one declaration in one database of the host.

    `since`, `until` and `is_dry_run` are as `reconcile.run` has them; with a `balance` everything is added up, too.
    """

    declaration: ModelActivity
    alias: str
    since: datetime
    until: datetime | None
    is_dry_run: bool
    balance: Balance | None

    def __post_init__(self) -> None:
        """Begin with nothing found."""
        kind = type(self.declaration)
        self.gap = Gap(
            declaration=f"{kind.__module__}.{kind.__qualname__}",
            eventname=self.declaration.eventname,
            model=self.declaration.model._meta.label,
            database=self.alias,
        )
        # Where the records of these rows are.
        self._using = databases.of_rows(self.declaration.model, self.alias)
        self._missing: list[Any] = []

    def run(self) -> None:
        """Look at all rows, and report what is missing."""
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
        known = self._records_of(page)
        for entry in page:
            record = self._record_of(entry, known)
            if record is None:
                self._missing.append(entry.pk)
            if self.balance is not None:
                self._add_up(self.balance, entry, record)

    def _records_of(self, page: Sequence[Entry]) -> dict[str, list[_Record]]:
        """Return the records that these rows may have, by the event id."""
        found: dict[str, list[_Record]] = {}
        names = (*_NAMES, *_BODY) if self._needs_bodies() else _NAMES
        rows = Activity.objects.using(self._using)
        ids = {drafts.shorten(entry.eventid) for entry in page}
        for values in rows.filter(is_one_of("eventid", ids)).values_list(*names):
            found.setdefault(values[0], []).append(dict(zip(names, values, strict=True)))
        return found

    def _needs_bodies(self) -> bool:
        # Without a time of its own, a row is of the day that its record says.
        has_time = self.declaration.createtime is not None or hasattr(self.declaration, "get_createtime")
        return self.balance is not None and not has_time

    def _record_of(self, entry: Entry, known: dict[str, list[_Record]]) -> _Record | None:
        """Return a row's record: of this KPI, and of this row, or of none as an explicit report's."""
        own = (self.gap.model, str(entry.pk))
        for record in known.get(drafts.shorten(entry.eventid), ()):
            is_own = not record["source_pk"] or (record["source"], record["source_pk"]) == own
            if is_own and record["eventname"] == self.declaration.eventname:
                return record
        return None

    def _add_up(self, balance: Balance, entry: Entry, record: _Record | None) -> None:
        if entry.error:
            balance.unreadable += 1
        elif entry.createtime is None and record is not None and "body" in record:
            balance.add_body(record["body"], record["brand"])
        else:
            balance.add_row(
                self.declaration.eventname, entry.value, entry.currency, entry.createtime, entry.product
            )

    def _report_missing(self) -> None:
        pks, self._missing = self._without_renamed(self._missing), []
        self.gap.missing += len(pks)
        if self.is_dry_run:
            return
        rows = ledger.related(self.declaration, self.declaration.due_rows(self.alias))
        for start in range(0, len(pks), writing.MANY):
            # Read again: only what is due by now.
            chunk = list(rows.filter(pk__in=pks[start : start + writing.MANY]))
            written = self.declaration.write_many(chunk, self._using)
            self.gap.reported += written.added
            self.gap.refused += written.refused

    def _without_renamed(self, pks: list[Any]) -> list[Any]:
        """Return those rows that have no record under another id either: it would be paid for the second time."""
        if not pks:
            return pks
        rows = Activity.objects.using(self._using).filter(
            is_one_of("source_pk", map(str, pks)), source=self.gap.model, customer__isnull=False
        )
        own = rows.filter(eventname=self.declaration.eventname).exclude(eventid__endswith=reversals.SUFFIX)
        renamed = set(own.values_list("source_pk", flat=True))
        self.gap.renamed += len(renamed)
        return [pk for pk in pks if str(pk) not in renamed]

    # Rows that count no more.

    def _reverse_rows(self) -> None:
        """Find rows that were reported and fulfil the declaration no more."""
        declaration = self.declaration
        if declaration.when is None:
            return
        others = columns.all_rows(declaration.model, self.alias).exclude(declaration.when)
        for page in ledger.pages(declaration, others, since=self.since, until=self.until):
            for row in reversals.reported_among(declaration, page, self._using):
                self._reverse_row(row)

    def _reverse_row(self, row: Model) -> None:
        reported = reversals.find_reported(self.declaration, row, self._using)
        if reported is None:
            return
        reversal = self._reversal_of(reported)
        if reversal is None and self._may_reverse():
            reversal = writing.reverse(self.declaration, row, self._using)
            self._count(reversal)
        self._add_both(reported, reversal)

    def _reverse_gone(self) -> None:
        """Find records whose rows were deleted: those that nobody announced have no reversal."""
        for page in self._reported_pages():
            rows = columns.all_rows(self.declaration.model, self.alias)
            pks = {record.source_pk for record in page}
            there = set(map(str, rows.filter(pk__in=pks).values_list("pk", flat=True)))
            for record in page:
                if record.source_pk not in there:
                    self._reverse_record(record)

    def _reported_pages(self) -> Iterator[list[Activity]]:
        """Yield the declaration's own records from the first day on, without those of reversals."""
        rows = Activity.objects.using(self._using).filter(
            source=self.gap.model, eventname=self.declaration.eventname, customer__isnull=False
        )
        rows = rows.exclude(eventid__endswith=reversals.SUFFIX).exclude(
            status=Status.DEAD, accepted_version=0
        )
        last = balance.first_pk_since(self.since.astimezone(balance.zone()).date(), self._using) - 1
        while page := list(rows.filter(pk__gt=last).order_by("pk").select_related("customer")[:PAGE]):
            last = page[-1].pk
            yield page

    def _reverse_record(self, reported: Activity) -> None:
        reversal = self._reversal_of(reported)
        if reversal is None and self._may_reverse():
            draft = reversals.draft_of_gone(self.declaration, reported)
            try:
                reversal = records.write(draft, self._using)[0] if draft else None
            except PayloadError:
                reversal = None
            self._count(reversal)
        self._add_both(reported, reversal)

    def _reversal_of(self, reported: Activity) -> Activity | None:
        rows = Activity.objects.using(self._using).filter(
            eventid=drafts.shorten(f"{reported.eventid}{reversals.SUFFIX}"),
            source=reported.source,
            source_pk=reported.source_pk,
        )
        return rows.first()

    def _may_reverse(self) -> bool:
        self.gap.unreversed += 1
        return not self.is_dry_run

    def _count(self, reversal: Activity | None) -> None:
        if reversal is None or reversal.status == Status.DEAD:
            self.gap.refused += 1
        else:
            self.gap.reversed += 1

    def _add_both(self, reported: Activity, reversal: Activity | None) -> None:
        """Add to the ledger what was reported of a row and what took it back: on their days each was true."""
        if self.balance is not None:
            for record in (reported, reversal):
                if record is not None:
                    self.balance.add_body(record.body, record.brand)


def names_of(declaration: ModelActivity) -> set[str]:
    """Return the event names that a declaration gives."""
    names = {declaration.eventname}
    return names if declaration.on_reverse is None else names | {reversals.eventname_of(declaration)}
