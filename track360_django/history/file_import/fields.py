"""Turn records of a file, with the field names of the API guide, into registrations and drafts."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from track360_django import conf, customers
from track360_django.activities.draft import Draft
from track360_django.api import payloads
from track360_django.customers import Registration
from track360_django.exceptions import PayloadError

# The source of an imported activity. No row of the host belongs to it, so it has no key. It has a source, so that
# pruning keeps its id: the same file, imported again at any later time, is not counted again.
SOURCE: Final = "import"

# A tuple, because a value of a file may have no hash.
_NOTHING: Final = (None, "")
# The parameter that the guide's links have (API guide, Tracking parameters).
_TRACKING: Final = "tracking_data"
_CUSTOMER: Final = payloads.CUSTOMER_ARGUMENTS
_ACTIVITY: Final = payloads.ACTIVITY_ARGUMENTS


def registration_of(fields: Mapping[str, Any], brand: str) -> Registration:
    """
    Return the customer that a record describes.

    Raises:
        PayloadError: The record can't be reported exactly.

    Source: API guide, "Customer API", Field definitions.
    """
    _refuse_other_kind(fields, _ACTIVITY["eventname"], "an activity in a file of customers")
    params = tuple(conf.for_brand(brand).TRACKING_PARAMS)
    known = {*payloads.CUSTOMER_FIELDS, *params}
    _refuse_misspelt(fields, known)
    _refuse_other_tracking(fields, params)
    regtime = fields.get(_CUSTOMER["regtime"])
    return Registration(
        user=customers.id_of(_id(fields, _CUSTOMER["user"]), brand),
        tracking={name: fields[name] for name in params if fields.get(name) not in _NOTHING},
        regtime=None if regtime in _NOTHING else _time(regtime, brand),
        fields={name: value for name, value in fields.items() if name not in known},
    )


def draft_of(fields: Mapping[str, Any], brand: str) -> Draft:
    """
    Return the activity that a record describes. Its `customer` is an id as text.

    Raises:
        PayloadError: The record can't be reported exactly.

    Source: API guide, "Activity API", Field definitions.
    """
    product = conf.product_field(brand)
    known = {*payloads.ACTIVITY_FIELDS, product} - {""}
    _refuse_misspelt(fields, known)
    given: dict[str, Any] = {name: fields.get(field) for name, field in _ACTIVITY.items()}
    given["customer"] = customers.id_of(_id(fields, _ACTIVITY["customer"]), brand)
    if given["eventid"] not in _NOTHING:
        given["eventid"] = _id(fields, _ACTIVITY["eventid"])
    given["createtime"] = _moment(given["createtime"], brand)
    # An empty cell of CSV is left out before; an empty text of JSON is not.
    values: Any = {name: None if value == "" else value for name, value in given.items()}
    return Draft(
        **values,
        product=None if fields.get(product) in _NOTHING else fields[product],
        fields={name: value for name, value in fields.items() if name not in known},
        source=SOURCE,
    )


def _id(fields: Mapping[str, Any], name: str) -> str:
    """Return an id as it is written. A whole number is also accepted."""
    value = fields.get(name)
    if value is None or value == "":
        message = f"{name} is missing: each line needs one (API guide, Field definitions)."
        raise PayloadError(message, field=name, reason="missing_field")
    if isinstance(value, bool) or not isinstance(value, str | int):
        message = (
            f"{name} takes text, not a value of type {type(value).__name__}: put it into quotation marks."
        )
        raise PayloadError(message, field=name, reason="invalid_field")
    return str(value)


def _moment(value: Any, brand: str) -> Any:
    """Return a time in the guide's format unchanged (a day stays a day), and read other formats of a time."""
    if value in _NOTHING or (isinstance(value, str) and payloads.is_wire_time(value)):
        return value or None
    return _time(value, brand, name=_ACTIVITY["createtime"])


def _time(value: Any, brand: str, *, name: str = _CUSTOMER["regtime"]) -> datetime:
    """Return a time of a file. A time without a zone is in `TIME_ZONE` of TRACK360, as in the API."""
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            found = found.replace(tzinfo=conf.time_zone(brand))
        return found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        message = (
            f"{name} is not a time: write it as in the guide, 2025-07-21 08:46, or as 2025-07-21T08:46:00Z."
        )
        raise PayloadError(message, field=name, reason="invalid_time") from None


def _refuse_other_kind(fields: Mapping[str, Any], name: str, what: str) -> None:
    if fields.get(name) not in _NOTHING:
        message = f"it has the field {name}: {what}. Put it into a file of its own."
        raise PayloadError(message, field=name, reason="other_kind")


def _refuse_misspelt(fields: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse `value` instead of `Value`: Track360 would not count it as an additional field."""
    if fields.keys() <= set(known):
        return
    exact = {_letters(name): name for name in known}
    for name in fields:
        meant = exact.get(_letters(name))
        if name not in known and meant is not None:
            message = (
                f"the field {meant} is written {name!a}. Write exactly {meant}, with the same capitals and without blanks "
                "(API guide, Field definitions; TRACK360)."
            )
            raise PayloadError(message, field=meant, reason="misspelt_field")


def _refuse_other_tracking(fields: Mapping[str, Any], params: Collection[str]) -> None:
    """Refuse the guide's own parameter if others were agreed: as an additional field it attributes no customer."""
    meant = _letters(_TRACKING)
    for name in fields:
        if name not in params and _letters(name) == meant:
            message = (
                f"it has the field {name!a}, but attribution is read from {', '.join(params)}. Rename the field, or add "
                f"{_TRACKING} to TRACK360['TRACKING_PARAMS']."
            )
            raise PayloadError(message, field=_TRACKING, reason="misspelt_field")


@lru_cache(maxsize=1024)
def _letters(name: str) -> str:
    """Return a name without capitals, blanks of any kind, `_` and `-`, so that two spellings of it are equal."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    # Cf: invisible marks, such as a byte order mark inside the file.
    kept = (each for each in plain if not each.isspace() and unicodedata.category(each) != "Cf")
    return "".join(kept).replace("_", "").replace("-", "")
