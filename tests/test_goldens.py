"""Each JSON example of the API guide, produced through the public API and delivered to the sandbox."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from example_project.accounts.models import Profile
from track360_django import activities, customers, delivery
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

CUSTOMER_ID = "12386a7c-d843-4b12-9ad3-3ae295d49c27"

# The guide's examples, letter by letter.
CUSTOMER = {
    "customerId": CUSTOMER_ID,
    "regtime": "2025-07-21 08:46",
    "country": "US",
    "firstName": "Alex",
    "lastName": "Taylor",
    "tracking_data": "2001_1000_abcdefg",
}
BATCH = [
    {
        "eventname": "Deposit",
        "eventid": "1234",
        "createtime": "2025-07-20 11:03",
        "customerid": CUSTOMER_ID,
        "Value": "250.00",
        "Currency": "USD",
    },
    {
        "eventname": "GGR",
        "eventid": "1235",
        "createtime": "2025-07-21 11:03",
        "customerid": CUSTOMER_ID,
        "Value": "50.00",
        "Currency": "USD",
    },
]
DEPOSIT = {
    "eventname": "Deposit",
    "eventid": "TX-9981422",
    "createtime": "2025-07-20 11:03",
    "customerid": CUSTOMER_ID,
    "Value": "250.00",
    "Currency": "USD",
}
GGR = {
    "eventname": "GGR",
    "createtime": "2025-07-21",
    "customerid": CUSTOMER_ID,
    "Value": "50.00",
    "Currency": "USD",
}
NGR = {
    "eventname": "NGR",
    "createtime": "2025-07-21",
    "customerid": CUSTOMER_ID,
    "Value": "45.00",
    "Currency": "USD",
}
DAILY_STATS = {
    "eventname": "DailyStats",
    "createtime": "2025-07-21",
    "customerid": CUSTOMER_ID,
    "GGR": "50.00",
    "NGR": "45.00",
    "Bets": "550.00",
    "Games": "15",
    "Currency": "USD",
}


@pytest.fixture
def alex(track360_sandbox: SandboxServer, settings: Settings) -> User:
    """Return the guide's customer as a user of the host, who is known to Track360 by their username."""
    settings.TRACK360 = {**settings.TRACK360, "CUSTOMER_ID": "username"}
    user = User.objects.create_user(
        CUSTOMER_ID,
        first_name="Alex",
        last_name="Taylor",
        date_joined=datetime(2025, 7, 21, 8, 46, 59, tzinfo=UTC),
    )
    Profile.objects.create(user=user, country="US")
    return user


@pytest.fixture
def reported(alex: User) -> User:
    """Return the guide's customer, already delivered."""
    customers.report(alex, tracking={"tracking_data": "2001_1000_abcdefg"})
    delivery.drain()
    return alex


def test_customer_is_the_guides(alex: User, track360_sandbox: SandboxServer) -> None:
    """The example of "Customer API" arrives field by field."""
    customers.report(alex, tracking={"tracking_data": "2001_1000_abcdefg"})

    delivery.drain()

    assert track360_sandbox.store.customer(CUSTOMER_ID) == CUSTOMER


@pytest.mark.parametrize("value", ["2001_1000_abcdefg", "campaign_7_aff_42_creative_b"])
def test_tracking_data_is_the_guides(alex: User, track360_sandbox: SandboxServer, value: str) -> None:
    """The examples of "Returning them in the Customer API" arrive under their name and unchanged."""
    customers.report(alex, tracking={"tracking_data": value})

    delivery.drain()

    assert (track360_sandbox.store.customer(CUSTOMER_ID) or {})["tracking_data"] == value


def test_batch_of_two_is_the_guides(reported: User, track360_sandbox: SandboxServer) -> None:
    """The example of "Activity API" arrives in one request, in its order."""
    activities.report(
        "Deposit",
        customer=reported,
        value=Decimal("250.00"),
        currency="USD",
        createtime=datetime(2025, 7, 20, 11, 3, tzinfo=UTC),
        eventid="1234",
    )
    activities.report(
        "GGR",
        customer=reported,
        value=Decimal("50.00"),
        currency="USD",
        createtime=datetime(2025, 7, 21, 11, 3, tzinfo=UTC),
        eventid="1235",
    )

    report = delivery.drain()

    assert (report.delivered, report.requests) == (2, 1)
    assert list(track360_sandbox.store.activities()) == BATCH


def test_batch_of_two_reported_in_bulk_is_the_guides(reported: User, track360_sandbox: SandboxServer) -> None:
    """The same example arrives the same from `report_many`."""
    rows: list[dict[str, Any]] = [
        {
            "eventname": "Deposit",
            "customer": reported,
            "value": Decimal(250),
            "currency": "USD",
            "createtime": datetime(2025, 7, 20, 11, 3, tzinfo=UTC),
            "eventid": "1234",
        },
        {
            "eventname": "GGR",
            "customer": reported,
            "value": Decimal(50),
            "currency": "USD",
            "createtime": datetime(2025, 7, 21, 11, 3, tzinfo=UTC),
            "eventid": "1235",
        },
    ]

    count = activities.report_many(rows)
    delivery.drain()

    assert count == 2
    assert list(track360_sandbox.store.activities()) == BATCH


def test_deposit_is_the_guides(reported: User, track360_sandbox: SandboxServer) -> None:
    """The example of "Deposit" arrives field by field."""
    activities.report(
        "Deposit",
        customer=reported,
        value=Decimal("250.00"),
        currency="USD",
        createtime=datetime(2025, 7, 20, 11, 3, tzinfo=UTC),
        eventid="TX-9981422",
    )

    delivery.drain()

    assert list(track360_sandbox.store.activities()) == [DEPOSIT]


@pytest.mark.parametrize(
    ("eventname", "arguments", "example"),
    [
        ("GGR", {"value": Decimal("50.00")}, GGR),
        ("NGR", {"value": Decimal("45.00")}, NGR),
        (
            "DailyStats",
            {"GGR": Decimal("50.00"), "NGR": Decimal("45.00"), "Bets": Decimal("550.00"), "Games": 15},
            DAILY_STATS,
        ),
    ],
    ids=["ggr", "ngr", "daily-stats"],
)
def test_total_of_a_day_is_the_guides_with_an_eventid(
    reported: User,
    track360_sandbox: SandboxServer,
    eventname: str,
    arguments: dict[str, Any],
    example: dict[str, str],
) -> None:
    """The examples of a day's totals arrive field by field, and with an event id that makes a retry safe."""
    activities.report(eventname, customer=reported, currency="USD", createtime=date(2025, 7, 21), **arguments)

    delivery.drain()

    (received,) = track360_sandbox.store.activities()
    assert received.pop("eventid") == f"{eventname}-2025-07-21-{CUSTOMER_ID}-USD"
    assert received == example
