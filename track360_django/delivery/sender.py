"""
The sender: one endpoint of one lane, page after page until nothing is due there or something stops it.

The only caller of the client. HTTP never happens inside a transaction. What an answer means is decided in
`api.responses`, what follows for the records in `outcomes`, and the outbox writes it under the lane's fence.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db import InterfaceError, OperationalError, connections, transaction

from track360_django import conf, signals
from track360_django.api import payloads
from track360_django.api.client import Client
from track360_django.api.responses import Answer, Verdict
from track360_django.db import row_locks
from track360_django.delivery import api_client, breaker, outcomes, packing, rate_limit, retry_policy
from track360_django.delivery.breaker import Gate
from track360_django.delivery.parcel import Packed, Parcel
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Status
from track360_django.outbox import alerts, due, lanes, settlement
from track360_django.outbox.due import DueActivity, Mark
from track360_django.outbox.lanes import Taken
from track360_django.outbox.settlement import Outcome

logger = logging.getLogger(__name__)

# How many batches are read at once.
BATCHES: Final = 4
# How long to wait between tries to settle through a restart of the database.
SETTLE_AGAIN_SECONDS: Final = 0.2
# How long a transaction of the host may keep a worker that wants to settle its rows.
LOCKED_SECONDS: Final = 5.0


# How often a worker asks how an endpoint is, and tells that it accepts: other workers may have found it down.
KNOCK_SECONDS: Final = 1.0


@dataclass(kw_only=True)
class Report:
    """What one drain did: counts of records and requests; `is_finished` is False when time ran out first."""

    delivered: int = 0
    retried: int = 0
    held: int = 0
    dead: int = 0
    requests: int = 0
    is_finished: bool = True

    def add(self, other: Report) -> None:
        """Add what another one counted."""
        for name in ("delivered", "retried", "held", "dead", "requests"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.is_finished = self.is_finished and other.is_finished


@dataclass(kw_only=True)
class Sender:
    """
    One endpoint of one lane, while one worker has the lane.

    `settled` counts records; `is_stopped` tells that nothing more goes there now; `is_blocked` that records were sent
    and could not be settled, for a transaction of the host holds them.
    """

    lane: Taken
    name: EndpointName
    report: Report
    # Called for each page that is more than one batch, before it is sent.
    on_backlog: Callable[[], None]
    settled: int = 0
    is_stopped: bool = False
    is_blocked: bool = False
    gate: Gate | None = None
    knocked: float = 0.0
    noted: float = 0.0
    mark: Mark | None = None
    endpoint: Endpoint = field(init=False)
    client: Client = field(init=False)
    settings: conf.Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = conf.for_brand(self.lane.brand)

    def work(self, deadline: float, *, pages: int) -> bool:
        """Send so many pages at most; tell whether more may be due."""
        for _ in range(pages):
            if self.is_stopped or time.monotonic() >= deadline:
                break
            limit = self._width() * (
                1 if self.lane.losses or self.name is EndpointName.CUSTOMERS else BATCHES
            )
            page = self._next_page(limit)
            if not page or not self._is_let_through():
                return False
            is_full = len(page) >= limit
            if len(page) > self._width():
                self.on_backlog()
            # Asked before it is settled: then it is no longer due.
            self.mark = due.mark_of(page[-1], self.lane) if is_full else None
            if self.lane.has_rested:
                page = self._without_locked(page)
            if page:
                self._send_page(page, deadline)
            if not is_full:
                return False
        return not self.is_stopped

    def _width(self) -> int:
        return lanes.width(self.lane.losses, self.settings.BATCH_SIZE)

    def _next_page(self, limit: int) -> Sequence[Customer] | Sequence[DueActivity]:
        find = due.customers if self.name is EndpointName.CUSTOMERS else due.activities
        max_age = timedelta(days=self.settings.MAX_AGE_DAYS)
        return find(self.lane, limit=limit, after=self.mark, max_age=max_age)

    def _without_locked(
        self, page: Sequence[Customer] | Sequence[DueActivity]
    ) -> Sequence[Customer] | Sequence[DueActivity]:
        """Leave out what the host still holds: it was sent, could not be settled, and would be sent once more."""
        with transaction.atomic(using=self.lane.using):
            locked = row_locks.find_locked(self._model, [row.pk for row in page], using=self.lane.using)
        self.is_blocked = self.is_blocked or bool(locked)
        return [row for row in page if row.pk not in locked]  # type: ignore[return-value]  # of the same kind

    def _is_let_through(self) -> bool:
        """Ask at the endpoint's gate, again after a while: what happens meanwhile is known from its own answers."""
        if self.gate is None or time.monotonic() > self.knocked + KNOCK_SECONDS:
            self.gate, self.endpoint = breaker.knock(self.lane.brand, self.name, using=self.lane.using)
            self.knocked = time.monotonic()
            self.client = api_client.of(self.lane.brand)
        return self.gate is not Gate.CLOSED

    def _send_page(self, page: Sequence[Customer] | Sequence[DueActivity], deadline: float) -> None:
        if not lanes.is_single(self.lane.losses):
            self._send_all(page, deadline)
            return
        lanes.try_alone(self.lane, self.name, page[0].pk)
        self._send_all(page, deadline)
        # Whatever became of the record, its worker lives.
        lanes.exonerate(self.lane)

    def _send_all(self, page: Sequence[Customer] | Sequence[DueActivity], deadline: float) -> None:
        packed = self._pack(page)
        self._settle(packed.aside)
        going = packed.parcels
        if self.gate is Gate.PROBE and going:
            self._send(going[:1], deadline)
            going = going[1:]
        for batch in packing.batches(going, self._width(), self.settings.BATCH_BYTES):
            if self.is_stopped:
                return
            self._send(batch, deadline)
            if time.monotonic() >= deadline:
                return

    def _pack(self, page: Sequence[Customer] | Sequence[DueActivity]) -> Packed:
        if self.name is EndpointName.CUSTOMERS:
            return packing.pack_customers([row for row in page if isinstance(row, Customer)], self.lane.brand)
        return packing.pack_activities([row for row in page if isinstance(row, DueActivity)])

    def _send(self, batch: Sequence[Parcel], deadline: float) -> None:
        """Post one batch and settle what the answer says; a refused batch is halved until the bad record is alone."""
        if not self._wait_for_turn(deadline):
            self.is_stopped = True
            return
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
                self._pause(
                    answer,
                    retry_policy.breaker_pause(max(self._failed(answer), retry_policy.FAILURES_TO_OPEN)),
                )
            case Verdict.REFUSED if len(batch) > 1:
                self._halve(batch, deadline)
            case Verdict.REFUSED:
                self._refuse(batch[0], answer)

    def _wait_for_turn(self, deadline: float) -> bool:
        """Wait as long as the brand's pace asks for; tell whether the turn comes in time."""
        if self.settings.REQUESTS_PER_SECOND is None:
            return True
        limit = max(self.settings.REQUESTS_PER_SECOND, rate_limit.LEAST_PER_SECOND)
        wait = rate_limit.take_turn(
            self.lane.brand,
            requests_per_second=limit,
            # One turn at least, however short the time of this drain: slow is not never.
            at_most_seconds=max(deadline - time.monotonic(), 1 / limit),
            using=self.lane.using,
        )
        if wait is None:
            return False
        time.sleep(wait)
        return True

    def _halve(self, batch: Sequence[Parcel], deadline: float) -> None:
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if not self.is_stopped:
                self._send(half, deadline)

    def _accept(self, batch: Sequence[Parcel]) -> None:
        self._settle_accepted(batch)
        is_probe = self.gate is Gate.PROBE
        if is_probe or time.monotonic() > self.noted + KNOCK_SECONDS:
            breaker.note_acceptance(self.endpoint, is_probe=is_probe)
            self.noted = time.monotonic()
        self.gate = Gate.OPEN
        self._announce(batch)

    def _announce(self, batch: Sequence[Parcel]) -> None:
        """Tell those who listen, record by record."""
        brand = self.lane.brand
        if self.name is EndpointName.CUSTOMERS:
            if signals.customer_delivered.has_listeners(Customer):
                for parcel in batch:
                    signals.customer_delivered.send_robust(
                        sender=Customer, brand=brand, customer_id=parcel.names[0], version=parcel.version
                    )
        elif signals.activity_delivered.has_listeners(Activity):
            for parcel in batch:
                signals.activity_delivered.send_robust(
                    sender=Activity, brand=brand, eventname=parcel.names[0], eventid=parcel.names[1]
                )

    def _retry(self, batch: Sequence[Parcel], answer: Answer) -> None:
        self.is_stopped = True
        self._settle(outcomes.tried_again(batch, answer))
        wait = retry_policy.asked_pause(answer.retry_after) or retry_policy.breaker_pause(
            self._failed(answer)
        )
        if wait is None and self.gate is Gate.PROBE:
            wait = timedelta(seconds=retry_policy.BREAKER_SECONDS)
        if wait is not None:
            self._pause(answer, wait)

    def _refuse(self, parcel: Parcel, answer: Answer) -> None:
        """Put one refused record aside; but if record after record is refused, it is the endpoint that is wrong."""
        refusals = breaker.note_refusal(self.endpoint)
        # The next acceptance is told at once: it is what ends a row of refusals.
        self.noted = 0.0
        if refusals > retry_policy.REFUSALS_TO_PAUSE:
            # The next probe takes another record: this one may be bad in itself.
            self._settle(outcomes.tried_again([parcel], answer))
            self._pause(answer, retry_policy.breaker_pause(retry_policy.FAILURES_TO_OPEN + refusals))
            return
        self._settle([outcomes.refused(parcel, answer)])
        if self.gate is Gate.PROBE:
            # It judged the record, so the endpoint itself works again.
            breaker.reopen(self.endpoint)
            self.gate = Gate.OPEN

    def _failed(self, answer: Answer) -> int:
        return breaker.note_failure(self.endpoint, reason=answer.reason, error=answer.error)

    def _pause(self, answer: Answer, wait: timedelta | None) -> None:
        """Pause the endpoint for all workers of the brand and tell people once; no record is touched."""
        self.is_stopped = True
        if breaker.pause(self.endpoint, wait or timedelta(0), reason=answer.reason, error=answer.error):
            alerts.endpoint_paused(self.endpoint)

    def _settle_accepted(self, batch: Sequence[Parcel]) -> None:
        accepted = outcomes.accepted(batch)
        if len(accepted) == 1:
            with contextlib.suppress(OperationalError, InterfaceError):
                # If the connection broke, it may have been written or not; settling it again harms nobody.
                if settlement.settle_accepted(self._model, self.lane, accepted[0]):
                    self._note(accepted[0])
                    return
        self._settle(accepted)

    def _settle(self, wanted: Sequence[Outcome]) -> None:
        """Write outcomes, through a restart of the database if need be, for as long as the lease holds."""
        if not wanted:
            return
        locked = self._settle_once(wanted)
        patience = time.monotonic() + LOCKED_SECONDS
        while locked and time.monotonic() < patience:
            time.sleep(SETTLE_AGAIN_SECONDS)
            locked = self._settle_once([outcomes.only(outcome, locked) for outcome in wanted])
        if locked:
            # A long transaction of the host holds them: they stay as they were, and are sent once more.
            logger.warning("track360: %d records are locked by another transaction.", len(locked))
            self.is_stopped = self.is_blocked = True
        for outcome in wanted:
            self._note(outcomes.without(outcome, locked))

    def _settle_once(self, wanted: Sequence[Outcome]) -> set[int]:
        """Settle as soon as the database answers, while the lease lasts; return what another transaction holds."""
        # What a failed try renewed was rolled back.
        ends = self.lane.ends
        while True:
            try:
                return settlement.settle(self._model, self.lane, wanted)
            except (OperationalError, InterfaceError):
                connection = connections[self.lane.using]
                if connection.in_atomic_block or time.monotonic() > ends:
                    raise
                connection.close_if_unusable_or_obsolete()
                time.sleep(SETTLE_AGAIN_SECONDS)

    @property
    def _model(self) -> type[Customer | Activity]:
        return Customer if self.name is EndpointName.CUSTOMERS else Activity

    def _note(self, outcome: Outcome) -> None:
        """Count what was settled, and tell of each record that is dead."""
        count = len(outcome.pks)
        self.settled += count
        lanes.note_passed(self.lane, count, self.settings.BATCH_SIZE)
        match outcome.status:
            case Status.DELIVERED:
                self.report.delivered += count
            case Status.PENDING:
                self.report.retried += count
            case Status.HELD:
                self.report.held += count
            case Status.DEAD:
                self.report.dead += count
                self._alert(outcome)

    def _alert(self, dead: Outcome) -> None:
        for pk in dead.pks:
            alerts.record_dead(
                self._model, brand=self.lane.brand, pk=pk, name=f"with id {pk}", reason=dead.reason
            )


def _path_of(name: EndpointName) -> str:
    return payloads.CUSTOMERS_PATH if name is EndpointName.CUSTOMERS else payloads.ACTIVITIES_PATH
