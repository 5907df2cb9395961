"""Requests as they come from the wire, byte by byte, into the host's WSGI and ASGI handlers: no client tidies them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler

# What only we add: cookies, and what keeps caches from handing them on.
OURS = {"set-cookie", "vary", "cache-control"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; `length` is what it says its body's length is, None for the truth."""

    path: str = "/hostile/untouched/"
    method: str = "GET"
    query: bytes = b""
    headers: Mapping[str, bytes] = field(default_factory=dict)
    body: bytes = b""
    length: bytes | None = None

    @property
    def wire_headers(self) -> dict[str, bytes]:
        """The headers as they are sent, with host and length."""
        length = str(len(self.body)).encode() if self.length is None else self.length
        said = {name.lower(): value for name, value in self.headers.items()}
        return {"host": b"testserver", "content-length": length, **said}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a stranger gets; None as status: the server hung up."""

    status: int | None
    headers: frozenset[tuple[str, str]]
    body: bytes


def over_wsgi(request: Request, handler: Any = None) -> Answer:
    """Send a request to the host as a WSGI server does."""
    handler = handler or WSGIHandler()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query.decode("latin-1"),
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.wire_headers.items():
        key = name.upper().replace("-", "_")
        prefix = "" if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else "HTTP_"
        environ[prefix + key] = value.decode("latin-1")
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    response = handler(environ, lambda status, headers, *_: begun.append((status, headers)))
    try:
        body = b"".join(response)
    finally:
        response.close()
    status, headers = begun[0]
    return Answer(status=int(status.split()[0]), headers=_theirs(headers), body=body)


def over_asgi(request: Request, handler: Any = None, *, hangs_up: bool = False) -> Answer:
    """Send a request to the host as an ASGI server does; a client that hangs up never sends the rest."""
    return async_to_sync(_over_asgi)(request, handler or ASGIHandler(), hangs_up=hangs_up)


def each_over_asgi(requests: Sequence[Request], handler: Any) -> list[Answer]:
    """Send requests one after the other to a host on one event loop, each in a task of its own, as servers do."""

    async def send() -> list[Answer]:
        return [
            await asyncio.create_task(_over_asgi(request, handler, hangs_up=False)) for request in requests
        ]

    return async_to_sync(send)()


async def _over_asgi(request: Request, handler: Any, *, hangs_up: bool) -> Answer:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.query,
        "root_path": "",
        "headers": [(name.encode(), value) for name, value in request.wire_headers.items()],
        "client": ["127.0.0.1", 1],
        "server": ["testserver", 80],
    }
    half = len(request.body) // 2
    coming: list[dict[str, Any]] = [
        {"type": "http.request", "body": request.body[:half], "more_body": True},
        {"type": "http.disconnect"}
        if hangs_up
        else {"type": "http.request", "body": request.body[half:], "more_body": False},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        if not coming:
            await asyncio.Event().wait()
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await handler(scope, receive, send)
    if not sent:
        return Answer(status=None, headers=frozenset(), body=b"")
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in sent[0]["headers"]]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(status=sent[0]["status"], headers=_theirs(headers), body=body)


def _theirs(headers: list[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset((name.lower(), value) for name, value in headers if name.lower() not in OURS)
