"""
Check one field: find what is wrong with its name or its value, in a message that never repeats the value.

Source: API guide, "Customer API, Field definitions", "Activity API, Field definitions" and their examples, in
which all defined values are strings. If the guide only recommends a format, the sandbox requires it: a client
that passes here also passes a less strict reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from . import guide
from .body import Record, RepeatedNames
from .guide import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .guide import Endpoint

Check = Callable[[object], str | None]
_TextCheck = Callable[[str], str | None]

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
# Texts that `str()` of a float or a Decimal may return, and that are never an amount.
_NOT_PLAIN = re.compile(
    r"[+-]?([0-9]+(\.[0-9]*)?e[+-][0-9]+|s?nan[0-9]*|inf(inity)?)", re.ASCII | re.IGNORECASE
)
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})( ([01][0-9]|2[0-3]):[0-5][0-9])?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_MAX_DEPTH: Final = 8
_EMPTY: Final = "must not be empty; leave out a field that has no value"
_SURROGATE: Final = "contains half of a surrogate pair, which is not a character"
_MOMENT_HINT: Final = "must be an existing day as YYYY-MM-DD, or with a time as YYYY-MM-DD HH:mm"
_NUMBER_HINT: Final = (
    'must be a plain decimal such as "250.00": no exponent, no thousands separator, no NaN or Infinity'
)


def check_additional(endpoint: Endpoint, name: str, value: object) -> str | None:
    """Return what is wrong with a field that the guide does not define, or None: most such fields are accepted."""
    return _check_name(endpoint, name) or _check_value(endpoint, value, depth=0)


def _check_name(endpoint: Endpoint, name: str) -> str | None:
    if not name.strip() or not _is_unicode(name):
        return "a field name must have a visible character, and no half of a surrogate pair"
    right = _SPELLINGS[endpoint].get(_squash(name))
    return f"must be spelt {right} in this API" if right else None


def _check_value(endpoint: Endpoint, value: object, *, depth: int) -> str | None:
    """Check a value with a type that is up to an agreement. Values that no agreement can allow are refused."""
    if isinstance(value, str):
        return _check_text(value) or (_check_plain(value) if endpoint == "activities" else None)
    if isinstance(value, (list, dict)):
        return _check_nested(endpoint, value, depth=depth)
    if value is None or isinstance(value, float):
        return (
            f"must not be {_name_type(value)}; leave out a field that has no value, write decimals as strings"
        )
    if endpoint == "activities" and not isinstance(value, bool):
        return 'numbers are decimal strings, such as "15", not JSON numbers'
    return None


def _check_nested(endpoint: Endpoint, value: list[object] | Record, *, depth: int) -> str | None:
    if not value:
        return _EMPTY
    if isinstance(value, RepeatedNames):
        return "contains a name twice"
    if depth == _MAX_DEPTH:
        return f"is nested deeper than {_MAX_DEPTH} levels"
    inner = value.values() if isinstance(value, dict) else value
    errors = (_check_value(endpoint, each, depth=depth + 1) for each in inner)
    return next((error for error in errors if error), None)


def _expect_text(check: _TextCheck, *, example: str = "") -> Check:
    """Return a check that a field is a string and passes `check`."""

    def check_defined(value: object) -> str | None:
        if isinstance(value, str):
            return check(value)
        return f"must be a JSON string{example}, not {_name_type(value)}"

    return check_defined


def _remember(check: _TextCheck) -> _TextCheck:
    """Return the check with a cache: amounts, days and campaigns repeat, and batches are large."""

    @lru_cache(maxsize=16_384)
    def check_once(text: str) -> str | None:
        return _check_text(text) or check(text)

    return check_once


def _check_text(text: str) -> str | None:
    if not text or text.isspace():
        return _EMPTY
    return None if text.isascii() or _is_unicode(text) else _SURROGATE


def _check_plain(text: str) -> str | None:
    return _NUMBER_HINT if _NOT_PLAIN.fullmatch(text) else None


def _check_tracking(text: str) -> str | None:
    most = guide.TRACKING_DATA_MAX_CHARACTERS
    return None if len(text) <= most else f"has {len(text)} characters; at most {most} are allowed"


def _check_moment(text: str) -> str | None:
    match = _MOMENT.fullmatch(text)
    return None if match and _is_day(match[1]) else _MOMENT_HINT


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_number(text: str) -> str | None:
    return None if _NUMBER.fullmatch(text) else _NUMBER_HINT


def _check_currency(text: str) -> str | None:
    return None if _CURRENCY.fullmatch(text) else "must be three capital letters, such as USD"


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _name_type(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "a JSON boolean", int: "a JSON number", float: "a JSON number", list: "an array"}
    return names.get(type(value), "an object")


def _squash(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


_CHECKS_BY_KIND: Final[Mapping[Kind, Check]] = {
    Kind.IDENTIFIER: _expect_text(_check_text),
    Kind.TEXT: _expect_text(_check_text),
    Kind.TRACKING: _expect_text(_remember(_check_tracking)),
    Kind.MOMENT: _expect_text(_remember(_check_moment)),
    Kind.NUMBER: _expect_text(_remember(_check_number), example=', such as "250.00"'),
    Kind.CURRENCY: _expect_text(_remember(_check_currency)),
}
CHECKS: Final[Mapping[Endpoint, Mapping[str, Check]]] = {
    endpoint: {name: _CHECKS_BY_KIND[kind] for name, kind in defined.items()}
    for endpoint, defined in guide.DEFINED.items()
}
# KPI names are agreed with Track360 one by one, so a name that is similar to one of them is not a mistake by itself.
_SPELLINGS: Final[Mapping[Endpoint, Mapping[str, str]]] = {
    endpoint: {_squash(name): name for name in defined if name not in guide.KPI_FIELDS}
    for endpoint, defined in guide.DEFINED.items()
}
