"""Turn records of a file, with the field names of the API guide, into registrations and drafts."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from track360_django import conf, customers
from track360_django.activities.draft import Draft
from track360_django.api import payloads
from track360_django.customers import Registration
from track360_django.exceptions import PayloadError
from track360_django.history.file_import.ids import read_id
from track360_django.history.file_import.times import read_time

# The source of an imported activity. No row of the host belongs to it, so it has no key. It has a source, so that
# pruning keeps its id: the same file, imported again at any later time, is not counted again.
SOURCE: Final = "import"

# A tuple, because a value of a file may have no hash.
_NOTHING: Final = (None, "")
# The parameter that the guide's links have (API guide, Tracking parameters).
_TRACKING: Final = "tracking_data"
_CUSTOMER: Final = payloads.CUSTOMER_ARGUMENTS
_ACTIVITY: Final = payloads.ACTIVITY_ARGUMENTS


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is read: for which brand, and whether a person says that its ids are right as they are written."""

    brand: str
    is_as_written: bool = False

    def id(self, fields: Mapping[str, Any], name: str) -> str:
        """Return the id in a field; see `ids.read_id`."""
        return read_id(fields.get(name), name, is_as_written=self.is_as_written)


def registration_of(fields: Mapping[str, Any], reading: Reading) -> Registration:
    """
    Return the customer that a record describes.

    Raises:
        PayloadError: The record can't be reported exactly.

    Source: API guide, "Customer API", Field definitions.
    """
    brand = reading.brand
    _refuse_other_kind(fields, _ACTIVITY["eventname"], "an activity in a file of customers")
    params = tuple(conf.for_brand(brand).TRACKING_PARAMS)
    known = {*payloads.CUSTOMER_FIELDS, *params}
    _refuse_misspelt(fields, known)
    _refuse_other_tracking(fields, params)
    regtime = fields.get(_CUSTOMER["regtime"])
    return Registration(
        user=customers.id_of(reading.id(fields, _CUSTOMER["user"]), brand),
        tracking={name: fields[name] for name in params if fields.get(name) not in _NOTHING},
        regtime=None
        if regtime in _NOTHING
        else read_time(regtime, _CUSTOMER["regtime"], conf.time_zone(brand)),
        fields={name: value for name, value in fields.items() if name not in known},
    )


def draft_of(fields: Mapping[str, Any], reading: Reading) -> Draft:
    """
    Return the activity that a record describes. Its `customer` is an id as text.

    Raises:
        PayloadError: The record can't be reported exactly.

    Source: API guide, "Activity API", Field definitions.
    """
    brand = reading.brand
    product = conf.product_field(brand)
    known = {*payloads.ACTIVITY_FIELDS, product} - {""}
    _refuse_misspelt(fields, known)
    given: dict[str, Any] = {name: fields.get(field) for name, field in _ACTIVITY.items()}
    given["customer"] = customers.id_of(reading.id(fields, _ACTIVITY["customer"]), brand)
    if given["eventid"] not in _NOTHING:
        given["eventid"] = reading.id(fields, _ACTIVITY["eventid"])
    given["createtime"] = _moment(given["createtime"], brand)
    # An empty cell of CSV is left out before; an empty text of JSON is not.
    values: Any = {name: None if value == "" else value for name, value in given.items()}
    return Draft(
        **values,
        product=None if fields.get(product) in _NOTHING else fields[product],
        fields={name: value for name, value in fields.items() if name not in known},
        source=SOURCE,
    )


def _moment(value: Any, brand: str) -> Any:
    """Return a time in the guide's format unchanged (a day stays a day), and read other formats of a time."""
    if value in _NOTHING:
        return None
    found = read_time(value, _ACTIVITY["createtime"], conf.time_zone(brand))
    return value if payloads.is_wire_time(value) else found


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
