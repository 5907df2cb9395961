"""
The safety net: a user created while a visitor's request is served has signed up, unless something says otherwise.

The row is written with the user, in the user's transaction, but held: a source claims it, the end of the request
releases it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import router
from django.db.models import Model
from django.db.models.signals import class_prepared, post_save, pre_save

from track360_django import attribution, conf, customers
from track360_django.exceptions import describe
from track360_django.models import Customer, Status
from track360_django.outbox import wakeup
from track360_django.outbox.customers import drop_customer, name_source, park_customer, release_customer
from track360_django.signup.activation import is_activation_awaited, release_activated
from track360_django.signup.savepoint import ACTIVATION, QUOTED, guarded
from track360_django.users import request_user
from track360_django.users.auth_packages import is_wanted
from track360_django.users.eligibility import NEVER, why_not_a_customer
from track360_django.users.lookup import user_of

logger = logging.getLogger(__name__)

_creating: Final[ContextVar[list[Any] | None]] = ContextVar("track360_creating", default=None)
# Where a child remembers, while it is saved, that its user was there before.
_KNOWN: Final = "_track360_is_known"


# Users who are saved, as the user model or as one of its proxies and children.


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
    _note_saved(instance, is_new=is_new, is_raw=raw, update_fields=update_fields)


def _note_saved(user: Any, *, is_new: bool, is_raw: bool, update_fields: Collection[str] | None) -> None:
    """Hear that a user was saved: a signup, an activation, or neither."""
    if is_raw:
        return
    touches = attribution.current()
    if is_new:
        if touches is not None and is_wanted("auth") and conf.brands_on():
            guarded(lambda: _hold_if_signup(user, touches), user, touches)
    elif (update_fields is None or "is_active" in update_fields) and is_activation_awaited():
        guarded(lambda: release_activated(user), user, what=ACTIVATION)


# Which of them are signups, and what becomes of those.


def is_signup(request: Any) -> bool:
    """
    Tell whether a user created during a request is the visitor's own signup.

    Not one: the admin's pages, and users that somebody who is logged in creates, unless that is a guest.
    """
    match = getattr(request, "resolver_match", None)
    if match is not None and "admin" in match.app_names:
        return False
    return request_user.is_own(request)


def _hold_if_signup(user: Any, touches: attribution.Touches) -> None:
    if not is_signup(touches.request):
        return
    brand = conf.brand_of(touches.request)
    if conf.for_brand(brand).ENABLED:
        hold(user, touches, brand=brand)


def hold(user: Any, touches: attribution.Touches, *, brand: str, source: str = "auth") -> None:
    """Write somebody down who signs up, with the touch of now, until the request ends; colleagues not."""
    if why_not_a_customer(user, brand) in NEVER:
        return
    using = router.db_for_write(Customer)
    customer = customers.hold(user, touches, brand=brand, using=using)
    if source != customer.source:
        name_source(customer.pk, source, using=using)
    touches.held = (*touches.held, attribution.Held(using, customer.pk, user._state.db))


def release(touches: attribution.Touches) -> None:
    """Release at the end of a request what the safety net wrote during it and no signup source claimed."""
    for held in touches.held:
        try:
            _release(held, touches.request)
        except Exception as error:  # noqa: BLE001  the page is served: nothing of ours may break it now
            logger.error(  # noqa: TRY400  see describe
                "track360: a signup was not released (%s); it releases itself within a minute.",
                describe(error, quoting=QUOTED),
            )


def _release(held: attribution.Held, request: Any) -> None:
    using, pk, place = held
    customer = Customer.objects.using(using).filter(pk=pk, status=Status.HELD).first()
    if customer is None:
        # Claimed by a signup source, or rolled back with its user.
        return
    reason = _why_not(customer, place)
    if reason in NEVER:
        drop_customer(pk, using=using)
        return
    if reason is not None:
        park_customer(pk, using=using, reason=reason)
        # Who was activated between the look and the parking was not found waiting.
        reason = _why_not(customer, place)
    if reason is None and release_customer(pk, using=using):
        customers.tell_unattributed(customer, request)
        wakeup.after_commit(using=using)


def _why_not(customer: Customer, place: str | None) -> str | None:
    # Where they were created: another database may have somebody else under this key, or nobody.
    return why_not_a_customer(user_of(customer, using=place), customer.brand)
