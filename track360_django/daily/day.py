"""One day of one declaration while it is compiled: what it says, what is refused, and what became of its totals."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime

from track360_django.activities import event_id
from track360_django.activities.declarations import DailyActivity
from track360_django.activities.declarations.quarantine import dead_record
from track360_django.daily.regrouping import Regrouping
from track360_django.daily.writer import Wanted
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


@dataclass(kw_only=True)
class Day:
    """What is known of the day; `began` is the time before its rows were read, by the database's clock."""

    declaration: DailyActivity
    date: date
    began: datetime
    report: DayReport
    wanted: dict[ActivityKey, Wanted] = field(default_factory=dict)
    refused: dict[ActivityKey, PayloadError] = field(default_factory=dict)
    # By brand and id: a product may shape the event name of what was reported before.
    refused_ids: dict[tuple[str, str], PayloadError] = field(default_factory=dict)
    regrouping: Regrouping = field(default_factory=Regrouping)
    # Totals that were refused before, with their dead records: whether they can be reported is known at the end.
    mendable: dict[ActivityKey, tuple[Activity, Wanted]] = field(default_factory=dict)
    # A row can't be read, so a total that seems to be gone may be in it.
    is_partial: bool = False

    @property
    def eventname(self) -> str:
        """The event name of its totals."""
        return self.declaration.eventname

    @property
    def source(self) -> str:
        """What the records of its declaration are kept under."""
        return self.declaration.label()

    def refuse(self, key: ActivityKey, error: PayloadError) -> None:
        """Note that a total can't be reported."""
        if key in self.wanted:
            key = beside(key)
        self.refused_ids[key[0], key[2]] = error
        self.refused[key] = error
        self.report.refusals.append(f"{key[2]}: {error}")

    def dead(self, key: ActivityKey, error: PayloadError) -> Activity:
        """Return the unsaved dead record of a total that can't be reported."""
        return dead_record(
            key,
            error,
            source=self.source,
            source_pk=self.date.isoformat(),
            advice=f"Correct it, then: manage.py track360 daily --date {self.date}",
        )


def beside(key: ActivityKey) -> ActivityKey:
    """Return the key of a dead record that stands beside the one which has the key."""
    return (*key[:2], event_id.beside(key[2]))


def taken_by(whom: str) -> PayloadError:
    """Return why a total can't be reported under an id that is taken."""
    message = f"its id is taken by {whom}, which says something else."
    return PayloadError(message, field="eventid", reason="eventid_taken")
