"""
Shapes: how a record carries its product. The guide groups KPIs by product, but names no field for it.

`PRODUCT_FIELD` is the name of a field, one of the shapes below, or a function of yours:

    "PRODUCT_FIELD": "gameType"                                        {"eventname": "GGR", "gameType": "Casino", …}
    "PRODUCT_FIELD": products.suffix                                   {"eventname": "GGRCasino", …}
    "PRODUCT_FIELD": "track360_django.products.prefix"                 {"eventname": "CasinoGGR", …}
    "PRODUCT_FIELD": functools.partial(products.suffix, separator="_") {"eventname": "GGR_Casino", …}

A shape takes the record before it becomes JSON, and the product. It returns the record to send. Nothing here uses Django.

Source: API guide, "Grouping by date or by KPI type".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from track360_django.api import payloads
from track360_django.api.payloads import ACTIVITY_FIELDS, NumberText, Record
from track360_django.exceptions import PayloadError

__all__ = ["Names", "Record", "Shape", "apply", "field", "names_of", "prefix", "suffix"]

Shape: TypeAlias = Callable[[Record, str], Record]

# A record with another value in one of these fields would be another activity, and would be counted twice.
_FIXED: Final = ("eventid", "customerid", "createtime")


def suffix(record: Record, product: str, *, separator: str = "") -> Record:
    """
    Return a record with the product after the name of its KPI: GGR of Casino is "GGRCasino".

    In a record with a `Value`, or without any number, the `eventname` changes. In a record with KPI fields only, such as
    DailyStats, the names of these fields change and the `eventname` stays. Text, times and bools stay unchanged.

    Raises:
        PayloadError: Two fields would have the same name.
    """
    return _rename(record, lambda name: f"{name}{separator}{product}")


def prefix(record: Record, product: str, *, separator: str = "") -> Record:
    """
    Return a record with the product before the name of its KPI: GGR of Casino is "CasinoGGR".

    Otherwise as `suffix`.

    Raises:
        PayloadError: Two fields would have the same name.
    """
    return _rename(record, lambda name: f"{product}{separator}{name}")


def field(name: str) -> Shape:
    """Return the shape that adds one field with the product as its value."""

    def shape(record: Record, product: str) -> Record:
        """
        Return the record with the field.

        Raises:
            PayloadError: The record has the field already, with another value.
        """
        if name in ACTIVITY_FIELDS or record.get(name, product) != product:
            message = (
                f"product can't be reported in the field {name}, which already has another value. Name another field in "
                "TRACK360['PRODUCT_FIELD']."
            )
            raise _refused(message)
        return {**record, name: product}

    return shape


def apply(shape: Shape, record: Record, product: str) -> Record:
    """
    Return the record that a shape makes, after a check that it is still the same activity.

    Raises:
        PayloadError: The shape raised, did not return a record, or changed the event id, the customer or the time.
    """
    try:
        shaped = shape(dict(record), product)
    except PayloadError:
        raise
    except Exception as error:  # noqa: BLE001  the host's function may raise anything
        message = (
            f"The function in TRACK360['PRODUCT_FIELD'] raised {type(error).__name__}. Correct it, then report or requeue "
            "the record."
        )
        raise _refused(message) from None
    return _checked(shaped, record)


@dataclass(frozen=True, kw_only=True)
class Names:
    """
    The names of a product's numbers in the record that is sent.

    `kpis` maps each KPI field as it was reported, or "Value", to the field that carries it. `fields` are the fields that
    the shape added.
    """

    eventname: str
    kpis: Mapping[str, str]
    fields: Mapping[str, str | bool]


def names_of(shape: Shape, product: str, *, eventname: str, kpis: Collection[str] = ()) -> Names:
    """
    Return the sent names of a product's KPI, which reconciliation searches for.

    Args:
        shape: The shape in the brand's `PRODUCT_FIELD`.
        product: Casino, Sports, ...
        eventname: The KPI as it is reported.
        kpis: The KPI fields of a record without a `Value`, such as those of DailyStats; empty for one with a `Value`.

    Raises:
        PayloadError: The shape refuses such a record.
    """
    # Each field has its own number, so it can be found after the shape has changed the names.
    marks = {name: NumberText(f"{number}.360360360") for number, name in enumerate(kpis or ("Value",))}
    record: Record = {
        "eventname": eventname,
        "eventid": "-",
        "createtime": "2000-01-01",
        "customerid": "-",
        **marks,
    }
    shaped = apply(shape, record, product)
    found = {value: name for name, value in shaped.items()}
    lost = [name for name, mark in marks.items() if mark not in found]
    if lost:
        message = f"The function in TRACK360['PRODUCT_FIELD'] leaves out {lost[0]}. It must keep each number in the record."
        raise _refused(message)
    return Names(
        eventname=str(shaped["eventname"]),
        kpis={name: found[mark] for name, mark in marks.items()},
        fields={
            name: value
            for name, value in shaped.items()
            if name not in record and value not in marks.values()
        },
    )


def _rename(record: Record, rename: Callable[[str], str]) -> Record:
    kpis = {
        name
        for name, value in record.items()
        if isinstance(value, NumberText) and name not in ACTIVITY_FIELDS
    }
    if "Value" in record or not kpis:
        return {**record, "eventname": rename(str(record["eventname"]))}
    shaped = {rename(name) if name in kpis else name: value for name, value in record.items()}
    if len(shaped) != len(record) or {rename(name) for name in kpis} & ACTIVITY_FIELDS:
        message = (
            "product can't be part of the field names, because two fields would have the same name. Rename a field, or set "
            "another TRACK360['PRODUCT_FIELD']."
        )
        raise _refused(message)
    return shaped


def _checked(shaped: object, record: Record) -> Record:
    where = "The function in TRACK360['PRODUCT_FIELD']"
    if not isinstance(shaped, dict):
        message = f"{where} returned a value of type {type(shaped).__name__}. It must return the changed record, a dict."
        raise _refused(message)
    for name in _FIXED:
        if shaped.get(name) != record[name]:
            message = f"{where} changed {name}, which identifies the activity. It must not change {', '.join(_FIXED)}."
            raise _refused(message)
    try:
        payloads.check(shaped)
    except PayloadError as error:
        message = f"{where} made a record that can't be reported: {error}"
        raise _refused(message) from None
    return shaped


def _refused(message: str) -> PayloadError:
    return PayloadError(message, field="product", reason="product_field")
