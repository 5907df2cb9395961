"""Golden payloads: the API guide's examples, and each kind of record letter by letter, delivered to the sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from example_project.accounts.models import Profile
from tests.configuration import configure
from tests.pages import ROOT
from track360_django import activities, customers, delivery, products
from track360_django.models import Activity
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


# Each kind of record, grouped and not, in three currencies: tests/goldens has one array for each kind, one record on a
# line, in the order of `every_shape`. They are the contract with Track360: change a line by hand, or not at all.
GOLDENS: Final = ROOT / "tests" / "goldens"
CURRENCIES: Final = ("JPY", "USD", "BHD")
# As it was agreed -> who did it, so that a day's total of one is none of another.
GROUPINGS: Final[Mapping[str, Any]] = {
    "C-none": "",
    "C-field": "product",
    "C-suffix": products.suffix,
    "C-prefix": "track360_django.products.prefix",
}
MOMENT: Final = datetime(2025, 7, 20, 11, 3, 59, tzinfo=UTC)
DAY: Final = date(2025, 7, 21)


def value(yen: Any, dollars: Any, dinars: Any, **fields: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return what is reported in each currency: a value, and the same further fields."""
    amounts = zip(CURRENCIES, (yen, dollars, dinars), strict=True)
    return {currency: {"value": amount, **fields} for currency, amount in amounts}


# What a host gives: Decimals and ints as ledgers have them, before they have the places of their currency.
KINDS: Final[Mapping[str, tuple[str, Mapping[str, Mapping[str, Any]]]]] = {
    "deposit": ("Deposit", value(25_000, Decimal(250), Decimal("94.25"), depositType="credit card")),
    "withdrawal": ("Withdrawal", value(Decimal("12000.00"), Decimal("120.5"), Decimal("45.1250"))),
    "ggr": ("GGR", value(Decimal("7.5E+3"), Decimal("50.00"), Decimal("18.9"))),
    "negative-ggr": ("GGR", value(Decimal(-7500), Decimal("-50.5"), Decimal("-0.005"))),
    "ngr": ("NGR", value(Decimal(0), Decimal("-0.00"), Decimal("17.01"))),
    "bet": ("Bet", value(100, 1, Decimal("0.05"), roundId="000123", isFree=False)),
    "bonus": ("Bonus", value(Decimal(2000), Decimal("20.00"), Decimal("7.54"), bonusType="Willkommen €")),
    # A KPI of the brand's own, with more places than its currency has: nothing is rounded.
    "custom-kpi": ("JackpotShare", value(Decimal("250.5"), Decimal("1.005"), Decimal("0.0125"))),
    "daily-stats": (
        "DailyStats",
        {
            "JPY": {"GGR": Decimal(7500), "NGR": Decimal(-6800), "Bets": Decimal("82500.00"), "Games": 15},
            "USD": {"GGR": Decimal(50), "NGR": Decimal(45), "Bets": Decimal("550.0"), "Games": 15},
            "BHD": {
                "GGR": Decimal("18.9"),
                "NGR": Decimal("17.01"),
                "Bets": Decimal("207.350"),
                "Games": 0,
                "lastGame": "777",
            },
        },
    ),
}


def every_shape(kind: str, settings: Settings) -> Iterator[Activity]:
    """Report a kind of record in every grouping, for an event and for a day, in every currency."""
    eventname, amounts = KINDS[kind]
    for customer, agreed in GROUPINGS.items():
        configure(settings, PRODUCT_FIELD=agreed)
        for currency in CURRENCIES:
            words = {"customer": customer, "currency": currency, "product": "Casino" if agreed else None}
            words |= amounts[currency]
            yield activities.report(
                eventname, createtime=MOMENT, eventid=f"TX-{customer}-{currency}", **words
            )
            yield activities.report(eventname, createtime=DAY, **words)


@pytest.mark.parametrize("kind", KINDS)
def test_record_is_the_golden_one(kind: str, settings: Settings, track360_sandbox: SandboxServer) -> None:
    """Every kind of record, grouped or not, is its golden text in the table, and that text is what Track360 accepts."""
    golden = (GOLDENS / f"{kind}.json").read_text(encoding="utf-8")
    lines = [line.removesuffix(",") for line in golden.splitlines()[1:-1]]
    for customer in GROUPINGS:
        customers.report(customer)

    written = [activity.body for activity in every_shape(kind, settings)]
    report = delivery.drain()

    accepted = [
        json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        for record in track360_sandbox.store.activities()
    ]
    assert written == lines
    assert sorted(accepted) == sorted(lines)
    assert (report.dead, report.held, len(json.loads(golden))) == (0, 0, len(GROUPINGS) * len(CURRENCIES) * 2)


def test_every_kind_has_its_file() -> None:
    """No golden file is left over, and none is missing."""
    assert {path.stem for path in GOLDENS.iterdir()} == set(KINDS)
