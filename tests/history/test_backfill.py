"""`manage.py track360 backfill`: what was there before the package was is reported, each once."""

from __future__ import annotations

import io
import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from example_project.cashier.models import Account, Deposit
from example_project.cashier.track360 import DepositActivity
from tests.configuration import configure
from tests.conftest import SpawnHost
from track360_django import activities, customers, delivery
from track360_django.models import Activity, Customer, Status
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

DEADLINE_SECONDS = 60
JULY = datetime(2025, 7, 15, 12, tzinfo=UTC)


def track360(*words: str) -> list[str]:
    """Backfill; return the lines that were printed."""
    out, err = io.StringIO(), io.StringIO()
    call_command("track360", "backfill", *words, stdout=out, stderr=err)
    return out.getvalue().splitlines()


def fail(*words: str) -> tuple[list[str], CommandError]:
    """Backfill what needs a person; return the lines that were printed and the error."""
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("track360", "backfill", *words, stdout=out, stderr=out)
    return out.getvalue().splitlines(), caught.value


def make_users(count: int) -> list[User]:
    """Make users that nobody reports."""
    return User.objects.bulk_create(
        User(username=f"u{number}", first_name=f"N{number}", date_joined=JULY) for number in range(count)
    )


def make_deposits(users: list[User], **fields: Any) -> list[Deposit]:
    """Make a completed deposit of each user; no signal tells anybody."""
    accounts = Account.objects.bulk_create(Account(user=user, currency="USD") for user in users)
    values = {
        "amount": Decimal("5.00"),
        "currency": "USD",
        "status": "completed",
        "completed_at": JULY,
        **fields,
    }
    return Deposit.objects.bulk_create(Deposit(account=account, **values) for account in accounts)


# Users.


def test_users_without_a_customer_are_reported(track360_sandbox: SandboxServer) -> None:
    """They get their own registration time, and no attribution, since nobody knows what brought them."""
    first, second = make_users(2)
    customers.report(first, tracking={"tracking_data": "t-1"})

    printed = track360("users")

    row = Customer.objects.get(user_pk=str(second.pk))
    assert (row.source, row.unattributed_reason, row.regtime) == ("backfill", "no_request", JULY)
    assert Customer.objects.get(user_pk=str(first.pk)).tracking == {"tracking_data": "t-1"}
    assert printed[-1] == "users: 2 read, 1 reported, 0 not reportable"
    assert delivery.drain().delivered == 2


def test_staff_and_inactive_users_are_no_customers(settings: Settings) -> None:
    """As with a signup: staff never, the inactive not before their activation where that is what counts."""
    configure(settings, REPORT_ON="activation")
    User.objects.bulk_create(
        [
            User(username="staff", is_staff=True),
            User(username="root", is_superuser=True),
            User(username="new", is_active=False),
            User(username="alex"),
        ]
    )

    track360("all")

    assert [customer.user_pk for customer in Customer.objects.all()] == [
        str(User.objects.get(username="alex").pk)
    ]


def test_users_of_a_time_are_those_who_registered_then() -> None:
    """`--since` is inclusive, `--until` is not."""
    users = make_users(3)
    for user, day in zip(users, (1, 2, 3), strict=True):
        User.objects.filter(pk=user.pk).update(date_joined=datetime(2025, 7, day, tzinfo=UTC))

    track360("users", "--since", "2025-07-02", "--until", "2025-07-03")

    assert [customer.user_pk for customer in Customer.objects.all()] == [str(users[1].pk)]


def test_user_who_is_held_without_an_end_is_reported(settings: Settings) -> None:
    """`UNKNOWN_CUSTOMERS="hold"` waits for a report: this is one. A signup under way is left alone."""
    configure(settings, UNKNOWN_CUSTOMERS="hold")
    held, signing_up = make_users(2)
    activities.report("Bet", customer=held, value=Decimal(1), currency="USD", eventid="b1")
    customers.report(signing_up)
    Customer.objects.filter(user_pk=str(signing_up.pk)).update(status=Status.HELD, source="auth")

    track360("users")

    rows = {row.user_pk: (row.status, row.source) for row in Customer.objects.all()}
    assert rows == {
        str(held.pk): (Status.PENDING, "backfill"),
        str(signing_up.pk): (Status.HELD, "auth"),
    }


def test_user_of_another_brand_is_not_reported_twice(settings: Settings) -> None:
    """Each user is one brand's customer."""
    configure(settings, BRANDS={"one": {}, "two": {}})
    (user,) = make_users(1)
    Customer.objects.create(brand="two", customer_id="x", user_pk=str(user.pk), lane=0)

    printed = track360("users", "--brand", "one")
    assert printed[-1] == "users: 1 read, 0 reported, 0 not reportable"
    track360("users", "--brand", "two")
    assert {row.brand for row in Customer.objects.all()} == {"two"}


@pytest.mark.parametrize("what", ["users", "all"])
def test_users_of_several_brands_are_nobodys_by_default(what: str, settings: Settings) -> None:
    """No request tells whose customers they are: a guess would report them to another operator's program."""
    configure(settings, BRANDS={"one": {}, "two": {}}, BRAND_RESOLVER=lambda _request: "one")
    make_deposits(make_users(1))

    _, error = fail(what)

    assert error.returncode == 2
    assert "one, two" in str(error)
    assert "--brand" in str(error)
    assert not Customer.objects.exists()
    # Rows need none: theirs is that of their customer.
    track360("cashier.Deposit", "--dry-run")


def test_dry_run_goes_on_behind_a_user_who_cannot_be_sent(settings: Settings) -> None:
    """`BEFORE_SEND` refuses one: they are named, the others shown; as newcomers with a row, too."""
    users = make_users(3)
    make_deposits(users)
    refused = str(users[1].pk)

    def before_send(record: dict[str, Any]) -> dict[str, Any]:
        if record.get("customerId") == refused:
            raise RuntimeError
        return record

    configure(settings, BEFORE_SEND=before_send)

    for what in ("users", "cashier.Deposit"):
        printed, error = fail(what, "--dry-run")
        assert error.returncode == 1
        assert sum(line.startswith(f"auth.User {refused}: BEFORE_SEND raised") for line in printed) == 1
        shown = [json.loads(line) for line in printed if line.startswith("{")]
        assert {each["customerId"] for each in shown if "customerId" in each} == {
            str(users[0].pk),
            str(users[2].pk),
        }


def test_user_without_an_id_is_named_and_the_others_go_on(settings: Settings) -> None:
    """By model and key, never by name."""
    configure(settings, CUSTOMER_ID="email")
    make_users(1)
    User.objects.create(username="alex", email="alex@example.org")

    printed, error = fail("users")

    assert [customer.customer_id for customer in Customer.objects.all()] == ["alex@example.org"]
    assert any("auth.User" in line and "CUSTOMER_ID" in line for line in printed)
    assert error.returncode == 1
    assert "u0" not in "\n".join(printed)


def test_users_cost_few_queries_and_little_when_they_are_known() -> None:
    """A page of a thousand is looked up and written in a few statements."""
    make_users(1000)
    with CaptureQueriesContext(connection) as first:
        track360("users")
    with CaptureQueriesContext(connection) as second:
        printed = track360("users")

    assert Customer.objects.count() == 1000
    assert printed[-1] == "users: 1000 read, 0 reported, 0 not reportable"
    assert len(first) < 40
    assert len(second) < 12


# Rows.


def test_rows_of_a_declared_model_are_reported_behind_their_customers(
    track360_sandbox: SandboxServer,
) -> None:
    """Those that fulfil the condition, with the ids that a signal would have given them."""
    users = make_users(3)
    made = make_deposits(users)
    Deposit.objects.filter(pk=made[0].pk).update(status="pending")

    printed = track360("all")

    assert [activity.eventid for activity in Activity.objects.order_by("pk")] == [
        each.reference for each in made[1:]
    ]
    assert "cashier.Deposit (DepositActivity): 2 read, 2 reported, 0 not reportable" in printed
    assert {row.source for row in Customer.objects.all()} == {"backfill"}
    assert delivery.drain().delivered == 5
    assert "cashier.Deposit (DepositActivity): 2 read, 0 reported, 0 not reportable" in track360("all")
    assert delivery.drain().requests == 0


def test_one_model_of_a_time_is_enough() -> None:
    """Their users are registered with their first activity."""
    users = make_users(3)
    made = make_deposits(users)
    Deposit.objects.filter(pk=made[2].pk).update(completed_at=datetime(2025, 8, 1, tzinfo=UTC))

    track360("cashier.Deposit", "--since", "2025-07-01", "--until", "2025-08-01")

    assert Activity.objects.count() == 2
    assert {row.source for row in Customer.objects.all()} == {"activity"}


class Bonus(activities.ModelActivity):
    """A second declaration of the same model, whose method raises for some rows."""

    eventname = "Bonus"
    customer = "account__user"
    currency, createtime = "currency", "completed_at"

    def get_value(self, row: Deposit) -> Decimal:
        """Return a tenth, but of a big one."""
        if row.amount > 100:
            message = "Secretville"
            raise RuntimeError(message)
        return row.amount / 10


@pytest.fixture
def bonus() -> Iterator[None]:
    """Declare it for one test."""
    activities.register(Deposit)(Bonus)
    yield
    activities.unregister(Deposit, Bonus)


def test_declaration_may_be_named(bonus: None) -> None:
    """Without a name all declarations of the model are meant."""
    make_deposits(make_users(1))

    track360("cashier.Deposit", "--declaration", "Bonus")
    assert {activity.eventname for activity in Activity.objects.all()} == {"Bonus"}
    track360("cashier.Deposit")
    assert {activity.eventname for activity in Activity.objects.all()} == {"Bonus", "Deposit"}


def test_row_whose_mapper_raises_is_quarantined_and_the_others_go_on(bonus: None) -> None:
    """It is dead with its reason; the command needs a person, and says what to do."""
    made = make_deposits(make_users(3))
    Deposit.objects.filter(pk=made[1].pk).update(amount=Decimal("500.00"))

    printed, error = fail("cashier.Deposit", "--declaration", "Bonus")

    assert printed[-1] == "cashier.Deposit (Bonus): 3 read, 2 reported, 1 not reportable"
    assert Activity.objects.get(status=Status.DEAD).source_pk == str(made[1].pk)
    assert error.returncode == 1
    assert "Users or rows that can't be reported: 1." in str(error)
    assert "Secretville" not in "\n".join([*printed, str(error)])


def test_dry_run_prints_what_would_be_sent_and_writes_nothing(
    bonus: None, track360_sandbox: SandboxServer
) -> None:
    """What it prints is what arrives when it is done in earnest."""
    made = make_deposits(make_users(3))
    Deposit.objects.filter(pk=made[1].pk).update(amount=Decimal("500.00"))
    DepositActivity(Deposit).report(Deposit.objects.get(pk=made[0].pk))
    delivery.drain()
    before = arrived(track360_sandbox)
    err = io.StringIO()
    shown: dict[str, list[str]] = {}

    with CaptureQueriesContext(connection) as queries:
        for what in ("all", "cashier.Deposit"):
            out = io.StringIO()
            with pytest.raises(CommandError):
                call_command("track360", "backfill", what, "--dry-run", stdout=out, stderr=err)
            shown[what] = [str(json.loads(line)) for line in out.getvalue().splitlines()]

    assert all(each["sql"].startswith("SELECT") for each in queries)
    assert f"cashier.Deposit {made[1].pk}: Bonus raised RuntimeError" in err.getvalue()
    fail("all")
    delivery.drain()
    sent = sorted(set(arrived(track360_sandbox)) - set(before))
    assert sorted(shown["all"]) == sent
    assert len(sent) == 2 + 2 + 2
    # By itself a model registers the users it meets.
    assert sorted(shown["cashier.Deposit"]) == sent


def arrived(sandbox: SandboxServer) -> list[str]:
    """Return what the sandbox has accepted."""
    snapshot = sandbox.store.snapshot()
    return [str(dict(call.record)) for call in (*snapshot.customer_calls, *snapshot.activities)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("auth.User",), "There is no declaration for auth.User"),
        (("nonsense",), "There is no declaration for nonsense"),
        (("cashier.Deposit", "--declaration", "Other"), "with the name Other"),
        (("all", "--declaration", "Other"), "with the name Other"),
        (("users", "--brand", "none"), "no brand"),
        (("users", "--since", "soon"), "is not a time"),
    ],
)
def test_wrong_call_is_refused(words: tuple[str, ...], told: str) -> None:
    """The message says what there is."""
    _, error = fail(*words)

    assert told in str(error)


@pytest.mark.django_db(transaction=True)
def test_backfill_that_is_killed_and_interrupted_ends_complete(spawn_host: SpawnHost) -> None:
    """Killed by -9 in the middle, then interrupted, and started again: each row is reported once."""
    make_deposits(make_users(900))
    words = ("manage.py", "track360", "backfill", "all")
    for count, number in ((300, signal.SIGKILL), (1100, signal.SIGINT)):
        process = spawn_host(*words, "--rate", "500", name=f"backfill-{count}")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while Customer.objects.count() + Activity.objects.count() < count:
            assert process.is_running, process.log_tail()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        code = process.terminate(DEADLINE_SECONDS, with_signal=number)
        assert code == {signal.SIGKILL: -9, signal.SIGINT: 130}[number], process.log_tail()

    assert spawn_host(*words, name="last").wait(DEADLINE_SECONDS) == 0

    assert Customer.objects.count() == Activity.objects.count() == 900
    assert set(Customer.objects.values_list("source", "version")) == {("backfill", 1)}
