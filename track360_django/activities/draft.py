"""Drafts: what happened, as the host gave it, becomes a record with an id, a customer and a fixed body."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from django.utils import timezone

from track360_django import conf, customers
from track360_django.activities import event_id
from track360_django.api import payloads
from track360_django.api.payloads import FieldValue, Moment, Number
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer, Status
from track360_django.outbox.body import before_send, with_product

logger = logging.getLogger(__name__)

# Names that a process remembers having warned of.
MAX_WARNED: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What happened, before it is a record: values as the host gave them."""

    eventname: str
    customer: Any
    value: Number | None = None
    currency: str | None = None
    createtime: Moment | None = None
    eventid: str | None = None
    product: str | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    source: str = ""
    source_pk: str = ""
    # As the host named it; None: see `brand`.
    brand: str | None = None


def draft_of(row: Mapping[str, Any]) -> Draft:
    """Return the draft that a mapping with the arguments of `report` describes; what it doesn't know is a field."""
    known = {name: row[name] for name in Draft.__dataclass_fields__ if name in row and name != "fields"}
    return Draft(**known, fields={name: value for name, value in row.items() if name not in known})


def key_of_owner(owner: Any) -> tuple[type, Any]:
    """Return what tells owners apart without a query."""
    return type(owner), getattr(owner, "pk", owner)


def owners_of(wanted: Iterable[tuple[str, Any]], using: str) -> dict[tuple[str, type, Any], Customer]:
    """
    Return the customers of some owners, each with its brand; those that are known are looked up together, the others
    registered.
    """
    owners = {(brand, *key_of_owner(owner)): owner for brand, owner in wanted}
    found: dict[tuple[str, type, Any], Customer] = {}
    for brand in dict.fromkeys(key[0] for key in owners):
        of_brand = {key: owner for key, owner in owners.items() if key[0] == brand}
        found |= customers.find_many(of_brand, brand, using=using)
    return {key: found.get(key) or customers.of(owner, key[0], using=using) for key, owner in owners.items()}


def refuse_missing_customer(owner: Any) -> None:
    """
    Refuse an owner who is none.

    Raises:
        PayloadError: It is nobody.
    """
    if owner is None or owner == "":
        message = "customer leads to nobody: an activity belongs to a user or a customer id (API guide, customerid)."
        raise PayloadError(message, field="customerid", reason="no_customer")


def attach(activity: Activity, customer: Customer) -> Activity:
    """Return an unsaved activity as its customer's: held until they are accepted."""
    activity.customer = customer
    activity.status = Status.PENDING if customer.accepted_version else Status.HELD
    return activity


def build_record(draft: Draft, brand: str, customer_id: str) -> Activity:
    """Return an unsaved record with its body fixed, of nobody yet."""
    settings = conf.for_brand(brand)
    product = payloads.product(draft.product)
    record = payloads.ActivityRecord(
        eventname=draft.eventname,
        eventid=event_id.of_report(
            eventname=draft.eventname,
            eventid=draft.eventid,
            createtime=draft.createtime,
            customer_id=customer_id,
            product=product,
            currency=draft.currency,
            currencies=settings.CURRENCIES,
        ),
        customer_id=customer_id,
        createtime=conf.aware(draft.createtime or timezone.now()),
        value=draft.value,
        currency=draft.currency,
        fields={name: conf.aware(value) for name, value in draft.fields.items()},
        currencies=settings.CURRENCIES,
    )
    shaped = with_product(record.as_dict(conf.time_zone(brand)), product, brand)
    if settings.EVENTS and record.eventname not in settings.EVENTS:
        _warn_of_name(record.eventname, tuple(settings.EVENTS))
    return Activity(
        brand=brand,
        # The KPI as it was reported, whatever its product makes of the name: with it a row stays the same activity when
        # its product, or the agreement on products, changes.
        eventname=record.eventname,
        eventid=record.eventid,
        body=payloads.to_json(before_send(shaped, brand)),
        source=draft.source,
        source_pk=draft.source_pk,
    )


@functools.lru_cache(maxsize=MAX_WARNED)
def _warn_of_name(eventname: str, agreed: tuple[str, ...]) -> None:
    """Warn of a name that was not agreed: once in a process, and not for each record."""
    close = get_close_matches(eventname, agreed, n=1)
    logger.warning(
        "track360: %r is not among the agreed EVENTS (API guide, KPI naming)%s; it is reported all the same.",
        eventname,
        f"; did you mean {close[0]!r}?" if close else "",
    )
