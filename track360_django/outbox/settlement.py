"""Outcomes: the result of an attempt is written to its records, under the lane's fence."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import connections, models, transaction
from django.db.models import Case, F, Q, Value, When

from track360_django.db import clock, row_locks
from track360_django.db.clock import Now, from_now
from track360_django.db.lookups import is_among
from track360_django.models import Activity, Customer, Status
from track360_django.outbox import lanes

Record = Customer | Activity


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    The result of one attempt for some records.

    `version` is the version that was sent. A record that has changed since then stays pending. `wait` is how long a
    pending record waits. `is_attempt` says whether this counts as one of the records' attempts.
    """

    pks: Sequence[int]
    version: int
    status: Status
    reason: str = ""
    error: str = ""
    wait: timedelta | None = None
    is_attempt: bool = True


def settle_accepted(model: type[Record], lane: lanes.Taken, accepted: Outcome) -> bool:
    """
    Write that a whole batch was accepted, in one statement under the fence. This is the result of nearly all batches.

    Returns:
        False if something prevented it, such as a lost lease or a changed record. Then nothing was written; call
        `settle`, which handles all cases.

    Raises:
        OperationalError: A transaction of the host holds a record; nothing was written.
        LeaseLostError: The lane has another owner; nothing was written.
    """
    connection = connections[lane.using]
    if not lane.is_safe() or connection.in_atomic_block:
        return False
    with transaction.atomic(using=lane.using):
        if not row_locks.wait_briefly(lane.using):
            return False
        if model is Customer:
            # This locks the lane until the commit, so that no worker can hold an activity that this acceptance must
            # release.
            lanes.renew(lane)
        # Plain SQL, because this runs for each batch, and building the query costs as much as executing it.
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
    Write the outcomes of some records in one transaction under the fence, with one statement for each kind of outcome.

    Returns:
        The primary keys of the records that a transaction of the host holds now. These were not changed. Waiting for
        them while this transaction holds other rows could be a deadlock, and the database might let the host fail.

    Raises:
        LeaseLostError: The lane has another owner; nothing was changed.
    """
    wanted = [pk for outcome in outcomes for pk in outcome.pks]
    with transaction.atomic(using=lane.using):
        lanes.renew(lane)
        locked = row_locks.find_locked(model, wanted, using=lane.using)
        groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for outcome in outcomes:
            groups[_kind(outcome)] += [pk for pk in outcome.pks if pk not in locked]
        for kind, pks in groups.items():
            if model is Customer and kind[0] is Status.DELIVERED:
                # A customer is not settled if its activities can't be released in the same transaction.
                locked |= (blocked := _release_activities(pks, lane.using))
                pks = [pk for pk in pks if pk not in blocked]  # noqa: PLW2901
            if pks:
                _write(model, lane.using, pks, *kind)
    return locked


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
        # A record's age counts from its first attempt, because waiting for an endpoint is not the record's fault.
        # This comes before `attempts`: MySQL assigns from left to right, and later expressions read the new values.
        changes["queued_at"] = Case(When(attempts=0, then=Now()), default=F("queued_at"))
    changes |= {
        # A record that changed while it was under way stays pending, with the same due time.
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
    """
    Make due the activities that were held until these customers were accepted.

    Returns:
        The customers with activities that another transaction has locked.
    """
    rows = Activity.objects.using(using)
    # SQLite needs the second condition to use the index of the records that wait.
    parked = rows.filter(customer_id__in=customers, status=Status.HELD).exclude(status=Status.DELIVERED)
    held = dict(parked.values_list("pk", "customer_id"))
    locked = row_locks.find_locked(Activity, list(held), using=using)
    if free := [pk for pk in held if pk not in locked]:
        released = rows.filter(is_among("pk", free))
        released.update(status=Status.PENDING, due_at=Now(), queued_at=Now(), reason="")
    return {held[pk] for pk in locked}
