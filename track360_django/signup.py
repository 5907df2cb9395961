"""
Signups, whoever announces them: known auth packages, the host's own signal, and a safety net under both.

All ways end in one idempotent `customers.report`. An error of ours never costs the host a signup.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction
from django.db.models.signals import post_save
from django.utils.module_loading import import_string

from track360_django import attribution, conf, customers, identity, outbox, wakeup
from track360_django.exceptions import PayloadError
from track360_django.models import Customer
from track360_django.signals import customer_signed_up

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Source:
    """An auth package that announces signups: found by its full module path, for labels collide."""

    name: str
    app: str
    signal: str


# Sources: the signal definitions in each package's own code.
SOURCES: Final = (
    Source(name="allauth", app="allauth.account", signal="allauth.account.signals.user_signed_up"),
)

# What `SIGNUP_SOURCES` may name. The signal `customer_signed_up` is always heard: only a host sends it.
NAMES: Final = ("auth", *(source.name for source in SOURCES))


def connect() -> None:
    """Connect the safety net, our own signal, and every known auth package that is installed."""
    post_save.connect(_on_user_saved, sender=get_user_model(), dispatch_uid="track360.safety_net")
    customer_signed_up.connect(
        _receiver("customer_signed_up"), weak=False, dispatch_uid="track360.customer_signed_up"
    )
    for source in SOURCES:
        if is_wanted(source.name) and apps.is_installed(source.app):
            signal = import_string(source.signal)
            signal.connect(_receiver(source.name), weak=False, dispatch_uid=f"track360.{source.name}")


def is_wanted(name: str) -> bool:
    """Tell whether `SIGNUP_SOURCES` has a source."""
    wanted = conf.settings.SIGNUP_SOURCES
    if isinstance(wanted, str):
        return wanted in ("auto", name)
    return name in wanted


def _receiver(source: str) -> Callable[..., None]:
    def on_signup(*, user: Any, request: Any = None, **_: Any) -> None:
        _guarded(lambda: _report(user, request, source), user, attribution.of(request))

    return on_signup


def _report(user: Any, request: Any, source: str) -> None:
    touches = attribution.of(request)
    brand = conf.brand_of(touches and touches.request)
    if not conf.for_brand(brand).ENABLED:
        return
    reason = identity.why_not_a_customer(user, brand)
    if reason is None:
        customers.report(user, request=request, source=source)
    elif reason == "inactive" and touches is not None:
        _hold(user, touches)


# The safety net: a user created while a visitor's request is served has signed up, unless something says otherwise.


def _on_user_saved(*, instance: Any, created: bool, raw: bool, **_: Any) -> None:
    if raw or not conf.settings.ENABLED:
        return
    touches = attribution.current()
    if created and touches is not None and is_wanted("auth"):
        _guarded(lambda: _hold_if_signup(instance, touches), instance, touches)
    elif not created and is_activation_awaited():
        _guarded(lambda: _on_user_activated(instance), instance)


def is_activation_awaited() -> bool:
    """Tell whether any brand reports customers when they are activated; a user who is saved costs nothing else."""
    return any(conf.for_brand(brand).REPORT_ON == "activation" for brand in conf.brands())


def is_signup(request: Any) -> bool:
    """
    Tell whether a user created during a request is the visitor's own signup.

    Not one: the admin's pages, and users that somebody who is logged in creates.
    """
    match = getattr(request, "resolver_match", None)
    if match is not None and "admin" in match.app_names:
        return False
    return not getattr(getattr(request, "user", None), "is_authenticated", False)


def _hold_if_signup(user: Any, touches: attribution.Touches) -> None:
    # Once the session could not be read, nobody can be recognised as logged in.
    if touches.is_blind or is_signup(touches.request):
        _hold(user, touches)


def _hold(user: Any, touches: attribution.Touches) -> None:
    brand = conf.brand_of(touches.request)
    reason = identity.why_not_a_customer(user, brand)
    if reason == "staff":
        return
    using = router.db_for_write(Customer)
    customer = customers.hold(user, touches, using=using)
    touches.held = (*touches.held, (using, customer.pk))


def _on_user_activated(user: Any) -> None:
    """Release a customer who was waiting for `is_active`, of whichever brand."""
    using = router.db_for_write(Customer)
    held = Customer.objects.using(using).filter(user_pk=str(user.pk), status="held", reason="inactive")
    for waiting in held:
        is_customer = identity.why_not_a_customer(user, waiting.brand) is None
        if is_customer and outbox.release_customer(waiting.pk, using=using):
            wakeup.after_commit(using=using)


def release(touches: attribution.Touches) -> None:
    """Release at the end of a request what the safety net wrote during it and no signup source claimed."""
    for using, pk in touches.held:
        try:
            _release(pk, using, touches.request)
        except Exception as error:  # noqa: BLE001  the page is served: nothing of ours may break it now
            logger.error(  # noqa: TRY400  see _describe
                "track360: a signup was not released (%s); it releases itself within a minute.",
                _describe(error),
            )


def _release(pk: int, using: str, request: Any) -> None:
    customer = Customer.objects.using(using).filter(pk=pk, status="held").first()
    if customer is None:
        # Claimed by a signup source, or rolled back with its user.
        return
    reason = identity.why_not_a_customer(identity.user_of(customer), customer.brand)
    if reason in ("staff", "no_user"):
        outbox.drop_customer(pk, using=using)
    elif reason is not None:
        outbox.park_customer(pk, using=using, reason=reason)
    elif outbox.release_customer(pk, using=using):
        customers.tell_unattributed(customer, request)
        wakeup.after_commit(using=using)


def _guarded(act: Callable[[], None], user: Any, touches: attribution.Touches | None = None) -> None:
    """Do our part of a signup: an error rolls back what is ours and is logged, never raised."""
    error = _attempt(act)
    if error is not None and touches is not None and not touches.is_read:
        # A session store that is down costs what it remembers, not the customer.
        logger.error("track360: what a visitor's browser remembers can't be read (%s).", _describe(error))
        touches.is_blind = True
        touches.forget_all_but_landing()
        error = _attempt(act)
    if error is not None:
        logger.error(
            "track360: the signup of user %s was not written down (%s); the user is signed up all the same. "
            "Report them with track360_django.customers.report().",
            getattr(user, "pk", None),
            _describe(error),
        )


def _attempt(act: Callable[[], None]) -> Exception | None:
    """Do something in a savepoint of its own, and return what it raised."""
    try:
        with transaction.atomic(using=router.db_for_write(Customer)):
            act()
    except Exception as error:  # noqa: BLE001  an error of ours, or of a setting, costs nobody a signup
        return error
    return None


def _describe(error: Exception) -> str:
    """
    Say what went wrong and where, without the error's own words.

    A database quotes the row it refuses, a host's function the person it failed for, a traceback shows both.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    said = f": {error}" if isinstance(error, ImproperlyConfigured | PayloadError) else ""
    return f"{type(error).__name__}{where}{said}"
