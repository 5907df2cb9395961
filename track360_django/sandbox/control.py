"""The sandbox's own paths: show the records, delete them, add faults."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from . import guide, page, records
from .exchange import METHODS, Request, Response, Sandbox, refuse, respond
from .faults import Fault, FaultError, Faults

if TYPE_CHECKING:
    from .exchange import Route
    from .store import Store

_HTML: Final = "text/html; charset=utf-8"


def answer_control(request: Request, route: Route, sandbox: Sandbox) -> Response:
    """Answer a request to one of the sandbox's own paths."""
    if request.method not in METHODS[route]:
        allowed = ", ".join(METHODS[route])
        return refuse(
            HTTPStatus.METHOD_NOT_ALLOWED, f"the method must be {allowed}", headers=(("Allow", allowed),)
        )
    if route == "page":
        return Response(status=HTTPStatus.OK, body=page.render(sandbox.store.snapshot()), content_type=_HTML)
    if route == "records":
        return _answer_records(request, sandbox.store)
    return _answer_faults(request, sandbox.faults)


def _answer_records(request: Request, store: Store) -> Response:
    if request.method == "DELETE":
        store.clear()
        return respond(HTTPStatus.OK, {"cleared": True})
    return respond(HTTPStatus.OK, records.as_json(store.snapshot()))


def _answer_faults(request: Request, faults: Faults) -> Response:
    if request.method == "POST":
        return _add_fault(request, faults)
    if request.method == "DELETE":
        faults.clear()
    return respond(HTTPStatus.OK, {"faults": faults.waiting()})


def _add_fault(request: Request, faults: Faults) -> Response:
    # JSON is required because a form on a web page can't send it without a preflight of the browser.
    if not request.is_json:
        return refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content-type must be {guide.MEDIA_TYPE}")
    try:
        fault = faults.add(Fault.from_json(json.loads(request.body)))
    except FaultError as error:
        return refuse(HTTPStatus.BAD_REQUEST, str(error))
    except (ValueError, RecursionError):
        return refuse(HTTPStatus.BAD_REQUEST, "the body is not JSON")
    return respond(HTTPStatus.CREATED, {"fault": fault.as_json()})
