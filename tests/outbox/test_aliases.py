"""Several databases: a record is written beside the row it reports, and delivered from there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connections, transaction
from django.test import Client

from example_project.cashier.models import Account, Deposit
from example_project.settings import database_from_url
from track360_django import customers, delivery, tasks
from track360_django.models import Activity, Customer, Status
from track360_django.outbox import aliases

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker

    from track360_django.sandbox.server import SandboxServer

OTHER = "other"

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", OTHER])


@pytest.fixture(scope="module", autouse=True)
def other_database(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Add a second database with all tables."""
    path = tmp_path_factory.mktemp("other") / "other.sqlite3"
    known: dict[str, Any] = connections.settings
    default = connections["default"].settings_dict
    known[OTHER] = {**default, **database_from_url(f"sqlite:///{path}"), "TEST": default["TEST"]}
    with django_db_blocker.unblock():
        call_command("migrate", database=OTHER, verbosity=0)
    yield
    connections[OTHER].close()
    del connections[OTHER], known[OTHER]


@pytest.fixture(autouse=True)
def listed(settings: Any) -> None:
    """Have the host say that the other database has our tables."""
    settings.TRACK360 = {**settings.TRACK360, "DATABASES": [OTHER]}


@pytest.fixture
def account() -> Account:
    """Return an account in the other database, of a user who signed up in the first."""
    user = User.objects.create_user("alex")
    customers.report(user, tracking={"tracking_data": "2001_1000_abcdefg"})
    User.objects.using(OTHER).create(pk=user.pk, username="alex")
    return Account.objects.using(OTHER).create(user_id=user.pk)


def pay(account: Account) -> Deposit:
    """Complete a deposit in the other database."""
    return Deposit.objects.using(OTHER).create(
        account=account, amount=25, currency="USD", status=Deposit.Status.COMPLETED
    )


def test_record_is_written_beside_its_row(account: Account, track360_sandbox: SandboxServer) -> None:
    """A deposit in another database is reported from there, with the attribution of the signup in the first."""
    pay(account)

    assert Activity.objects.using(OTHER).count() == 1
    assert Activity.objects.using("default").count() == 0
    delivery.drain()
    record = track360_sandbox.store.customer(str(account.user_id))
    assert record is not None
    assert record["tracking_data"] == "2001_1000_abcdefg"
    assert len(track360_sandbox.store.activities()) == 1
    assert Activity.objects.using(OTHER).get().status == Status.DELIVERED
    assert Customer.objects.using("default").get().status == Status.DELIVERED


def test_record_is_rolled_back_with_its_row(account: Account) -> None:
    """A transaction of the other database that is rolled back leaves nothing in either."""
    with transaction.atomic(using=OTHER):
        pay(account)
        transaction.set_rollback(True, using=OTHER)

    assert not Activity.objects.using(OTHER).exists()
    assert not Activity.objects.using("default").exists()


def test_database_that_can_not_be_written_to_stops_no_delivery(
    account: Account, track360_sandbox: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What is wrong with another database is told, and the first one is delivered."""
    with connections[OTHER].cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
    try:
        with pytest.raises(DatabaseError):
            delivery.drain()
    finally:
        with connections[OTHER].cursor() as cursor:
            cursor.execute("PRAGMA query_only = OFF")

    assert "could not deliver from the database" in caplog.text
    assert Customer.objects.using("default").get().status == Status.DELIVERED


def test_database_that_is_not_listed_is_left_alone(account: Account, settings: Any) -> None:
    """A host that says nothing has its records where its routers write customers to."""
    settings.TRACK360 = {**settings.TRACK360, "DATABASES": []}

    pay(account)

    assert aliases.all_known() == ("default",)
    assert Activity.objects.using("default").count() == 1
    assert not Activity.objects.using(OTHER).exists()


def test_customer_of_the_first_database_is_another_row_in_the_second(
    account: Account, track360_sandbox: SandboxServer
) -> None:
    """A row of one database is never taken for a row of the other that has the same key."""
    stranger = Customer.objects.using(OTHER).create(brand="default", customer_id="stranger", lane=0)
    first = Customer.objects.using("default").get()
    Customer.objects.using("default").filter(pk=first.pk).update(id=stranger.pk)
    first = Customer.objects.using("default").get()

    found = customers.find(first, "default", using=OTHER)

    assert found is None
    assert customers.of(first, "default", using=OTHER).customer_id == first.customer_id


def test_signup_after_the_deposit_releases_it_there(settings: Any, track360_sandbox: SandboxServer) -> None:
    """Who is held in another database for want of a report goes out when the report is there."""
    settings.TRACK360 = {**settings.TRACK360, "UNKNOWN_CUSTOMERS": "hold"}
    user = User.objects.create_user("alex")
    User.objects.using(OTHER).create(pk=user.pk, username="alex")
    pay(Account.objects.using(OTHER).create(user_id=user.pk))
    tasks.sweep()
    before = len(track360_sandbox.store.activities())

    customers.report(user, tracking={"tracking_data": "2001_1000_abcdefg"})
    tasks.sweep()

    record = track360_sandbox.store.customer(str(user.pk))
    assert record is not None
    assert (before, record["tracking_data"]) == (0, "2001_1000_abcdefg")
    assert len(track360_sandbox.store.activities()) == 1


@pytest.mark.urls("tests.host.urls")
@pytest.mark.parametrize("other", [None, "staff", "somebody"])
def test_signup_in_another_database_is_not_lost(client: Client, other: str | None) -> None:
    """A user is looked for where they were written: the first database has nobody under this key, or somebody else."""
    if other:
        User.objects.create(username="boss", is_staff=other == "staff")
    client.get("/host/page/", {"tracking_data": "2001_1000_abcdefg"})

    client.post("/host/join-elsewhere/", {"username": "alex"})

    found = [row for alias in aliases.all_known() for row in Customer.objects.using(alias).all()]
    assert [(row.status, row.tracking) for row in found] == [
        (Status.PENDING, {"tracking_data": "2001_1000_abcdefg"})
    ]


def test_sweep_delivers_home_though_another_database_is_broken(
    settings: Any, track360_sandbox: SandboxServer
) -> None:
    """A second database that fails is told after the first one was delivered, and not instead of it."""
    customers.report("c1")
    settings.TRACK360 = {**settings.TRACK360, "DATABASES": [OTHER]}
    table = Customer._meta.db_table
    with connections[OTHER].cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        with pytest.raises(DatabaseError):
            tasks.sweep()
    finally:
        with connections[OTHER].cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")

    assert track360_sandbox.store.customer("c1") is not None


def test_held_customers_of_long_ago_hide_no_later_one(
    settings: Any, track360_sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Customers whom nobody ever reports do not keep the sweep from one who was."""
    monkeypatch.setattr(customers, "FIND_BATCH", 3)
    for number in range(7):
        Customer.objects.using(OTHER).create(
            brand="default", customer_id=f"held-{number}", lane=0, status=Status.HELD, due_at=None
        )
    customers.report("held-6")

    assert customers.release_reported(using=OTHER) == 1
