"""Day's totals: compiled from the host's ledger for days that are over, reported once, and restated where they change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.test_middleware import configure
from track360_django import activities, daily
from track360_django.models import Activity

pytestmark = pytest.mark.django_db

DAY = date(2025, 7, 21)
ALEX = "12386a7c-d843-4b12-9ad3-3ae295d49c27"


class Ledger(activities.DailyActivity):
    """A declaration whose rows a test writes into `ledger`, by the day."""

    eventname = "DailyStats"
    ledger: dict[date, Any]

    def rows(self, day: date) -> Iterable[Mapping[str, Any]]:
        """Return what the test says."""
        found = self.ledger.get(day, [])
        return found() if callable(found) else found


@pytest.fixture
def ledger() -> Iterator[dict[date, Any]]:
    """Return what the declared ledger says, by the day."""
    activities.register_daily(Ledger)
    Ledger.ledger = {}
    yield Ledger.ledger
    activities.unregister_daily(Ledger)


def row(customer: Any = "c-1", **values: Any) -> dict[str, Any]:
    return {"customer": customer, "currency": "USD", **values}


def report(day: date = DAY) -> dict[str, int]:
    """Compile a day; return the counts that are not zero."""
    (declaration,) = activities.daily_declarations()
    counts = daily.report_day(declaration, day).counts
    return {kind: count for kind, count in counts.items() if count}


def bodies() -> list[dict[str, Any]]:
    return [json.loads(body) for body in Activity.objects.order_by("eventid").values_list("body", flat=True)]


def test_day_is_reported_as_the_guide_shows_it(ledger: dict[date, Any]) -> None:
    """A day's total arrives as the guide's example of DailyStats, with an event id."""
    ledger[DAY] = [row(ALEX, GGR=Decimal(50), NGR=Decimal(45), Bets=Decimal(550), Games=15)]

    assert report() == {"new": 1}
    assert bodies() == [
        {
            "eventname": "DailyStats",
            "eventid": f"DailyStats-2025-07-21-{ALEX}-USD",
            "createtime": "2025-07-21",
            "customerid": ALEX,
            "GGR": "50.00",
            "NGR": "45.00",
            "Bets": "550.00",
            "Games": "15",
            "Currency": "USD",
        }
    ]
    assert report() == {"unchanged": 1}
