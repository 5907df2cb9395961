"""Adds up the rows of a day to totals: one per customer, product and currency, either exact or refused completely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal, Inexact, Rounded
from itertools import islice
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from track360_django import conf, customers
from track360_django.activities.declarations.daily_activity import DailyActivity
from track360_django.activities.draft import Draft
from track360_django.api import payloads
from track360_django.api.payloads import FieldValue
from track360_django.conf import BrandError
from track360_django.customers import brands
from track360_django.exceptions import PayloadError

# How many rows of the host are read together.
CHUNK: Final = 1000
# The KPI that has its own argument everywhere. On the wire, it is the API guide's Value.
VALUE: Final = "value"
# Python's default context rounds a sum to 28 digits without an error. A number has at most 38 digits on each side of
# the point.
_EXACT: Final = Context(prec=200, traps=[Inexact, Rounded])
_KEY_NAMES: Final = frozenset({"customer", "currency", "product", "brand"})

# Brand, customer id, product, currency. A customer id or a currency that could not be read is "?".
Key = tuple[str, str, str, str]


@dataclass(kw_only=True, slots=True)
class Total:
    """
    What one customer did on one day, with one product and in one currency.

    `customer` is as the host gave it. `kpis` are the numbers, `details` are all other fields. `error` is why the total
    can't be reported. One unreadable row is enough for that, because the sum of the other rows would be a wrong number.
    """

    brand: str
    customer_id: str
    customer: Any = None
    product: str = ""
    currency: str = ""
    kpis: dict[str, Decimal | int] = field(default_factory=dict)
    details: dict[str, FieldValue] = field(default_factory=dict)
    error: PayloadError | None = None
    # False: it is unknown which total the row belongs to.
    is_key_known: bool = True

    @property
    def is_zero(self) -> bool:
        """Whether all numbers are zero, so that there is nothing to report."""
        return not any(self.kpis.values())

    def draft(self, declaration: DailyActivity, day: date) -> Draft:
        """Return the day's total as the draft of an activity of that day."""
        return Draft(
            eventname=declaration.eventname,
            customer=self.customer,
            value=self.kpis.get(VALUE),
            currency=self.currency or None,
            createtime=day,
            product=self.product or None,
            fields={name: value for name, value in self.kpis.items() if name != VALUE} | self.details,
            source=declaration.label(),
            source_pk=" ".join(part for part in (day.isoformat(), self.product) if part),
        )


def add_up(declaration: DailyActivity, day: date, using: str) -> dict[Key, Total]:
    """
    Return the totals of a day by their keys. The memory depends on the number of totals, not of rows.

    Raises:
        Exception: Any error of `rows`. Then nothing is known about the day.
    """
    totals: dict[Key, Total] = {}
    for chunk in _chunks(declaration, day):
        found = brands.of_many(
            {index: _owner_of(row) for index, row in enumerate(chunk)},
            using,
            named={index: _brand_of(row) or declaration.brand for index, row in enumerate(chunk)},
        )
        for index, row in enumerate(chunk):
            wanted = _key_of(row, found[index])
            key = (wanted.brand, wanted.customer_id, wanted.product, wanted.currency)
            total = totals.setdefault(key, wanted)
            total.error = total.error or wanted.error
            if total.error is None:
                _add(total, row, declaration.numbers())
    return totals


def _chunks(declaration: DailyActivity, day: date) -> Iterator[list[Any]]:
    rows: Any = declaration.rows(day)
    if rows is None:
        # An empty day would also be a report about money, so None is not read as an empty day.
        message = f"{declaration.label()}.rows() returned None: yield mappings, or return a list of them."
        raise TypeError(message)
    remaining = iter(rows)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def _owner_of(row: Any) -> Any:
    return row.get("customer") if isinstance(row, Mapping) else None


def _brand_of(row: Any) -> Any:
    return row.get("brand") if isinstance(row, Mapping) else None


def _key_of(row: Any, found: str | BrandError) -> Total:
    """Return the empty total that a row belongs to; it has an error if this is unknown."""
    # A dead record needs any brand; it is never sent.
    brand = conf.brands()[0] if isinstance(found, BrandError) else found
    total = Total(brand=brand, customer_id="?", customer=_owner_of(row), is_key_known=False)
    try:
        if not isinstance(row, Mapping):
            message = (
                f"rows() must yield mappings like {{'customer': …, 'GGR': …}}, not {type(row).__name__}."
            )
            raise PayloadError(message, reason="declaration")  # noqa: TRY301  a row is refused in one place
        total.customer_id = _id_of(total.customer, brand)
        if isinstance(found, BrandError):
            raise found
        total.product = payloads.product(row.get("product")) or ""
        total.currency = "?"
        total.currency = payloads.currency(row.get("currency"), conf.for_brand(brand).CURRENCIES) or ""
    except PayloadError as error:
        total.error = error
    else:
        total.is_key_known = True
    return total


def _id_of(owner: Any, brand: str) -> str:
    if owner is None or owner == "":
        message = "a row has no customer: each total needs a user or a customer id (API guide, customerid)."
        raise PayloadError(message, field="customerid", reason="no_customer")
    try:
        return customers.id_of(owner, brand)
    except ImproperlyConfigured as error:
        # One user without an id must not stop the totals of all other users.
        raise PayloadError(str(error), field="customerid", reason="no_customer") from None


def _add(total: Total, row: Mapping[str, Any], kpis: tuple[str, ...]) -> None:
    """Add a row to its total, or set the error of the total."""
    try:
        for name, value in row.items():
            if value is None or name in _KEY_NAMES:
                continue
            if _is_number(name, value, kpis):
                total.kpis[name] = _sum(total.kpis.get(name), value)
            elif total.details.setdefault(name, value) != value:
                message = (
                    f"{name} differs between rows of one total: leave it out, or make it part of `product`."
                )
                raise PayloadError(message, field=name, reason="differing_field")  # noqa: TRY301  as above
    except PayloadError as error:
        total.error = error


def _is_number(name: str, value: Any, kpis: tuple[str, ...]) -> bool:
    """
    Return whether a field is a number that is added up.

    Raises:
        PayloadError: It should be a number, but is not.
    """
    if kpis:
        is_number = name == VALUE or name in kpis
    else:
        is_number = name == VALUE or not isinstance(value, str | bool | date) or payloads.is_number(value)
    if is_number and isinstance(value, str):
        message = (
            f"{name} is a text that looks like a number: give a Decimal or an int. If it is not a number, list the "
            "fields that are numbers in `kpis`."
        )
        raise PayloadError(message, field=name, reason="invalid_number")
    if is_number or isinstance(value, Decimal):
        payloads.number(value, name=name, places=0)
    return is_number


def _sum(so_far: Decimal | int | None, value: Decimal | int) -> Decimal | int:
    if so_far is None:
        return value
    if isinstance(so_far, int) and isinstance(value, int):
        return so_far + value
    return _EXACT.add(Decimal(so_far), Decimal(value))
