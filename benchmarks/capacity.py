"""What the API server itself can take: no contestant may come near it."""

from __future__ import annotations

import socket
import threading
import time
from typing import Final
from urllib.parse import urlsplit

from benchmarks.stage import Api

SECONDS: Final = 1.0
CONNECTIONS: Final = 2
RECORD: Final = (
    b'{"eventname":"Payment","eventid":"TX-00000000000000000001","customerid":"1",'
    b'"createtime":"2026-01-01 00:00","Value":"25.00","Currency":"USD"}'
)


def measure(api: Api) -> dict[str, str]:
    """Return requests and records a second, sent from this process over two kept-alive connections."""
    api.reset()
    requests = _send(api, _request(1))
    records = _send(api, _request(500)) * 500
    return {
        "the API server itself takes": f"{requests:,.0f} requests/s of one record, {records:,.0f} records/s by 500"
    }


def _request(records: int) -> bytes:
    body = b"[" + b",".join([RECORD] * records) + b"]"
    return b"POST /tracking/events/activities HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


def _send(api: Api, request: bytes) -> float:
    """Return how many such requests are answered a second."""
    counts: list[int] = []
    deadline = time.monotonic() + SECONDS
    senders = [
        threading.Thread(target=lambda: counts.append(_send_until(api, request, deadline)))
        for _ in range(CONNECTIONS)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return sum(counts) / SECONDS


def _send_until(api: Api, request: bytes, deadline: float) -> int:
    where = urlsplit(api.url)
    count = 0
    with socket.create_connection((where.hostname or "", where.port or 0)) as connection:
        while time.monotonic() < deadline:
            connection.sendall(request)
            answer = b""
            while not answer.endswith(b"{}"):
                answer += connection.recv(65_536)
            count += 1
    return count
