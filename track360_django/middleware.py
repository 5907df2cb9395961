"""
The entrance of visitors: remembers landings with tracking data and carries the touches through the request.

A request without a tracking parameter costs a substring test; no query, no session, no header is touched.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async

from track360_django import attribution, conf, signals, signup
from track360_django.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    Handler = Callable[[HttpRequest], HttpResponseBase]
    AsyncHandler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

logger = logging.getLogger(__name__)


class TrackingMiddleware:
    """
    Remembers the tracking parameters of a landing until the visitor signs up; belongs right after SessionMiddleware.

    It sets `request.track360` (`track360_django.attribution.Touches`). It never changes a status code or a body.

    Source: API guide, "Tracking Parameters".
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler | AsyncHandler) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        if self.is_async:
            return self._serve_async(request)
        touches = _enter(request)
        token = attribution._current.set(touches)  # noqa: SLF001  one context variable, set here alone
        try:
            response = cast("Handler", self.get_response)(request)
        finally:
            attribution._current.reset(token)  # noqa: SLF001
        if touches.landing is not None:
            _remember(touches, response)
        if touches.held:
            signup.release(touches)
        return response

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        touches = _enter(request)
        token = attribution._current.set(touches)  # noqa: SLF001
        try:
            response = await cast("AsyncHandler", self.get_response)(request)
        finally:
            attribution._current.reset(token)  # noqa: SLF001
        if touches.landing is not None:
            await _remember_async(touches, response)
        if touches.held:
            await sync_to_async(signup.release)(touches)
        return response


def _enter(request: HttpRequest) -> attribution.Touches:
    touches = attribution.Touches(request)
    request.track360 = touches  # type: ignore[attr-defined]  # our public attribute on Django's request
    query_string = request.META.get("QUERY_STRING")
    if query_string and attribution.has_parameter(query_string, conf.tracking_params()):
        _land(touches, query_string)
    return touches


def _land(touches: attribution.Touches, query_string: str) -> None:
    request = touches.request
    if not attribution.is_document(request.META, request.method):
        return
    # WSGI hands bytes over as latin-1 text, ASGI as UTF-8 text.
    raw = query_string.encode("latin-1" if hasattr(request, "environ") else "utf-8", "replace")
    touches.landing = attribution.capture(raw, settings.TRACKING_PARAMS, datetime.now(UTC))
    for parameter, reason in touches.landing.refusals if touches.landing else ():
        logger.warning(
            "track360: a landing's %s was refused: %s; an earlier value is kept.", parameter, reason
        )
        signals.attribution_dropped.send_robust(
            sender=TrackingMiddleware, request=request, parameter=parameter, reason=reason
        )


def _remember(touches: attribution.Touches, response: HttpResponseBase) -> None:
    try:
        if _is_to_remember(touches):
            memory = touches.memory
            if attribution.reads_session(touches.request, settings):
                touches.request.session[attribution.SESSION_KEY] = memory.as_state()
            _write_cookie(response, memory)
    except Exception as error:  # noqa: BLE001  see there
        _log_unremembered(error)


async def _remember_async(touches: attribution.Touches, response: HttpResponseBase) -> None:
    try:
        if _is_to_remember(touches):
            memory = await touches.aload()
            if attribution.reads_session(touches.request, settings):
                await touches.request.session.aset(attribution.SESSION_KEY, memory.as_state())
            _write_cookie(response, memory)
    except Exception as error:  # noqa: BLE001  see there
        _log_unremembered(error)


def _is_to_remember(touches: attribution.Touches) -> bool:
    has_touch = touches.landing is not None and touches.landing.touch is not None
    return has_touch and attribution.may_remember(touches.request, settings)


def _write_cookie(response: HttpResponseBase, memory: attribution.Memory) -> None:
    if "cookie" in settings.STORAGE:
        attribution.write_cookie(response, memory, settings)


def _log_unremembered(error: Exception) -> None:
    """A session store that is down, or a consent function that fails, must not cost the host the page."""
    kind = type(error).__name__
    logger.error("track360: a landing could not be remembered (%s); the page was served all the same.", kind)
