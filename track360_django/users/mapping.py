"""A user as Track360 sees them: customer id, registration time and fields, as the settings say."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from track360_django import conf
from track360_django.api import payloads
from track360_django.db.paths import PathOrFunction, follow
from track360_django.exceptions import PayloadError
from track360_django.models import Customer

logger = logging.getLogger(__name__)

REGTIME = "regtime"


def customer_id_of(user: Any, brand: str) -> str:
    """
    Return the id that a user has at Track360, as `CUSTOMER_ID` says.

    Raises:
        ImproperlyConfigured: The setting leads to nothing for this user.

    Source: API guide, "Uniqueness": one id per brand, stable for the customer's lifetime.
    """
    path = conf.for_brand(brand).CUSTOMER_ID
    try:
        value = follow(user, path if path is not None else "pk")
    except AttributeError:
        value = None
    if value is None or value == "":
        msg = (
            "TRACK360['CUSTOMER_ID'] leads to nothing for a user: name a field that every user has when they sign up "
            "(API guide, Uniqueness)."
        )
        raise ImproperlyConfigured(msg)
    return str(value)


def regtime_of(user: Any, brand: str) -> datetime | None:
    """Return when a user registered, None where the host doesn't know."""
    value = _read(user, REGTIME, field_paths(brand).get(REGTIME))
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, datetime.min.time())
    return conf.aware(value) if isinstance(value, datetime) else None


def record_of(customer: Customer, user: Any | None) -> payloads.CustomerRecord:
    """Return a customer as the Customer API takes it, names and fields read from the user as they are now."""
    fields: dict[str, payloads.FieldValue] = {}
    if user is not None:
        fields = {
            name: conf.aware(_read(user, name, path))
            for name, path in field_paths(customer.brand).items()
            if name != REGTIME
        }
    return payloads.CustomerRecord(
        customer_id=customer.customer_id,
        regtime=conf.aware(customer.regtime),
        tracking=customer.tracking,
        fields=_speakable(fields, customer.brand) | customer.fields,
    )


def field_paths(brand: str) -> Mapping[str, PathOrFunction]:
    """Return where each field of a customer comes from, as `CUSTOMER_FIELDS` says; a field without a path is left out."""
    default = conf.default_of("CUSTOMER_FIELDS")
    paths = {**(default if isinstance(default, Mapping) else {}), **conf.for_brand(brand).CUSTOMER_FIELDS}
    return {name: path for name, path in paths.items() if path}


def _read(user: Any, name: str, path: PathOrFunction | None) -> Any:
    """Read one field of a user; a path that fails costs the field, never the attribution."""
    if path is None:
        return None
    try:
        return follow(user, path)
    except Exception as error:  # noqa: BLE001  the host's function may raise anything
        logger.warning(
            "track360: CUSTOMER_FIELDS[%r] raised %s; the customer is reported without the field.",
            name,
            type(error).__name__,
        )
        return None


def _speakable(fields: Mapping[str, payloads.FieldValue], brand: str) -> dict[str, payloads.FieldValue]:
    """Return the fields that can be reported; one that can't is left out, so that attribution is not lost with it."""
    zone = conf.time_zone(brand)
    spoken: dict[str, payloads.FieldValue] = {}
    for name, value in fields.items():
        try:
            payloads.CustomerRecord(customer_id="-", fields={name: value}).as_dict(zone)
        except PayloadError as error:
            logger.warning("track360: a customer is reported without %s: %s", name, error)
        else:
            spoken[name] = value
    return spoken
