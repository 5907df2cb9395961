"""Build the unsaved row of a customer from a user, with its attribution decided and checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model

from track360_django import attribution, conf
from track360_django.api import payloads
from track360_django.api.payloads import FieldValue
from track360_django.attribution import Touch, Touches
from track360_django.exceptions import PayloadError
from track360_django.models import Customer
from track360_django.users.mapping import customer_id_of, regtime_of


def id_of(user: Any, brand: str) -> str:
    """
    Return the customer id of a user or of a row of `Customer`. A text, a number or a UUID is already an id.

    Raises:
        PayloadError: The value is not a user or an id, or the id can't be stored exactly.
    """
    if isinstance(user, Customer):
        return user.customer_id
    if not isinstance(user, str | int | UUID | get_user_model()):
        message = f"customer is a value of type {type(user).__name__}: name a path to the user, or give a customer id."
        raise PayloadError(message, field="customerid", reason="not_a_user")
    customer_id = str(user) if isinstance(user, str | int | UUID) else customer_id_of(user, brand)
    payloads.CustomerRecord(customer_id=customer_id).as_dict(UTC)
    return customer_id


def build(  # noqa: PLR0913, PLR0917  a customer has that many sides
    user: Any,
    brand: str,
    touches: Touches | None,
    tracking: Mapping[str, str] | None,
    source: str,
    fields: Mapping[str, FieldValue],
    regtime: datetime | None = None,
) -> Customer:
    """Return an unsaved customer with its attribution decided and checked."""
    first, last = (touches.first, touches.last) if touches else (None, None)
    credited = first if conf.for_brand(brand).ATTRIBUTION == "first" else last
    params = dict(tracking) if tracking else dict(credited.params) if credited else {}
    customer_id = id_of(user, brand)
    payloads.CustomerRecord(customer_id=customer_id, tracking=params, regtime=regtime).as_dict(UTC)
    is_user = isinstance(user, get_user_model())
    return Customer(
        brand=brand,
        customer_id=customer_id,
        user_pk=str(user.pk) if is_user else "",
        tracking=params,
        first_touch=_state(first),
        last_touch=_state(last),
        unattributed_reason="" if params else _why_unattributed(touches),
        source=source,
        regtime=regtime or (regtime_of(user, brand) if is_user else None) or datetime.now(UTC),
        fields=wire_fields(fields, brand),
    )


def _state(touch: Touch | None) -> dict[str, Any] | None:
    return touch.as_state() if touch else None


def _why_unattributed(touches: Touches | None) -> str:
    """Return why a customer is unattributed: a touch was lost, or there was none."""
    if touches is None:
        return "no_request"
    if touches.is_blind:
        return "unreadable"
    if touches.memory.lost:
        return touches.memory.lost
    return "no_parameter" if attribution.may_remember(touches.request, touches.settings) else "no_consent"


def wire_fields(fields: Mapping[str, FieldValue], brand: str) -> payloads.Record:
    """Return additional fields as they are sent. Fields without a value are left out."""
    for name in conf.for_brand(brand).TRACKING_PARAMS:
        if name in fields:
            message = (
                f"{name} is tracking data, which is frozen at the signup: give it as tracking={{...}} when you report the "
                "signup."
            )
            raise PayloadError(message, field=name, reason="reserved_field")
    values = {name: conf.aware(value) for name, value in fields.items()}
    record = payloads.CustomerRecord(customer_id="-", fields=values).as_dict(conf.time_zone(brand))
    return {name: value for name, value in record.items() if name in fields}
