"""Writing: a batch of entries is written down in one transaction, or shown as it would be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import router, transaction
from django.utils import timezone

from track360_django import conf, customers, drafts, identity, outbox, parcels, wakeup
from track360_django.customers import Registration
from track360_django.exceptions import PayloadError
from track360_django.management.track360.importing.entries import Entry
from track360_django.management.track360.importing.outcome import Outcome
from track360_django.management.track360.importing.fields import SOURCE, draft_of, registration_of
from track360_django.models import Activity, Customer, Status

# SQLite takes no more than a thousand parameters.
_FIND: int = 500


def write_customers(entries: Sequence[Entry], brand: str) -> Outcome:
    """Write a batch of customers down."""
    outcome, registrations, on_error = _registrations(entries, brand)
    reported = customers.report_many(registrations, source=SOURCE, brand=brand, on_error=on_error)
    outcome.counts.new = reported.new
    outcome.counts.changed = reported.changed
    outcome.counts.unchanged = reported.unchanged
    return outcome


def preview_customers(entries: Sequence[Entry], brand: str) -> tuple[Outcome, list[str]]:
    """Return what would be sent of a batch of customers."""
    outcome, registrations, on_error = _registrations(entries, brand)
    rows = list(customers.preview_many(registrations, source=SOURCE, brand=brand, on_error=on_error))
    outcome.counts.new = len(rows)
    outcome.counts.unchanged = outcome.counts.read - outcome.counts.bad - len(rows)
    return outcome, list(_bodies(rows, brand))


def _bodies(rows: Sequence[Customer], brand: str) -> Iterator[str]:
    users = identity.users_of(rows, brand)
    for row in rows:
        yield parcels.body_of(row, users.get(row.user_pk))


def _registrations(
    entries: Sequence[Entry], brand: str
) -> tuple[Outcome, list[Registration], customers.OnError]:
    outcome = Outcome()
    origin: dict[int, Entry] = {}

    def on_error(registration: Registration, error: PayloadError) -> None:
        _refuse(outcome, origin[id(registration)], error)

    registrations = _read(entries, brand, outcome, registration_of)
    origin.update((id(registration), entry) for entry, registration in registrations)
    outcome.counts.undated = sum(registration.regtime is None for _, registration in registrations)
    return outcome, [registration for _, registration in registrations], on_error


class _Built(NamedTuple):
    """An activity with its body, of nobody yet, and where it came from."""

    entry: Entry
    customer_id: str
    activity: Activity
    is_dated: bool


def write_activities(entries: Sequence[Entry], brand: str) -> Outcome:
    """Write a batch of activities down, behind their customers."""
    outcome = Outcome()
    built = _build(entries, brand, outcome)
    using = router.db_for_write(Activity)
    with transaction.atomic(using=using):
        owners = customers.of_many((each.customer_id for each in built), brand, using=using)
        for each in built:
            drafts.attach(each.activity, owners[each.customer_id])
        # Ids rise: what has a higher one afterwards is new.
        last = Activity.objects.using(using).order_by("-pk").values_list("pk", flat=True).first() or 0
        outbox.add_activities([each.activity for each in built], using=using)
        _compare(built, brand, using, last, outcome)
        wakeup.after_commit(using=using)
    outcome.counts.held = sum(owners[each.customer_id].status == Status.HELD for each in built)
    return outcome


def preview_activities(entries: Sequence[Entry], brand: str) -> tuple[Outcome, list[str]]:
    """Return what would be sent of a batch of activities: before each batch, the users it would register."""
    outcome = Outcome()
    built = _build(entries, brand, outcome)
    using = router.db_for_write(Activity)
    ids = {each.customer_id: each.customer_id for each in built}
    known = customers.find_many(ids, brand, using=using)
    newcomers = customers.placeholders([each for each in ids if each not in known], brand, using=using)
    bodies = list(_bodies([row for row in newcomers if row.status != Status.HELD], brand))
    stored = _stored([each.activity for each in built], brand, using)
    for each in built:
        before = stored.get(_key(each.activity))
        is_other = before is not None and _is_other(before, each)
        if before is None or (is_other and _is_resent(brand)):
            bodies.append(each.activity.body)
            stored[_key(each.activity)] = each.activity
            outcome.counts.new += 1
        elif is_other:
            _refuse_other(outcome, each.entry)
        else:
            outcome.counts.unchanged += 1
    return outcome, bodies


def _build(entries: Sequence[Entry], brand: str, outcome: Outcome) -> list[_Built]:
    def build(fields: dict[str, Any], brand: str) -> tuple[str, Activity, bool]:
        draft = draft_of(fields, brand)
        return draft.customer, drafts.build(draft, brand, draft.customer), draft.createtime is not None

    built = [_Built(entry, *found) for entry, found in _read(entries, brand, outcome, build)]
    outcome.counts.undated = sum(not each.is_dated for each in built)
    return built


def _compare(built: Sequence[_Built], brand: str, using: str, last: int, outcome: Outcome) -> None:
    """Deal with those that were written down before, in another batch or in this one."""
    stored = _stored([each.activity for each in built], brand, using)
    seen: set[tuple[str, str]] = set()
    for each in built:
        key = _key(each.activity)
        before = stored.get(key) or drafts.read(each.activity, using)
        is_first, is_other = key not in seen, _is_other(before, each)
        seen.add(key)
        if before.pk > last and is_first:
            outcome.counts.new += 1
        elif not is_other:
            outcome.counts.unchanged += 1
        else:
            drafts.compare(before, each.activity, is_time_given=each.is_dated, using=using)
            del stored[key]
            if _is_resent(brand):
                outcome.counts.changed += 1
            else:
                _refuse_other(outcome, each.entry)


def _is_other(stored: Activity, each: _Built) -> bool:
    """Tell whether a record has other content than a line; a body that was pruned can't tell."""
    return bool(stored.body) and not drafts.is_same(
        stored.body, each.activity.body, is_time_given=each.is_dated
    )


def _is_resent(brand: str) -> bool:
    return conf.for_brand(brand).CORRECTIONS == "resend"


def _refuse_other(outcome: Outcome, entry: Entry) -> None:
    outcome.counts.other += 1
    message = (
        "its eventid was written down before with other content. The first stays and is flagged: compare them in the "
        "admin; an activity of its own needs an eventid of its own (API guide, Activity API, eventid; "
        "TRACK360['CORRECTIONS'])."
    )
    outcome.refuse(entry, reason="other_content", message=message)


def _stored(activities: Sequence[Activity], brand: str, using: str) -> dict[tuple[str, str], Activity]:
    """Return what is in the table under the ids of some activities."""
    wanted = {_key(activity) for activity in activities}
    eventids = sorted({eventid for _, eventid in wanted})
    found: dict[tuple[str, str], Activity] = {}
    for start in range(0, len(eventids), _FIND):
        rows = Activity.objects.using(using).filter(
            brand=brand, eventid__in=eventids[start : start + _FIND]
        )
        found |= {_key(row): row for row in rows if _key(row) in wanted}
    return found


def _key(activity: Activity) -> tuple[str, str]:
    return activity.eventname, activity.eventid


def _read(
    entries: Sequence[Entry], brand: str, outcome: Outcome, read: Callable[[dict[str, Any], str], Any]
) -> list[tuple[Entry, Any]]:
    """Return what the entries hold; those that can't be read or reported are noted."""
    found = []
    for entry in entries:
        outcome.counts.read += 1
        try:
            if entry.error is not None:
                raise entry.error
            found.append((entry, read(entry.fields, brand)))
        except PayloadError as error:
            _refuse(outcome, entry, error)
    return found


def _refuse(outcome: Outcome, entry: Entry, error: PayloadError) -> None:
    outcome.refuse(entry, reason=error.reason, message=str(error))
