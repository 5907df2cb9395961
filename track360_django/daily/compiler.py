"""One day of one declaration: from the host's rows to records, and what became of each total."""

from __future__ import annotations

from datetime import date

from django.db import transaction

from track360_django.activities import event_id
from track360_django.activities.declarations import DailyActivity
from track360_django.activities.draft import build_record
from track360_django.daily import regrouping
from track360_django.daily.comparison import Comparison
from track360_django.daily.day import Day, DayReport, taken_by
from track360_django.daily.regrouping import names_per_event
from track360_django.daily.totals import Total, add_up
from track360_django.daily.writer import Wanted, Writer
from track360_django.db import clock
from track360_django.exceptions import PayloadError
from track360_django.models import ActivityKey


class Compilation:
    """
    One day of one declaration.

    Call `compile`, `compare`, `add`, `quarantine`, in this order. Nothing is written before the host's rows were read
    to the last one: half of them may be half of a total, and what is missing among them is not gone.
    """

    def __init__(self, declaration: DailyActivity, day: date, writer: Writer) -> None:
        self.report = DayReport(day=day, eventname=declaration.eventname)
        self._declaration = declaration
        self._writer = writer
        # Before the rows: what another run wrote after this moment may know more than they do.
        began = clock.read(writer.using)
        self._day = Day(declaration=declaration, date=day, began=began, report=self.report)

    # What the day says.

    def compile(self) -> None:
        """Read the host's rows and build a record of each total."""
        names = {self._declaration.eventname}
        totals = add_up(self._declaration, self._day.date, self._writer.using)
        for key in list(totals):
            # Let go of each: a body is all that is kept of it.
            total = totals.pop(key)
            names |= total.kpis.keys()
            self._day.is_partial |= not total.is_key_known
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
                if self._day.wanted.setdefault(wanted.key, wanted) is wanted:
                    return
                error = taken_by("another total of the same day")
        self._day.refuse((total.brand, self._declaration.eventname, self._id_of(total)), error)

    def _wanted_of(self, total: Total) -> Wanted:
        draft = total.draft(self._declaration, self._day.date)
        record = build_record(draft, total.brand, total.customer_id)
        return Wanted(
            key=record.key,
            customer=total.customer,
            customer_id=total.customer_id,
            is_zero=total.is_zero,
            body=record.body,
            source=self._day.source,
            source_pk=record.source_pk,
        )

    def _id_of(self, total: Total) -> str:
        """Return the id that a refused total will have once it can be reported, as far as it is known."""
        parts = (
            self._declaration.eventname,
            str(self._day.date),
            total.customer_id,
            total.product,
            total.currency,
        )
        return event_id.of_day(*map(event_id.storable, parts))

    def compare(self) -> None:
        """Compare what is in the table with what the day says; what is left over is new."""
        Comparison(self._day, self._writer).run()

    # What is left over.

    def add(self) -> None:
        """Write down what is new, in the order of the ids: two runs at once never wait for each other crosswise."""
        news = [
            self._day.wanted[key] for key in sorted(self._day.wanted) if not self._day.wanted[key].is_zero
        ]
        self.report.counts["zero"] = len(self._day.wanted) - len(news)
        self._day.wanted.clear()
        mendable = [wanted for _, wanted in self._day.mendable.values()]
        held = {wanted.key for wanted in self._day.regrouping.held([*news, *mendable])}
        for key in sorted(held):
            self._day.refuse(key, regrouping.refusal(key[0]))
        self._mend(held)
        self.report.counts["new"] += self._writer.add([wanted for wanted in news if wanted.key not in held])

    def _mend(self, held: set[ActivityKey]) -> None:
        """Replace the dead records of totals that could not be reported before, and can now."""
        for key, (quarantined, wanted) in self._day.mendable.items():
            if key in held:
                self._writer.explain(quarantined, self._day.dead(key, self._day.refused.pop(key)))
            else:
                with transaction.atomic(using=self._writer.using):
                    self._writer.replace(quarantined, wanted)
                self.report.counts["new"] += 1

    def quarantine(self) -> None:
        """Keep what can't be reported where a person sees it."""
        self.report.counts["refused"] = len(self.report.refusals)
        self._writer.quarantine(
            [self._day.dead(key, self._day.refused[key]) for key in sorted(self._day.refused)]
        )
