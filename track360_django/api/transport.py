"""
The connection of the client: a total deadline for each attempt, and an error for an answer that ends in its headers.

The timeouts of requests apply to each receive, so a server that sends slowly would hold a lane for ever. http.client
treats the end of a connection as the end of the headers, so half an answer would count as "200, empty".
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
    """One attempt of this thread, with a deadline. When the deadline passes, the connection is cut."""

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
        """Pass this thread's attempt, if there is one, the connection that it uses now; raise if it is overdue."""
        attempt: Attempt | None = getattr(cls._current, "attempt", None)
        if attempt is not None:
            attempt.use(handle)

    @classmethod
    def note_sent(cls) -> None:
        """Note in this thread's attempt, if there is one, that the whole request was sent."""
        attempt: Attempt | None = getattr(cls._current, "attempt", None)
        if attempt is not None:
            attempt.is_sent = True

    def use(self, handle: socket.socket | None) -> None:
        """
        Set the connection that is cut at the deadline.

        Raises:
            TimeoutError: The deadline has passed.
        """
        with self._lock:
            self._handle = handle
            if self.is_overdue:
                msg = "the deadline of the attempt passed before the request was sent"
                raise TimeoutError(msg)

    def _cut(self) -> None:
        with self._lock:
            self.is_overdue = True
            if self._handle is not None:
                with contextlib.suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)


class _LineWatcher:
    """A socket file that keeps the last line it read. This line shows whether the headers were complete."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.last_line = b""

    def readline(self, *args: int) -> bytes:
        self.last_line = self._file.readline(*args)
        return self.last_line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class WholeHeadersResponse(HTTPResponse):
    """An answer that must have an empty line after its headers."""

    def begin(self) -> None:
        """
        Read status and headers.

        Raises:
            IncompleteRead: The connection ended before the end of the headers.
        """
        file: Any = self.fp
        watcher: Any = _LineWatcher(file)
        self.fp = watcher
        try:
            super().begin()
        finally:
            # begin() closes the file itself if no body follows.
            if self.fp is watcher:
                self.fp = file
        if watcher.last_line not in (b"\r\n", b"\n"):
            raise IncompleteRead(watcher.last_line)


class _Watched:
    """
    A connection that gives the attempt a duplicate handle of its socket.

    Shutting down this handle also ends a TLS handshake.
    """

    response_class = WholeHeadersResponse
    # If the host has set this for all connections, http.client would print each header, and so the token.
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
    """A plain connection with a deadline."""


class WatchedHTTPSConnection(_Watched, HTTPSConnection):  # type: ignore[misc]
    """A TLS connection with a deadline."""


class WatchedHTTPConnectionPool(HTTPConnectionPool):
    """A pool of watched connections."""

    ConnectionCls = WatchedHTTPConnection


class WatchedHTTPSConnectionPool(HTTPSConnectionPool):
    """A pool of watched TLS connections."""

    ConnectionCls = WatchedHTTPSConnection


class WatchedAdapter(HTTPAdapter):
    """An adapter of requests that uses watched connections, also through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pools of watched connections."""
        super().init_poolmanager(*args, **kwargs)
        _use_watched_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Create the pools of watched connections to a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        _use_watched_pools(manager)
        return manager


def _use_watched_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": WatchedHTTPConnectionPool, "https": WatchedHTTPSConnectionPool}
