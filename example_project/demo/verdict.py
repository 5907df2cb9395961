"""
What the story comes to: the host's own tables against what Track360 accepted.

The host's tables say what had to arrive and the sandbox says what did; the package's rows are asked the same
question, and say when each record was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from django.db.models import QuerySet

from example_project.demo import books
from example_project.demo.ledger import Ledger
from track360_django import conf
from track360_django.models import Activity, Customer, Status

Named = TypeVar("Named", bound=Hashable)

LOST: Final = "lost"
PHANTOMS: Final = "never committed"
DUPLICATED: Final = "duplicated"
OUT_OF_ORDER: Final = "out of order"


@dataclass(frozen=True, kw_only=True)
class Period:
    """A time with a beginning and an end."""

    begun_at: datetime
    ended_at: datetime

    def __contains__(self, moment: datetime) -> bool:
        """Tell whether a moment lies within."""
        return self.begun_at <= moment <= self.ended_at


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many records of one kind the host committed, the package delivered, and Track360 accepted."""

    committed: int
    delivered: int
    accepted: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """
    The comparison.

    `faults` counts, by name, what must not happen. `prompt` and `delayed` are seconds from the writing of a record to
    its acceptance, sorted: of those written while Track360 was well, and of those written during the outage.
    """

    counts: Mapping[str, Count]
    faults: Mapping[str, int]
    prompt: Sequence[float]
    delayed: Sequence[float]
    calls: int
    failed_calls: int

    @property
    def is_clean(self) -> bool:
        """Whether everything committed arrived, once, in order, and nothing else did."""
        return not any(self.faults.values())


def judge(ledger: Ledger, *, since: datetime, outage: Period) -> Verdict:
    """
    Compare what the host committed with what Track360 accepted.

    Args:
        ledger: What Track360 has.
        since: When the story began; what an existing database held before need not arrive, but may.
        outage: When Track360 was down.
    """
    customers, activities = books.customers(), books.activities(today=since.date())
    taken_customers = Counter(each.record["customerId"] for each in ledger.customers)
    taken_activities = Counter(books.key_of(each.record) for each in ledger.activities)
    waits = tuple(_waits(ledger))
    return Verdict(
        counts={
            "customers": Count(
                committed=len(_since(customers, since)),
                delivered=_delivered(Customer.objects.all(), since),
                accepted=len(taken_customers),
            ),
            **_counts_of(activities, taken_activities, since),
        },
        faults={
            LOST: len(_since(customers, since) - taken_customers.keys())
            + len(_since(activities, since) - taken_activities.keys()),
            DUPLICATED: ledger.repeated
            + _excess(taken_customers, _versions())
            + _excess(taken_activities, {}),
            OUT_OF_ORDER: sum(map(ledger.is_early, ledger.activities)),
            PHANTOMS: len(taken_customers.keys() - customers) + len(taken_activities.keys() - activities),
        },
        prompt=sorted(seconds for written_at, seconds in waits if written_at not in outage),
        delayed=sorted(seconds for written_at, seconds in waits if written_at in outage),
        calls=len(ledger.calls),
        failed_calls=sum(not call.is_accepted for call in ledger.calls),
    )


def percentile(sorted_seconds: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least `percent` of 100 of the values do not exceed; 0.0 for none."""
    if not sorted_seconds:
        return 0.0
    return sorted_seconds[max(0, -(-len(sorted_seconds) * percent // 100) - 1)]


def _since(committed: Mapping[Named, datetime], since: datetime) -> set[Named]:
    return {key for key, committed_at in committed.items() if committed_at >= since}


def _counts_of(
    committed: Mapping[books.Key, datetime], taken: Mapping[books.Key, int], since: datetime
) -> dict[str, Count]:
    """Count by event name, in the order in which they were agreed."""
    eventnames = [key[0] for key in _since(committed, since)], [key[0] for key in taken]
    return {
        eventname: Count(
            committed=eventnames[0].count(eventname),
            delivered=_delivered(Activity.objects.filter(eventname=eventname), since),
            accepted=eventnames[1].count(eventname),
        )
        for eventname in dict.fromkeys((*conf.settings.EVENTS, *eventnames[1]))
        if eventname in eventnames[0] or eventname in eventnames[1]
    }


def _delivered(rows: QuerySet[Customer] | QuerySet[Activity], since: datetime) -> int:
    return rows.filter(status=Status.DELIVERED, created_at__gte=since).count()


def _versions() -> dict[str, int]:
    """Map each customer to the number of times that there was something new to say."""
    return dict(Customer.objects.values_list("customer_id", "version"))


def _excess(taken: Mapping[Named, int], allowed: Mapping[Named, int]) -> int:
    """Count the acceptances that there was no reason for."""
    return sum(max(0, times - allowed.get(key, 1)) for key, times in taken.items())


def _waits(ledger: Ledger) -> Iterator[tuple[datetime, float]]:
    """Give for each record when it was written, and the seconds until Track360 took it."""
    customers = dict(Customer.objects.values_list("customer_id", "created_at"))
    activities = dict(Activity.objects.values_list("eventid", "created_at"))
    answered_customers = {
        each.record["customerId"]: each.call.answered_at for each in reversed(ledger.customers)
    }
    answered_activities = {each.record["eventid"]: each.call.answered_at for each in ledger.activities}
    yield from _pair(customers, answered_customers)
    yield from _pair(activities, answered_activities)


def _pair(
    written: Mapping[str, datetime], answered: Mapping[str, datetime | None]
) -> Iterable[tuple[datetime, float]]:
    for key, written_at in written.items():
        if (answered_at := answered.get(key)) is not None:
            yield written_at, (answered_at - written_at).total_seconds()
