"""
The servers that a host runs under, in this process: a threaded one for WSGI, uvicorn for ASGI.

Each serves one application after the other on one port: middleware reads its settings when an application is made.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvicorn
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

LOOPBACK: Final = "127.0.0.1"


class Served:
    """A host that is being served at `url`."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.application: Any = None
        self.url = ""

    def renew(self) -> None:
        """Serve a new application from the next request on."""
        self.application = self._make()


class _ThreadedServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve_wsgi() -> Iterator[Served]:
    """Serve the host by threads, each request in one of its own."""
    served = Served(get_wsgi_application)

    def application(environ: Any, start_response: Any) -> Any:
        return served.application(environ, start_response)

    server = make_server(LOOPBACK, 0, application, server_class=_ThreadedServer, handler_class=_QuietHandler)
    served.url = f"http://{LOOPBACK}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def serve_asgi() -> Iterator[Served]:
    """Serve the host by uvicorn's event loop."""
    served = Served(get_asgi_application)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await served.application(scope, receive, send)

    config = uvicorn.Config(
        application,
        host=LOOPBACK,
        port=0,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        interface="asgi3",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        served.url = f"http://{LOOPBACK}:{_port_of(server, thread)}"
        yield served
    finally:
        # All answers have been read: nothing is left to wait for.
        server.should_exit = server.force_exit = True
        thread.join()


def _port_of(server: uvicorn.Server, thread: threading.Thread) -> int:
    while not server.started:
        if not thread.is_alive():
            message = "uvicorn did not start"
            raise RuntimeError(message)
        thread.join(0.01)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


SERVERS: Final[dict[str, Callable[[], contextlib.AbstractContextManager[Served]]]] = {
    "wsgi": serve_wsgi,
    "asgi": serve_asgi,
}
