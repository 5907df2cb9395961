"""The outbox for customers: adds, changes, releases and parks their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.db.models import Exists, F, OuterRef

from track360_django import conf
from track360_django.db.bulk_insert import insert_missing
from track360_django.db.clock import Now, from_now
from track360_django.models import Activity, Customer, Status
from track360_django.outbox import lanes

# What the safety net wrote and nobody claimed releases itself after this.
RELEASE_AFTER: Final = timedelta(seconds=60)
INSERT_BATCH: Final = 1000


def add_customer(customer: Customer, *, using: str) -> Customer:
    """
    Insert a customer, unless the brand has this customer already.

    Returns:
        The row in the table, which another process may have inserted.
    """
    customer.lane = lanes.lane_of(customer.customer_id, conf.for_brand(customer.brand).LANES)
    insert_missing([customer], using=using)
    return read_customer(customer.brand, customer.customer_id, using=using)


def add_customers(customers: Sequence[Customer], *, using: str) -> None:
    """Insert customers. Those that their brand has already are not changed."""
    for customer in customers:
        customer.lane = lanes.lane_of(customer.customer_id, conf.for_brand(customer.brand).LANES)
    insert_missing(customers, using=using, batch_size=INSERT_BATCH)


def read_customer(brand: str, customer_id: str, *, using: str) -> Customer:
    """
    Return the row of a customer who is in the table, for example because this transaction added it.

    On MySQL under REPEATABLE READ, the host's snapshot may be older than the row. A locking read sees the row.
    """
    rows = Customer.objects.using(using).filter(brand=brand, customer_id=customer_id)
    return rows.first() or rows.select_for_update().get()


def change_customer(customer: Customer, **changes: Any) -> None:
    """Write changed columns of a customer and mark the row as due, so that it is sent with a new version."""
    Customer.objects.using(customer._state.db).filter(pk=customer.pk).update(
        version=F("version") + 1,
        status=Status.PENDING,
        due_at=Now(),
        queued_at=Now(),
        attempts=0,
        reason="",
        error="",
        **changes,
    )


def change_fields(customer: Customer, fields: Mapping[str, Any]) -> None:
    """Write the additional fields of a customer. A held customer stays held and is sent with them after the release."""
    held = Customer.objects.using(customer._state.db).filter(pk=customer.pk, status=Status.HELD)
    if not held.update(fields=fields, version=F("version") + 1):
        change_customer(customer, fields=fields)


def release_customer(pk: int, *, using: str, **changes: Any) -> bool:
    """
    Release a held customer for delivery; return whether the customer was held.

    The row gets a new version, because a worker may be about to hold this row, or to settle the one that was released
    automatically.
    """
    held = Customer.objects.using(using).filter(pk=pk, status=Status.HELD)
    released = held.update(
        status=Status.PENDING,
        due_at=Now(),
        queued_at=Now(),
        reason="",
        version=F("version") + 1,
        **changes,
    )
    return bool(released)


def claim_placeholder(pk: int, *, using: str, **changes: Any) -> None:
    """Turn the held row of a user who was active before the signup into the row of a signup under way."""
    held = Customer.objects.using(using).filter(pk=pk, status=Status.HELD)
    held.update(
        due_at=from_now(RELEASE_AFTER), queued_at=Now(), reason="", version=F("version") + 1, **changes
    )


def name_source(pk: int, source: str, *, using: str) -> None:
    """Write which signup source announced a customer who is still held."""
    Customer.objects.using(using).filter(pk=pk, status=Status.HELD).update(source=source)


def park_customer(pk: int, *, using: str, reason: str) -> None:
    """Keep a held customer until a call reports the customer."""
    Customer.objects.using(using).filter(pk=pk, status=Status.HELD).update(due_at=None, reason=reason)


def drop_customer(pk: int, *, using: str) -> None:
    """Delete the held row of a user who is not a customer (staff). If it has activities, keep the row and park it."""
    # A held customer was never accepted, so none of the customer's activities can have been delivered.
    waiting = Activity.objects.filter(customer_id=OuterRef("pk")).exclude(status=Status.DELIVERED)
    held = Customer.objects.using(using).filter(~Exists(waiting), pk=pk, status=Status.HELD)
    # This skips Django's own search for related rows, which would read all activities.
    if not held._raw_delete(using):  # noqa: SLF001  Django has no public name for this
        park_customer(pk, using=using, reason="not_a_customer")
