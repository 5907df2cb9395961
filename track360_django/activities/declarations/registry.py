"""The registered declarations, and the receivers that find the declarations of a saved or deleted row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.db.models import Model
from django.db.models.signals import class_prepared, post_delete, post_save

from track360_django import conf
from track360_django.activities.declarations import quarantine, reversals
from track360_django.activities.declarations.daily_activity import daily_declarations
from track360_django.activities.declarations.model_activity import ModelActivity
from track360_django.activities.declarations.rows import reverse_row, write_row
from track360_django.activities.declarations.stored_values import as_saved
from track360_django.models import Activity
from track360_django.outbox import aliases
from track360_django.outbox.activities import explain_quarantined

D = TypeVar("D", bound=type[ModelActivity])

_declarations: dict[type[Model], list[ModelActivity]] = {}


def register(model: type[Model]) -> Callable[[D], D]:
    """
    Return the decorator that declares how rows of a model are reported. A model may have several declarations.

    Source: none, our choice: works like `django.contrib.admin.register`.
    """

    def decorate(declaration: D) -> D:
        _declarations.setdefault(model, []).append(declaration(model))
        for kind in _family(model):
            _connect(kind)
        return declaration

    return decorate


def unregister(model: type[Model], declaration: type[ModelActivity]) -> None:
    """Remove a declaration, in a test or in a host that replaces the declaration of another app."""
    _declarations[model] = [item for item in _declarations.get(model, []) if type(item) is not declaration]
    for kind in _family(model):
        _connect(kind)


def declarations() -> tuple[ModelActivity, ...]:
    """Return all declarations, in the order of their registration."""
    return tuple(declaration for group in _declarations.values() for declaration in group)


def mend(quarantined: Activity, using: str) -> bool:
    """
    Read a quarantined activity from its row again.

    Returns:
        Whether it can be reported now. If not, the record says why.
    """
    for declaration in declarations():
        if quarantine.is_reversal(declaration, quarantined):
            source, name = quarantined.source, reversals.eventname_of(declaration)
        else:
            source, name = declaration.model._meta.label, declaration.eventname
        if (source, name) == (quarantined.source, quarantined.eventname):
            return quarantine.mend(declaration, quarantined)
    if any(daily.label() == quarantined.source for daily in daily_declarations()):
        # Its error says what to do: compile the day again.
        return False
    error = f"No app declares {quarantined.source} as {quarantined.eventname} any more: there is nothing to report."
    explain_quarantined(quarantined.pk, reason="declaration", error=error, using=using)
    return False


# The sender of a signal is the class of the row. A proxy and a multi-table child are different senders from the model.


def _family(model: type[Model]) -> Iterator[type[Model]]:
    """Yield a model, its proxies and its multi-table children, because their rows are rows of the model."""
    yield model
    for child in model.__subclasses__():
        yield from _family(child)


def declarations_of(kind: type[Model]) -> Iterator[ModelActivity]:
    """Yield the declarations that apply to rows of a class."""
    for parent in kind.__mro__:
        yield from _declarations.get(parent, ())


def _connect(kind: type[Model]) -> None:
    """Connect the signals of a class of rows if it has declarations; disconnect them if it has none."""
    declared = list(declarations_of(kind))
    where = f"track360.activities.{kind._meta.label}"
    if declared:
        post_save.connect(_on_saved, sender=kind, dispatch_uid=where)
    else:
        post_save.disconnect(sender=kind, dispatch_uid=where)
    # With a receiver, Django can't use its fast way of deleting many rows. So connect only if there is something to
    # report.
    if any(declaration.on_reverse is not None for declaration in declared):
        post_delete.connect(_on_deleted, sender=kind, dispatch_uid=where)
    else:
        post_delete.disconnect(sender=kind, dispatch_uid=where)


def _on_class_prepared(*, sender: type[Model], **_: Any) -> None:
    """Connect a class of rows that was created after its parent was declared."""
    if any(True for _ in declarations_of(sender)):
        _connect(sender)


class_prepared.connect(_on_class_prepared, dispatch_uid="track360.activities")


def _on_saved(
    *,
    sender: type[Model],
    instance: Model,
    created: bool,
    raw: bool,
    update_fields: frozenset[str] | None = None,
    **_: Any,
) -> None:
    if raw or not conf.brands_on():
        return
    row: Model | None = None
    for declaration in declarations_of(sender):
        is_due = declaration.is_due(instance)
        if not is_due and (created or declaration.on_reverse is None):
            continue
        row = row or as_saved(instance, update_fields)
        if row is not instance:
            is_due = declaration.is_due(row)
        if is_due:
            write_row(declaration, row, aliases.of(row))
        elif not created:
            reverse_row(declaration, row, aliases.of(row))


def _on_deleted(*, sender: type[Model], instance: Model, **_: Any) -> None:
    if not conf.brands_on():
        return
    for declaration in declarations_of(sender):
        # A parent's own row has its own signal, because it may stay without its child.
        is_own = declaration.model._meta.concrete_model is sender._meta.concrete_model
        if is_own and declaration.on_reverse is not None:
            reverse_row(declaration, instance, aliases.of(instance))
