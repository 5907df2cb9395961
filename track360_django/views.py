"""
The endpoint of the script for pages that Django does not render: remember what it saw, or forget.

What it is sent, it checks; what it was sent, it never says. The middleware does the rest, consent included.
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

# Some parameters of 50 characters, each of which may be twelve bytes in a form, and a carry token.
MAX_BODY: Final = 2048
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
FORGET: Final = "forget"

# Note [Who may make a browser remember]
# What is remembered decides who is paid, so no page of somebody else may plant it unseen. (Seen, everybody may: a link
# to a landing page is what this is all about.) Browsers say where a request comes from, in headers that no page can
# set: `Sec-Fetch-Site`, and `Origin` in those that are older. This very origin may, and those that the host trusts
# anyway: `CSRF_TRUSTED_ORIGINS`. A sub-domain that is not among them may not: it may belong to somebody's blog.
# Who sends neither header is asked for Django's CSRF token. So the script needs no token, which a page of a CDN could
# not have, and the view is exempt from Django's check in order to apply its own.


# Visitors who have no account yet are whom it is for, also under Django's `LoginRequiredMiddleware`.
@login_not_required
@csrf_exempt
def remember(request: HttpRequest) -> HttpResponse:
    """
    Remember what a page of the host saw in its own URL (POST), or forget all of it (DELETE, or POST with `forget`).

    The fields, of a form or the top level of a JSON object, are those of the header `X-Track360-Tracking`. The answer
    has no content: 204 whether or not there was something to remember, so that it tells nobody anything.

    Source: none, our choice: cookies of scripts are short-lived in some browsers, cookies of servers are not.
    """
    answer = HttpResponse(status=_serve(request), headers={"Cache-Control": "no-store"})
    if answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer["Allow"] = "POST, DELETE"
    return answer


def _serve(request: HttpRequest) -> HTTPStatus:
    """Do what a request asks for, and return the status; what is refused costs neither session nor query."""
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
    """Have the middleware remember or forget when the request ends."""
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
    """Tell whether a page of the host's own sent a request; see Note [Who may make a browser remember]."""
    said = attribution.says_own_page(request)
    return _has_token(request) if said is None else said


class _Check(CsrfViewMiddleware):
    """Django's check of a token, which tells its result and renders no page."""

    def _reject(self, _request: HttpRequest, reason: str) -> Any:
        return reason


def _has_token(request: HttpRequest) -> bool:
    check = _Check(lambda _: HttpResponse())
    try:
        check.process_request(request)
        # Of a view that is not exempt, as `remember` is.
        return check.process_view(request, lambda _: HttpResponse(), (), {}) is None
    except (SuspiciousOperation, BadRequest):
        # The form that would hold the token can't be read.
        return False


def _fields_of(request: HttpRequest) -> Mapping[str, Any] | None:
    """Return the fields of a small body; None when it can't be read."""
    try:
        found = json.loads(request.body) if request.content_type == JSON else request.POST.dict()
    except (ValueError, RecursionError, SuspiciousOperation, BadRequest):
        return None
    except (RequestDataTooBig, UnreadablePostError, RawPostDataException):
        return None
    return found if isinstance(found, Mapping) else None
