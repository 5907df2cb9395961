"""Reconciliation: whatever wrote the ledger, what Track360 accepts equals it, each row once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.utils import timezone
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from tests.ledger.models import Payment
from track360_django import activities, customers, delivery, reconcile, tasks
from track360_django.activities.declarations.rows import reverse_locked
from track360_django.models import Activity, Customer
from track360_django.reconcile import balance, missing_users, runner
from track360_django.reconcile.missing_users import Unreported
from track360_django.sandbox.server import SandboxServer
from track360_django.signals import customer_signed_up

pytestmark = pytest.mark.django_db

Kind = type[activities.ModelActivity]
Declare = Callable[..., None]


class Paid(activities.ModelActivity):
    """A payment that was paid."""

    eventname = "Payment"
    when = Q(status="paid")
    customer = "player"
    value, currency, createtime = "amount", "currency", "paid_at"


class Computed(Paid):
    """The same, with a value that only Python knows."""

    value = None  # type: ignore[assignment]

    def get_value(self, row: Payment) -> Decimal:
        """Return the amount."""
        return row.amount


class Reversible(Paid):
    """The same, with reversals."""

    on_reverse = "negative"


def unannounced(count: int = 1, **fields: Any) -> list[Payment]:
    """Write payments that no signal tells of."""
    values = {"player": "c-1", "amount": Decimal(5), "status": "paid", **fields}
    return Payment.objects.bulk_create([Payment(**values) for _ in range(count)])


def since(**ago: int) -> datetime:
    """Return a time so long ago."""
    return timezone.now() - timedelta(**(ago or {"days": 7}))


def gap_of(found: runner.Reconciliation, model: str = "tests_ledger.Payment") -> Any:
    """Return what was found of payments."""
    (gap,) = (each for each in found.gaps if each.model == model)
    return gap


def command(*args: str) -> tuple[str, int]:
    """Run the command; return what it prints, and its exit code."""
    out = StringIO()
    try:
        call_command("track360", "reconcile", *args, stdout=out)
    except CommandError as error:
        return f"{out.getvalue()}\n{error}", error.returncode
    return out.getvalue(), 0


# Rows without a record.


@pytest.mark.parametrize("kind", [Paid, Computed])
def test_rows_that_nobody_announced_are_reported_with_the_same_ids(declare: Declare, kind: Kind) -> None:
    """As their hook would have, once, however often it runs."""
    declare(kind)
    saved = Payment.objects.create(player="c-1", amount=Decimal(7), status="paid")
    rows = [saved, *unannounced(3), *unannounced(2, status="pending")]

    first = gap_of(reconcile.run(since=since()))
    again = gap_of(reconcile.run(since=since()))

    assert (first.rows, first.missing, first.reported, first.refused) == (4, 3, 3, 0)
    assert (again.rows, again.missing, again.reported) == (4, 0, 0)
    assert {each.eventid for each in Activity.objects.all()} == {f"Payment-{row.pk}" for row in rows[:4]}


def test_older_rows_are_left_alone_and_rows_without_a_date_are_not(declare: Declare) -> None:
    """`dated_by` tells how old a row is."""

    class Dated(Paid):
        createtime = None  # type: ignore[assignment]
        dated_by = "paid_at"

    declare(Dated)
    unannounced(paid_at=since(days=30))
    (young,) = unannounced(paid_at=since(days=3))

    reconcile.run(since=since(days=7))

    assert [each.source_pk for each in Activity.objects.all()] == [str(young.pk)]


def test_dry_run_writes_nothing(declare: Declare) -> None:
    """It counts, and exits with 1."""
    declare(Paid)
    unannounced(2)

    text, code = command("--dry-run", "--since", "1d")

    assert code == 1
    assert "Payment from tests_ledger.Payment: 2 rows, 2 without a record, 0 reported now" in text
    assert "2 rows without a record" in text
    assert not Activity.objects.exists()


def test_bad_row_stops_no_other_and_needs_a_person(declare: Declare) -> None:
    """A value that can't be reported, and a declaration that raises: dead records that say why."""

    class Picky(Paid):
        def get_value(self, row: Payment) -> Decimal:
            if row.amount == 666:
                raise LookupError
            return row.amount

        value = None  # type: ignore[assignment]

    declare(Picky)
    unannounced(3)
    unannounced(amount=Decimal(666))
    unannounced(currency="QQQ")
    unannounced(player="")

    text, code = command()

    assert code == 1
    assert "6 rows, 6 without a record, 3 reported now, 3 refused" in text
    dead = Activity.objects.filter(status="dead").values_list("reason", flat=True)
    assert sorted(dead) == ["declaration", "no_customer", "unknown_currency"]
    command()
    assert Activity.objects.count() == 6


def test_changed_event_id_pays_nobody_twice(declare: Declare) -> None:
    """A row with a record under another id was reported: a person is told, nothing goes out again."""
    declare(Paid)
    unannounced(2)
    reconcile.run(since=since())
    activities.unregister(Payment, Paid)

    class Renamed(Paid):
        def get_eventid(self, row: Payment) -> str:
            return f"P{row.pk}"

    declare(Renamed)
    unannounced()
    found = reconcile.run(since=since())

    gap = gap_of(found)
    assert (gap.renamed, gap.missing, gap.reported) == (2, 1, 1)
    assert "count them twice" in " ".join(found.problems())
    assert Activity.objects.count() == 3


def test_one_declaration_that_fails_hides_no_other(declare: Declare) -> None:
    """Its error is told, the others are reconciled."""

    class Broken(Paid):
        eventname = "Broken"
        when = Q(status="paid") & Q(paid_at__lt="no time")

    declare(Broken, Payment)
    declare(Paid, Payment)
    unannounced()

    found = reconcile.run(since=since())

    (problem,) = found.failures
    assert "Broken could not be reconciled: ValidationError in " in problem
    assert Activity.objects.filter(eventname="Payment").count() == 1


def test_beat_task_fills_gaps_and_tells(declare: Declare, caplog: pytest.LogCaptureFixture) -> None:
    """The gaps of the last days."""
    declare(Paid)
    unannounced(2)
    unannounced(paid_at=since(days=10))

    tasks.reconcile()

    assert Activity.objects.count() == 2
    assert "2 rows and 0 reversals had no record and were reported" in caplog.text


def test_switched_off_package_reconciles_nothing(declare: Declare, settings: HostSettings) -> None:
    """`ENABLED = False` is off."""
    declare(Paid)
    unannounced()
    configure(settings, ENABLED=False)

    tasks.reconcile()

    assert not Activity.objects.exists()


def test_rows_cost_few_queries(declare: Declare, django_assert_max_num_queries: Any) -> None:
    """A thousand rows in order are as cheap as one."""
    declare(Paid)
    unannounced(1000)
    reconcile.run(since=since())

    with django_assert_max_num_queries(30):
        assert gap_of(reconcile.run(since=since(), with_balance=False)).rows == 1000


# Reversals that nobody announced.


def test_unannounced_reversal_is_reported(declare: Declare) -> None:
    """`update()` took the row back."""
    declare(Reversible)
    row = Payment.objects.create(player="c-1", amount=Decimal(7), status="paid")
    Payment.objects.update(status="reversed")

    found = reconcile.run(since=since())
    again = reconcile.run(since=since())

    assert (gap_of(found).unreversed, gap_of(found).reversed, gap_of(again).unreversed) == (1, 1, 0)
    values = {each.eventid: json.loads(each.body)["Value"] for each in Activity.objects.all()}
    assert values == {f"Payment-{row.pk}": "7.00", f"Payment-{row.pk}-reversal": "-7.00"}


def test_deletion_by_sql_is_a_reversal(declare: Declare) -> None:
    """The record tells what its row can't any more."""
    declare(Reversible)
    row = Payment.objects.create(player="c-1", amount=Decimal(7), status="paid")
    Payment.objects.create(player="c-1", amount=Decimal(8), status="paid")
    Payment.objects.filter(pk=row.pk)._raw_delete(connection.alias)

    found = reconcile.run(since=since())
    reconcile.run(since=since())

    assert gap_of(found).reversed == 1
    values = [json.loads(each.body)["Value"] for each in Activity.objects.order_by("pk")]
    assert values == ["7.00", "8.00", "-7.00"]
    assert found.balance is not None
    assert {line.unexplained for _, line in found.balance.sorted()} == {0}


def test_row_that_was_paid_meanwhile_is_not_reversed(declare: Declare) -> None:
    """It was seen pending, and has a record by now: asked again, with the row locked, it counts."""
    declare(Reversible)
    row = Payment.objects.create(player="c-1", amount=Decimal(7), status="paid")
    (declaration,) = (each for each in activities.declarations() if each.model is Payment)

    assert reverse_locked(declaration, row.pk, connection.alias, connection.alias) is None

    assert Activity.objects.count() == 1


def test_reversal_of_an_old_row_is_found_by_its_own_date(declare: Declare) -> None:
    """`reversed_at`, where that is a column, tells that something happened lately."""

    class Dated(Reversible):
        createtime = "amount"
        dated_by = "paid_at"
        reversed_at = "paid_at"

        def get_createtime(self, _row: Payment) -> datetime:
            return datetime(2025, 1, 1, tzinfo=UTC)

    declare(Dated)
    Payment.objects.create(player="c-1", amount=Decimal(7), status="paid", paid_at=since(days=90))
    Payment.objects.update(status="reversed", paid_at=since(days=1))

    assert gap_of(reconcile.run(since=since(days=3))).reversed == 1


def test_row_that_counts_again_is_told(declare: Declare) -> None:
    """Nothing is reported twice by itself; ledger and Track360 differ by it."""
    declare(Reversible)
    row = Payment.objects.create(player="c-1", amount=Decimal(7), status="paid")
    for status in ("reversed", "paid"):
        row.status = status
        row.save()

    found = reconcile.run(since=since())

    assert gap_of(found).reactivated == 1
    assert "count again" in " ".join(found.problems())
    assert found.balance is not None
    assert {line.unexplained for _, line in found.balance.sorted()} == {Decimal(7)}


def test_reversal_of_a_row_older_than_the_balance_is_no_difference(declare: Declare) -> None:
    """The reversal is of today, the payment is not looked at."""
    declare(Reversible)
    row = Payment.objects.create(player="c-1", amount=Decimal(7), status="paid", paid_at=since(days=60))
    row.status = "reversed"
    row.save()

    found = reconcile.run(since=since(days=7))

    assert found.balance is not None
    assert {line.unexplained for _, line in found.balance.sorted()} == {0}


class Twin(Paid):
    """The same rows under the same name and other ids, on purpose."""

    def get_eventid(self, row: Payment) -> str:
        """Return an id of its own."""
        return f"twin-{row.pk}"


def test_record_of_a_twin_is_not_another_id_of_the_row(declare: Declare) -> None:
    """Two declarations of one event name are two records of each row."""
    declare(Paid)
    declare(Twin)
    unannounced(2)

    reconcile.run(since=since())

    assert Activity.objects.count() == 4


class Raising(Reversible):
    """Raises for one row in each of its methods."""

    method = ""

    def get_eventid(self, row: Payment) -> str:
        """Return an id, or raise."""
        if row.amount == 666 and self.method == "eventid":
            raise LookupError
        return f"P-{row.pk}"

    def get_reversed_at(self, row: Payment) -> datetime | None:
        """Return nothing, or raise."""
        if row.amount == 666 and self.method == "reversed_at":
            raise LookupError
        return None


@pytest.mark.parametrize("method", ["eventid", "reversed_at"])
def test_row_that_raises_stops_no_other(declare: Declare, method: str) -> None:
    """Neither a missing record nor a missing reversal of the others."""
    kind = type("Kind", (Raising,), {"method": method})
    declare(kind)
    first = unannounced(3)
    unannounced(amount=Decimal(666))
    reconcile.run(since=since())
    assert Activity.objects.exclude(status="dead").count() >= 3
    Payment.objects.update(status="reversed")

    found = reconcile.run(since=since())

    reversed_pks = set(
        Activity.objects.filter(eventid__endswith="-reversal", status="held").values_list(
            "source_pk", flat=True
        )
    )
    assert reversed_pks == {str(row.pk) for row in first}
    assert bool(found.problems()) is (method == "reversed_at")


@pytest.mark.parametrize("bad", ["customer", "setting"])
def test_customer_id_that_raises_stops_no_other(declare: Declare, settings: HostSettings, bad: str) -> None:
    """A setting that fails for one user costs that user's rows alone."""
    users = [User.objects.create(username=name) for name in ("alex", "sam")]

    def customer_id(user: User) -> str:
        if user.username == "sam" and bad == "setting":
            raise LookupError
        return "" if user.username == "sam" else f"id-{user.pk}"

    configure(settings, CUSTOMER_ID=customer_id)

    class OfUsers(Paid):
        def get_customer(self, row: Payment) -> User:
            return User.objects.get(username=row.player)

    declare(OfUsers)
    for user in users:
        unannounced(player=user.username)

    gap = gap_of(reconcile.run(since=since()))

    assert (gap.reported, gap.refused) == (1, 1)


# The balance.


def lines(found: runner.Reconciliation) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the balance: key to ledger, accepted, waiting, dead."""
    assert found.balance is not None
    return {
        tuple(key): tuple("?" if n is None else f"{n:.2f}" for n in (e.ledger, e.accepted, e.waiting, e.dead))
        for key, e in found.balance.sorted()
        if key.eventname in {"Payment", "Chargeback", "GGR", "DailyStats"}
    }


def test_balance_adds_up_by_kpi_day_product_and_currency(
    declare: Declare, settings: HostSettings, track360_sandbox: SandboxServer
) -> None:
    """Ledger, accepted, on its way, dead; of a KPI that nothing declares only what Track360 has."""
    configure(settings, PRODUCT_FIELD="product")

    class Grouped(Paid):
        def get_product(self, row: Payment) -> str:
            return "Casino" if row.currency == "USD" else "Sports"

    declare(Grouped)
    customers.report("c-1")
    noon = datetime(2025, 7, 21, 12, tzinfo=UTC)
    unannounced(2, paid_at=noon)
    unannounced(paid_at=noon, currency="jpy", amount=Decimal(700))
    unannounced(paid_at=noon + timedelta(days=1), amount=Decimal("-1.25"))
    activities.report("GGR", customer="c-1", value=Decimal(3), currency="USD", createtime=date(2025, 7, 21))
    # Each day since then would be compiled else.
    until = noon + timedelta(days=2)
    reconcile.run(since=noon, until=until)
    delivery.drain()
    unannounced(paid_at=noon, amount=Decimal(10))

    found = reconcile.run(since=noon, until=until)

    assert lines(found) == {
        ("GGR", "Value", "2025-07-21", "", "USD"): ("?", "3.00", "0.00", "0.00"),
        ("Payment", "Value", "2025-07-21", "Casino", "USD"): ("20.00", "10.00", "10.00", "0.00"),
        ("Payment", "Value", "2025-07-21", "Sports", "JPY"): ("700.00", "700.00", "0.00", "0.00"),
        ("Payment", "Value", "2025-07-22", "Casino", "USD"): ("-1.25", "-1.25", "0.00", "0.00"),
    }
    assert track360_sandbox.store.activities()


@pytest.mark.parametrize("shape", ["track360_django.products.suffix", "track360_django.products.prefix"])
def test_balance_knows_names_that_products_shape(
    declare: Declare, settings: HostSettings, shape: str
) -> None:
    """The KPI is called as it is on the wire."""
    configure(settings, PRODUCT_FIELD=shape)

    class Grouped(Paid):
        def get_product(self, _row: Payment) -> str:
            return "Casino"

    declare(Grouped)
    day = datetime(2025, 7, 21, tzinfo=UTC)
    unannounced(paid_at=day.replace(hour=12))

    found = reconcile.run(since=day, until=day + timedelta(days=2))

    assert found.balance is not None
    (key,) = (key for key, _ in found.balance.sorted() if "Casino" in key.eventname)
    assert key.eventname in {"PaymentCasino", "CasinoPayment"}
    assert found.balance.lines[key].ledger == found.balance.lines[key].waiting == Decimal(5)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
def test_balance_counts_days_in_the_agreed_zone(declare: Declare, settings: HostSettings, zone: str) -> None:
    """Ledger and records say the same day, and the first one is whole."""
    configure(settings, TIME_ZONE=zone)
    declare(Paid)
    begin = datetime(2025, 7, 20, tzinfo=UTC)
    for hour in range(0, 48, 3):
        unannounced(paid_at=begin + timedelta(hours=hour, minutes=10))

    found = reconcile.run(since=begin + timedelta(hours=30), until=begin + timedelta(days=3))

    assert found.balance is not None
    assert {line.unexplained for _, line in found.balance.sorted()} == {0}
    first = next(iter(found.balance.lines))
    assert first.day == found.since.date().isoformat()


def test_row_without_a_time_is_of_the_day_that_its_record_says(declare: Declare) -> None:
    """No `createtime`: the record was stamped when it was written."""

    class Timeless(Paid):
        createtime = None  # type: ignore[assignment]

    declare(Timeless)
    Payment.objects.create(player="c-1", amount=Decimal(7), status="paid")

    found = reconcile.run(since=since())

    assert found.balance is not None
    ((_, line),) = found.balance.sorted()
    assert line.ledger == line.waiting == Decimal(7)


def test_balance_is_exact_beyond_what_python_rounds(declare: Declare) -> None:
    """Sums of thirty digits keep their last one."""
    totals = balance.Balance(since=date(2025, 7, 1))
    for value in (Decimal("12345678901234567890123456.01"), Decimal("0.00000001")):
        totals.add_row("Big", value, "USD", datetime(2025, 7, 21, tzinfo=UTC), None)
    declare(Paid)

    ((_, line),) = totals.sorted()
    assert line.ledger == Decimal("12345678901234567890123456.01000001")


def test_place_of_the_first_day_is_found_by_halving() -> None:
    """No record of the day, or later, is below it."""
    for number in range(40):
        activities.report("Bet", customer="c-1", eventid=f"{number}", value=1)
    pks = list(Activity.objects.order_by("pk").values_list("pk", flat=True))
    for number, pk in enumerate(pks):
        Activity.objects.filter(pk=pk).update(
            created_at=datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number)
        )
    Activity.objects.filter(pk__in=pks[5:9]).delete()

    first = balance.first_pk_since(date(2025, 1, 21), connection.alias)

    # Two days of slack.
    assert pks[17] <= first <= pks[18]
    assert balance.first_pk_since(date(2020, 1, 1), connection.alias) <= pks[0]
    assert balance.first_pk_since(date(2030, 1, 1), connection.alias) > pks[-1]


def test_command_prints_json(declare: Declare) -> None:
    """For machines: amounts as text, whatever their size."""
    declare(Paid)
    unannounced(amount=Decimal("1234567.50"))

    text, code = command("--json")

    report = json.loads(text)
    (total,) = (each for each in report["totals"] if each["eventname"] == "Payment")
    assert code == 0
    assert (total["ledger"], total["accepted"], total["waiting"]) == ("1234567.5", "0", "1234567.5")
    assert report["declarations"][-1]["reported"] == 1
    assert report["problems"] == []


def test_activation_that_nobody_announced_is_counted_and_released(settings: HostSettings) -> None:
    """The command tells of it in text and JSON; a dry run only tells, and says that a person is needed."""
    configure(settings, REPORT_ON="activation")
    user = User.objects.create(username="alex", is_active=False)
    customer_signed_up.send(sender=User, user=user)
    User.objects.update(is_active=True)

    told, code = command("--dry-run")
    held = Customer.objects.get()
    found = json.loads(command("--json")[0])
    again = json.loads(command("--json")[0])

    assert "customers: 1 activated without a signal, not reported yet\n" in told
    assert (code, held.status) == (1, "held")
    assert (found["activated"], again["activated"]) == (1, 0)
    assert Customer.objects.get().status == "pending"


def test_beat_tells_of_activations_that_nobody_announced(
    settings: HostSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """What the hourly task found is in the log."""
    configure(settings, REPORT_ON="activation")
    customer_signed_up.send(sender=User, user=User.objects.create(username="alex", is_active=False))
    User.objects.update(is_active=True)

    tasks.reconcile()

    assert "1 customers were activated without a signal" in caplog.text
    assert Customer.objects.get().status == "pending"


# Users whom nobody reported.


@pytest.mark.urls("tests.host.urls")
def test_signup_that_was_not_written_down_is_seen_by_reconciliation(settings: HostSettings) -> None:
    """Somebody who signs up on a host of no brand is served as ever; the command counts them, and says what to do."""
    settings.ALLOWED_HOSTS = ["*"]
    configure(settings, BRANDS={"red": {"HOSTS": ["red.example"]}, "blue": {"HOSTS": ["blue.example"]}})
    for host in ("unknown.example", "red.example"):
        Client(headers={"host": host}).post("/host/join/", {"username": host})
    missed = User.objects.get(username="unknown.example")

    told, code = command()
    found = json.loads(command("--json")[0].partition("\nSomething")[0])

    assert "unreported users: 1 joined and are not a customer of any brand\n" in told
    assert f"1 unreported users (primary keys: {missed.pk})" in told
    assert "customers.report(user, brand=…)" in told
    assert (code, found["unreported_users"]) == (1, {"count": 1, "pks": [str(missed.pk)]})

    call_command("track360", "backfill", "users", "--brand", "red", stdout=StringIO())

    assert reconcile.run(since=since()).problems() == []


def test_user_who_need_not_be_a_customer_is_not_missed(settings: HostSettings) -> None:
    """Staff, inactive users, those who joined before, and customers who were reported by an id are as they should be."""
    User.objects.create(username="boss", is_staff=True)
    User.objects.create(username="asleep", is_active=False)
    User.objects.create(username="old", date_joined=since(days=30))
    # Far from what the database counts up to in a run.
    customers.report("4700711")
    User.objects.create(pk=4700711, username="by-id")
    customers.report(User.objects.create(username="alex"))

    assert reconcile.run(since=since()).unreported == Unreported()

    User.objects.create(username="kim")
    assert reconcile.run(since=since()).unreported.count == 1  # type: ignore[union-attr]
    configure(settings, SIGNUP_SOURCES=())
    assert reconcile.run(since=since()).unreported == Unreported()


def test_many_unreported_users_are_counted_and_five_are_named(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    """Page by page, in a few queries each."""
    monkeypatch.setattr(missing_users, "PAGE", 10)
    users = User.objects.bulk_create([User(username=f"u{number}") for number in range(25)])
    customers.report(users[0])

    with django_assert_max_num_queries(12):
        found = missing_users.find(since())

    assert (found.count, found.pks) == (24, [str(user.pk) for user in users[1:6]])


def test_beat_reads_no_users(caplog: pytest.LogCaptureFixture) -> None:
    """The hourly task looks at what is indexed."""
    User.objects.create(username="kim")

    found = reconcile.fill()

    assert (found.unreported, found.problems(), caplog.text) == (None, [], "")
