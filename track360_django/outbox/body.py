"""
What the host's settings do to a body before it is fixed: `PRODUCT_FIELD` and `BEFORE_SEND`.

Nothing here reads a table or sends anything.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from track360_django import conf
from track360_django.api import payloads, products
from track360_django.exceptions import PayloadError


def product_shape(brand: str) -> products.Shape | None:
    """
    Return how a brand's records tell their product, None where nothing was agreed.

    Raises:
        PayloadError: `PRODUCT_FIELD` is the path of a function that is not there.
    """
    agreed = conf.for_brand(brand).PRODUCT_FIELD
    if not agreed:
        return None
    if name := conf.product_field(brand):
        return products.field(name)
    try:
        shape = conf.function(agreed)
    except ImproperlyConfigured:
        shape = None
    if shape is None:
        message = (
            "TRACK360['PRODUCT_FIELD'] has a dot and so is the path of a function, which can't be imported: correct it, "
            "then report or requeue the record."
        )
        raise PayloadError(message, field="product", reason="product_field")
    return shape


def with_product(record: payloads.Record, product: str | None, brand: str) -> payloads.Record:
    """
    Return a record that tells its product, as `PRODUCT_FIELD` says.

    Raises:
        PayloadError: Nothing was agreed for products, or the shape made no such record of it.
    """
    if product is None:
        return record
    shape = product_shape(brand)
    if shape is None:
        message = (
            "product can't be reported before TRACK360['PRODUCT_FIELD'] names the field agreed with Track360 "
            "(API guide, Grouping by date or by KPI type, names none)."
        )
        raise PayloadError(message, field="product", reason="no_product_field")
    return products.apply(shape, record, product)


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
