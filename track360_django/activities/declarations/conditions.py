"""Evaluates a `Q` object for a row in memory: true, false, or unknown without a query."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import DecimalField, Field, JSONField, Model, Q

from track360_django.db.paths import follow

_ORDERINGS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_COMPARISONS: Final = frozenset({"exact", "in", "isnull", *_ORDERINGS})


class _UnknownError(ValueError):
    """Python and the database may treat this value differently."""


def holds(condition: Q, row: Model) -> bool | None:
    """
    Return whether a saved row in memory fulfils a condition, as the database would.

    Returns:
        None if only a query can decide: for lookups other than exact, in, isnull, gt, gte, lt and lte, for expressions,
        for paths over several rows, and for values that Python and a database may treat differently, such as floats,
        JSON, decimals with more places than their column, texts that differ only in case, and the order of texts.
    """
    verdicts = [_holds_child(child, row) for child in condition.children if not _is_empty(child)]
    if not verdicts:
        # As in Django, an empty condition is fulfilled by all rows, negated or not.
        return True
    match condition.connector:
        case Q.AND:
            verdict = False if False in verdicts else None if None in verdicts else True
        case Q.OR:
            verdict = True if True in verdicts else None if None in verdicts else False
        case _:
            verdict = None
    return verdict if verdict is None else verdict is not condition.negated


def _is_empty(child: Any) -> bool:
    return isinstance(child, Q) and all(map(_is_empty, child.children))


def _holds_child(child: Any, row: Model) -> bool | None:
    if isinstance(child, Q):
        return holds(child, row)
    if not isinstance(child, tuple):
        return None
    lookup, wanted = child
    field, path, comparison = _split(type(row), lookup)
    if field is None or comparison not in _COMPARISONS:
        return None
    try:
        return _compare(field, comparison, follow(row, path), wanted)
    except (ArithmeticError, AttributeError, TypeError, ValueError, ValidationError):
        # If the condition is wrong, the query will raise an error that explains it.
        return None


def _split(model: type[Model], lookup: str) -> tuple[Field[Any, Any] | None, str, str]:
    """Return the last field of a lookup, the path to it, and the comparison; no field if this is unknown."""
    path: list[str] = []
    names = lookup.split("__")
    field: Any = None
    while names and (field is None or field.is_relation):
        try:
            field = model._meta.pk if names[0] == "pk" else model._meta.get_field(names[0])
        except FieldDoesNotExist:
            break
        if field is None or not getattr(field, "concrete", False) or getattr(field, "many_to_many", False):
            return None, "", ""
        path.append(names.pop(0))
        if field.is_relation and isinstance(field.related_model, type):
            model = field.related_model
    return field, "__".join(path), "__".join(names) or "exact"


def _compare(field: Field[Any, Any], comparison: str, value: Any, wanted: Any) -> bool | None:
    if comparison == "isnull":
        return (value is None) is wanted if isinstance(wanted, bool) else None
    if wanted is None and not isinstance(field, JSONField):
        return value is None if comparison == "exact" else None
    value = _plain(field, value)
    if comparison == "in":
        return _is_among(value, [_plain(field, item) for item in _members(wanted)])
    wanted = _plain(field, wanted)
    if comparison == "exact":
        return _is_among(value, [wanted])
    if isinstance(value, str):
        # Each database sorts texts in its own way.
        return None
    return value is not None and _ORDERINGS[comparison](value, wanted)


def _is_among(value: Any, members: list[Any]) -> bool:
    if value in members:
        return True
    if isinstance(value, str) and any(_is_similar(value, member) for member in members):
        raise _UnknownError
    return False


def _is_similar(one: str, other: Any) -> bool:
    """
    Return whether a database might treat two different texts as equal.

    MySQL ignores case, accents and spaces at the end.
    """
    if not isinstance(other, str) or not all(text.isascii() and text.isprintable() for text in (one, other)):
        return True
    return one.rstrip().casefold() == other.rstrip().casefold()


def _members(wanted: Any) -> Any:
    # Versions of Django treat a None among the values of `~Q` differently.
    if hasattr(wanted, "resolve_expression") or any(item is None for item in wanted):
        raise _UnknownError
    return wanted


def _plain(field: Field[Any, Any], value: Any) -> Any:
    """Return a value as the database would return it."""
    if isinstance(value, Model) and field.is_relation:
        value = getattr(value, field.target_field.attname)  # type: ignore[attr-defined]  # of relations alone
    is_expression = hasattr(value, "resolve_expression")
    if is_expression or isinstance(value, float) or isinstance(field, JSONField):
        raise _UnknownError
    if getattr(field, "db_collation", None):
        raise _UnknownError
    plain = field.to_python(value)
    if isinstance(field, DecimalField) and not _fits(plain, field.decimal_places):
        raise _UnknownError
    if isinstance(plain, datetime) and plain.tzinfo is None and settings.USE_TZ:
        raise _UnknownError
    return plain


def _fits(number: Decimal | None, places: int) -> bool:
    return number is None or number == round(number, places)
