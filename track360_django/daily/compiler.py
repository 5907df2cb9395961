"""One day of one declaration: from the host's rows to records, and what became of each total."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django.db import transaction

from track360_django import conf
from track360_django.activities import event_id
from track360_django.activities.declarations import DailyActivity, daily_declarations
from track360_django.activities.declarations.quarantine import dead_record
from track360_django.activities.draft import build_record
from track360_django.api import payloads
from track360_django.daily import comparison, regrouping
from track360_django.daily.doubling import names_per_event
from track360_django.daily.regrouping import Regrouping
from track360_django.daily.totals import Total, add_up
from track360_django.daily.writer import BUSY, CHANGED, CHUNK, FLAGGED, Wanted, Writer
from track360_django.db import clock
from track360_django.db.lookups import is_behind
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, ActivityKey


@dataclass(kw_only=True)
class DayReport:
    """What became of one day: how many totals of each kind, and what a person should know."""

    day: date
    eventname: str
    counts: Counter[str] = field(default_factory=Counter)
    # Which totals can't be reported, and why.
    refusals: list[str] = field(default_factory=list)
    # Names of KPIs that are reported per event, too.
    doubled: frozenset[str] = frozenset()
    # Labels that no declaration has any more, of records that differ.
    moved_from: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        usual = ("new", "changed", "unchanged", "zero", "refused")
        rare = (kind for kind in sorted(self.counts) if kind not in usual and self.counts[kind])
        told = ", ".join(f"{self.counts[kind]} {kind}" for kind in (*usual, *rare))
        return f"{self.day} {self.eventname}: {told}"


class Compilation:
    """
    One day of one declaration.

    Call `compile`, `compare`, `add`, `quarantine`, in this order. Nothing is written before the host's rows were read
    to the last one: half of them may be half of a total, and what is missing among them is not gone.
    """

    def __init__(self, declaration: DailyActivity, day: date, writer: Writer) -> None:
        self.report = DayReport(day=day, eventname=declaration.eventname)
        self._declaration = declaration
        self._day = day
        self._source = declaration.label()
        self._writer = writer
        self._wanted: dict[ActivityKey, Wanted] = {}
        self._refused: dict[ActivityKey, PayloadError] = {}
        # By brand and id: a product may shape the event name of what was reported before.
        self._refused_ids: dict[tuple[str, str], PayloadError] = {}
        self._regrouping = Regrouping()
        # Totals that were refused before, with their dead records: whether they can be reported is known at the end.
        self._mendable: dict[ActivityKey, tuple[Activity, Wanted]] = {}
        # A row can't be read, so a total that seems to be gone may be in it.
        self._is_partial = False

    # What the day says.

    def compile(self) -> None:
        """Read the host's rows and build a record of each total."""
        # Before the rows: what another run wrote after this moment may know more than they do.
        self._began = clock.read(self._writer.using)
        names = {self._declaration.eventname}
        totals = add_up(self._declaration, self._day, self._writer.using)
        for key in list(totals):
            # Let go of each: a body is all that is kept of it.
            total = totals.pop(key)
            names |= total.kpis.keys()
            self._is_partial |= not total.is_key_known
            self._build(total)
        self.report.doubled = names_per_event() & names

    def _build(self, total: Total) -> None:
        error = total.error
        if error is None:
            try:
                wanted = self._wanted_of(total)
            except PayloadError as found:
                error = found
            else:
                if self._wanted.setdefault(wanted.key, wanted) is wanted:
                    return
                error = _taken_by("another total of the same day")
        self._refuse((total.brand, self._declaration.eventname, self._id_of(total)), error)

    def _wanted_of(self, total: Total) -> Wanted:
        draft = total.draft(self._declaration, self._day)
        record = build_record(draft, total.brand, total.customer_id)
        return Wanted(
            key=record.key,
            customer=total.customer,
            customer_id=total.customer_id,
            is_zero=total.is_zero,
            body=record.body,
            source=self._source,
            source_pk=record.source_pk,
        )

    def _id_of(self, total: Total) -> str:
        """Return the id that a refused total will have once it can be reported, as far as it is known."""
        parts = (
            self._declaration.eventname,
            str(self._day),
            total.customer_id,
            total.product,
            total.currency,
        )
        return event_id.of_day(*map(event_id.storable, parts))

    def _refuse(self, key: ActivityKey, error: PayloadError) -> None:
        if key in self._wanted:
            key = _beside(key)
        self._refused_ids[key[0], key[2]] = error
        self._refused[key] = error
        self.report.refusals.append(f"{key[2]}: {error}")

    # What was reported before.

    def compare(self) -> None:
        """Compare what is in the table with what the day says, a page at a time; what is left over is new."""
        for page in self._stored():
            with transaction.atomic(using=self._writer.using):
                for stored in page:
                    is_dead = stored.customer_id is None
                    if stored.source == self._source or (is_dead and self._is_moved(stored)):
                        self._compare(stored)
                    else:
                        self._leave_to_others(stored)

    def _stored(self) -> Iterator[list[Activity]]:
        """Yield all records of the day, whoever wrote them, in pages; read by a range of the index of ids."""
        first = event_id.prefix_of_day(self._declaration.eventname, self._day)
        # Behind all ids of the day in any collation; the prefix itself is compared exactly.
        behind = event_id.prefix_of_day(self._declaration.eventname, self._day + timedelta(days=1))
        names = ("eventid", "eventname", "brand")
        rows = Activity.objects.using(self._writer.using).filter(
            eventid__gte=first, eventid__lt=behind, eventid__startswith=f"{first}-", brand__in=conf.brands()
        )
        page = list(rows.order_by(*names)[:CHUNK])
        while page:
            last = page[-1]
            values = (last.eventid, last.eventname, last.brand)
            yield page
            rest = rows.filter(is_behind(names, values), eventid__gte=last.eventid)
            page = list(rest.order_by(*names)[:CHUNK]) if len(page) == CHUNK else []

    def _compare(self, stored: Activity) -> None:
        """Deal with one record that this declaration wrote."""
        key = stored.key
        if error := self._refused.get(key) or self._refused_ids.get((key[0], key[2])):
            self._refused.pop(key, None)
            self._writer.explain(stored, self._dead(key, error))
            return
        wanted = self._wanted.pop(key, None)
        if stored.queued_at > self._began:
            # Another run wrote it while this one read the host's rows, and may have seen more of them.
            kind = BUSY
        elif stored.customer_id is not None:
            kind = self._restate(stored, wanted)
        elif wanted is None or wanted.is_zero:
            self._writer.drop(stored)
            kind = "mended"
        else:
            self._mendable[key] = (stored, wanted)
            return
        self.report.counts[kind] += 1

    def _leave_to_others(self, stored: Activity) -> None:
        """Touch no record that somebody else reported under an id of ours; tell a person if it says something else."""
        key = stored.key
        if key in self._refused:
            self._refused[_beside(key)] = self._refused.pop(key)
        wanted = self._wanted.pop(key, None)
        if self._is_moved(stored):
            self.report.counts[self._leave_to_old_label(stored, wanted)] += 1
            return
        if wanted is None:
            return
        if not stored.body or json.loads(stored.body) == json.loads(wanted.body):
            self.report.counts["unchanged"] += 1
        else:
            self._refuse(_beside(key), _taken_by(stored.source or "a call of activities.report()"))

    def _is_moved(self, stored: Activity) -> bool:
        """Tell whether a declaration wrote a record that is not there any more: most likely it has another path now."""
        day, *_ = stored.source_pk.split(" ")
        labels = {declaration.label() for declaration in daily_declarations()}
        return bool(stored.source) and stored.source not in labels and day == self._day.isoformat()

    def _leave_to_old_label(self, stored: Activity, wanted: Wanted | None) -> str:
        """Tell a person of a record that differs, and report nothing beside it that may be the same money."""
        if not stored.body:
            return "pruned"
        before: dict[str, Any] = json.loads(stored.body)
        now = comparison.said_now(stored, before, wanted)
        if comparison.says_the_same(before, now):
            return "unchanged"
        self._note(stored, before, now, wanted)
        self.report.moved_from.add(stored.source)
        return "foreign"

    def _note(
        self, stored: Activity, before: dict[str, Any], now: dict[str, Any], wanted: Wanted | None
    ) -> None:
        """Note a total that differs, and stays as it was reported."""
        if wanted is None:
            self._regrouping.note_gone(stored)
        else:
            self._regrouping.note_change(stored, before, now)

    def _restate(self, stored: Activity, wanted: Wanted | None) -> str:
        """Correct what was reported, if the day says something else now; return what became of it."""
        if not stored.body or (wanted is None and self._is_partial):
            if wanted is None:
                self._regrouping.note_gone(stored)
            return "kept" if stored.body else "pruned"
        if wanted is not None and wanted.body == stored.body:
            return self._is_unchanged(stored)
        before: dict[str, Any] = json.loads(stored.body)
        now = comparison.said_now(stored, before, wanted)
        if comparison.says_the_same(before, now):
            return self._is_unchanged(stored)
        key = dict(zip(("brand", "eventname", "eventid"), stored.key, strict=True))
        kind = self._writer.correct(stored, Activity(**key, body=payloads.to_json(now)))
        if kind != FLAGGED:
            return kind
        self._note(stored, before, now, wanted)
        # One that was flagged before still differs, and nothing is done to it.
        return FLAGGED if stored.changed_at else CHANGED

    def _is_unchanged(self, stored: Activity) -> str:
        if stored.changed_at is not None:
            self._writer.unflag(stored)
        return "unchanged"

    # What is left over.

    def add(self) -> None:
        """Write down what is new, in the order of the ids: two runs at once never wait for each other crosswise."""
        news = [self._wanted[key] for key in sorted(self._wanted) if not self._wanted[key].is_zero]
        self.report.counts["zero"] = len(self._wanted) - len(news)
        self._wanted.clear()
        mendable = [wanted for _, wanted in self._mendable.values()]
        held = {wanted.key for wanted in self._regrouping.held([*news, *mendable])}
        for key in sorted(held):
            self._refuse(key, regrouping.refusal(key[0]))
        self._mend(held)
        self.report.counts["new"] += self._writer.add([wanted for wanted in news if wanted.key not in held])

    def _mend(self, held: set[ActivityKey]) -> None:
        """Replace the dead records of totals that could not be reported before, and can now."""
        for key, (quarantined, wanted) in self._mendable.items():
            if key in held:
                self._writer.explain(quarantined, self._dead(key, self._refused.pop(key)))
            else:
                with transaction.atomic(using=self._writer.using):
                    self._writer.replace(quarantined, wanted)
                self.report.counts["new"] += 1

    def quarantine(self) -> None:
        """Keep what can't be reported where a person sees it."""
        self.report.counts["refused"] = len(self.report.refusals)
        self._writer.quarantine([self._dead(key, self._refused[key]) for key in sorted(self._refused)])

    def _dead(self, key: ActivityKey, error: PayloadError) -> Activity:
        return dead_record(
            key,
            error,
            source=self._source,
            source_pk=self._day.isoformat(),
            advice=f"Correct it, then: manage.py track360 daily --date {self._day}",
        )


def _beside(key: ActivityKey) -> ActivityKey:
    return (*key[:2], event_id.beside(key[2]))


def _taken_by(whom: str) -> PayloadError:
    message = f"its id is taken by {whom}, which says something else."
    return PayloadError(message, field="eventid", reason="eventid_taken")
