"""A declaration of totals whose rows a test writes down by the day, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from track360_django import activities, customers, daily
from track360_django.models import Activity, Status

if TYPE_CHECKING:
    from track360_django.testing import Outbox

Days = dict[date, Any]

DAY = date(2025, 7, 21)


class PlayerDay(activities.DailyActivity):
    """A declaration whose rows a test writes down by the day; a function among them is called."""

    eventname = "DailyStats"
    _ledger: ClassVar[Days] = {}

    def rows(self, day: date) -> Iterable[Mapping[str, Any]]:
        """Return what the test says."""
        found: Any = self._ledger.get(day, [])
        rows: Iterable[Mapping[str, Any]] = found() if callable(found) else found
        return rows


def row(customer: Any = "c-1", currency: Any = "USD", **values: Any) -> dict[str, Any]:
    """Return a row of the ledger."""
    return {"customer": customer, "currency": currency, **values}


def report(day: date = DAY) -> dict[str, int]:
    """Compile a day; return how many totals became what."""
    (declaration,) = activities.daily_declarations()
    counts = daily.report_day(declaration, day).counts
    return {kind: count for kind, count in counts.items() if count}


def bodies() -> list[dict[str, Any]]:
    """Return the bodies of all activities, in the order of their ids."""
    return [json.loads(body) for body in Activity.objects.order_by("eventid").values_list("body", flat=True)]


def deliver(outbox: Outbox) -> None:
    """Deliver, so that what is written is sent, and must not change any more by itself."""
    for customer in outbox.customers:
        customers.report(customer.customer_id)
    outbox.deliver()
    assert not outbox.activities.exclude(status__in=(Status.DELIVERED, Status.DEAD)).exists()
