"""
A site as a CDN serves it: pages of any kind from loopback, and a list of what it was asked.

With an origin behind it, what it has no page for is fetched from there, as an edge of a CDN does.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tests.pages import ROOT

SCRIPT: Final = ROOT / "track360_django" / "static" / "track360_django" / "capture.js"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-src 'self'"
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request that a site got."""

    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def tracking(self) -> str | None:
        """What the header of ours said."""
        return self.headers.get("X-Track360-Tracking")

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass
class Site:
    """
    A static site: `pages` are HTML by path.

    Everything else comes from `origin` (host and port), or is answered with nothing, whatever the method; with a status
    of its own, if `statuses` has one for the path.
    """

    port: int = 0
    origin: str = ""
    pages: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    # What the origin answered to each request that was handed on, in the order of the answers.
    answered: list[int] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """Return the address of a page, under any name that leads to this machine."""
        return f"http://{host}:{self.port}{path}"

    def posts(self) -> list[Asked]:
        """Return the requests that were neither for pages nor for the script."""
        return [each for each in self.asked if each.method not in ("GET", "HEAD", "OPTIONS")]

    def landing(self, attributes: str = "", body: str = "", path: str = "/") -> None:
        """Put a page with the script there."""
        self.pages[path] = (
            f'<!doctype html><title>A page</title><script src="/capture.js" defer {attributes}></script>{body}'
        )


@contextmanager
def site(headers: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Give a running static site."""
    server = _Server(Site(headers=dict(headers or {})))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.site
    finally:
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, site: Site) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        site.port = self.server_port
        self.site = site
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that the browser keeps open for later."""
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that left before the answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Head and body are written apart: otherwise each answer waits for an acknowledgement.
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        site = self.server.site
        body = self._body()
        path = urlsplit(self.path).path
        if path == "/favicon.ico":
            return self._say(404, "text/plain", b"")
        site.asked.append(Asked(method=self.command, path=self.path, headers=self.headers, body=body))
        if site.origin and path not in {*site.pages, "/capture.js"}:
            return self._fetch(site.origin, body)
        if path == "/capture.js":
            return self._say(200, "text/javascript", SCRIPT.read_bytes())
        if path.endswith(".js"):
            return self._say(200, "text/javascript", site.pages.get(path, "").encode())
        status = site.statuses.get(path, 200)
        content = "" if status == HTTPStatus.NO_CONTENT else site.pages.get(path, "<!doctype html>")
        return self._say(status, "text/html", content.encode())

    def _fetch(self, origin: str, body: bytes) -> None:
        connection = HTTPConnection(origin)
        with closing(connection):
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            self.server.site.answered.append(answer.status)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {
                    "connection",
                    "content-length",
                    "transfer-encoding",
                    "date",
                    "server",
                }:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _say(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(content)),
            **self.server.site.headers,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Say nothing."""

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815  the base class's names
