"""Activities are added, corrected, flagged, quarantined and mended."""

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


def flag_changed(pk: int, *, using: str) -> bool:
    """Note that the host's row behind an activity changed; tell whether that is news."""
    return bool(Activity.objects.using(using).filter(pk=pk, changed_at=None).update(changed_at=Now()))


def unflag(pk: int, *, using: str) -> None:
    """Note that the host's row behind an activity says again what was reported."""
    Activity.objects.using(using).filter(pk=pk).update(changed_at=None)


def correct_activity(activity: Activity, body: str, *, using: str) -> bool:
    """
    Replace the body of an activity and mark it due: it goes out again under the same id.

    Returns:
        False, with nothing written, when the record changed since it was read.
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
    Replace the body of an activity that nobody can have sent; tell whether that was so.

    One that is held, or pending without an attempt while nobody has its lane, which is kept from being taken until
    the transaction ends; or one that this very transaction wrote.
    """
    if activity.attempts or activity.accepted_version or activity.status not in _UNSENT:
        return False
    rows = Activity.objects.using(using).filter(
        pk=activity.pk, version=activity.version, attempts=0, accepted_version=0
    )
    if activity.key in _own(using):
        return _correct(rows.filter(status__in=_UNSENT), body)
    busy = Lane.objects.filter(brand=activity.brand, number=OuterRef("lane")).exclude(lanes.NOBODYS)
    in_nobodys_hands = Q(status=Status.HELD) | Q(Q(status=Status.PENDING) & ~Exists(busy))
    try:
        with transaction.atomic(using=using):
            if activity.status == Status.PENDING and not lanes.hold_free(
                activity.brand, activity.lane, using=using
            ):
                in_nobodys_hands = Q(status=Status.HELD)
            return _correct(rows.filter(in_nobodys_hands), body)
    except OperationalError:
        # The host's snapshot is older than the lane's last change: a worker was there.
        return False


# What may not have been sent yet.
_UNSENT: Final = (Status.HELD, Status.PENDING)


def _correct(rows: QuerySet[Activity], body: str, **changes: Any) -> bool:
    # `queued_at` says since when this version waits.
    return bool(rows.update(body=body, changed_at=None, version=F("version") + 1, queued_at=Now(), **changes))


# Note [Own records]
# What a transaction wrote itself nobody else can have seen, however busy the lane is. The set of savepoints that Django
# keeps with the wake-up's callback lasts as long as the transaction, and is another one in the next: it tells them
# apart.

# More in one transaction than any page writes: an import need not be remembered.
_MAX_OWN: Final = 10_000


def note_own(activities: Sequence[Activity], *, using: str) -> None:
    """Remember that the open transaction wrote these; after its wake-up was asked for. See Note [Own records]."""
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
