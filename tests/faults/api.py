"""
The fault server: the API on loopback that misbehaves by plan and keeps all it received.

It is a thread of the process that tells the story, so it survives whatever happens to the others.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults import behaviours
from tests.faults.behaviours import Fault
from tests.misbehaving import MisbehavingServer, Request, Script, _Reader

CUSTOMERS: Final = "customers"
ACTIVITIES: Final = "activities"
TOKEN: Final = "faults-token-9d41c0"
# Half of what the settings of the fault suite let a server take.
PROMPT_SECONDS: Final = 0.75


@dataclass(frozen=True, kw_only=True)
class Received:
    """One record of a request: its very bytes, and what they say."""

    text: str
    values: dict[str, Any]

    @property
    def key(self) -> tuple[str, ...]:
        """Return what the API knows the record by: customer id, or event name and event id."""
        if "customerId" in self.values:
            return (str(self.values["customerId"]),)
        return (str(self.values.get("eventname")), str(self.values.get("eventid")))


@dataclass(kw_only=True)
class Exchange:
    """
    One request and what became of it. Times are of the monotonic clock.

    `answered_at` is when the last bytes were about to be written. `accepted_as` is the place of the request among
    those that the API took, None for one that it did not take.
    """

    number: int
    endpoint: str
    received_at: float
    headers: dict[str, str]
    records: tuple[Received, ...]
    size: int
    fault: Fault = behaviours.OBEY
    answered_at: float | None = None
    accepted_as: int | None = None

    @property
    def is_accepted(self) -> bool:
        """Tell whether the API took the records."""
        return self.accepted_as is not None

    @property
    def is_clear(self) -> bool:
        """Tell whether the client was told beyond doubt that the records were taken."""
        return self.is_accepted and self.fault.is_clear

    @property
    def is_prompt(self) -> bool:
        """Tell whether a clear answer came so early that no client can have given up: busy machines are slow."""
        took = (self.answered_at or float("inf")) - self.received_at
        return self.is_clear and took < PROMPT_SECONDS


# Says what to do with a request, knowing all of it.
Plan = Callable[[Exchange], Fault]


def obey(_exchange: Exchange) -> Fault:
    """Take everything."""
    return behaviours.OBEY


def always(fault: Fault) -> Plan:
    """Do the same with each request."""
    return lambda _exchange: fault


def first(count: int, fault: Fault) -> Plan:
    """Do this with so many requests, then obey."""
    left = iter([fault] * count)
    return lambda _exchange: next(left, behaviours.OBEY)


def refuse(is_bad: Callable[[Received], bool], code: int = 400) -> Plan:
    """Refuse each batch that has a bad record."""
    refusal = behaviours.status(code)
    return lambda exchange: refusal if any(map(is_bad, exchange.records)) else behaviours.OBEY


def refuse_more_than(count: int) -> Plan:
    """Find each batch of more records than this too large."""
    too_large = behaviours.status(413)
    return lambda exchange: too_large if len(exchange.records) > count else behaviours.OBEY


def one_of(faults: Sequence[Fault], seed: object) -> Plan:
    """Do any of these, by lot."""
    lot = random.Random(str(seed))
    return lambda _exchange: lot.choice(faults)


@dataclass
class _Ledger:
    """What was received, in order; one lock for all threads of the server."""

    exchanges: list[Exchange] = field(default_factory=list)
    accepted: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class FaultServer(MisbehavingServer):
    """
    The API under a plan, from construction to the end of a `with` block.

    A request with another key than `token` is refused with 401, whatever the plan says.
    """

    def __init__(self, plan: Plan = obey, *, token: str = TOKEN) -> None:
        self.plan = plan
        self.token = token
        self._ledger = _Ledger()
        super().__init__()

    @property
    def exchanges(self) -> list[Exchange]:
        """Return all requests so far, in order of arrival."""
        with self._ledger.lock:
            return list(self._ledger.exchanges)

    def accepted(self, endpoint: str) -> list[Received]:
        """Return the records that the API took, in order, each as often as it came."""
        taken = [each for each in self.exchanges if each.is_accepted and each.endpoint == endpoint]
        return [record for each in sorted(taken, key=_place) for record in each.records]

    def _play(self, connection: socket.socket, reader: _Reader) -> bool:
        exchange = self._note(reader.read())
        fault = self._treat(exchange)
        return self._perform(connection, _timed(exchange, fault.script()))

    def _note(self, request: Request) -> Exchange:
        with self._ledger.lock:
            exchange = Exchange(
                number=len(self._ledger.exchanges) + 1,
                endpoint=request.line.split()[1].rsplit("/", 1)[-1],
                received_at=time.monotonic(),
                headers={name.lower(): value for name, value in request.headers},
                records=tuple(split(request.body.decode())),
                size=len(request.body),
            )
            self._ledger.exchanges.append(exchange)
        return exchange

    def _treat(self, exchange: Exchange) -> Fault:
        with self._ledger.lock:
            is_known = exchange.headers.get("x-api-key") == self.token
            fault = exchange.fault = self.plan(exchange) if is_known else _unknown(exchange)
            if fault.is_processed:
                self._ledger.accepted += 1
                exchange.accepted_as = self._ledger.accepted
        return fault


def split(body: str) -> Iterator[Received]:
    """Yield the records of an array, each with its very text."""
    decoder = json.JSONDecoder()
    position = body.index("[") + 1
    while body[position] != "]":
        values, end = decoder.raw_decode(body, position)
        yield Received(text=body[position:end], values=values)
        position = end + 1 if body[end] == "," else end


def _place(exchange: Exchange) -> int:
    return exchange.accepted_as or 0


def _unknown(exchange: Exchange) -> Fault:
    """Refuse the key, repeating key and records: what a careless API would say."""
    told = f"unknown key {exchange.headers.get('x-api-key')} for {exchange.records[:1]}"
    return behaviours.status(401, body=json.dumps({"error": told}).encode())


def _timed(exchange: Exchange, script: Script) -> Script:
    for step in script:
        if isinstance(step, bytes):
            exchange.answered_at = time.monotonic()
        yield step
