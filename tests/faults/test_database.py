"""What the database does wrong, and what the host does with it: restarts, deadlocks, late commits, held rows."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, OperationalError, connection, transaction

from example_project.cashier.models import Account, Deposit
from tests.faults import api, behaviours, operate, truth
from tests.faults.api import ACTIVITIES, CUSTOMERS, FaultServer
from tests.faults.invariants import History, check
from tests.faults.ledger import accepted, expire_leases, found, is_all_delivered, wait_until
from tests.faults.truth import MARKER
from tests.rows import make_activities, make_customer, make_customers
from track360_django import activities, customers, delivery
from track360_django.delivery import sender
from track360_django.models import Activity, Customer, Status
from track360_django.signals import customer_signed_up

if TYPE_CHECKING:
    from django.test import Client

    from example_project.servers import PostgresServer
    from tests.conftest import SpawnHost

pytestmark = pytest.mark.django_db(transaction=True)


class Aside:
    """Something that the host does at the same time, in a thread with a connection of its own."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        """Wait for its end, and raise what it raised."""
        self._thread.join(120)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self._function()
        except BaseException as error:  # noqa: BLE001  raised in the test
            self.error = error
        finally:
            connection.close()


def has_received(fault_api: FaultServer, count: int) -> bool:
    """Tell whether there were so many requests."""
    return len(fault_api.exchanges) >= count


def retried(work: Callable[[], None], isolation: str = "") -> int:
    """Do a transaction of the host as often as the database wants; return how often it failed."""
    for failures in range(20):
        try:
            with transaction.atomic():
                if isolation:
                    with connection.cursor() as cursor:
                        cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
                work()
        except OperationalError:
            continue
        return failures
    message = "the transaction failed twenty times"
    raise AssertionError(message)


@pytest.mark.postgres
def test_database_restarted_while_delivering_loses_nothing(
    fault_api: FaultServer, spawn_host: SpawnHost, postgres_server: PostgresServer
) -> None:
    """A worker goes on after each restart; what it had sent and could not settle is sent once more at most."""
    fault_api.plan = api.always(behaviours.LATE)
    for customer in make_customers(30):
        make_activities(customer, 3)
    worker = spawn_host(
        "-m", "django", "track360", "deliver", "--watch", "--every", "0.2", env={"TRACK360_BOOTSTRAP": "off"}
    )
    disturbances = []
    for count in (2, 6):
        wait_until(partial(has_received, fault_api, count), "the worker is sending")
        connection.close()
        begin = time.monotonic()
        postgres_server.restart()
        disturbances.append((begin, time.monotonic() + 1.0))
        expire_leases()

    def is_over() -> bool:
        expire_leases()
        time.sleep(0.5)
        return is_all_delivered()

    wait_until(is_over, "everything is delivered")
    assert worker.is_running
    assert found(fault_api, disturbances) == []


@pytest.mark.postgres
@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_serialization_failure_and_retry_make_one_activity(fault_api: FaultServer, isolation: str) -> None:
    """Two transactions of the host that can't be put in an order: the one that is retried is reported once."""
    user = User.objects.create_user("alex")
    customers.report(user)
    account = Account.objects.create(user=user)
    both_have_read = threading.Barrier(2)
    failures: list[int] = []

    def pay(name: str) -> None:
        is_first = [True]

        def work() -> None:
            total = sum(Deposit.objects.filter(account=account).values_list("amount", flat=True), Decimal())
            if is_first.pop() if is_first else False:
                both_have_read.wait(60)
            Deposit.objects.create(
                account=account, reference=name, amount=total + 5, currency="USD", status="completed"
            )
            customers.update(user, **{f"status_{name}": "paid"})

        failures.append(retried(work, isolation))

    for thread in [Aside(partial(pay, name)) for name in ("a", "b")]:
        thread.join()
    delivery.drain()

    assert sum(failures) >= 1, "nobody had to retry"
    assert accepted(fault_api) == ["a", "b"]
    last = fault_api.accepted(CUSTOMERS)[-1].values
    assert (last["status_a"], last["status_b"]) == ("paid", "paid")
    assert found(fault_api) == []


@pytest.mark.postgres
def test_deadlock_and_retry_lose_nothing(fault_api: FaultServer) -> None:
    """Two transactions of the host update two customers crosswise: the victim is retried, and all arrives."""
    first, second = make_customers(2)
    both_have_one = threading.Barrier(2)
    failures: list[int] = []

    def change(one: Customer, other: Customer, name: str) -> None:
        is_first = [True]

        def work() -> None:
            customers.update(one.customer_id, **{f"status_{name}": "x"})
            activities.report("Bet", customer=one, value=5, currency="USD", eventid=f"bet-{name}")
            if is_first.pop() if is_first else False:
                both_have_one.wait(60)
            customers.update(other.customer_id, **{f"status_{name}": "x"})

        failures.append(retried(work))

    pairs = ((first, second, "a"), (second, first, "b"))
    for thread in [Aside(partial(change, *pair)) for pair in pairs]:
        thread.join()
    delivery.drain()

    # On a busy machine the second transaction may be a victim, too, before its own retry.
    assert 1 <= sum(failures) <= 2
    assert accepted(fault_api) == ["bet-a", "bet-b"]
    for record in fault_api.accepted(CUSTOMERS)[-2:]:
        assert (record.values["status_a"], record.values["status_b"]) == ("x", "x")
    assert found(fault_api) == []


@pytest.mark.postgres
def test_deposit_and_update_of_one_customer_at_once_need_no_retry(fault_api: FaultServer) -> None:
    """Two transactions that each report a deposit and then an update of one customer wait, and never in a circle."""
    customer = make_customer("c1")
    both_have_paid = threading.Barrier(2)
    failures: list[int] = []

    def pay(name: str) -> None:
        is_first = [True]

        def work() -> None:
            activities.report("Bet", customer=customer, value=5, currency="USD", eventid=f"bet-{name}")
            if is_first.pop() if is_first else False:
                both_have_paid.wait(60)
            customers.update("c1", **{f"status_{name}": "x"})

        failures.append(retried(work))

    for thread in [Aside(partial(pay, name)) for name in ("a", "b")]:
        thread.join()
    delivery.drain()

    assert failures == [0, 0]
    assert accepted(fault_api) == ["bet-a", "bet-b"]


def test_savepoint_that_is_rolled_back_is_not_sent(fault_api: FaultServer) -> None:
    """Of a transaction with a savepoint that is rolled back, exactly the rest arrives."""
    customer = make_customer("c1")
    with transaction.atomic():
        activities.report("Bet", customer=customer, value=5, currency="USD", eventid="before")
        with transaction.atomic():
            activities.report("Bet", customer=customer, value=5, currency="USD", eventid="within")
            make_customer("c2")
            transaction.set_rollback(True)
        activities.report("Bet", customer=customer, value=5, currency="USD", eventid="after")

    delivery.drain()

    assert accepted(fault_api) == ["after", "before"]
    assert [record.key for record in fault_api.accepted(CUSTOMERS)] == [("c1",)]


@pytest.mark.postgres
@pytest.mark.parametrize("is_within_drain", [True, False], ids=["during-the-drain", "after-the-drain"])
def test_lower_id_that_commits_later_is_delivered(
    settings: Any, fault_api: FaultServer, *, is_within_drain: bool
) -> None:
    """A row that was written early and committed late is found, behind whatever was delivered before it."""
    settings.TRACK360 = {**settings.TRACK360, "BATCH_SIZE": 1}
    customer = make_customer("c1")
    delivery.drain()
    customer.refresh_from_db()
    is_written, may_commit, is_committed = threading.Event(), threading.Event(), threading.Event()

    def write_early() -> None:
        with transaction.atomic():
            activities.report("Bet", customer=customer, value=5, currency="USD", eventid="early")
            is_written.set()
            assert may_commit.wait(60)
        is_committed.set()

    def commit_now(_exchange: api.Exchange) -> behaviours.Fault:
        may_commit.set()
        assert is_committed.wait(60)
        return behaviours.OBEY

    early = Aside(write_early)
    assert is_written.wait(60)
    make_activities(customer, 3)
    if is_within_drain:
        fault_api.plan = commit_now
    delivery.drain()
    may_commit.set()
    early.join()
    if not is_within_drain:
        delivery.drain()

    ids = list(Activity.objects.order_by("pk").values_list("eventid", flat=True))
    assert ids[0] == "early"
    assert accepted(fault_api) == sorted(ids)
    assert is_all_delivered()


def test_four_writers_and_a_drain_lose_nothing(
    fault_api: FaultServer, spawn_host: SpawnHost, tmp_path: Path
) -> None:
    """Four processes write, one delivers, all at once: everything committed counts once, nothing else does."""
    journals = [tmp_path / f"p{number}.journal" for number in range(1, 5)]
    writers = [
        spawn_host("-m", "tests.faults.producer", path.stem, str(path), "1", "5", name=path.stem)
        for path in journals
    ]
    worker = spawn_host("-m", "django", "track360", "deliver", "--watch", "--every", "0.1", name="worker")

    assert [writer.wait(120) for writer in writers] == [0, 0, 0, 0]
    worker.terminate(60)
    operate.drain()

    committed = truth.read(journals, operate.host())
    texts = {path.name: path.read_text() for path in tmp_path.glob("worker.log")}
    verdict = check(
        History(
            truth=committed,
            exchanges=fault_api.exchanges,
            rows=operate.rows(),
            texts=texts,
            secrets=(api.TOKEN, MARKER),
        )
    )
    assert list(verdict.lines()) == []
    assert len(committed.activities) > 20
    failed = [
        line
        for path in journals
        for line in map(json.loads, path.read_text().splitlines())
        if line.get("state") == "failed" and connection.vendor == "sqlite"
    ]
    assert failed == [], "SQLite refused a writer instead of letting it wait"


def make_read_only(*, is_so: bool) -> None:
    """Let the database refuse whatever this connection writes, or take it again."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA query_only = {'ON' if is_so else 'OFF'}")
        else:
            cursor.execute(f"SET default_transaction_read_only = {'on' if is_so else 'off'}")


def test_read_only_database_costs_no_page_and_fails_money_loudly(
    client: Client, fault_api: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A landing and a signup go on, with an error in the log; a deposit and a report by hand raise."""
    user = User.objects.create_user("alex", first_name="Alexandrina")
    account = Account.objects.create(user=user)
    make_read_only(is_so=True)
    try:
        landing = client.get("/?tracking_data=2001_1000_abcdefg")
        answers = customer_signed_up.send(sender=None, user=user)
        if connection.vendor == "postgresql":
            # A transaction of SQLite begins with the lock for writing: the host itself would not come so far.
            with transaction.atomic():
                customer_signed_up.send(sender=None, user=user)
                assert User.objects.filter(pk=user.pk).exists(), "the host's transaction is still usable"
        with pytest.raises(DatabaseError):
            activities.report("Bet", customer=user, value=5, currency="USD", eventid="b")
        with pytest.raises(DatabaseError):
            customers.report(user)
        with pytest.raises(DatabaseError), transaction.atomic():
            Deposit.objects.create(account=account, amount=5, currency="USD", status="completed")
    finally:
        make_read_only(is_so=False)

    assert landing.status_code == 200
    assert "track360" in landing.cookies
    assert len(answers) > 0
    assert not Customer.objects.exists()
    assert not Activity.objects.exists()
    assert any(record.levelname == "ERROR" for record in caplog.records if record.name.startswith("track360"))
    assert "Alexandrina" not in caplog.text


def hold(lock: Callable[[], object], until: threading.Event) -> tuple[Aside, threading.Event]:
    """Let a transaction of the host hold a row until an event."""
    holds = threading.Event()

    def work() -> None:
        with transaction.atomic():
            lock()
            holds.set()
            until.wait(60)

    return Aside(work), holds


@pytest.mark.postgres
@pytest.mark.parametrize("model", [Customer, Activity], ids=["customer", "activity"])
def test_row_held_for_a_moment_is_settled_afterwards(
    fault_api: FaultServer, model: type[Customer | Activity]
) -> None:
    """A transaction of the host that holds a record while its answer comes costs a moment and no second request."""
    customer = make_customer("c1")
    if model is Activity:
        delivery.drain()
        customer.refresh_from_db()
        make_activities(customer, 2)
    done = threading.Event()
    host, holds = hold(lambda: list(model._default_manager.select_for_update()), done)
    assert holds.wait(60)

    def answer(exchange: api.Exchange) -> behaviours.Fault:
        is_it = exchange.endpoint == (CUSTOMERS if model is Customer else ACTIVITIES)
        if is_it:
            threading.Timer(1.0, done.set).start()
        return behaviours.OBEY

    fault_api.plan = answer
    delivery.drain()
    host.join()

    assert is_all_delivered()
    assert found(fault_api) == []
    assert len(fault_api.exchanges) == (1 if model is Customer else 2)


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let delivery try for half a second to settle what another transaction holds."""
    monkeypatch.setattr(sender, "LOCKED_SECONDS", 0.5)


@pytest.mark.postgres
def test_held_activity_in_the_hands_of_the_host_holds_no_worker(
    fault_api: FaultServer, short_patience: None
) -> None:
    """A drain ends while the host holds an activity that its customer would release; afterwards both arrive."""
    make_activities(make_customer("c1"), 1)
    done = threading.Event()
    host, holds = hold(lambda: list(Activity.objects.select_for_update()), done)
    assert holds.wait(60)

    delivery.drain()

    before = Customer.objects.get().status
    done.set()
    host.join()
    expire_leases()
    delivery.drain()
    assert before == Status.PENDING
    assert is_all_delivered()
    assert len(fault_api.exchanges) == 3


@pytest.mark.postgres
def test_corrected_deposit_and_update_of_its_customer_survive_the_settling(fault_api: FaultServer) -> None:
    """A transaction that saves a reported deposit again and then updates its customer never loses to a worker."""
    user = User.objects.create_user("alex")
    account = Account.objects.create(user=user)
    customers.report(user)
    deposit = Deposit.objects.create(account=account, amount=5, currency="USD", status="completed")
    has_saved = threading.Event()
    failures: list[int] = []

    def work() -> None:
        Deposit.objects.filter(pk=deposit.pk).update(amount=6)
        Deposit.objects.get(pk=deposit.pk).save()
        has_saved.set()
        wait_until(lambda: fault_api.exchanges, "the customer is sent")
        # Longer than Postgres waits before it looks for a deadlock: then the one who waits last is the victim.
        time.sleep(2)
        customers.update(user, salesStatus="VIP")

    host = Aside(lambda: failures.append(retried(work)))
    assert has_saved.wait(60)
    delivery.drain()
    host.join()

    assert failures == [0]


@pytest.mark.postgres
def test_update_and_bet_of_two_customers_crosswise_need_no_retry(fault_api: FaultServer) -> None:
    """A transaction that updates one customer and reports a bet of another waits for nobody who does the opposite."""
    first, second = make_customers(2)
    both_have_updated = threading.Barrier(2)
    failures: list[int] = []

    def change(one: Customer, other: Customer, name: str) -> None:
        is_first = [True]

        def work() -> None:
            customers.update(one.customer_id, salesStatus=name)
            activities.report("Bet", customer=other, value=5, currency="USD", eventid=f"bet-{name}")
            if is_first.pop() if is_first else False:
                both_have_updated.wait(60)

        failures.append(retried(work))

    pairs = ((first, second, "a"), (second, first, "b"))
    for thread in [Aside(partial(change, *pair)) for pair in pairs]:
        thread.join()
    delivery.drain()

    assert failures == [0, 0]
    assert accepted(fault_api) == ["bet-a", "bet-b"]
    assert found(fault_api) == []


@pytest.mark.postgres
def test_row_held_for_long_is_sent_once_more(fault_api: FaultServer, short_patience: None) -> None:
    """A row that the host does not let go stays as it was, and goes out again afterwards; nobody waits for ever."""
    make_customer("c1")
    done = threading.Event()
    host, holds = hold(lambda: list(Customer.objects.select_for_update()), done)
    assert holds.wait(60)

    begun = time.monotonic()
    delivery.drain()
    ended = time.monotonic()

    done.set()
    host.join()
    assert Customer.objects.get().status == Status.PENDING
    assert delivery.drain().requests == 0, "its lane rests for a while"
    expire_leases()
    delivery.drain()
    assert is_all_delivered()
    assert found(fault_api, [(begun, ended)]) == []
    assert len(fault_api.exchanges) == 2


@pytest.mark.postgres
def test_open_deposit_of_a_customer_does_not_hinder_the_settling(fault_api: FaultServer) -> None:
    """A long transaction that only reports activities of a customer is no reason to send the customer again."""
    customer = make_customer("c1")
    done = threading.Event()

    def report() -> None:
        activities.report("Bet", customer=customer, value=5, currency="USD", eventid="in-a-long-job")

    host, holds = hold(report, done)
    assert holds.wait(60)

    delivery.drain()
    status = Customer.objects.get().status

    done.set()
    host.join()
    delivery.drain()
    assert status == Status.DELIVERED
    assert found(fault_api) == []
