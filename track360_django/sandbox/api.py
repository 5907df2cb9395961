"""
The sandbox without a transport: a request in, a response out, the rest in the store.

Both the Django views and the standalone server call `answer`, then carry the response out: wait as long as its
fault says, note the answer in the log, write it, or break off.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, cast

from . import guide, page, records
from .body import UnreadableError, read_batch
from .faults import Fault, FaultError, Faults
from .problem import Problem
from .store import Receipt, Store, fingerprint
from .validation import find_problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .body import Record
    from .guide import Endpoint

Route = Literal["customers", "activities", "page", "records", "faults"]

ROUTES: Final[Mapping[str, Route]] = {
    guide.PATHS["customers"]: "customers",
    guide.PATHS["activities"]: "activities",
    "/sandbox/": "page",
    "/sandbox/records": "records",
    "/sandbox/faults": "faults",
}
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
_MAX_ERRORS: Final = 100
_HTML: Final = "text/html; charset=utf-8"
_METHODS: Final[Mapping[Route, tuple[str, ...]]] = {
    "customers": ("POST",),
    "activities": ("POST",),
    "page": ("GET",),
    "records": ("GET", "DELETE"),
    "faults": ("GET", "POST", "DELETE"),
}
_OWN_CHOICE: Final = "none: the guide doesn't say, the sandbox decides"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """
    What a transport serves.

    Attributes:
        store: The memory.
        faults: What goes wrong next.
        tokens: Brand tokens that are accepted; if there are none, every non-empty one is.
    """

    store: Store = field(default_factory=Store)
    faults: Faults = field(default_factory=Faults)
    tokens: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request that was read completely; `route` is None for an unknown path, header names are in lower case."""

    method: str
    route: Route | None
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """
    An answer, and how to give it.

    Attributes:
        status: HTTP status.
        body: The body as it goes out.
        content_type: Its media type.
        headers: Further headers.
        fault: What goes wrong with it; None if nothing does.
        seq: Number of the request in the log; None if it is not logged.
    """

    status: int
    body: bytes
    content_type: str = guide.MEDIA_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    fault: Fault | None = None
    seq: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """What the sandbox itself makes of a report."""

    status: int
    receipt: Receipt
    headers: tuple[tuple[str, str], ...] = ()


def answer(request: Request, sandbox: Sandbox) -> Response:
    """Answer a request."""
    if request.route is None:
        return refuse(HTTPStatus.NOT_FOUND, "no such path; see the guide for the two endpoints")
    if request.route in guide.PATHS:
        return _answer_report(request, cast("Endpoint", request.route), sandbox)
    if request.method not in _METHODS[request.route]:
        return _as_response(_refuse_method(request))
    if request.route == "page":
        return Response(status=HTTPStatus.OK, body=page.render(sandbox.store.snapshot()), content_type=_HTML)
    if request.route == "records":
        return _answer_records(request, sandbox.store)
    return _answer_faults(request, sandbox.faults)


def refuse(status: HTTPStatus, error: str) -> Response:
    """Return a refusal of the sandbox's own, for what concerns no record."""
    return _as_response(_refusal(status, Problem(code="request", error=error, guide=_OWN_CHOICE)))


def _answer_report(request: Request, endpoint: Endpoint, sandbox: Sandbox) -> Response:
    log = sandbox.store.log
    seq = log.open(endpoint)
    batch = _read(request)
    arrived = len(batch) if isinstance(batch, list) else 0
    fault = sandbox.faults.take(endpoint, arrived)
    is_processed = fault is None or fault.is_processed
    outcome = _process(request, endpoint, sandbox, batch, seq) if is_processed else _UNTOUCHED
    response = _as_response(outcome) if fault is None else _make_faulty(fault, outcome)
    log.note(
        seq,
        brand=fingerprint(_token(request)) if _token(request) else "",
        status=response.status,
        records=arrived,
        accepted=outcome.receipt.accepted,
        duplicates=outcome.receipt.duplicates,
        fault=str(fault or ""),
        problems=outcome.receipt.problems,
    )
    return replace(response, seq=seq)


def _read(request: Request) -> list[object] | Problem:
    try:
        return read_batch(request.body)
    except UnreadableError as error:
        return error.problem


def _process(
    request: Request, endpoint: Endpoint, sandbox: Sandbox, batch: list[object] | Problem, seq: int
) -> _Outcome:
    refusal = _check_envelope(request, sandbox.tokens)
    if refusal:
        return refusal
    if isinstance(batch, Problem):
        return _refusal(HTTPStatus.BAD_REQUEST, batch)
    problems = tuple(islice(find_problems(endpoint, batch), _MAX_ERRORS))
    if problems:
        return _refusal(HTTPStatus.BAD_REQUEST, *problems)
    valid = cast("list[Record]", batch)
    receipt = sandbox.store.accept(endpoint, fingerprint(_token(request)), valid, seq=seq)
    return _Outcome(status=_receipt_status(receipt), receipt=receipt)


def _check_envelope(request: Request, tokens: frozenset[str]) -> _Outcome | None:
    if request.method not in _METHODS[cast("Route", request.route)]:
        return _refuse_method(request)
    token = _token(request)
    if not token or (tokens and token not in tokens):
        error = "not a token of a brand here" if token else "the header is missing or empty"
        problem = Problem(code="auth", field=guide.API_KEY_HEADER, error=error, guide=guide.AUTHENTICATION)
        return _refusal(HTTPStatus.UNAUTHORIZED, problem)
    if not _is_json(request):
        error = f"must be {guide.MEDIA_TYPE}"
        problem = Problem(code="request", field="content-type", error=error, guide=guide.AUTHENTICATION)
        return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
    return None


def _answer_records(request: Request, store: Store) -> Response:
    if request.method == "DELETE":
        store.clear()
        return _json(HTTPStatus.OK, {"cleared": True})
    return _json(HTTPStatus.OK, records.as_json(store.snapshot()))


def _answer_faults(request: Request, faults: Faults) -> Response:
    if request.method == "POST":
        return _add_fault(request, faults)
    if request.method == "DELETE":
        faults.clear()
    return _json(HTTPStatus.OK, {"faults": faults.waiting()})


def _add_fault(request: Request, faults: Faults) -> Response:
    if not _is_json(request):
        return refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content-type must be {guide.MEDIA_TYPE}")
    try:
        fault = faults.add(Fault.from_json(json.loads(request.body)))
    except FaultError as error:
        return refuse(HTTPStatus.BAD_REQUEST, str(error))
    except (ValueError, RecursionError):
        return refuse(HTTPStatus.BAD_REQUEST, "the body is not JSON")
    return _json(HTTPStatus.CREATED, {"fault": fault.as_json()})


def _make_faulty(fault: Fault, outcome: _Outcome) -> Response:
    own = _as_response(outcome)
    if not fault.replaces_answer and outcome is not _UNTOUCHED:
        return replace(own, fault=fault)
    headers = (("Retry-After", fault.retry_after), ("Location", fault.location))
    return Response(
        status=fault.status or own.status,
        body=_FAULT_BODY if fault.body is None else fault.body.encode("utf-8", "replace"),
        content_type=fault.content_type,
        headers=tuple((name, value) for name, value in headers if value is not None),
        fault=fault,
    )


def _refuse_method(request: Request) -> _Outcome:
    allowed = ", ".join(_METHODS[cast("Route", request.route)])
    problem = Problem(code="request", error=f"the method must be {allowed}", guide=guide.REQUEST_FORMAT)
    return replace(_refusal(HTTPStatus.METHOD_NOT_ALLOWED, problem), headers=(("Allow", allowed),))


def _refusal(status: HTTPStatus, *problems: Problem) -> _Outcome:
    return _Outcome(status=status, receipt=Receipt(problems=problems))


def _receipt_status(receipt: Receipt) -> HTTPStatus:
    if not receipt.problems:
        return HTTPStatus.OK
    is_full = receipt.problems[0].code == "capacity"
    return HTTPStatus.INSUFFICIENT_STORAGE if is_full else HTTPStatus.BAD_REQUEST


def _as_response(outcome: _Outcome) -> Response:
    receipt = outcome.receipt
    if not receipt.problems:
        content: object = {"accepted": receipt.accepted, "duplicates": receipt.duplicates}
    else:
        content = {"errors": [problem.as_json() for problem in receipt.problems[:_MAX_ERRORS]]}
    return replace(_json(outcome.status, content), headers=outcome.headers)


def _json(status: int, content: object) -> Response:
    return Response(status=status, body=json.dumps(content).encode())


def _token(request: Request) -> str:
    return request.headers.get(guide.API_KEY_HEADER, "").strip()


def _is_json(request: Request) -> bool:
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    return media_type.strip().lower() == guide.MEDIA_TYPE and charset in ("", "charset=utf-8")


_UNTOUCHED: Final = _Outcome(status=HTTPStatus.OK, receipt=Receipt())
_FAULT_BODY: Final = b'{"fault": "on request"}'
