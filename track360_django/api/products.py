"""
Shapes: how a record tells which product it is about, since the guide groups KPIs by product and names no field.

`PRODUCT_FIELD` is the name of a field, one of the shapes below, or a function of yours:

    "PRODUCT_FIELD": "gameType"                                        {"eventname": "GGR", "gameType": "Casino", …}
    "PRODUCT_FIELD": products.suffix                                   {"eventname": "GGRCasino", …}
    "PRODUCT_FIELD": "track360_django.products.prefix"                 {"eventname": "CasinoGGR", …}
    "PRODUCT_FIELD": functools.partial(products.suffix, separator="_") {"eventname": "GGR_Casino", …}

A shape takes a record as it will be JSON, and the product; it returns the record to send. Nothing here knows Django.

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

# Who did what, when: a record that changed one of these would be another one, and be counted twice.
_FIXED: Final = ("eventid", "customerid", "createtime")


def suffix(record: Record, product: str, *, separator: str = "") -> Record:
    """
    Return a record with the product behind the name of its KPI: GGR of Casino is "GGRCasino".

    A record with a `Value`, or without any number, has its `eventname` shaped; one with KPI fields alone, such as
    DailyStats, has those shaped, and keeps its `eventname`. Text, times and yes-or-no fields stay as they are.

    Raises:
        PayloadError: A name would come twice.
    """
    return _rename(record, lambda name: f"{name}{separator}{product}")


def prefix(record: Record, product: str, *, separator: str = "") -> Record:
    """
    Return a record with the product before the name of its KPI: GGR of Casino is "CasinoGGR".

    As `suffix` otherwise.

    Raises:
        PayloadError: A name would come twice.
    """
    return _rename(record, lambda name: f"{product}{separator}{name}")


def field(name: str) -> Shape:
    """Return the shape that gives a record one more field, whose value is the product."""

    def shape(record: Record, product: str) -> Record:
        """
        Return the record with the field.

        Raises:
            PayloadError: The field is there already, and says something else.
        """
        if name in ACTIVITY_FIELDS or record.get(name, product) != product:
            message = (
                f"product can't be reported in the field {name}, which has another value already: name another field in "
                "TRACK360['PRODUCT_FIELD']."
            )
            raise _refused(message)
        return {**record, name: product}

    return shape


def apply(shape: Shape, record: Record, product: str) -> Record:
    """
    Return a record as a shape leaves it, once that is found to be the same activity still.

    Raises:
        PayloadError: The shape raised, returned no record, or changed who did what, and when.
    """
    try:
        shaped = shape(dict(record), product)
    except PayloadError:
        raise
    except Exception as error:  # noqa: BLE001  the host's function may raise anything
        message = (
            f"The function in TRACK360['PRODUCT_FIELD'] raised {type(error).__name__}: correct it, then report or requeue "
            "the record."
        )
        raise _refused(message) from None
    return _checked(shaped, record)


@dataclass(frozen=True, kw_only=True)
class Names:
    """
    Under which names a product's numbers are on the wire.

    `kpis` leads from each KPI field as it was reported, or "Value", to the field that carries it; `fields` is what the
    shape added.
    """

    eventname: str
    kpis: Mapping[str, str]
    fields: Mapping[str, str | bool]


def names_of(shape: Shape, product: str, *, eventname: str, kpis: Collection[str] = ()) -> Names:
    """
    Return the names on the wire of a KPI of a product: what reconciliation looks for.

    Args:
        shape: As the brand's `PRODUCT_FIELD` has it.
        product: Casino, Sports, ...
        eventname: The KPI as it is reported.
        kpis: The KPI fields of a record without a `Value`, such as those of DailyStats; none for one with a `Value`.

    Raises:
        PayloadError: The shape can't shape such a record.
    """
    # Numbers that tell the fields apart, whatever the shape makes of their names.
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
        message = (
            f"The function in TRACK360['PRODUCT_FIELD'] leaves out {lost[0]}: keep each number in the record."
        )
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
            "product can't be part of the field names: two fields would have the same name. Rename a field, or set another "
            "TRACK360['PRODUCT_FIELD']."
        )
        raise _refused(message)
    return shaped


def _checked(shaped: object, record: Record) -> Record:
    where = "The function in TRACK360['PRODUCT_FIELD']"
    if not isinstance(shaped, dict):
        message = f"{where} returned a value of type {type(shaped).__name__}: return the dict it was given, changed."
        raise _refused(message)
    for name in _FIXED:
        if shaped.get(name) != record[name]:
            message = f"{where} changed {name}, which says whose activity it is: leave {', '.join(_FIXED)} as they are."
            raise _refused(message)
    try:
        payloads.check(shaped)
    except PayloadError as error:
        message = f"{where} made a record that can't be reported: {error}"
        raise _refused(message) from None
    return shaped


def _refused(message: str) -> PayloadError:
    return PayloadError(message, field="product", reason="product_field")
