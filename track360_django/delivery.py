"""
Delivery: take a lane, batch what is due, send, settle, until nothing is due or the time is up.

The only caller of the client. HTTP never happens inside a transaction; what an answer means is decided by the
client, when to try again by the policy, and both are written by the outbox under the lane's fence.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections

from track360_django import conf, identity, outbox, payloads, policy, signals
from track360_django.client import Answer, Client, Verdict
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Status
from track360_django.outbox import Gate, LeaseLostError, Outcome, Taken

logger = logging.getLogger(__name__)

BUDGET_SECONDS: Final = 20.0
_PATHS: Final = {
    EndpointName.CUSTOMERS: payloads.CUSTOMERS_PATH,
    EndpointName.ACTIVITIES: payloads.ACTIVITIES_PATH,
}
_MODELS: Final[dict[EndpointName, type[Customer] | type[Activity]]] = {
    EndpointName.CUSTOMERS: Customer,
    EndpointName.ACTIVITIES: Activity,
}


@dataclass(kw_only=True)
class Report:
    """What one drain did: counts of records, and whether work is left that is due now."""

    delivered: int = 0
    retried: int = 0
    dead: int = 0
    held: int = 0
    requests: int = 0
    is_finished: bool = True


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A record on its way: the very text that is sent, and what is needed to settle it."""

    pk: int
    version: int
    attempts: int
    body: str
    names: tuple[str, ...]
    is_too_old: bool


@dataclass(kw_only=True)
class _Round:
    """One endpoint of one lane, worked on now."""

    lane: Taken
    name: EndpointName
    client: Client
    endpoint: Endpoint
    gate: Gate
    report: Report
    is_stopped: bool = False
    outcomes: int = field(default=0)


def drain(*, budget_seconds: float = BUDGET_SECONDS, using: str = DEFAULT_DB_ALIAS) -> Report:
    """
    Deliver what is due, lane by lane, until nothing is or the budget is spent.

    Returns:
        Counts of what was done; `is_finished` is False when time ran out first.
    """
    report = Report()
    brands = [brand for brand in conf.brands() if conf.for_brand(brand).ENABLED]
    if not brands:
        return report
    deadline = time.monotonic() + budget_seconds
    outbox.ensure_lanes(brands, using=using)
    stuck: set[int] = set()
    while time.monotonic() < deadline:
        lane = outbox.take(brands, owner=_owner(), using=using, without=stuck)
        if lane is None:
            return report
        if not _work(lane, deadline, report):
            stuck.add(lane.pk)
    return replace(report, is_finished=False)


def _owner() -> str:
    """Return a name that no other taking of a lane has, and that tells a person where the worker ran."""
    return f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def _work(lane: Taken, deadline: float, report: Report) -> bool:
    """Deliver one lane: customers before activities, page by page; tell whether anything moved."""
    has_moved = is_drained = False
    try:
        _bury_suspect(lane)
        while not is_drained and time.monotonic() < deadline:
            moved = [_work_endpoint(lane, name, deadline, report) for name in EndpointName]
            is_drained = not any(moved)
            has_moved = has_moved or any(moved)
        outbox.give_back(lane, is_drained=is_drained)
    except LeaseLostError:
        logger.warning("track360: lane %s of %s has another owner; this worker stops.", lane.number, lane.brand)
    return has_moved


def _work_endpoint(lane: Taken, name: EndpointName, deadline: float, report: Report) -> bool:
    """Send what is due at one endpoint; tell whether any record was settled."""
    settings = conf.for_brand(lane.brand)
    width = policy.width(lane.losses, settings.BATCH_SIZE)
    since: datetime | None = None
    begun: _Round | None = None
    while time.monotonic() < deadline:
        page = outbox.due_page(
            _MODELS[name], lane, limit=width, since=since, max_age=timedelta(days=settings.MAX_AGE_DAYS)
        )
        if not page:
            break
        if begun is None:
            gate, endpoint = outbox.knock(lane.brand, name, using=lane.using)
            if gate is Gate.CLOSED:
                break
            begun = _Round(
                lane=lane, name=name, client=client_of(lane.brand), endpoint=endpoint, gate=gate, report=report
            )
        since = page[-1].due_at
        _send_page(begun, page)
        if begun.is_stopped:
            break
    return begun is not None and begun.outcomes > 0


def _send_page(now: _Round, page: Sequence[Customer] | Sequence[Activity]) -> None:
    """Make parcels of a page, set aside what can't go, send the rest in batches; a probe sends one record."""
    if policy.is_single(now.lane.losses):
        outbox.renew(now.lane, suspect=f"{now.name}:{page[0].pk}")
    parcels, aside = _pack(now.lane.brand, page)
    _settle(now, aside)
    if now.gate is Gate.PROBE and parcels:
        _send(now, parcels[:1])
        if not now.is_stopped and now.gate is Gate.OPEN:
            parcels = parcels[1:]
        else:
            return
    for batch in _batches(parcels, conf.for_brand(now.lane.brand).BATCH_BYTES):
        if now.is_stopped:
            return
        _send(now, batch)


# Packing: rows become the text that is sent.


def _pack(brand: str, page: Sequence[Any]) -> tuple[list[Parcel], list[Outcome]]:
    if page and isinstance(page[0], Customer):
        return _pack_customers(brand, page)
    return _pack_activities(page)


def _pack_customers(brand: str, page: Sequence[Customer]) -> tuple[list[Parcel], list[Outcome]]:
    users = identity.users_of(page, brand)
    parcels, aside = [], []
    for customer in page:
        user = users.get(customer.user_pk)
        # Nobody claimed what the safety net wrote: look again before it goes out by itself.
        if customer.status == Status.HELD and (reason := identity.why_not_a_customer(user, brand)):
            aside.append(_parked(customer, reason))
            continue
        try:
            body = body_of(customer, user)
        except PayloadError as error:
            aside.append(_refused(customer, error.reason, str(error)))
            continue
        parcels.append(_parcel(customer, body, (customer.customer_id,)))
    return parcels, aside


def _pack_activities(page: Sequence[Activity]) -> tuple[list[Parcel], list[Outcome]]:
    parcels, aside = [], []
    for activity in page:
        # See Note [Due] in models: parked and released under the same lease.
        if not getattr(activity, "customer_version", 0):
            aside.append(_parked(activity, "customer_not_accepted"))
        else:
            parcels.append(_parcel(activity, activity.body, (activity.eventname, activity.eventid)))
    return parcels, aside


def _parcel(record: Customer | Activity, body: str, names: tuple[str, ...]) -> Parcel:
    return Parcel(
        pk=record.pk,
        version=record.version,
        attempts=record.attempts,
        body=body,
        names=names,
        is_too_old=bool(getattr(record, "is_too_old", False)),
    )


def _parked(record: Customer | Activity, reason: str) -> Outcome:
    return Outcome(pk=record.pk, version=record.version, status=Status.HELD, reason=reason, is_attempt=False)


def _refused(record: Customer | Activity, reason: str, error: str) -> Outcome:
    return Outcome(
        pk=record.pk, version=record.version, status=Status.DEAD, reason=reason, error=error, is_attempt=False
    )


def body_of(customer: Customer, user: Any | None) -> str:
    """
    Return the JSON text that reports a customer now.

    Raises:
        PayloadError: A value can't be reported exactly, or `BEFORE_SEND` refused the record.
    """
    record = identity.record_of(customer, user).as_dict(conf.time_zone(customer.brand))
    return payloads.to_json(before_send(record, customer.brand))


def before_send(record: payloads.Record, brand: str) -> payloads.Record:
    """
    Return a record as the host's `BEFORE_SEND` leaves it.

    Raises:
        PayloadError: It returned no mapping, or raised.
    """
    change = conf.function(conf.for_brand(brand).BEFORE_SEND)
    if change is None:
        return record
    try:
        changed = change(dict(record))
        json.dumps(changed)
    except Exception as error:
        message = f"BEFORE_SEND raised {type(error).__name__}: correct it, then requeue the record."
        raise PayloadError(message, reason="before_send") from None
    if not isinstance(changed, dict) or not changed:
        message = "BEFORE_SEND returned no record, so nothing was sent: return the mapping it was given."
        raise PayloadError(message, reason="before_send")
    return changed


def _batches(parcels: Iterable[Parcel], max_bytes: int) -> Iterator[list[Parcel]]:
    """Cut parcels into requests of at most so many bytes, each with one at least."""
    batch: list[Parcel] = []
    size = 0
    for parcel in parcels:
        weight = len(parcel.body.encode()) + 1
        if batch and size + weight > max_bytes:
            yield batch
            batch, size = [], 0
        batch.append(parcel)
        size += weight
    if batch:
        yield batch


# Sending and settling.


def _send(now: _Round, batch: Sequence[Parcel]) -> None:
    """Post one batch and settle what the answer says; a refused batch is halved until the bad record is alone."""
    if not now.lane.may_send():
        outbox.renew(now.lane)
    now.report.requests += 1
    answer = now.client.post(_PATHS[now.name], [parcel.body for parcel in batch])
    match answer.verdict:
        case Verdict.ACCEPTED:
            _accept(now, batch)
        case Verdict.RETRY:
            _retry(now, batch, answer)
        case Verdict.PAUSE:
            _pause(now, policy.breaker_pause(max(_failed(now, answer), policy.FAILURES_TO_OPEN)), answer)
        case Verdict.REFUSED if len(batch) > 1:
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                if not now.is_stopped:
                    _send(now, half)
        case Verdict.REFUSED:
            _refuse(now, batch[0], answer)


def _accept(now: _Round, batch: Sequence[Parcel]) -> None:
    _settle(now, [Outcome(pk=parcel.pk, version=parcel.version, status=Status.DELIVERED) for parcel in batch])
    outbox.note_acceptance(now.endpoint)
    now.gate = Gate.OPEN
    signal = signals.customer_delivered if now.name is EndpointName.CUSTOMERS else signals.activity_delivered
    if signal.has_listeners(_MODELS[now.name]):
        for parcel in batch:
            signal.send_robust(sender=_MODELS[now.name], brand=now.lane.brand, **_named(now.name, parcel))


def _named(name: EndpointName, parcel: Parcel) -> dict[str, Any]:
    if name is EndpointName.CUSTOMERS:
        return {"customer_id": parcel.names[0], "version": parcel.version}
    return {"eventname": parcel.names[0], "eventid": parcel.names[1]}


def _retry(now: _Round, batch: Sequence[Parcel], answer: Answer) -> None:
    _settle(now, _again(batch, answer))
    failures = _failed(now, answer)
    wait = policy.asked_pause(answer.retry_after) or policy.breaker_pause(failures)
    if wait is None and now.gate is Gate.PROBE:
        wait = timedelta(seconds=policy.BREAKER_SECONDS)
    if wait is not None:
        _pause(now, wait, answer)
    now.is_stopped = True


def _again(batch: Sequence[Parcel], answer: Answer) -> list[Outcome]:
    # Records that failed together go again together: one wait for each number of attempts, one statement each.
    waits = {
        attempts: policy.retry_in(attempts + 1, reason=answer.reason, retry_after=answer.retry_after)
        for attempts in {parcel.attempts for parcel in batch}
    }
    return [_too_old(parcel, answer) if parcel.is_too_old else _pending(parcel, answer, waits) for parcel in batch]


def _pending(parcel: Parcel, answer: Answer, waits: Mapping[int, timedelta]) -> Outcome:
    return Outcome(
        pk=parcel.pk,
        version=parcel.version,
        status=Status.PENDING,
        reason=answer.reason,
        error=answer.error,
        wait=waits[parcel.attempts],
    )


def _too_old(parcel: Parcel, answer: Answer) -> Outcome:
    error = f"Not accepted within MAX_AGE_DAYS: correct the cause, then requeue it. {answer.error}"
    return Outcome(pk=parcel.pk, version=parcel.version, status=Status.DEAD, reason="too_old", error=error)


def _failed(now: _Round, answer: Answer) -> int:
    return outbox.note_failure(now.endpoint, reason=answer.reason, error=answer.error)


def _pause(now: _Round, wait: timedelta | None, answer: Answer) -> None:
    """Pause the endpoint for all workers of the brand and tell people once; no record is touched."""
    now.is_stopped = True
    is_news = outbox.pause(now.endpoint, wait or timedelta(0), reason=answer.reason, error=answer.error)
    if not is_news:
        return
    logger.error(
        "track360: the %s endpoint of brand %s is paused (%s); its records wait, none is lost. %s",
        now.name,
        now.lane.brand,
        answer.reason,
        answer.error,
    )
    signals.endpoint_paused.send_robust(
        sender=Endpoint, brand=now.lane.brand, endpoint=str(now.name), reason=answer.reason, error=answer.error
    )


def _refuse(now: _Round, parcel: Parcel, answer: Answer) -> None:
    """Put one refused record aside; but if record after record is refused, it is the endpoint that is wrong."""
    refusals = outbox.note_refusal(now.endpoint)
    if refusals > policy.REFUSALS_TO_PAUSE:
        # The next probe takes another record: this one may be bad in itself.
        _settle(now, _again([parcel], answer))
        _pause(now, policy.breaker_pause(policy.FAILURES_TO_OPEN + refusals), answer)
        return
    dead = Outcome(
        pk=parcel.pk, version=parcel.version, status=Status.DEAD, reason=answer.reason, error=answer.error
    )
    _settle(now, [dead])
    if now.gate is Gate.PROBE:
        # It judged the record, so the endpoint itself works again.
        outbox.reopen(now.endpoint)
        now.gate = Gate.OPEN


def _settle(now: _Round, outcomes: Sequence[Outcome]) -> None:
    """Write outcomes, through a restart of the database if need be, for as long as the lease holds."""
    if not outcomes:
        return
    model = _MODELS[now.name]
    while True:
        try:
            outbox.settle(model, now.lane, outcomes)
            break
        except (OperationalError, InterfaceError):
            connection = connections[now.lane.using]
            if connection.in_atomic_block or time.monotonic() > now.lane.ends:
                raise
            connection.close_if_unusable_or_obsolete()
            time.sleep(0.5)
    now.outcomes += len(outcomes)
    _count(now, outcomes)


def _count(now: _Round, outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        match outcome.status:
            case Status.DELIVERED:
                now.report.delivered += 1
            case Status.PENDING:
                now.report.retried += 1
            case Status.HELD:
                now.report.held += 1
            case Status.DEAD:
                now.report.dead += 1
                alert_dead(model=_MODELS[now.name], brand=now.lane.brand, pk=outcome.pk, reason=outcome.reason)


def alert_dead(*, model: type[Customer] | type[Activity], brand: str, pk: int | None, reason: str) -> None:
    """Log that a record needs a person, and send `record_dead`."""
    record = model._meta.model_name
    logger.error(
        "track360: a %s of brand %s (id %s) is dead: %s. See it in the admin, correct the cause, requeue it.",
        record,
        brand,
        pk,
        reason,
    )
    signals.record_dead.send_robust(sender=model, brand=brand, record=record, pk=pk, reason=reason)


def _bury_suspect(lane: Taken) -> None:
    """Declare dead the single record that was under way each time a worker of this lane died."""
    if not (lane.suspect and policy.is_killer(lane.losses)):
        return
    name, _, pk = lane.suspect.partition(":")
    model = _MODELS[EndpointName(name)]
    record = model._default_manager.using(lane.using).filter(pk=pk).exclude(status=Status.DELIVERED).first()
    if record is not None:
        error = "Each worker that took this record died. Look at what its BEFORE_SEND or fields do, then requeue it."
        outbox.settle(model, lane, [_refused(record, "kills_its_worker", error)])
        alert_dead(model=model, brand=lane.brand, pk=record.pk, reason="kills_its_worker")
    outbox.renew(lane, losses=0, suspect="")
    lane.losses, lane.suspect = 0, ""


# Clients: one a process and brand, for as long as the brand's settings stay as they are.

_clients: dict[str, tuple[tuple[Any, ...], Client]] = {}


def client_of(brand: str) -> Client:
    """Return this process's client of a brand; a new one when the settings have changed."""
    settings = conf.for_brand(brand)
    arguments = {
        "base_url": settings.BASE_URL,
        "token": settings.BRAND_TOKEN,
        "connect_timeout_seconds": settings.CONNECT_TIMEOUT_SECONDS,
        "read_timeout_seconds": settings.READ_TIMEOUT_SECONDS,
        "total_timeout_seconds": settings.TOTAL_TIMEOUT_SECONDS,
        "proxies": settings.PROXIES,
        "ca_bundle": settings.CA_BUNDLE,
        "allow_http": settings.ALLOW_HTTP,
        "response_check": conf.function(settings.RESPONSE_CHECK),
    }
    key = tuple(repr(value) for value in arguments.values())
    known = _clients.get(brand)
    if known is None or known[0] != key:
        known = _clients[brand] = (key, Client(**arguments))
    return known[1]
