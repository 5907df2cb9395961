"""
What Track360 accepted in some time is sent once more, under the same ids.

Records are selected and marked due, or shown; what a person is shown of it is in the command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet

from track360_django.db import pages, row_locks
from track360_django.db.lookups import is_among
from track360_django.history import preview
from track360_django.history.stopping import Stop
from track360_django.models import Activity, Customer, Status
from track360_django.outbox import dead_letters, wakeup

CHUNK: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which records are to be sent again; `narrowed` is a further condition on them."""

    since: datetime
    until: datetime
    narrowed: Mapping[str, str]
    customer: str | None
    eventname: str | None

    def customers(self, using: str) -> QuerySet[Customer] | None:
        """Return the customers; None if only activities are selected."""
        if self.eventname is not None:
            return None
        rows = self._accepted(Customer.objects.using(using))
        return rows if self.customer is None else rows.filter(customer_id=self.customer)

    def activities(self, using: str) -> QuerySet[Activity]:
        """Return the activities that still have their bodies."""
        return self._all_activities(using).exclude(body="")

    def pruned(self, using: str) -> int:
        """Return how many activities no longer have their bodies."""
        return self._all_activities(using).filter(body="").count()

    def _all_activities(self, using: str) -> QuerySet[Activity]:
        rows = self._accepted(Activity.objects.using(using))
        if self.customer is not None:
            rows = rows.filter(customer__customer_id=self.customer)
        return rows if self.eventname is None else rows.filter(eventname=self.eventname)

    def _accepted(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(
            status=Status.DELIVERED,
            delivered_at__gte=self.since,
            delivered_at__lt=self.until,
            **self.narrowed,
        )


def replay(records: QuerySet[Any], using: str, stop: Stop) -> tuple[int, int]:
    """Mark records due, one chunk per transaction; return how many, and how many another transaction has locked."""
    count = busy = 0
    for pks in _chunks(records):
        with transaction.atomic(using=using):
            locked = row_locks.find_locked(records.model, pks, using=using)
            if free := [pk for pk in pks if pk not in locked]:
                count += dead_letters.replay(records.filter(is_among("pk", free)))
            wakeup.after_commit(using=using)
        busy += len(locked)
        if stop.is_wanted:
            break
    return count, busy


def bodies(records: QuerySet[Any], *, refuse: preview.Refuse) -> Iterator[str]:
    """Yield the records as they would be sent; `refuse` is called for each that can't be."""
    for pks in _chunks(records):
        rows = list(records.model._default_manager.using(records.db).filter(pk__in=pks).order_by("pk"))
        yield from _bodies_of(rows, refuse)


def _bodies_of(rows: Sequence[Any], refuse: preview.Refuse) -> Iterator[str]:
    yield from preview.of_customers((row for row in rows if isinstance(row, Customer)), refuse=refuse)
    yield from (row.body for row in rows if isinstance(row, Activity))


def _chunks(records: QuerySet[Any]) -> Iterator[list[int]]:
    """Yield the primary keys of records in chunks. Records that no longer match the selection are left out."""
    yield from pages.by_key(records.values_list("pk", flat=True), CHUNK, key_of=int)
