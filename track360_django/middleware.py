"""
The middleware: remember landings with tracking data, and provide the touches during the request.

A request without a tracking parameter costs a substring test: no query, no session access, no header.
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

# Names of this module, because every request of the host would pay for each look-up in another module.
_Touches = attribution.Touches
_serving = attribution.serving
_has_parameter = attribution.has_parameter
_watch = attribution.watch
_entrance = conf.entrance
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class TrackingMiddleware:
    """
    Remembers the tracking parameters of a landing until the visitor signs up. Put it right after SessionMiddleware.

    It sets `request.track360` (`track360_django.attribution.Touches`). It never changes a status code or a body.

    Source: API guide, "Tracking Parameters".
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler | AsyncHandler) -> None:
        # Any, because `cast` would be a call in each request.
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
            # Sessions, consent functions, receivers and tables belong to the host and may block.
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
    """Keep the query string to read it later: a middleware after this one may still set the brand of the request."""
    request = touches.request
    is_landing = attribution.is_document(request.META, request.method)
    if is_landing:
        touches.is_landing = True
    if is_landing or request.method in _WITH_BODY:
        # WSGI passes bytes as latin-1 text, ASGI as UTF-8 text.
        encoding = "latin-1" if hasattr(request, "environ") else "utf-8"
        touches.query = query_string.encode(encoding, "replace")


def _has_work(touches: attribution.Touches) -> bool:
    """Return whether the response needs work. Unused touches hold only their request, and `has_body` if there is one."""
    if len(touches.__dict__) > 1 + touches.has_body:
        return True
    return touches.has_body and "_post" in touches.request.__dict__ and touches.carries_news


def _finish(touches: attribution.Touches, response: HttpResponseBase) -> None:
    """Finish a response: remember its landing, keep it out of shared caches, release its signup."""
    landing = _landing_of(touches)
    if landing is not None:
        _report_refusals(touches, landing)
    if touches.held:
        signup.release(touches)
    if touches.is_forgotten or _has_signed_up(touches):
        _forget(touches, response)
    elif landing is not None or (touches.carries_news and _is_anonymous(touches)):
        _remember(touches, response)
    if touches.is_read or touches.is_private:
        # As the session does: the content of the page may depend on the visitor.
        patch_vary_headers(response, ("Cookie", attribution.HEADER))
    if touches.is_private:
        patch_cache_control(response, private=True)


def _landing_of(touches: attribution.Touches) -> attribution.Landing | None:
    try:
        return touches.landing
    except Exception as error:  # noqa: BLE001  see _log_unremembered
        _log_unremembered(error)
        return None


def _is_anonymous(touches: attribution.Touches) -> bool:
    """Return whether the visitor is anonymous. After a signup, a form that was opened before it must bring nothing back."""
    try:
        return not getattr(getattr(touches.request, "user", None), "is_authenticated", False)
    except Exception as error:  # noqa: BLE001  see _log_unremembered
        _log_unremembered(error)
        return False


def _report_refusals(touches: attribution.Touches, landing: attribution.Landing) -> None:
    for parameter, reason in landing.refusals:
        logger.warning(
            "track360: the value of %s in a landing was refused (%s). An earlier value, if there is one, stays.",
            parameter,
            reason,
        )
        signals.attribution_dropped.send_robust(
            sender=TrackingMiddleware, request=touches.request, parameter=parameter, reason=reason
        )


def _has_signed_up(touches: attribution.Touches) -> bool:
    """Return whether a signup of this request was committed: the next visitor with this browser is another person."""
    if not touches.signed_up:
        return False
    try:
        return customers.exist(touches.signed_up)
    except Exception as error:  # noqa: BLE001  the page is ready: nothing of ours may break it now
        _log_unremembered(error)
        return False


def _forget(touches: attribution.Touches, response: HttpResponseBase) -> None:
    touches.is_private = True
    try:
        attribution.erase(touches.request, response, touches.settings)
    except Exception as error:  # noqa: BLE001  see _log_unremembered
        _log_unremembered(error)


def _remember(touches: attribution.Touches, response: HttpResponseBase) -> None:
    """Remember a landing in cookie and session. If one of them fails, the other and the page are not affected."""
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
            attribution.write_cookie(request, response, memory, settings)
        # The reason of a refusal is worth a cookie, but not a row in the table of sessions.
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
    """Log an error: a session store that is down, or a consent function that fails, must not break the host's page."""
    kind = type(error).__name__
    logger.error(
        "track360: could not remember a landing completely (%s). The page was served as usual.", kind
    )
