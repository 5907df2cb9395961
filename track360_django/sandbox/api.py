"""
The sandbox without a transport: a request in, a response out, the records in the store.

Both the Django views and the standalone server call `answer`, then carry out the response: wait as long as its
fault says, record the answer in the log, write it, or break the connection.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from .control import answer_control
from .exchange import refuse
from .reports import answer_report

if TYPE_CHECKING:
    from .exchange import Request, Response, Sandbox


def answer(request: Request, sandbox: Sandbox) -> Response:
    """Answer a request."""
    match request.route:
        case None:
            return refuse(HTTPStatus.NOT_FOUND, "no such path; see the guide for the two endpoints")
        case "customers" | "activities" as endpoint:
            return answer_report(request, endpoint, sandbox)
        case route:
            return answer_control(request, route, sandbox)
