"""Rows that change after they were written down: the latest body until the first attempt, then one body for ever."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from pytest_django import Settings as HostSettings

from example_project.cashier.models import Account, Deposit
from tests.configuration import configure
from track360_django import activities, customers, delivery
from track360_django.db.clock import Now
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Lane
from track360_django.outbox import dead_letters
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    """Return the account of somebody nobody has reported."""
    return Account.objects.create(user=User.objects.create(username="alex"))


def deposit(account: Account) -> Deposit:
    """Save a completed deposit of 250.00."""
    return Deposit.objects.create(account=account, amount=Decimal(250), currency="USD", status="completed")


def change(row: Deposit) -> None:
    """Save the deposit with another amount."""
    row.amount = Decimal(300)
    row.save()


def stored() -> tuple[str, bool]:
    """Return the amount that the one record reports, and whether it is flagged."""
    activity = Activity.objects.get()
    return json.loads(activity.body)["Value"], activity.changed_at is not None


def sent(sandbox: SandboxServer) -> list[str]:
    """Return the amounts that Track360 accepted, in order."""
    return [str(record["Value"]) for record in sandbox.store.activities()]


@contextmanager
def being_changed(row: Deposit) -> Iterator[None]:
    """Have a transaction of the host change a deposit, and stay open meanwhile."""
    changed, go = threading.Event(), threading.Event()

    def host() -> None:
        try:
            with transaction.atomic():
                change(Deposit.objects.get(pk=row.pk))
                changed.set()
                go.wait(20)
        finally:
            changed.set()
            connection.close()

    thread = threading.Thread(target=host)
    thread.start()
    changed.wait(20)
    try:
        yield
    finally:
        go.set()
        thread.join()


def occupy_lanes() -> None:
    """Let a worker be at work in every lane."""
    for number in range(8):
        Lane.objects.update_or_create(brand="default", number=number, defaults={"owner": "somebody"})


def test_held_record_says_what_its_row_says_now(account: Account, track360_sandbox: SandboxServer) -> None:
    """Nothing was sent, so there is one truth: the latest."""
    made = deposit(account)

    change(made)
    delivery.drain()

    assert sent(track360_sandbox) == ["300.00"]
    assert stored() == ("300.00", False)


def test_pending_record_says_what_its_row_says_now(account: Account, track360_sandbox: SandboxServer) -> None:
    """The customer is accepted and no attempt was made: the latest body goes out."""
    customers.report(account.user)
    delivery.drain()
    made = deposit(account)
    assert Activity.objects.get().status == "pending"

    change(made)
    delivery.drain()

    assert sent(track360_sandbox) == ["300.00"]


def test_record_that_was_tried_keeps_its_body(account: Account, track360_sandbox: SandboxServer) -> None:
    """Track360 may have it though no answer came: a retry is byte-identical, the change is flagged."""
    made = deposit(account)
    Activity.objects.update(attempts=1)

    change(made)
    delivery.drain()

    assert sent(track360_sandbox) == ["250.00"]
    assert stored() == ("250.00", True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("track360_sandbox")
def test_record_in_a_busy_lane_keeps_its_body(account: Account) -> None:
    """A worker may have it in hand, or had it in hand when it died."""
    customers.report(account.user)
    delivery.drain()
    made = deposit(account)
    occupy_lanes()

    change(made)

    assert stored() == ("250.00", True)


@pytest.mark.django_db(transaction=True)
def test_record_of_the_open_transaction_changes_in_a_busy_lane(
    account: Account, track360_sandbox: SandboxServer
) -> None:
    """What is not committed nobody else has seen; the next transaction is another one."""
    customers.report(account.user)
    delivery.drain()
    occupy_lanes()

    with transaction.atomic():
        with transaction.atomic():
            made = deposit(account)
        change(made)

    assert stored() == ("300.00", False)
    with transaction.atomic():
        other = deposit(account)
        made.amount = Decimal(400)
        made.save()
        assert other.pk
    assert json.loads(Activity.objects.earliest("pk").body)["Value"] == "300.00"


@pytest.mark.rowlocks
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("corrections", ["flag", "resend"])
def test_record_that_is_being_changed_is_in_nobodys_hands(
    account: Account, settings: HostSettings, track360_sandbox: SandboxServer, corrections: str
) -> None:
    """However long the transaction lasts: workers pass its lane over, without waiting, and send the latest after it."""
    configure(settings, CORRECTIONS=corrections)
    customers.report(account.user)
    delivery.drain()
    made = deposit(account)
    with being_changed(made):
        begun = time.monotonic()
        during = delivery.drain()
        took = time.monotonic() - begun
    delivery.drain()

    assert sent(track360_sandbox) == ["300.00"]
    assert (during.delivered, stored()) == (0, ("300.00", False))
    assert took < 10


@pytest.mark.rowlocks
@pytest.mark.django_db(transaction=True)
def test_two_transactions_may_change_records_of_one_lane(
    account: Account, track360_sandbox: SandboxServer
) -> None:
    """They hold the lane together, and neither waits for the other."""
    customers.report(account.user)
    delivery.drain()
    first, second = deposit(account), deposit(account)
    with being_changed(first):
        change(second)
    delivery.drain()

    assert sent(track360_sandbox) == ["300.00", "300.00"]


@pytest.mark.django_db(transaction=True)
def test_record_in_a_lane_that_rests_keeps_its_body(
    account: Account, track360_sandbox: SandboxServer
) -> None:
    """A worker left it, for it could not settle what it had sent."""
    customers.report(account.user)
    delivery.drain()
    made = deposit(account)
    Lane.objects.update(leased_until=Now() + timedelta(seconds=30))

    change(made)

    assert stored() == ("250.00", True)
    assert not sent(track360_sandbox)


@pytest.mark.rowlocks
@pytest.mark.django_db(transaction=True)
def test_change_of_what_was_delivered_holds_no_lane(
    account: Account, track360_sandbox: SandboxServer
) -> None:
    """It flags the record, and others of the same customer are delivered meanwhile."""
    customers.report(account.user)
    made = deposit(account)
    delivery.drain()
    other = deposit(account)
    with being_changed(made):
        delivery.drain()

    assert sent(track360_sandbox) == ["250.00", "250.00"]
    assert Activity.objects.get(eventid=other.reference).status == "delivered"


def test_record_that_timed_out_for_good_keeps_its_body(account: Account) -> None:
    """Dead because no answer came in time: Track360 may have it, also after it was requeued."""
    made = deposit(account)
    Activity.objects.update(status="dead", reason="too_old", attempts=9, due_at=None)

    change(made)
    assert stored() == ("250.00", True)
    dead_letters.requeue(Activity.objects.all())
    change(made)

    assert stored() == ("250.00", True)


@pytest.mark.parametrize("status", ["held", "delivered"])
def test_record_never_moves_to_another_customer(account: Account, status: str) -> None:
    """It waits for its own customer, in their lane: what is another's now is flagged."""
    made = deposit(account)
    Activity.objects.update(status=status, accepted_version=int(status == "delivered"))
    made.account = Account.objects.create(user=User.objects.create(username="sam"), currency="EUR")

    made.save()

    activity = Activity.objects.get()
    assert json.loads(activity.body)["customerid"] == str(account.user.pk)
    assert (activity.customer.customer_id if activity.customer else "") == str(account.user.pk)
    assert activity.changed_at is not None


def test_dead_record_may_become_another_customers(account: Account) -> None:
    """Track360 refused it and has nothing of it."""
    made = deposit(account)
    Activity.objects.update(status="dead", reason="http_400", due_at=None)
    made.account = Account.objects.create(user=User.objects.create(username="sam"), currency="EUR")

    made.save()

    activity = Activity.objects.get()
    assert json.loads(activity.body)["customerid"] == str(made.account.user.pk)
    assert (activity.customer.customer_id if activity.customer else "") == str(made.account.user.pk)


def bet(number: int, value: Any = 5) -> dict[str, Any]:
    """Return a row for `report_many`."""
    return {
        "eventname": "Bet",
        "customer": "c-1",
        "value": value,
        "currency": "USD",
        "eventid": f"b-{number}",
    }


def test_many_reported_again_with_other_content_are_corrected(track360_sandbox: SandboxServer) -> None:
    """As `report` does: the latest body until the first attempt, a flag afterwards."""
    customers.report("c-1")
    activities.report_many([bet(1), bet(2)])

    activities.report_many([bet(1, 6), bet(2), bet(3)])
    delivery.drain()
    activities.report_many([bet(1), bet(2, 7), bet(3)])

    assert sent(track360_sandbox) == ["6.00", "5.00", "5.00"]
    assert [each.changed_at is not None for each in Activity.objects.order_by("pk")] == [True, True, False]


def test_one_id_twice_among_many_is_one_record() -> None:
    """The later content is the latest."""
    assert activities.report_many([bet(1), bet(1, 6), bet(1)]) == 3

    assert stored() == ("5.00", False)
    activities.report_many([bet(1), bet(1, 6)])
    assert stored() == ("6.00", False)


def test_bad_rows_among_many_are_told_and_the_others_reported() -> None:
    """Each bad row comes back with its error; the rest of its thousand is written."""
    told: list[tuple[str, str]] = []

    def on_error(row: Any, error: PayloadError) -> None:
        told.append((row["eventid"], error.reason))

    rows = [bet(1), bet(2, 1.5), {**bet(3), "customer": None}, {**bet(4), "currency": "12"}, bet(5)]
    assert activities.report_many(rows, on_error=on_error) == 5

    assert told == [("b-2", "invalid_number"), ("b-3", "no_customer"), ("b-4", "invalid_currency")]
    assert [each.eventid for each in Activity.objects.order_by("pk")] == ["b-1", "b-5"]


def test_id_of_another_row_among_many_is_refused(account: Account) -> None:
    """Two rows of the host never share a record."""
    made = deposit(account)
    told: list[str] = []
    row = {
        **bet(1),
        "eventname": "Deposit",
        "eventid": made.reference,
        "source": "host.Other",
        "source_pk": "1",
    }

    activities.report_many([row, bet(2)], on_error=lambda _, error: told.append(error.reason))

    assert told == ["eventid_taken"]
    assert Activity.objects.filter(eventname="Bet").count() == 1
