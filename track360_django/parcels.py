"""Rows become the text that is sent: packed a page at a time, cut into batches, set aside where they can't go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from track360_django import conf, identity, payloads
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer, Status
from track360_django.outbox import DueActivity, Outcome


class Parcel(NamedTuple):
    """A record on its way: the very text that is sent, and what is needed to settle it."""

    pk: int
    version: int
    attempts: int
    is_too_old: bool
    # customer_id, or eventname and eventid.
    names: tuple[str, ...]
    body: str

    def __repr__(self) -> str:
        # Never the body, which holds names: error trackers show it.
        return f"<Parcel {self.pk}>"


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One page: what goes, and what is held or dead before any attempt."""

    parcels: list[Parcel] = field(default_factory=list)
    aside: list[Outcome] = field(default_factory=list)


def pack_customers(page: Sequence[Customer], brand: str) -> Packed:
    """Return customers as they are now, built from their users in one query."""
    packed = Packed()
    users = identity.users_of(page, brand)
    for customer in page:
        user = users.get(customer.user_pk)
        # Nobody claimed what the safety net wrote: look again before it goes out by itself.
        if customer.status == Status.HELD and (reason := identity.why_not_a_customer(user, brand)):
            packed.aside.append(_held(customer, reason))
            continue
        try:
            body = body_of(customer, user)
        except PayloadError as error:
            packed.aside.append(dead(customer, reason=error.reason, error=str(error)))
            continue
        parcel = Parcel(
            pk=customer.pk,
            version=customer.version,
            attempts=customer.attempts,
            is_too_old=bool(getattr(customer, "is_too_old", False)),
            names=(customer.customer_id,),
            body=body,
        )
        packed.parcels.append(parcel)
    return packed


def pack_activities(page: Sequence[DueActivity]) -> Packed:
    """Return activities with the body they were written down with, those of unaccepted customers held."""
    packed = Packed()
    for row in page:
        pk, version, attempts, is_too_old, customer_version, eventname, eventid, body = row
        # See Note [Due] in models: held and released under the same lease.
        if customer_version:
            names = (eventname, eventid)
            packed.parcels.append(Parcel(pk, version, attempts, is_too_old, names, body))
        else:
            packed.aside.append(_held(row, "customer_not_accepted"))
    return packed


def batches(parcels: Iterable[Parcel], max_records: int, max_bytes: int) -> Iterator[list[Parcel]]:
    """Cut parcels into requests of at most so many records and bytes, each with one at least."""
    batch: list[Parcel] = []
    size = 0
    for parcel in parcels:
        body = parcel.body
        weight = len(body if body.isascii() else body.encode()) + 1
        if batch and (size + weight > max_bytes or len(batch) >= max_records):
            yield batch
            batch, size = [], 0
        batch.append(parcel)
        size += weight
    if batch:
        yield batch


def dead(record: Customer | Activity, *, reason: str, error: str) -> Outcome:
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
    record = identity.record_of(customer, user).as_dict(conf.time_zone(customer.brand))
    return payloads.to_json(before_send(record, customer.brand))


def before_send(record: payloads.Record, brand: str) -> payloads.Record:
    """
    Return a record as the host's `BEFORE_SEND` leaves it.

    Raises:
        PayloadError: It returned no mapping, or raised.
    """
    if conf.for_brand(brand).BEFORE_SEND is None:
        return record
    try:
        change = conf.function(conf.for_brand(brand).BEFORE_SEND)
        changed = change(dict(record)) if change else record
        payloads.to_json(changed).encode()
    except Exception as error:  # noqa: BLE001  the host's function may raise anything
        message = f"BEFORE_SEND raised {type(error).__name__}: correct it, then requeue the record."
        raise PayloadError(message, reason="before_send") from None
    if not isinstance(changed, dict) or not changed:
        message = "BEFORE_SEND returned no record, so nothing was sent: return the mapping it was given."
        raise PayloadError(message, reason="before_send")
    return changed


def _held(record: Customer | DueActivity, reason: str) -> Outcome:
    return Outcome(
        pks=(record.pk,), version=record.version, status=Status.HELD, reason=reason, is_attempt=False
    )
