"""
The connection under the client: a total deadline for an attempt, and no answer cut inside its headers.

requests' timeouts are per receive, and http.client takes the end of a connection for the end of the headers:
a server that drips would hold a lane for ever, and half an answer would count as "200, empty".
"""

from __future__ import annotations

import contextlib
import socket
import threading
from http.client import HTTPResponse, IncompleteRead
from typing import TYPE_CHECKING, Any, Self

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from types import TracebackType

    from urllib3.poolmanager import PoolManager


class Attempt:
    """One attempt of this thread with its deadline: when it passes, the connection is cut."""

    _current = threading.local()

    def __init__(self, total_timeout_seconds: float) -> None:
        self.is_overdue = False
        self.is_sent = False
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._watchdog = threading.Timer(total_timeout_seconds, self._cut)
        self._watchdog.daemon = True

    def __enter__(self) -> Self:
        type(self)._current.attempt = self  # noqa: SLF001  one slot per thread
        self._watchdog.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.cancel()
        type(self)._current.attempt = None  # noqa: SLF001
        with self._lock:
            self._handle = None

    @classmethod
    def watch(cls, handle: socket.socket | None) -> None:
        """Tell this thread's attempt, if there is one, which connection it uses now; refuse when it is overdue."""
        attempt: Attempt | None = getattr(cls._current, "attempt", None)
        if attempt is not None:
            attempt.use(handle)

    @classmethod
    def note_sent(cls) -> None:
        """Tell this thread's attempt, if there is one, that the whole request is out."""
        attempt: Attempt | None = getattr(cls._current, "attempt", None)
        if attempt is not None:
            attempt.is_sent = True

    def use(self, handle: socket.socket | None) -> None:
        """Take over the connection that is to be cut at the deadline."""
        with self._lock:
            self._handle = handle
            if self.is_overdue:
                msg = "the attempt's time was over before the request was sent"
                raise TimeoutError(msg)

    def _cut(self) -> None:
        with self._lock:
            self.is_overdue = True
            if self._handle is not None:
                with contextlib.suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)


class _LineWatcher:
    """A socket file that remembers the last line read, so that missing ends of headers are seen."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.last_line = b""

    def readline(self, *args: int) -> bytes:
        self.last_line = self._file.readline(*args)
        return self.last_line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class WholeHeadersResponse(HTTPResponse):
    """An answer whose headers must end with an empty line."""

    def begin(self) -> None:
        """Read status and headers; raise when the connection ended among them."""
        file: Any = self.fp
        watcher: Any = _LineWatcher(file)
        self.fp = watcher
        try:
            super().begin()
        finally:
            # begin() closes the file by itself when no body follows.
            if self.fp is watcher:
                self.fp = file
        if watcher.last_line not in (b"\r\n", b"\n"):
            raise IncompleteRead(watcher.last_line)


class _Watched:
    """A connection that shows its socket to the attempt: a duplicate handle, which also cuts a TLS handshake."""

    response_class = WholeHeadersResponse
    # http.client would print each header, and so the token, where the host has set this for all connections.
    debuglevel = 0
    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]
        self._drop_handle()
        self._handle = sock.dup()
        Attempt.watch(self._handle)
        return sock

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        Attempt.watch(self._handle)
        super().putrequest(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self) -> Any:
        Attempt.note_sent()
        return super().getresponse()  # type: ignore[misc]

    def close(self) -> None:
        self._drop_handle()
        super().close()  # type: ignore[misc]

    def _drop_handle(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


class WatchedHTTPConnection(_Watched, HTTPConnection):  # type: ignore[misc]  # urllib3 narrows the class
    """A plain connection under a deadline."""


class WatchedHTTPSConnection(_Watched, HTTPSConnection):  # type: ignore[misc]
    """A TLS connection under a deadline."""


class WatchedHTTPConnectionPool(HTTPConnectionPool):
    """A pool of watched connections."""

    ConnectionCls = WatchedHTTPConnection


class WatchedHTTPSConnectionPool(HTTPSConnectionPool):
    """A pool of watched TLS connections."""

    ConnectionCls = WatchedHTTPSConnection


class WatchedAdapter(HTTPAdapter):
    """An adapter of requests over watched connections, through a proxy too."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Build the pools of watched connections."""
        super().init_poolmanager(*args, **kwargs)
        _use_watched_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Build the pools of watched connections to a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        _use_watched_pools(manager)
        return manager


def _use_watched_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": WatchedHTTPConnectionPool, "https": WatchedHTTPSConnectionPool}
