"""Activities: declared models and explicit reports; each counted once, to the cent, behind its customer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F, Model, Q
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings as HostSettings

from example_project.cashier.models import Account, Deposit
from example_project.cashier.track360 import DepositActivity
from tests.configuration import configure
from track360_django import activities, customers, delivery, signals
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

Declare = Callable[[type[Model], type[activities.ModelActivity]], None]
DONE = Deposit.Status.COMPLETED


@pytest.fixture(autouse=True)
def nothing_is_agreed(settings: HostSettings) -> None:
    """Begin without what the example project agreed: a test that needs it says so."""
    configure(settings, EVENTS=(), PRODUCT_FIELD="")


@pytest.fixture
def user() -> User:
    """Return somebody nobody has reported."""
    return User.objects.create(username="alex")


@pytest.fixture
def account(user: User) -> Account:
    """Return their account."""
    return Account.objects.create(user=user)


@pytest.fixture
def declare() -> Iterator[Declare]:
    """Return a function that declares a model for one test, instead of what the example declares for deposits."""
    declared: list[tuple[type[Model], type[activities.ModelActivity]]] = []
    activities.unregister(Deposit, DepositActivity)

    def register(model: type[Model], declaration: type[activities.ModelActivity]) -> None:
        activities.register(model)(declaration)
        declared.append((model, declaration))

    yield register
    for model, declaration in declared:
        activities.unregister(model, declaration)
    activities.register(Deposit)(DepositActivity)


def deposit(account: Account, **fields: Any) -> Deposit:
    """Save a deposit; it is completed if nothing else is said."""
    values = {
        "amount": Decimal(250),
        "currency": "USD",
        "status": DONE,
        "completed_at": timezone.now(),
        **fields,
    }
    return Deposit.objects.create(account=account, **values)


def bodies() -> list[dict[str, Any]]:
    """Return the bodies of all activities, oldest first."""
    return [json.loads(activity.body) for activity in Activity.objects.order_by("pk")]


class Plain(activities.ModelActivity):
    """A deposit with the fewest words."""

    eventname = "Deposit"
    when = Q(status="completed")
    customer = "account__user"
    value, currency, createtime = "amount", "currency", "completed_at"


# Once, when it first becomes true.


def test_row_is_reported_when_its_condition_first_holds(account: Account) -> None:
    """A pending row is nothing, a completed one is an activity, and stays one."""
    made = deposit(account, status=Deposit.Status.PENDING, completed_at=None)
    assert not Activity.objects.exists()

    made.complete()
    made.complete()
    made.save()
    Deposit.objects.get().save()

    activity = Activity.objects.get()
    assert (activity.eventname, activity.eventid) == ("Deposit", made.reference)
    assert (activity.source, activity.source_pk) == ("cashier.Deposit", str(made.pk))
    assert activity.changed_at is None


def test_row_that_is_created_complete_is_reported(account: Account) -> None:
    """A row may fulfil its condition from the start."""
    deposit(account)

    assert len(bodies()) == 1


def test_row_that_loses_its_condition_stays_reported(account: Account, declare: Declare) -> None:
    """A deposit that fails after it was completed is told by a person, not unsent."""
    declare(Deposit, Plain)
    made = deposit(account)
    body = Activity.objects.get().body

    made.status = Deposit.Status.FAILED
    made.save()

    assert Activity.objects.get().body == body


def test_declaration_without_a_condition_reports_every_row(account: Account, declare: Declare) -> None:
    """Without `when` a row is reported when it is created."""

    class Opened(activities.ModelActivity):
        eventname = "Registration"

    declare(Account, Opened)

    Account.objects.create(user=account.user, currency="EUR")

    assert [body["eventname"] for body in bodies()] == ["Registration"]


@pytest.mark.django_db(transaction=True)
def test_rolled_back_row_is_no_activity(account: Account) -> None:
    """The record belongs to the host's transaction."""
    with transaction.atomic():
        deposit(account)
        transaction.set_rollback(True)

    assert not Deposit.objects.exists()
    assert not Activity.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_row_saved_in_autocommit_is_an_activity(account: Account) -> None:
    """Without a transaction the record follows its row."""
    deposit(account)

    assert Activity.objects.count() == 1


def test_fixture_is_no_activity(account: Account, tmp_path: Path) -> None:
    """Raw rows are a copy of something, not money that arrives."""
    made = deposit(account)
    fixture = tmp_path / "deposits.json"
    call_command("dumpdata", "cashier.deposit", output=str(fixture), verbosity=0)
    Activity.objects.all().delete()
    Deposit.objects.all().delete()

    call_command("loaddata", str(fixture), verbosity=0)

    assert Deposit.objects.get() == made
    assert not Activity.objects.exists()


def test_switched_off_package_reports_no_row(account: Account, settings: HostSettings) -> None:
    """`ENABLED = False` writes nothing."""
    configure(settings, ENABLED=False)

    deposit(account)

    assert not Activity.objects.exists()


def test_row_that_no_signal_announced_can_be_reported(account: Account) -> None:
    """`update()` sends no signal; the declaration reports the row when it is asked."""
    made = deposit(account, status=Deposit.Status.PENDING)
    (declaration,) = (each for each in activities.declarations() if isinstance(each, DepositActivity))
    before = declaration.report(made)
    Deposit.objects.update(status=DONE)

    activity = declaration.report(Deposit.objects.get())

    assert before is None
    assert activity is not None
    assert Activity.objects.get().eventid == activity.eventid


# What memory says and what the table says.


def test_condition_that_was_not_saved_is_not_reported(account: Account) -> None:
    """A row that is complete in memory alone brings no money."""
    made = deposit(account, status=Deposit.Status.PENDING, completed_at=None)
    made.status = DONE

    made.save(update_fields=["method"])

    assert Deposit.objects.get().status == Deposit.Status.PENDING
    assert not Activity.objects.exists()


def test_amount_that_was_not_saved_is_not_reported(account: Account) -> None:
    """The amount of the table is reported when a partial save leaves another one in memory."""
    made = deposit(account, status=Deposit.Status.PENDING)
    made.amount, made.status = Decimal(999), DONE

    made.save(update_fields=["status"])

    assert [body["Value"] for body in bodies()] == ["250.00"]


def test_nonsense_that_was_not_saved_is_not_reported(account: Account) -> None:
    """What is no number in memory and was not saved harms nothing."""
    made = deposit(account, status=Deposit.Status.PENDING)
    made.amount, made.status = "nonsense", DONE  # as a form may leave it

    made.save(update_fields=["status"])

    assert [body["Value"] for body in bodies()] == ["250.00"]


AMOUNTS: list[Any] = [
    Decimal(5),
    Decimal("5.1"),
    "5",
    "5.10",
    5,
    5.1,
    0.1 + 0.2,
    Decimal("2.345"),
    # Halves of the last place: databases round them differently.
    Decimal("2.3455"),
    Decimal("2.3345"),
    Decimal("2.3225"),
    "2.3455",
    2.6645,
    2.6755,
    Decimal("0.0125"),
    Decimal("99999999999.9994"),
]


@pytest.mark.parametrize("amount", AMOUNTS, ids=repr)
def test_amount_is_reported_as_the_table_keeps_it(account: Account, amount: Any) -> None:
    """Whatever type the host assigned, what is reported is what is stored: three places, or two where the third is 0."""
    deposit(account, amount=amount)

    stored = Deposit.objects.get().amount
    assert [body["Value"] for body in bodies()] == [f"{stored:.3f}".removesuffix("0")]
    assert Activity.objects.get().status != "dead"


def test_expression_is_read_from_the_table(account: Account) -> None:
    """An amount that the database computes is reported as it was computed."""
    made = deposit(account, status=Deposit.Status.PENDING)
    made.amount, made.status = F("amount") + Decimal("0.50"), DONE

    made.save()

    assert [body["Value"] for body in bodies()] == ["250.50"]


def test_time_is_reported_as_the_table_keeps_it(account: Account) -> None:
    """A time may be text in memory."""
    deposit(account, completed_at="2025-07-21T10:46:59+02:00")

    assert bodies()[0]["createtime"] == "2025-07-21 08:46"


def test_row_without_a_time_is_reported_now_and_once(account: Account) -> None:
    """A row that knows no time happened when it was saved; saving it later changes nothing."""
    made = deposit(account, completed_at=None)
    Activity.objects.update(body=Activity.objects.get().body.replace('"createtime":"2', '"createtime":"1'))

    made.save()

    assert Activity.objects.get().changed_at is None


# How attributes are read.


class Spoken(Plain):
    """A declaration that uses every way to say something."""

    customer = "account.user"
    # mypy takes a function in a class body for a method.
    value = lambda row: row.amount * 2  # type: ignore[assignment]  # noqa: E731
    eventid = "reference"
    fields = {
        "depositType": "get_method_display",
        "owner": "account__user__username",
        "isCard": lambda row: row.method == "card",
        "fee": "amount",
        "note": "nothing",
    }

    def get_currency(self, row: Deposit) -> str:
        """Return the currency."""
        return row.currency.lower()

    def get_note(self, row: Deposit) -> str:  # noqa: ARG002  the signature of a hook
        """Return nothing."""
        return ""


def test_attributes_are_paths_functions_and_methods(account: Account, declare: Declare) -> None:
    """All ways to name a value work, for attributes and for fields."""
    declare(Deposit, Spoken)

    made = deposit(account, completed_at=datetime(2025, 7, 21, 8, 46, tzinfo=UTC))

    assert bodies() == [
        {
            "eventname": "Deposit",
            "eventid": made.reference,
            "createtime": "2025-07-21 08:46",
            "customerid": str(account.user_id),
            "Value": "500.00",
            "Currency": "USD",
            "depositType": "Credit card",
            "owner": "alex",
            "isCard": True,
            "fee": "250.00",
        }
    ]


def test_event_id_is_made_of_name_and_row_by_default(account: Account, declare: Declare) -> None:
    """Without `eventid` the primary key tells rows apart."""
    declare(Deposit, Plain)

    made = deposit(account)

    assert Activity.objects.get().eventid == f"Deposit-{made.pk}"


def test_two_declarations_of_one_model_are_two_activities(account: Account, declare: Declare) -> None:
    """A row may be a deposit and a fee."""

    class Fee(Plain):
        eventname = "Fee"

    declare(Deposit, Plain)
    declare(Deposit, Fee)

    deposit(account)

    assert [body["eventname"] for body in bodies()] == ["Deposit", "Fee"]


def test_customer_may_be_a_text_id(account: Account, declare: Declare, settings: HostSettings) -> None:
    """A path may lead to the customer id itself."""

    class ById(Plain):
        customer = "account__user__username"

    configure(settings, CUSTOMER_ID="username")
    declare(Deposit, ById)

    deposit(account)

    assert bodies()[0]["customerid"] == "alex"
    assert Customer.objects.get().user_pk == str(account.user_id)


def test_customer_may_be_a_foreign_keys_column(account: Account, declare: Declare) -> None:
    """A path may lead to the primary key, where that is the customer id."""

    class ByKey(Plain):
        customer = "account__user_id"

    declare(Deposit, ByKey)

    deposit(account)

    assert bodies()[0]["customerid"] == str(account.user_id)
    assert Customer.objects.get().status == "pending"


# What can't be reported.


@pytest.fixture
def dead() -> Iterator[list[dict[str, Any]]]:
    """Return what `record_dead` told, as it is told."""
    told: list[dict[str, Any]] = []

    def receive(**words: Any) -> None:
        told.append(words)

    signals.record_dead.connect(receive)
    yield told
    signals.record_dead.disconnect(receive)


UNREPORTABLE: list[tuple[str, Any]] = [
    ("value", Decimal("NaN")),
    ("value", Decimal("Infinity")),
    ("value", Decimal("1E+50")),
    ("value", 12.5),
    ("value", True),
    ("value", "12,50"),
    ("value", object()),
    ("currency", "US Dollar"),
    ("currency", 840),
    ("createtime", "yesterday"),
    ("createtime", "2025-02-30"),
    ("createtime", 7),
    ("customer", None),
    ("customer", ""),
    ("customer", "x" * 256),
    ("customer", "a\x00b"),
    ("eventid", "a\x00b"),
    ("product", "Casino"),
    ("note", 1.5),
    ("note", "a\x00b"),
    ("note", ["a"]),
]


@pytest.mark.parametrize(
    ("name", "value"), UNREPORTABLE, ids=[f"{name}-{value!r:.20}" for name, value in UNREPORTABLE]
)
def test_value_that_cannot_be_reported_is_a_dead_record_and_no_error(
    account: Account, declare: Declare, dead: list[dict[str, Any]], name: str, value: Any
) -> None:
    """The sale goes on; a person is told why it is not reported, and nothing of the value."""

    class Wrong(Plain):
        fields = {"note": "method"}

    setattr(Wrong, f"get_{name}", lambda *_: value)
    declare(Deposit, Wrong)

    made = deposit(account)

    assert Deposit.objects.filter(pk=made.pk).exists()
    activity = Activity.objects.get()
    assert (activity.status, activity.due_at, activity.source_pk) == ("dead", None, str(made.pk))
    assert activity.reason
    assert [(each["record"], each["brand"]) for each in dead] == [("activity", "default")]
    assert activity.reason in dead[0]["reason"]


def test_dead_row_that_is_corrected_is_delivered(
    account: Account, declare: Declare, track360_sandbox: SandboxServer
) -> None:
    """Saving a corrected row puts the right record in the place of the dead one."""

    class Currency(Plain):
        eventid = "reference"

    declare(Deposit, Currency)
    made = deposit(account, currency="???")
    dead = Activity.objects.get().status

    made.currency = "USD"
    made.save()
    delivery.drain()

    assert dead == "dead"
    assert [record["Value"] for record in track360_sandbox.store.activities()] == ["250.00"]
    assert [activity.status for activity in Activity.objects.all()] == ["delivered"]


def test_delivered_row_that_becomes_unreportable_is_flagged(
    account: Account, declare: Declare, track360_sandbox: SandboxServer
) -> None:
    """What was sent stays as it is, and a person is told that its row changed."""

    class Currency(Plain):
        eventid = "reference"

    declare(Deposit, Currency)
    made = deposit(account)
    delivery.drain()

    made.currency = "???"
    made.save()

    activity = Activity.objects.get()
    assert activity.status == "delivered"
    assert activity.changed_at is not None


def test_dead_row_that_is_saved_again_is_told_once(
    account: Account, declare: Declare, dead: list[dict[str, Any]]
) -> None:
    """A row that stays wrong makes one record and one alert."""
    declare(Deposit, Plain)
    made = deposit(account, currency="???")

    made.save()
    made.save()

    assert Activity.objects.count() == 1
    assert len(dead) == 1


def test_error_of_a_method_is_the_hosts(account: Account, declare: Declare) -> None:
    """A bug in the host's own method is raised where the row is saved."""

    class Buggy(Plain):
        def get_value(self, row: Deposit) -> Decimal:  # noqa: ARG002  the signature of a hook
            """Fail."""
            message = "a bug of the host"
            raise ZeroDivisionError(message)

    declare(Deposit, Buggy)

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        deposit(account)

    assert not Deposit.objects.exists()


@pytest.mark.parametrize("corrections", ["flag", "resend"])
def test_rows_of_two_models_with_one_event_id_are_never_taken_for_one(  # noqa: PLR0913, PLR0917  fixtures
    account: Account,
    declare: Declare,
    settings: HostSettings,
    track360_sandbox: SandboxServer,
    dead: list[dict[str, Any]],
    corrections: str,
) -> None:
    """Two tables that feed one KPI with the same ids: the first is reported, the second is dead, not swallowed."""

    class Opening(activities.ModelActivity):
        eventname = "Deposit"
        value = lambda _: Decimal(1)  # type: ignore[assignment]  # noqa: E731  see Spoken
        currency = "currency"

    configure(settings, CORRECTIONS=corrections)
    declare(Deposit, Plain)
    declare(Account, Opening)
    deposit(account, pk=4711)
    second = Account.objects.create(pk=4711, user=account.user, currency="EUR")
    delivery.drain()

    second.save()
    delivery.drain()

    assert [record["Value"] for record in track360_sandbox.store.activities()] == ["250.00"]
    assert [(each.status, each.reason) for each in Activity.objects.order_by("pk")] == [
        ("delivered", ""),
        ("dead", "eventid_taken"),
    ]
    assert len(dead) == 1


def test_requeued_record_whose_event_id_is_still_taken_stays_dead(account: Account, declare: Declare) -> None:
    """A person who requeues it before the declaration is corrected loses nothing."""

    class Opening(activities.ModelActivity):
        eventname = "Deposit"

    declare(Deposit, Plain)
    declare(Account, Opening)
    deposit(account, pk=4711)
    Account.objects.create(pk=4711, user=account.user, currency="EUR")

    requeued = activities.requeue(Activity.objects.all())

    assert (requeued.count, requeued.refused) == (0, 1)
    assert Activity.objects.filter(status="dead", reason="eventid_taken").count() == 1


# Changes.


def test_change_after_the_delivery_is_flagged(account: Account, track360_sandbox: SandboxServer) -> None:
    """By default what was sent stays, and the record is flagged for a person."""
    made = deposit(account)
    delivery.drain()

    made.amount = Decimal(300)
    made.save()
    delivery.drain()

    activity = Activity.objects.get()
    assert (activity.status, json.loads(activity.body)["Value"]) == ("delivered", "250.00")
    assert activity.changed_at is not None
    assert [record["Value"] for record in track360_sandbox.store.activities()] == ["250.00"]


def test_change_is_resent_under_the_same_id_where_that_was_agreed(
    account: Account, settings: HostSettings, track360_sandbox: SandboxServer
) -> None:
    """With `CORRECTIONS = "resend"` the new content goes out under the old id."""
    configure(settings, CORRECTIONS="resend")
    made = deposit(account)
    delivery.drain()
    Activity.objects.update(body=Activity.objects.get().body.replace("250.00", "200.00"))

    made.save()
    delivery.drain()

    activity = Activity.objects.get()
    assert (activity.status, activity.version, activity.accepted_version) == ("delivered", 2, 2)
    assert json.loads(activity.body)["Value"] == "250.00"
    assert [record["eventid"] for record in track360_sandbox.store.activities()] == [made.reference]


# Behind its customer.


def arrivals(sandbox: SandboxServer) -> list[tuple[str, int]]:
    """Return endpoint and status of each request, in order."""
    return [(entry.endpoint, entry.status) for entry in sandbox.store.log.entries()]


def test_activity_waits_for_its_customer(account: Account, track360_sandbox: SandboxServer) -> None:
    """While the customer is not accepted its activity is held; afterwards it arrives behind it."""
    customers.report(account.user)
    deposit(account)
    track360_sandbox.fail(status=503, times=1)

    delivery.drain()
    held = Activity.objects.get().status
    Customer.objects.update(due_at=timezone.now())
    delivery.drain()

    assert held == "held"
    assert Activity.objects.get().status == "delivered"
    assert arrivals(track360_sandbox) == [("customers", 503), ("customers", 200), ("activities", 200)]


def test_unknown_customer_is_registered_first(account: Account, track360_sandbox: SandboxServer) -> None:
    """A user whom nobody reported is reported before their activity."""
    deposit(account)

    delivery.drain()

    assert [endpoint for endpoint, _ in arrivals(track360_sandbox)] == ["customers", "activities"]
    assert Customer.objects.get().source == "activity"


@pytest.mark.parametrize(
    ("fields", "changes"),
    [({}, {"UNKNOWN_CUSTOMERS": "hold"}), ({"is_staff": True}, {}), ({"is_superuser": True}, {})],
    ids=["hold", "staff", "superuser"],
)
def test_customer_who_must_not_be_registered_holds_the_activity(
    account: Account,
    settings: HostSettings,
    track360_sandbox: SandboxServer,
    fields: dict[str, bool],
    changes: dict[str, str],
) -> None:
    """Nothing is sent, and nothing is lost: reporting the customer releases both."""
    configure(settings, **changes)
    User.objects.update(**fields)
    account.user.refresh_from_db()

    deposit(account)
    delivery.drain()
    before = arrivals(track360_sandbox)
    held = Activity.objects.get().status
    customers.report(account.user)
    delivery.drain()

    assert before == []
    assert held == "held"
    assert [endpoint for endpoint, _ in arrivals(track360_sandbox)] == ["customers", "activities"]


def test_id_of_nobody_holds_the_activity(track360_sandbox: SandboxServer) -> None:
    """An activity of an id that no user has waits until the id is reported."""
    activities.report("Deposit", customer="C-1", value=5, currency="USD", eventid="1")
    delivery.drain()
    before = arrivals(track360_sandbox)

    customers.report("C-1")
    delivery.drain()

    assert before == []
    assert [endpoint for endpoint, _ in arrivals(track360_sandbox)] == ["customers", "activities"]


# Explicit reports.


def report(customer: Any, **words: Any) -> Activity:
    """Report a deposit of five dollars, or what else is said."""
    return activities.report(
        "Deposit", customer=customer, **{"value": Decimal(5), "currency": "USD", "eventid": "TX-1", **words}
    )


def test_report_is_idempotent(user: User, track360_sandbox: SandboxServer) -> None:
    """The same report twice is one record, before and after the delivery."""
    first = report(user)
    second = report(user)
    delivery.drain()
    third = report(user)
    delivery.drain()

    assert first.pk == second.pk == third.pk
    assert Activity.objects.get().changed_at is None
    assert len(track360_sandbox.store.activities()) == 1


def test_report_with_other_content_is_flagged(user: User, track360_sandbox: SandboxServer) -> None:
    """The first content stays, the record is flagged."""
    report(user)
    delivery.drain()

    report(user, value=Decimal(500))
    delivery.drain()

    assert Activity.objects.get().changed_at is not None
    assert [record["Value"] for record in track360_sandbox.store.activities()] == ["5.00"]


def test_same_event_id_of_another_kpi_is_another_activity(user: User) -> None:
    """Ids are told apart by event name."""
    report(user)

    activities.report("Withdrawal", customer=user, value=5, currency="USD", eventid="TX-1")

    assert Activity.objects.count() == 2


@pytest.mark.parametrize(
    ("words", "eventid"),
    [
        ({"eventid": "TX-7"}, "TX-7"),
        ({"eventid": 7}, "7"),
        ({"eventid": None, "createtime": date(2025, 7, 21)}, "Deposit-2025-07-21-C-1-USD"),
        ({"eventid": None, "createtime": "2025-07-21"}, "Deposit-2025-07-21-C-1-USD"),
        ({"eventid": None, "createtime": date(2025, 7, 21), "currency": "usd"}, "Deposit-2025-07-21-C-1-USD"),
        ({"eventid": None, "createtime": date(2025, 7, 21), "currency": None}, "Deposit-2025-07-21-C-1"),
    ],
    ids=["text", "number", "day", "day-as-text", "small-letters", "no-currency"],
)
def test_event_id_is_the_given_one_or_the_days(words: dict[str, Any], eventid: str) -> None:
    """A day's total makes its own id; two spellings of the same day are the same day."""
    assert report("C-1", **words).eventid == eventid


@pytest.mark.parametrize(
    "createtime", [None, timezone.now(), "2025-07-21 08:46"], ids=["now", "time", "text"]
)
def test_missing_event_id_is_refused(user: User, createtime: Any) -> None:
    """What is no day's total needs an id: without one a retry pays twice."""
    with pytest.raises(PayloadError, match="eventid"):
        report(user, eventid=None, createtime=createtime)

    assert not Activity.objects.exists()


def test_days_total_reported_twice_is_one_activity(user: User) -> None:
    """A job that runs again reports nothing new."""
    for _ in range(2):
        report(user, eventid=None, createtime=date(2025, 7, 21))

    assert Activity.objects.count() == 1


def test_long_event_ids_stay_apart(user: User) -> None:
    """Ids that are too long are shortened, and differ as before."""
    ids = [report(user, eventid="x" * 300 + end).eventid for end in "ab"]

    assert len(set(ids)) == 2
    assert all(len(eventid) == 255 for eventid in ids)


@pytest.mark.parametrize(
    "words",
    [
        {"value": 12.5},
        {"value": Decimal("NaN")},
        {"value": True},
        {"currency": "US Dollar"},
        {"createtime": datetime(1, 1, 1, tzinfo=UTC), "value": "x"},
        {"product": "Casino"},
        {"note": 1.5},
        {"customerid": "somebody-else"},
        {"Value": "1000000"},
        {"eventid": "a\x00b"},
    ],
    ids="-".join,
)
@pytest.mark.parametrize("who", ["user", "C-1"])
def test_report_that_cannot_be_exact_raises_and_writes_nothing(
    user: User, words: dict[str, Any], who: str
) -> None:
    """Neither the activity nor a customer is left behind."""
    with pytest.raises(PayloadError):
        report(user if who == "user" else who, **words)

    assert not Activity.objects.exists()
    assert not Customer.objects.exists()


def test_event_name_that_no_table_keeps_is_refused(user: User) -> None:
    """A name is stored exactly or not at all, on every database alike."""
    with pytest.raises(PayloadError):
        activities.report("x" * 101, customer=user, value=1, eventid="1")

    assert not Activity.objects.exists()


@pytest.mark.parametrize(
    "nobody", [None, "", AnonymousUser(), User()], ids=["none", "empty", "anonymous", "unsaved"]
)
def test_activity_of_nobody_is_refused(nobody: Any) -> None:
    """A visitor who is not logged in has no activities."""
    with pytest.raises((PayloadError, ImproperlyConfigured)):
        report(nobody)

    assert not Activity.objects.exists()
    assert not Customer.objects.exists()


def test_product_goes_into_the_agreed_field(user: User, settings: HostSettings) -> None:
    """With `PRODUCT_FIELD` a product is reported under the name that was agreed."""
    configure(settings, PRODUCT_FIELD="gameType")

    report(user, product="Casino")

    assert bodies()[0]["gameType"] == "Casino"


def test_products_of_one_day_stay_apart(user: User, settings: HostSettings) -> None:
    """A day's totals of two products are two activities."""
    configure(settings, PRODUCT_FIELD="gameType")

    for product in ("Casino", "Sports"):
        report(user, eventid=None, createtime=date(2025, 7, 21), product=product)

    assert len({activity.eventid for activity in Activity.objects.all()}) == 2


def test_unknown_event_name_is_told(
    user: User, settings: HostSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """With `EVENTS` a name that was not agreed is reported all the same, with a warning."""
    configure(settings, EVENTS=("GGR",))

    report(user)

    assert "'Deposit'" in caplog.text
    assert Activity.objects.count() == 1


# Many.


def rows(count: int, customer: Callable[[int], Any]) -> Iterator[dict[str, Any]]:
    """Yield some bets."""
    for number in range(count):
        yield {
            "eventname": "Bet",
            "customer": customer(number),
            "value": Decimal(number),
            "currency": "USD",
            "eventid": f"B-{number}",
            "table": "7",
        }


def test_many_activities_are_written_in_few_statements(user: User) -> None:
    """2500 rows of a generator are three INSERTs (SQLite takes fewer values at once), and all of them there."""
    customers.report(user)

    with CaptureQueriesContext(connection) as queries:
        total = activities.report_many(rows(2500, lambda _: user))

    inserts = [each for each in queries.captured_queries if each["sql"].startswith("INSERT")]
    assert total == 2500
    assert Activity.objects.count() == 2500
    assert len(inserts) == 3 or (connection.vendor == "sqlite" and len(inserts) < 100)


def test_many_customers_are_looked_up_together() -> None:
    """A thousand activities of as many customers don't ask for each of them."""
    users = User.objects.bulk_create([User(username=f"u{number}") for number in range(300)])
    for user in users:
        customers.report(user)

    with CaptureQueriesContext(connection) as queries:
        activities.report_many(rows(300, lambda number: users[number]))

    assert Activity.objects.count() == 300
    assert len(queries) < 20


def test_many_activities_of_users_nobody_reported_register_them(track360_sandbox: SandboxServer) -> None:
    """Unknown customers are registered before their activities, each once."""
    users = User.objects.bulk_create([User(username=f"u{number}") for number in range(3)])

    activities.report_many(rows(9, lambda number: users[number % 3]))
    delivery.drain()

    assert len(track360_sandbox.store.snapshot().customer_calls) == 3
    assert len(track360_sandbox.store.activities()) == 9


def test_many_activities_reported_again_are_left_alone(user: User) -> None:
    """A job that runs again writes what is missing."""
    activities.report_many(rows(3, lambda _: user))

    activities.report_many(rows(5, lambda _: user))

    assert Activity.objects.count() == 5


def test_bad_row_among_many_is_refused_with_its_thousand(user: User) -> None:
    """What came in earlier thousands is there; the bad row's thousand left nothing, no customer either."""

    def mixed() -> Iterator[dict[str, Any]]:
        yield from rows(1000, lambda _: user)
        for row in rows(10, lambda number: f"C-{number}"):
            yield {**row, "eventid": f"bad-{row['eventid']}", "value": 1.5 if row["eventid"] == "B-9" else 1}

    with pytest.raises(PayloadError):
        activities.report_many(mixed())

    assert Activity.objects.count() == 1000
    assert Customer.objects.count() == 1


@pytest.mark.parametrize("nobody", [None, "", AnonymousUser()], ids=["none", "empty", "anonymous"])
def test_row_of_nobody_among_many_is_refused(nobody: Any) -> None:
    """A row without a customer is an error of its own kind, not of ours."""
    with pytest.raises((PayloadError, ImproperlyConfigured)):
        activities.report_many(rows(2, lambda _: nobody))


def test_many_products_without_an_agreed_field_are_refused(user: User) -> None:
    """A product can't be reported before its field is agreed."""
    with pytest.raises(PayloadError, match="PRODUCT_FIELD"):
        activities.report_many({**row, "product": "Casino"} for row in rows(2, lambda _: user))
