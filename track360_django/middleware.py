"""
The entrance of visitors: remembers landings with tracking data and carries the touches through the request.

A request without a tracking parameter costs a substring test; no query, no session, no header is touched.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.utils.cache import patch_cache_control, patch_vary_headers

from track360_django import attribution, conf, customers, signals, signup

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    Handler = Callable[[HttpRequest], HttpResponseBase]
    AsyncHandler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

logger = logging.getLogger(__name__)

# Names of this module: each look-up through another one would be paid by every request of the host.
_Touches = attribution.Touches
_serving = attribution.serving
_has_parameter = attribution.has_parameter
_watch = attribution.watch
_entrance = conf.entrance
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


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
        token = _serving.set(touches)
        try:
            response: HttpResponseBase = self.get_response(request)
        finally:
            _serving.reset(token)
        if len(touches.__dict__) > 1 and _has_work(touches):
            _finish(touches, response)
        return response

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        touches = _enter(request)
        token = _serving.set(touches)
        try:
            response: HttpResponseBase = await self.get_response(request)
        finally:
            _serving.reset(token)
        if _has_work(touches):
            # Sessions, consent functions, receivers and tables are the host's, and may block.
            await sync_to_async(_finish)(touches, response)
        return response


def _enter(request: HttpRequest) -> attribution.Touches:
    touches = _Touches(request)
    request.track360 = touches  # type: ignore[attr-defined]  # our public attribute on Django's request
    query_string = request.META.get("QUERY_STRING")
    if query_string and _has_parameter(query_string, _entrance().params):
        _note_query(touches, query_string)
    if request.method in _WITH_BODY:
        touches.has_body = True
        _watch(request)
    return touches


def _note_query(touches: attribution.Touches, query_string: str) -> None:
    """Note what the URL says; it is read later, for whose it is may be told by a middleware behind this one."""
    request = touches.request
    is_landing = attribution.is_document(request.META, request.method)
    if is_landing:
        touches.is_landing = True
    if is_landing or request.method in _WITH_BODY:
        # WSGI hands bytes over as latin-1 text, ASGI as UTF-8 text.
        encoding = "latin-1" if hasattr(request, "environ") else "utf-8"
        touches.query = query_string.encode(encoding, "replace")


def _has_work(touches: attribution.Touches) -> bool:
    """Tell whether the response needs something: touches that nobody used hold their request, and that it has a body."""
    if len(touches.__dict__) > 1 + touches.has_body:
        return True
    return touches.has_body and "_post" in touches.request.__dict__ and touches.carries_news


def _finish(touches: attribution.Touches, response: HttpResponseBase) -> None:
    """Do what a response still needs: remember its landing, keep it apart in caches, release its signup."""
    landing = _landing_of(touches)
    if landing is not None:
        _tell_refusals(touches, landing)
    if touches.held:
        signup.release(touches)
    if touches.is_forgotten or _has_signed_up(touches):
        _forget(touches, response)
    elif landing is not None or (touches.carries_news and _is_nobody_known(touches)):
        _remember(touches, response)
    if touches.is_read or touches.is_private:
        # As the session does: what the page said may depend on who asked.
        patch_vary_headers(response, ("Cookie", attribution.HEADER))
    if touches.is_private:
        patch_cache_control(response, private=True)


def _landing_of(touches: attribution.Touches) -> attribution.Landing | None:
    try:
        return touches.landing
    except Exception as error:  # noqa: BLE001  see _log_unremembered
        _log_unremembered(error)
        return None


def _is_nobody_known(touches: attribution.Touches) -> bool:
    """Tell whether nobody is logged in: a form that was open since before a signup brings nothing back."""
    try:
        return not getattr(getattr(touches.request, "user", None), "is_authenticated", False)
    except Exception as error:  # noqa: BLE001  see _log_unremembered
        _log_unremembered(error)
        return False


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


def _has_signed_up(touches: attribution.Touches) -> bool:
    """Tell whether a signup of this request was committed: who uses this browser next is somebody else."""
    if not touches.signed_up:
        return False
    try:
        return customers.exist(touches.signed_up)
    except Exception as error:  # noqa: BLE001  the page is served: nothing of ours may break it now
        _log_unremembered(error)
        return False


def _forget(touches: attribution.Touches, response: HttpResponseBase) -> None:
    touches.is_private = True
    try:
        attribution.erase(touches.request, response, touches.settings)
    except Exception as error:  # noqa: BLE001  see _log_unremembered
        _log_unremembered(error)


def _remember(touches: attribution.Touches, response: HttpResponseBase) -> None:
    """Remember a landing in cookie and session; one that fails leaves the other, and the page as it is."""
    request = touches.request
    try:
        settings = touches.settings
        if not settings.ENABLED or not attribution.may_remember(request, settings):
            return
        memory = _recall(touches)
        if memory == touches.remembered:
            return
        touches.is_private = True
        if "cookie" in settings.STORAGE:
            attribution.write_cookie(response, memory, settings)
        # Why a value was refused is worth a cookie, and no row in a table of sessions.
        if attribution.reads_session(request, settings) and memory.last is not None:
            attribution.write_session(request, response, memory.as_state(), settings)
    except Exception as error:  # noqa: BLE001  see there
        _log_unremembered(error)


def _recall(touches: attribution.Touches) -> attribution.Memory:
    try:
        return touches.memory
    except Exception as error:  # noqa: BLE001  see there
        _log_unremembered(error)
        touches.forget_all_but_landing()
        return touches.memory


def _log_unremembered(error: Exception) -> None:
    """A session store that is down, or a consent function that fails, must not cost the host the page."""
    kind = type(error).__name__
    logger.error(
        "track360: a landing was not remembered completely (%s); the page was served all the same.", kind
    )
