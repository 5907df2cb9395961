"""
The sandbox as Django views: development only, loopback only.

Its records are in the memory of the process, so serve it from one process (`runserver` does). Faults that need the
socket are refused here; see `faults`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpResponse, HttpResponseForbidden
from django.views.decorators.csrf import csrf_exempt

from .api import answer
from .exchange import Request, Response, Sandbox, refuse
from .loopback import is_loopback
from .store import Store

if TYPE_CHECKING:
    from django.http import HttpRequest

    from .exchange import Route

SANDBOX: Final = Sandbox(store=Store())


@csrf_exempt  # programs call the API that it imitates, and they have no cookie to abuse
def serve(request: HttpRequest, route: Route) -> HttpResponse:
    """
    Answer a request to one of the sandbox's paths.

    Raises:
        Http404: DEBUG is off.
    """
    if not settings.DEBUG:
        message = "the sandbox is for development"
        raise Http404(message)
    if not _is_local(request):
        return HttpResponseForbidden("The sandbox only answers this machine.", content_type="text/plain")
    return _carry_out(_answer(request, route))


def _is_local(request: HttpRequest) -> bool:
    # A server on a unix socket has no remote address. A client that can open the socket is on this machine.
    address = request.META.get("REMOTE_ADDR", "")
    return not address or is_loopback(address)


def _answer(request: HttpRequest, route: Route) -> Response:
    try:
        body = request.body
    except RequestDataTooBig:
        return refuse(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is larger than DATA_UPLOAD_MAX_MEMORY_SIZE"
        )
    headers = {name.lower(): value for name, value in request.headers.items()}
    wanted = Request(method=request.method or "", route=route, headers=headers, body=body)
    return answer(wanted, replace(SANDBOX, tokens=_tokens()))


def _tokens() -> frozenset[str]:
    configured = getattr(settings, "TRACK360_SANDBOX_TOKENS", ())
    return frozenset((configured,) if isinstance(configured, str) else configured)


def _carry_out(response: Response) -> HttpResponse:
    if response.fault:
        time.sleep(response.fault.delay_seconds)
    if response.seq is not None:
        SANDBOX.store.log.note_answered(response.seq)
    return HttpResponse(
        response.body,
        status=response.status,
        content_type=response.content_type,
        headers=dict(response.headers),
    )
