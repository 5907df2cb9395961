"""One customer is reported, updated, or held until the end of a signup."""

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

# The signup source of a row that the safety net wrote, and nobody has claimed.
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
    Report that a user has signed up, with the tracking data of the landing that brought them.

    Idempotent: reporting somebody twice sends nothing new, and the attribution stays as it was frozen.

    Args:
        user: The host's user; or a customer id as text, for somebody who is no user of this project.
        request: Where the touches are read from; without one, the request being served in this context, unless
            somebody else is logged in there.
        tracking: Parameter name to value, verbatim; wins over every touch.
        source: Which signup source it was, for the admin.
        brand: Whose customer they are, of a host with several; without it, the request's brand.
        fields: Additional fields as agreed with Track360, under the guide's names; None leaves one as it is.

    Returns:
        The customer's row, written in the current transaction. It is delivered after the commit.

    Raises:
        PayloadError: A tracking value or field can't be reported exactly. Nothing was written.
        BrandError: Nobody can tell the brand, or there is none of that name.
        ImproperlyConfigured: `CUSTOMER_ID` leads to nothing.

    Source: API guide, "Customer API", When to call this endpoint.
    """
    using = router.db_for_write(Customer)
    whose = brands.of_report(user, _request_of(user, request), using, named=brand)
    return _report(user, request, tracking, source, fields, whose)


def _request_of(user: Any, request: Any) -> Any:
    """Return the request that tells a user's brand: the one given, or the one being served if it can be theirs."""
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
        # What a visitor followed to one brand is nothing to another.
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
    """Take back what the safety net wrote in this request for another brand: whoever knows better says whose it is."""
    touches = attribution.current()
    if touches is None or not touches.held or not brands.are_named():
        return
    for using, pk, _ in touches.held:
        rows = Customer.objects.using(using).filter(pk=pk, status=Status.HELD, source=SAFETY_NET)
        if rows.filter(user_pk=str(getattr(user, "pk", ""))).exclude(brand=brand).exists():
            drop_customer(pk, using=using)


def _is_untouched(customer: Customer) -> bool:
    """Tell whether a row is as it was inserted: pending, and nobody worked on it since."""
    return customer.status == Status.PENDING and customer.version == 1 and not customer.attempts


def _note_signup(touches: Touches | None, written: Customer, wanted: Customer) -> None:
    """Let the end of the request forget a touch that is this customer's now: the next signup is somebody else's."""
    if touches is not None and written.last_touch == wanted.last_touch:
        touches.signed_up = (*touches.signed_up, (written._state.db or DEFAULT_DB_ALIAS, written.pk))


def tell_unattributed(customer: Customer, request: Any) -> None:
    """Send `attribution_dropped` for a signup that nobody is credited with, after it was committed."""
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

    Updates before a delivery are sent as one. Tracking data and registration time go with each, unchanged.
    Somebody who was never reported is reported now; a customer who is held stays held, and the fields wait with them.

    Args:
        user: As in `report`.
        request: Only to find the brand of a host with several.
        brand: Which brand hears of it; without it the customer's own request's, else all that know the customer.
        fields: Additional fields as agreed with Track360, under the guide's names; None or "" removes one.

    Returns:
        The customer's row; of several brands, that of the first.

    Raises:
        PayloadError: A field can't be reported exactly. Nothing was written.
        BrandError: Nobody can tell the brand, or there is none of that name.

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
        # Nobody said that this is their signup, so no touch of today may claim it.
        customer = add_customer(build(user, brand, None, None, "update", fields), using=using)
    kept = {name: value for name, value in customer.fields.items() if name not in fields}
    # Also for one just added: it may be the row of a signup that committed in between.
    if kept | changed != customer.fields or customer.accepted_version:
        change_fields(customer, kept | changed)
    wakeup.after_commit(using=using)
    return read_customer(customer.brand, customer.customer_id, using=using)


def hold(user: Any, touches: Touches, *, brand: str, using: str) -> Customer:
    """
    Write a user down as a customer without reporting them yet: the safety net of a signup that is under way.

    A signup source claims the row with `report`, the end of the request releases it; failing both, it releases
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
    """Write a user down as a customer who waits, of whom no request tells what brought them."""
    _drop_held_elsewhere(user, brand)
    customer = build(user, brand, None, None, source, {})
    customer.status, customer.due_at, customer.reason = Status.HELD, None, reason
    stored = add_customer(customer, using=using)
    if stored.source == PLACEHOLDER:
        missing = missing_of(stored, customer, is_explicit=False)
        claim_placeholder(stored.pk, using=using, source=source, **missing)
    # Who was released already stays so.
    park_customer(stored.pk, using=using, reason=reason)
    return stored


def _is_theirs(user: Any, touches: Touches, *, is_given: bool) -> bool:
    """Tell whether touches can be this person's: staff's clicks are not their customers', whoever they act as."""
    if is_given:
        return not request_user.is_hijacked(touches.request)
    return request_user.is_own(touches.request, user)
