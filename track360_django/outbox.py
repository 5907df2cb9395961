"""
The only writer of delivery state: records are added, outcomes settled under the lane's fence.

Nothing here sends anything.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

from django.db import connections, models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from track360_django import clock, conf, lanes, locks
from track360_django.clock import Now, from_now
from track360_django.expressions import is_among
from track360_django.insertion import insert_beside, insert_missing
from track360_django.models import Activity, Customer, Lane, Status

Record = Customer | Activity
R = TypeVar("R", bound=Record)

# What the safety net wrote and nobody claimed releases itself after this.
SAFETY_NET: Final = timedelta(seconds=60)
INSERT_BATCH: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    What one attempt made of some records.

    `version` is what was sent; a record that changed meanwhile stays pending. `wait` is how long a pending record
    rests. `is_attempt` tells whether it counts as one of the records' attempts. `bodies` is what Track360 may have of
    them, by id, where that must not change any more.
    """

    pks: Sequence[int]
    version: int
    status: Status
    reason: str = ""
    error: str = ""
    wait: timedelta | None = None
    is_attempt: bool = True
    bodies: Mapping[int, str] = field(default_factory=dict)


# Adding records, in the host's transaction.


def add_customer(customer: Customer, *, using: str) -> Customer:
    """
    Insert a customer unless its brand has it already.

    Returns:
        The row in the table, which may be somebody else's insert.
    """
    customer.lane = lanes.lane_of(customer.customer_id, conf.for_brand(customer.brand).LANES)
    insert_missing([customer], using=using)
    return read_customer(customer.brand, customer.customer_id, using=using)


def add_customers(customers: Sequence[Customer], *, using: str) -> None:
    """Insert customers, leaving alone those that their brand has already."""
    for customer in customers:
        customer.lane = lanes.lane_of(customer.customer_id, conf.for_brand(customer.brand).LANES)
    insert_missing(customers, using=using, batch_size=INSERT_BATCH)


def read_customer(brand: str, customer_id: str, *, using: str) -> Customer:
    """
    Return the row of a customer who was added in this transaction, or found there.

    Under REPEATABLE READ the host's snapshot on MySQL may be older than the row; a locking read sees it.
    """
    rows = Customer.objects.using(using).filter(brand=brand, customer_id=customer_id)
    return rows.first() or rows.select_for_update().get()


def add_activities(activities: Sequence[Activity], *, using: str) -> None:
    """Insert activities, leaving alone those whose (brand, eventname, eventid) is there already."""
    for activity in activities:
        activity.lane = activity.customer.lane if activity.customer else 0
    insert_missing(activities, using=using, batch_size=INSERT_BATCH)


def add_beside_customer(activity: Activity, customer_id: str, *, using: str) -> bool:
    """
    Insert an activity whose customer is in the table, in one statement; tell whether that was all there was to do.

    False, with nothing written, where the customer is not there yet, (brand, eventname, eventid) is, or the database
    can't tell.
    """
    return insert_beside(
        activity,
        parent=Customer,
        key={"brand": activity.brand, "customer_id": customer_id},
        taken={
            "customer_id": "id",
            "lane": "lane",
            "status": f"CASE WHEN accepted_version > 0 THEN '{Status.PENDING}' ELSE '{Status.HELD}' END",
        },
        using=using,
    )


def add_activity(activity: Activity, *, using: str) -> bool:
    """Insert one activity; tell whether it was news, or (brand, eventname, eventid) was there already."""
    key = {"brand": activity.brand, "eventname": activity.eventname, "eventid": activity.eventid}
    with transaction.atomic(using=using):
        is_news = not Activity.objects.using(using).filter(**key).exists()
        if is_news:
            add_activities([activity], using=using)
    return is_news


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


def change_fields(customer: Customer, fields: Mapping[str, Any]) -> None:
    """Write the additional fields of a customer; one who is held takes them along when released."""
    held = Customer.objects.using(customer._state.db).filter(pk=customer.pk, status=Status.HELD)
    if not held.update(fields=fields, version=F("version") + 1):
        change_customer(customer, fields=fields)


def release_customer(pk: int, *, using: str, **changes: Any) -> bool:
    """
    Release a held customer for delivery; tell whether it was held.

    With a new version: a worker may be about to hold it, or to settle the one that released itself.
    """
    held = Customer.objects.using(using).filter(pk=pk, status=Status.HELD)
    released = held.update(
        status=Status.PENDING,
        due_at=Now(),
        queued_at=Now(),
        reason="",
        version=F("version") + 1,
        **changes,
    )
    return bool(released)


def claim_placeholder(pk: int, *, using: str, **changes: Any) -> None:
    """Turn the held row of somebody who was active before their signup into that of a signup under way."""
    held = Customer.objects.using(using).filter(pk=pk, status=Status.HELD)
    held.update(due_at=from_now(SAFETY_NET), queued_at=Now(), reason="", version=F("version") + 1, **changes)


def park_customer(pk: int, *, using: str, reason: str) -> None:
    """Keep a held customer until somebody reports it."""
    Customer.objects.using(using).filter(pk=pk, status=Status.HELD).update(due_at=None, reason=reason)


def drop_customer(pk: int, *, using: str) -> None:
    """Forget a held customer that is none (staff); its activities, if there are any, keep it."""
    # Whoever is held was never accepted, so none of their activities can have been delivered.
    waiting = Activity.objects.filter(customer_id=OuterRef("pk")).exclude(status=Status.DELIVERED)
    held = Customer.objects.using(using).filter(~Exists(waiting), pk=pk, status=Status.HELD)
    # Without Django's own search for related rows, which would read all activities.
    if not held._raw_delete(using):  # noqa: SLF001  there is no public name for it
        park_customer(pk, using=using, reason="not_a_customer")


def flag_changed(pk: int, *, using: str) -> bool:
    """Note that the host's row behind an activity changed; tell whether that is news."""
    return bool(Activity.objects.using(using).filter(pk=pk, changed_at=None).update(changed_at=Now()))


def correct_activity(pk: int, body: str, *, using: str) -> None:
    """Replace the body of an activity and mark it due: it goes out again under the same id."""
    Activity.objects.using(using).filter(pk=pk).update(
        body=body,
        changed_at=None,
        version=F("version") + 1,
        status=Status.PENDING,
        due_at=Now(),
        queued_at=Now(),
        attempts=0,
        reason="",
        error="",
    )


def correct_unsent(activity: Activity, body: str, *, using: str) -> bool:
    """
    Replace the body of an activity that nobody can have sent; tell whether that was so.

    One that is held, or pending without an attempt while nobody has its lane; or written in this very transaction.
    Whoever takes the lane before the commit may send the old body: the settling then keeps what was sent.
    """
    unsent = Q(status=Status.HELD) | Q(status=Status.PENDING)
    if _key_of(activity) not in _own(using):
        busy = Lane.objects.filter(brand=activity.brand, number=OuterRef("lane")).exclude(owner="", losses=0)
        unsent = Q(status=Status.HELD) | Q(Q(status=Status.PENDING) & ~Exists(busy))
    rows = Activity.objects.using(using).filter(unsent, pk=activity.pk, attempts=0, accepted_version=0)
    return bool(rows.update(body=body, changed_at=None, version=F("version") + 1))


# Note [Own records]
# What a transaction wrote itself nobody else can have seen, however busy the lane is. The set of savepoints that Django
# keeps with the wake-up's callback lasts as long as the transaction, and is another one in the next: it tells them
# apart.

# More in one transaction than any page writes: an import need not be remembered.
_MAX_OWN: Final = 10_000
_Key = tuple[str, str, str]


def note_own(activities: Sequence[Activity], *, using: str) -> None:
    """Remember that the open transaction wrote these; after its wake-up was asked for. See Note [Own records]."""
    connection = connections[using]
    if not connection.in_atomic_block or not connection.run_on_commit:
        return
    keys = _own(using)
    if not keys:
        connection.track360_own = (connection.run_on_commit[-1][0], keys)  # type: ignore[attr-defined]
    if len(keys) < _MAX_OWN:
        keys.update(map(_key_of, activities))


def _own(using: str) -> set[_Key]:
    """Return the keys of the records that the open transaction wrote."""
    connection = connections[using]
    transaction_of, keys = getattr(connection, "track360_own", (None, set()))
    is_open = any(entry[0] is transaction_of for entry in connection.run_on_commit)
    return keys if is_open else set()


def _key_of(activity: Activity) -> _Key:
    return activity.brand, activity.eventname, activity.eventid


def replace_quarantined(pk: int, activity: Activity, *, using: str) -> None:
    """Put an activity in the place of the dead record that stood for it while it could not be written down."""
    with transaction.atomic(using=using):
        Activity.objects.using(using).filter(pk=pk, customer=None).delete()
        add_activities([activity], using=using)


def replace_dead(pk: int, activity: Activity, *, using: str) -> None:
    """Put an activity in the place of a dead one that was never accepted, and is another customer's now."""
    with transaction.atomic(using=using):
        if Activity.objects.using(using).filter(pk=pk, status=Status.DEAD, accepted_version=0).delete()[0]:
            add_activities([activity], using=using)


def explain_quarantined(pk: int, *, reason: str, error: str, using: str) -> None:
    """Note why an activity still can't be written down."""
    quarantined = Activity.objects.using(using).filter(pk=pk, customer=None)
    quarantined.update(reason=reason, error=error[:500])


def drop_quarantined(pk: int, *, using: str) -> None:
    """Delete the dead record that stood for something that could not be written down, and is not there any more."""
    Activity.objects.using(using).filter(pk=pk, customer=None).delete()


def requeue(records: QuerySet[R]) -> int:
    """
    Give dead records another try from the start; return how many.

    An activity without a customer has nothing to send and stays: `activities.requeue` reads it from its row again.
    """
    dead = records.filter(status=Status.DEAD)
    if records.model is Activity:
        dead = dead.exclude(customer=None)
    return dead.update(status=Status.PENDING, due_at=Now(), queued_at=Now(), attempts=0, reason="", error="")


def replay(records: QuerySet[R]) -> int:
    """
    Mark accepted records due again, as they are: the same version, the same id, the same bytes; return how many.

    What is not accepted goes out anyway, or needs a person, and is left alone; so is an activity whose body was pruned.
    """
    accepted = records.filter(status=Status.DELIVERED)
    if records.model is Activity:
        accepted = accepted.exclude(body="")
    return accepted.update(
        status=Status.PENDING, due_at=Now(), queued_at=Now(), attempts=0, reason="", error=""
    )


# Outcomes.


def settle_accepted(model: type[Record], lane: lanes.Taken, accepted: Outcome) -> bool:
    """
    Write that a whole batch was accepted, in one statement under the fence: what happens to nearly all of them.

    Returns:
        False when something was in the way, such as a lost lease or a record that changed: nothing was written, and
        `settle` knows what to do.

    Raises:
        OperationalError: A transaction of the host holds a record; nothing was written.
        LeaseLostError: The lane has another owner; nothing was written.
    """
    connection = connections[lane.using]
    if not lane.is_safe() or connection.in_atomic_block:
        return False
    with transaction.atomic(using=lane.using):
        if not locks.wait_briefly(lane.using):
            return False
        if model is Customer:
            # Holds the lane until the commit: nobody may park an activity that this acceptance has to release.
            lanes.renew(lane)
        # In plain SQL, for it runs for each batch: to build it anew costs as much as to execute it.
        with connection.cursor() as cursor:
            cursor.execute(
                _ACCEPT.format(
                    table=model._meta.db_table,
                    now=_now_sql(lane.using),
                    pks=",".join(map(str, map(int, accepted.pks))),
                ),
                [Status.DELIVERED, accepted.version, accepted.version, lane.pk, lane.fence],
            )
            count = cursor.rowcount
        is_blocked = model is Customer and bool(_release_activities(accepted.pks, lane.using))
        if count != len(accepted.pks) or is_blocked:
            transaction.set_rollback(True, using=lane.using)
            return False
    return True


@functools.cache
def _now_sql(using: str) -> str:
    return clock.sql_of(Now(), using)[0]


_ACCEPT: Final = """
    UPDATE {table}
    SET status = %s, due_at = NULL, reason = '', error = '', attempts = attempts + 1,
        accepted_version = %s, delivered_at = {now}
    WHERE id IN ({pks}) AND version = %s
        AND EXISTS (SELECT 1 FROM track360_django_lane WHERE id = %s AND fence = %s AND owner <> '')
"""


def settle(model: type[Record], lane: lanes.Taken, outcomes: Sequence[Outcome]) -> set[int]:
    """
    Write what became of some records: one statement for each kind of outcome, one transaction, under the fence.

    Returns:
        The ids of records that a transaction of the host holds just now: nothing was written of them. Waiting for
        it, with other rows in hand, would be a deadlock that the host may lose.

    Raises:
        LeaseLostError: The lane has another owner; nothing was changed.
    """
    wanted = [pk for outcome in outcomes for pk in outcome.pks]
    with transaction.atomic(using=lane.using):
        lanes.renew(lane)
        locked = locks.find_locked(model, wanted, using=lane.using)
        for outcome in outcomes:
            _keep_sent(outcome, locked, lane.using)
        groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for outcome in outcomes:
            groups[_kind(outcome)] += [pk for pk in outcome.pks if pk not in locked]
        for kind, pks in groups.items():
            if model is Customer and kind[0] is Status.DELIVERED:
                # One whose activities can't be released with it is not settled either.
                locked |= (blocked := _release_activities(pks, lane.using))
                pks = [pk for pk in pks if pk not in blocked]  # noqa: PLW2901
            if pks:
                _write(model, lane.using, pks, *kind)
    return locked


def _keep_sent(outcome: Outcome, locked: set[int], using: str) -> None:
    """Take back a body that was changed while the one before it was under way: what was sent stays, it is flagged."""
    pks = [pk for pk in outcome.bodies if pk not in locked]
    if not pks:
        return
    rows = Activity.objects.using(using)
    changed = rows.filter(is_among("pk", pks)).exclude(version=outcome.version)
    for pk in changed.values_list("pk", flat=True):
        rows.filter(pk=pk).update(
            body=outcome.bodies[pk], version=outcome.version, changed_at=Coalesce(F("changed_at"), Now())
        )


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
    changes: dict[str, Any] = {}
    if status is Status.PENDING and is_attempt:
        # The age that kills is counted from the first attempt: waiting for an endpoint is no fault of the record.
        # Before `attempts` is counted: MySQL assigns from left to right, and what it assigned is read.
        changes["queued_at"] = Case(When(attempts=0, then=Now()), default=F("queued_at"))
    changes |= {
        # What changed while it was under way stays pending, and due as it was.
        "status": Case(When(is_current, then=Value(status)), default=Value(Status.PENDING)),
        "due_at": Case(When(is_current, then=due_at), default=F("due_at")),
        "reason": reason,
        "error": error[:500],
        "attempts": F("attempts") + int(is_attempt),
    }
    if status is Status.DELIVERED:
        changes |= {"accepted_version": version, "delivered_at": Now()}
    model._default_manager.using(using).filter(is_among("pk", pks)).update(**changes)


def _release_activities(customers: Sequence[int], using: str) -> set[int]:
    """Make activities due that were held until their customers were accepted; return whose activities are locked."""
    rows = Activity.objects.using(using)
    # The second condition is what SQLite needs to find the index of those that wait.
    parked = rows.filter(customer_id__in=customers, status=Status.HELD).exclude(status=Status.DELIVERED)
    held = dict(parked.values_list("pk", "customer_id"))
    locked = locks.find_locked(Activity, list(held), using=using)
    if free := [pk for pk in held if pk not in locked]:
        released = rows.filter(is_among("pk", free))
        released.update(status=Status.PENDING, due_at=Now(), queued_at=Now(), reason="")
    return {held[pk] for pk in locked}
