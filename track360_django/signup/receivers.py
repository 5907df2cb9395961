"""The receivers of signups: for the safety net, our own signal, and every known auth package that is installed."""

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

# Our own signal. What a host announces with it is a signup, even during another user's request.
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
    """Connect a package's signal, for all senders, because senders are classes, instances or None."""
    try:
        import_string(path).connect(receiver, weak=False, dispatch_uid=f"track360.{path}")
    except Exception as error:  # noqa: BLE001  another version of the package must not stop the host
        logger.warning(
            "track360: could not connect to the signal %s (%s: %s). The safety net detects its signups, unless "
            'SIGNUP_SOURCES leaves out "auth".',
            path,
            type(error).__name__,
            error,
        )


def _on_signup(source: str) -> Callable[..., None]:
    def on_signup(*, user: Any = None, request: Any = None, brand: Any = None, **_: Any) -> None:
        if user is None:
            logger.error("track360: a signal of %s came without a user, so no customer was reported.", source)
        # If another package sends a `brand`, it is not one of ours.
        announce(user, request=request, source=source, brand=brand if source == OWN else None)

    return on_signup


def announce(
    user: Any, *, request: Any = None, source: str, brand: str | None = None, is_login: bool = False
) -> None:
    """
    Report a user who signs up, as the signal of an auth package does. An error is logged, never raised.

    Args:
        user: The new user. Staff, guests and None are left out. A user who waits for an activation is held.
        request: The visitor's request; default: the request that is being served in this context.
        source: The name of the signup source, for the admin.
        brand: The customer's brand, in a host with several brands; default: the request's brand.
        is_login: The request logs the new user in. Then the signup counts even if another user is logged in, unless
            staff makes the request.
    """
    if user is not None:
        guarded(
            lambda: _report(user, request, source, brand, is_login=is_login), user, attribution.of(request)
        )


def _on_activation() -> Callable[..., None]:
    # The request is not used: it may be a colleague's, or a mail program's.
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
        # The host says that it is a signup, but the touches belong to another person.
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
