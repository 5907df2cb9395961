"""
The only writer of delivery state: records are added, lanes taken, due pages read, outcomes settled under the fence.

Times are compared and made by the database's clock; nothing here sends anything.
"""

from __future__ import annotations

import random
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Now

from track360_django import conf
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Lane, Status

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable

Record = Customer | Activity
R = TypeVar("R", bound=Record)

MIN_LEASE_SECONDS: Final = 60.0
# A worker sends nothing when less than its longest attempt, and this for the settling, is left of its lease.
SETTLING_SECONDS: Final = 5.0
# What the safety net wrote and nobody claimed releases itself after this.
SAFETY_NET: Final = timedelta(seconds=60)
# One worker probes a paused endpoint; the others wait this long for its result.
PROBE: Final = timedelta(seconds=30)
INSERT_BATCH: Final = 1000
PRUNE_BATCH: Final = 1000


class LeaseLostError(Exception):
    """Another worker has the lane: nothing was changed, nothing more may be sent."""


@dataclass(kw_only=True)
class Taken:
    """A lane in the hands of one worker."""

    using: str
    pk: int
    brand: str
    number: int
    fence: int
    losses: int
    suspect: str
    total_timeout_seconds: float
    # When the lease ends on this process's monotonic clock: a wrong wall clock changes nothing.
    ends: float

    @property
    def lease_seconds(self) -> float:
        """How long the lane is taken or renewed for: three attempts at least."""
        return max(MIN_LEASE_SECONDS, 3 * self.total_timeout_seconds)

    def may_send(self) -> bool:
        """Tell whether an attempt that begins now ends within the lease."""
        return time.monotonic() < self.ends - self.total_timeout_seconds - SETTLING_SECONDS


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    What one attempt made of one record.

    `version` is what was sent; a record that changed meanwhile stays pending. `wait` is how long a pending record
    rests. `is_attempt` tells whether it counts as one of the record's attempts.
    """

    pk: int
    version: int
    status: Status
    reason: str = ""
    error: str = ""
    wait: timedelta | None = None
    is_attempt: bool = True


class Gate(models.TextChoices):
    """Whether an endpoint lets records through."""

    OPEN = "open"
    PROBE = "probe"
    CLOSED = "closed"


def lane_of(customer_id: str, lanes: int) -> int:
    """Return the lane of a new customer; stays the same in every process and on every machine."""
    return zlib.crc32(customer_id.encode()) % lanes


def from_now(wait: timedelta) -> Combinable:
    """Return a time from now by the database's clock."""
    return Now() + Value(wait)


# Adding records, in the host's transaction.


def add_customer(customer: Customer, *, using: str) -> Customer:
    """
    Insert a customer unless its brand has it already.

    Returns:
        The row in the table, which may be somebody else's insert.
    """
    customer.lane = lane_of(customer.customer_id, conf.for_brand(customer.brand).LANES)
    Customer.objects.using(using).bulk_create([customer], ignore_conflicts=True)
    return Customer.objects.using(using).get(brand=customer.brand, customer_id=customer.customer_id)


def add_activities(activities: Sequence[Activity], *, using: str) -> None:
    """Insert activities, leaving alone those whose (brand, eventname, eventid) is there already."""
    for activity in activities:
        activity.lane = activity.customer.lane if activity.customer else 0
    Activity.objects.using(using).bulk_create(activities, batch_size=INSERT_BATCH, ignore_conflicts=True)


def change_customer(customer: Customer, **changes: Any) -> None:
    """Write changed columns of a customer and mark it due: it goes out with its next version."""
    Customer.objects.using(customer._state.db).filter(pk=customer.pk).update(
        version=F("version") + 1,
        status=Status.PENDING,
        due_at=Now(),
        queued_at=Now(),
        attempts=0,
        reason="",
        error="",
        **changes,
    )


def release_customer(pk: int, *, using: str, **changes: Any) -> bool:
    """Release a held customer for delivery; tell whether it was held."""
    held = Customer.objects.using(using).filter(pk=pk, status=Status.HELD)
    return bool(held.update(status=Status.PENDING, due_at=Now(), queued_at=Now(), reason="", **changes))


def park_customer(pk: int, *, using: str, reason: str) -> None:
    """Keep a held customer until somebody reports it."""
    Customer.objects.using(using).filter(pk=pk, status=Status.HELD).update(due_at=None, reason=reason)


def drop_customer(pk: int, *, using: str) -> None:
    """Forget a held customer that is none (staff); its activities, if there are any, keep it."""
    held = Customer.objects.using(using).filter(pk=pk, status=Status.HELD, activities__isnull=True)
    if not held.delete()[0]:
        park_customer(pk, using=using, reason="not_a_customer")


def flag_changed(pk: int, *, using: str) -> bool:
    """Note that the host's row behind an activity changed; tell whether that is news."""
    return bool(Activity.objects.using(using).filter(pk=pk, changed_at=None).update(changed_at=Now()))


def correct_activity(pk: int, body: str, *, using: str) -> None:
    """Replace the body of an activity and mark it due: it goes out again under the same id."""
    Activity.objects.using(using).filter(pk=pk).update(
        body=body,
        version=F("version") + 1,
        status=Status.PENDING,
        due_at=Now(),
        queued_at=Now(),
        attempts=0,
        reason="",
        error="",
    )


def requeue(records: QuerySet[R]) -> int:
    """Give dead records another try from the start; return how many."""
    return records.filter(status=Status.DEAD).update(
        status=Status.PENDING, due_at=Now(), queued_at=Now(), attempts=0, reason="", error=""
    )


def prune(*, older_than: timedelta, using: str = DEFAULT_DB_ALIAS) -> int:
    """Delete delivered activities that were accepted longer ago than this, in small batches; return how many."""
    delivered = Activity.objects.using(using).filter(
        status=Status.DELIVERED, delivered_at__lt=Now() - Value(older_than)
    )
    total = 0
    while pks := list(delivered.order_by("delivered_at").values_list("pk", flat=True)[:PRUNE_BATCH]):
        total += Activity.objects.using(using).filter(pk__in=pks).delete()[0]
    return total


# Lanes: who may deliver.


def ensure_lanes(brands: Iterable[str], *, using: str) -> None:
    """Make the rows of lanes that are missing; lanes of a larger past setting stay and are delivered."""
    lanes = Lane.objects.using(using)
    for brand in brands:
        wanted = conf.for_brand(brand).LANES
        if lanes.filter(brand=brand, number__lt=wanted).count() < wanted:
            lanes.bulk_create(
                [Lane(brand=brand, number=number) for number in range(wanted)], ignore_conflicts=True
            )


def take(brands: Iterable[str], *, owner: str, using: str, without: Iterable[int] = ()) -> Taken | None:
    """
    Take a free lane that has something due, for a minute (renewed with each batch).

    Returns:
        None when there is none. A lane whose last owner never gave it back counts one more loss.
    """
    free = Q(leased_until=None) | Q(leased_until__lt=Now())
    candidates = list(
        Lane.objects.using(using)
        .filter(free, brand__in=brands)
        .filter(_has_due(Customer, EndpointName.CUSTOMERS) | _has_due(Activity, EndpointName.ACTIVITIES))
        .exclude(pk__in=list(without))
        .values_list("pk", flat=True)
    )
    random.shuffle(candidates)
    for pk in candidates:
        is_taken = (
            Lane.objects.using(using)
            .filter(free, pk=pk)
            .update(
                owner=owner,
                leased_until=from_now(timedelta(seconds=MIN_LEASE_SECONDS)),
                fence=F("fence") + 1,
                losses=F("losses") + Case(When(owner="", then=0), default=1),
            )
        )
        if is_taken:
            return _read_taken(pk, owner, using)
    return None


def _has_due(model: type[Record], name: EndpointName) -> Q:
    """Something is due in the lane and its endpoint is not paused."""
    due = model._default_manager.filter(brand=OuterRef("brand"), lane=OuterRef("number"), due_at__lte=Now())
    paused = Endpoint.objects.filter(brand=OuterRef("brand"), name=name, paused_until__gt=Now())
    return Q(Exists(due)) & ~Q(Exists(paused))


def _read_taken(pk: int, owner: str, using: str) -> Taken | None:
    begun = time.monotonic()
    lane = Lane.objects.using(using).filter(pk=pk, owner=owner).first()
    if lane is None:
        return None
    taken = Taken(
        using=using,
        pk=pk,
        brand=lane.brand,
        number=lane.number,
        fence=lane.fence,
        losses=lane.losses,
        suspect=lane.suspect,
        total_timeout_seconds=conf.for_brand(lane.brand).TOTAL_TIMEOUT_SECONDS,
        ends=begun,
    )
    renew(taken)
    return taken


def renew(lane: Taken, **changes: Any) -> None:
    """
    Extend the lease from now, under the fence.

    Raises:
        LeaseLostError: The lane has another owner.
    """
    begun = time.monotonic()
    held = Lane.objects.using(lane.using).filter(pk=lane.pk, fence=lane.fence).exclude(owner="")
    if not held.update(leased_until=from_now(timedelta(seconds=lane.lease_seconds)), **changes):
        raise LeaseLostError
    lane.ends = begun + lane.lease_seconds


def give_back(lane: Taken, *, is_drained: bool) -> None:
    """Free a lane; one that was delivered to its end forgets its losses."""
    changes: dict[str, Any] = {"losses": 0, "suspect": ""} if is_drained else {}
    held = Lane.objects.using(lane.using).filter(pk=lane.pk, fence=lane.fence)
    held.update(owner="", leased_until=None, **changes)


# Pages and outcomes.


def due_page(
    model: type[R], lane: Taken, *, limit: int, since: datetime | None, max_age: timedelta
) -> list[R]:
    """
    Return the next due records of a lane, oldest first, with `is_too_old` beside each.

    `since` is the `due_at` of the last page's end: within one drain it keeps the search from walking over what it
    has just settled. Never keep it between drains: a row of a longer transaction may appear behind it.
    """
    page = model._default_manager.using(lane.using).filter(
        brand=lane.brand, lane=lane.number, due_at__lte=Now(), **({"due_at__gte": since} if since else {})
    )
    is_too_old = Case(
        When(queued_at__lt=Now() - Value(max_age), then=Value(value=True)), default=Value(value=False)
    )
    page = page.annotate(is_too_old=is_too_old).order_by("due_at", "pk")
    rows: QuerySet[Any] = page
    if model is Activity:
        rows = rows.annotate(customer_version=F("customer__accepted_version"))
    return list(rows[:limit])


def settle(model: type[Record], lane: Taken, outcomes: Iterable[Outcome]) -> None:
    """
    Write what became of some records: one statement for each kind of outcome, one transaction, under the fence.

    Raises:
        LeaseLostError: The lane has another owner; nothing was changed.
    """
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for outcome in outcomes:
        groups[_kind(outcome)].append(outcome.pk)
    with transaction.atomic(using=lane.using):
        renew(lane)
        for kind, pks in groups.items():
            _write(model, lane.using, pks, *kind)


def _kind(outcome: Outcome) -> tuple[Any, ...]:
    return (
        outcome.status,
        outcome.version,
        outcome.reason,
        outcome.error,
        outcome.wait,
        outcome.is_attempt,
    )


def _write(  # noqa: PLR0913, PLR0917  the parts of one group of outcomes
    model: type[Record],
    using: str,
    pks: list[int],
    status: Status,
    version: int,
    reason: str,
    error: str,
    wait: timedelta | None,
    is_attempt: bool,  # noqa: FBT001
) -> None:
    is_current = Q(version=version)
    due_at = (
        from_now(wait or timedelta(0)) if status is Status.PENDING else Value(None, models.DateTimeField())
    )
    changes: dict[str, Any] = {
        # What changed while it was under way stays pending, and due as it was.
        "status": Case(When(is_current, then=Value(status)), default=Value(Status.PENDING)),
        "due_at": Case(When(is_current, then=due_at), default=F("due_at")),
        "reason": reason,
        "error": error[:500],
        "attempts": F("attempts") + int(is_attempt),
    }
    if status is Status.DELIVERED:
        changes |= {"accepted_version": version, "delivered_at": Now()}
    model._default_manager.using(using).filter(pk__in=pks).update(**changes)
    if status is Status.DELIVERED and model is Customer:
        parked = Activity.objects.using(using).filter(customer_id__in=pks, status=Status.HELD)
        parked.update(status=Status.PENDING, due_at=Now(), queued_at=Now())


# Endpoints: the breaker that all workers share.


def knock(brand: str, name: EndpointName, *, using: str) -> tuple[Gate, Endpoint]:
    """
    Ask whether an endpoint takes records now; of many workers, one gets to probe it when its pause is over.

    Returns:
        The gate, and the endpoint's row as it was.
    """
    rows = Endpoint.objects.using(using)
    is_paused = Case(When(paused_until__gt=Now(), then=Value(value=True)), default=Value(value=False))
    endpoint = rows.filter(brand=brand, name=name).annotate(is_paused=is_paused).first()
    if endpoint is None:
        return Gate.OPEN, rows.get_or_create(brand=brand, name=name)[0]
    if endpoint.paused_until is None:
        return Gate.OPEN, endpoint
    if endpoint.is_paused:
        return Gate.CLOSED, endpoint
    is_mine = rows.filter(pk=endpoint.pk, paused_until__lte=Now()).update(paused_until=from_now(PROBE))
    return (Gate.PROBE if is_mine else Gate.CLOSED), endpoint


def note_acceptance(endpoint: Endpoint) -> None:
    """Note that an endpoint accepted records: it is open and has a clean sheet."""
    if endpoint.paused_until or endpoint.failures or endpoint.refusals:
        _endpoint(endpoint).update(paused_until=None, failures=0, refusals=0, reason="", error="")
        endpoint.paused_until, endpoint.failures, endpoint.refusals = None, 0, 0


def note_failure(endpoint: Endpoint, *, reason: str, error: str) -> int:
    """Note one more temporary fault in a row; return how many there are."""
    _endpoint(endpoint).update(failures=F("failures") + 1, reason=reason, error=error[:500])
    endpoint.refresh_from_db(fields=["failures"])
    return endpoint.failures


def note_refusal(endpoint: Endpoint) -> int:
    """Note one more record refused with none accepted since; return how many there are."""
    _endpoint(endpoint).update(refusals=F("refusals") + 1)
    endpoint.refresh_from_db(fields=["refusals"])
    return endpoint.refusals


def pause(endpoint: Endpoint, wait: timedelta, *, reason: str, error: str) -> bool:
    """Pause an endpoint for a while; tell whether it was open before."""
    was_open = endpoint.paused_until is None and bool(_endpoint(endpoint).filter(paused_until=None).count())
    _endpoint(endpoint).update(paused_until=from_now(wait), reason=reason, error=error[:500])
    endpoint.refresh_from_db()
    return was_open


def reopen(endpoint: Endpoint) -> None:
    """Open an endpoint whose probe was judged, refused or not; its refusals still count."""
    _endpoint(endpoint).update(paused_until=None, failures=0, reason="", error="")
    endpoint.paused_until, endpoint.failures = None, 0


def resume(*, using: str, brand: str = "") -> int:
    """Open paused endpoints at once (of one brand, or all); return how many."""
    paused = Endpoint.objects.using(using).exclude(paused_until=None)
    if brand:
        paused = paused.filter(brand=brand)
    return paused.update(paused_until=Now(), failures=0, refusals=0)


def _endpoint(endpoint: Endpoint) -> QuerySet[Endpoint]:
    return Endpoint.objects.using(endpoint._state.db).filter(pk=endpoint.pk)
