"""One client's connection to the standalone server: read requests, write the answers of `api` or break them off."""

from __future__ import annotations

import socket
import struct
import time
from http import HTTPStatus
from http.client import responses
from http.server import BaseHTTPRequestHandler
from math import inf
from typing import TYPE_CHECKING, Final, Protocol, cast

from .api import answer
from .exchange import MAX_BODY_BYTES, ROUTES, Request, Response, Sandbox, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event

    from .faults import Ending

_POLL_SECONDS: Final = 0.05
# Linger for zero seconds: closing then sends a reset instead of an orderly end.
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_INTERIM: Final = range(100, 200)
_WITHOUT_BODY: Final = frozenset({*_INTERIM, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Owner(Protocol):
    """The attributes that a connection needs from its server."""

    sandbox: Sandbox
    stopping: Event


class Connection(BaseHTTPRequestHandler):
    """Handles the requests of one client, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Keep the server under the type that is used here."""
        super().setup()
        self._owner = cast("Owner", self.server)

    def log_message(self, *_args: object) -> None:
        """Print nothing: the store has a better log, and a request line may contain anything."""

    def serve(self) -> None:
        """Answer one request."""
        refusal = self._refuse_framing()
        if refusal:
            self.close_connection = True
            self._write(refusal)
            return
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        route = ROUTES.get(self.path.partition("?")[0])
        request = Request(method=self.command, route=route, headers=headers, body=body)
        self._carry_out(answer(request, self._owner.sandbox))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve  # noqa: N815  http.server's names

    def _refuse_framing(self) -> Response | None:
        """Refuse a request without a known end, or with a body that is too large."""
        if "transfer-encoding" in self.headers:
            return refuse(HTTPStatus.LENGTH_REQUIRED, "send a content-length, not chunks")
        length = self.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return refuse(HTTPStatus.BAD_REQUEST, "content-length is not a number")
        if int(length) > MAX_BODY_BYTES:
            return refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MAX_BODY_BYTES} bytes"
            )
        return None

    def _carry_out(self, response: Response) -> None:
        fault = response.fault
        if fault is None:
            self._answer(response)
            return
        if fault.ending == "trickle" or self._wait(fault.delay_seconds):
            _ENDINGS[fault.ending](self, response)

    def _answer(self, response: Response) -> None:
        self._note_answered(response)
        self._write(response)

    def _write(self, response: Response) -> None:
        self.close_connection = self.close_connection or response.status in _INTERIM
        self.wfile.write(self._head(response) + self._body(response))

    def _head(self, response: Response) -> bytes:
        lines = [f"HTTP/1.1 {response.status} {responses.get(response.status, 'Unnamed')}"]
        if response.status not in _WITHOUT_BODY:
            lines += [f"Content-Type: {response.content_type}", f"Content-Length: {len(response.body)}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines += ["Connection: close"] if self.close_connection else []
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def _body(self, response: Response) -> bytes:
        is_without = response.status in _WITHOUT_BODY or self.command == "HEAD"
        return b"" if is_without else response.body

    def _note_answered(self, response: Response) -> None:
        if response.seq is not None:
            self._owner.sandbox.store.log.note_answered(response.seq)

    def _leave(self, response: Response) -> None:
        # The answer does not announce the end, as with idle timeouts: the client notices it at its next request.
        self._answer(response)
        self.close_connection = True

    def _close(self, _response: Response) -> None:
        self.close_connection = True

    def _reset(self, _response: Response) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.connection.close()

    def _truncate(self, response: Response) -> None:
        self.close_connection = True
        body = self._body(response)
        self.wfile.write(self._head(response) + body[: len(body) // 2])

    def _halve_head(self, response: Response) -> None:
        self.close_connection = True
        head = self._head(response)
        self.wfile.write(head[: len(head) // 2])

    def _trickle(self, response: Response) -> None:
        answer_bytes = self._head(response) + self._body(response)
        pause_seconds = response.fault.delay_seconds if response.fault else 0
        for position in range(len(answer_bytes) - 1):
            self.wfile.write(answer_bytes[position : position + 1])
            if not self._wait(pause_seconds):
                return
        self._note_answered(response)
        self.wfile.write(answer_bytes[-1:])

    def _hang(self, _response: Response) -> None:
        self.close_connection = True
        self._wait(inf)

    def _wait(self, seconds: float) -> bool:
        """Wait, unless the client or the server leaves earlier; return whether both are still there."""
        until = time.monotonic() + seconds
        while not self._owner.stopping.is_set() and self._has_client():
            left = until - time.monotonic()
            if left <= 0:
                return True
            self._owner.stopping.wait(min(left, _POLL_SECONDS))
        self.close_connection = True
        return False

    def _has_client(self) -> bool:
        """Return whether the client is connected: it is silent, or it already sends its next request."""
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False


def shut(connection: socket.socket) -> None:
    """End a connection from another thread: its reader gets an end of file."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


_ENDINGS: Final[Mapping[Ending, Callable[[Connection, Response], None]]] = {
    "answer": Connection._answer,  # noqa: SLF001  the table belongs to the class
    "leave": Connection._leave,  # noqa: SLF001
    "close": Connection._close,  # noqa: SLF001
    "reset": Connection._reset,  # noqa: SLF001
    "truncate": Connection._truncate,  # noqa: SLF001
    "half-head": Connection._halve_head,  # noqa: SLF001
    "trickle": Connection._trickle,  # noqa: SLF001
    "hang": Connection._hang,  # noqa: SLF001
}
