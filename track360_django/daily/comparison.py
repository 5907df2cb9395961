"""
What was reported of a day before, compared with what the day says now: restated, flagged, mended, or left to others.

Only what is in the table is looked at here; what is left over is new, and is added by `compiler`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from track360_django import conf
from track360_django.activities import event_id
from track360_django.activities.declarations import daily_declarations
from track360_django.api import payloads, products
from track360_django.daily.day import Day, beside, taken_by
from track360_django.daily.writer import BUSY, CHANGED, CHUNK, FLAGGED, Wanted, Writer
from track360_django.db.lookups import is_behind
from track360_django.exceptions import PayloadError
from track360_django.models import Activity
from track360_django.outbox.body import product_shape


class Comparison:
    """One day's comparison with what was reported of it."""

    def __init__(self, day: Day, writer: Writer) -> None:
        self._day = day
        self._writer = writer

    def run(self) -> None:
        """Compare, a page at a time; what was reported is taken out of what the day wants."""
        for page in self._stored():
            with transaction.atomic(using=self._writer.using):
                for stored in page:
                    is_dead = stored.customer_id is None
                    if stored.source == self._day.source or (is_dead and self._is_moved(stored)):
                        self._compare(stored)
                    else:
                        self._leave_to_others(stored)

    def _stored(self) -> Iterator[list[Activity]]:
        """Yield all records of the day, whoever wrote them, in pages; read by a range of the index of ids."""
        first = event_id.prefix_of_day(self._day.eventname, self._day.date)
        # Behind all ids of the day in any collation; the prefix itself is compared exactly.
        behind = event_id.prefix_of_day(self._day.eventname, self._day.date + timedelta(days=1))
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
        if error := self._day.refused.get(key) or self._day.refused_ids.get((key[0], key[2])):
            self._day.refused.pop(key, None)
            self._writer.explain(stored, self._day.dead(key, error))
            return
        wanted = self._day.wanted.pop(key, None)
        if stored.queued_at > self._day.began:
            # Another run wrote it while this one read the host's rows, and may have seen more of them.
            kind = BUSY
        elif stored.customer_id is not None:
            kind = self._restate(stored, wanted)
        elif wanted is None or wanted.is_zero:
            self._writer.drop(stored)
            kind = "mended"
        else:
            self._day.mendable[key] = (stored, wanted)
            return
        self._day.report.counts[kind] += 1

    def _leave_to_others(self, stored: Activity) -> None:
        """Touch no record that somebody else reported under an id of ours; tell a person if it says something else."""
        key = stored.key
        if key in self._day.refused:
            self._day.refused[beside(key)] = self._day.refused.pop(key)
        wanted = self._day.wanted.pop(key, None)
        if self._is_moved(stored):
            self._day.report.counts[self._leave_to_old_label(stored, wanted)] += 1
            return
        if wanted is None:
            return
        if not stored.body or json.loads(stored.body) == json.loads(wanted.body):
            self._day.report.counts["unchanged"] += 1
        else:
            self._day.refuse(beside(key), taken_by(stored.source or "a call of activities.report()"))

    def _is_moved(self, stored: Activity) -> bool:
        """Tell whether a declaration wrote a record that is not there any more: most likely it has another path now."""
        day, *_ = stored.source_pk.split(" ")
        labels = {declaration.label() for declaration in daily_declarations()}
        return bool(stored.source) and stored.source not in labels and day == self._day.date.isoformat()

    def _leave_to_old_label(self, stored: Activity, wanted: Wanted | None) -> str:
        """Tell a person of a record that differs, and report nothing beside it that may be the same money."""
        if not stored.body:
            return "pruned"
        before: dict[str, Any] = json.loads(stored.body)
        now = said_now(stored, before, wanted)
        if says_the_same(before, now):
            return "unchanged"
        self._note(stored, before, now, wanted)
        self._day.report.moved_from.add(stored.source)
        return "foreign"

    def _note(
        self, stored: Activity, before: dict[str, Any], now: dict[str, Any], wanted: Wanted | None
    ) -> None:
        """Note a total that differs, and stays as it was reported."""
        if wanted is None:
            self._day.regrouping.note_gone(stored)
        else:
            self._day.regrouping.note_change(stored, before, now)

    def _restate(self, stored: Activity, wanted: Wanted | None) -> str:
        """Correct what was reported, if the day says something else now; return what became of it."""
        if not stored.body or (wanted is None and self._day.is_partial):
            if wanted is None:
                self._day.regrouping.note_gone(stored)
            return "kept" if stored.body else "pruned"
        if wanted is not None and wanted.body == stored.body:
            return self._is_unchanged(stored)
        before: dict[str, Any] = json.loads(stored.body)
        now = said_now(stored, before, wanted)
        if says_the_same(before, now):
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


def said_now(stored: Activity, before: dict[str, Any], wanted: Wanted | None) -> dict[str, Any]:
    """Return what a record says now: a number that was sent and is not there any more is zero."""
    agreed = conf.for_brand(stored.brand).CURRENCIES
    zeros = payloads.zeros(before, details=_product_fields(stored), agreed=agreed)
    if wanted is None:
        return before | zeros
    body: dict[str, Any] = json.loads(wanted.body)
    return body | {name: zero for name, zero in zeros.items() if name not in body}


def says_the_same(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Tell whether two bodies are equal: 50 and 50.00 are one number."""
    return before.keys() == now.keys() and all(
        value == now[name] or (name in numbers and Decimal(value) == Decimal(now[name]))
        for numbers in [payloads.zeros(before).keys() & payloads.zeros(now).keys()]
        for name, value in before.items()
    )


def _product_fields(stored: Activity) -> frozenset[str]:
    """Return the names of the fields that tell a record's product: it may read like a number."""
    _, _, product = stored.source_pk.partition(" ")
    shape = product_shape(stored.brand) if product else None
    if shape is None:
        return frozenset()
    try:
        return frozenset(products.names_of(shape, product, eventname=stored.eventname).fields)
    except PayloadError:
        return frozenset()
