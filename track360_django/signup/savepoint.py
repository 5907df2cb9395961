"""Our part of a signup is done in a savepoint and never raises: an error of ours costs nobody a signup."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction
from django.db.transaction import TransactionManagementError

from track360_django import attribution
from track360_django.exceptions import PayloadError, describe
from track360_django.models import Customer

logger = logging.getLogger(__name__)


# Errors of which the own words are logged: they hold no personal data.
QUOTED: Final = (ImproperlyConfigured, PayloadError)
# What is said of a part of ours that failed.
SIGNUP: Final = (
    "the signup of user %s was not written down (%s); the user is signed up all the same. "
    "Report them with track360_django.customers.report()."
)
ACTIVATION: Final = (
    "the activation of user %s was not noticed (%s); the user is activated all the same. "
    "If they wait, reconciliation releases them."
)


def guarded(
    act: Callable[[], None], user: Any, touches: attribution.Touches | None = None, *, what: str = SIGNUP
) -> None:
    """Do our part of a signup: an error rolls back what is ours and is logged, never raised."""
    error = _attempt(act)
    if error is not None and touches is not None and _is_unreadable(touches):
        # A session store that is down costs what it remembers, not the customer.
        logger.error(
            "track360: what a visitor's browser remembers can't be read (%s).",
            describe(error, quoting=QUOTED),
        )
        touches.is_blind = True
        touches.forget_all_but_landing()
        error = _attempt(act)
    if error is not None:
        logger.error(f"track360: {what}", getattr(user, "pk", None), describe(error, quoting=QUOTED))  # noqa: G004  both are ours


def _is_unreadable(touches: attribution.Touches) -> bool:
    """Tell whether what the browser remembers is what can't be read; any other error costs no attribution."""
    if touches.is_read:
        return False
    # Others, which keep nothing of what is tried here, the brand least of all.
    tried = attribution.Touches(touches.request)
    error = _attempt(lambda: _read(tried))
    return error is not None and not isinstance(
        error, ImproperlyConfigured | PayloadError | TransactionManagementError
    )


def _read(touches: attribution.Touches) -> None:
    _ = touches.memory


def _attempt(act: Callable[[], None]) -> Exception | None:
    """Do something in a savepoint of its own, and return what it raised."""
    try:
        with transaction.atomic(using=router.db_for_write(Customer)):
            act()
    except Exception as error:  # noqa: BLE001  an error of ours, or of a setting, costs nobody a signup
        return error
    return None
