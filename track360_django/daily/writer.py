"""Writes the records of a compiled day: new ones, corrections and dead ones. For a dry run, shows them instead."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from django.db import transaction

from track360_django import customers
from track360_django.activities import corrections, lookup
from track360_django.activities.draft import attach
from track360_django.models import Activity, ActivityKey, Customer
from track360_django.outbox import alerts, wakeup
from track360_django.outbox.activities import (
    add_activities,
    drop_quarantined,
    explain_quarantined,
    flag_changed,
    replace_quarantined,
    unflag,
)

logger = logging.getLogger(__name__)

# How many records are read, compared and written together.
CHUNK: Final = 1000

# The results of correcting a record with changed content.
CHANGED: Final = "changed"
FLAGGED: Final = "flagged"
BUSY: Final = "busy"

Show = Callable[[str], None]


class Wanted(NamedTuple):
    """One total of a day, as small as possible, because there may be a million of them."""

    key: ActivityKey
    customer: Any
    customer_id: str
    is_zero: bool
    body: str
    source: str
    source_pk: str

    def record(self) -> Activity:
        """Return the unsaved record, without a customer."""
        brand, eventname, eventid = self.key
        return Activity(
            brand=brand,
            eventname=eventname,
            eventid=eventid,
            body=self.body,
            source=self.source,
            source_pk=self.source_pk,
        )


class Writer:
    """Writes what the comparison of a day found."""

    def __init__(self, using: str) -> None:
        self.using = using

    def add(self, news: Sequence[Wanted]) -> int:
        """Insert new records, a thousand per INSERT; return how many."""
        count = 0
        for start in range(0, len(news), CHUNK):
            with transaction.atomic(using=self.using):
                added = list(self._attached(news[start : start + CHUNK]))
                add_activities(added, using=self.using)
                wakeup.after_commit(using=self.using)
            count += len(added)
        return count

    def _attached(self, chunk: Sequence[Wanted]) -> Iterator[Activity]:
        """Yield the records with their customers. A customer who was not reported before is registered."""
        found: dict[tuple[str, str], Customer] = {}
        for brand in {each.key[0] for each in chunk}:
            owners = {(brand, each.customer_id): each.customer for each in chunk if each.key[0] == brand}
            found |= customers.find_many(owners, brand, using=self.using)
        for each in chunk:
            owner = (each.key[0], each.customer_id)
            if owner not in found:
                found[owner] = customers.of(each.customer, each.key[0], using=self.using)
            yield attach(each.record(), found[owner])

    def correct(self, stored: Activity, corrected: Activity) -> str:
        """Correct a record that says something else now, as `CORRECTIONS` says; return what became of it."""
        corrections.compare(stored, corrected, is_time_given=True, using=self.using)
        now = lookup.find(corrected, self.using)
        if now is not None and now.body == corrected.body:
            return CHANGED
        if now is None or now.version != stored.version or now.changed_at is None:
            # Another run was faster, and its data may be newer.
            return BUSY
        return FLAGGED

    def unflag(self, stored: Activity) -> None:
        """Note that a record which was flagged says what the host says again."""
        unflag(stored.pk, using=self.using)

    def replace(self, quarantined: Activity, wanted: Wanted) -> None:
        """Replace the dead record of a total that can be reported now."""
        for record in self._attached([wanted]):
            replace_quarantined(quarantined.pk, record, using=self.using)
            wakeup.after_commit(using=self.using)

    def drop(self, quarantined: Activity) -> None:
        """Delete a dead record that stood for something that is not there any more."""
        drop_quarantined(quarantined.pk, using=self.using)

    def explain(self, stored: Activity, dead: Activity) -> None:
        """Note why a total that was reported or refused before can't be reported now."""
        if stored.customer_id is not None:
            self._flag(stored, dead.reason)
        elif (stored.reason, stored.error) != (dead.reason, dead.error):
            explain_quarantined(stored.pk, reason=dead.reason, error=dead.error, using=self.using)

    def _flag(self, stored: Activity, reason: str) -> None:
        if stored.changed_at is None and flag_changed(stored.pk, using=self.using):
            logger.warning(
                "track360: %s can't be compiled any more (%s). The reported record stays unchanged and is flagged.",
                stored,
                reason,
            )

    def quarantine(self, dead: Sequence[Activity]) -> None:
        """Store totals that can't be reported as dead records, and alert a person."""
        for start in range(0, len(dead), CHUNK):
            add_activities(dead[start : start + CHUNK], using=self.using)
        for record in dead:
            reason = f"{record.reason}: {record.error}"
            alerts.record_dead(Activity, brand=record.brand, pk=None, name=str(record), reason=reason)


class Preview(Writer):
    """Shows what would be sent, and changes nothing."""

    def __init__(self, using: str, show: Show) -> None:
        super().__init__(using)
        self._show = show

    def add(self, news: Sequence[Wanted]) -> int:
        """Show new records, without trying whether their customers can be registered."""
        for each in news:
            self._show(each.body)
        return len(news)

    def correct(self, stored: Activity, corrected: Activity) -> str:
        """Show what a correction would send, if anything: it is written, then rolled back."""
        with transaction.atomic(using=self.using):
            # What is flagged already is not told of.
            flag_changed(stored.pk, using=self.using)
            kind = super().correct(stored, corrected)
            transaction.set_rollback(True, using=self.using)
        if kind == CHANGED:
            self._show(corrected.body)
        return kind

    def unflag(self, stored: Activity) -> None:
        """Change nothing."""

    def replace(self, quarantined: Activity, wanted: Wanted) -> None:
        """Show the record."""
        del quarantined
        self._show(wanted.body)

    def drop(self, quarantined: Activity) -> None:
        """Change nothing."""

    def explain(self, stored: Activity, dead: Activity) -> None:
        """Change nothing."""

    def quarantine(self, dead: Sequence[Activity]) -> None:
        """Alert no person, because the report names these totals."""
