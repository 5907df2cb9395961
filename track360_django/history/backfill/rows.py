"""Rows of a declared model without an activity: saved before there was a declaration, or without a signal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.core.management.base import OutputWrapper

from track360_django.activities import lookup, store
from track360_django.activities.declarations import ModelActivity, ledger
from track360_django.activities.draft import build_record
from track360_django.exceptions import PayloadError
from track360_django.history.backfill.work import Between, Counts
from track360_django.history.preview import Newcomers
from track360_django.models import Activity, Customer
from track360_django.outbox import aliases


class _Built(NamedTuple):
    """An activity with its body, not yet attached to a customer, with its brand and customer id."""

    brand: str
    customer_id: str
    activity: Activity


class Rows:
    """The rows of one declaration in one database that match its `when`."""

    def __init__(
        self, declaration: ModelActivity, alias: str, between: Between, newcomers: Newcomers
    ) -> None:
        self._declaration = declaration
        self._alias = alias
        self._between = between
        self._newcomers = newcomers

    @property
    def name(self) -> str:
        """The name of the rows in messages."""
        return f"{self._declaration.model._meta.label} ({type(self._declaration).__name__})"

    def count(self) -> int:
        """Return how many rows there are."""
        condition = ledger.within(self._declaration, *self._between)
        return self._declaration.due_rows(self._alias).filter(condition).count()

    def pages(self) -> Iterator[list[Any]]:
        """Yield all rows, page by page."""
        since, until = self._between
        return self._declaration.rows(self._alias, since=since, until=until)

    def write(self, rows: Sequence[Any], notices: OutputWrapper) -> Counts:  # noqa: ARG002  dead records say why
        """Report the rows without an activity. A row that can't be reported becomes a dead record."""
        written = self._declaration.write_many(rows, aliases.of(rows[0]))
        return Counts(read=len(rows), reported=written.added, refused=written.refused)

    def show(self, rows: Sequence[Any], out: OutputWrapper, notices: OutputWrapper) -> Counts:
        """Print the JSON of the users that would be registered, then of the rows without an activity."""
        counts = Counts(read=len(rows))
        using = aliases.of(rows[0])
        built = [found for row in rows if (found := self._build(row, using, notices, counts)) is not None]
        stored = lookup.stored_like([each.activity for each in built], using)
        news = [each for each in built if each.activity.key not in stored]

        def refuse(row: Customer, error: PayloadError) -> None:
            notices.write(f"{get_user_model()._meta.label} {row.user_pk}: {error}", style_func=str)
            counts.refused += 1

        for brand in {each.brand for each in news}:
            ids = sorted({each.customer_id for each in news if each.brand == brand})
            bodies = self._newcomers.of(ids, brand, using=using, refuse=refuse)
            out.writelines(f"{body}\n" for body in bodies)
        out.writelines(f"{each.activity.body}\n" for each in news)
        counts.reported = len(news)
        return counts

    def _build(self, row: Any, using: str, notices: OutputWrapper, counts: Counts) -> _Built | None:
        try:
            draft = self._declaration.draft_of(row)
            brand, customer_id = store.key_of_draft(draft, using)
            return _Built(brand, customer_id, build_record(draft, brand, customer_id))
        except PayloadError as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001  the host's declaration may raise anything; a person reads why
            why = f"{type(self._declaration).__name__} raised {type(error).__name__} for this row."
        counts.refused += 1
        notices.write(f"{row._meta.label} {self._declaration.pk_of(row)}: {why}", style_func=str)
        return None
