"""The due records of a lane, a page at a time, in the order in which they became due. This module only reads."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from django.db import connections
from django.db.models import Case, F, QuerySet, Value, When

from track360_django.db.clock import Now
from track360_django.db.lookups import is_behind
from track360_django.models import Activity, Customer
from track360_django.outbox import lanes

R = TypeVar("R", Customer, Activity)


class DueActivity(NamedTuple):
    """
    A due activity, with only the columns that its delivery needs.

    `customer_version` is 0 until the customer is accepted, and None if the customer's row is gone.
    """

    pk: int
    version: int
    attempts: int
    is_too_old: bool
    customer_version: int | None
    eventname: str
    eventid: str
    body: str

    @property
    def names(self) -> tuple[str, ...]:
        """Return the event name and the event id, by which signals and alerts name the activity."""
        return self.eventname, self.eventid

    def __repr__(self) -> str:
        # Never the body, because error trackers show the result.
        return f"<DueActivity {self.pk}>"


class Mark(NamedTuple):
    """
    A position in the order of due records.

    Within one drain, it lets the search skip the records that were just settled. Never keep it between drains, because
    a longer transaction may commit a row before that position later.
    """

    due_at: datetime
    pk: int


def customers(lane: lanes.Taken, *, limit: int, after: Mark | None, max_age: timedelta) -> list[Customer]:
    """Return the next due customers of a lane, oldest first, each with `is_too_old`."""
    rows = _due_of(Customer.objects.all(), lane, after).annotate(is_too_old=_is_too_old(max_age))
    return list(rows.order_by("due_at", "pk")[:limit])


def activities(lane: lanes.Taken, *, limit: int, after: Mark | None, max_age: timedelta) -> list[DueActivity]:
    """Return the next due activities of a lane, oldest first, each with only what its delivery needs."""
    rows = (
        _due_of(Activity.objects.all(), lane, after)
        .annotate(is_too_old=_is_too_old(max_age), customer_version=F("customer__accepted_version"))
        .order_by("due_at", "pk")
        .values_list(*DueActivity._fields)
    )
    return [DueActivity._make(row) for row in rows[:limit]]


def mark_of(record: Customer | DueActivity, lane: lanes.Taken) -> Mark | None:
    """
    Return the position of a record in the order of due records. Call this before the record is settled.

    None on SQLite: nothing has to be skipped there, and texts of different length represent the same time.
    """
    if connections[lane.using].vendor == "sqlite":
        return None
    model = Customer if isinstance(record, Customer) else Activity
    rows = model._default_manager.using(lane.using).filter(pk=record.pk)
    due_at = rows.values_list("due_at", flat=True).first()
    return Mark(due_at, record.pk) if due_at else None


def _due_of(rows: QuerySet[R], lane: lanes.Taken, after: Mark | None) -> QuerySet[R]:
    due = rows.using(lane.using).filter(brand=lane.brand, lane=lane.number, due_at__lte=Now())
    if after is None:
        return due
    # The second condition is for databases that can't use an index for the first one.
    return due.filter(is_behind(("due_at", "pk"), (after.due_at, after.pk)), due_at__gte=after.due_at)


def _is_too_old(max_age: timedelta) -> Case:
    return Case(
        When(queued_at__lt=Now() - Value(max_age), then=Value(value=True)), default=Value(value=False)
    )
