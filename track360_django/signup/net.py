"""
The safety net: a user created while a visitor's request is served has signed up, unless something says otherwise.

The row is written with the user, in the user's transaction, but held: a source claims it, the end of the request
releases it.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import router

from track360_django import attribution, conf, customers, identity, outbox, wakeup
from track360_django.models import Customer
from track360_django.signup.activation import is_activation_awaited, release_activated
from track360_django.signup.guarding import describe, guarded
from track360_django.signup.sources import is_wanted

logger = logging.getLogger(__name__)


def on_user_saved(*, instance: Any, created: bool, raw: bool, update_fields: Any = None, **_: Any) -> None:
    """Hear that a user was saved: a signup, an activation, or neither."""
    if raw or not conf.settings.ENABLED:
        return
    touches = attribution.current()
    if created and touches is not None and is_wanted("auth"):
        guarded(lambda: _hold_if_signup(instance, touches), instance, touches)
    elif not created and (update_fields is None or "is_active" in update_fields) and is_activation_awaited():
        guarded(lambda: release_activated(instance), instance)


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
        hold(user, touches)


def hold(user: Any, touches: attribution.Touches, *, source: str = "auth") -> None:
    """Write somebody down who signs up, with the touches of now, until the request ends; colleagues not."""
    reason = identity.why_not_a_customer(user, conf.brand_of(touches.request))
    if reason in {"staff", "guest"}:
        return
    using = router.db_for_write(Customer)
    customer = customers.hold(user, touches, using=using)
    if source != customer.source:
        outbox.name_source(customer.pk, source, using=using)
    touches.held = (*touches.held, (using, customer.pk))


def release(touches: attribution.Touches) -> None:
    """Release at the end of a request what the safety net wrote during it and no signup source claimed."""
    for using, pk in touches.held:
        try:
            _release(pk, using, touches.request)
        except Exception as error:  # noqa: BLE001  the page is served: nothing of ours may break it now
            logger.error(  # noqa: TRY400  see describe
                "track360: a signup was not released (%s); it releases itself within a minute.",
                describe(error),
            )


def _release(pk: int, using: str, request: Any) -> None:
    customer = Customer.objects.using(using).filter(pk=pk, status="held").first()
    if customer is None:
        # Claimed by a signup source, or rolled back with its user.
        return
    reason = identity.why_not_a_customer(identity.user_of(customer), customer.brand)
    if reason in {"staff", "guest", "no_user"}:
        outbox.drop_customer(pk, using=using)
    elif reason is not None:
        outbox.park_customer(pk, using=using, reason=reason)
    elif outbox.release_customer(pk, using=using):
        customers.tell_unattributed(customer, request)
        wakeup.after_commit(using=using)
