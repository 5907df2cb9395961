"""Users who are saved, as the user model or as one of its proxies and children: heard wherever they are created."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import Model
from django.db.models.signals import class_prepared, post_save, pre_save

from track360_django.signup import safety_net

_creating: Final[ContextVar[list[Any] | None]] = ContextVar("track360_creating", default=None)
# Where a child remembers, while it is saved, that its user was there before.
_KNOWN: Final = "_track360_is_known"


def connect() -> None:
    """Listen to the user model, its proxies and its children, also to those that are made later."""
    for model in apps.get_models():
        _on_class_prepared(sender=model)
    class_prepared.connect(_on_class_prepared, dispatch_uid="track360.users")


@contextmanager
def created() -> Iterator[list[Any]]:
    """Collect the users who are created meanwhile."""
    users: list[Any] = []
    token = _creating.set(users)
    try:
        yield users
    finally:
        _creating.reset(token)


def _on_class_prepared(*, sender: type[Model], **_: Any) -> None:
    user_model = get_user_model()
    if not issubclass(sender, user_model):
        return
    post_save.connect(_on_saved, sender=sender, dispatch_uid="track360.safety_net")
    if sender._meta.concrete_model is not user_model:
        pre_save.connect(_on_child_saving, sender=sender, dispatch_uid="track360.safety_net")


def _on_child_saving(*, instance: Any, raw: bool, using: str, **_: Any) -> None:
    # A child may be added to a user who signed up long ago.
    if raw or instance.pk is None:
        is_known = False
    elif instance._state.adding:
        is_known = get_user_model()._base_manager.using(using).filter(pk=instance.pk).exists()
    else:
        is_known = True
    instance.__dict__[_KNOWN] = is_known


def _on_saved(*, instance: Any, created: bool, raw: bool, update_fields: Any = None, **_: Any) -> None:
    is_new = not instance.__dict__.pop(_KNOWN, False) and created
    users = _creating.get()
    if is_new and users is not None:
        users.append(instance)
    safety_net.on_user_saved(instance, is_new=is_new, is_raw=raw, update_fields=update_fields)
