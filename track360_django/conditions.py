"""A `Q` object asked about a row in memory: true, false, or not to be told without a query."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model, Q

from track360_django.paths import follow

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "exact": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def holds(condition: Q, row: Model) -> bool | None:
    """
    Tell whether a row in memory fulfils a condition, as the database would.

    Returns:
        None where only a query can tell: other lookups than exact, in, isnull, gt, gte, lt, lte, expressions,
        and paths over several rows.
    """
    verdicts = [_holds_child(child, row) for child in condition.children]
    match condition.connector:
        case Q.AND:
            verdict = False if False in verdicts else None if None in verdicts else True
        case Q.OR:
            verdict = True if True in verdicts else None if None in verdicts else not verdicts
        case _:
            verdict = None
    return verdict if verdict is None else verdict is not condition.negated


def _holds_child(child: Any, row: Model) -> bool | None:
    if isinstance(child, Q):
        return holds(child, row)
    if not isinstance(child, tuple):
        return None
    lookup, wanted = child
    field, path, comparison = _split(row, lookup)
    if field is None or hasattr(wanted, "resolve_expression"):
        return None
    value = follow(row, path)
    if hasattr(value, "resolve_expression"):
        return None
    return _compare(field, comparison, value, wanted)


def _split(row: Model, lookup: str) -> tuple[Field[Any, Any] | None, str, str]:
    """Return the field a lookup ends at, the path to it, and the comparison; no field where it can't be told."""
    model: type[Model] = type(row)
    path: list[str] = []
    names = lookup.split("__")
    field: Any = None
    for position, name in enumerate(names):
        try:
            field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        except FieldDoesNotExist:
            is_comparison = field is not None and position == len(names) - 1
            return (field if is_comparison else None), "__".join(path), name
        if field is None or not getattr(field, "concrete", False) or getattr(field, "many_to_many", False):
            return None, "", ""
        path.append(name)
        if field.is_relation and isinstance(field.related_model, type):
            model = field.related_model
    return field, "__".join(path), "exact"


def _compare(field: Field[Any, Any], comparison: str, value: Any, wanted: Any) -> bool | None:
    if comparison == "isnull":
        return (value is None) is bool(wanted)
    value = _plain(field, value)
    if comparison == "in":
        return value is not None and value in [_plain(field, item) for item in wanted]
    compare = _COMPARISONS.get(comparison)
    if compare is None:
        return None
    if comparison == "exact" and wanted is None:
        return value is None
    return value is not None and compare(value, _plain(field, wanted))


def _plain(field: Field[Any, Any], value: Any) -> Any:
    if isinstance(value, Model):
        return value.pk
    return value if field.is_relation else field.to_python(value)
