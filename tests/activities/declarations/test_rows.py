"""Rows in every way that Django announces: proxies, multi-table children, reversals, deletion, bulk."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import serializers
from django.db import connection, models, transaction
from django.db.models import F, Q
from django.db.models.signals import post_delete, post_save
from django.utils import timezone
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from tests.ledger.models import CardPayment, Payment, Ticket, Voucher
from track360_django import activities, customers, delivery, reconcile
from track360_django.models import Activity
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

Kind = type[activities.ModelActivity]


class Paid(activities.ModelActivity):
    """A payment that was paid."""

    eventname = "Deposit"
    when = Q(status="paid")
    customer = "player"
    value, currency, createtime = "amount", "currency", "paid_at"


class Reversible(Paid):
    """A payment whose loss is told."""

    on_reverse = "negative"


class ChargedBack(Paid):
    """A payment whose loss is a KPI of its own."""

    on_reverse = "Chargeback"
    reversed_at = "paid_at"


def pay(kind: type[Payment] = Payment, **fields: Any) -> Payment:
    """Save a payment of 250 that is paid."""
    return kind.objects.create(**{"player": "c-1", "amount": Decimal(250), "status": "paid", **fields})


def told() -> list[tuple[str, str, str]]:
    """Return event name, id and value of all records, oldest first."""
    bodies = [json.loads(each.body) for each in Activity.objects.order_by("pk")]
    return [(body["eventname"], body["eventid"], body["Value"]) for body in bodies]


# Whose rows.


@pytest.mark.parametrize("kind", [Payment, CardPayment, Voucher])
def test_row_of_any_class_is_a_row_of_the_model(declare: Callable[..., None], kind: type[Payment]) -> None:
    """Saved as itself, as a proxy or as a child, it is one record, of the declared model."""
    declare(Paid)

    made = pay(kind)
    made.save()
    Payment.objects.get().save()

    activity = Activity.objects.get()
    assert activity.eventid == f"Deposit-{made.pk}"
    assert (activity.source, activity.source_pk) == ("tests_ledger.Payment", str(made.pk))


def test_child_that_is_declared_reports_its_own_rows(declare: Callable[..., None]) -> None:
    """A declaration of the child says nothing of other rows of the parent."""
    declare(Paid, Voucher)

    pay()
    made = pay(Voucher)

    assert [each.source for each in Activity.objects.all()] == ["tests_ledger.Voucher"]
    assert Activity.objects.get().source_pk == str(made.pk)


class BigManager(models.Manager["BigPayment"]):
    """Knows large payments alone."""

    def get_queryset(self) -> models.QuerySet[BigPayment]:
        """Return them."""
        return super().get_queryset().filter(amount__gte=100)


class BigPayment(Payment):
    """A proxy whose manager says which rows are its own."""

    objects = BigManager()

    class Meta:
        proxy = True
        app_label = "tests_ledger"


def test_proxy_that_is_declared_reports_what_its_manager_lets_through(declare: Callable[..., None]) -> None:
    """Never a row that is not the proxy's, whatever class it is saved as."""
    declare(Paid, BigPayment)

    big, small = pay(BigPayment), pay(BigPayment, amount=Decimal(5))
    pay()

    assert [each.source_pk for each in Activity.objects.all()] == [str(big.pk)]
    assert small.pk


def test_class_that_is_made_later_is_seen(declare: Callable[..., None]) -> None:
    """A proxy may be defined after its parent was declared."""
    declare(Paid)

    class LatePayment(Payment):
        """Made by a test."""

        class Meta:
            proxy = True
            app_label = "tests_ledger"

    pay(LatePayment)

    assert Activity.objects.count() == 1


@pytest.mark.parametrize("kind", [Payment, CardPayment, Voucher])
def test_raw_fixture_of_any_class_is_no_activity(declare: Callable[..., None], kind: type[Payment]) -> None:
    """What `loaddata` writes happened long ago, and elsewhere."""
    declare(Paid)
    row = kind(pk=1, player="c-1", amount=5, status="paid", paid_at=timezone.now())
    parents = [Payment(pk=1, player="c-1", amount=5, status="paid")] if kind is Voucher else []
    text = serializers.serialize("json", [*parents, row])

    for item in serializers.deserialize("json", text):
        item.save()

    assert kind.objects.count() == 1
    assert not Activity.objects.exists()


def test_nobody_listens_after_the_last_declaration_is_taken_back(declare: Callable[..., None]) -> None:
    """A class of rows that nothing is declared of costs the host nothing."""
    assert not post_save.has_listeners(CardPayment)
    activities.register(Payment)(Reversible)
    assert post_save.has_listeners(CardPayment)
    assert post_delete.has_listeners(Voucher)
    activities.unregister(Payment, Reversible)
    assert not post_save.has_listeners(CardPayment)
    assert not post_delete.has_listeners(Voucher)

    declare(Paid)
    # Else Django could not delete many rows in one statement.
    assert not post_delete.has_listeners(Payment)


# Reversals.


def test_reversal_is_nothing_by_default(declare: Callable[..., None]) -> None:
    """The agreement with Track360 may know no such thing."""
    declare(Paid)
    made = pay()

    made.status = "reversed"
    made.save()
    made.delete()

    assert told() == [("Deposit", f"Deposit-{Activity.objects.get().source_pk}", "250.00")]


def test_reversal_is_the_negative_value_once(
    declare: Callable[..., None], track360_sandbox: SandboxServer
) -> None:
    """Under the same name, with an id of its own, however often the row is saved."""
    declare(Reversible)
    customers.report("c-1")
    made = pay()
    delivery.drain()

    made.status = "reversed"
    made.save()
    made.save()
    delivery.drain()

    name = f"Deposit-{made.pk}"
    assert told() == [("Deposit", name, "250.00"), ("Deposit", f"{name}-reversal", "-250.00")]
    assert [each["Value"] for each in track360_sandbox.store.activities()] == ["250.00", "-250.00"]


def test_reversal_may_be_a_kpi_of_its_own(declare: Callable[..., None]) -> None:
    """With the value as it was, and the time that the declaration names."""
    declare(ChargedBack)
    made = pay()

    made.status = "reversed"
    made.save(update_fields=["status"])

    assert told()[1] == ("Chargeback", f"Deposit-{made.pk}-reversal", "250.00")


def test_reversal_is_of_what_was_reported(
    declare: Callable[..., None], track360_sandbox: SandboxServer
) -> None:
    """The row may be emptied with its reversal: the amount that went out is the one that is taken back."""
    declare(Reversible)
    customers.report("c-1")
    made = pay()
    delivery.drain()

    made.status, made.amount = "reversed", Decimal(0)
    made.save()

    assert told()[1][2] == "-250.00"
    assert track360_sandbox.store.activities()


def test_row_that_was_never_reported_has_no_reversal(declare: Callable[..., None]) -> None:
    """Pending and failed, created and deleted: nothing was told, so nothing is taken back."""
    declare(Reversible)
    made = pay(status="pending")
    made.status = "failed"
    made.save()
    made.delete()

    assert told() == []


def test_row_that_is_dead_has_no_reversal(declare: Callable[..., None]) -> None:
    """Track360 never had it; alone, the negative value would be a loss."""
    declare(Reversible)
    made = pay(currency="12")
    assert Activity.objects.get().status == "dead"

    made.status = "reversed"
    made.save()

    assert Activity.objects.count() == 1


@pytest.mark.parametrize("kind", [Payment, CardPayment, Voucher])
def test_deletion_is_a_reversal(declare: Callable[..., None], kind: type[Payment]) -> None:
    """One row or many, as any class."""
    declare(Reversible)
    pay(kind), pay(kind)

    kind.objects.earliest("pk").delete()
    kind.objects.all().delete()

    assert sorted(value for _, _, value in told()) == ["-250.00", "-250.00", "250.00", "250.00"]


def test_rolled_back_reversal_is_none(declare: Callable[..., None]) -> None:
    """It is written in the transaction that saves the row."""
    declare(Reversible)
    made = pay()

    with transaction.atomic():
        made.status = "reversed"
        made.save()
        transaction.set_rollback(True)

    assert len(told()) == 1


# In bulk, through the manager.


def unpaid(count: int) -> list[Payment]:
    """Return unsaved payments."""
    return [
        Payment(player=f"c-{number % 3}", amount=Decimal(number), status="paid") for number in range(count)
    ]


def test_bulk_create_reports_each_row(
    declare: Callable[..., None], django_assert_max_num_queries: Any
) -> None:
    """In a few statements; pending rows are none of them."""
    declare(Paid)
    for number in range(3):
        customers.report(f"c-{number}")

    with django_assert_max_num_queries(20):
        made = Payment.reporting.bulk_create([*unpaid(120), Payment(player="c-1", amount=1)])

    assert {each.eventid for each in Activity.objects.all()} == {f"Deposit-{row.pk}" for row in made[:120]}


def test_update_reports_what_it_made_due(declare: Callable[..., None]) -> None:
    """Also where the rows fulfil the queryset's own conditions no more."""
    declare(Paid)
    Payment.objects.bulk_create([Payment(player="c-1", amount=Decimal(number)) for number in range(5)])

    assert Payment.reporting.filter(status="pending", amount__gte=3).update(status="paid") == 2

    assert sorted(value for _, _, value in told()) == ["3.00", "4.00"]


def test_bulk_update_reports_and_compares(declare: Callable[..., None]) -> None:
    """Rows that were reported get the latest body."""
    declare(Paid)
    rows = [pay(), pay(status="pending")]
    for row in rows:
        row.status, row.amount = "paid", Decimal(7)

    Payment.reporting.bulk_update(rows, ["status", "amount"])

    assert [value for _, _, value in told()] == ["7.00", "7.00"]


def test_update_that_reverses_is_told(declare: Callable[..., None]) -> None:
    """What was reported and fulfils the condition no more."""
    declare(Reversible)
    pay(), pay(status="pending")

    Payment.reporting.update(status="reversed")

    assert [value for _, _, value in told()] == ["250.00", "-250.00"]


def test_update_through_a_child_is_told(declare: Callable[..., None]) -> None:
    """The declared table is the parent's."""
    declare(Paid)
    pay(Voucher, status="pending")

    Voucher.reporting.update(status="paid", code="X", amount=F("amount") + 1)

    assert [value for _, _, value in told()] == ["251.00"]


def test_rolled_back_update_is_none(declare: Callable[..., None]) -> None:
    """The records are written in the transaction of the update."""
    declare(Paid)
    pay(status="pending")

    with transaction.atomic():
        Payment.reporting.update(status="paid")
        assert Activity.objects.exists()
        transaction.set_rollback(True)

    assert not Activity.objects.exists()


def test_error_of_a_declaration_stops_the_update(declare: Callable[..., None]) -> None:
    """It is the host's own error, as with a saved row: nothing is written."""

    class Broken(Paid):
        """Raises for each row."""

        def get_value(self, _row: Payment) -> Decimal:
            """Raise."""
            raise LookupError

    declare(Broken)
    made = Payment.objects.bulk_create([Payment(player="c-1", amount=1)])[0]

    with pytest.raises(LookupError), transaction.atomic():
        Payment.reporting.update(status="paid")

    made.refresh_from_db()
    assert made.status == "pending"


def test_bad_row_among_many_is_dead_and_the_others_are_reported(declare: Callable[..., None]) -> None:
    """As with a saved row: the sale goes on, a person sees it."""
    declare(Paid)

    Payment.reporting.bulk_create([*unpaid(2), Payment(player="c-1", amount=1, currency="1", status="paid")])

    assert sorted(each.status for each in Activity.objects.all()) == ["dead", "held", "held"]


# What a row says of itself is not always what was said of it.


class TicketActivity(activities.ModelActivity):
    """A ticket that is paid."""

    eventname = "Ticket"
    when = Q(is_paid=True)
    customer = "player"
    value = "amount"
    on_reverse = "negative"


def test_key_in_memory_may_be_spelt_otherwise(declare: Callable[..., None]) -> None:
    """A UUID given as text is the same row."""
    declare(TicketActivity, Ticket)
    key = uuid.uuid4()

    made = Ticket.objects.create(id=key.hex.upper())
    Ticket.objects.get().save()
    made.save()

    assert [each.eventid for each in Activity.objects.all()] == [f"Ticket-{key}"]
    assert Activity.objects.get().source_pk == str(key)


def test_row_has_one_id_from_its_first_report_on(declare: Callable[..., None]) -> None:
    """Without the id that its declaration names it is dead, and not reported under another one."""

    class Numbered(TicketActivity):
        """Reported under its number."""

        eventid = "number"

    declare(Numbered, Ticket)
    made = Ticket.objects.create()
    assert [(each.status, each.reason) for each in Activity.objects.all()] == [("dead", "no_eventid")]

    made.number = "T-1"
    made.save()
    activities.requeue(Activity.objects.all())

    assert [(each.eventid, each.status) for each in Activity.objects.all()] == [("T-1", "held")]


def test_parent_that_stays_is_not_reversed(declare: Callable[..., None]) -> None:
    """Only the child's table loses its row."""
    declare(Reversible)
    made = pay(Voucher)

    made.delete(keep_parents=True)

    assert Payment.objects.count() == 1
    assert len(told()) == 1


@pytest.mark.parametrize("change", ["deferred", "emptied", "other currency"])
def test_reversal_is_made_of_what_was_sent(declare: Callable[..., None], change: str) -> None:
    """Not of a row that has other values by now, or none in memory."""
    declare(Reversible)
    made = pay()

    if change == "deferred":
        Payment.objects.only("player").get(pk=made.pk).delete()
    else:
        made.status = "reversed"
        made.amount, made.currency = (Decimal(0), "USD") if change == "emptied" else (Decimal(250), "JPY")
        made.save()

    body = json.loads(Activity.objects.latest("pk").body)
    assert (body["Value"], body["Currency"], body["customerid"]) == ("-250.00", "USD", "c-1")


def test_reversal_negates_numbers_and_no_text(declare: Callable[..., None]) -> None:
    """An additional field that is a number is taken back as well; a text of digits is none."""

    class Detailed(Reversible):
        """With a number and a text."""

        fields = {"net": "amount", "code": "player"}

    declare(Detailed)
    made = pay(player="0123")

    made.delete()

    body = json.loads(Activity.objects.latest("pk").body)
    assert (body["Value"], body["net"], body["code"]) == ("-250.00", "-250.00", "0123")


def test_reversal_after_pruning_is_of_the_rows_own_amount(declare: Callable[..., None]) -> None:
    """Nothing else is known any more; without it a person is asked."""
    declare(Reversible)
    first, second = pay(), pay(amount=Decimal(7))
    Activity.objects.update(body="", status="delivered", accepted_version=1)

    first.status = second.status = "reversed"
    second.amount = Decimal(0)
    first.save()
    second.save()

    made = Activity.objects.filter(eventid__endswith="-reversal").order_by("pk")
    assert [(each.status, each.reason) for each in made] == [("held", ""), ("dead", "pruned")]
    assert json.loads(made[0].body)["Value"] == "-250.00"


def test_reversal_that_was_told_stays(declare: Callable[..., None], settings: HostSettings) -> None:
    """Whatever becomes of the row, and of the agreement on corrections."""
    configure(settings, CORRECTIONS="resend")
    declare(Reversible)
    made = pay()
    made.status = "reversed"
    made.save()

    made.amount = Decimal(1)
    made.save()
    made.delete()

    assert [value for _, _, value in told()] == ["250.00", "-250.00"]


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ("track360_django.products.suffix", "ChargebackCasino"),
        ("track360_django.products.prefix", "CasinoChargeback"),
    ],
)
def test_reversal_of_a_product_has_its_name(
    declare: Callable[..., None], settings: HostSettings, shape: str, name: str
) -> None:
    """The product is part of the name that was sent, and of that of its reversal."""
    configure(settings, PRODUCT_FIELD=shape)

    class Grouped(ChargedBack):
        """Of one product."""

        def get_product(self, _row: Payment) -> str:
            """Return it."""
            return "Casino"

    declare(Grouped)
    made = pay()
    made.delete()

    latest = Activity.objects.latest("pk")
    assert json.loads(latest.body)["eventname"] == name
    assert latest.eventname == "Chargeback"


def test_quarantined_record_is_mended_by_its_own_declaration(declare: Callable[..., None]) -> None:
    """Though the reversal of another one has the same event name."""

    class Gone(Paid):
        """Payments of another state, under the name of the other one's reversals."""

        eventname = "Chargeback"
        when = Q(status="gone")

    declare(ChargedBack)
    declare(Gone)
    made = pay(status="gone", currency="1")
    Payment.objects.update(currency="USD")

    assert activities.requeue(Activity.objects.all()).count == 1
    assert [(each.eventid, each.status) for each in Activity.objects.all()] == [
        (f"Chargeback-{made.pk}", "held")
    ]


def test_reversal_of_a_long_id_is_told_once(declare: Callable[..., None]) -> None:
    """Its own id keeps its end, and it is no payment itself: nothing is taken back twice."""

    class Long(Reversible):
        """With an id that fills its column."""

        def get_eventid(self, row: Payment) -> str:
            """Return it."""
            return f"{row.pk}-{'x' * 300}"

    declare(Long)
    made = pay()
    made.status = "reversed"
    made.save()
    Payment.objects.all()._raw_delete(connection.alias)

    for _ in range(2):
        reconcile.run(since=timezone.now() - timedelta(days=1))

    assert [value for _, _, value in told()] == ["250.00", "-250.00"]


def test_id_of_the_host_may_end_like_that_of_a_reversal(declare: Callable[..., None]) -> None:
    """What is a reversal is not told by its id."""

    class Named(Reversible):
        """With an id of that kind."""

        def get_eventid(self, row: Payment) -> str:
            """Return it."""
            return f"{row.pk}-reversal"

    declare(Named)
    pay().delete()
    found = reconcile.run(since=timezone.now() - timedelta(days=1))

    assert [value for _, _, value in told()] == ["250.00", "-250.00"]
    assert found.problems() == []


class KpiActivity(activities.ModelActivity):
    """A payment whose numbers are fields."""

    eventname = "Stats"
    when = Q(status="paid")
    customer = "player"
    fields = {"GGR": "amount", "net": lambda row: row.amount if row.status == "paid" else None}
    on_reverse = "negative"


@pytest.mark.parametrize("shape", ["", "product", "track360_django.products.suffix"])
def test_reversal_turns_each_kpi_or_none(
    declare: Callable[..., None], settings: HostSettings, shape: str
) -> None:
    """A number that nobody knows to be one any more is left to a person, never sent with the same sign."""
    configure(settings, PRODUCT_FIELD=shape)
    kind = type("Kind", (KpiActivity,), {"get_product": lambda _self, _row: "Casino" if shape else None})
    declare(kind)
    first, second = pay(), pay()

    first.delete()
    second.status = "reversed"
    second.save()

    made = {each.source_pk: each for each in Activity.objects.filter(eventid__endswith="-reversal")}
    whole, unclear = made[str(Activity.objects.earliest("pk").source_pk)], made[str(second.pk)]
    name = "GGRCasino" if "suffix" in shape else "GGR"
    assert json.loads(whole.body)[name] == "-250.00"
    assert {value for key, value in json.loads(whole.body).items() if key.startswith(("GGR", "net"))} == {
        "-250.00"
    }
    assert (unclear.status, unclear.reason) == ("dead", "unclear_reversal")


def lower(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record under another event name."""
    return {**record, "eventname": str(record["eventname"]).lower()}


def test_reversal_under_no_known_name_is_left_to_a_person(
    declare: Callable[..., None], settings: HostSettings
) -> None:
    """It would be one more payment under the name of the first."""
    configure(settings, BEFORE_SEND=lower)
    declare(ChargedBack)

    pay().delete()

    assert [(each.status, each.reason) for each in Activity.objects.order_by("pk")] == [
        ("held", ""),
        ("dead", "unclear_reversal"),
    ]


def test_two_records_of_a_row_have_two_reversals(declare: Callable[..., None]) -> None:
    """Under two names, though their ids are the same."""

    class Net(Reversible):
        """Another KPI of the same rows."""

        eventname = "NGR"
        eventid = "pk"

    class Charged(ChargedBack):
        """With the same id."""

        eventid = "pk"

    declare(Charged)
    declare(Net)

    pay().delete()

    assert sorted((name, value) for name, _, value in told()) == [
        ("Chargeback", "250.00"),
        ("Deposit", "250.00"),
        ("NGR", "-250.00"),
        ("NGR", "250.00"),
    ]
