"""
The API server of the benchmarks: takes records on loopback, counts them, answers after a settable latency.

Alone: `python -m benchmarks.api --latency-ms 20` prints its URL. It reads HTTP only as far as it must, so that it is
never what is measured. Addresses under `/-/` steer it:

- `/-/reset?latency_ms=20&arrivals=1` begins to count anew; with `arrivals`, it notes when each event id came;
- `/-/wait?count=500` answers when so many records were accepted, with the monotonic time of that;
- `/-/arrivals` answers with the monotonic time of each event id.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
TAKEN: Final = OK % (2, b"{}")

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_EVENTID: Final = re.compile(rb'"eventid": ?"([^"]+)"')


@dataclass(kw_only=True)
class Ledger:
    """What was accepted since the last reset, and who waits for more."""

    latency_seconds: float = 0.0
    records: int = 0
    requests: int = 0
    arrivals: dict[str, float] | None = None
    waiting: list[tuple[int, asyncio.Transport]] = field(default_factory=list)

    def reset(self, *, latency_seconds: float, is_noting_arrivals: bool) -> None:
        """Begin to count anew."""
        self.latency_seconds = latency_seconds
        self.records = self.requests = 0
        self.arrivals = {} if is_noting_arrivals else None
        self.waiting.clear()
        gc.collect()

    def note_arrival(self, body: bytes) -> None:
        """Note when each event of a request came, the first time it came."""
        if self.arrivals is not None:
            now = time.monotonic()
            for eventid in _EVENTID.findall(body):
                self.arrivals.setdefault(eventid.decode(), now)

    def accept(self, count: int) -> None:
        """Count the records of a request that is answered now."""
        self.records += count
        self.requests += 1
        if self.waiting and count:
            self.tell()

    def tell(self) -> None:
        """Answer those who wait for no more than there is."""
        now = time.monotonic()
        for wanted, transport in [each for each in self.waiting if each[0] <= self.records]:
            self.waiting.remove((wanted, transport))
            answer(transport, {"at": now, "records": self.records, "requests": self.requests})


def count_of(body: bytes) -> int:
    """Return how many records a body holds: ours and the naive ones have an event id, Segment's a message id."""
    return body.count(b'"eventid"') or body.count(b'"messageId"')


def answer(transport: asyncio.Transport, content: object) -> None:
    """Answer a steering request."""
    text = json.dumps(content).encode()
    transport.write(OK % (len(text), text))


class Connection(asyncio.Protocol):
    """One connection: a request after the other."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.received = bytearray()
        # Where the body begins and where the request ends; 0 while the head is incomplete.
        self.begin = self.end = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect until a request is complete."""
        self.received += data
        while self._is_complete():
            head, body = bytes(self.received[: self.begin]), bytes(self.received[self.begin : self.end])
            del self.received[: self.end]
            self.begin = self.end = 0
            self._take(head, body)

    def _is_complete(self) -> bool:
        if not self.end:
            position = self.received.find(b"\r\n\r\n")
            if position < 0:
                return False
            length = _LENGTH.search(self.received, 0, position)
            self.begin = position + 4
            self.end = self.begin + (int(length[1]) if length else 0)
        return len(self.received) >= self.end

    def _take(self, head: bytes, body: bytes) -> None:
        target = head.split(b" ", 2)[1]
        if target.startswith(b"/-/"):
            self._steer(target.decode())
            return
        self.ledger.note_arrival(body)
        count = count_of(body)
        if self.ledger.latency_seconds:
            loop = asyncio.get_running_loop()
            loop.call_later(self.ledger.latency_seconds, self._accept, count)
        else:
            self._accept(count)

    def _accept(self, count: int) -> None:
        self.transport.write(TAKEN)
        self.ledger.accept(count)

    def _steer(self, target: str) -> None:
        parts = urlsplit(target)
        wish = dict(parse_qsl(parts.query))
        match parts.path:
            case "/-/reset":
                self.ledger.reset(
                    latency_seconds=float(wish.get("latency_ms", "0")) / 1000,
                    is_noting_arrivals="arrivals" in wish,
                )
                answer(self.transport, {})
            case "/-/wait":
                self.ledger.waiting.append((int(wish.get("count", "0")), self.transport))
                self.ledger.tell()
            case "/-/arrivals":
                answer(self.transport, self.ledger.arrivals or {})


async def serve(port: int, latency_seconds: float) -> None:
    """Listen on 127.0.0.1, say where, and go on for ever."""
    ledger = Ledger(latency_seconds=latency_seconds)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(ledger), "127.0.0.1", port, backlog=1024)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    gc.freeze()
    await server.serve_forever()


def main() -> None:
    """Run the server alone."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.api", description="Take records and count them."
    )
    parser.add_argument(
        "--port", type=int, default=0, help="where to listen on 127.0.0.1; 0 for any free port"
    )
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long each answer takes")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.latency_ms / 1000))


if __name__ == "__main__":
    main()
