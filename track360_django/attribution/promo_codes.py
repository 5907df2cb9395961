"""Promo codes: a code that a person types or a poster shows, mapped to the tracking value of an affiliate."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, router, transaction

from track360_django.api.payloads import refuse_tracking
from track360_django.attribution.touch import Landing, Touch
from track360_django.conf import function
from track360_django.models import Customer

if TYPE_CHECKING:
    from track360_django.conf import Settings

logger = logging.getLogger(__name__)

# Longer codes are never typed.
MAX_CHARACTERS: Final = 100


def names(settings: Settings) -> tuple[str, ...]:
    """Return the names of the parameters with a promo code; none if no codes are configured."""
    return (settings.PROMO_PARAM,) if settings.PROMO_CODES else ()


def landing_of(code: str, settings: Settings, at: datetime) -> Landing:
    """
    Return the landing for a promo code. An unknown code is refused.

    Source: none, our choice: the API guide has tracking values only, so a code must become a tracking value.
    """
    try:
        params = _params_of(code, settings) if len(code) <= MAX_CHARACTERS else {}
    except Exception as error:  # noqa: BLE001  the host's function may raise anything; the page must not be affected
        kind = type(error).__name__
        logger.error("track360: PROMO_CODES raised %s. The promo code is ignored.", kind)  # noqa: TRY400
        params = {}
    if not params or any(refuse_tracking(value) for value in params.values()):
        return Landing(refusals=((settings.PROMO_PARAM, "unknown_promo_code"),))
    return Landing(touches=(Touch(params=params, at=at),))


def _params_of(code: str, settings: Settings) -> dict[str, str]:
    codes = settings.PROMO_CODES
    found: Any = _look_up(code, codes) if isinstance(codes, Mapping) else _ask(code, codes)
    if isinstance(found, Mapping):
        return {name: value for name, value in found.items() if name in settings.TRACKING_PARAMS}
    return {settings.TRACKING_PARAMS[0]: found} if found else {}


def _ask(code: str, codes: Any) -> Any:
    find = function(codes)
    if find is None:
        return None
    using = router.db_for_write(Customer)
    if not connections[using].in_atomic_block:
        return find(code)
    # A query that fails would break the transaction of the signup.
    with transaction.atomic(using=using):
        return find(code)


def _look_up(code: str, codes: Mapping[str, str]) -> str | None:
    """Find a code as it is written; else without regard to capitals, as people type."""
    if code in codes:
        return codes[code]
    return {known.casefold(): value for known, value in codes.items()}.get(code.casefold())
