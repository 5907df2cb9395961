"""
The sandbox as a separate server: HTTP/1.1 with keep-alive, one thread per connection, loopback only.

It needs no settings, so a broken host can't stop it. The handling of a connection is in `connection`.
"""

from __future__ import annotations

import socket
import sys
import threading
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Self, Unpack, cast

from .connection import Connection, shut
from .exchange import Sandbox
from .faults import ENDINGS, Fault, Faults
from .loopback import is_loopback
from .store import OnConflict, Store

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from .faults import FaultWords

_POLL_SECONDS: Final = 0.02


class SandboxServer:
    """
    A running sandbox, from construction to `stop()` or the end of a `with` block.

    Attributes:
        url: Its address, without a slash at the end: the host's `BASE_URL`.
        store: The received records.
        faults: The faults still to come; see `fail`.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | Iterable[str] | None = None,
        *,
        capacity: int = 200_000,
        on_conflict: OnConflict = "refuse",
    ) -> None:
        """
        Start listening.

        Args:
            host: An address of this machine's loopback interface.
            port: TCP port; 0 takes any free one.
            token: The accepted brand token, or several; None accepts every non-empty token.
            capacity: See `Store`.
            on_conflict: See `Store`.

        Raises:
            ValueError: The host is not loopback.
            OSError: The port is taken.
        """
        tokens = (token,) if isinstance(token, str) else token or ()
        self.store = Store(capacity=capacity, on_conflict=on_conflict)
        self.faults = Faults(endings=ENDINGS)
        self._server = _Server(
            host, port, Sandbox(store=self.store, faults=self.faults, tokens=frozenset(tokens))
        )
        self.url = self._server.url
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="track360-sandbox", daemon=True
        )
        self._thread.start()

    def fail(self, **words: Unpack[FaultWords]) -> Fault:
        """
        Make something go wrong: `fail(status=503, times=3)`. The arguments are the attributes of `Fault`.

        Raises:
            FaultError: A value is invalid.
        """
        return self.faults.add(Fault(**words))

    def heal(self) -> None:
        """Remove all faults still to come."""
        self.faults.clear()

    def stop(self) -> None:
        """Stop listening and close all connections, including those that hang. The store stays readable."""
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def __repr__(self) -> str:
        """Show the address and nothing secret."""
        return f"<SandboxServer {self.url}>"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, host: str, port: int, sandbox: Sandbox) -> None:
        if not is_loopback(host):
            message = f"the sandbox listens on loopback only, not on {host}"
            raise ValueError(message)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sandbox = sandbox
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((host, port), Connection)
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without a look-up of the machine's name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Remember the connection, so that `stop` can end it."""
        with self._lock:
            self._connections.add(cast("socket.socket", request))
        super().process_request(request, cast("tuple[str, int]", client_address))

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Forget the connection."""
        with self._lock:
            self._connections.discard(cast("socket.socket", request))
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that leave early. Any other error is a bug of the sandbox and is shown."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handle_error(cast("socket.socket", request), cast("tuple[str, int]", client_address))

    def close_connections(self) -> None:
        """Wake every thread that reads or waits on a connection."""
        with self._lock:
            for connection in self._connections:
                shut(connection)
