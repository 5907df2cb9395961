"""The base class for a host's declarations of models."""

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
    Says how rows of a model become activities. Subclass it, and `register` the subclass for the model.

    Each attribute is a path (`"account__user"`), a function of the row, or a method `get_<name>(self, row)`:

        eventname    the KPI, as agreed with Track360 (plain text)
        when         a `Q`: the activity is reported once, when a saved row first fulfils it; None: when it is created
        customer     the user, or a customer id as text
        value        a number; currency: an ISO code; createtime: a datetime or a date
        eventid      default: "<eventname>-<pk>"; in another database of `DATABASES` "<eventname>-<alias>-<pk>"
        product      Casino, Sports, ...; needs `PRODUCT_FIELD`
        fields       additional fields of the record: name to path
        on_reverse   what is reported if a reported row no longer fulfils `when`, or is deleted (plain text): None for
                     nothing, "negative" for its value with the other sign, or an event name such as "Chargeback"
        reversed_at  when that happened; default: now
        brand        the brand's name, in a host with several brands; default: the customer's brand
        dated_by     the column that gives the age of a row, for `track360 reconcile`; default: `createtime`

    The record is written in the transaction that saves the row. If a value can't be reported exactly, the record is
    dead, but the sale never fails. An error in a `get_` method is the host's own error and is raised.
    Rows of proxies and of multi-table children are rows of the model. `bulk_create()`, `update()` and raw SQL send no
    signal: `ReportingManager` reports the first two, and `track360 reconcile` finds every row without a record.

    Source: API guide, "Activity API".
    """

    def rows(
        self, using: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[list[Any]]:
        """
        Yield the due rows in pages, ordered by primary key, with the relations that their reports need.

        Args:
            using: Alias of the database of the rows.
            since: Older rows, by `dated_by`, are left out. Rows without a date are always included.
            until: Rows from this time on are left out.
        """
        return ledger.pages(self, self.due_rows(using), since=since, until=until)

    def report(self, row: Model) -> Activity | None:
        """
        Report a row now, if it fulfils `when`. This is for rows that no signal announced.

        Returns:
            The record, which may have been written earlier; None if the row does not fulfil `when`.
        """
        if not self.is_due(row):
            return None
        using = aliases.of(row)
        return lookup.read(write_row(self, row, using), using)

    def write_many(self, rows: Iterable[Model], using: str, *, is_strict: bool = False) -> Written:
        """
        Report rows that fulfil `when`, a thousand per INSERT. Rows that were reported before are compared.

        Args:
            rows: Rows of the model.
            using: Alias of the database of their records (`outbox.aliases.of`).
            is_strict: Whether an error of the declaration is raised. If not, its row gets a dead record.

        Returns:
            How many are new, and how many can't be reported and are dead.
        """
        return write_rows(self, rows, using, is_strict=is_strict)
