"""Consent: whether a visitor may be remembered at all, as the host's `CONSENT` function says."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING

from asgiref.sync import iscoroutinefunction

from track360_django import conf

if TYPE_CHECKING:
    from django.http import HttpRequest

    from track360_django.conf import Settings


logger = logging.getLogger(__name__)


def may_remember(request: HttpRequest, settings: Settings) -> bool:
    """
    Tell whether the visitor consents to being remembered; without a `CONSENT` function, yes.

    Never raises, and never takes for a yes what is none: a function that fails, is async, or can't be found.
    """
    configured = conf.configured(settings.brand, "CONSENT")
    if configured is None:
        return True
    try:
        ask = conf.function(configured)
        answer = ask(request) if callable(ask) and not iscoroutinefunction(ask) else False
    except Exception as error:  # noqa: BLE001  the host's function may raise anything
        kind = type(error).__name__
        logger.error("track360: CONSENT raised %s; the visitor is not remembered.", kind)  # noqa: TRY400  it may quote them
        return False
    if inspect.iscoroutine(answer):
        answer.close()
        logger.error("track360: CONSENT is async, and nobody waits for it; the visitor is not remembered.")
        return False
    return bool(answer)
