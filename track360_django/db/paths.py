"""A path through related objects (`account__user`), or a function: how declarations point at values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import router
from django.db.models import Model, Prefetch, QuerySet, prefetch_related_objects

PathOrFunction = str | Callable[[Any], Any]


def follow(instance: Any, path: PathOrFunction) -> Any:
    """
    Return what a path leads to from an instance, or what a function makes of it.

    Returns:
        None where a related object on the way is missing.

    Raises:
        AttributeError: The path names something that the object doesn't have.
    """
    if callable(path):
        return path(instance)
    value = instance
    for name in path.replace(".", "__").split("__"):
        if value is None:
            return None
        try:
            _fetch_where_written(value, name)
            value = getattr(value, name)
        except ObjectDoesNotExist:
            return None
    return value() if callable(value) and not isinstance(value, Model) else value


def _fetch_where_written(row: Any, name: str) -> None:
    """Fetch a related object from the database it is written to, where a host reads from a replica: that one lags."""
    if not router.routers or not isinstance(row, Model) or row._state.db is None:
        return
    field: Any = next((field for field in row._meta.get_fields() if field.name == name), None)
    if field is None or not _is_single_valued(field) or field.is_cached(row):
        return
    model = field.related_model
    writer = router.db_for_write(model, instance=row)
    if router.db_for_read(model, instance=row) != writer:
        prefetch_related_objects([row], Prefetch(name, queryset=model._base_manager.using(writer)))


def _is_single_valued(field: Any) -> bool:
    return (field.many_to_one or field.one_to_one) and isinstance(field.related_model, type)


def find_missing(model: type[Model], path: PathOrFunction) -> str | None:
    """Return the name on a path that no row of a model can have; None where all are there, or only a row can tell."""
    if callable(path):
        return None
    here: Any = model
    for name in path.replace(".", "__").split("__"):
        field: Any = next((field for field in here._meta.get_fields() if field.name == name), None)
        if field is None:
            return None if hasattr(here, name) else name
        if not isinstance(field.related_model, type):
            return None
        here = field.related_model
    return None


def with_relations(rows: QuerySet[Any], paths: tuple[PathOrFunction, ...]) -> QuerySet[Any]:
    """Return a queryset that fetches the relations on these paths with the rows, not one by one behind them."""
    relations = set()
    for path in paths:
        prefix = relation_prefix(rows.model, path)
        if prefix:
            relations.add(prefix)
    return rows.select_related(*relations) if relations else rows


def relation_prefix(model: type[Model], path: PathOrFunction) -> str:
    """Return the part of a path that runs over single-valued relations of a model; empty where there is none."""
    if callable(path):
        return ""
    taken: list[str] = []
    for name in path.replace(".", "__").split("__"):
        fields: dict[str, Any] = {field.name: field for field in model._meta.get_fields()}
        field = fields.get(name)
        if field is None or not _is_single_valued(field):
            break
        taken.append(name)
        model = field.related_model
    return "__".join(taken)
