"""
The entrance of visitors: remembers landings with tracking data and carries the touches through the request.

A request without a tracking parameter costs a substring test; no query, no session, no header is touched.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings as django_settings
from django.utils.cache import patch_vary_headers

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
        # Any: `cast` would be a call in each request.
        self.get_response: Any = get_response
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
            response: HttpResponseBase = self.get_response(request)
        finally:
            attribution._current.reset(token)  # noqa: SLF001
        if touches.landing is not None or touches.is_read or touches.held:
            _finish(touches, response)
        return response

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        touches = _enter(request)
        token = attribution._current.set(touches)  # noqa: SLF001
        try:
            response: HttpResponseBase = await self.get_response(request)
        finally:
            attribution._current.reset(token)  # noqa: SLF001
        if touches.landing is not None or touches.is_read or touches.held:
            # Sessions, consent functions, receivers and tables are the host's, and may block.
            await sync_to_async(_finish)(touches, response)
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


def _finish(touches: attribution.Touches, response: HttpResponseBase) -> None:
    """Do what a response still needs: remember its landing, keep it apart in caches, release its signup."""
    if touches.landing is not None:
        _tell_refusals(touches, touches.landing)
        _remember(touches, touches.landing, response)
    if touches.is_read:
        # As the session does: what the page said may depend on who asked.
        patch_vary_headers(response, ("Cookie",))
    if touches.held:
        signup.release(touches)


def _tell_refusals(touches: attribution.Touches, landing: attribution.Landing) -> None:
    for parameter, reason in landing.refusals:
        logger.warning(
            "track360: a landing's %s was refused: %s; an earlier value, if there is one, stays.",
            parameter,
            reason,
        )
        signals.attribution_dropped.send_robust(
            sender=TrackingMiddleware, request=touches.request, parameter=parameter, reason=reason
        )


def _remember(touches: attribution.Touches, landing: attribution.Landing, response: HttpResponseBase) -> None:
    """Remember a touch in cookie and session; one that fails leaves the other, and the page as it is."""
    request = touches.request
    try:
        if landing.touch is None or not attribution.may_remember(request, settings):
            return
        memory = _recall(touches)
        if "cookie" in settings.STORAGE:
            attribution.write_cookie(response, memory, settings)
        if attribution.reads_session(request, settings):
            _write_session(request, memory, is_saved=response.status_code < 500)
    except Exception as error:  # noqa: BLE001  see there
        _log_unremembered(error)


def _recall(touches: attribution.Touches) -> attribution.Memory:
    try:
        return touches.memory
    except Exception as error:  # noqa: BLE001  see there
        _log_unremembered(error)
        return touches.forget_all_but_landing()


def _write_session(request: HttpRequest, memory: attribution.Memory, *, is_saved: bool) -> None:
    """
    Keep a memory in the session, and save it now if nobody else would have.

    SessionMiddleware saves after us, where an error is a page that fails: so what fails, fails here first, and leaves
    a session that nobody has touched.
    """
    session = request.session
    is_hosts = session.modified
    try:
        session[attribution.SESSION_KEY] = memory.as_state()
        if is_saved and not is_hosts:
            session.save()
    except Exception:
        if not is_hosts:
            request.session = type(session)(request.COOKIES.get(django_settings.SESSION_COOKIE_NAME))
        raise


def _log_unremembered(error: Exception) -> None:
    """A session store that is down, or a consent function that fails, must not cost the host the page."""
    kind = type(error).__name__
    logger.error(
        "track360: a landing was not remembered completely (%s); the page was served all the same.", kind
    )
