"""Inserting many rows: the same rows as one by one, whatever they leave to the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from track360_django.db import bulk_insert
from track360_django.db.bulk_insert import insert_missing
from track360_django.models import Activity, Customer, Status

pytestmark = pytest.mark.django_db

MOMENT = datetime(2025, 7, 21, 8, 46, 10, 123456, tzinfo=UTC)
SHAPES: list[dict[str, Any]] = [
    {},
    {"tracking": {"tracking_data": "50 % 'quoted' %s"}, "regtime": MOMENT, "source": "import"},
    {"status": Status.HELD, "due_at": None, "reason": "unknown_customer"},
    {"status": Status.HELD, "due_at": MOMENT, "first_touch": {"at": "x"}, "fields": {"vip": True}},
    {"attempts": 7, "version": 2, "accepted_version": 2, "delivered_at": MOMENT},
]
GIVEN = (
    *("brand", "lane", "status", "attempts", "version", "accepted_version", "reason", "error"),
    *("delivered_at", "user_pk", "tracking", "first_touch", "last_touch", "source", "regtime", "fields"),
)


def make(mark: str, count: int) -> list[Customer]:
    """Return unsaved customers of all shapes in turns."""
    return [
        Customer(brand="default", customer_id=f"{mark}-{number}", lane=3, **SHAPES[number % len(SHAPES)])
        for number in range(count)
    ]


def test_many_rows_are_those_that_are_inserted_one_by_one() -> None:
    """Constants, nulls, documents, times and what the database fills in are the same."""
    count = bulk_insert.MANY + 10

    insert_missing(make("many", count), using="default")
    for row in make("one", count):
        insert_missing([row], using="default")

    rows = {row.customer_id: row for row in Customer.objects.all()}
    assert len(rows) == 2 * count
    for number in range(count):
        many, one = rows[f"many-{number}"], rows[f"one-{number}"]
        assert [getattr(many, name) for name in GIVEN] == [getattr(one, name) for name in GIVEN]
        assert (many.due_at is None) == (one.due_at is None)
        for name in ("queued_at", "created_at"):
            assert abs(getattr(many, name) - timezone.now()) < timedelta(minutes=5)


def test_many_rows_leave_alone_what_is_there() -> None:
    """Those with a key of the table, and those with the key of another one among them."""
    insert_missing(make("c", 3), using="default")
    Customer.objects.update(source="first")

    insert_missing([*make("c", bulk_insert.MANY), *make("c", bulk_insert.MANY)], using="default")

    assert Customer.objects.count() == bulk_insert.MANY
    assert Customer.objects.filter(source="first").count() == 3


def test_many_rows_fit_the_parameters_of_a_statement() -> None:
    """Thousands of rows are some statements, on each database."""
    rows = [
        Activity(
            brand="default",
            eventname="Bet",
            eventid=f"b-{number}",
            lane=1,
            body=f'{{"n":{number}}}',
            attempts=5,
        )
        for number in range(2500)
    ]

    insert_missing(rows, using="default")

    assert Activity.objects.count() == 2500
    assert Activity.objects.get(eventid="b-2499").body == '{"n":2499}'


@pytest.mark.postgres
def test_many_rows_are_inserted_all_or_none() -> None:
    """A row that can't be kept as it is takes the others with it, and says so."""
    rows = [*make("c", bulk_insert.MANY), Customer(brand="b" * 65, customer_id="x", lane=0)]

    with pytest.raises(DatabaseError), transaction.atomic():
        insert_missing(rows, using="default")

    assert not Customer.objects.exists()
