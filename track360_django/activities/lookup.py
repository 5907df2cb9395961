"""An activity that is in the table already: found by its key, and whether it is of the same row of the host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet

from track360_django.db.lookups import is_one_of
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, ActivityKey


def stored_like(wanted: Iterable[Activity], using: str) -> dict[ActivityKey, Activity]:
    """Return the records that are in the table under the ids of these, by their keys."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for activity in wanted:
        groups[activity.brand, activity.eventname].append(activity.eventid)
    rows = Activity.objects.using(using)
    return {
        stored.key: stored
        for (brand, eventname), ids in groups.items()
        for stored in rows.filter(is_one_of("eventid", ids), brand=brand, eventname=eventname)
    }


def find(wanted: Activity, using: str) -> Activity | None:
    """Return the record that is in the table under the same id, None when there is none."""
    return same_id(wanted, using).first()


def same_id(wanted: Activity, using: str) -> QuerySet[Activity]:
    """Return the rows of the table with the same key: one, or none."""
    brand, eventname, eventid = wanted.key
    return Activity.objects.using(using).filter(brand=brand, eventname=eventname, eventid=eventid)


def read(wanted: Activity, using: str) -> Activity:
    """Return the record that is in the table under the same id; a locking read where the host's snapshot is older."""
    stored = find(wanted, using)
    if stored is None:
        with transaction.atomic(using=using):
            stored = same_id(wanted, using).select_for_update().get()
    return stored


def is_of_one_row(stored: Activity, wanted: Activity) -> bool:
    """Tell whether two records come from the same row of the host; a report without a row may be of any."""
    rows = [(each.source, each.source_pk) for each in (stored, wanted)]
    return not stored.source_pk or not wanted.source_pk or rows[0] == rows[1]


def refuse_taken(stored: Activity | None, wanted: Activity) -> None:
    """Refuse to take another row's record for this row's: it would be reported once for both."""
    if stored is not None and not is_of_one_row(stored, wanted):
        message = (
            f"eventid is taken by {stored.source} {stored.source_pk}: give the declaration an `eventid` that is unique "
            "for the event name."
        )
        raise PayloadError(message, field="eventid", reason="eventid_taken")
