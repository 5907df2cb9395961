"""Paths through related objects (`account__user`) and functions, by which declarations name their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import router
from django.db.models import Model, Prefetch, QuerySet, prefetch_related_objects

PathOrFunction = str | Callable[[Any], Any]


def follow(instance: Any, path: PathOrFunction) -> Any:
    """
    Return the value at the end of a path from an instance, or the result of a function for the instance.

    Returns:
        None if a related object on the path is missing.

    Raises:
        AttributeError: The path contains a name that the object does not have.
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
    """Fetch a related object from the database it is written to, if the host reads from a replica, which may lag."""
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
    """
    Return the first name on a path that rows of a model can't have.

    None if all names exist, or if only a row could show it.
    """
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
    """Return a queryset that fetches the relations on these paths in the same query as the rows."""
    relations = set()
    for path in paths:
        prefix = relation_prefix(rows.model, path)
        if prefix:
            relations.add(prefix)
    return rows.select_related(*relations) if relations else rows


def relation_prefix(model: type[Model], path: PathOrFunction) -> str:
    """Return the first part of a path, the single-valued relations of a model; an empty text if there are none."""
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
