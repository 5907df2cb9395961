"""
What the story comes to: the host's own tables against what Track360 accepted.

The host's tables say what had to arrive and the sandbox says what did; the package's rows are asked the same
question, and say when each record was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import User
from django.db.models import QuerySet

from example_project.cashier.models import Deposit
from example_project.demo.ledger import Ledger
from track360_django.models import Activity, Customer, Status

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
    customers, deposits = _committed_customers(), _committed_deposits()
    taken_customers = Counter(each.record["customerId"] for each in ledger.customers)
    taken_deposits = Counter(each.record["eventid"] for each in ledger.activities)
    waits = tuple(_waits(ledger))
    return Verdict(
        counts={
            "customers": _count(customers, Customer.objects.all(), taken_customers, since),
            "deposits": _count(deposits, Activity.objects.all(), taken_deposits, since),
        },
        faults={
            LOST: len(_since(customers, since) - taken_customers.keys())
            + len(_since(deposits, since) - taken_deposits.keys()),
            DUPLICATED: ledger.repeated + _excess(taken_customers, _versions()) + _excess(taken_deposits, {}),
            OUT_OF_ORDER: sum(map(ledger.is_early, ledger.activities)),
            PHANTOMS: len(taken_customers.keys() - customers) + len(taken_deposits.keys() - deposits),
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


def _committed_customers() -> dict[str, datetime]:
    """Map the customer ids of the host's own table to the time of their sign-up; staff are no customers."""
    users = User.objects.filter(is_staff=False).values_list("pk", "date_joined")
    return {str(pk): joined_at for pk, joined_at in users}


def _committed_deposits() -> dict[str, datetime]:
    """Map the references of the host's own completed deposits to the time of their completion."""
    deposits = Deposit.objects.filter(status=Deposit.Status.COMPLETED)
    return {deposit.reference: deposit.completed_at for deposit in deposits if deposit.completed_at}


def _since(committed: Mapping[str, datetime], since: datetime) -> set[str]:
    return {key for key, committed_at in committed.items() if committed_at >= since}


def _count(
    committed: Mapping[str, datetime],
    rows: QuerySet[Customer] | QuerySet[Activity],
    taken: Mapping[str, int],
    since: datetime,
) -> Count:
    delivered = rows.filter(status=Status.DELIVERED, created_at__gte=since).count()
    return Count(committed=len(_since(committed, since)), delivered=delivered, accepted=len(taken))


def _versions() -> dict[str, int]:
    """Map each customer to the number of times that there was something new to say."""
    return dict(Customer.objects.values_list("customer_id", "version"))


def _excess(taken: Mapping[str, int], allowed: Mapping[str, int]) -> int:
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
