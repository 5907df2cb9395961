"""Rows to work on: customers that Track360 has, and as many records as a measurement wants, filled by SQL."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from django.contrib.auth.models import User
from django.db import connection, connections
from django.db.models import Model

from benchmarks.project.models import NaivePayment, RawRecord
from track360_django import activities, customers, delivery
from track360_django.models import Activity, Customer

CUSTOMERS: Final = 200
# One record of each customer as the package writes it down: what the filled tables are copies of.
SEEDS: Final = "benchmarks_seed"


def make_customers() -> None:
    """Make customers that Track360 has accepted, and one record of each to copy; once."""
    if User.objects.exists():
        return
    User.objects.bulk_create(User(username=f"player{number}") for number in range(CUSTOMERS))
    for user in User.objects.all():
        customers.report(user, tracking={"tracking_data": "2001_1000_abcdefg"})
    delivery.drain()
    if Customer.objects.filter(accepted_version=0).exists():
        message = "the API server did not accept the customers"
        raise RuntimeError(message)
    for user in User.objects.all():
        activities.report(
            "Payment", customer=user, value=Decimal("25.00"), currency="USD", eventid=f"TX-{user.pk:020}"
        )
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE TABLE "{SEEDS}" AS SELECT * FROM "{Activity._meta.db_table}"')
    empty(Activity)


def empty(model: type[Model]) -> None:
    """
    Remove all rows of a table, and what they leave behind.

    Ids go on: a worker that still settles the last rows would take new ones under the same ids for them.
    """
    with connection.cursor() as cursor:
        cursor.execute(f'TRUNCATE "{model._meta.db_table}" CASCADE')


def is_settled() -> bool:
    """Tell whether no row waits for a worker, ours or a naive one."""
    return not (
        Activity.objects.exclude(due_at=None).exists() or NaivePayment.objects.filter(sent_at=None).exists()
    )


def copy_seeds(using: str) -> None:
    """Take the records to copy to another database, which has the same customers."""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{SEEDS}"')
        seeds = cursor.fetchall()
    with connections[using].cursor() as cursor:
        cursor.execute(f'CREATE TABLE "{SEEDS}" AS SELECT * FROM "{Activity._meta.db_table}"')
        marks = ", ".join(["%s"] * len(seeds[0]))
        cursor.executemany(f'INSERT INTO "{SEEDS}" VALUES ({marks})', seeds)


def fill_activities(
    count: int, *, using: str = "default", mark: str = "copy", columns: Mapping[str, str] | None = None
) -> None:
    """
    Write so many due activities, their customers taking turns.

    Args:
        count: How many.
        using: In which database.
        mark: Tells their event ids apart from others of the same table.
        columns: SQL for columns that are to be others than those of a new record.
    """
    eventid = f"seed.eventid || '-{mark}-' || number"
    copies = {
        "eventid": eventid,
        "body": f"replace(seed.body, seed.eventid, {eventid})",
        "due_at": "now()",
        "queued_at": "now()",
        **(columns or {}),
    }
    names = [each.column for each in Activity._meta.concrete_fields if not each.primary_key]
    values = ", ".join(copies.get(str(name), f'seed."{name}"') for name in names)
    into = ", ".join(f'"{name}"' for name in names)
    _fill(Activity, into, values, count, using=using)


def fill_raw(count: int) -> None:
    """Write so many rows for the raw loop, with the same bodies."""
    body = "replace(seed.body, seed.eventid, seed.eventid || '-' || number)"
    _fill(RawRecord, "body, is_sent", f"{body}, false", count, using="default")


def fill_naive(count: int) -> list[int]:
    """Write so many naive payments, without telling anybody; return their ids."""
    users = list(User.objects.all())
    payments = [
        NaivePayment(user=users[number % len(users)], amount=Decimal("25.00")) for number in range(count)
    ]
    return [payment.pk for payment in NaivePayment.objects.bulk_create(payments)]


def _fill(model: type[Model], into: str, values: str, count: int, *, using: str) -> None:
    table = model._meta.db_table
    each = -(-count // CUSTOMERS)
    with connections[using].cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{table}" ({into}) SELECT {values} FROM generate_series(1, {each}) AS number '
            f'CROSS JOIN "{SEEDS}" AS seed ORDER BY number, seed.id LIMIT {count}'
        )
        if count > 1:
            cursor.execute(f'ANALYZE "{table}"')
