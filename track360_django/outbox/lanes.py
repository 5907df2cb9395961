"""Lanes: which worker may deliver which slice of a brand's customers, for how long, and with which fence."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, transaction
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet

from track360_django import conf
from track360_django.db.bulk_insert import insert_missing
from track360_django.db.clock import Now, from_now
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Lane

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable

MIN_LEASE_SECONDS: Final = 60.0
# A worker sends nothing unless its lease lasts for its longest attempt plus this time, which settling needs.
SETTLING_SECONDS: Final = 5.0
# Records that a transaction of the host holds are sent again after this time, and not more often.
REST_SECONDS: Final = 30.0
# More lanes than any host has workers. The column could hold a few more.
MAX_LANES: Final = 1024

# How many records a batch has after a lane lost so many workers in a row.
NARROWING: Final = (50, 5, 1)
# A worker that dies twice with the very same record, and nothing else in hand, was killed by it.
TRIALS_TO_KILL: Final = 2
# Batches are as narrow as they get.
MAX_LOSSES: Final = len(NARROWING)


class LeaseLostError(Exception):
    """Another worker has the lane: nothing was changed, and nothing more may be sent."""


@dataclass(kw_only=True)
class Taken:
    """A lane that one worker has taken."""

    using: str
    pk: int
    brand: str
    number: int
    fence: int
    losses: int
    suspect: str
    total_timeout_seconds: float
    # The number of records settled since the batches were last narrowed or widened.
    passed: int = 0
    # How long a lease or a renewal lasts: at least three attempts.
    lease_seconds: float
    # When the lease ends, by this process's monotonic clock, so a wrong wall clock has no effect.
    ends: float
    # Which endpoints had due records when the lane was taken.
    has_customers: bool
    has_activities: bool
    # Whether the last worker left the lane because the host held records that had been sent.
    has_rested: bool

    def may_send(self) -> bool:
        """Return whether an attempt that begins now ends within the lease."""
        return time.monotonic() < self.ends - self.total_timeout_seconds - SETTLING_SECONDS

    def is_safe(self) -> bool:
        """Return whether the lease lasts long enough to settle records now."""
        return time.monotonic() < self.ends - SETTLING_SECONDS


def lane_of(customer_id: str, lanes: int) -> int:
    """Return the lane of a new customer. It is the same in every process and on every machine."""
    return zlib.crc32(customer_id.encode()) % min(lanes, MAX_LANES)


def ensure_lanes(brands: Iterable[str], *, using: str) -> bool:
    """
    Create the rows of missing lanes, also for records that were written when `LANES` was larger.

    Returns:
        False if all rows existed and this process knew them; otherwise another look for due records is worthwhile.
    """
    is_changed = False
    lanes = Lane.objects.using(using)
    for brand in brands:
        wanted = min(conf.for_brand(brand).LANES, MAX_LANES)
        numbers = set(range(wanted)) | _due_beyond(wanted, brand, using)
        if lanes.filter(brand=brand, number__in=numbers).count() < len(numbers):
            insert_missing([Lane(brand=brand, number=number) for number in sorted(numbers)], using=using)
            is_changed = True
        if (using, brand, wanted) not in _known:
            _known.add((using, brand, wanted))
            is_changed = True
    return is_changed


# Databases, brands and numbers of lanes that this process has checked. Another process may have created the lanes a
# moment ago.
_known: set[tuple[str, str, int]] = set()


def _due_beyond(number: int, brand: str, using: str) -> set[int]:
    """Return the numbers of the lanes from this one on that have records with a due time."""
    found: set[int] = set()
    for model in (Customer, Activity):
        beyond = model._default_manager.using(using).filter(
            brand=brand, lane__gte=number, due_at__isnull=False
        )
        found |= set(beyond.values_list("lane", flat=True).distinct())
    return found


def take(brands: Iterable[str], *, owner: str, using: str, without: Iterable[int] = ()) -> Taken | None:
    """
    Take a free lane that has due records, for at least a minute. The lease is renewed when little of it is left.

    Returns:
        None if there is no such lane. If the last owner never gave the lane back, the lane counts one more loss.
    """
    free = Q(leased_until=None) | Q(leased_until__lt=Now())
    candidates = list(
        Lane.objects.using(using)
        .filter(free, brand__in=brands)
        .annotate(
            has_customers=_has_due(Customer, EndpointName.CUSTOMERS),
            has_activities=_has_due(Activity, EndpointName.ACTIVITIES),
        )
        .filter(Q(has_customers=True) | Q(has_activities=True))
        .exclude(pk__in=list(without))
    )
    random.shuffle(candidates)
    for lane in candidates:
        taken = _taken(lane, using)
        # If the fence is still the same, the lane has not changed since it was read.
        still_free = Lane.objects.using(using).filter(free, pk=lane.pk, fence=lane.fence)
        lease = from_now(timedelta(seconds=taken.lease_seconds))
        with transaction.atomic(using=using):
            if not _is_let_go(still_free, using):
                continue
            if still_free.update(owner=owner, leased_until=lease, fence=taken.fence, losses=taken.losses):
                return taken
    return None


# No worker has the lane, and no worker died or stopped while records of it were under way.
NOBODYS: Final = Q(owner="", losses=0, leased_until=None)


def _is_let_go(lane: QuerySet[Lane], using: str) -> bool:
    """
    Return whether no transaction of the host holds a free lane, see `hold_free`.

    If one does, this returns False without waiting.
    """
    if not connections[using].features.has_select_for_update_skip_locked:
        return True
    no_key = connections[using].features.has_select_for_no_key_update
    return bool(lane.select_for_update(skip_locked=True, no_key=no_key).values_list("pk", flat=True))


def hold_free(brand: str, number: int, *, using: str) -> bool:
    """
    Keep a free lane from being taken until the current transaction ends, so that no worker has its waiting records.

    Several transactions may hold one lane. If the database can't skip locked rows, nothing is held, and a change must
    check by itself whether a worker has the lane.

    Returns:
        False if a worker has the lane, or may have died while it had the lane.
    """
    connection = connections[using]
    if not connection.features.has_select_for_update_skip_locked:
        return True
    lane = Lane.objects.using(using).filter(brand=brand, number=number)
    if not lane.exists():
        insert_missing([Lane(brand=brand, number=number)], using=using)
    # A lane that rests is not free: it has records that were sent but could not be settled.
    free = lane.filter(NOBODYS).values_list("pk", flat=True)
    sql, params = free.query.get_compiler(using).as_sql()
    # A shared lock, which Django can't express: deposits of many customers may change at the same time.
    share = "LOCK IN SHARE MODE" if getattr(connection, "mysql_is_mariadb", False) else "FOR SHARE"
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} {share} SKIP LOCKED", params)
        return cursor.fetchone() is not None


def _has_due(model: type[Customer | Activity], name: EndpointName) -> Combinable:
    """Return the condition that records are due in the lane and their endpoint is not paused."""
    due = model._default_manager.filter(brand=OuterRef("brand"), lane=OuterRef("number"), due_at__lte=Now())
    paused = Endpoint.objects.filter(brand=OuterRef("brand"), name=name, paused_until__gt=Now())
    return ExpressionWrapper(Exists(due) & ~Exists(paused), output_field=BooleanField())


def _taken(lane: Lane, using: str) -> Taken:
    """Return a lane as its next owner takes it."""
    is_lost = bool(lane.owner) and lane.losses < MAX_LOSSES
    timeout = conf.for_brand(lane.brand).TOTAL_TIMEOUT_SECONDS
    lease = max(MIN_LEASE_SECONDS, 3 * timeout)
    return Taken(
        using=using,
        pk=lane.pk,
        brand=lane.brand,
        number=lane.number,
        fence=lane.fence + 1,
        losses=lane.losses + is_lost,
        suspect=lane.suspect,
        total_timeout_seconds=timeout,
        lease_seconds=lease,
        ends=time.monotonic() + lease,
        has_customers=bool(getattr(lane, "has_customers", True)),
        has_activities=bool(getattr(lane, "has_activities", True)),
        has_rested=not lane.owner and lane.leased_until is not None,
    )


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


def try_alone(lane: Taken, name: EndpointName, pk: int) -> None:
    """Note that one record is sent alone, and how often it was. If its worker dies, this record is the suspect."""
    before, _, times = lane.suspect.rpartition(":")
    record = f"{name.value}:{pk}"
    lane.suspect = f"{record}:{int(times) + 1 if before == record else 1}"
    renew(lane, suspect=lane.suspect)


def exonerate(lane: Taken) -> None:
    """Note that the worker survived the record that was sent alone."""
    lane.suspect = ""
    renew(lane, suspect="")


def suspect_of(lane: Taken) -> tuple[EndpointName, int] | None:
    """
    Return the record that was sent alone each time a worker died.

    None if there is none, or if that has not happened often enough to be sure.
    """
    name, _, rest = lane.suspect.partition(":")
    pk, _, times = rest.partition(":")
    return (EndpointName(name), int(pk)) if times and is_killer(int(times)) else None


def clear(lane: Taken) -> None:
    """Reset the losses and the suspect of a lane."""
    lane.losses, lane.suspect, lane.passed = 0, "", 0
    renew(lane, losses=0, suspect="")


def note_passed(lane: Taken, count: int, batch_size: int) -> None:
    """
    Count settled records, and widen the batches of a lane again.

    The batches become one step wider each time as many records as in a full batch of the wider size have passed.
    """
    if not lane.losses:
        return
    lane.passed += count
    if lane.passed >= width(lane.losses - 1, batch_size):
        lane.losses, lane.passed = lane.losses - 1, 0
        renew(lane, losses=lane.losses)


def give_back(lane: Taken, *, is_drained: bool) -> None:
    """Free a lane. If all its due records were delivered, reset its losses and its suspect."""
    _free(lane, **({"losses": 0, "suspect": ""} if is_drained else {}))


def rest(lane: Taken) -> None:
    """
    Free a lane, but only after `REST_SECONDS`.

    A transaction of the host holds records that were sent and could not be settled.
    """
    _free(lane, leased_until=from_now(timedelta(seconds=REST_SECONDS)))


def give_up(lane: Taken) -> None:
    """Free a lane after an error of its worker, and count one more loss."""
    _free(lane, losses=min(lane.losses + 1, MAX_LOSSES))


def _free(lane: Taken, **changes: Any) -> None:
    held = Lane.objects.using(lane.using).filter(pk=lane.pk, fence=lane.fence)
    held.update(**({"owner": "", "leased_until": None} | changes))


def width(losses: int, batch_size: int) -> int:
    """Return how many records a batch may have after so many lost workers in a row."""
    return min(batch_size, NARROWING[min(losses, len(NARROWING)) - 1]) if losses else batch_size


def is_single(losses: int) -> bool:
    """Tell whether batches are narrowed to one record, so that the record on trial is known."""
    return losses >= len(NARROWING)


def is_killer(trials: int) -> bool:
    """Tell whether a record that went alone so often, and was never settled, is to blame."""
    return trials >= TRIALS_TO_KILL
