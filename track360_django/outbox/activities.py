"""The outbox for activities: adds, corrects, flags, quarantines and mends their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import OperationalError, connections, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from track360_django.db.bulk_insert import insert_beside, insert_missing
from track360_django.db.clock import Now
from track360_django.models import Activity, ActivityKey, Customer, Lane, Status
from track360_django.outbox import lanes

INSERT_BATCH: Final = 1000


def add_activities(activities: Sequence[Activity], *, using: str) -> None:
    """Insert activities. Rows that exist already, by (brand, eventname, eventid), are not changed."""
    for activity in activities:
        activity.lane = activity.customer.lane if activity.customer else 0
    insert_missing(activities, using=using, batch_size=INSERT_BATCH)


def add_beside_customer(activity: Activity, customer_id: str, *, using: str) -> bool:
    """
    Insert an activity of a customer who is in the table, in one statement.

    Returns:
        False, with nothing written, if the customer is not in the table, if (brand, eventname, eventid) is in the table
        already, or if the database can't report which of these is so.
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
    """Insert one activity; return False if (brand, eventname, eventid) was in the table already."""
    key = {"brand": activity.brand, "eventname": activity.eventname, "eventid": activity.eventid}
    with transaction.atomic(using=using):
        is_new = not Activity.objects.using(using).filter(**key).exists()
        if is_new:
            add_activities([activity], using=using)
    return is_new


def flag_changed(pk: int, *, using: str) -> bool:
    """Flag an activity because the host's row behind it changed; return False if it was flagged already."""
    return bool(Activity.objects.using(using).filter(pk=pk, changed_at=None).update(changed_at=Now()))


def unflag(pk: int, *, using: str) -> None:
    """Remove the flag of an activity, because the host's row behind it agrees with the report again."""
    Activity.objects.using(using).filter(pk=pk).update(changed_at=None)


def correct_activity(activity: Activity, body: str, *, using: str) -> bool:
    """
    Replace the body of an activity and mark it as due, so that it is sent again under the same id.

    Returns:
        False, with nothing written, if the record has changed since it was read.
    """
    return _correct(
        Activity.objects.using(using).filter(pk=activity.pk, version=activity.version),
        body,
        status=Status.PENDING,
        due_at=Now(),
        attempts=0,
        reason="",
        error="",
    )


def correct_unsent(activity: Activity, body: str, *, using: str) -> bool:
    """
    Replace the body of an activity that no worker can have sent; return whether it was replaced.

    This is so for three kinds of records: a held one; a pending one without an attempt while no worker has its lane,
    which then can't be taken until the transaction ends; and one that this transaction itself wrote.
    """
    if activity.attempts or activity.accepted_version or activity.status not in _UNSENT:
        return False
    rows = Activity.objects.using(using).filter(
        pk=activity.pk, version=activity.version, attempts=0, accepted_version=0
    )
    if activity.key in _own(using):
        return _correct(rows.filter(status__in=_UNSENT), body)
    busy = Lane.objects.filter(brand=activity.brand, number=OuterRef("lane")).exclude(lanes.NOBODYS)
    is_untouched = Q(status=Status.HELD) | Q(Q(status=Status.PENDING) & ~Exists(busy))
    try:
        with transaction.atomic(using=using):
            if activity.status == Status.PENDING and not lanes.hold_free(
                activity.brand, activity.lane, using=using
            ):
                is_untouched = Q(status=Status.HELD)
            return _correct(rows.filter(is_untouched), body)
    except OperationalError:
        # The host's snapshot is older than the lane's last change, so a worker had the lane.
        return False


# The states of records that may not have been sent yet.
_UNSENT: Final = (Status.HELD, Status.PENDING)


def _correct(rows: QuerySet[Activity], body: str, **changes: Any) -> bool:
    # `queued_at` is the time since which this version has been waiting.
    return bool(rows.update(body=body, changed_at=None, version=F("version") + 1, queued_at=Now(), **changes))


# Note [Own records]
# No other process can have seen what the open transaction wrote, however busy the lane is. Django keeps a set of
# savepoints with the wake-up's callback. This set lasts as long as the transaction, and the next transaction has
# another one. So the set identifies the transaction.

# More records than any page writes in one transaction. The records of an import need not be remembered.
_MAX_OWN: Final = 10_000


def note_own(activities: Sequence[Activity], *, using: str) -> None:
    """
    Remember that the open transaction wrote these activities. See Note [Own records].

    Call this after `wakeup.after_commit`.
    """
    connection = connections[using]
    if not connection.in_atomic_block or not connection.run_on_commit:
        return
    keys = _own(using)
    if not keys:
        connection.track360_own = (connection.run_on_commit[-1][0], keys)  # type: ignore[attr-defined]
    if len(keys) < _MAX_OWN:
        keys.update(activity.key for activity in activities)


def _own(using: str) -> set[ActivityKey]:
    """Return the keys of the records that the open transaction wrote."""
    connection = connections[using]
    transaction_of, keys = getattr(connection, "track360_own", (None, set()))
    is_open = any(entry[0] is transaction_of for entry in connection.run_on_commit)
    return keys if is_open else set()


def replace_quarantined(pk: int, activity: Activity, *, using: str) -> None:
    """Replace a dead record with the activity that could not be recorded before."""
    with transaction.atomic(using=using):
        Activity.objects.using(using).filter(pk=pk, customer=None).delete()
        add_activities([activity], using=using)


def replace_dead(pk: int, activity: Activity, *, using: str) -> None:
    """Replace a dead activity that was never accepted and belongs to another customer now."""
    with transaction.atomic(using=using):
        if Activity.objects.using(using).filter(pk=pk, status=Status.DEAD, accepted_version=0).delete()[0]:
            add_activities([activity], using=using)


def explain_quarantined(pk: int, *, reason: str, error: str, using: str) -> None:
    """Write why an activity still can't be recorded."""
    quarantined = Activity.objects.using(using).filter(pk=pk, customer=None)
    quarantined.update(reason=reason, error=error[:500])


def drop_quarantined(pk: int, *, using: str) -> None:
    """Delete the dead record of something that could not be recorded and does not exist any more."""
    Activity.objects.using(using).filter(pk=pk, customer=None).delete()
