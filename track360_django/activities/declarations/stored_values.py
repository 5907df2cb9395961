"""Compares rows in memory with what their table has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import DecimalField, Field, Model, QuerySet

from track360_django.db.paths import PathOrFunction


def as_stored(row: Model, path: PathOrFunction, value: Any) -> Any:
    """Return a column's value as the database will return it: a float in a decimal column is a decimal there."""
    column: Any = next((item for item in row._meta.concrete_fields if item.name == path), None)
    if column is None or column.is_relation or not isinstance(column, Field):
        return value
    if hasattr(value, "resolve_expression"):
        return _read_stored(row, column)
    value = column.to_python(value)
    if isinstance(column, DecimalField) and isinstance(value, Decimal) and value.is_finite():
        rounded = round(value, column.decimal_places)
        # Databases round halves differently, so the value is read and not computed.
        return rounded if rounded == value else _read_stored(row, column)
    return value


def _read_stored(row: Model, column: Field[Any, Any]) -> Any:
    rows = row._meta.model._base_manager.using(row._state.db)
    return rows.values_list(column.name, flat=True).get(pk=row.pk)


def as_saved(row: Model, update_fields: frozenset[str] | None) -> Model:
    """Return a row as its table has it, because after a partial save the row in memory may differ."""
    if update_fields is None:
        return row
    rows = row._meta.model._base_manager.using(row._state.db).filter(pk=row.pk)
    columns: list[Any] = [
        column
        for column in row._meta.concrete_fields
        if not {column.name, column.attname} & update_fields and column.attname in row.__dict__
    ]
    stored = rows.values(*(column.attname for column in columns)).first() if columns else None
    if stored is None or all(_is_stored(row, column, stored[column.attname]) for column in columns):
        return row
    return rows.first() or row


def _is_stored(row: Model, column: Any, stored: Any) -> bool:
    try:
        return bool(column.to_python(getattr(row, column.attname)) == stored)
    except (ValidationError, TypeError, ValueError):
        return False


def all_rows(model: type[Model], using: str) -> QuerySet[Any]:
    """Return all rows of a table, also those that a default manager hides; for a proxy, only those of its manager."""
    manager = model._default_manager if model._meta.proxy else model._base_manager
    return manager.using(using)
