"""Our part of a signup is done in a savepoint and never raises: an error of ours costs nobody a signup."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction

from track360_django import attribution
from track360_django.exceptions import PayloadError
from track360_django.models import Customer

logger = logging.getLogger(__name__)


def guarded(act: Callable[[], None], user: Any, touches: attribution.Touches | None = None) -> None:
    """Do our part of a signup: an error rolls back what is ours and is logged, never raised."""
    error = _attempt(act)
    if error is not None and touches is not None and not touches.is_read:
        # A session store that is down costs what it remembers, not the customer.
        logger.error("track360: what a visitor's browser remembers can't be read (%s).", describe(error))
        touches.is_blind = True
        touches.forget_all_but_landing()
        error = _attempt(act)
    if error is not None:
        logger.error(
            "track360: the signup of user %s was not written down (%s); the user is signed up all the same. "
            "Report them with track360_django.customers.report().",
            getattr(user, "pk", None),
            describe(error),
        )


def _attempt(act: Callable[[], None]) -> Exception | None:
    """Do something in a savepoint of its own, and return what it raised."""
    try:
        with transaction.atomic(using=router.db_for_write(Customer)):
            act()
    except Exception as error:  # noqa: BLE001  an error of ours, or of a setting, costs nobody a signup
        return error
    return None


def describe(error: Exception) -> str:
    """
    Say what went wrong and where, without the error's own words.

    A database quotes the row it refuses, a host's function the person it failed for, a traceback shows both.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    said = f": {error}" if isinstance(error, ImproperlyConfigured | PayloadError) else ""
    return f"{type(error).__name__}{where}{said}"
