"""
Delivery: take a lane, batch what is due, send, settle, until nothing is due or the time is up.

The only caller of the client. HTTP never happens inside a transaction; what an answer means is decided by the
client, when to try again by the policy, and both are written by the outbox under the lane's fence.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError, OperationalError, connections, router

from track360_django import (
    alerts,
    clients,
    conf,
    endpoints,
    lanes,
    outbox,
    parcels,
    payloads,
    policy,
    signals,
)
from track360_django.answers import Answer, Verdict
from track360_django.client import Client
from track360_django.endpoints import Gate
from track360_django.lanes import LeaseLostError, Taken
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Status
from track360_django.outbox import Outcome
from track360_django.parcels import Parcel

logger = logging.getLogger(__name__)

BUDGET_SECONDS: Final = 20.0
# How long to wait between tries to settle through a restart of the database.
SETTLE_AGAIN_SECONDS: Final = 0.2
# How long a transaction of the host may keep a worker that wants to settle its rows.
LOCKED_SECONDS: Final = 5.0


@dataclass(kw_only=True)
class Report:
    """What one drain did: counts of records and requests; `is_finished` is False when time ran out first."""

    delivered: int = 0
    retried: int = 0
    held: int = 0
    dead: int = 0
    requests: int = 0
    is_finished: bool = True


def drain(*, budget_seconds: float = BUDGET_SECONDS, using: str = "") -> Report:
    """
    Deliver what is due, lane by lane, until nothing is or the budget is spent.

    Args:
        budget_seconds: No new page is begun after so long; the one under way is finished.
        using: Alias of the database; the one that the host's routers write customers to, if left out.

    Returns:
        Counts of what was done. What the network or Track360 does is in the tables, not in an exception.

    Source: none, our choice: the API guide asks for pushes "as they occur" and names no order.
    """
    report = Report()
    brands = [brand for brand in conf.brands() if conf.for_brand(brand).ENABLED]
    if not brands:
        return report
    using = using or router.db_for_write(Customer)
    deadline = time.monotonic() + budget_seconds
    lanes.ensure_lanes(brands, using=using)
    unmoved: set[int] = set()
    while time.monotonic() < deadline:
        lane = lanes.take(brands, owner=_owner(), using=using, without=unmoved)
        if lane is None:
            return report
        if not _work(lane, deadline, report):
            unmoved.add(lane.pk)
    report.is_finished = False
    return report


def _owner() -> str:
    """Return a name that no other taking of a lane has, and that tells a person where the worker ran."""
    return f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def _work(lane: Taken, deadline: float, report: Report) -> bool:
    """Deliver one lane, customers before activities, until nothing moves; tell whether anything did."""
    has_moved = is_drained = False
    try:
        _bury_suspect(lane)
        while not is_drained and time.monotonic() < deadline:
            moved = [_Round(lane=lane, name=name, report=report).work(deadline) for name in EndpointName]
            is_drained = not any(moved)
            has_moved = has_moved or any(moved)
        lanes.give_back(lane, is_drained=is_drained)
    except LeaseLostError:
        logger.warning(
            "track360: lane %s of brand %s has another owner; this worker stops.", lane.number, lane.brand
        )
    except Exception:
        # Whatever it was, the lane is free for the next worker, with narrower batches: if a record is to blame, it
        # will be found alone.
        with contextlib.suppress(DatabaseError, InterfaceError):
            lanes.give_up(lane)
        raise
    return has_moved


def _bury_suspect(lane: Taken) -> None:
    """Declare dead the single record that was under way each time a worker of this lane died."""
    suspect = lanes.suspect_of(lane)
    if suspect is None:
        return
    name, pk = suspect
    model = _model_of(name)
    record = model._default_manager.using(lane.using).filter(pk=pk).exclude(status=Status.DELIVERED).first()
    if record is not None:
        error = "Each worker that took this record died. Look at what BEFORE_SEND or its fields do, then requeue it."
        outbox.settle(model, lane, [parcels.dead(record, reason="kills_its_worker", error=error)])
        alerts.record_dead(model, brand=lane.brand, pk=record.pk, name=str(record), reason="kills_its_worker")
    lanes.clear(lane)


def _model_of(name: EndpointName) -> type[Customer | Activity]:
    return Customer if name is EndpointName.CUSTOMERS else Activity


@dataclass(kw_only=True)
class _Round:
    """One endpoint of one lane, worked on until nothing is due there or something stops it."""

    lane: Taken
    name: EndpointName
    report: Report
    settled: int = 0
    is_stopped: bool = False
    gate: Gate | None = None
    endpoint: Endpoint = field(init=False)
    client: Client = field(init=False)
    settings: conf.Settings = field(init=False)

    def work(self, deadline: float) -> bool:
        """Send page after page; tell whether any record was settled."""
        self.settings = conf.for_brand(self.lane.brand)
        since: datetime | None = None
        while not self.is_stopped and time.monotonic() < deadline:
            page = self._next_page(since)
            if not page or not self._is_let_through():
                break
            since = page[-1].due_at
            self._send_page(page)
        return self.settled > 0

    def _next_page(self, since: datetime | None) -> Sequence[Customer | Activity]:
        limit = policy.width(self.lane.losses, self.settings.BATCH_SIZE)
        max_age = timedelta(days=self.settings.MAX_AGE_DAYS)
        return outbox.due_page(_model_of(self.name), self.lane, limit=limit, since=since, max_age=max_age)

    def _is_let_through(self) -> bool:
        """Ask at the endpoint's gate, once a round: what happens later in it is known from its own answers."""
        if self.gate is None:
            self.gate, self.endpoint = endpoints.knock(self.lane.brand, self.name, using=self.lane.using)
            self.client = clients.of(self.lane.brand)
        return self.gate is not Gate.CLOSED

    def _send_page(self, page: Sequence[Customer | Activity]) -> None:
        if not policy.is_single(self.lane.losses):
            self._send_all(page)
            return
        lanes.try_alone(self.lane, self.name, page[0].pk)
        self._send_all(page)
        # Whatever became of the record, its worker lives.
        lanes.exonerate(self.lane)

    def _send_all(self, page: Sequence[Customer | Activity]) -> None:
        packed = self._pack(page)
        self._settle(packed.aside)
        going = packed.parcels
        if self.gate is Gate.PROBE and going:
            self._send(going[:1])
            going = going[1:]
        for batch in parcels.batches(going, self.settings.BATCH_BYTES):
            if self.is_stopped:
                return
            self._send(batch)

    def _pack(self, page: Sequence[Customer | Activity]) -> parcels.Packed:
        if self.name is EndpointName.CUSTOMERS:
            return parcels.pack_customers([row for row in page if isinstance(row, Customer)], self.lane.brand)
        return parcels.pack_activities([row for row in page if isinstance(row, Activity)])

    def _send(self, batch: Sequence[Parcel]) -> None:
        """Post one batch and settle what the answer says; a refused batch is halved until the bad record is alone."""
        if not self.lane.may_send():
            lanes.renew(self.lane)
        self.report.requests += 1
        answer = self.client.post(_path_of(self.name), [parcel.body for parcel in batch])
        match answer.verdict:
            case Verdict.ACCEPTED:
                self._accept(batch)
            case Verdict.RETRY:
                self._retry(batch, answer)
            case Verdict.PAUSE:
                self._pause(answer, policy.breaker_pause(max(self._failed(answer), policy.FAILURES_TO_OPEN)))
            case Verdict.REFUSED if len(batch) > 1:
                self._halve(batch)
            case Verdict.REFUSED:
                self._refuse(batch[0], answer)

    def _halve(self, batch: Sequence[Parcel]) -> None:
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if not self.is_stopped:
                self._send(half)

    def _accept(self, batch: Sequence[Parcel]) -> None:
        self._settle(
            [Outcome(pk=parcel.pk, version=parcel.version, status=Status.DELIVERED) for parcel in batch]
        )
        endpoints.note_acceptance(self.endpoint, is_probe=self.gate is Gate.PROBE)
        self.gate = Gate.OPEN
        for parcel in batch:
            self._announce(parcel)

    def _announce(self, parcel: Parcel) -> None:
        if self.name is EndpointName.CUSTOMERS:
            signals.customer_delivered.send_robust(
                sender=Customer, brand=self.lane.brand, customer_id=parcel.names[0], version=parcel.version
            )
        else:
            signals.activity_delivered.send_robust(
                sender=Activity, brand=self.lane.brand, eventname=parcel.names[0], eventid=parcel.names[1]
            )

    def _retry(self, batch: Sequence[Parcel], answer: Answer) -> None:
        self.is_stopped = True
        self._settle(_again(batch, answer))
        wait = policy.asked_pause(answer.retry_after) or policy.breaker_pause(self._failed(answer))
        if wait is None and self.gate is Gate.PROBE:
            wait = timedelta(seconds=policy.BREAKER_SECONDS)
        if wait is not None:
            self._pause(answer, wait)

    def _refuse(self, parcel: Parcel, answer: Answer) -> None:
        """Put one refused record aside; but if record after record is refused, it is the endpoint that is wrong."""
        refusals = endpoints.note_refusal(self.endpoint)
        if refusals > policy.REFUSALS_TO_PAUSE:
            # The next probe takes another record: this one may be bad in itself.
            self._settle(_again([parcel], answer))
            self._pause(answer, policy.breaker_pause(policy.FAILURES_TO_OPEN + refusals))
            return
        self._settle([_dead(parcel, answer.reason, answer.error)])
        if self.gate is Gate.PROBE:
            # It judged the record, so the endpoint itself works again.
            endpoints.reopen(self.endpoint)
            self.gate = Gate.OPEN

    def _failed(self, answer: Answer) -> int:
        return endpoints.note_failure(self.endpoint, reason=answer.reason, error=answer.error)

    def _pause(self, answer: Answer, wait: timedelta | None) -> None:
        """Pause the endpoint for all workers of the brand and tell people once; no record is touched."""
        self.is_stopped = True
        if endpoints.pause(self.endpoint, wait or timedelta(0), reason=answer.reason, error=answer.error):
            alerts.endpoint_paused(self.endpoint)

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes, through a restart of the database if need be, for as long as the lease holds."""
        left: Sequence[Outcome] = outcomes
        patience = time.monotonic() + LOCKED_SECONDS
        while left:
            left = self._settle_once(left)
            if left and time.monotonic() > patience:
                # A long transaction of the host holds them: they stay as they were, and are sent once more.
                logger.warning("track360: %d records are locked by another transaction.", len(left))
                self.is_stopped = True
                break
            if left:
                time.sleep(SETTLE_AGAIN_SECONDS)
        done = [outcome for outcome in outcomes if outcome not in left]
        self.settled += len(done)
        lanes.note_passed(self.lane, len(done), self.settings.BATCH_SIZE)
        for outcome in done:
            self._count(outcome)
        self._alert([outcome for outcome in done if outcome.status is Status.DEAD])

    def _settle_once(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Settle as soon as the database answers, while the lease lasts; return what another transaction holds."""
        while True:
            try:
                return outbox.settle(_model_of(self.name), self.lane, outcomes)
            except (OperationalError, InterfaceError):
                connection = connections[self.lane.using]
                if connection.in_atomic_block or time.monotonic() > self.lane.ends:
                    raise
                connection.close_if_unusable_or_obsolete()
                time.sleep(SETTLE_AGAIN_SECONDS)

    def _alert(self, dead: Sequence[Outcome]) -> None:
        for outcome in dead:
            alerts.record_dead(
                _model_of(self.name),
                brand=self.lane.brand,
                pk=outcome.pk,
                name=f"with id {outcome.pk}",
                reason=outcome.reason,
            )

    def _count(self, outcome: Outcome) -> None:
        match outcome.status:
            case Status.DELIVERED:
                self.report.delivered += 1
            case Status.PENDING:
                self.report.retried += 1
            case Status.HELD:
                self.report.held += 1
            case Status.DEAD:
                self.report.dead += 1


def _path_of(name: EndpointName) -> str:
    return payloads.CUSTOMERS_PATH if name is EndpointName.CUSTOMERS else payloads.ACTIVITIES_PATH


def _again(batch: Sequence[Parcel], answer: Answer) -> list[Outcome]:
    # Records that failed together go again together: one wait for each number of attempts, one statement each.
    waits = {
        attempts: policy.retry_in(attempts + 1, reason=answer.reason, retry_after=answer.retry_after)
        for attempts in {parcel.attempts for parcel in batch}
    }
    return [
        _too_late(parcel, answer)
        if parcel.is_too_old and parcel.attempts
        else _pending(parcel, answer, waits)
        for parcel in batch
    ]


def _pending(parcel: Parcel, answer: Answer, waits: Mapping[int, timedelta]) -> Outcome:
    return Outcome(
        pk=parcel.pk,
        version=parcel.version,
        status=Status.PENDING,
        reason=answer.reason,
        error=answer.error,
        wait=waits[parcel.attempts],
    )


def _too_late(parcel: Parcel, answer: Answer) -> Outcome:
    error = f"Not accepted within MAX_AGE_DAYS: correct the cause, then requeue it. {answer.error}"
    return _dead(parcel, "too_old", error)


def _dead(parcel: Parcel, reason: str, error: str) -> Outcome:
    return Outcome(pk=parcel.pk, version=parcel.version, status=Status.DEAD, reason=reason, error=error)
