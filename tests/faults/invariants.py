"""
The one checker: the host's committed truth against what the API took, the tables, the logs and the broker.

It decides and touches nothing: a history goes in, a verdict comes out. Each kind of violation is proved to be found
by a forged history in `test_invariants`.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from tests.faults.api import ACTIVITIES, CUSTOMERS, Exchange, Received
from tests.faults.truth import CustomerTruth, Truth

MAX_RECORDS: Final = 500
MAX_BYTES: Final = 262_144


@dataclass(frozen=True, kw_only=True)
class Row:
    """A record as the tables have it; `key` as `Received.key`."""

    key: tuple[str, ...]
    status: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What an operator saw with `track360 status`: its exit code, and what the tables said just then."""

    exit_code: int
    is_in_trouble: bool


@dataclass(kw_only=True)
class History:
    """
    All that a run left behind.

    Attributes:
        truth: What the host committed.
        exchanges: What the API received, and what it did with each request.
        rows: The records at the end, when all is healed, requeued and drained.
        disturbances: From when to when a process or the database was killed, stopped or restarted (monotonic clock).
        texts: Whatever must hold no secret, by name: logs, broker traffic, error columns, output of commands.
        secrets: What must be in none of them.
        trapped: Requests that the target of a redirect received.
        looks: What the operator saw.
        undriven: Dead records that could not be requeued, in words.
    """

    truth: Truth = field(default_factory=Truth)
    exchanges: Sequence[Exchange] = ()
    rows: Sequence[Row] = ()
    disturbances: Sequence[tuple[float, float]] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    trapped: int = 0
    looks: Sequence[Look] = ()
    undriven: Sequence[str] = ()


@dataclass(kw_only=True)
class Verdict:
    """The violations of each kind, one sentence each; the comment names the invariant."""

    lost: list[str] = field(default_factory=list)  # I1
    conflicting: list[str] = field(default_factory=list)  # I2: two bodies for one id
    backward: list[str] = field(default_factory=list)  # I2: a version after a newer one
    repeated: list[str] = field(default_factory=list)  # a request more than the faults explain
    unexpected: list[str] = field(default_factory=list)  # I3
    reordered: list[str] = field(default_factory=list)  # I4
    leaked: list[str] = field(default_factory=list)  # I5
    harmed: list[str] = field(default_factory=list)  # I6
    unbounded: list[str] = field(default_factory=list)  # I7
    stuck: list[str] = field(default_factory=list)  # I8
    unseen: list[str] = field(default_factory=list)  # I9
    undriven: list[str] = field(default_factory=list)  # I10

    def counts(self) -> dict[str, int]:
        """Return how many violations there are of each kind."""
        return {each.name: len(getattr(self, each.name)) for each in fields(self)}

    @property
    def is_clean(self) -> bool:
        """Tell whether all invariants hold."""
        return not any(self.counts().values())

    def lines(self) -> Iterator[str]:
        """Yield each violation with its kind."""
        for name in self.counts():
            for sentence in getattr(self, name):
                yield f"{name}: {sentence}"


def check(history: History) -> Verdict:
    """Return what a history violates."""
    customers = _accepted(history.exchanges, CUSTOMERS)
    activities = _accepted(history.exchanges, ACTIVITIES)
    return Verdict(
        lost=[*_lost(history, customers, activities)],
        conflicting=[*_conflicting(activities)],
        backward=[*_backward(history.truth, customers)],
        repeated=[*_repeated(customers, history), *_repeated(activities, history)],
        unexpected=[*_unexpected(history.truth, customers, activities)],
        reordered=[*_reordered(history.exchanges)],
        leaked=[*_leaked(history)],
        harmed=list(history.truth.harmed),
        unbounded=[*_unbounded(history.exchanges)],
        stuck=[*_stuck(history.rows)],
        unseen=[*_unseen(history.looks)],
        undriven=list(history.undriven),
    )


@dataclass(frozen=True, kw_only=True)
class _Arrival:
    """One record as the API took it."""

    record: Received
    exchange: Exchange


_Arrivals = Mapping[tuple[str, ...], Sequence[_Arrival]]


def _accepted(exchanges: Iterable[Exchange], endpoint: str) -> _Arrivals:
    """Return what the API took, by record, in the order in which it did."""
    found: dict[tuple[str, ...], list[_Arrival]] = defaultdict(list)
    taken = [each for each in exchanges if each.endpoint == endpoint and each.is_accepted]
    for exchange in sorted(taken, key=lambda each: each.accepted_as or 0):
        for record in exchange.records:
            found[record.key].append(_Arrival(record=record, exchange=exchange))
    return found


def _lost(history: History, customers: _Arrivals, activities: _Arrivals) -> Iterator[str]:
    """Everything committed is accepted, or dead with a reason."""
    dead = {row.key for row in history.rows if row.status == "dead" and row.reason}
    for key in history.truth.activities:
        if key not in activities and key not in dead:
            yield f"activity {key} was committed and is neither accepted nor dead"
    for customer_id, wanted in history.truth.customers.items():
        if (customer_id,) in dead:
            continue
        if (customer_id,) not in customers:
            yield f"customer {customer_id} was committed and is neither accepted nor dead"
            continue
        last = customers[customer_id,][-1].record.values
        for name, values in wanted.fields.items():
            if last.get(name) != values[-1]:
                yield f"customer {customer_id}: {name} was {values[-1]} last, the API has {last.get(name)}"


def _conflicting(activities: _Arrivals) -> Iterator[str]:
    """Every accepted body of one event is the same, to the byte."""
    for key, arrivals in activities.items():
        bodies = {arrival.record.text for arrival in arrivals}
        if len(bodies) > 1:
            yield f"activity {key} was accepted with {len(bodies)} bodies"


def _backward(truth: Truth, customers: _Arrivals) -> Iterator[str]:
    """No field of a customer goes back to a value that was committed before the one the API had."""
    for (customer_id,), arrivals in customers.items():
        wanted = truth.customers.get(customer_id)
        for name, values in wanted.fields.items() if wanted else ():
            places = [_place(arrival.record.values.get(name), values) for arrival in arrivals]
            if places != sorted(places):
                yield f"customer {customer_id}: {name} went back ({places})"


def _place(value: object, values: Sequence[str]) -> int:
    """Return how new a value is; one that was never committed is another check's business."""
    return values.index(value) if isinstance(value, str) and value in values else -1


def _repeated(arrivals: _Arrivals, history: History) -> Iterator[str]:
    """The same body is accepted again only when the answer was unclear, or somebody died or stopped in between."""
    for key, each in arrivals.items():
        for before, after in itertools.pairwise(each):
            is_same = before.record.text == after.record.text
            if is_same and not _is_excused(before.exchange, after.exchange, history.disturbances):
                yield (
                    f"{key} was accepted in request {before.exchange.number} ({before.exchange.fault.name}) and "
                    f"again in request {after.exchange.number}, and no fault explains it"
                )


def _is_excused(before: Exchange, after: Exchange, disturbances: Sequence[tuple[float, float]]) -> bool:
    return not before.is_prompt or any(
        before.received_at <= end and begin <= after.received_at for begin, end in disturbances
    )


def _unexpected(truth: Truth, customers: _Arrivals, activities: _Arrivals) -> Iterator[str]:
    """Nothing is accepted that was not committed, nor with other values."""
    for key, arrivals in activities.items():
        wanted = truth.activities.get((key[0], key[1]))
        if wanted is None:
            yield f"activity {key} was accepted and never committed"
        elif any(not _is_activity(arrival.record, wanted) for arrival in arrivals):
            yield f"activity {key} was accepted with other values than were committed"
    for (customer_id,), arrivals in customers.items():
        known = truth.customers.get(customer_id)
        if known is None:
            yield f"customer {customer_id} was accepted and never committed"
            continue
        for sentence in {wrong for arrival in arrivals if (wrong := _wrong(arrival.record, known))}:
            yield f"customer {customer_id} was accepted with {sentence}"


def _is_activity(record: Received, wanted: Mapping[str, str]) -> bool:
    return (record.values["customerid"], record.values["Value"]) == (wanted["customer_id"], wanted["value"])


def _wrong(record: Received, known: CustomerTruth) -> str:
    """Return what a customer's body says that was never committed; nothing when all of it was."""
    values = record.values
    if known.name and (values.get("firstName"), values.get("tracking_data")) != (known.name, known.tracking):
        return "another person's name or tracking data"
    for name, value in values.items():
        if name.startswith("status_") and value not in known.fields.get(name, []):
            return f"{name} {value}, which was never committed"
    return ""


def _reordered(exchanges: Sequence[Exchange]) -> Iterator[str]:
    """A customer's acceptance was answered before any of their activities was sent."""
    answered: dict[str, float] = {}
    for exchange in exchanges:
        if exchange.endpoint == CUSTOMERS and exchange.is_clear and exchange.answered_at is not None:
            for record in exchange.records:
                answered.setdefault(record.key[0], exchange.answered_at)
    for exchange in exchanges:
        if exchange.endpoint == ACTIVITIES:
            for record in exchange.records:
                customer_id = str(record.values.get("customerid"))
                if answered.get(customer_id, float("inf")) > exchange.received_at:
                    yield f"activity {record.key} was sent before customer {customer_id} was accepted"


def _leaked(history: History) -> Iterator[str]:
    """No secret is anywhere but in requests, and nobody was redirected."""
    for name, text in history.texts.items():
        for secret in history.secrets:
            if (where := text.find(secret)) >= 0:
                yield f"{name} holds {secret!r}: …{text[max(0, where - 120) : where + 40]!r}…"
    if history.trapped:
        yield f"{history.trapped} requests followed a redirect"


def _unbounded(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """No request is larger than the settings allow; a single record may be larger by itself."""
    for exchange in exchanges:
        if len(exchange.records) > MAX_RECORDS:
            yield f"request {exchange.number} had {len(exchange.records)} records"
        if exchange.size > MAX_BYTES + 2 and len(exchange.records) > 1:
            yield f"request {exchange.number} had {exchange.size} bytes"


def _stuck(rows: Iterable[Row]) -> Iterator[str]:
    """When all is healed and drained, no record waits."""
    for row in rows:
        if row.status != "delivered":
            yield f"{row.key} is still {row.status} ({row.reason or 'no reason'})"


def _unseen(looks: Iterable[Look]) -> Iterator[str]:
    """`track360 status` fails exactly when something needs a person."""
    for look in looks:
        if (look.exit_code != 0) != look.is_in_trouble:
            said = "fails" if look.exit_code else "finds nothing"
            yield f"status {said} (exit code {look.exit_code}), in trouble: {look.is_in_trouble}"
