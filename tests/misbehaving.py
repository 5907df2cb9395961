"""
A server on loopback that misbehaves on purpose: what it does with a connection is a script, and the scripts are a table.

It reads HTTP only as far as it must to know where a request ends, and sends bytes: right ones and wrong ones alike.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self, TypeAlias


class Step(Enum):
    """What a script does beside sending bytes and waiting."""

    READ = "read a request"
    KEEP = "keep the connection for the next script"
    RESET = "reset the connection"
    HANG = "say nothing more"


# Bytes are sent, a number is waited for in seconds; at the end the connection is closed.
Script: TypeAlias = Iterable[bytes | float | Step]
# Endless scripts can be played once: the table has functions.
Behaviour: TypeAlias = Callable[[], Script]

# Linger for no time at all: closing sends a reset in place of an orderly end.
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_PATIENCE_SECONDS: Final = 20.0


def answer(
    status: int = 200,
    body: bytes = b"{}",
    *,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of a right answer with this status; those that have no body get none."""
    has_body = not (status < 200 or status in {204, 304})
    lines = [f"HTTP/1.1 {status} Something", f"Content-Type: {content_type}"]
    lines += [f"Content-Length: {len(body)}"] if has_body else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body if has_body else b"")


def drip(data: bytes, pause_seconds: float) -> Iterator[bytes | float]:
    """Yield data byte by byte, with a pause behind each."""
    for position in range(len(data)):
        yield data[position : position + 1]
        yield pause_seconds


def endlessly(head: bytes, piece: bytes, pause_seconds: float = 0.0) -> Iterator[bytes | float | Step]:
    """Yield an answer that never ends."""
    yield from (Step.READ, head)
    for _ in itertools.count():
        yield from (piece, pause_seconds)


HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_LONG: Final = HEAD + b"Content-Length: 100\r\n\r\n"
_CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_UNENDING: Final = HEAD + b"Content-Length: 99999999999\r\n\r\n"
_BOMB: Final = gzip.compress(bytes(50_000_000))
_HTML: Final = b"  <!DOCTYPE html><title>Sign in</title>"

# What a server that took the records may do with the connection afterwards: nobody knows whether it took them.
UNCLEAR: Final[dict[str, Behaviour]] = {
    "reset-before-reading": lambda: (Step.RESET,),
    "reset-after-processing": lambda: (Step.READ, Step.RESET),
    "closed-before-reading": lambda: (),
    "closed-after-processing": lambda: (Step.READ,),
    "no-http": lambda: (Step.READ, b"220 mail.example.com ESMTP\r\n"),
    "half-a-status-line": lambda: (Step.READ, b"HTTP/1.1 20"),
    "status-line-only": lambda: (Step.READ, b"HTTP/1.1 200 OK\r\n"),
    "half-a-header": lambda: (Step.READ, HEAD + b"Content-Le"),
    "headers-without-end": lambda: (Step.READ, HEAD),
    "header-of-70-kilobytes": lambda: (Step.READ, HEAD + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n"),
    "101-headers": lambda: (Step.READ, HEAD + b"X-Many: 1\r\n" * 101 + b"\r\n"),
    "contradicting-lengths": lambda: (Step.READ, HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "no-body": lambda: (Step.READ, _LONG),
    "half-a-body": lambda: (Step.READ, _LONG + b'{"accepted":'),
    "reset-in-the-body": lambda: (Step.READ, _LONG + b'{"accepted":', 0.05, Step.RESET),
    "bad-chunk-length": lambda: (Step.READ, _CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "negative-chunk-length": lambda: (Step.READ, _CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n"),
    "half-a-chunk": lambda: (Step.READ, _CHUNKED + b"10\r\n{}"),
    "no-last-chunk": lambda: (Step.READ, _CHUNKED + b"2\r\n{}\r\n"),
    "endless-body": lambda: endlessly(_UNENDING, b" " * 65_536),
    "endless-chunks": lambda: endlessly(_CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n"),
    "endless-without-length": lambda: endlessly(HEAD + b"\r\n", b" " * 65_536),
    "web-page": lambda: (Step.READ, answer(body=_HTML, content_type="text/html; charset=utf-8")),
    "web-page-without-type": lambda: (Step.READ, answer(body=_HTML, content_type="text/plain")),
    "early-hints-only": lambda: (Step.READ, answer(103)),
}

# What must not outlive the total time of an attempt, however often a byte comes.
SLOW: Final[dict[str, Behaviour]] = {
    "silence": lambda: (Step.READ, Step.HANG),
    "slow-status-line": lambda: (Step.READ, *drip(b"HTTP/1.1 200 " + b"O" * 1000, 0.05)),
    "slow-headers": lambda: endlessly(HEAD, b"X: y\r\n", 0.1),
    "slow-body": lambda: endlessly(_UNENDING, b" ", 0.05),
    "slow-chunks": lambda: endlessly(_CHUNKED, b"1\r\n \r\n", 0.05),
    "endless-100-continue": lambda: endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
}

# Unusual, and yet a whole answer of an API that took the records.
TAKEN: Final[dict[str, Behaviour]] = {
    "kept-alive": lambda: (Step.READ, answer(), Step.KEEP),
    "closed-on-announcement": lambda: (Step.READ, answer(headers={"Connection": "close"})),
    "no-content": lambda: (Step.READ, answer(204), Step.KEEP),
    "no-content-with-a-body": lambda: (Step.READ, answer(204) + b"surplus", Step.KEEP),
    "two-answers": lambda: (Step.READ, answer() + answer(500), Step.KEEP),
    "chunked": lambda: (Step.READ, _CHUNKED + b"2\r\n{}\r\n0\r\n\r\n", Step.KEEP),
    "ended-by-closing": lambda: (Step.READ, HEAD + b"\r\n{}"),
    "continue-first": lambda: (Step.READ, b"HTTP/1.1 100 Continue\r\n\r\n" + answer(), Step.KEEP),
    "slow-but-in-time": lambda: (Step.READ, *drip(answer(), 0.001), Step.KEEP),
    "newlines-without-returns": lambda: (Step.READ, answer().replace(b"\r\n", b"\n"), Step.KEEP),
    "bad-gzip": lambda: (Step.READ, answer(body=b"no gzip", headers={"Content-Encoding": "gzip"}), Step.KEEP),
    "gzip-bomb": lambda: (Step.READ, answer(body=_BOMB, headers={"Content-Encoding": "gzip"}), Step.KEEP),
    "64-kilobytes": lambda: (Step.READ, answer(body=b" " * 65_536), Step.KEEP),
}


def answer_and_leave() -> Script:
    """Answer, then close without having announced it."""
    return (Step.READ, answer())


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it arrived, with the number of the connection it came on; header names as they were written."""

    connection: int
    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def header(self) -> dict[str, str]:
        """Return the headers by name."""
        return dict(self.headers)


class MisbehavingServer:
    """
    A running server, from construction to the end of a `with` block.

    Attributes:
        url: Where it listens.
        behaviour: What it does with the next request, or the next connection.
        requests: What arrived, in order.
        connections: How many were opened.
        sent_bytes: How many bytes were written, over all connections.
    """

    def __init__(
        self, behaviour: Behaviour = TAKEN["kept-alive"], *, tls: ssl.SSLContext | None = None
    ) -> None:
        """Start listening; with a context, behind TLS."""
        self.behaviour = behaviour
        self.requests: list[Request] = []
        self.connections = 0
        self.sent_bytes = 0
        self._tls = tls
        self._is_stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._start(self._accept)

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop: wake and end all threads."""
        self._is_stopping.set()
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)
        self._listener.close()

    def play(self, behaviour: Behaviour) -> None:
        """Do this from now on."""
        self.behaviour = behaviour

    def _start(self, function: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=function, args=args, name="misbehaving", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._is_stopping.is_set():
                connection, _ = self._listener.accept()
                self.connections += 1
                self._start(self._serve, connection, self.connections)

    def _serve(self, connection: socket.socket, number: int) -> None:
        self._open.add(connection)
        try:
            with contextlib.suppress(OSError, EOFError):
                connection.settimeout(_PATIENCE_SECONDS)
                if self._tls is not None:
                    self._open.discard(connection)
                    connection = self._tls.wrap_socket(connection, server_side=True)
                    self._open.add(connection)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with connection.makefile("rb") as file:
                    reader = _Reader(file.readline, file.read, number)
                    while self._play(connection, reader):
                        pass
        finally:
            self._open.discard(connection)
            connection.close()

    def _play(self, connection: socket.socket, reader: _Reader) -> bool:
        """Play one script; tell whether the connection stays for another."""
        script = iter(self.behaviour())
        first = next(script, None)
        if first is Step.READ:
            self.requests.append(reader.read())
            # What is to happen may have been changed while the connection was idle.
            script = iter(self.behaviour())
            first = next(script, None)
            first = next(script, None) if first is Step.READ else first
        return self._perform(connection, itertools.chain(() if first is None else (first,), script))

    def _perform(self, connection: socket.socket, script: Script) -> bool:
        """Do what a script says once its request was read; tell whether the connection stays for another."""
        for step in script:
            if self._is_stopping.is_set():
                return False
            match step:
                case bytes():
                    connection.sendall(step)
                    self.sent_bytes += len(step)
                case Step.RESET:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                    return False
                case Step.KEEP:
                    return True
                case Step.HANG:
                    self._is_stopping.wait(_PATIENCE_SECONDS)
                case float() | int():
                    self._is_stopping.wait(step)
        return False


@dataclass(frozen=True)
class _Reader:
    """Reads the requests of one connection."""

    readline: Callable[[], bytes]
    take: Callable[[int], bytes]
    connection: int

    def read(self) -> Request:
        """Return the next request; raise EOFError at the end."""
        line = self.readline().decode("latin-1").strip()
        if not line:
            raise EOFError
        headers = []
        while header := self.readline().decode("latin-1").strip():
            name, _, value = header.partition(":")
            headers.append((name, value.strip()))
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        return Request(connection=self.connection, line=line, headers=tuple(headers), body=self.take(length))
