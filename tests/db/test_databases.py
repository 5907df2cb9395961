"""What databases do differently: replicas that lag, rows that are locked, connections that break, text, clocks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoDbBlocker, Settings

from example_project.cashier.models import Account, Deposit
from example_project.settings import database_from_url
from tests.configuration import configure
from tests.host.replica import ALIAS
from tests.journeys import land
from tests.rows import make_activities, make_customer, overdue
from track360_django import activities, customers, delivery
from track360_django.db.bulk_insert import insert_missing
from track360_django.models import Activity, Customer, Status
from track360_django.outbox import dead_letters, due, lanes, retention
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

OURS: Final = "track360_django_"
ANALYZE: Final = {
    "mysql": "ANALYZE TABLE track360_django_activity",
    "postgresql": "ANALYZE track360_django_activity",
    "sqlite": "ANALYZE",
}


class Replica:
    """A second database, with the same tables and nothing in them, and what was asked there."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    def record(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        """Note a query, then run it."""
        self.queries.append(sql)
        return execute(sql, params, many, context)

    def asked_for(self, *tables: str) -> list[str]:
        """Return the queries that name one of these tables."""
        return [sql for sql in self.queries if any(f'"{table}' in sql for table in tables)]


@pytest.fixture(scope="module")
def replica_tables(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Add a database with empty tables under the replica's alias."""
    path = tmp_path_factory.mktemp("replica") / "replica.sqlite3"
    known: dict[str, Any] = connections.settings
    default = connections["default"].settings_dict
    known[ALIAS] = {**default, **database_from_url(f"sqlite:///{path}"), "TEST": default["TEST"]}
    with django_db_blocker.unblock():
        call_command("migrate", database=ALIAS, verbosity=0)
    yield
    connections[ALIAS].close()
    del connections[ALIAS], known[ALIAS]


@pytest.fixture
def replica(replica_tables: None, transactional_db: None, settings: Settings) -> Iterator[Replica]:
    """Have every model read from a database in which nothing has arrived yet."""
    settings.DATABASE_ROUTERS = ["tests.host.replica.ReadFromReplica"]
    replica = Replica()
    with connections[ALIAS].execute_wrapper(replica.record):
        yield replica


with_replica = pytest.mark.django_db(transaction=True, databases=["default", ALIAS])


@with_replica
def test_signup_is_written_down_and_delivered_without_the_replica(
    replica: Replica, client: Client, track360_sandbox: SandboxServer
) -> None:
    """A signup is reported with its landing while the replica knows neither the user nor the customer."""
    land(client)
    form = {
        "username": "alex",
        "password1": "a-long-and-unlikely-word",
        "password2": "a-long-and-unlikely-word",
    }
    person = {"first_name": "Alex", "last_name": "Taylor", "country": "US"}
    assert client.post(reverse("signup"), {**form, **person}).status_code == 302
    user = User.objects.using("default").get()

    delivery.drain()

    record = track360_sandbox.store.customer(str(user.pk))
    assert record is not None
    assert (record["tracking_data"], record["country"]) == ("2001_1000_abcdefg", "US")
    assert replica.asked_for(OURS) == []


@with_replica
def test_deposit_is_written_down_and_delivered_without_the_replica(
    replica: Replica, track360_sandbox: SandboxServer
) -> None:
    """A deposit finds its account, its user and its customer where they were written."""
    user = User.objects.create_user("alex")
    customers.report(user, tracking={"tracking_data": "2001_1000_abcdefg"})
    account = Account.objects.create(user=user)
    deposit = Deposit(account_id=account.pk, amount=Decimal("250.00"), currency="USD")
    deposit.save()
    deposit.complete()
    customers.update(user, salesStatus="VIP")

    delivery.drain()

    (activity,) = track360_sandbox.store.activities()
    assert (activity["customerid"], activity["Value"]) == (str(user.pk), "250.00")
    assert track360_sandbox.store.customer(str(user.pk))["salesStatus"] == "VIP"  # type: ignore[index]
    assert replica.queries == []


@with_replica
def test_trouble_is_dealt_with_without_the_replica(
    replica: Replica, track360_sandbox: SandboxServer, settings: Settings
) -> None:
    """Failures, refusals, pauses and what a person does about them are decided by what was written."""
    customer = make_customer("c1")
    delivery.drain()
    customer.refresh_from_db(using="default")
    make_activities(customer, 2)
    track360_sandbox.fail(endpoint="activities", status=503, times=1)
    track360_sandbox.fail(endpoint="activities", status=422, times=3)
    delivery.drain()
    overdue(Activity)
    delivery.drain()

    dead_letters.requeue(Activity.objects.using("default").all())
    delivery.drain()
    retention.prune(older_than=timedelta(days=-1))

    assert Activity.objects.using("default").count() == 0
    assert replica.queries == []


@with_replica
def test_quarantined_row_is_read_again_where_it_was_corrected(replica: Replica) -> None:
    """A row that was corrected a moment ago is found as it is now, not as the replica had it."""
    account = Account.objects.create(user=User.objects.create_user("alex"))
    deposit = Deposit.objects.create(account=account, amount=1, currency="US", status="completed")
    assert Activity.objects.using("default").get().status == Status.DEAD
    Deposit.objects.filter(pk=deposit.pk).update(currency="USD")

    requeued = activities.requeue(Activity.objects.using("default").all())

    assert (requeued.count, requeued.refused) == (1, 0)
    assert replica.queries == []


# Addresses and text.


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://me:p%40ss@db.example:3307/shop", ("mysql", "shop", "me", "p@ss", "db.example", "3307")),
        ("mysql://root@localhost/shop?unix_socket=%2Frun%2Fs", ("mysql", "shop", "root", "", "/run/s", "")),
        ("postgresql://me@:6432/shop?host=/run/pool", ("postgresql", "shop", "me", "", "/run/pool", "6432")),
    ],
    ids=["tcp", "socket", "pooler"],
)
def test_address_of_a_database_becomes_its_settings(url: str, expected: tuple[str, ...]) -> None:
    """DATABASE_URL names a server over TCP or a socket; MySQL gets the character set that has everything."""
    values = database_from_url(url)

    assert values["ENGINE"] == f"django.db.backends.{expected[0]}"
    assert tuple(values[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")) == expected[1:]
    assert values["OPTIONS"].get("charset") == ("utf8mb4" if expected[0] == "mysql" else None)


def test_address_of_an_unknown_database_is_refused() -> None:
    """What this project can't be run on is said at once."""
    with pytest.raises(ImproperlyConfigured, match="oracle"):
        database_from_url("oracle://db.example/shop")


def test_activities_are_told_apart_by_every_letter() -> None:
    """Events whose ids differ in case, accent or space are different events, and each is paid for."""
    customer = make_customer("c1")
    eventids = [
        "tx-a",
        "TX-A",
        "tx-\u00e1",
        "tx-a\u0301",
        "tx-\uff41",
        "tx-\N{SLOT MACHINE}",
        "tx-\N{GAME DIE}",
    ]
    for eventid in eventids:
        activities.report("Bet", customer=customer, value=1, currency="USD", eventid=eventid)
    rows = [{"eventname": "bet", "customer": customer, "value": 1, "currency": "USD", "eventid": "tx-a"}]
    activities.report_many(rows)

    assert sorted(Activity.objects.filter(eventname="Bet").values_list("eventid", flat=True)) == sorted(
        eventids
    )
    assert Activity.objects.filter(eventname="bet").count() == 1


@pytest.mark.parametrize("customer_id", ["ALEX", "\u00e1lex", "alex "])
def test_activity_of_a_similar_customer_id_is_not_the_users(settings: Settings, customer_id: str) -> None:
    """A user whom only a database's way of comparing takes for the customer is not credited."""
    configure(settings, CUSTOMER_ID="username")
    User.objects.create_user("alex")

    activities.report("Bet", customer=customer_id, value=1, currency="USD", eventid="1")

    assert Customer.objects.values_list("customer_id", "status").get() == (customer_id, Status.HELD)


@pytest.mark.mysql
def test_every_text_column_is_exact() -> None:
    """Whatever the database's own character set, ours have all characters and compare byte by byte."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = DATABASE() "
            "AND table_name LIKE 'track360%%' AND collation_name IS NOT NULL AND data_type <> 'json'"
        )
        collations = {name for (name,) in cursor.fetchall()}

    # The plain one is what MariaDB gives a column of JSON.
    assert collations - {"utf8mb4_bin"} <= {"utf8mb4_nopad_bin", "utf8mb4_0900_bin"}


@pytest.mark.rowlocks
@pytest.mark.parametrize(
    "changes",
    [{"eventname": "x" * 101}, {"eventid": "x" * 256}, {"lane": -1}],
    ids=["name-too-long", "id-too-long", "out-of-range"],
)
@pytest.mark.django_db(transaction=True)
def test_row_that_does_not_fit_is_refused_whole(changes: dict[str, Any]) -> None:
    """Nothing is cut, clamped or dropped: what can't be kept as it is raises, and what went with it isn't kept either."""
    customer = make_customer("c1")
    fitting, unfitting = (
        Activity(brand="default", customer=customer, lane=0, eventname="Bet", eventid=eventid, body="{}")
        for eventid in "ab"
    )
    for name, value in changes.items():
        setattr(unfitting, name, value)

    with pytest.raises(DatabaseError), transaction.atomic():
        insert_missing([fitting, unfitting], using="default")

    assert not Activity.objects.exists()


# Time and indexes.


def test_times_are_utc_whatever_zone_the_server_is_in() -> None:
    """A new record is due now, not hours away."""
    customer = make_customer("c1")

    assert customer.due_at is not None
    assert abs(customer.due_at - datetime.now(UTC)) < timedelta(minutes=10)


def test_host_is_spared_warnings_about_our_tables() -> None:
    """Nothing of ours is mentioned by Django's checks of a database."""
    messages = checks.run_checks(tags=[checks.Tags.models, checks.Tags.database], databases=["default"])

    assert [message for message in messages if "track360" in str(message)] == []


# MySQL ends a transaction with ANALYZE.
@pytest.mark.django_db(transaction=True)
def test_due_work_is_found_by_its_index() -> None:
    """Beside thousands of delivered records the due ones are found through the index on what is due."""
    customer = make_customer("c1")
    rows = [
        Activity(
            brand="default",
            customer=customer,
            lane=customer.lane,
            eventname="Bet",
            eventid=str(number),
            body="{}",
            **({} if number < 10 else {"status": Status.DELIVERED, "due_at": None}),
        )
        for number in range(5000)
    ]
    insert_missing(rows, using="default", batch_size=500)
    lanes.ensure_lanes(["default"], using="default")
    lane = lanes.take(["default"], owner="w1", using="default")
    assert lane is not None
    with connection.cursor() as cursor:
        cursor.execute(ANALYZE[connection.vendor])
        cursor.fetchall() if cursor.description else None
    asked: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        page = due.activities(lane, limit=500, after=None, max_age=timedelta(days=7))

    ((sql, params),) = asked
    with connection.cursor() as cursor:
        cursor.execute(f"{connection.ops.explain_query_prefix()} {sql}", params)
        plan = str(cursor.fetchall())
    assert len(page) == 10
    assert "track360_activity_due" in plan


# Locks and lost connections.


@pytest.mark.rowlocks
@pytest.mark.django_db(transaction=True)
def test_connection_cut_between_answer_and_settling_settles_afterwards(
    settings: Settings, track360_sandbox: SandboxServer
) -> None:
    """What was accepted while the server cut the connection is settled over another one, and not sent again."""
    customer = make_customer("c1")
    delivery.drain()
    customer.refresh_from_db()
    make_activities(customer, 5)

    def cut(_status: int, _text: str) -> bool:
        cut_connection()
        return True

    settings.TRACK360 = {**settings.TRACK360, "RESPONSE_CHECK": cut}

    delivery.drain()

    assert set(Activity.objects.values_list("status", flat=True)) == {Status.DELIVERED}
    requests = track360_sandbox.store.snapshot().requests
    assert [entry.endpoint for entry in requests] == ["customers", "activities"]


@pytest.mark.mysql
@pytest.mark.django_db(transaction=True)
def test_settling_that_waited_too_long_for_a_lock_is_tried_again(
    settings: Settings, track360_sandbox: SandboxServer
) -> None:
    """A lock that MySQL gives up waiting for (error 1205) costs no second request."""
    make_customer("c1")
    holder = connection.copy()
    timer: list[threading.Timer] = []

    def lock(_status: int, _text: str) -> bool:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT id FROM track360_django_lane FOR UPDATE")
        timer.append(threading.Timer(1.5, holder.close))
        timer[0].start()
        return True

    holder.inc_thread_sharing()
    settings.TRACK360 = {**settings.TRACK360, "RESPONSE_CHECK": lock}
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")

    report = delivery.drain()

    timer[0].join()
    connection.close()
    assert (report.delivered, report.requests) == (1, 1)
    assert Customer.objects.get().status == Status.DELIVERED


@pytest.mark.mysql
@pytest.mark.django_db(transaction=True)
def test_customer_that_a_snapshot_does_not_show_is_found() -> None:
    """Under REPEATABLE READ a transaction reports somebody whom another one wrote down since it began."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    def sign_up() -> None:
        make_customer("c1")
        connection.close()

    with transaction.atomic():
        assert not Customer.objects.exists()
        thread = threading.Thread(target=sign_up)
        thread.start()
        thread.join()
        customer = make_customer("c1")

    connection.close()
    assert customer.pk == Customer.objects.get().pk


def cut_connection() -> None:
    """Cut this thread's connection at the server, as a failover does."""
    words = {"mysql": ("SELECT CONNECTION_ID()", "KILL %s")}.get(
        connection.vendor, ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s)")
    )
    with connection.cursor() as cursor:
        cursor.execute(words[0])
        ((number,),) = cursor.fetchall()
    other = connection.copy()
    # Behind a pooler both may have been on one connection: then it has cut itself.
    with contextlib.suppress(OperationalError), other.cursor() as cursor:
        cursor.execute(words[1], [number])
    other.close()
