"""The values between a transport and the sandbox: requests, responses, and the sandbox itself. No decisions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Literal

from . import guide
from .faults import Fault, Faults
from .problem import Problem
from .store import Store

Route = Literal["customers", "activities", "page", "records", "faults"]
Headers = tuple[tuple[str, str], ...]

ROUTES: Final[Mapping[str, Route]] = {
    guide.PATHS["customers"]: "customers",
    guide.PATHS["activities"]: "activities",
    "/sandbox/": "page",
    "/sandbox/records": "records",
    "/sandbox/faults": "faults",
}
METHODS: Final[Mapping[Route, tuple[str, ...]]] = {
    "customers": ("POST",),
    "activities": ("POST",),
    "page": ("GET",),
    "records": ("GET", "DELETE"),
    "faults": ("GET", "POST", "DELETE"),
}
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
MAX_ERRORS: Final = 100
_OWN_CHOICE: Final = "none: the guide does not say, the sandbox decides"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """
    The sandbox that a transport serves.

    Attributes:
        store: The records.
        faults: The faults still to come.
        tokens: The accepted brand tokens; if there are none, every non-empty token is accepted.
    """

    store: Store = field(default_factory=Store)
    faults: Faults = field(default_factory=Faults)
    tokens: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request that was read completely. `route` is None for an unknown path. Header names are in lower case."""

    method: str
    route: Route | None
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def token(self) -> str:
        """Return the brand's token; empty if there is none."""
        return self.headers.get(guide.API_KEY_HEADER, "").strip()

    @property
    def is_json(self) -> bool:
        """Whether the headers say that the body is JSON in UTF-8."""
        media_type, _, parameters = self.headers.get("content-type", "").partition(";")
        charset = parameters.strip().lower().replace('"', "")
        return media_type.strip().lower() == guide.MEDIA_TYPE and charset in ("", "charset=utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """
    An answer, and how to send it.

    Attributes:
        status: HTTP status.
        body: The body as it is sent.
        content_type: Its media type.
        headers: Further headers.
        fault: The fault of this answer; None if there is none.
        seq: Number of the request in the log; None if it is not logged.
    """

    status: int
    body: bytes
    content_type: str = guide.MEDIA_TYPE
    headers: Headers = ()
    fault: Fault | None = None
    seq: int | None = None


def respond(status: int, content: object, *, headers: Headers = ()) -> Response:
    """Return an answer with JSON content."""
    return Response(status=status, body=json.dumps(content).encode(), headers=headers)


def respond_with_problems(status: int, problems: Sequence[Problem], *, headers: Headers = ()) -> Response:
    """
    Return a refusal that lists its reasons, the first hundred.

    Source: none, our choice: the guide does not describe refusals.
    """
    errors = [problem.as_json() for problem in problems[:MAX_ERRORS]]
    return respond(status, {"errors": errors}, headers=headers)


def refuse(status: HTTPStatus, error: str, *, headers: Headers = ()) -> Response:
    """Return a refusal for a reason that concerns no record and no section of the guide."""
    problem = Problem(code="request", error=error, guide=_OWN_CHOICE)
    return respond_with_problems(status, (problem,), headers=headers)
