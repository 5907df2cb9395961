"""
Day's totals: what a declaration adds up for a day is compared with what was reported, and written down where it differs.

A day is compiled again and again while it is in the window: each time all of it, and only what changed is written.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from track360_django import (
    alerts,
    clock,
    conf,
    customers,
    databases,
    drafts,
    outbox,
    payloads,
    records,
    wakeup,
)
from track360_django.declarations import DailyActivity, daily_declarations, declarations
from track360_django.declarations.totals import Total, add_up
from track360_django.exceptions import PayloadError
from track360_django.expressions import is_behind
from track360_django.models import Activity, Customer, Status

__all__ = ["DayReport", "Total", "compile_day", "report_day", "report_windows"]

logger = logging.getLogger(__name__)

# How many records are read, compared and written together.
CHUNK: Final = 1000

# Brand, event name, event id: what tells records apart.
Key = tuple[str, str, str]
Show = Callable[[str], None]

# What a record of somebody else counts as: nothing.
FOREIGN: Final = ""


@dataclass(kw_only=True)
class DayReport:
    """What became of one day: how many totals of each kind, and what a person should know."""

    day: date
    eventname: str
    counts: Counter[str] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)
    # Names of KPIs that are reported per event, too.
    doubled: frozenset[str] = frozenset()
    # Some row's total is not known: so what seems to be gone may be in that row.
    is_partial: bool = False

    def __str__(self) -> str:
        usual = ("new", "changed", "unchanged", "zero", "refused")
        rare = (kind for kind in sorted(self.counts) if kind not in usual)
        told = ", ".join(f"{self.counts[kind]} {kind}" for kind in (*usual, *rare))
        return f"{self.day} {self.eventname}: {told}"


def compile_day(declaration: DailyActivity, day: date) -> Iterator[Total]:
    """
    Yield what each customer did on a day by the host's ledger; nothing is written.

    Totals that can't be reported are left out: `report_day` tells of them.

    Raises:
        Exception: Whatever the declaration's `rows` raised.
    """
    return (total for total in add_up(declaration, day, databases.home()).values() if total.error is None)


def report_windows() -> list[DayReport]:
    """
    Compile the days of each declaration's window that are over, oldest first.

    Raises:
        ExceptionGroup: Some days could not be compiled, each logged; all others were.
    """
    now = clock.read(databases.home())
    days = [(declaration, day) for declaration in daily_declarations() for day in declaration.window(now)]
    reports, errors = report_days(days)
    if errors:
        message = "track360: days that could not be compiled; the next run tries again"
        raise ExceptionGroup(message, errors)
    return reports


def report_days(days: Iterable[tuple[DailyActivity, date]]) -> tuple[list[DayReport], list[Exception]]:
    """Compile some days; one that fails stops none of the others."""
    reports: list[DayReport] = []
    errors: list[Exception] = []
    for declaration, day in days:
        try:
            reports.append(report_day(declaration, day))
        except Exception as error:
            logger.exception("track360: %s could not be compiled for %s.", declaration.label(), day)
            errors.append(error)
    return reports, errors


def report_day(declaration: DailyActivity, day: date, *, show: Show | None = None) -> DayReport:
    """
    Compile one day and report what is new or has changed.

    Args:
        declaration: What to compile.
        day: A day that is over.
        show: For a dry run: called with the JSON text of each record that would be sent; nothing is written.

    Raises:
        ImproperlyConfigured: The declaration has no event name that can be sent.
        Exception: Whatever `rows` raised: nothing of the day was written then.
    """
    if not 0 < len(declaration.eventname) <= payloads.MAX_EVENTNAME_CHARACTERS:
        msg = f"{declaration.label()} needs an eventname of 1 to {payloads.MAX_EVENTNAME_CHARACTERS} characters."
        raise ImproperlyConfigured(msg)
    compilation = _Compilation(declaration, day, show)
    compilation.compile()
    compilation.compare()
    compilation.add()
    compilation.quarantine()
    return compilation.report


class _Compilation:
    """One day of one declaration, from the host's rows to our records."""

    def __init__(self, declaration: DailyActivity, day: date, show: Show | None) -> None:
        self.report = DayReport(day=day, eventname=declaration.eventname)
        self._declaration = declaration
        self._day = day
        self._source = declaration.label()
        self._show = show
        self._using = databases.home()
        self._wanted: dict[Key, tuple[Total, Activity]] = {}
        self._refused: dict[Key, PayloadError] = {}

    # What the day says.

    def compile(self) -> None:
        """Read the host's rows, to the last one, and build a record of each total."""
        # Before the rows: what another run wrote after this moment may know more than they do.
        self._began = clock.read(self._using)
        names: set[str] = set()
        for total in add_up(self._declaration, self._day, self._using).values():
            names |= total.kpis.keys()
            self.report.is_partial |= not total.is_key_known
            self._build(total)
        self.report.doubled = doubled_names(self._declaration, names)

    def _build(self, total: Total) -> None:
        if total.error is None:
            try:
                built = drafts.build(
                    total.draft(self._declaration, self._day), total.brand, total.customer_id
                )
            except PayloadError as error:
                total.error = error
            else:
                key = _key_of(built)
                if key not in self._wanted:
                    self._wanted[key] = (total, built)
                    return
                total.error = _taken("another total of the same day")
        self._refuse((total.brand, self._declaration.eventname, self._id_of(total)), total.error)

    def _refuse(self, key: Key, error: PayloadError) -> None:
        if key in self._wanted:
            key = _beside(key)
        self._refused[key] = error
        self.report.refusals.append(f"{key[2]}: {error}")

    def _id_of(self, total: Total) -> str:
        """Return the id that a refused total will have once it can be reported, as far as it is known."""
        parts = (
            self._declaration.eventname,
            str(self._day),
            total.customer_id,
            total.product,
            total.currency,
        )
        eventid = "-".join(part for part in parts if part)
        return drafts.shorten(eventid.encode(errors="replace").decode().replace("\0", "?"))

    # What was reported before.

    def compare(self) -> None:
        """Compare what is in the table with what the day says, a page at a time; what is left over is new."""
        for page in self._stored():
            with transaction.atomic(using=self._using):
                for stored in page:
                    self.report.counts[self._compare(stored)] += 1

    def _stored(self) -> Iterator[list[Activity]]:
        """Yield all records of the day, whoever wrote them, in pages; read by a range of the index of ids."""
        first = f"{self._declaration.eventname}-{self._day}"
        # Above all ids of the day in any collation; the prefix itself is compared exactly.
        behind = f"{self._declaration.eventname}-{self._day + timedelta(days=1)}"
        names = ("eventid", "eventname", "brand")
        rows = Activity.objects.using(self._using).filter(
            eventid__gte=first, eventid__lt=behind, eventid__startswith=f"{first}-", brand__in=conf.brands()
        )
        page = list(rows.order_by(*names)[:CHUNK])
        while page:
            last = page[-1]
            values = (last.eventid, last.eventname, last.brand)
            yield page
            rest = rows.filter(is_behind(names, values), eventid__gte=last.eventid)
            page = list(rest.order_by(*names)[:CHUNK]) if len(page) == CHUNK else []

    def _compare(self, stored: Activity) -> str:
        """Deal with one record of the day; return what became of it."""
        key = _key_of(stored)
        if stored.source != self._source:
            return self._leave_to_others(stored, key)
        if key in self._refused:
            return self._explain(stored, self._refused.pop(key))
        total, wanted = self._wanted.pop(key, (None, None))
        if stored.customer_id is None:
            return self._mend(stored, total, wanted)
        if stored.queued_at > self._began:
            # Another run wrote it while this one read the host's rows, and may have seen more of them.
            return "busy"
        return self._restate(stored, wanted) if stored.body else "pruned"

    def _leave_to_others(self, stored: Activity, key: Key) -> str:
        """Touch no record that somebody else reported under an id of ours; tell a person if it says something else."""
        if key in self._refused:
            self._refuse(_beside(key), self._refused.pop(key))
        if key not in self._wanted:
            return FOREIGN
        _, wanted = self._wanted.pop(key)
        if not stored.body or json.loads(stored.body) == json.loads(wanted.body):
            return "unchanged"
        self._refuse(_beside(key), _taken(stored.source or "activities.report()"))
        return FOREIGN

    def _explain(self, stored: Activity, error: PayloadError) -> str:
        """Tell why a total that was reported, or refused, before can't be reported now."""
        if self._show is not None:
            return FOREIGN
        text = self._way_out(error)
        if stored.customer_id is None:
            if (stored.reason, stored.error) != (error.reason, text):
                outbox.explain_quarantined(stored.pk, reason=error.reason, error=text, using=self._using)
        elif outbox.flag_changed(stored.pk, using=self._using):
            logger.warning(
                "track360: %s can't be compiled any more (%s); what was reported stays, it is flagged.",
                stored,
                error.reason,
            )
        return FOREIGN

    def _mend(self, stored: Activity, total: Total | None, wanted: Activity | None) -> str:
        """Put a total that can be reported now in the place of the dead record that stood for it."""
        if total is None or wanted is None or total.is_zero:
            if self._show is None:
                outbox.drop_quarantined(stored.pk, using=self._using)
            return "mended"
        if self._show is not None:
            self._show(wanted.body)
        elif attached := self._attach([(total, wanted)]):
            outbox.replace_quarantined(stored.pk, attached[0], using=self._using)
            wakeup.after_commit(using=self._using)
        return "new"

    def _restate(self, stored: Activity, wanted: Activity | None) -> str:
        """Correct what was reported, if the day says something else now."""
        if wanted is None and self.report.is_partial:
            # It may be in a row that can't be read.
            return "kept"
        if wanted is not None and stored.body == wanted.body:
            return "unchanged"
        before: dict[str, Any] = json.loads(stored.body)
        body = self._now(stored, before, wanted)
        if body == before:
            return "unchanged"
        key = dict(zip(("brand", "eventname", "eventid"), _key_of(stored), strict=True))
        with transaction.atomic(using=self._using):
            corrected = Activity(**key, body=payloads.to_json(body))
            records.compare(stored, corrected, is_time_given=True, using=self._using)
            if self._show is not None:
                self._show_sent(stored)
        return "changed"

    def _now(self, stored: Activity, before: dict[str, Any], wanted: Activity | None) -> dict[str, Any]:
        """Return what a record says now: a number that was sent and is not there any more is zero."""
        field = conf.for_brand(stored.brand).PRODUCT_FIELD
        zeros = payloads.zeros(before, self._declaration.kpis, kept=str(field))
        if wanted is None:
            return before | zeros
        body: dict[str, Any] = json.loads(wanted.body)
        return body | {name: zero for name, zero in zeros.items() if name not in body}

    def _show_sent(self, stored: Activity) -> None:
        """Show what a correction would send, if it sends anything, and take it back."""
        corrected = Activity.objects.using(self._using).get(pk=stored.pk)
        if self._show is not None and corrected.version != stored.version:
            self._show(corrected.body)
        transaction.set_rollback(True, using=self._using)

    # What is left over.

    def add(self) -> None:
        """Write down what is new, in the order of the ids: two runs at once never wait for each other crosswise."""
        zeros = [key for key, (total, _) in self._wanted.items() if total.is_zero]
        for key in zeros:
            del self._wanted[key]
        self.report.counts["zero"] = len(zeros)
        news = [self._wanted[key] for key in sorted(self._wanted)]
        for start in range(0, len(news), CHUNK):
            chunk = news[start : start + CHUNK]
            self.report.counts["new"] += self._add(chunk)

    def _add(self, chunk: list[tuple[Total, Activity]]) -> int:
        if self._show is not None:
            for _, wanted in chunk:
                self._show(wanted.body)
            return len(chunk)
        with transaction.atomic(using=self._using):
            attached = self._attach(chunk)
            outbox.add_activities(attached, using=self._using)
            wakeup.after_commit(using=self._using)
        return len(attached)

    def _attach(self, chunk: list[tuple[Total, Activity]]) -> list[Activity]:
        """Return the records with their customers, who are registered where nobody reported them."""
        found: dict[tuple[str, str], Customer] = {}
        for brand in {total.brand for total, _ in chunk}:
            owners = {
                (brand, total.customer_id): total.customer for total, _ in chunk if total.brand == brand
            }
            found |= customers.find_many(owners, brand, using=self._using)
        attached: list[Activity] = []
        for total, wanted in chunk:
            key = (total.brand, total.customer_id)
            try:
                if key not in found:
                    found[key] = customers.of(total.customer, total.brand, using=self._using)
            except PayloadError as error:
                self._refuse(_key_of(wanted), error)
            else:
                attached.append(drafts.attach(wanted, found[key]))
        return attached

    def quarantine(self) -> None:
        """Keep what can't be reported as dead records, so that a person sees it; count it."""
        self.report.counts["refused"] = len(self.report.refusals)
        del self.report.counts[FOREIGN]
        if self._show is not None:
            return
        dead = [self._dead(key, self._refused[key]) for key in sorted(self._refused)]
        for start in range(0, len(dead), CHUNK):
            outbox.add_activities(dead[start : start + CHUNK], using=self._using)
        for record in dead:
            reason = f"{record.reason}: {record.error}"
            alerts.record_dead(Activity, brand=record.brand, pk=None, name=str(record), reason=reason)

    def _dead(self, key: Key, error: PayloadError) -> Activity:
        brand, eventname, eventid = key
        return Activity(
            brand=brand,
            eventname=eventname,
            eventid=eventid,
            body="{}",
            status=Status.DEAD,
            due_at=None,
            reason=error.reason,
            error=self._way_out(error),
            source=self._source,
            source_pk=self._day.isoformat(),
        )

    def _way_out(self, error: PayloadError) -> str:
        return f"{error} Correct it, then: manage.py track360 daily --date {self._day}"[:500]


def doubled_names(declaration: DailyActivity, names: Iterable[str]) -> frozenset[str]:
    """Return which names of a day's total are reported per event, too: each would count twice."""
    per_event = {each.eventname for each in declarations()}
    return frozenset(per_event & {declaration.eventname, *names})


def _key_of(record: Activity) -> Key:
    return record.brand, record.eventname, record.eventid


def _beside(key: Key) -> Key:
    return (*key[:2], drafts.shorten(f"{key[2]}-?"))


def _taken(by: str) -> PayloadError:
    message = f"its id is taken by {by}, which says something else."
    return PayloadError(message, field="eventid", reason="eventid_taken")
