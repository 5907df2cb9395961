"""
What the sandbox remembers: customers, activities and requests, per brand, in memory.

There are no tables on purpose. The sandbox plays a system of its own: if it shared the host's database, a
rollback of the host would undo what "Track360" has accepted, and a test of lost or early records would prove
nothing. So each process that serves it has its own memory, which ends with the process; serve it from one.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from threading import RLock
from typing import TYPE_CHECKING, Literal

from . import guide
from .log import Entry, RequestLog
from .problem import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .body import Record
    from .guide import Endpoint

OnConflict = Literal["refuse", "replace"]
_Verdict = Literal["new", "duplicate", "correction"]
_Event = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Customer:
    """
    A customer after all its calls.

    Attributes:
        brand: Fingerprint of the brand's token.
        record: All fields received so far, each with its latest value.
        seq: Number of the request that created it.
        updates: How many later records named it.
    """

    brand: str
    record: Record
    seq: int
    updates: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """One accepted record as it arrived, and the number of its request."""

    brand: str
    record: Record
    seq: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """The result of a batch: `accepted` and `duplicates` are numbers of records; with problems, both are 0."""

    accepted: int = 0
    duplicates: int = 0
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Everything in the store at one moment. `customer_calls` are the last accepted customer records."""

    customers: tuple[Customer, ...]
    customer_calls: tuple[Received, ...]
    activities: tuple[Received, ...]
    requests: tuple[Entry, ...]
    counts: dict[str, int]


class Store:
    """
    The records of one sandbox. It is safe to use from many threads.

    Attributes:
        log: The requests.
    """

    def __init__(
        self, *, capacity: int = 200_000, on_conflict: OnConflict = "refuse", log_size: int = 10_000
    ) -> None:
        """
        Start empty.

        Args:
            capacity: How many customers and activities together; more are refused with 507. Nothing is removed to make
                room, because the order rule and de-duplication need all records.
            on_conflict: What to do with a known eventid with other content: refuse the batch, or replace the record.
            log_size: How many requests and customer calls to keep.

        Source: API guide, "Activity API, Field definitions" leaves the use of eventid to the configuration of
        each event, so both readings of a conflict are offered; the strict one is the default.
        """
        self.log = RequestLog(limit=log_size)
        self._capacity = capacity
        self._on_conflict = on_conflict
        self._lock = RLock()
        self._customers: dict[tuple[str, str], Customer] = {}
        self._customer_calls: deque[Received] = deque(maxlen=log_size)
        self._activities: list[Received] = []
        self._events: dict[_Event, int] = {}
        self._counts: Counter[str] = Counter()

    def accept(self, endpoint: Endpoint, brand: str, records: Sequence[Record], *, seq: int) -> Receipt:
        """Accept a batch of valid records as a whole, or nothing of it."""
        with self._lock:
            take = self._accept_customers if endpoint == "customers" else self._accept_activities
            receipt = self._find_overflow(len(records)) or take(brand, records, seq)
            self._counts["accepted"] += receipt.accepted
            self._counts["duplicates"] += receipt.duplicates
            self._counts.update(problem.code for problem in receipt.problems)
            return receipt

    def snapshot(self) -> Snapshot:
        """Return a consistent copy of everything."""
        with self._lock:
            return Snapshot(
                customers=tuple(self._customers.values()),
                customer_calls=tuple(self._customer_calls),
                activities=tuple(self._activities),
                requests=self.log.entries(),
                counts=dict(self._counts),
            )

    def customer(self, customer_id: str) -> Record | None:
        """Return the fields of a customer of any brand, or None if it was never accepted."""
        with self._lock:
            return next(
                (dict(each.record) for key, each in self._customers.items() if key[1] == customer_id), None
            )

    def activities(self, eventname: str | None = None) -> tuple[Record, ...]:
        """Return the accepted activities in order of arrival; only of `eventname`, if given."""
        with self._lock:
            records = (dict(each.record) for each in self._activities)
            return tuple(each for each in records if eventname in (None, each["eventname"]))

    def clear(self) -> None:
        """Remove everything; the request numbers continue."""
        with self._lock:
            self._customers.clear()
            self._customer_calls.clear()
            self._activities.clear()
            self._events.clear()
            self._counts.clear()
            self.log.clear()

    def _find_overflow(self, arriving: int) -> Receipt | None:
        if len(self._customers) + len(self._activities) + arriving <= self._capacity:
            return None
        error = f"the sandbox is full ({self._capacity} records): DELETE /sandbox/records, or start it with more capacity"
        return Receipt(
            problems=(Problem(code="capacity", error=error, guide="none: a limit of the sandbox"),)
        )

    def _accept_customers(self, brand: str, records: Sequence[Record], seq: int) -> Receipt:
        for record in records:
            key = (brand, str(record["customerId"]))
            self._customer_calls.append(Received(brand=brand, record=record, seq=seq))
            known = self._customers.get(key)
            self._customers[key] = (
                replace(known, record=known.record | record, updates=known.updates + 1)
                if known
                else Customer(brand=brand, record=record, seq=seq)
            )
        return Receipt(accepted=len(records))

    def _accept_activities(self, brand: str, records: Sequence[Record], seq: int) -> Receipt:
        earlier: dict[_Event, Record] = {}
        verdicts = [self._judge(brand, index, record, earlier) for index, record in enumerate(records)]
        problems = tuple(each for each in verdicts if isinstance(each, Problem))
        if problems:
            return Receipt(problems=problems)
        for record, verdict in zip(records, verdicts, strict=True):
            if verdict != "duplicate":
                self._put_activity(Received(brand=brand, record=record, seq=seq))
        duplicates = verdicts.count("duplicate")
        return Receipt(accepted=len(records) - duplicates, duplicates=duplicates)

    def _judge(
        self, brand: str, index: int, record: Record, earlier: dict[_Event, Record]
    ) -> _Verdict | Problem:
        """Check one activity; `earlier` has the events before it in the same batch."""
        if (brand, record["customerid"]) not in self._customers:
            return _unknown_customer(index)
        event = _identify(brand, record)
        if event is None:
            return "new"
        known = earlier.get(event) or self._find_event(event)
        earlier[event] = record
        if known is None:
            return "new"
        if known == record:
            return "duplicate"
        return "correction" if self._on_conflict == "replace" else _conflict(index)

    def _find_event(self, event: _Event) -> Record | None:
        position = self._events.get(event)
        return None if position is None else self._activities[position].record

    def _put_activity(self, received: Received) -> None:
        event = _identify(received.brand, received.record)
        if event in self._events:
            self._activities[self._events[event]] = received
            return
        if event:
            self._events[event] = len(self._activities)
        self._activities.append(received)


@lru_cache(maxsize=64)
def fingerprint(token: str) -> str:
    """
    Return a name for the brand of a token that does not reveal the token: 8 hex digits.

    Source: none, our choice: views and logs must be able to distinguish brands without showing a secret.
    """
    return sha256(token.encode()).hexdigest()[:8]


def _identify(brand: str, record: Record) -> _Event | None:
    if "eventid" not in record:
        return None
    return (brand, str(record["eventname"]), str(record["eventid"]))


def _unknown_customer(index: int) -> Problem:
    return Problem(
        code="unknown_customer",
        index=index,
        field="customerid",
        error="no customer with this id was accepted before for this brand; report the customer first",
        guide=guide.FIELDS["activities"],
    )


def _conflict(index: int) -> Problem:
    return Problem(
        code="conflict",
        index=index,
        field="eventid",
        error="this eventname and eventid were accepted before with other content; a retry must repeat the record",
        guide=guide.FIELDS["activities"],
    )
