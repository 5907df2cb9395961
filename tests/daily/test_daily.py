"""Day's totals: compiled from the host's ledger for days that are over, reported once, and restated where they change."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings as HostSettings

from example_project.cashier.models import Account, Deposit
from tests.configuration import configure
from tests.daily.player_days import DAY, Days, PlayerDay, bodies, deliver, report, row
from tests.pages import page
from track360_django import activities, customers, daily, signals, tasks
from track360_django.daily.writer import CHUNK, Writer
from track360_django.db import clock
from track360_django.models import Activity, Customer, Status

if TYPE_CHECKING:
    from tests.conftest import SpawnHost
    from track360_django.testing import Outbox

pytestmark = pytest.mark.django_db


ALEX = "12386a7c-d843-4b12-9ad3-3ae295d49c27"


def kpis() -> dict[str, Any]:
    """Return what the one activity says beside what each one says."""
    (body,) = bodies()
    usual = ("eventname", "eventid", "createtime", "customerid", "Currency")
    return {name: value for name, value in body.items() if name not in usual}


# What a day's total is.


def test_day_is_reported_as_the_guide_shows_it(ledger: Days) -> None:
    """A day's total is the guide's example of DailyStats, with an event id."""
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
    activity = Activity.objects.get()
    assert (activity.source, activity.source_pk) == ("tests.daily.player_days.PlayerDay", "2025-07-21")


@pytest.mark.parametrize(
    ("currency", "expected"), [("JPY", "1500"), ("USD", "1500.00"), ("bhd", "1500.000"), (None, "1500.00")]
)
def test_money_has_the_minor_units_of_its_currency(ledger: Days, currency: str, expected: str) -> None:
    """A Decimal is money, with as many places as its currency has."""
    ledger[DAY] = [row(currency=currency, GGR=Decimal(1500), Games=3)]

    report()

    assert kpis() == {"GGR": expected, "Games": "3"}


def test_rows_of_one_key_are_added_up_exactly(ledger: Days) -> None:
    """Several queries feed one day: their numbers are added to the last digit, beyond what Python's context keeps."""
    tiny, huge = Decimal("0.0000000001"), Decimal(10) ** 25
    ledger[DAY] = [
        row(GGR=huge, Bets=10, level="gold"),
        row(GGR=tiny, Bets=5, Bonus=None),
        row(currency="usd", GGR=Decimal("-0.5"), Bets=Decimal("0.25"), level="gold", note=""),
    ]

    assert report() == {"new": 1}

    assert kpis() == {"GGR": "9999999999999999999999999.5000000001", "Bets": "15.25", "level": "gold"}


def test_keys_are_customer_product_and_currency(ledger: Days, settings: HostSettings) -> None:
    """A user and their id are one customer; products and currencies stay apart."""
    configure(settings, PRODUCT_FIELD="gameType")
    user = User.objects.create(username="alex")
    ledger[DAY] = [
        row(user, product="Casino", GGR=1),
        row(str(user.pk), product="Casino", GGR=2),
        row(user.pk, product="Sports", GGR=4),
        row(user, "EUR", product="Casino", GGR=8),
        row(user, GGR=16),
        row("c-2", product="Casino", GGR=32),
    ]

    assert report() == {"new": 5}

    assert {body["eventid"]: body["GGR"] for body in bodies()} == {
        f"DailyStats-2025-07-21-{user.pk}-Casino-USD": "3",
        f"DailyStats-2025-07-21-{user.pk}-Sports-USD": "4",
        f"DailyStats-2025-07-21-{user.pk}-Casino-EUR": "8",
        f"DailyStats-2025-07-21-{user.pk}-USD": "16",
        "DailyStats-2025-07-21-c-2-Casino-USD": "32",
    }
    assert report() == {"unchanged": 5}


def test_value_is_the_value_of_the_guide(ledger: Days) -> None:
    """A day's total of one KPI, such as GGR by date, is a `value`."""
    ledger[DAY] = [row(value=Decimal(30)), row(value=Decimal("20.5"))]

    report()

    assert kpis() == {"Value": "50.50"}


def test_kpis_tell_numbers_from_details(ledger: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `kpis` everything else is a detail, which is kept and never added."""
    monkeypatch.setattr(PlayerDay, "kpis", ("GGR",))
    ledger[DAY] = [row(GGR=2, level=3, code="007"), row(GGR=3, level=3, code="007")]

    report()

    assert kpis() == {"GGR": "5", "level": "3", "code": "007"}


def test_long_ids_are_of_their_day(ledger: Days) -> None:
    """An id that does not fit is cut, and still found by its day."""
    ledger[DAY] = [row("c" * 250, GGR=1), row("c" * 249 + "d", GGR=1)]
    report()

    ledger[DAY] = []

    assert report() == {"changed": 2}
    assert [len(body["eventid"]) for body in bodies()] == [255, 255]


def test_declaration_of_the_page_reports_the_deposits_of_a_day(settings: HostSettings) -> None:
    """What a reader copies is right at both ends of a day."""
    configure(settings, TIME_ZONE="America/New_York")
    names: dict[str, Any] = {"__name__": "page"}
    account = Account.objects.create(user=User.objects.create(username="alex"))
    for at in ("03:59:59", "04:00", "12:00"):
        Deposit.objects.create(
            account=account,
            amount=Decimal("10.50"),
            currency="USD",
            completed_at=datetime.fromisoformat(f"2025-07-21T{at}+00:00"),
        )
    Deposit.objects.filter(completed_at__hour=12).update(
        completed_at=datetime(2025, 7, 22, 3, 59, 59, tzinfo=UTC)
    )

    exec(next(page("howto/report-daily-totals.md").blocks("python")).text, names)  # noqa: S102  our own page

    (declaration,) = activities.daily_declarations()
    activities.unregister_daily(type(declaration))
    daily.report_day(declaration, DAY)
    assert kpis() == {"Deposited": "21.00", "Deposits": "2"}


# Compiled again.


def test_day_that_did_not_change_writes_nothing(ledger: Days, track360_outbox: Outbox) -> None:
    """A second run is silent, in another order of rows and fields, too."""
    ledger[DAY] = [row("c-1", GGR=Decimal(1), Bets=2), row("c-2", GGR=Decimal(3))]
    assert report() == {"new": 2}
    deliver(track360_outbox)
    before = list(Activity.objects.order_by("pk").values())

    ledger[DAY] = [row("c-2", GGR=Decimal("3.000")), row("c-1", Bets=2, GGR=Decimal(1))]

    assert report() == {"unchanged": 2}
    assert list(Activity.objects.order_by("pk").values()) == before


def test_late_settlement_is_sent_again_under_its_id(
    ledger: Days, track360_outbox: Outbox, settings: HostSettings
) -> None:
    """With CORRECTIONS="resend" only the total that changed goes out again."""
    configure(settings, CORRECTIONS="resend")
    ledger[DAY] = [row("c-1", GGR=Decimal(1)), row("c-2", GGR=Decimal(2))]
    report()
    deliver(track360_outbox)

    ledger[DAY].append(row("c-2", GGR=Decimal(-5)))

    assert report() == {"unchanged": 1, "changed": 1}
    assert track360_outbox.deliver().delivered == 1
    assert [body["GGR"] for body in bodies()] == ["1.00", "-3.00"]
    assert report() == {"unchanged": 2}


def test_late_settlement_is_flagged(ledger: Days, track360_outbox: Outbox) -> None:
    """With CORRECTIONS="flag" what was sent stays, and a person decides."""
    ledger[DAY] = [row(GGR=Decimal(1))]
    report()
    deliver(track360_outbox)

    ledger[DAY] = [row(GGR=Decimal(2))]

    assert report() == {"changed": 1}
    assert report() == {"flagged": 1}
    assert kpis() == {"GGR": "1.00"}
    assert Activity.objects.get().changed_at is not None
    assert track360_outbox.deliver().delivered == 0


def test_total_that_was_never_sent_gets_the_latest_body(ledger: Days) -> None:
    """Nobody can have seen what waits for its first attempt."""
    ledger[DAY] = [row(GGR=Decimal(1))]
    report()

    ledger[DAY] = [row(GGR=Decimal(2))]

    assert report() == {"changed": 1}
    assert kpis() == {"GGR": "2.00"}
    assert Activity.objects.get().changed_at is None


def test_zeros_are_skipped_until_something_was_reported(
    ledger: Days, track360_outbox: Outbox, settings: HostSettings
) -> None:
    """A day without anything is no record; a total that becomes zero is restated."""
    configure(settings, CORRECTIONS="resend")
    ledger[DAY] = [row(GGR=Decimal(0), Bets=0, level="gold"), row("c-2", level="gold"), row("c-3", GGR=None)]
    assert report() == {"zero": 3}
    assert not Customer.objects.exists()
    ledger[DAY] = [row(GGR=Decimal(5), Bets=1)]
    assert report() == {"new": 1}
    deliver(track360_outbox)

    ledger[DAY] = [row(GGR=Decimal("5.00"), Bets=1), row(GGR=Decimal(-5), Bets=-1)]

    assert report() == {"changed": 1}
    assert kpis() == {"GGR": "0.00", "Bets": "0"}
    assert report() == {"unchanged": 1}


@pytest.fixture(params=[("GGR",), ()], ids=["kpis", "no-kpis"])
def names_of_numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the declaration name its numbers, or not."""
    monkeypatch.setattr(PlayerDay, "kpis", request.param)


@pytest.mark.parametrize("shape", ["track360_django.products.suffix", "track360_django.products.prefix"])
@pytest.mark.parametrize("name", ["GGR", "value"])
@pytest.mark.usefixtures("names_of_numbers")
def test_shaped_total_is_restated(ledger: Days, settings: HostSettings, shape: str, name: str) -> None:
    """A product that is part of the KPI's name, or of the event name, is found again when its total changes."""
    configure(settings, PRODUCT_FIELD=shape)
    ledger[DAY] = [row(product="Casino", **{name: Decimal(2)}), row(product="Sports", **{name: Decimal(3)})]
    ledger[DAY] += [row(product="Poker", **{name: Decimal(4)})]
    assert report() == {"new": 3}
    assert report() == {"unchanged": 3}

    ledger[DAY] = [row(product="Casino", **{name: Decimal(7)}), row(product="Poker", **{name: 0.5})]

    assert report() == {"changed": 2, "refused": 1}
    amounts = [value for body in bodies() for value in body.values() if value[-3:-2] == "."]
    assert sorted(amounts) == ["0.00", "4.00", "7.00"]
    assert report() == {"unchanged": 2, "refused": 1}


@pytest.mark.parametrize("currency", ["USD", "JPY", None])
def test_total_that_is_gone_is_restated_with_zeros(
    ledger: Days, track360_outbox: Outbox, settings: HostSettings, currency: str | None
) -> None:
    """All bets of a customer were voided, so no row speaks of them: what was reported is zero now, its details stay."""
    configure(settings, CORRECTIONS="resend", PRODUCT_FIELD="gameType")
    ledger[DAY] = [row("c-1", GGR=Decimal(1)), row("7", currency, product="77", GGR=Decimal(-2), Bets=9)]
    ledger[DAY] += [row("7", currency, product="77", level="gold", value=4)]
    report()
    deliver(track360_outbox)
    before = Activity.objects.get(customer__customer_id="7")

    ledger[DAY] = ledger[DAY][:1]

    assert report() == {"unchanged": 1, "changed": 1}
    expected = json.loads(before.body)
    expected |= {"GGR": "0" if currency == "JPY" else "0.00", "Bets": "0"}
    expected |= {"Value": "0" if currency != "USD" else "0.00"}
    body = json.loads(Activity.objects.get(pk=before.pk).body)
    assert body == expected
    assert body["gameType"] == "77"
    assert report() == {"unchanged": 2}
    assert track360_outbox.deliver().delivered == 1


def test_kpi_that_is_gone_is_restated_with_zero(ledger: Days) -> None:
    """A total without one of its KPIs says zero for it: who knows whether a field that is left out is reset."""
    ledger[DAY] = [row(GGR=Decimal(1), Bonus=Decimal(2), level="gold")]
    report()

    ledger[DAY] = [row(GGR=Decimal(1))]

    assert report() == {"changed": 1}
    assert kpis() == {"GGR": "1.00", "Bonus": "0.00"}
    assert report() == {"unchanged": 1}


def test_pruned_total_is_not_compared(ledger: Days, track360_outbox: Outbox, settings: HostSettings) -> None:
    """What has lost its body is neither sent again nor reported as new."""
    configure(settings, CORRECTIONS="resend")
    ledger[DAY] = [row(GGR=1)]
    report()
    deliver(track360_outbox)
    Activity.objects.update(delivered_at=clock.Now() - timedelta(days=31))
    tasks.prune()

    ledger[DAY] = [row(GGR=2)]

    assert report() == {"pruned": 1}
    assert track360_outbox.deliver().delivered == 0


def test_other_days_and_names_are_left_alone(ledger: Days) -> None:
    """A day's range of ids holds neither the next day nor another event name that begins alike."""
    ledger[DAY] = ledger[DAY + timedelta(days=1)] = [row(GGR=1)]
    report()
    report(DAY + timedelta(days=1))
    for eventname in ("DailyStats-2025-07-21", "dailystats", "DailyStats2"):
        activities.report(eventname, customer="c-1", value=1, createtime=DAY)
    ledger[DAY] = []

    assert report() == {"changed": 1}
    assert [body.get("GGR", body.get("Value")) for body in bodies()].count("0") == 1


def test_ids_are_of_their_day_whatever_is_behind_it(ledger: Days) -> None:
    """Punctuation, capitals and letters of any language put no record out of its day."""
    ids = ("c-1", "C 1", "-", "_x", "~", "zz", "9", "ÿ", "CH", "žluť", "'", "%", "\U0001f600")
    ledger[DAY] = [row(customer, GGR=1) for customer in ids]
    assert report() == {"new": len(ids)}

    ledger[DAY] = ledger[DAY][:1]

    assert report() == {"unchanged": 1, "changed": len(ids) - 1}


def test_record_that_was_reported_by_hand_is_not_touched(ledger: Days) -> None:
    """An id that somebody else reported stays theirs; if it says something else, a person is told."""
    for customer in ("c-1", "c-2", "c-3"):
        activities.report("DailyStats", customer=customer, currency="USD", createtime=DAY, GGR=Decimal(7))
    ledger[DAY] = [row("c-1", GGR=Decimal(7)), row("c-2", GGR=Decimal(8)), row("c-4", GGR=Decimal(9))]

    assert report() == {"unchanged": 1, "refused": 1, "new": 1}

    assert [activity["GGR"] for activity in bodies() if activity] == ["7.00", "7.00", "7.00", "9.00"]
    dead = Activity.objects.get(status=Status.DEAD)
    assert (dead.eventid, dead.reason) == ("DailyStats-2025-07-21-c-2-USD-?", "eventid_taken")
    assert report() == {"unchanged": 2, "refused": 1}
    ledger[DAY] = [row("c-1", GGR=0.5)]
    assert report() == {"mended": 1, "refused": 1, "changed": 1}


# What can't be reported.

BAD: dict[str, tuple[Any, str]] = {
    "float": (row(GGR=0.5), "invalid_number"),
    "nan": (row(GGR=Decimal("NaN")), "invalid_number"),
    "infinity": (row(GGR=Decimal("Infinity")), "invalid_number"),
    "a-thousand-digits": (row(GGR=10**1000), "invalid_number"),
    "text-like-a-number": (row(GGR="12.50"), "invalid_number"),
    "value-as-text": (row(value="12.50"), "invalid_number"),
    "list": (row(GGR=[1]), "invalid_number"),
    "no-customer": (row(None, GGR=1), "no_customer"),
    "empty-customer": (row("", GGR=1), "no_customer"),
    "customer-is-no-user": (row(Account(), GGR=1), "not_a_user"),
    "customer-with-nul": (row("c\0", GGR=1), "invalid_field"),
    "currency": (row(currency="$", GGR=1), "invalid_currency"),
    "currency-of-nobody": (row(currency="XYZ", GGR=1), "unknown_currency"),
    "product": (row(product="Casino", GGR=1), "no_product_field"),
    "product-is-no-text": (row(product=[5], GGR=1), "invalid_field"),
    "detail-with-nul": (row(GGR=1, note="\0"), "invalid_field"),
    "reserved": (row(GGR=1, eventid="x"), "reserved_field"),
    "no-mapping": (("c-1", 5), "declaration"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_row_stops_nobody_else(ledger: Days, case: str) -> None:
    """The others are reported, the bad one is dead with its reason, a person is told once, and it can be mended."""
    bad, reason = BAD[case]
    told: list[str] = []

    def hear(reason: str, **_: Any) -> None:
        told.append(reason)

    signals.record_dead.connect(hear)
    ledger[DAY] = [row("good", GGR=1), bad, bad, row("better", GGR=1)]
    try:
        assert report() == {"new": 2, "refused": 1}
        assert report() == {"unchanged": 2, "refused": 1}
    finally:
        signals.record_dead.disconnect(hear)

    dead = Activity.objects.get(status=Status.DEAD)
    assert (dead.customer, dead.reason, dead.body) == (None, reason, "{}")
    assert dead.eventid.startswith("DailyStats-2025-07-21-")
    assert "manage.py track360 daily --date 2025-07-21" in dead.error
    assert len(told) == 1
    assert activities.requeue(Activity.objects.all()).refused == 1

    ledger[DAY][1:3] = [row(GGR=Decimal(3))]

    report()
    assert Activity.objects.filter(customer=None).count() == 0
    assert [body["GGR"] for body in bodies()] == ["1", "3.00", "1"]


def test_reason_follows_the_row(ledger: Days) -> None:
    """A dead record says why its total can't be reported now, not why it could not at first."""
    ledger[DAY] = [row(GGR=0.5)]
    report()

    ledger[DAY] = [row(GGR=1, level="gold"), row(GGR=1, level="silver")]

    assert report() == {"refused": 1}
    assert Activity.objects.get().reason == "differing_field"


def test_bad_row_refuses_its_whole_total(ledger: Days) -> None:
    """The other rows of the same total would be another number."""
    ledger[DAY] = [row(GGR=5), row(GGR=0.5), row(GGR=7), row("c-2", GGR=1)]

    assert report() == {"new": 1, "refused": 1}

    assert Activity.objects.get(status=Status.DEAD).eventid == "DailyStats-2025-07-21-c-1-USD"


def test_details_that_differ_refuse_their_total(ledger: Days) -> None:
    """Nobody knows which one is right."""
    ledger[DAY] = [row(GGR=1, level="gold"), row(GGR=1, level="silver")]

    assert report() == {"refused": 1}


def test_total_that_becomes_bad_stays_as_it_was_reported(
    ledger: Days, track360_outbox: Outbox, settings: HostSettings
) -> None:
    """What was sent is flagged, never zeroed."""
    configure(settings, CORRECTIONS="resend")
    ledger[DAY] = [row(GGR=Decimal(1))]
    report()
    deliver(track360_outbox)

    ledger[DAY] = [row(GGR=0.5)]

    assert report() == {"refused": 1}
    assert kpis() == {"GGR": "1.00"}
    assert Activity.objects.get().changed_at is not None
    assert report() == {"refused": 1}


def test_total_may_be_in_a_row_that_cannot_be_read(ledger: Days, settings: HostSettings) -> None:
    """While nobody knows whose a row is, no total is taken for gone."""
    configure(settings, CORRECTIONS="resend")
    ledger[DAY] = [row("c-1", GGR=1), row("c-2", GGR=2)]
    report()

    ledger[DAY] = [row("c-1", GGR=3), row(None, GGR=2)]

    assert report() == {"changed": 1, "kept": 1, "refused": 1}
    assert [body.get("GGR") for body in bodies()] == [None, "3", "2"]
    ledger[DAY].pop()
    assert report() == {"unchanged": 1, "mended": 1, "changed": 1}


def test_two_totals_with_one_id_are_not_taken_for_each_other(ledger: Days, settings: HostSettings) -> None:
    """An id is made of parts that may hold the character between them."""
    configure(settings, PRODUCT_FIELD="gameType")
    ledger[DAY] = [row("c", product="1-Casino", GGR=1), row("c-1", product="Casino", GGR=2)]

    assert report() == {"new": 1, "refused": 1}
    assert report() == {"unchanged": 1, "refused": 1}

    assert Activity.objects.get(status=Status.DEAD).reason == "eventid_taken"


def test_user_without_an_id_keeps_back_nobody_else(ledger: Days, settings: HostSettings) -> None:
    """`CUSTOMER_ID` leads to nothing for one user."""
    configure(settings, CUSTOMER_ID="email")
    alex = User.objects.create(username="alex", email="alex@example.com")
    ledger[DAY] = [row(User.objects.create(username="sam"), GGR=1), row(alex, GGR=2)]

    assert report() == {"new": 1, "refused": 1}


def test_rows_that_raise_midway_write_nothing(ledger: Days, settings: HostSettings) -> None:
    """Half of the rows may be half of a total, and those that did not come are not gone."""
    configure(settings, CORRECTIONS="resend")
    ledger[DAY] = [row("c-1", GGR=1), row("c-2", GGR=2)]
    report()

    def broken() -> Iterator[Mapping[str, Any]]:
        yield row("c-1", GGR=7)
        yield row("c-3", GGR=0.5)
        message = "the replica is gone"
        raise ConnectionError(message)

    ledger[DAY] = broken

    with pytest.raises(ConnectionError):
        report()

    assert [body["GGR"] for body in bodies()] == ["1", "2"]


def test_rows_that_return_nothing_are_a_mistake(ledger: Days) -> None:
    """A forgotten `yield` is no empty day, which would restate all of it."""
    ledger[DAY] = [row(GGR=1)]
    report()
    ledger[DAY] = lambda: None

    with pytest.raises(TypeError, match=r"rows\(\) returned None"):
        report()

    assert kpis() == {"GGR": "1"}


def test_declaration_without_rows_is_a_mistake() -> None:
    """A class that only has a name compiles no day."""
    with pytest.raises(NotImplementedError):
        daily.report_day(type("Day", (activities.DailyActivity,), {"eventname": "D"})(), DAY)


@pytest.mark.parametrize("eventname", ["", "x" * 101])
def test_name_that_no_record_keeps_is_told(
    ledger: Days, eventname: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an event name nothing is compiled, and the message says so."""
    monkeypatch.setattr(PlayerDay, "eventname", eventname)

    with pytest.raises(ImproperlyConfigured, match="needs an eventname"):
        report()


# Several brands.


@pytest.fixture
def brands(settings: HostSettings) -> None:
    """Configure two brands."""
    configure(settings, BRANDS={"alpha": {}, "beta": {"TIME_ZONE": "America/New_York"}})


def test_brand_follows_the_customer(ledger: Days, brands: None) -> None:
    """A total goes to the brand its customer is one of, whether a user, a row or an id says who; others' to the first."""
    alex, sam, kim = (User.objects.create(username=name) for name in ("alex", "sam", "kim"))
    known = Customer.objects.create(brand="beta", customer_id=str(alex.pk), user_pk=str(alex.pk), lane=0)
    other = Customer.objects.create(brand="beta", customer_id="x", lane=0)
    Customer.objects.create(brand="alpha", customer_id=str(kim.pk), user_pk=str(kim.pk), lane=0)
    ledger[DAY] = [row(alex, GGR=1), row(sam, GGR=2), row(other, GGR=3), row("x", GGR=4), row(kim, GGR=5)]
    ledger[DAY] += [row(known, GGR=6)]

    assert report() == {"new": 4}

    assert sorted(Activity.objects.values_list("brand", "customer__customer_id")) == sorted(
        [("beta", str(alex.pk)), ("alpha", str(sam.pk)), ("beta", "x"), ("alpha", str(kim.pk))]
    )
    assert report() == {"unchanged": 4}


def test_brands_with_different_days_must_be_named(brands: None) -> None:
    """A day begins at another moment for each of them."""
    with pytest.raises(ImproperlyConfigured, match="Name the brand, as in"):
        PlayerDay().bounds(DAY)

    assert PlayerDay().bounds(DAY, "beta")[0] == datetime(2025, 7, 21, 4, tzinfo=UTC)


# When a day is.


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("UTC", date(2025, 7, 21), "2025-07-21T00:00", 24),
        ("Europe/Berlin", date(2025, 3, 30), "2025-03-29T23:00", 23),
        ("Europe/Berlin", date(2025, 3, 31), "2025-03-30T22:00", 24),
        ("Europe/Berlin", date(2025, 10, 26), "2025-10-25T22:00", 25),
        ("America/New_York", date(2025, 3, 9), "2025-03-09T05:00", 23),
        ("America/New_York", date(2025, 11, 2), "2025-11-02T04:00", 25),
        ("Asia/Kathmandu", date(2025, 7, 21), "2025-07-20T18:15", 24),
        ("Pacific/Kiritimati", date(2025, 7, 21), "2025-07-20T10:00", 24),
        ("Australia/Lord_Howe", date(2025, 4, 6), "2025-04-05T13:00", 24.5),
        # Midnight itself is skipped, or comes twice.
        ("Africa/Cairo", date(2025, 4, 25), "2025-04-24T22:00", 23),
        ("America/Havana", date(2025, 11, 2), "2025-11-02T04:00", 25),
        # A day that was not.
        ("Pacific/Apia", date(2011, 12, 29), "2011-12-29T10:00", 24),
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00", 0),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00", 24),
    ],
)
def test_bounds_of_a_day(zone: str, day: date, start: str, hours: float, settings: HostSettings) -> None:
    """A day begins at midnight of the agreed zone, and is as long as it is there."""
    configure(settings, TIME_ZONE=zone)

    begins, ends = PlayerDay().bounds(day)

    assert begins == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert ends - begins == timedelta(hours=hours)
    assert PlayerDay().bounds(day + timedelta(days=1))[0] == ends


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Havana", "Asia/Kathmandu", "Pacific/Kiritimati"])
def test_each_moment_of_a_year_is_of_one_day(zone: str, settings: HostSettings) -> None:
    """What a day's bounds hold is what has the day's date in the agreed zone."""
    configure(settings, TIME_ZONE=zone)
    declaration = PlayerDay()
    moment = datetime(2024, 12, 31, 12, tzinfo=UTC)

    while moment < datetime(2026, 1, 1, tzinfo=UTC):
        moment += timedelta(minutes=59)
        start, end = declaration.bounds(moment.astimezone(ZoneInfo(zone)).date())
        assert start <= moment < end


@pytest.mark.parametrize(
    ("zone", "now", "last"),
    [
        ("UTC", "2025-07-22T00:14", date(2025, 7, 20)),
        ("UTC", "2025-07-22T00:15", date(2025, 7, 21)),
        ("America/New_York", "2025-07-22T04:14", date(2025, 7, 20)),
        ("America/New_York", "2025-07-22T04:15", date(2025, 7, 21)),
        ("Pacific/Kiritimati", "2025-07-21T10:15", date(2025, 7, 21)),
        # The night that the clocks change is an hour longer.
        ("Europe/Berlin", "2025-10-26T23:14", date(2025, 10, 25)),
        ("Europe/Berlin", "2025-10-26T23:15", date(2025, 10, 26)),
    ],
)
def test_window_waits_for_the_day_to_be_over(zone: str, now: str, last: date, settings: HostSettings) -> None:
    """The newest day of the window is over in the agreed zone, and its transactions had time to commit."""
    configure(settings, TIME_ZONE=zone)

    window = list(PlayerDay().window(datetime.fromisoformat(now).replace(tzinfo=UTC)))

    assert window == [last - timedelta(days=days) for days in (6, 5, 4, 3, 2, 1, 0)]


def test_window_waits_for_the_last_brand(brands: None) -> None:
    """A day is over when it is over for every brand."""
    assert max(PlayerDay().window(datetime(2025, 7, 22, 4, 14, tzinfo=UTC))) == date(2025, 7, 20)
    assert max(PlayerDay().window(datetime(2025, 7, 22, 4, 15, tzinfo=UTC))) == date(2025, 7, 21)


def test_window_begins_with_the_first_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was reported in another way before the installation is not reported again."""
    monkeypatch.setattr(PlayerDay, "first_day", date(2025, 7, 19))

    window = list(PlayerDay().window(datetime(2025, 7, 22, 12, tzinfo=UTC)))

    assert window == [date(2025, 7, 19), date(2025, 7, 20), date(2025, 7, 21)]


# The beat.


def yesterday() -> date:
    """Return the last day of the window now."""
    return max(PlayerDay().window(clock.read("default")))


def test_task_compiles_the_window_and_no_other_day(ledger: Days, settings: HostSettings) -> None:
    """A settlement that comes late is restated for as long as its day is in the window; today is not touched."""
    configure(settings, CORRECTIONS="resend")
    last = yesterday()
    days = [last + timedelta(days=1), last, last - timedelta(days=6), last - timedelta(days=7)]
    ledger.update({day: [row(GGR=1)] for day in days})
    activities.report("DailyStats", customer="c-9", createtime=days[3], currency="USD", GGR=9)

    tasks.daily()

    reported = {body["createtime"] for body in bodies() if body["customerid"] == "c-1"}
    assert reported == {days[1].isoformat(), days[2].isoformat()}
    ledger.update({day: [row(GGR=2)] for day in days})
    tasks.daily()
    assert {body["GGR"] for body in bodies() if body["customerid"] == "c-1"} == {"2"}


def test_settlement_behind_the_window_is_restated_by_a_person_alone(ledger: Days) -> None:
    """What is older than the window is left as it was reported."""
    old = yesterday() - timedelta(days=7)
    ledger[old] = [row(GGR=1)]
    report(old)
    ledger[old] = [row(GGR=2)]

    tasks.daily()

    assert kpis() == {"GGR": "1"}
    assert report(old) == {"changed": 1}


def test_day_that_fails_stops_no_other(ledger: Days, caplog: pytest.LogCaptureFixture) -> None:
    """The other days and declarations are compiled; the error is logged and raised at the end."""

    class Broken(activities.DailyActivity):
        eventname = "Broken"

        def rows(self, day: date) -> Iterable[Mapping[str, Any]]:
            message = f"no ledger of {day}"
            raise LookupError(message)

    last = yesterday()
    ledger[last] = [row(GGR=1)]
    ledger[last - timedelta(days=1)] = lambda: 1 / 0
    activities.unregister_daily(PlayerDay)
    activities.register_daily(Broken)
    activities.register_daily(PlayerDay)

    try:
        with pytest.raises(ExceptionGroup) as caught:
            tasks.daily()
    finally:
        activities.unregister_daily(Broken)

    kinds = [type(error) for error in caught.value.exceptions]
    assert kinds == [LookupError] * 7 + [ZeroDivisionError]
    assert kpis() == {"GGR": "1"}
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 8


def test_task_rests_while_the_package_is_off(ledger: Days, settings: HostSettings) -> None:
    """With ENABLED off nothing is compiled by itself."""
    configure(settings, ENABLED=False)
    ledger[yesterday()] = [row(GGR=1)]

    tasks.daily()

    assert not Activity.objects.exists()


def test_kpi_that_is_reported_per_event_too_is_told(ledger: Days, caplog: pytest.LogCaptureFixture) -> None:
    """A deposit that is an event and part of a day's total counts twice: once a run, the log says so."""
    last = yesterday()
    ledger[last] = ledger[last - timedelta(days=1)] = [row(GGR=1, Deposit=Decimal(5), Chargeback=1)]

    tasks.daily()

    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [
        f"track360: {name} is reported per event and in the day's total DailyStats, so it may count twice."
        for name in ("Chargeback", "Deposit")
    ]


# Two runs at once, and runs that die.


def test_older_run_takes_nothing_back(ledger: Days, settings: HostSettings) -> None:
    """A run that read the ledger before another one, and ends after it, leaves alone what that one wrote."""
    configure(settings, CORRECTIONS="resend")
    ledger[DAY] = [row("c-1", GGR=1), row("c-2", GGR=1)]
    report()
    Activity.objects.update(queued_at=clock.Now() - timedelta(hours=1))

    def slow() -> Iterator[Mapping[str, Any]]:
        yield from (row("c-1", GGR=1), row("c-2", GGR=1))
        ledger[DAY] = [row("c-1", GGR=2), row("c-2", GGR=1), row("c-3", GGR=3)]
        Activity.objects.filter(customer__customer_id="c-1").update(status=Status.DELIVERED, attempts=1)
        assert report() == {"changed": 1, "unchanged": 1, "new": 1}
        Activity.objects.exclude(customer__customer_id="c-2").update(
            queued_at=clock.Now() + timedelta(seconds=1)
        )

    ledger[DAY] = slow

    assert report() == {"busy": 2, "unchanged": 1}
    assert [body["GGR"] for body in bodies()] == ["2", "1", "3"]


def test_correction_that_came_too_late_is_busy(ledger: Days, track360_outbox: Outbox) -> None:
    """A run that read a record before another one corrected it does not count it as its own change."""
    ledger[DAY] = [row(GGR=Decimal(50))]
    report()
    stored = Activity.objects.get()
    late = Activity.objects.get()
    late.body = late.body.replace("50.00", "60.00")
    ledger[DAY] = [row(GGR=Decimal(70))]
    report()
    deliver(track360_outbox)

    assert Writer("default").correct(stored, late) == "busy"

    assert kpis() == {"GGR": "70.00"}
    assert report() == {"unchanged": 1}
    assert Activity.objects.get().changed_at is None


def test_day_costs_a_handful_of_queries(ledger: Days, settings: HostSettings) -> None:
    """2500 totals that did not change are read in pages, and nothing is asked for each."""
    configure(settings, PRODUCT_FIELD="gameType")
    ledger[DAY] = [row(f"c-{n % 50}", product=f"game {n // 50}", GGR=n + 1) for n in range(2500)]
    for n in range(50):
        customers.report(f"c-{n}")

    with CaptureQueriesContext(connection) as first:
        assert report() == {"new": 2500}
    with CaptureQueriesContext(connection) as second:
        assert report() == {"unchanged": 2500}

    pages = 2500 // CHUNK + 1
    inserts = [query for query in first.captured_queries if query["sql"].startswith("INSERT")]
    assert len(second) <= 2 + 3 * pages
    assert len(first) - len(inserts) <= 4 + 4 * pages


@pytest.mark.django_db(transaction=True)
def test_run_that_was_killed_is_completed_by_the_next(spawn_host: SpawnHost) -> None:
    """A process that dies between two thousand records leaves the first ones, and the next run adds the others."""
    killed = spawn_host("-m", "tests.processes", "die_while_compiling")

    assert killed.wait(60) == -9

    assert Activity.objects.count() == CHUNK
    finishing = spawn_host("-m", "tests.processes", "compile_day", name="finishing")
    assert finishing.wait(60) == 0
    told = f"2025-07-21 DailyStats: {1100 - CHUNK} new, 0 changed, {CHUNK} unchanged, 0 zero, 0 refused"
    assert told in finishing.log_tail().splitlines()
    assert {body["GGR"] for body in bodies()} == {str(number + 1) for number in range(1100)}


# The command.


def command(*words: str) -> list[str]:
    """Run `track360 daily`; return the lines it printed."""
    out = StringIO()
    call_command("track360", "daily", *words, stdout=out, stderr=StringIO())
    return out.getvalue().splitlines()


def fail(*words: str) -> tuple[list[str], CommandError]:
    """Run `track360 daily`, which is to fail; return the lines it printed and the error."""
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("track360", "daily", *words, stdout=out, stderr=StringIO())
    return out.getvalue().splitlines(), caught.value


def test_command_prints_a_line_for_each_day(ledger: Days) -> None:
    """All days from one to another, one line each."""
    ledger[DAY] = [row(GGR=1), row("c-2", GGR=2), row("c-3", GGR=0)]
    ledger[DAY + timedelta(days=2)] = [row(GGR=1)]

    assert command("--from", "2025-07-21", "--to", "2025-07-23") == [
        "2025-07-21 DailyStats: 2 new, 0 changed, 0 unchanged, 1 zero, 0 refused",
        "2025-07-22 DailyStats: 0 new, 0 changed, 0 unchanged, 0 zero, 0 refused",
        "2025-07-23 DailyStats: 1 new, 0 changed, 0 unchanged, 0 zero, 0 refused",
    ]
    ledger[DAY] = [row(GGR=2), row("c-2", GGR=2)]
    assert command("--date", "2025-07-21") == [
        "2025-07-21 DailyStats: 0 new, 1 changed, 1 unchanged, 0 zero, 0 refused"
    ]


def test_command_without_a_date_compiles_the_window(ledger: Days) -> None:
    """For a host without Celery it does what the beat does."""
    ledger[yesterday()] = [row(GGR=1)]

    lines = command()

    assert len(lines) == 7
    assert lines[-1] == f"{yesterday()} DailyStats: 1 new, 0 changed, 0 unchanged, 0 zero, 0 refused"


def test_command_tells_what_it_refuses(ledger: Days) -> None:
    """What can't be reported is named with its reason and the way out; the exit code is 1."""
    ledger[DAY] = [row("c-1", GGR=1), row("c-2", GGR=0.5)]

    lines, error = fail("--date", "2025-07-21")

    assert lines == ["2025-07-21 DailyStats: 1 new, 0 changed, 0 unchanged, 0 zero, 1 refused"]
    assert error.returncode == 1
    assert "2025-07-21 DailyStats-2025-07-21-c-2-USD: GGR takes a Decimal or an int" in str(error)
    assert "0.5" not in str(error)


def test_command_tells_of_many_refusals_in_short(ledger: Days) -> None:
    """A hundred bad rows don't fill the screen."""
    ledger[DAY] = [row(f"c-{number}", GGR=0.5) for number in range(100)]

    _, error = fail("--date", "2025-07-21")

    assert len(str(error).splitlines()) == 12
    assert "and 90 more" in str(error)


def test_command_goes_on_behind_a_day_that_fails(ledger: Days) -> None:
    """The error says which day, the others are compiled, and the next run does it again."""
    ledger[DAY] = lambda: 1 / 0
    ledger[DAY + timedelta(days=1)] = [row(GGR=1)]

    lines, error = fail("--from", "2025-07-21", "--to", "2025-07-22")

    assert lines == ["2025-07-22 DailyStats: 1 new, 0 changed, 0 unchanged, 0 zero, 0 refused"]
    assert error.returncode == 1
    assert "2025-07-21 DailyStats: ZeroDivisionError: division by zero" in str(error)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--date", "2025-07-21", "--to", "2025-07-22"), "not both"),
        (("--from", "2025-07-21"), "must be given together"),
        (("--to", "2025-07-21"), "must be given together"),
        (("--from", "2025-07-22", "--to", "2025-07-21"), "is after"),
        (("--date", "9999-12-31"), "is not over"),
        (("--from", "2025-07-21", "--to", "9999-12-31"), "is not over"),
        (("--date", "21.7.2025"), "write it as 2025-07-21"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_call_is_told_and_compiles_nothing(ledger: Days, words: tuple[str, ...], told: str) -> None:
    """A call that can't be meant, or is of a day that is not over, touches no day."""
    ledger[DAY] = [row(GGR=1)]

    lines, error = fail(*words)

    assert lines == []
    assert told in str(error)
    assert not Activity.objects.exists()


def test_today_is_refused_in_the_agreed_zone(ledger: Days, settings: HostSettings) -> None:
    """Half a day would be reported as a whole one, wherever the day is."""
    for zone in ("Pacific/Kiritimati", "UTC", "Pacific/Pago_Pago"):
        configure(settings, TIME_ZONE=zone)
        today = clock.read("default").astimezone(ZoneInfo(zone)).date()

        _, error = fail("--date", str(today))

        assert error.returncode == 2
        assert f"The last day that can be compiled is {today - timedelta(days=1)}." in str(error)
        assert command("--date", str(today - timedelta(days=1)))


def test_command_without_a_declaration_says_how_to_write_one() -> None:
    """There is nothing to compile."""
    _, error = fail()

    assert error.returncode == 1
    assert "activities.DailyActivity" in str(error)


@pytest.mark.parametrize("corrections", ["flag", "resend"])
def test_dry_run_shows_what_would_be_sent(
    ledger: Days,
    track360_outbox: Outbox,
    settings: HostSettings,
    corrections: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It prints the JSON objects, one a line, and leaves everything as it is."""
    configure(settings, CORRECTIONS=corrections)
    ledger[DAY] = [row("c-1", GGR=1), row("c-2", GGR=2), row("c-3", GGR=3), row("c-4", GGR=0.5)]
    report()
    deliver(track360_outbox)
    ledger[DAY] = [
        row("c-1", GGR=1),
        row("c-2", GGR=20),
        row("c-3", GGR=0.5),
        row("c-4", GGR=4),
        row("c-5", GGR=5),
    ]
    ledger[DAY] += [row("c-6", GGR=0.5), row("c-7", GGR=0)]
    before = list(Activity.objects.order_by("pk").values()), Customer.objects.count()

    caplog.clear()
    lines, error = fail("--date", "2025-07-21", "--dry-run")

    # What did not happen is not told of.
    assert not caplog.records
    assert (list(Activity.objects.order_by("pk").values()), Customer.objects.count()) == before
    assert error.returncode == 1
    shown = [json.loads(line) for line in lines]
    expected = {"c-2": "20"} if corrections == "resend" else {}
    assert {body["customerid"]: body["GGR"] for body in shown} == expected | {"c-4": "4", "c-5": "5"}
    fail("--date", "2025-07-21")
    due = track360_outbox.activities.exclude(status=Status.DELIVERED).exclude(customer=None)
    assert sorted(due.values_list("body", flat=True)) == sorted(lines)


def test_command_warns_of_a_kpi_that_counts_twice(ledger: Days) -> None:
    """The example declares deposits per event."""
    ledger[DAY] = [row(Deposit=Decimal(5))]
    err = StringIO()

    call_command("track360", "daily", "--date", "2025-07-21", stdout=StringIO(), stderr=err)

    assert err.getvalue() == "DailyStats: Deposit is also reported per event and may count twice.\n"


# For the reconciliation.


def test_compiled_day_is_yielded_and_not_written(ledger: Days) -> None:
    """What the ledger says can be read without a trace; what can't be reported is left out."""
    ledger[DAY] = [
        row(GGR=Decimal(1), Bets=2),
        row(GGR=Decimal("0.5")),
        row("c-2", GGR=0.5),
        row("c-3", GGR=0),
    ]

    totals = list(daily.compile_day(PlayerDay(), DAY))

    assert [(each.brand, each.customer_id, each.product, each.currency, each.kpis) for each in totals] == [
        ("default", "c-1", "", "USD", {"GGR": Decimal("1.5"), "Bets": 2}),
        ("default", "c-3", "", "USD", {"GGR": 0}),
    ]
    assert not Activity.objects.exists()
    assert not Customer.objects.exists()
