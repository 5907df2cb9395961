"""Receivers: the safety net, our own signal, and every known auth package that is installed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from django.utils.module_loading import import_string

from track360_django import attribution, conf, customers
from track360_django.signals import customer_signed_up
from track360_django.signup import safety_net
from track360_django.signup.activation import hold_unserved, release_activated
from track360_django.signup.savepoint import ACTIVATION, guarded
from track360_django.users import request_user
from track360_django.users.auth_packages import installed
from track360_django.users.eligibility import WAITING, why_not_a_customer

logger = logging.getLogger(__name__)

# Our own signal: what a host announces itself is a signup, whoever's request it happens in.
OWN: Final = "customer_signed_up"


def connect() -> None:
    """Connect the safety net, our own signal, and every known auth package that is installed."""
    safety_net.connect()
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
    def on_signup(*, user: Any = None, request: Any = None, brand: Any = None, **_: Any) -> None:
        if user is None:
            logger.error("track360: a signal of %s came without a user; nobody was reported.", source)
        # A brand that another package speaks of is not one of ours.
        announce(user, request=request, source=source, brand=brand if source == OWN else None)

    return on_signup


def announce(
    user: Any, *, request: Any = None, source: str, brand: str | None = None, is_login: bool = False
) -> None:
    """
    Report a user who is known to sign up, as the signal of an auth package does; an error is logged, never raised.

    Args:
        user: Who signs up; staff, guests and None are left out, and whoever waits for an activation is held.
        request: The visitor's; without one, the request being served in this context.
        source: Which signup source it is, for the admin.
        brand: Whose customer they are, of a host with several; without it, the request's brand.
        is_login: The request logs the new user in: nobody else whom it finds logged in makes them, but one of the
            staff.
    """
    if user is not None:
        guarded(
            lambda: _report(user, request, source, brand, is_login=is_login), user, attribution.of(request)
        )


def _on_activation() -> Callable[..., None]:
    # Whose request it is says nothing: a colleague's, or a mail program's.
    def on_activation(*, user: Any = None, email_address: Any = None, **_: Any) -> None:
        guarded(
            lambda: release_activated(email_address.user if user is None else user), user, what=ACTIVATION
        )

    return on_activation


def _report(user: Any, request: Any, source: str, named: str | None, *, is_login: bool) -> None:
    touches = attribution.of(request)
    asked = request if request is not None else touches and touches.request
    brand = conf.named_brand(named) if named else conf.brand_of(asked)
    if not conf.for_brand(brand).ENABLED:
        return
    if _is_anothers(asked, user, is_login=is_login):
        if source != OWN:
            return
        # The host says that it is a signup, and the touches are somebody else's.
        request = touches = None
    reason = why_not_a_customer(user, brand)
    if reason is None:
        customers.report(user, request=request, source=source, brand=brand)
    elif reason in WAITING and touches is not None:
        safety_net.hold(user, touches, brand=brand, source=source)
    elif reason in WAITING:
        hold_unserved(user, reason, brand=brand, source=source)


def _is_anothers(request: Any, user: Any, *, is_login: bool) -> bool:
    """Tell whether it is somebody else, who is logged in, who makes the user."""
    return request_user.is_of_staff(request) if is_login else not request_user.is_own(request, user)
