"""What is written of a compiled day: new records, corrections, and dead ones; or, for a dry run, shown."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from django.db import transaction

from track360_django import alerts, customers, drafts, outbox, records, wakeup
from track360_django.declarations.totals import Total
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer

logger = logging.getLogger(__name__)

# How many records are read, compared and written together.
CHUNK: Final = 1000

Show = Callable[[str], None]
# Told of a record whose customer can't be written down, and why.
Refuse = Callable[[Activity, PayloadError], None]


class Wanted(NamedTuple):
    """A total, and the unsaved record of it."""

    total: Total
    record: Activity


class Writer:
    """Writes down what the comparison of a day found."""

    def __init__(self, using: str) -> None:
        self.using = using

    def add(self, news: Sequence[Wanted], refuse: Refuse) -> int:
        """Insert new records, a thousand in one INSERT; return how many."""
        count = 0
        for start in range(0, len(news), CHUNK):
            with transaction.atomic(using=self.using):
                added = list(self._attached(news[start : start + CHUNK], refuse))
                outbox.add_activities(added, using=self.using)
                wakeup.after_commit(using=self.using)
            count += len(added)
        return count

    def _attached(self, chunk: Sequence[Wanted], refuse: Refuse) -> Iterator[Activity]:
        """Yield the records with their customers, who are registered where nobody reported them."""
        found: dict[tuple[str, str], Customer] = {}
        for brand in {total.brand for total, _ in chunk}:
            ours = (total for total, _ in chunk if total.brand == brand)
            owners = {(brand, total.customer_id): total.customer for total in ours}
            found |= customers.find_many(owners, brand, using=self.using)
        for total, record in chunk:
            key = (total.brand, total.customer_id)
            try:
                if key not in found:
                    found[key] = customers.of(total.customer, total.brand, using=self.using)
            except PayloadError as error:
                refuse(record, error)
            else:
                yield drafts.attach(record, found[key])

    def correct(self, stored: Activity, corrected: Activity) -> None:
        """Correct a record that says something else now, as `CORRECTIONS` says."""
        records.compare(stored, corrected, is_time_given=True, using=self.using)

    def replace(self, quarantined: Activity, wanted: Wanted, refuse: Refuse) -> None:
        """Put a record in the place of the dead one that stood for it."""
        for record in self._attached([wanted], refuse):
            outbox.replace_quarantined(quarantined.pk, record, using=self.using)
            wakeup.after_commit(using=self.using)

    def drop(self, quarantined: Activity) -> None:
        """Delete a dead record that stood for something that is not there any more."""
        outbox.drop_quarantined(quarantined.pk, using=self.using)

    def explain(self, stored: Activity, dead: Activity) -> None:
        """Tell why what was reported, or refused, before can't be reported now."""
        if stored.customer_id is not None:
            self._flag(stored, dead.reason)
        elif (stored.reason, stored.error) != (dead.reason, dead.error):
            outbox.explain_quarantined(stored.pk, reason=dead.reason, error=dead.error, using=self.using)

    def _flag(self, stored: Activity, reason: str) -> None:
        if stored.changed_at is None and outbox.flag_changed(stored.pk, using=self.using):
            logger.warning(
                "track360: %s can't be compiled any more (%s); what was reported stays, it is flagged.",
                stored,
                reason,
            )

    def quarantine(self, dead: Sequence[Activity]) -> None:
        """Keep what can't be reported as dead records, and tell a person."""
        for start in range(0, len(dead), CHUNK):
            outbox.add_activities(dead[start : start + CHUNK], using=self.using)
        for record in dead:
            reason = f"{record.reason}: {record.error}"
            alerts.record_dead(Activity, brand=record.brand, pk=None, name=str(record), reason=reason)


class Preview(Writer):
    """Shows what would be sent, and leaves everything as it is."""

    def __init__(self, using: str, show: Show) -> None:
        super().__init__(using)
        self._show = show

    def add(self, news: Sequence[Wanted], refuse: Refuse) -> int:
        """Show new records; whether a customer can be written down is not tried."""
        del refuse
        for _, record in news:
            self._show(record.body)
        return len(news)

    def correct(self, stored: Activity, corrected: Activity) -> None:
        """Show what a correction sends, if it sends anything: it is made and taken back."""
        with transaction.atomic(using=self.using):
            super().correct(stored, corrected)
            now = Activity.objects.using(self.using).get(pk=stored.pk)
            transaction.set_rollback(True, using=self.using)
        if now.version != stored.version:
            self._show(now.body)

    def replace(self, quarantined: Activity, wanted: Wanted, refuse: Refuse) -> None:
        """Show the record."""
        del quarantined, refuse
        self._show(wanted.record.body)

    def drop(self, quarantined: Activity) -> None:
        """Leave it."""

    def explain(self, stored: Activity, dead: Activity) -> None:
        """Leave it."""

    def quarantine(self, dead: Sequence[Activity]) -> None:
        """Tell nobody: the report does."""
