"""The two endpoints of the guide: check a request's headers, then its records, then compare with the store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

from . import guide
from .body import UnreadableError, read_batch
from .exchange import MAX_ERRORS, METHODS, Headers, Request, Response, Sandbox, respond, respond_with_problems
from .problem import Problem
from .store import Receipt, fingerprint
from .validation import find_problems

if TYPE_CHECKING:
    from .body import Record
    from .faults import Fault
    from .guide import Endpoint

Batch = list[object] | Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """The sandbox's own result for a report."""

    status: int
    receipt: Receipt
    headers: Headers = ()


def answer_report(request: Request, endpoint: Endpoint, sandbox: Sandbox) -> Response:
    """Answer a request to one of the guide's endpoints, or let the next fault answer it."""
    seq = sandbox.store.log.open(endpoint)
    batch = _read(request)
    arrived = len(batch) if isinstance(batch, list) else 0
    fault = sandbox.faults.take(endpoint, arrived)
    is_processed = fault is None or fault.is_processed
    outcome = _process(request, endpoint, sandbox, batch, seq) if is_processed else _UNTOUCHED
    response = replace(_respond(outcome, fault), seq=seq)
    sandbox.store.log.note(
        seq,
        brand=fingerprint(request.token) if request.token else "",
        status=response.status,
        records=arrived,
        accepted=outcome.receipt.accepted,
        duplicates=outcome.receipt.duplicates,
        fault=str(fault or ""),
        problems=outcome.receipt.problems,
    )
    return response


def _read(request: Request) -> Batch:
    try:
        return read_batch(request.body)
    except UnreadableError as error:
        return error.problem


def _process(request: Request, endpoint: Endpoint, sandbox: Sandbox, batch: Batch, seq: int) -> _Outcome:
    refusal = _check_envelope(request, endpoint, sandbox.tokens)
    if refusal:
        return refusal
    if isinstance(batch, Problem):
        return _refuse(HTTPStatus.BAD_REQUEST, batch)
    problems = tuple(islice(find_problems(endpoint, batch), MAX_ERRORS))
    if problems:
        return _refuse(HTTPStatus.BAD_REQUEST, *problems)
    valid = cast("list[Record]", batch)
    receipt = sandbox.store.accept(endpoint, fingerprint(request.token), valid, seq=seq)
    return _Outcome(status=_choose_status(receipt), receipt=receipt)


def _check_envelope(request: Request, endpoint: Endpoint, tokens: frozenset[str]) -> _Outcome | None:
    if request.method not in METHODS[endpoint]:
        return _refuse_method(endpoint)
    if not request.token or (tokens and request.token not in tokens):
        error = "not the token of a brand here" if request.token else "the header is missing or empty"
        problem = Problem(code="auth", field=guide.API_KEY_HEADER, error=error, guide=guide.AUTHENTICATION)
        return _refuse(HTTPStatus.UNAUTHORIZED, problem)
    if not request.is_json:
        error = f"must be {guide.MEDIA_TYPE}, in UTF-8"
        problem = Problem(code="request", field="content-type", error=error, guide=guide.AUTHENTICATION)
        return _refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
    return None


def _refuse_method(endpoint: Endpoint) -> _Outcome:
    allowed = ", ".join(METHODS[endpoint])
    problem = Problem(code="request", error=f"the method must be {allowed}", guide=guide.REQUEST_FORMAT)
    return replace(_refuse(HTTPStatus.METHOD_NOT_ALLOWED, problem), headers=(("Allow", allowed),))


def _refuse(status: HTTPStatus, *problems: Problem) -> _Outcome:
    return _Outcome(status=status, receipt=Receipt(problems=problems))


def _choose_status(receipt: Receipt) -> HTTPStatus:
    if not receipt.problems:
        return HTTPStatus.OK
    is_full = receipt.problems[0].code == "capacity"
    return HTTPStatus.INSUFFICIENT_STORAGE if is_full else HTTPStatus.BAD_REQUEST


def _respond(outcome: _Outcome, fault: Fault | None) -> Response:
    own = _respond_normally(outcome)
    if fault is None:
        return own
    if outcome is not _UNTOUCHED and not fault.replaces_answer:
        return replace(own, fault=fault)
    headers = (("Retry-After", fault.retry_after), ("Location", fault.location))
    return Response(
        status=fault.status or own.status,
        body=_FAULT_BODY if fault.body is None else fault.body.encode("utf-8", "replace"),
        content_type=fault.content_type,
        headers=tuple((name, value) for name, value in headers if value is not None),
        fault=fault,
    )


def _respond_normally(outcome: _Outcome) -> Response:
    receipt = outcome.receipt
    if receipt.problems:
        return respond_with_problems(outcome.status, receipt.problems, headers=outcome.headers)
    return respond(outcome.status, {"accepted": receipt.accepted, "duplicates": receipt.duplicates})


_UNTOUCHED: Final = _Outcome(status=HTTPStatus.OK, receipt=Receipt())
_FAULT_BODY: Final = b'{"fault": "on request"}'
