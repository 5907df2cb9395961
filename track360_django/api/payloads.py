"""
The field names, formats and limits of the API guide. They have no other home.

A record is a frozen value that can write its JSON text. Nothing here uses Django, a table or a network.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import Final, TypeAlias

from track360_django.api.currencies import MINOR_UNITS
from track360_django.exceptions import PayloadError

CUSTOMERS_PATH: Final = "/tracking/events/customers"
ACTIVITIES_PATH: Final = "/tracking/events/activities"
API_KEY_HEADER: Final = "x-api-key"

# API guide, "Tracking parameters — field reference": tracking_data has at most 50 characters.
MAX_TRACKING_CHARACTERS: Final = 50
# Source: none, our choice: the width of our columns, on every database.
MAX_ID_CHARACTERS: Final = 255
MAX_EVENTNAME_CHARACTERS: Final = 100
# Source: none, our choice: no ledger column is wider, and a thousand digits are an attack or a bug.
MAX_DIGITS: Final = 38
# Source: none, our choice: wei, the smallest unit of any currency in use, has 18 places.
MAX_PLACES: Final = 18

# Error messages may repeat the values of these fields. The values of all other fields may be personal data.
QUOTABLE_FIELDS: Final = frozenset(
    {"customerId", "customerid", "regtime", "eventname", "eventid", "createtime", "Value", "Currency"}
)
# Argument name to field name. A field with its own argument can't be given as an additional field.
CUSTOMER_ARGUMENTS: Final = {"user": "customerId", "regtime": "regtime"}
ACTIVITY_ARGUMENTS: Final = {
    "eventname": "eventname",
    "eventid": "eventid",
    "createtime": "createtime",
    "customer": "customerid",
    "value": "Value",
    "currency": "Currency",
}
CUSTOMER_FIELDS: Final = frozenset(CUSTOMER_ARGUMENTS.values())
ACTIVITY_FIELDS: Final = frozenset(ACTIVITY_ARGUMENTS.values())

_WIRE_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_PLAIN_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_WIRE_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2})?")
_AGREED_CURRENCY: Final = re.compile(r"[A-Z0-9]{3,10}")
_NO_CURRENCIES: Final[Mapping[str, int]] = {}
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")

Number: TypeAlias = Decimal | int | str
Moment: TypeAlias = datetime | date | str
FieldValue: TypeAlias = str | Decimal | int | bool | date | datetime | None
Record: TypeAlias = dict[str, str | bool]


class NumberText(str):
    """The text of a number. With this type, a shape can distinguish a KPI from a description made of digits."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class CustomerRecord:
    """
    One customer in the form of the Customer API.

    Source: API guide, "Customer API", Field definitions.
    """

    customer_id: str
    regtime: Moment | None = None
    tracking: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, FieldValue] = field(default_factory=dict)

    def as_dict(self, zone: tzinfo) -> Record:
        """
        Return the JSON object: fields without a value are left out.

        Raises:
            PayloadError: A value can't be reported exactly.
        """
        record: Record = {"customerId": _required(self.customer_id, "customerId")}
        _put(record, "regtime", moment(self.regtime, zone, name="regtime") if self.regtime else None)
        _put_fields(record, self.fields, zone, reserved=CUSTOMER_FIELDS)
        for name, value in self.tracking.items():
            _check_name(name)
            if name in CUSTOMER_FIELDS:
                raise _reserved(name)
            if refusal := refuse_tracking(value):
                message = f"{name} is refused ({refusal}): it can't be returned exactly as it was received."
                raise PayloadError(message, field=name, reason=refusal)
            record[name] = value
        return record


@dataclass(frozen=True, kw_only=True)
class ActivityRecord:
    """
    One activity in the form of the Activity API.

    `value` with a currency is money and has at least the currency's minor units; without a currency it may be a count.
    Additional fields are KPI numbers (Decimal: money; int: a count) or descriptive text.
    `currencies` are agreed codes that ISO 4217 does not have, with the minor units of each.

    Source: API guide, "Activity API", Field definitions.
    """

    eventname: str
    eventid: str
    customer_id: str
    createtime: Moment
    value: Number | None = None
    currency: str | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    currencies: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self, zone: tzinfo) -> Record:
        """
        Return the JSON object: fields without a value are left out.

        Raises:
            PayloadError: A value can't be reported exactly.
        """
        code = currency(self.currency, self.currencies)
        money_places = minor_units(code, self.currencies)
        record: Record = {
            "eventname": _required(self.eventname, "eventname", MAX_EVENTNAME_CHARACTERS),
            "eventid": _required(self.eventid, "eventid"),
            "createtime": moment(self.createtime, zone, name="createtime"),
            "customerid": _required(self.customer_id, "customerid"),
        }
        if self.value is not None:
            # A whole number without a currency is a count; any other value is money.
            places = 0 if code is None and isinstance(self.value, int) else money_places
            record["Value"] = number(self.value, name="Value", places=places)
        _put_fields(record, self.fields, zone, reserved=ACTIVITY_FIELDS, places=money_places)
        _put(record, "Currency", code)
        return record


def check(record: Mapping[str, object]) -> None:
    """
    Refuse a record of the Activity API that other code made and that can't be stored or sent.

    Raises:
        PayloadError: The event name, a field's name or a value is not a text that can be stored exactly (a value may
            also be a bool).
    """
    _required(record.get("eventname"), "eventname", MAX_EVENTNAME_CHARACTERS)
    for name, value in record.items():
        _check_name(name)
        if not isinstance(value, bool):
            _text(_some_text(value, name), name)


def to_json(record: Mapping[str, str | bool]) -> str:
    """Return one record as compact JSON text, in the form that is stored, compared and sent."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def to_array(bodies: Iterable[str]) -> bytes:
    """
    Return the request body for the JSON texts of some records.

    Source: API guide, "General API Conventions", Batching.
    """
    return ("[" + ",".join(bodies) + "]").encode()


def private_values(body: str) -> frozenset[str]:
    """Return the values in a record's JSON text that must not appear in a log, a table or a message."""
    return frozenset(
        text
        for name, value in json.loads(body).items()
        if name not in QUOTABLE_FIELDS
        for text in _texts(value)
    )


def _texts(value: object) -> Iterator[str]:
    """Yield each text and number in a value; BEFORE_SEND may add objects and arrays."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def refuse_tracking(value: object) -> str | None:
    """
    Return why a tracking value can't be kept exactly, or None if it can.

    The reasons are "empty", "no_text", "too_long", "control_character" and "undecodable".

    Source: API guide, "Tracking parameters — field reference" (50 characters); the rest is our choice: a value
    with a control character or U+FFFD was damaged before it arrived, and a database or a proxy would damage it further.
    """
    if not value or not isinstance(value, str):
        return "no_text" if value else "empty"
    if len(value) > MAX_TRACKING_CHARACTERS:
        return "too_long"
    if "\ufffd" in value:
        return "undecodable"
    if not value.isascii() or not value.isprintable():
        categories = {unicodedata.category(character) for character in value}
        if "Cs" in categories:
            return "undecodable"
        if "Cc" in categories:
            return "control_character"
    return None


def minor_units(code: str | None, agreed: Mapping[str, int] = _NO_CURRENCIES) -> int:
    """Return the minor units of a currency: at least so many places after the point; 2 without a currency (ISO 4217)."""
    if code is None:
        return 2
    return agreed[code] if is_agreed(code, agreed) else MINOR_UNITS[code]


def currency(code: object, agreed: Mapping[str, int] = _NO_CURRENCIES) -> str | None:
    """
    Return a currency code in capitals, None if there is none.

    Args:
        code: A currency of ISO 4217, current or withdrawn since 2000, or an agreed code.
        agreed: Agreed codes with their minor units; they win over those of ISO 4217.

    Raises:
        PayloadError: There is no such currency.

    Source: API guide, "Activity API", Field definitions (ISO currency code); the agreed codes are our choice.
    """
    if code is None or code == "":
        return None
    # ASCII is checked first: some letters of other scripts become Latin letters in capitals.
    capitals = code.upper() if isinstance(code, str) and code.isascii() else ""
    if capitals in MINOR_UNITS or is_agreed(capitals, agreed):
        return capitals
    if _AGREED_CURRENCY.fullmatch(capitals):
        message = (
            f"Currency, {_describe(code)}, is not a currency of ISO 4217 (current, or withdrawn since 2000). Correct it. If "
            "it was agreed with Track360, add it to TRACK360['CURRENCIES'] with its minor units, such as {'USDT': 6}."
        )
        raise PayloadError(message, field="Currency", reason="unknown_currency")
    message = f"Currency takes an ISO code of three letters such as USD, not {_describe(code)}."
    raise PayloadError(message, field="Currency", reason="invalid_currency")


def is_agreed(code: str, agreed: Mapping[str, int]) -> bool:
    """Return whether a code is a valid agreed currency: 3 to 10 capitals or digits, with 0 to 18 places."""
    places = agreed.get(code)
    return places is not None and 0 <= places <= MAX_PLACES and bool(_AGREED_CURRENCY.fullmatch(code))


def product(value: object) -> str | None:
    """
    Return a product line as text, None if there is none.

    Raises:
        PayloadError: The value is neither text nor a whole number.

    Source: API guide, "Grouping by date or by KPI type".
    """
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return number(value, name="product", places=0)
    return _required(value, "product", MAX_EVENTNAME_CHARACTERS)


def number(value: Number, *, name: str, places: int) -> NumberText:
    """
    Return a number as plain decimal text with at least this many places after the point.

    Nothing is rounded: more digits than `places` stay, and further zeros at the end are removed, so that equal numbers
    have equal texts.

    Raises:
        PayloadError: The value is a float, a bool, NaN, infinite, has more than 38 digits, or is not a number.
            The message names the field, the type of the value, and what to do.

    Source: API guide, "Activity API", Field definitions (decimal, shown as text in each example).
    """
    decimal = _decimal(value, name)
    whole, _, fraction = format(decimal, "f").partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    text = f"{whole}.{fraction}" if fraction else whole
    return NumberText(text.removeprefix("-") if decimal.is_zero() else text)


def is_number(value: object) -> bool:
    """Return whether a value of a record is a text as `number` writes it; a text such as 007 is not."""
    return isinstance(value, str) and _WIRE_NUMBER.fullmatch(value) is not None


def zeros(
    record: Mapping[str, object],
    *,
    details: Collection[str] = (),
    agreed: Mapping[str, int] = _NO_CURRENCIES,
) -> dict[str, str]:
    """
    Return zero for each number among the values of an activity's record.

    Args:
        record: The record as it was sent. A text that looks like a number counts as one: to lose a detail is less bad
            than to lose an amount.
        details: Names of fields that are not numbers even if they look so, such as the field of the product.
        agreed: As in `currency`.

    Source: none, our choice: the guide does not say that a missing field is reset.
    """
    code = str(record.get("Currency", ""))
    places = minor_units(code, agreed) if code in MINOR_UNITS or is_agreed(code, agreed) else 2
    return {
        name: number(0, name=name, places=places if "." in str(value) else 0)
        for name, value in record.items()
        if is_number(value) and name not in details and name not in ACTIVITY_FIELDS - {"Value"}
    }


def moment(value: Moment, zone: tzinfo, *, name: str) -> str:
    """
    Return a time as `YYYY-MM-DD HH:mm` in the agreed zone, a date as `YYYY-MM-DD`.

    Raises:
        PayloadError: A time without a zone, or a value that is not a time.

    Source: API guide, Field definitions of "Customer API" (regtime) and "Activity API" (createtime).
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            message = f"{name} is a time without a zone: give an aware datetime, such as django.utils.timezone.now()."
            raise PayloadError(message, field=name, reason="invalid_time")
        return _wall_time(value, zone, name)
    if isinstance(value, date):
        return value.isoformat()
    if is_wire_time(str(value)):
        return str(value)
    message = f"{name} takes a datetime, a date, or text like 2025-07-21 08:46, not {_describe(value)}."
    raise PayloadError(message, field=name, reason="invalid_time")


def _wall_time(value: datetime, zone: tzinfo, name: str) -> str:
    try:
        local = value.astimezone(zone)
    except OverflowError:
        message = (
            f"{name} is out of range (year 1 to year 9999 in every zone): look at where it was computed."
        )
        raise PayloadError(message, field=name, reason="invalid_time") from None
    return f"{local.date().isoformat()} {local:%H:%M}"


def is_wire_time(text: str) -> bool:
    """Return whether a text is a time in the guide's format, and an existing one."""
    if not _WIRE_TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _decimal(value: object, name: str) -> Decimal:
    if isinstance(value, str) and value:
        return _decimal_of_text(value, name)
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        message = f"{name} takes a Decimal or an int, not {_describe(value)}: write Decimal('12.50'), never a float."
        raise _no_number(message, name)
    # Checked before the conversion: a long int takes long to become a Decimal.
    is_long = isinstance(value, int) and value.bit_length() > 4 * MAX_DIGITS
    decimal = Decimal(0 if is_long else value)
    if not decimal.is_finite():
        message = f"{name} is {_describe(value)} that is NaN or infinite: give a finite number, or None if there is no value."
        raise _no_number(message, name)
    if is_long or _count_digits(decimal) > MAX_DIGITS:
        message = (
            f"{name} is {_describe(value)} with more than {MAX_DIGITS} digits, and no amount has so many: look at where it was "
            "computed, and round it there."
        )
        raise _no_number(message, name)
    return decimal


def _decimal_of_text(value: str, name: str) -> Decimal:
    # Plus two for the point and the sign.
    if len(value) <= MAX_DIGITS + 2 and _PLAIN_NUMBER.fullmatch(value):
        decimal = Decimal(value)
        if _count_digits(decimal) <= MAX_DIGITS:
            return decimal
    message = (
        f"{name} is {_describe(value)} that is not a plain number of at most {MAX_DIGITS} digits: give a Decimal or an int, "
        "or write it like 12.50."
    )
    raise _no_number(message, name)


def _count_digits(decimal: Decimal) -> int:
    """Return how many digits a number has in plain notation, without writing it."""
    return max(decimal.adjusted() + 1, 0) + max(-int(decimal.as_tuple().exponent), 0)


def _no_number(message: str, name: str) -> PayloadError:
    return PayloadError(message, field=name, reason="invalid_number")


def _put(record: Record, name: str, value: str | None) -> None:
    if value is not None:
        record[name] = value


def _put_fields(
    record: Record,
    fields: Mapping[str, FieldValue],
    zone: tzinfo,
    *,
    reserved: frozenset[str],
    places: int = 2,
) -> None:
    for name, value in fields.items():
        _check_name(name)
        if name in reserved:
            raise _reserved(name)
        if value is None or value == "":
            continue
        record[name] = _field(value, zone, name=name, places=places)


def _check_name(name: object) -> None:
    """Refuse a field name that a table or a request can't keep exactly."""
    _required(name, "the name of a field")


def _reserved(name: str) -> PayloadError:
    message = f"{name} has an argument of its own and can't be an additional field."
    return PayloadError(message, field=name, reason="reserved_field")


def _field(value: FieldValue, zone: tzinfo, *, name: str, places: int) -> str | bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, name)
    if isinstance(value, int):
        return number(value, name=name, places=0)
    if isinstance(value, Decimal):
        return number(value, name=name, places=places)
    if isinstance(value, date):
        return moment(value, zone, name=name)
    message = f"{name} takes text, a Decimal, an int, a bool, a date or a datetime, not {_describe(value)}."
    raise PayloadError(message, field=name, reason="invalid_field")


def _required(value: object, name: str, max_characters: int = MAX_ID_CHARACTERS) -> str:
    text = _some_text(value, name)
    if len(text) > max_characters:
        message = f"{name} takes at most {max_characters} characters, not {len(text)}."
        raise PayloadError(message, field=name, reason="invalid_field")
    return _text(text, name)


def _some_text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        message = f"{name} takes text that is not empty, not {_describe(value)}."
        raise PayloadError(message, field=name, reason="invalid_field")
    return value


def _text(value: str, name: str) -> str:
    if _UNSTORABLE.search(value):
        message = (
            f"{name} contains a NUL or half a surrogate pair, which databases can't store: remove it first."
        )
        raise PayloadError(message, field=name, reason="invalid_field")
    # The text itself, because str() of an enumeration's member may be the member's name.
    return str.__str__(value)


def _describe(value: object) -> str:
    """Name the type of a refused value. The value itself may be personal data."""
    return "nothing" if value is None or value == "" else f"a value of type {type(value).__name__}"
