"""
The endpoint of the script for pages that Django does not render: remember a landing, or forget it.

It checks all fields that it receives, and never returns them. The middleware does the rest, including consent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import HttpResponse, UnreadablePostError
from django.http.request import RawPostDataException
from django.middleware.csrf import CsrfViewMiddleware
from django.views.decorators.csrf import csrf_exempt

from track360_django import attribution

if TYPE_CHECKING:
    from django.http import HttpRequest

# Room for some parameters of 50 characters, each of up to twelve bytes in a form, and for a carry token.
MAX_BODY: Final = 2048
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
FORGET: Final = "forget"

# Note [Who may make a browser remember]
# The remembered landing decides which affiliate is paid, so a page of another site must not set it unseen. (Visibly,
# every site may: a link to a landing page is the purpose of all this.) Browsers send where a request comes from, in
# headers that no page can set: `Sec-Fetch-Site`, and in older browsers `Origin`. The host's own origin may, and so may
# the origins that the host trusts already: `CSRF_TRUSTED_ORIGINS`. A sub-domain that is not in this list may not: it may
# belong to another person's blog. A request with neither header needs Django's CSRF token. So the script needs no token,
# which a page from a CDN could not have. The view is exempt from Django's check, and does this check instead.


# For visitors who have no account yet, also under Django's `LoginRequiredMiddleware`.
@login_not_required
@csrf_exempt
def remember(request: HttpRequest) -> HttpResponse:
    """
    Remember the tracking data from the URL of a page (POST), or forget all of it (DELETE, or POST with `forget`).

    The fields, of a form or the top level of a JSON object, are those of the header `X-Track360-Tracking`. The answer
    has no content. It is 204 whether or not there was something to remember, so that it reveals nothing.

    Source: none, our choice: cookies of scripts are short-lived in some browsers, cookies of servers are not.
    """
    answer = HttpResponse(status=_serve(request), headers={"Cache-Control": "no-store"})
    if answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer["Allow"] = "POST, DELETE"
    return answer


def _serve(request: HttpRequest) -> HTTPStatus:
    """Handle a request and return the status. A refused request costs neither session access nor query."""
    refusal = _refuse(request)
    if refusal is not None:
        return refusal
    fields = {FORGET: ""} if request.method == "DELETE" else _fields_of(request)
    if fields is None:
        return HTTPStatus.BAD_REQUEST
    touches = getattr(request, "track360", None)
    if isinstance(touches, attribution.Touches):
        _carry_out(fields, touches)
    return HTTPStatus.NO_CONTENT


def _carry_out(fields: Mapping[str, Any], touches: attribution.Touches) -> None:
    """Make the middleware remember or forget at the end of the request."""
    if FORGET in fields:
        touches.forget()
    elif touches.settings.ENABLED:
        texts = attribution.texts_of(fields, attribution.names_of_fields(touches.settings))
        landing = attribution.landing_of(texts, touches.settings, datetime.now(UTC))
        if landing is not None:
            touches.land(landing)


def _refuse(request: HttpRequest) -> HTTPStatus | None:
    if request.method not in ("POST", "DELETE"):
        return HTTPStatus.METHOD_NOT_ALLOWED
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isdecimal() and length.isascii()) or "HTTP_TRANSFER_ENCODING" in request.META:
        return HTTPStatus.LENGTH_REQUIRED
    if len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if request.method == "POST" and request.content_type not in (FORM, JSON):
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    return None if _comes_from_us(request) else HTTPStatus.FORBIDDEN


def _comes_from_us(request: HttpRequest) -> bool:
    """Return whether a page of the host itself sent the request; see Note [Who may make a browser remember]."""
    said = attribution.says_own_page(request)
    return _has_token(request) if said is None else said


class _Check(CsrfViewMiddleware):
    """Django's check of a token, which returns its result and renders no page."""

    def _reject(self, _request: HttpRequest, reason: str) -> Any:
        return reason


def _has_token(request: HttpRequest) -> bool:
    check = _Check(lambda _: HttpResponse())
    try:
        check.process_request(request)
        # With a view that is not exempt; `remember` itself is.
        return check.process_view(request, lambda _: HttpResponse(), (), {}) is None
    except (SuspiciousOperation, BadRequest):
        # The form that should contain the token can't be read.
        return False


def _fields_of(request: HttpRequest) -> Mapping[str, Any] | None:
    """Return the fields of a small body, None if it can't be read."""
    try:
        found = json.loads(request.body) if request.content_type == JSON else request.POST.dict()
    except (ValueError, RecursionError, SuspiciousOperation, BadRequest):
        return None
    except (RequestDataTooBig, UnreadablePostError, RawPostDataException):
        return None
    return found if isinstance(found, Mapping) else None
