"""The servers that a host runs under, in this process: a threaded one for WSGI, uvicorn for ASGI."""

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


class _ThreadedServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve_wsgi() -> Iterator[str]:
    """Serve the host by threads, each request in one of its own; yield the address."""
    server = make_server(
        LOOPBACK, 0, get_wsgi_application(), server_class=_ThreadedServer, handler_class=_QuietHandler
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def serve_asgi() -> Iterator[str]:
    """Serve the host by uvicorn's event loop; yield the address."""
    config = uvicorn.Config(
        get_asgi_application(),
        host=LOOPBACK,
        port=0,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{_port_of(server, thread)}"
    finally:
        server.should_exit = True
        thread.join()


def _port_of(server: uvicorn.Server, thread: threading.Thread) -> int:
    while not server.started:
        if not thread.is_alive():
            message = "uvicorn did not start"
            raise RuntimeError(message)
        thread.join(0.01)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


SERVERS: Final[dict[str, Callable[[], contextlib.AbstractContextManager[str]]]] = {
    "wsgi": serve_wsgi,
    "asgi": serve_asgi,
}
