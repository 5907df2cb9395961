"""Currencies, products and agreed names on their way from the host's rows to the records."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone
from pytest_django import Settings as HostSettings

from example_project.cashier.models import Account, Deposit
from tests.configuration import configure
from track360_django import activities, delivery, products
from track360_django.activities.draft import MAX_WARNED, _warn_of_name
from track360_django.api.payloads import Record
from track360_django.exceptions import PayloadError
from track360_django.models import Activity
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

DAY = date(2025, 7, 21)


class Grouped(activities.ModelActivity):
    """A deposit of a product, which is its method."""

    eventname = "Deposit"
    when = Q(status="completed")
    customer = "account__user"
    value, currency, createtime = "amount", "currency", "completed_at"
    eventid = "reference"
    product = "method"
    on_reverse = "Chargeback"


@pytest.fixture
def account() -> Account:
    """Return somebody's account."""
    return Account.objects.create(user=User.objects.create(username="alex"))


@pytest.fixture
def grouped() -> Iterator[None]:
    """Declare deposits of a product, instead of what the example declares."""
    before = [each for each in activities.declarations() if each.model is Deposit]
    for each in before:
        activities.unregister(Deposit, type(each))
    activities.register(Deposit)(Grouped)
    yield
    activities.unregister(Deposit, Grouped)
    for each in before:
        activities.register(Deposit)(type(each))


def deposit(account: Account, **fields: Any) -> Deposit:
    """Save a deposit that is completed."""
    values = {
        "amount": Decimal("1.50"),
        "currency": "USD",
        "status": Deposit.Status.COMPLETED,
        "completed_at": timezone.now(),
        "method": "Casino",
        **fields,
    }
    return Deposit.objects.create(account=account, **values)


def report(eventname: str = "GGR", **words: Any) -> Activity:
    """Report a day's total of somebody."""
    usual = {"customer": "C-1", "value": Decimal(50), "currency": "USD", "createtime": DAY}
    return activities.report(eventname, **{**usual, **words})


def body_of(activity: Activity) -> dict[str, Any]:
    """Return what is sent of an activity."""
    body: dict[str, Any] = json.loads(activity.body)
    return body


# Currencies.


@pytest.mark.usefixtures("grouped")
def test_row_in_an_unknown_currency_is_mended_by_the_setting(
    account: Account, settings: HostSettings, track360_sandbox: SandboxServer
) -> None:
    """A currency that was not agreed costs no sale: the record is dead, says what to do, and goes out once it is done."""
    configure(settings, PRODUCT_FIELD="gameType")
    made = deposit(account, currency="XBT")
    dead = Activity.objects.get()
    assert (dead.status, dead.reason) == ("dead", "unknown_currency")
    assert "TRACK360['CURRENCIES']" in dead.error

    before = activities.requeue(Activity.objects.all())
    configure(settings, PRODUCT_FIELD="gameType", CURRENCIES={"XBT": 8})
    after = activities.requeue(Activity.objects.all())
    delivery.drain()

    assert (before.count, before.refused, after.count, after.refused) == (0, 1, 1, 0)
    (accepted,) = track360_sandbox.store.activities()
    assert (accepted["eventid"], accepted["Value"], accepted["Currency"]) == (
        made.reference,
        "1.50000000",
        "XBT",
    )


def test_unknown_currency_is_refused_by_the_function() -> None:
    """A call raises, and nothing is written."""
    with pytest.raises(PayloadError) as refused:
        report(currency="XBT")

    assert refused.value.reason == "unknown_currency"
    assert not Activity.objects.exists()


def test_currency_that_was_agreed_names_the_total(settings: HostSettings) -> None:
    """Two spellings of an agreed currency are one total too."""
    configure(settings, CURRENCIES={"USDT": 6})

    first, second = report(currency="usdt"), report(currency="USDT")

    assert first.pk == second.pk
    assert first.eventid == "GGR-2025-07-21-C-1-USDT"
    assert body_of(first)["Value"] == "50.000000"


def test_currency_of_one_brand_is_unknown_in_another(settings: HostSettings) -> None:
    """What was agreed for a brand was agreed for that brand."""
    brands = {"alpha": {"CURRENCIES": {"USDT": 6}}, "beta": {}}
    configure(settings, BRANDS=brands)
    assert body_of(report(currency="USDT"))["Currency"] == "USDT"

    configure(settings, BRANDS=brands, BRAND_RESOLVER=lambda _request: "beta")

    with pytest.raises(PayloadError):
        report(currency="USDT", customer="C-2")


# Products.


class Line(str, Enum):  # noqa: UP042  a StrEnum would have no point here
    """Product lines whose `str()` is their name, not their value."""

    CASINO = "Casino"


@pytest.mark.parametrize(
    ("agreed", "body"),
    [
        ("gameType", {"eventname": "GGR", "Value": "50.00", "gameType": "Casino"}),
        (products.suffix, {"eventname": "GGRCasino", "Value": "50.00"}),
        ("track360_django.products.prefix", {"eventname": "CasinoGGR", "Value": "50.00"}),
        (
            partial(products.suffix, separator="_"),
            {"eventname": "GGR_Casino", "Value": "50.00"},
        ),
    ],
    ids=["field", "function", "path", "partial"],
)
def test_product_is_told_as_it_was_agreed(
    settings: HostSettings, agreed: object, body: dict[str, str]
) -> None:
    """The body tells the product; the record's name and id are the same under every shape."""
    configure(settings, PRODUCT_FIELD=agreed)

    made = report(product="Casino")

    assert (made.eventname, made.eventid) == ("GGR", "GGR-2025-07-21-C-1-Casino-USD")
    sent = {"eventid": made.eventid, "createtime": "2025-07-21", "customerid": "C-1", "Currency": "USD"}
    assert body_of(made) == {**body, **sent}


def test_two_spellings_of_a_product_are_one_total(settings: HostSettings) -> None:
    """A member of an enumeration is the text that is sent, in the id as well."""
    configure(settings, PRODUCT_FIELD=products.suffix)

    assert report(product=Line.CASINO).pk == report(product="Casino").pk


def test_kpis_of_a_day_are_told_by_product(settings: HostSettings) -> None:
    """The KPI fields of a day's totals carry the product, each product in a record of its own."""
    configure(settings, PRODUCT_FIELD=products.suffix)

    made = [
        report("DailyStats", value=None, product=line, GGR=Decimal(50), Games=15, note="15" if line else None)
        for line in ("Casino", "Sports", None)
    ]

    assert {each.eventname for each in made} == {"DailyStats"}
    assert len({each.eventid for each in made}) == 3
    numbers = [{name for name in body_of(each) if name.startswith(("GGR", "Games"))} for each in made]
    assert numbers == [{"GGRCasino", "GamesCasino"}, {"GGRSports", "GamesSports"}, {"GGR", "Games"}]
    assert body_of(made[0])["note"] == "15"


def test_many_are_shaped_too(settings: HostSettings) -> None:
    """`report_many` tells products as `report` does."""
    configure(settings, PRODUCT_FIELD=products.prefix)
    row = {"customer": "C-1", "value": 5, "currency": "USD", "createtime": DAY, "eventname": "Bet"}

    activities.report_many({**row, "product": line} for line in ("Casino", "Poker"))

    assert {body_of(each)["eventname"] for each in Activity.objects.all()} == {"CasinoBet", "PokerBet"}


def test_shape_comes_before_the_hosts_last_word(settings: HostSettings) -> None:
    """`BEFORE_SEND` sees the record with its product."""
    seen: list[Record] = []

    def look(record: Record) -> Record:
        seen.append(record)
        return record

    configure(settings, PRODUCT_FIELD=products.suffix, BEFORE_SEND=look)

    report(product="Casino")

    assert [record.get("eventname") for record in seen if "eventname" in record] == ["GGRCasino"]


@pytest.mark.parametrize(
    "product",
    [True, 1.5, ["Casino"], object(), "x" * 101, "nul\x00", Decimal(1)],
    ids=["bool", "float", "list", "object", "too-long", "nul", "decimal"],
)
def test_product_that_is_no_text_is_refused(settings: HostSettings, product: Any) -> None:
    """A product is text, or a whole number: nothing that has several spellings."""
    configure(settings, PRODUCT_FIELD="gameType")

    with pytest.raises(PayloadError) as refused:
        report(product=product)

    assert (refused.value.field, refused.value.reason) == ("product", "invalid_field")


@pytest.mark.parametrize("product", [None, ""], ids=repr)
def test_no_product_is_no_product(settings: HostSettings, product: str | None) -> None:
    """A record without a product is as it would be without the setting."""
    configure(settings, PRODUCT_FIELD=products.suffix)

    assert body_of(report(product=product))["eventname"] == "GGR"


def _broken(_record: Record, _product: str) -> Record:
    raise ZeroDivisionError


@pytest.mark.usefixtures("grouped")
@pytest.mark.parametrize(
    "agreed", [_broken, "no.such.module", "sys.maxsize", lambda record, _product: {**record, "eventid": "1"}]
)
def test_row_that_a_shape_can_not_shape_is_mended(
    account: Account, settings: HostSettings, agreed: Callable[..., Any] | str
) -> None:
    """A shape that fails costs no sale: the record is dead, and goes out once the shape is right."""
    configure(settings, PRODUCT_FIELD=agreed)
    made = deposit(account)
    dead = Activity.objects.get()
    assert (dead.status, dead.reason, dead.eventname) == ("dead", "product_field", "Deposit")

    configure(settings, PRODUCT_FIELD=products.suffix)
    after = activities.requeue(Activity.objects.all())

    assert (after.count, after.refused) == (1, 0)
    mended = Activity.objects.get()
    assert (mended.eventname, mended.eventid) == ("Deposit", made.reference)
    assert body_of(mended)["eventname"] == "DepositCasino"


@pytest.mark.parametrize("agreed", [_broken, "no.such.module"])
def test_shape_that_fails_is_refused_by_the_function(settings: HostSettings, agreed: object) -> None:
    """A call raises, and nothing is written."""
    configure(settings, PRODUCT_FIELD=agreed)

    with pytest.raises(PayloadError) as refused:
        report(product="Casino")

    assert (refused.value.field, refused.value.reason) == ("product", "product_field")
    assert not Activity.objects.exists()


@pytest.mark.usefixtures("grouped")
@pytest.mark.parametrize(
    "agreed", ["gameType", products.suffix, products.prefix], ids=["field", "suffix", "prefix"]
)
def test_row_of_a_product_counts_once_and_is_reversed(
    account: Account, settings: HostSettings, track360_sandbox: SandboxServer, agreed: object
) -> None:
    """Saved again, a row is the same activity; taken back, it is found whatever its product made of its name."""
    configure(settings, PRODUCT_FIELD=agreed)
    made = deposit(account)
    made.save()
    delivery.drain()

    made.status = Deposit.Status.FAILED
    made.save()
    delivery.drain()

    accepted = [str(body["eventname"]) for body in track360_sandbox.store.activities()]
    assert len(accepted) == 2
    assert "Deposit" in accepted[0]
    assert "Chargeback" in accepted[1]
    assert [name == "Deposit" for name in accepted[:1]] == [agreed == "gameType"]


@pytest.mark.usefixtures("grouped")
@pytest.mark.parametrize("corrections", ["flag", "resend"])
@pytest.mark.parametrize(
    ("later", "method"),
    [(products.suffix, "Sports"), (products.prefix, "Casino"), ("gameType", "Casino"), (products.suffix, "")],
    ids=["other-product", "other-shape", "field", "no-product"],
)
def test_row_whose_name_would_change_is_never_counted_twice(  # noqa: PLR0913, PLR0917  fixtures
    account: Account,
    settings: HostSettings,
    track360_sandbox: SandboxServer,
    corrections: str,
    later: object,
    method: str,
) -> None:
    """A deposit that was sent as one of Casino is not sent again under another name: a person is told."""
    configure(settings, PRODUCT_FIELD=products.suffix, CORRECTIONS=corrections)
    made = deposit(account)
    delivery.drain()

    configure(settings, PRODUCT_FIELD=later, CORRECTIONS=corrections)
    made.method = method
    made.save()
    delivery.drain()

    assert [body["eventname"] for body in track360_sandbox.store.activities()] == ["DepositCasino"]
    assert Activity.objects.get().changed_at is not None


@pytest.mark.usefixtures("grouped")
def test_row_whose_product_changes_before_it_is_sent_says_the_latest(
    account: Account, settings: HostSettings, track360_sandbox: SandboxServer
) -> None:
    """Until its first attempt a record says what its row says now, in its name too."""
    configure(settings, PRODUCT_FIELD=products.suffix)
    made = deposit(account)

    made.method = "Sports"
    made.save()
    delivery.drain()

    assert [body["eventname"] for body in track360_sandbox.store.activities()] == ["DepositSports"]


@pytest.mark.usefixtures("grouped")
def test_dead_row_of_a_product_is_mended_by_the_next_save(account: Account, settings: HostSettings) -> None:
    """A row that was corrected leaves no dead record behind, whatever its product makes of its name."""
    configure(settings, PRODUCT_FIELD=products.suffix)
    made = deposit(account, currency="???")

    made.currency = "USD"
    made.save()

    assert body_of(Activity.objects.get())["eventname"] == "DepositCasino"


# Agreed names.


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings about names."""
    return [record.getMessage() for record in caplog.records if "EVENTS" in record.getMessage()]


def test_unknown_name_is_told_once(settings: HostSettings, caplog: pytest.LogCaptureFixture) -> None:
    """A name that was not agreed is one line in the log of a process, with the name that was meant."""
    configure(settings, EVENTS=("GGR", "Withdrawal", "told-once"))

    for number in range(3):
        report("Withdrawl", createtime=timezone.now(), eventid=str(number))
    report("GGR")
    report("NGR")

    misspelt, unknown = warnings_of(caplog)
    assert "'Withdrawl'" in misspelt
    assert "did you mean 'Withdrawal'?" in misspelt
    assert "'NGR'" in unknown
    assert Activity.objects.count() == 5


def test_name_is_compared_without_its_product(
    settings: HostSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """The agreed names are the KPIs; their products are no names of their own."""
    configure(settings, EVENTS=("GGR", "without-product"), PRODUCT_FIELD=products.suffix)

    assert body_of(report(product="Casino"))["eventname"] == "GGRCasino"
    assert warnings_of(caplog) == []


def test_names_that_were_told_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A host that makes names up without end fills no memory."""
    caplog.set_level(logging.ERROR)

    for number in range(MAX_WARNED + 10):
        _warn_of_name(f"made-up-{number}", ("bounded",))

    assert _warn_of_name.cache_info().currsize == MAX_WARNED
