"""
Rows become the text that is sent: packed a page at a time, cut into batches, set aside where they can't go.

What becomes of those that are set aside is in `outcomes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from track360_django import conf
from track360_django.api import payloads
from track360_django.delivery import outcomes
from track360_django.delivery.parcel import CustomerParcel, Packed, Parcel
from track360_django.exceptions import PayloadError
from track360_django.models import Customer, Status
from track360_django.outbox.body import before_send
from track360_django.outbox.due import DueActivity
from track360_django.outbox.settlement import Outcome
from track360_django.users.eligibility import why_not_a_customer
from track360_django.users.lookup import users_of
from track360_django.users.mapping import record_of


def pack_customers(page: Sequence[Customer], brand: str) -> Packed:
    """Return customers as they are now, built from their users in one query."""
    parcels: list[Parcel] = []
    aside: list[Outcome] = []
    users = users_of(page, brand)
    for customer in page:
        user = users.get(customer.user_pk)
        # Nobody claimed what the safety net wrote: look again before it goes out by itself.
        if customer.status == Status.HELD and (reason := why_not_a_customer(user, brand)):
            aside.append(outcomes.held(customer, reason))
            continue
        try:
            body = body_of(customer, user)
        except PayloadError as error:
            aside.append(outcomes.unsendable(customer, reason=error.reason, error=str(error)))
            continue
        parcel = CustomerParcel(
            pk=customer.pk,
            version=customer.version,
            attempts=customer.attempts,
            is_too_old=bool(getattr(customer, "is_too_old", False)),
            names=(customer.customer_id,),
            body=body,
        )
        parcels.append(parcel)
    return Packed(parcels=parcels, aside=aside)


def pack_activities(page: Sequence[DueActivity]) -> Packed:
    """Return activities with the body they were written down with, those of unaccepted customers held."""
    # See Note [Due] in models: held and released under the same lease.
    return Packed(
        parcels=[row for row in page if row.customer_version],
        aside=[outcomes.set_aside(row) for row in page if not row.customer_version],
    )


def batches(parcels: Sequence[Parcel], max_records: int, max_bytes: int) -> Iterator[Sequence[Parcel]]:
    """Cut parcels into requests of at most so many records and bytes, each with one at least."""
    for start in range(0, len(parcels), max_records):
        chunk = parcels[start : start + max_records]
        weights = [len(parcel.body.encode()) + 1 for parcel in chunk]
        if sum(weights) <= max_bytes:
            yield chunk
        else:
            yield from _cut(chunk, weights, max_bytes)


def _cut(parcels: Sequence[Parcel], weights: Sequence[int], max_bytes: int) -> Iterator[Sequence[Parcel]]:
    batch: list[Parcel] = []
    size = 0
    for parcel, weight in zip(parcels, weights, strict=True):
        if batch and size + weight > max_bytes:
            yield batch
            batch, size = [], 0
        batch.append(parcel)
        size += weight
    if batch:
        yield batch


def body_of(customer: Customer, user: Any | None) -> str:
    """
    Return the JSON text that reports a customer now.

    Raises:
        PayloadError: A value can't be reported exactly, or `BEFORE_SEND` refused the record.
    """
    record = record_of(customer, user).as_dict(conf.time_zone(customer.brand))
    return payloads.to_json(before_send(record, customer.brand))
