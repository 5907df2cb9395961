"""Receivers: the safety net, our own signal, and every known auth package that is installed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db.models.signals import post_save
from django.utils.module_loading import import_string

from track360_django import attribution, conf, customers, identity
from track360_django.signals import customer_signed_up
from track360_django.signup import net
from track360_django.signup.activation import WAITING, hold_unserved, release_activated
from track360_django.signup.guarding import guarded
from track360_django.signup.sources import installed

logger = logging.getLogger(__name__)

# Our own signal: what a host announces itself is a signup, whoever's request it happens in.
OWN: Final = "customer_signed_up"


def connect() -> None:
    """Connect the safety net, our own signal, and every known auth package that is installed."""
    post_save.connect(net.on_user_saved, sender=get_user_model(), dispatch_uid="track360.safety_net")
    customer_signed_up.connect(_on_signup(OWN), weak=False, dispatch_uid=f"track360.{OWN}")
    for source in installed():
        for path in source.signups:
            _connect(path, _on_signup(source.name))
        for path in source.activations:
            _connect(path, _on_activation())


def _connect(path: str, receiver: Callable[..., None]) -> None:
    """Connect a package's signal; senders are classes, instances or None, so they are not asked for."""
    try:
        import_string(path).connect(receiver, weak=False, dispatch_uid=f"track360.{path}")
    except Exception as error:  # noqa: BLE001  another version of the package must not stop the host
        logger.warning(
            "track360: the signal %s can't be heard (%s: %s). The safety net sees its signups, unless SIGNUP_SOURCES "
            "leaves it out.",
            path,
            type(error).__name__,
            error,
        )


def _on_signup(source: str) -> Callable[..., None]:
    def on_signup(*, user: Any, request: Any = None, **_: Any) -> None:
        announce(user, request=request, source=source)

    return on_signup


def announce(user: Any, *, request: Any = None, source: str) -> None:
    """
    Report a user who is known to sign up, as the signal of an auth package does; an error is logged, never raised.

    Args:
        user: Who signs up; staff and guests are left out, and whoever waits for an activation is held.
        request: The visitor's; without one, the request being served in this context.
        source: Which signup source it is, for the admin.
    """
    guarded(lambda: _report(user, request, source), user, attribution.of(request))


def _on_activation() -> Callable[..., None]:
    # Whose request it is says nothing: a colleague's, or a mail program's.
    def on_activation(*, user: Any = None, email_address: Any = None, **_: Any) -> None:
        guarded(lambda: _release(email_address.user if user is None else user), user)

    return on_activation


def _release(user: Any) -> None:
    if conf.settings.ENABLED:
        release_activated(user)


def _report(user: Any, request: Any, source: str) -> None:
    touches = attribution.of(request)
    brand = conf.brand_of(touches and touches.request)
    if not conf.for_brand(brand).ENABLED:
        return
    if _is_colleagues(request if request is not None else touches and touches.request, user):
        if source != OWN:
            return
        # The host says that it is a signup, and the touches are the colleague's.
        request = touches = None
    reason = identity.why_not_a_customer(user, brand)
    if reason is None:
        customers.report(user, request=request, source=source)
    elif reason in WAITING and touches is not None:
        net.hold(user, touches, source=source)
    elif reason in WAITING:
        hold_unserved(user, reason, source=source)


def _is_colleagues(request: Any, user: Any) -> bool:
    """Tell whether it is one of the staff who makes a user of somebody else."""
    visitor = getattr(request, "user", None)
    if not getattr(visitor, "is_authenticated", False) or getattr(visitor, "pk", None) == user.pk:
        return False
    return bool(getattr(visitor, "is_staff", False) or getattr(visitor, "is_superuser", False))
