"""The connection under the client: the watchdog of an attempt, and headers that must have an end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import IncompleteRead

import pytest
import requests
from urllib3.exceptions import HTTPError

from tests.misbehaving import HEAD, SLOW, MisbehavingServer, Step, answer
from track360_django.api.transport import Attempt, WatchedAdapter, WholeHeadersResponse


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return two ends of a connection."""
    one, other = socket.socketpair()
    with closing(one), closing(other):
        one.settimeout(10)
        other.settimeout(10)
        yield one, other


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Return a session over watched connections."""
    with requests.Session() as made:
        made.trust_env = False
        made.mount("http://", WatchedAdapter())
        yield made


def wait_until(is_true: Callable[[], bool]) -> bool:
    """Wait ten seconds at most until something is true; tell whether it is."""
    ends = time.monotonic() + 10
    while not is_true() and time.monotonic() < ends:
        time.sleep(0.005)
    return is_true()


# The watchdog.


def test_attempt_over_its_time_is_cut(pair: tuple[socket.socket, socket.socket]) -> None:
    """When the time is over, the connection ends for both sides."""
    ours, theirs = pair

    with Attempt(0.05) as attempt:
        attempt.use(ours)
        assert theirs.recv(1) == b""
        assert ours.recv(1) == b""
        assert attempt.is_overdue


def test_attempt_in_time_is_left_alone(pair: tuple[socket.socket, socket.socket]) -> None:
    """An attempt that ends in time leaves its connection usable, also later."""
    ours, theirs = pair

    with Attempt(0.1) as attempt:
        attempt.use(ours)
    time.sleep(0.2)

    ours.sendall(b"x")
    assert theirs.recv(1) == b"x"
    assert not attempt.is_overdue


def test_attempt_that_is_overdue_takes_no_connection(pair: tuple[socket.socket, socket.socket]) -> None:
    """A connection that is found only after the time is over is refused, so that nothing is sent."""
    with Attempt(0.01) as attempt:
        assert wait_until(lambda: attempt.is_overdue)

        with pytest.raises(TimeoutError, match="deadline of the attempt passed"):
            Attempt.watch(pair[0])


def test_connection_that_was_closed_meanwhile_is_no_trouble() -> None:
    """The watchdog survives a connection that ended by itself."""
    ours, theirs = socket.socketpair()

    with Attempt(0.05) as attempt:
        attempt.use(ours)
        ours.close()
        theirs.close()

        assert wait_until(lambda: attempt.is_overdue)


def test_attempts_of_two_threads_are_kept_apart(pair: tuple[socket.socket, socket.socket]) -> None:
    """The watchdog of one thread cuts its own connection only."""
    mine, theirs = pair
    other, far_end = socket.socketpair()

    def be_late() -> None:
        with Attempt(0.01) as late:
            Attempt.watch(other)
            wait_until(lambda: late.is_overdue)

    with closing(other), closing(far_end), Attempt(10) as attempt:
        Attempt.watch(mine)
        thread = threading.Thread(target=be_late)
        thread.start()
        thread.join()

        assert far_end.recv(1) == b""
        mine.sendall(b"x")
        assert theirs.recv(1) == b"x"
        assert not attempt.is_overdue


def test_watchdog_threads_end_with_their_attempts() -> None:
    """A thousand attempts leave no thread behind."""
    before = threading.active_count()

    for _ in range(1000):
        with Attempt(60):
            pass

    assert wait_until(lambda: threading.active_count() <= before)


def test_connection_without_an_attempt_is_a_usual_one(session: requests.Session) -> None:
    """Outside of an attempt a watched connection works like any other."""
    with MisbehavingServer() as server:
        status = session.post(server.url, data=b"[]", timeout=5).status_code

    assert status == 200


def test_kept_connection_is_watched_in_the_next_attempt(session: requests.Session) -> None:
    """A connection that is used again is cut by the attempt that uses it, not by the one that opened it."""
    with MisbehavingServer() as server:
        with Attempt(0.2):
            session.post(server.url, data=b"[]", timeout=5)
        time.sleep(0.3)
        session.post(server.url, data=b"[]", timeout=5)
        server.play(SLOW["silence"])
        began = time.monotonic()

        with Attempt(0.2) as attempt, pytest.raises(requests.ConnectionError):
            session.post(server.url, data=b"[]", timeout=20)

    assert server.connections == 1
    assert attempt.is_overdue
    assert time.monotonic() - began < 5


def test_attempt_knows_whether_the_request_was_sent(session: requests.Session) -> None:
    """An error before the request is told from an error after it."""
    with MisbehavingServer(lambda: (Step.READ, Step.RESET)) as server:
        with Attempt(10) as sent, pytest.raises(requests.ConnectionError):
            session.post(server.url, data=b"[]", timeout=5)
        port = server.port
    with Attempt(10) as unsent, pytest.raises(requests.ConnectionError):
        session.post(f"http://127.0.0.1:{port}", data=b"[]", timeout=5)

    assert (sent.is_sent, unsent.is_sent) == (True, False)


# Headers.


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 204 No Content\r\nServer: x\r\n",
        HEAD,
        HEAD + b"Content-Length: 0\r\n",
        HEAD + b"Content-Length: 0",
        HEAD + b"\r",
    ],
    ids=["status", "half-a-status", "no-body", "header", "length", "half-a-length", "return"],
)
def test_headers_without_an_end_are_no_answer(pair: tuple[socket.socket, socket.socket], data: bytes) -> None:
    """A connection that ends among the headers is an error, not an answer without a body."""
    ours, theirs = pair
    theirs.sendall(data)
    theirs.shutdown(socket.SHUT_WR)
    response = WholeHeadersResponse(ours)

    with closing(response), pytest.raises(IncompleteRead):
        response.begin()


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (answer(body=b"{}"), b"{}"),
        (answer(204), b""),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.0 200 OK\n\nold", b"old"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(body=b"{}"), b"{}"),
        (b"HTTP/1.1 200 OK\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"{}"),
    ],
    ids=["length", "no-body", "no-headers", "old", "continue", "chunked"],
)
def test_headers_with_an_end_are_read_as_ever(
    pair: tuple[socket.socket, socket.socket], data: bytes, body: bytes
) -> None:
    """Whole headers are read as http.client reads them, and the body behind them."""
    ours, theirs = pair
    theirs.sendall(data)
    theirs.shutdown(socket.SHUT_WR)

    with closing(WholeHeadersResponse(ours)) as response:
        response.begin()

        assert response.read() == body


def test_missing_end_of_headers_reaches_the_caller_as_an_error(session: requests.Session) -> None:
    """Through requests, a cut among the headers is a connection error and no status 200."""
    with (
        MisbehavingServer(lambda: (Step.READ, HEAD)) as server,
        pytest.raises((requests.RequestException, HTTPError)),
    ):
        session.post(server.url, data=b"[]", timeout=5)
