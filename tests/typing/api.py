"""The public API as a stranger uses it. It is never run: mypy reads it, and each expectation is an `assert_type`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, assert_type

from django.contrib.auth.models import User
from django.db.models import Model, Q
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from example_project.cashier.models import Deposit
from track360_django import __version__, activities, customers, presets, products, signals
from track360_django.exceptions import PayloadError, Track360Error
from track360_django.models import Activity, Customer
from track360_django.testing import Outbox

assert_type(__version__, str)


# Customers.


def sign_up(request: HttpRequest, user: User) -> HttpResponse:
    """Report a signup in each form."""
    assert_type(customers.report(user), Customer)
    assert_type(customers.report(user, request=request), Customer)
    assert_type(customers.report("id-of-another-system", tracking={"tracking_data": "x"}), Customer)
    customers.report(user, source="wizard", salesStatus="VIP", kycStatus=None, isVip=True, score=Decimal(5))
    customers.report(user, born=date(2000, 1, 1), lastSeen=datetime.now(UTC))
    assert_type(customers.update(user, salesStatus="VIP"), Customer)
    customers.update("id-of-another-system", request=request, country="MT")
    signals.customer_signed_up.send(sender=User, user=user, request=request)
    return HttpResponse()


def mistakes_with_customers(user: User) -> None:
    """What the types refuse; an ignore that is not needed fails the check."""
    customers.report(user, score=1.5)  # type: ignore[arg-type]
    customers.report(user, tracking={"tracking_data": 5})  # type: ignore[dict-item]
    customers.report()  # type: ignore[call-arg]
    customers.report(user, "source")  # type: ignore[call-arg]


# Activities.


def pay(user: User, customer: Customer) -> None:
    """Report activities in each form."""
    deposit = activities.report(
        "Deposit",
        customer=user,
        value=Decimal("250.00"),
        currency="USD",
        createtime=datetime.now(UTC),
        eventid="TX-1",
        depositType="card",
    )
    assert_type(deposit, Activity)
    activities.report(
        "GGR", customer=customer, value=Decimal(50), currency="USD", createtime=date(2025, 7, 21)
    )
    activities.report("Bet", customer="7", value=5, eventid="1", product="Casino")
    activities.report("DailyStats", customer="7", createtime="2025-07-21", GGR=Decimal(50), Games=15)
    rows: list[Mapping[str, Any]] = [{"eventname": "Bet", "customer": user, "eventid": "2"}]
    assert_type(activities.report_many(rows), int)
    assert_type(activities.report_many(row for row in rows), int)
    assert_type(activities.declarations(), tuple[activities.ModelActivity, ...])


def mistakes_with_activities(user: User) -> None:
    """What the types refuse."""
    activities.report("Deposit", customer=user, value=12.5)  # type: ignore[arg-type]
    activities.report("Deposit", customer=user, createtime=1_753_000_000)  # type: ignore[arg-type]
    activities.report("Deposit", customer=user, currency=840)  # type: ignore[arg-type]
    activities.report("Deposit", user)  # type: ignore[call-arg]
    activities.report("Deposit", customer=user, GGR=1.5)  # type: ignore[arg-type]


@activities.register(Deposit)
class DepositActivity(activities.ModelActivity):
    """A declaration by paths, functions and methods."""

    eventname = "Deposit"
    when = Q(status="completed")
    customer = "account__user"
    value, currency, createtime = "amount", "currency", "completed_at"
    eventid = "reference"
    product = None
    fields = {"depositType": "method", "provider": lambda _row: "bank"}

    def get_currency(self, row: Deposit) -> str:
        """Return the currency of a row."""
        return row.account.currency


@activities.register(Deposit)
class Minimal(activities.ModelActivity):
    """A declaration that leaves everything to the defaults."""

    eventname = "Bet"


assert_type(DepositActivity(Deposit), DepositActivity)
assert_type(DepositActivity(Deposit).report(Deposit()), Activity | None)
assert_type(DepositActivity(Deposit).model, type[Model])
activities.unregister(Deposit, Minimal)


# Settings.


def of_my_own(record: products.Record, product: str) -> products.Record:
    """Shape a record as it was agreed."""
    return products.prefix(record, product, separator=" ")


shapes: list[products.Shape] = [
    products.suffix,
    products.field("gameType"),
    partial(products.prefix, separator="_"),
    of_my_own,
]
names = products.names_of(products.suffix, "Casino", eventname="GGR", kpis=presets.IGAMING.KPIS)
assert_type(names.kpis, Mapping[str, str])
assert_type(presets.FOREX.EVENTS, tuple[str, ...])


# Signals and errors.


@receiver(signals.record_dead)
def tell_somebody(
    sender: type[Model], *, brand: str, record: str, pk: int | None, reason: str, **_: Any
) -> None:
    """Listen to what needs a person."""


def recover(user: User) -> str:
    """Use what an error says."""
    try:
        customers.report(user)
    except PayloadError as error:
        assert_type(error.field, str)
        return error.reason
    except Track360Error as error:
        return str(error)
    return ""


# Tests of a host.


def test_deposit(track360_outbox: Outbox) -> None:
    """Use the fixture of the pytest plugin."""
    assert_type(track360_outbox.bodies("Deposit"), list[dict[str, Any]])
    assert_type(track360_outbox.deliver().delivered, int)
    assert track360_outbox.customers.count() == 1
    assert track360_outbox.activities.filter(eventname="Deposit").exists()
