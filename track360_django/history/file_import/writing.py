"""Writing: record a batch of entries in one transaction, or show it as it would be sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.db import router, transaction

from track360_django import conf, customers
from track360_django.activities import corrections, lookup
from track360_django.activities.draft import attach, build_record
from track360_django.customers import Registration
from track360_django.exceptions import PayloadError
from track360_django.history import preview
from track360_django.history.file_import.entries import Entry
from track360_django.history.file_import.fields import SOURCE, Reading, draft_of, registration_of
from track360_django.history.file_import.formats import Kind
from track360_django.history.file_import.outcome import Outcome
from track360_django.models import Activity, ActivityKey, Customer, Status
from track360_django.outbox import wakeup
from track360_django.outbox.activities import add_activities, flag_changed


def write_customers(entries: Sequence[Entry], reading: Reading) -> Outcome:
    """Record a batch of customers."""
    outcome, read, on_error = _registrations(entries, reading)
    registrations = [registration for _, registration in read]
    reported = customers.report_many(registrations, source=SOURCE, brand=reading.brand, on_error=on_error)
    outcome.counts.new = reported.new
    outcome.counts.changed = reported.changed
    outcome.counts.unchanged = reported.unchanged
    refused = {bad.entry.number for bad in outcome.bad}
    outcome.note_written([[registration.user] for entry, registration in read if entry.number not in refused])
    return outcome


def are_there(kind: Kind, sample: Sequence[Sequence[str]], brand: str) -> bool:
    """Return whether all records of a sample are in the table. In a backup or another database they are not."""
    names, model = _KEYS[kind]
    rows = model._default_manager.using(router.db_for_write(model)).filter(brand=brand)
    return all(rows.filter(**dict(zip(names, key, strict=True))).exists() for key in sample)


def preview_customers(
    entries: Sequence[Entry], reading: Reading, newcomers: preview.Newcomers
) -> tuple[Outcome, list[str]]:
    """Return the bodies that would be sent for a batch of customers."""
    outcome, read, on_error = _registrations(entries, reading)
    registrations = [registration for _, registration in read]
    rows = customers.preview_many(registrations, source=SOURCE, brand=reading.brand, on_error=on_error)
    named = {registration.user: registration for registration in registrations}

    def refuse(row: Customer, error: PayloadError) -> None:
        on_error(named[row.customer_id], error)

    shown = list(preview.of_customers(newcomers.note(rows), refuse=refuse))
    outcome.counts.new = len(shown)
    outcome.counts.unchanged = outcome.counts.read - outcome.counts.bad - len(shown)
    return outcome, shown


def _registrations(
    entries: Sequence[Entry], reading: Reading
) -> tuple[Outcome, list[tuple[Entry, Registration]], customers.OnError]:
    outcome = Outcome()
    origin: dict[int, Entry] = {}

    def on_error(registration: Registration, error: PayloadError) -> None:
        _refuse(outcome, origin[id(registration)], error)

    read = _read(entries, reading, outcome, registration_of)
    origin.update((id(registration), entry) for entry, registration in read)
    outcome.counts.undated = sum(registration.regtime is None for _, registration in read)
    return outcome, read, on_error


# The columns that identify a record of a sample.
_KEYS: Final[Mapping[Kind, tuple[tuple[str, ...], type[Customer | Activity]]]] = {
    "customers": (("customer_id",), Customer),
    "activities": (("eventname", "eventid"), Activity),
}


class _Built(NamedTuple):
    """An activity with its body, not yet attached to a customer, and the entry that it was built from."""

    entry: Entry
    customer_id: str
    activity: Activity
    is_dated: bool


def write_activities(entries: Sequence[Entry], reading: Reading) -> Outcome:
    """Record a batch of activities, after their customers."""
    outcome = Outcome()
    built = _build(entries, reading, outcome)
    using = router.db_for_write(Activity)
    with transaction.atomic(using=using):
        owners = customers.of_many({each.customer_id for each in built}, reading.brand, using=using)
        for each in built:
            attach(each.activity, owners[each.customer_id])
        # Of several lines with the same id, the first is recorded unless it is stored already. The others are compared.
        stored = lookup.stored_like([each.activity for each in built], using)
        firsts = {each.activity.key: each for each in reversed(built)}
        news = [each for key, each in firsts.items() if key not in stored][::-1]
        add_activities([each.activity for each in news], using=using)
        wakeup.after_commit(using=using)
        outcome.counts.new = len(news)
        added = {id(each) for each in news}
        _compare([each for each in built if id(each) not in added], stored, using, outcome)
    outcome.note_written([[each.activity.eventname, each.activity.eventid] for each in built])
    outcome.counts.held = sum(owners[each.customer_id].status == Status.HELD for each in built)
    return outcome


def preview_activities(
    entries: Sequence[Entry], reading: Reading, newcomers: preview.Newcomers
) -> tuple[Outcome, list[str]]:
    """Return the bodies that would be sent for a batch of activities, after those of users they would register."""
    outcome = Outcome()
    built = _build(entries, reading, outcome)
    using = router.db_for_write(Activity)
    firsts = {each.customer_id: each.entry for each in reversed(built)}

    def refuse(row: Customer, error: PayloadError) -> None:
        _refuse(outcome, firsts[row.customer_id], error)

    shown = list(newcomers.of(sorted(firsts), reading.brand, using=using, refuse=refuse))
    stored = lookup.stored_like([each.activity for each in built], using)
    for each in built:
        before = stored.get(each.activity.key)
        if before is None:
            outcome.counts.new += 1
        elif _is_known(before, each):
            outcome.counts.unchanged += 1
            continue
        elif _is_agreed(before, each.activity):
            outcome.counts.changed += 1
        else:
            _refuse_other(outcome, each.entry)
            continue
        shown.append(each.activity.body)
        stored[each.activity.key] = each.activity
    return outcome, shown


def _build(entries: Sequence[Entry], reading: Reading, outcome: Outcome) -> list[_Built]:
    def build(fields: dict[str, Any], reading: Reading) -> tuple[str, Activity, bool]:
        draft = draft_of(fields, reading)
        return (
            draft.customer,
            build_record(draft, reading.brand, draft.customer),
            draft.createtime is not None,
        )

    built = [_Built(entry, *found) for entry, found in _read(entries, reading, outcome, build)]
    outcome.counts.undated = sum(not each.is_dated for each in built)
    return built


def _compare(
    built: Sequence[_Built], stored: dict[ActivityKey, Activity], using: str, outcome: Outcome
) -> None:
    """Compare the activities that were recorded before, in another batch or earlier in this one."""
    for each in built:
        before = stored.pop(each.activity.key, None) or lookup.read(each.activity, using)
        if _is_known(before, each):
            outcome.counts.unchanged += 1
        elif _is_agreed(before, each.activity):
            corrections.compare_latest(before, each.activity, is_time_given=each.is_dated, using=using)
            outcome.counts.changed += 1
        else:
            # Never overwritten, sent or not: the line may be another activity, and the first one would be lost.
            if before.attempts or before.accepted_version:
                flag_changed(before.pk, using=using)
            _refuse_other(outcome, each.entry)


def _is_known(before: Activity, each: _Built) -> bool:
    return not _is_quarantined(before) and corrections.says_the_same(
        before, each.activity, is_time_given=each.is_dated
    )


def _is_agreed(before: Activity, wanted: Activity) -> bool:
    """Return whether a line with other content is an agreed correction, and not another activity."""
    if _is_quarantined(before):
        return True
    if conf.for_brand(before.brand).CORRECTIONS != "resend":
        return False
    identities = [
        [body.get(name) for name in ("customerid", "eventname")]
        for body in map(json.loads, (before.body, wanted.body))
    ]
    return identities[0] == identities[1]


def _is_quarantined(stored: Activity) -> bool:
    """Return whether the stored record has no customer: it stands for a row that could not be recorded."""
    return stored.customer_id is None and not stored._state.adding


def _refuse_other(outcome: Outcome, entry: Entry) -> None:
    outcome.counts.other += 1
    message = (
        "its eventid was recorded before with other content, which stays. This line is not reported. See the other "
        "record with `track360 explain`. Another activity needs another eventid; a day's total without an eventid is "
        "identified by customer, day, currency and product. A correction has to be agreed (API guide, Activity API, "
        "eventid; TRACK360['CORRECTIONS'])."
    )
    outcome.refuse(entry, reason="other_content", message=message)


def _read(
    entries: Sequence[Entry],
    reading: Reading,
    outcome: Outcome,
    read: Callable[[dict[str, Any], Reading], Any],
) -> list[tuple[Entry, Any]]:
    """Return the content of the entries. Entries that can't be read or reported are added to the outcome."""
    found = []
    for entry in entries:
        outcome.counts.read += 1
        outcome.counts.doubtful += entry.is_doubtful
        try:
            if entry.error is not None:
                raise entry.error
            found.append((entry, read(entry.fields, reading)))
        except PayloadError as error:
            _refuse(outcome, entry, error)
    return found


def _refuse(outcome: Outcome, entry: Entry, error: PayloadError) -> None:
    outcome.refuse(entry, reason=error.reason, message=str(error))
