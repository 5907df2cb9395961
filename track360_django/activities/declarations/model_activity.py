"""A declared model: what a host derives from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db.models import Model

from track360_django.activities import lookup
from track360_django.activities.declarations import ledger
from track360_django.activities.declarations.declaration import Declaration
from track360_django.activities.declarations.rows import Written, write_row, write_rows
from track360_django.models import Activity
from track360_django.outbox import aliases


class ModelActivity(Declaration):
    """
    Says how rows of a model become activities; subclass it and `register` it for the model.

    Each attribute is a path (`"account__user"`), a function of the row, or a method `get_<name>(self, row)`:

        eventname    the KPI, as agreed with Track360 (plain text)
        when         a `Q`: the activity is reported once, when a saved row first fulfils it; None: when created
        customer     leads to the user, or to a customer id as text
        value        a number; currency: an ISO code; createtime: a datetime or a date
        eventid      default: "<eventname>-<pk>"; in another database of `DATABASES` "<eventname>-<alias>-<pk>"
        product      Casino, Sports, ...; needs `PRODUCT_FIELD`
        fields       further fields of the record: name to path
        on_reverse   what a reported row tells that no longer fulfils `when`, or is deleted (plain text): None for
                     nothing, "negative" for its value with the other sign, or an event name such as "Chargeback"
        reversed_at  when that happened; default: now
        brand        the brand's name, in a host with several; default: the one of which the customer is one
        dated_by     the column that tells how old a row is, for `track360 reconcile`; default: `createtime`

    The record is written in the transaction that saves the row. A value that can't be reported exactly becomes a dead
    record, never an error of the sale; an error in a `get_` method is the host's own and is raised.
    Rows of proxies and of multi-table children are rows of the model. `bulk_create()`, `update()` and raw SQL send no
    signal: `ReportingManager` reports the first two, `track360 reconcile` finds whatever nobody announced.

    Source: API guide, "Activity API".
    """

    def rows(
        self, using: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[list[Any]]:
        """
        Yield the due rows in pages, by primary key, with the relations that reporting them needs.

        Args:
            using: Alias of the database they are in.
            since: Those that `dated_by` says are older are left out; those without a date are not.
            until: Those from then on are left out.
        """
        return ledger.pages(self, self.due_rows(using), since=since, until=until)

    def report(self, row: Model) -> Activity | None:
        """
        Report a row now, if it fulfils `when`; for rows that no signal announced.

        Returns:
            The record, which may be one written earlier; None for a row that does not fulfil `when`.
        """
        if not self.is_due(row):
            return None
        using = aliases.of(row)
        return lookup.read(write_row(self, row, using), using)

    def write_many(self, rows: Iterable[Model], using: str, *, is_strict: bool = False) -> Written:
        """
        Report rows that fulfil `when`, a thousand in one INSERT; those that were reported are compared.

        Args:
            rows: Rows of the model.
            using: Where their records are kept (`databases.of`).
            is_strict: Whether an error of the declaration is raised; else its row becomes a dead record.

        Returns:
            How many are news, and how many can't be reported and are dead.
        """
        return write_rows(self, rows, using, is_strict=is_strict)
