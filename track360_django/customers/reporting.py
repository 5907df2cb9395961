"""Report one customer, update one, or hold one until the end of a signup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, router, transaction

from track360_django import attribution
from track360_django.api.payloads import FieldValue
from track360_django.attribution import Touches
from track360_django.customers import brands
from track360_django.customers.merge import PLACEHOLDER, complete, lock, missing_of
from track360_django.customers.row import build, id_of, wire_fields
from track360_django.db.clock import from_now
from track360_django.models import Customer, Status
from track360_django.outbox import wakeup
from track360_django.outbox.customers import (
    RELEASE_AFTER,
    add_customer,
    change_fields,
    claim_placeholder,
    drop_customer,
    park_customer,
    read_customer,
)
from track360_django.signals import attribution_dropped
from track360_django.users import request_user

# The signup source of a row that the safety net wrote and that no other source has claimed.
SAFETY_NET: Final = "auth"


def report(
    user: Any,
    *,
    request: Any = None,
    tracking: Mapping[str, str] | None = None,
    source: str = "report",
    brand: str | None = None,
    **fields: FieldValue,
) -> Customer:
    """
    Report that a user has signed up, with the tracking data of the user's landing.

    Idempotent: a second report of the same user sends nothing new, and the frozen attribution stays.

    Args:
        user: The host's user; or a customer id as text, for a customer who is not a user of this project.
        request: The request to read the touches from; defaults to the request being served in this context, unless
            another user is logged in there.
        tracking: Parameter name to value, verbatim; wins over every touch.
        source: The signup source, for the admin.
        brand: The brand of the customer, on a host with several; defaults to the request's brand.
        fields: Additional fields as agreed with Track360, under the guide's names; None leaves a field unchanged.

    Returns:
        The customer's row, written in the current transaction. It is delivered after the commit.

    Raises:
        PayloadError: A tracking value or field can't be reported exactly. Nothing was written.
        BrandError: The brand is unknown, or there is no brand with this name.
        ImproperlyConfigured: `CUSTOMER_ID` is not a field of the user.

    Source: API guide, "Customer API", When to call this endpoint.
    """
    using = router.db_for_write(Customer)
    whose = brands.of_report(user, _request_of(user, request), using, named=brand)
    return _report(user, request, tracking, source, fields, whose)


def _request_of(user: Any, request: Any) -> Any:
    """Return the request to find a user's brand by: the given one, or the one being served if it can be the user's."""
    if request is not None:
        return request
    touches = attribution.current()
    return touches.request if touches is not None and request_user.is_own(touches.request, user) else None


def _report(  # noqa: PLR0913, PLR0917  the arguments of `report`
    user: Any,
    request: Any,
    tracking: Mapping[str, str] | None,
    source: str,
    fields: Mapping[str, FieldValue],
    brand: str,
) -> Customer:
    touches = attribution.of(request)
    if touches is not None and not _is_theirs(user, touches, is_given=request is not None):
        touches = None
    if touches is not None and not brands.is_of(touches, brand):
        # A link to one brand has no effect at another brand.
        touches = None
    customer = build(user, brand, touches, tracking, source, fields)
    using = router.db_for_write(Customer)
    with transaction.atomic(using=using, savepoint=False):
        _drop_held_elsewhere(user, brand)
        stored = add_customer(customer, using=using)
        is_new = _is_untouched(stored) and stored.source == source
        is_new |= complete(stored, customer, is_explicit=bool(tracking))
        wakeup.after_commit(using=using)
        written = read_customer(stored.brand, stored.customer_id, using=using)
        _note_signup(touches, written, customer)
        if is_new:
            tell_unattributed(written, touches and touches.request)
        return written


def _drop_held_elsewhere(user: Any, brand: str) -> None:
    """Remove rows that the safety net wrote in this request for another brand: this report knows the right one."""
    touches = attribution.current()
    if touches is None or not touches.held or not brands.are_named():
        return
    for using, pk, _ in touches.held:
        rows = Customer.objects.using(using).filter(pk=pk, status=Status.HELD, source=SAFETY_NET)
        if rows.filter(user_pk=str(getattr(user, "pk", ""))).exclude(brand=brand).exists():
            drop_customer(pk, using=using)


def _is_untouched(customer: Customer) -> bool:
    """Return whether a row is as it was inserted: pending, first version, no attempt."""
    return customer.status == Status.PENDING and customer.version == 1 and not customer.attempts


def _note_signup(touches: Touches | None, written: Customer, wanted: Customer) -> None:
    """Make the end of the request forget the touch of this customer: the next signup will be another customer's."""
    if touches is not None and written.last_touch == wanted.last_touch:
        touches.signed_up = (*touches.signed_up, (written._state.db or DEFAULT_DB_ALIAS, written.pk))


def tell_unattributed(customer: Customer, request: Any) -> None:
    """Send `attribution_dropped` for an unattributed signup, after its commit."""
    if customer.tracking or not attribution_dropped.has_listeners(Customer):
        return

    def send() -> None:
        attribution_dropped.send_robust(
            sender=Customer,
            request=request,
            parameter="",
            reason=customer.unattributed_reason,
            customer=customer,
        )

    transaction.on_commit(send, using=customer._state.db, robust=True)


def update(user: Any, *, request: Any = None, brand: str | None = None, **fields: FieldValue) -> Customer:
    """
    Report changed fields of a customer, such as `salesStatus` or `kycStatus`.

    Several updates before a delivery are sent as one. Each delivery contains the unchanged tracking data and
    registration time. A user who was never reported is reported now. A held customer stays held, and the fields wait
    with the row.

    Args:
        user: As in `report`.
        request: Used only to find the brand, on a host with several.
        brand: The brand to report to; defaults to the brand of the customer's own request, else all brands that have
            the customer.
        fields: Additional fields as agreed with Track360, under the guide's names; None or "" removes a field.

    Returns:
        The customer's row; with several brands, the row of the first one.

    Raises:
        PayloadError: A field can't be reported exactly. Nothing was written.
        BrandError: The brand is unknown, or there is no brand with this name.

    Source: API guide, "Update behavior".
    """
    using = router.db_for_write(Customer)
    with transaction.atomic(using=using):
        whose = brands.of_update(user, _request_of(user, request), using, named=brand)
        rows = [_update(user, each, fields, using) for each in whose]
    return rows[0]


def _update(user: Any, brand: str, fields: Mapping[str, FieldValue], using: str) -> Customer:
    changed = wire_fields(fields, brand)
    customer = lock(id_of(user, brand), brand, using)
    if customer is None:
        # An update is not a signup, so it must not use the touches of today.
        customer = add_customer(build(user, brand, None, None, "update", fields), using=using)
    kept = {name: value for name, value in customer.fields.items() if name not in fields}
    # Also for a row that was just added: it may be the row of a signup that committed in between.
    if kept | changed != customer.fields or customer.accepted_version:
        change_fields(customer, kept | changed)
    wakeup.after_commit(using=using)
    return read_customer(customer.brand, customer.customer_id, using=using)


def hold(user: Any, touches: Touches, *, brand: str, using: str) -> Customer:
    """
    Create a held customer for a user who is signing up: the safety net. The customer is not reported yet.

    A signup source claims the row with `report`, or the end of the request releases it. If neither happens, it releases
    itself after a minute.
    """
    theirs = touches if brands.is_of(touches, brand) else None
    _drop_held_elsewhere(user, brand)
    customer = build(user, brand, theirs, None, SAFETY_NET, {})
    customer.status = Status.HELD
    customer.due_at = from_now(RELEASE_AFTER)
    stored = add_customer(customer, using=using)
    _note_signup(theirs, stored, customer)
    if stored.source == PLACEHOLDER and stored.status == Status.HELD:
        missing = missing_of(stored, customer, is_explicit=False)
        claim_placeholder(stored.pk, using=using, source=customer.source, **missing)
    return stored


def hold_unserved(user: Any, reason: str, *, brand: str, source: str, using: str) -> Customer:
    """Create a held customer for a signup without a request (no attribution)."""
    _drop_held_elsewhere(user, brand)
    customer = build(user, brand, None, None, source, {})
    customer.status, customer.due_at, customer.reason = Status.HELD, None, reason
    stored = add_customer(customer, using=using)
    if stored.source == PLACEHOLDER:
        missing = missing_of(stored, customer, is_explicit=False)
        claim_placeholder(stored.pk, using=using, source=source, **missing)
    # A customer that was released before stays released.
    park_customer(stored.pk, using=using, reason=reason)
    return stored


def _is_theirs(user: Any, touches: Touches, *, is_given: bool) -> bool:
    """Return whether the touches can be this user's: clicks of staff who act as a customer are not the customer's."""
    if is_given:
        return not request_user.is_hijacked(touches.request)
    return request_user.is_own(touches.request, user)
