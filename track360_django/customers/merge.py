"""Complete an existing row with the data of a report. Frozen data stays."""

from __future__ import annotations

from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections

from track360_django.models import Customer, Status
from track360_django.outbox.customers import change_customer, change_fields, release_customer

# The signup source of a row that was written for an activity, before the customer was reported.
PLACEHOLDER: Final = "activity"


def complete(
    stored: Customer, wanted: Customer, *, is_explicit: bool, is_dated: bool = False, is_signup: bool = True
) -> bool:
    """Complete an existing row with the data of a report. Frozen data stays. Return whether the row changed."""
    using = stored._state.db or DEFAULT_DB_ALIAS
    missing = missing_of(stored, wanted, is_explicit=is_explicit, is_dated=is_dated, is_signup=is_signup)
    is_released = stored.status == Status.HELD and release_customer(
        stored.pk, using=using, source=wanted.source, **missing
    )
    if missing and not is_released:
        # It was no longer a placeholder, or it released itself a moment ago.
        change_customer(stored, **({"source": wanted.source} | missing))
    is_news = has_news(stored, wanted)
    if is_news:
        locked = lock(stored.customer_id, stored.brand, using) or stored
        change_fields(locked, locked.fields | wanted.fields)
    return bool(is_released or missing or is_news)


def missing_of(
    stored: Customer, wanted: Customer, *, is_explicit: bool, is_dated: bool = False, is_signup: bool = True
) -> dict[str, Any]:
    """
    Return the missing data of a row that was written before its signup was reported.

    A report that is not a signup (a file, for example) keeps the data that a signup froze, even while it is held.
    """
    changes: dict[str, Any] = {}
    is_open = _may_be_attributed(stored, is_explicit=is_explicit) and (is_signup or not stored.tracking)
    if wanted.tracking and is_open:
        names = ("tracking", "first_touch", "last_touch", "unattributed_reason")
        changes |= {name: getattr(wanted, name) for name in names}
    if wanted.user_pk and not stored.user_pk:
        changes |= {"user_pk": wanted.user_pk, "regtime": wanted.regtime}
    if is_dated and stored.source == PLACEHOLDER and stored.regtime != wanted.regtime:
        # Up to now, this was the time of the first activity.
        changes["regtime"] = wanted.regtime
    return changes


def _may_be_attributed(stored: Customer, *, is_explicit: bool) -> bool:
    """
    Return whether a row's attribution is still open.

    A signup freezes it, with or without a value. It is open in a placeholder that an activity wrote and that is held.
    For a value that the host passes itself (`is_explicit`), it is also open in a placeholder without a value that
    Track360 already has, because no signup froze it, and in a row that is not delivered yet and is held or has no value.
    """
    if is_explicit and stored.source == PLACEHOLDER and not stored.tracking:
        return True
    if stored.accepted_version:
        return False
    if is_explicit:
        return stored.status == Status.HELD or not stored.tracking
    return stored.source == PLACEHOLDER and stored.status == Status.HELD


def lock(customer_id: str, brand: str, using: str) -> Customer | None:
    """Return a customer's row, locked until the transaction ends; None if there is none."""
    # A weaker lock, if the database has it. The transaction of a deposit checks the foreign key at its commit and then
    # does not wait for us. With the stronger lock, two transactions could wait for each other: a deadlock.
    is_shared = connections[using].features.has_select_for_no_key_update
    rows = Customer.objects.using(using).select_for_update(no_key=is_shared)
    return rows.filter(brand=brand, customer_id=customer_id).first()


def has_news(stored: Customer, wanted: Customer) -> bool:
    """Return whether a report has fields that the row does not have, or has with other values."""
    return any(stored.fields.get(name) != value for name, value in wanted.fields.items())
