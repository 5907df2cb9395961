"""What a total that was reported says now, and whether that is something else."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from track360_django import conf
from track360_django.api import payloads, products
from track360_django.daily.writer import Wanted
from track360_django.exceptions import PayloadError
from track360_django.models import Activity
from track360_django.outbox.body import product_shape


def said_now(stored: Activity, before: dict[str, Any], wanted: Wanted | None) -> dict[str, Any]:
    """Return what a record says now: a number that was sent and is not there any more is zero."""
    agreed = conf.for_brand(stored.brand).CURRENCIES
    zeros = payloads.zeros(before, details=_product_fields(stored), agreed=agreed)
    if wanted is None:
        return before | zeros
    body: dict[str, Any] = json.loads(wanted.body)
    return body | {name: zero for name, zero in zeros.items() if name not in body}


def says_the_same(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Tell whether two bodies are equal: 50 and 50.00 are one number."""
    return before.keys() == now.keys() and all(
        value == now[name] or (name in numbers and Decimal(value) == Decimal(now[name]))
        for numbers in [payloads.zeros(before).keys() & payloads.zeros(now).keys()]
        for name, value in before.items()
    )


def _product_fields(stored: Activity) -> frozenset[str]:
    """Return the names of the fields that tell a record's product: it may read like a number."""
    _, _, product = stored.source_pk.partition(" ")
    shape = product_shape(stored.brand) if product else None
    if shape is None:
        return frozenset()
    try:
        return frozenset(products.names_of(shape, product, eventname=stored.eventname).fields)
    except PayloadError:
        return frozenset()
