"""Which declarations there are, and how a saved row finds its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model
from django.db.models.signals import post_save

from track360_django import conf, databases, outbox
from track360_django.declarations.columns import as_saved
from track360_django.declarations.model import ModelActivity
from track360_django.models import Activity

D = TypeVar("D", bound=type[ModelActivity])

_declarations: dict[type[Model], list[ModelActivity]] = {}


def register(model: type[Model]) -> Callable[[D], D]:
    """
    Return the decorator that declares how rows of a model are reported; a model may have several declarations.

    Source: none, our choice: works like `django.contrib.admin.register`.
    """

    def decorate(declaration: D) -> D:
        _declarations.setdefault(model, []).append(declaration(model))
        post_save.connect(_on_saved, sender=model, dispatch_uid=f"track360.activities.{model._meta.label}")
        return declaration

    return decorate


def unregister(model: type[Model], declaration: type[ModelActivity]) -> None:
    """Take a declaration back: for tests, and for hosts that replace the one of another app."""
    kept = [item for item in _declarations.get(model, []) if type(item) is not declaration]
    _declarations[model] = kept
    if not kept:
        post_save.disconnect(sender=model, dispatch_uid=f"track360.activities.{model._meta.label}")


def declarations() -> tuple[ModelActivity, ...]:
    """Return all declarations, in the order of their registration."""
    return tuple(declaration for group in _declarations.values() for declaration in group)


def mend(quarantined: Activity, using: str) -> bool:
    """Read a quarantined activity from its row again; tell whether it can be reported now. If not, it says why."""
    for declaration in declarations():
        if (declaration.model._meta.label, declaration.eventname) == (
            quarantined.source,
            quarantined.eventname,
        ):
            return declaration.mend(quarantined)
    error = f"No app declares {quarantined.source} as {quarantined.eventname} any more: there is nothing to report."
    outbox.explain_quarantined(quarantined.pk, reason="declaration", error=error, using=using)
    return False


def _on_saved(
    *, sender: type[Model], instance: Model, raw: bool, update_fields: frozenset[str] | None = None, **_: Any
) -> None:
    if raw or not conf.settings.ENABLED:
        return
    row: Model | None = None
    for declaration in _declarations.get(sender, ()):
        if declaration.is_due(instance):
            row = row or as_saved(instance, update_fields)
            if row is instance or declaration.is_due(row):
                declaration.write(row, databases.of(row))
