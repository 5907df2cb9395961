"""Rows become the text that is sent: packed a page at a time, cut into batches, set aside where they can't go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from track360_django import conf
from track360_django.api import payloads
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer, Status
from track360_django.outbox.body import before_send
from track360_django.outbox.due import DueActivity
from track360_django.outbox.settlement import Outcome
from track360_django.users.eligibility import why_not_a_customer
from track360_django.users.lookup import users_of
from track360_django.users.mapping import record_of


class CustomerParcel(NamedTuple):
    """A customer on its way: the very text that is sent, and what is needed to settle it."""

    pk: int
    version: int
    attempts: int
    is_too_old: bool
    # What it is announced by: the customer id.
    names: tuple[str, ...]
    body: str

    def __repr__(self) -> str:
        # Never the body, which holds names: error trackers show it.
        return f"<CustomerParcel {self.pk}>"


# An activity's body was fixed when it was written down: its row is all there is.
Parcel = CustomerParcel | DueActivity


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One page: what goes, and what is held or dead before any attempt."""

    parcels: Sequence[Parcel] = field(default_factory=list)
    aside: list[Outcome] = field(default_factory=list)


def pack_customers(page: Sequence[Customer], brand: str) -> Packed:
    """Return customers as they are now, built from their users in one query."""
    parcels: list[Parcel] = []
    aside: list[Outcome] = []
    users = users_of(page, brand)
    for customer in page:
        user = users.get(customer.user_pk)
        # Nobody claimed what the safety net wrote: look again before it goes out by itself.
        if customer.status == Status.HELD and (reason := why_not_a_customer(user, brand)):
            aside.append(_held(customer, reason))
            continue
        try:
            body = body_of(customer, user)
        except PayloadError as error:
            aside.append(dead(customer, reason=error.reason, error=str(error)))
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
        aside=[_set_aside(row) for row in page if not row.customer_version],
    )


def _set_aside(row: DueActivity) -> Outcome:
    if row.customer_version is not None:
        return _held(row, "customer_not_accepted")
    error = "Its customer was taken for none (staff, say) and dropped at the same moment: report the activity again."
    return dead(row, reason="customer_gone", error=error)


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


def dead(record: Customer | Activity | DueActivity, *, reason: str, error: str) -> Outcome:
    """Return the outcome of a record that can't be sent as it is."""
    return Outcome(
        pks=(record.pk,),
        version=record.version,
        status=Status.DEAD,
        reason=reason,
        error=error,
        is_attempt=False,
    )


def body_of(customer: Customer, user: Any | None) -> str:
    """
    Return the JSON text that reports a customer now.

    Raises:
        PayloadError: A value can't be reported exactly, or `BEFORE_SEND` refused the record.
    """
    record = record_of(customer, user).as_dict(conf.time_zone(customer.brand))
    return payloads.to_json(before_send(record, customer.brand))


def _held(record: Customer | DueActivity, reason: str) -> Outcome:
    return Outcome(
        pks=(record.pk,), version=record.version, status=Status.HELD, reason=reason, is_attempt=False
    )
