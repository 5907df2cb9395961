"""The tables: what they refuse by themselves, on every database."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from track360_django import signup
from track360_django.db.fields import PartialIndex
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Lane, Status

pytestmark = pytest.mark.django_db


def make_customer(**fields: Any) -> Customer:
    """Insert a customer."""
    return Customer.objects.create(**{"brand": "default", "lane": 0, "customer_id": "1", **fields})


def make_activity(customer: Customer | None, **fields: Any) -> Activity:
    """Insert an activity."""
    words = {"brand": "default", "lane": 0, "eventname": "Deposit", "eventid": "1", "body": "{}", **fields}
    return Activity.objects.create(customer=customer, **words)


UNIQUE: list[tuple[type[models.Model], dict[str, Any]]] = [
    (Customer, {"brand": "a", "customer_id": "1", "lane": 0}),
    (Activity, {"brand": "a", "eventname": "Deposit", "eventid": "1", "lane": 0, "body": "{}"}),
    (Lane, {"brand": "a", "number": 0}),
    (Endpoint, {"brand": "a", "name": EndpointName.CUSTOMERS}),
]


@pytest.mark.parametrize(("model", "key"), UNIQUE, ids=[model.__name__ for model, _ in UNIQUE])
def test_second_row_of_one_brand_is_refused(model: type[models.Model], key: dict[str, Any]) -> None:
    """A customer, an activity, a lane and an endpoint are one row a brand."""
    rows = model._default_manager
    rows.create(**key)
    rows.create(**{**key, "brand": "b"})

    with pytest.raises(IntegrityError), transaction.atomic():
        rows.create(**key)

    assert rows.count() == 2


@pytest.mark.parametrize("change", [{"eventname": "GGR"}, {"eventid": "2"}, {"brand": "b"}], ids="".join)
def test_activity_that_differs_in_one_part_of_its_key_is_another(change: dict[str, str]) -> None:
    """Brand, event name and event id together make an activity."""
    customer = make_customer()
    make_activity(customer)

    make_activity(customer, **change)

    assert Activity.objects.count() == 2


def test_customer_with_activities_is_not_deleted() -> None:
    """A customer whom activities belong to stays."""
    customer = make_customer()
    make_activity(customer)

    with pytest.raises(ProtectedError):
        customer.delete()


@pytest.mark.parametrize("model", [Customer, Activity])
def test_new_record_is_due_now_by_the_databases_clock(model: type[Customer | Activity]) -> None:
    """A record that nobody says more about is pending and due at once, whatever this machine's clock says."""
    customer = make_customer()
    pk = customer.pk if model is Customer else make_activity(customer).pk

    record = model._default_manager.get(pk=pk)

    assert (record.status, record.attempts, record.version, record.accepted_version) == (
        Status.PENDING,
        0,
        1,
        0,
    )
    assert record.due_at == record.queued_at == record.created_at


def test_states_are_four() -> None:
    """The four states are the same everywhere."""
    assert Status.values == ["held", "pending", "delivered", "dead"]


@pytest.mark.parametrize(
    "value",
    ["2001_1000_abcdefg", " a ", "שלום", "🎰" * 50, "a\u200bb", "\"'\\<>&", "e\u0301", "a\u2028b", "\ufffe"],
    ids=ascii,
)
def test_tracking_data_comes_back_as_it_was(value: str) -> None:
    """Text of every alphabet is kept exactly by every database."""
    pk = make_customer(tracking={"tracking_data": value}, customer_id=value).pk

    customer = Customer.objects.get(pk=pk)

    assert customer.tracking == {"tracking_data": value}
    assert customer.customer_id == value


def test_customer_ids_are_told_apart_by_every_letter() -> None:
    """Ids that differ in case, width, accent or space are different customers."""
    ids = ["a", "A", "á", "a\u0301", "\uff41", " a", "a "]
    for customer_id in ids:
        make_customer(customer_id=customer_id)

    assert [Customer.objects.get(customer_id=customer_id).customer_id for customer_id in ids] == ids


def test_body_keeps_every_digit() -> None:
    """Amounts are text: no database changes them."""
    body = '{"Value":"12345678901234567890123456789.123456789"}'

    pk = make_activity(make_customer(), body=body).pk

    assert Activity.objects.get(pk=pk).body == body


def test_finding_due_work_uses_the_partial_index() -> None:
    """A lane's due records are found by an index on what is due alone."""
    for model in (Customer, Activity):
        index = next(each for each in model._meta.indexes if each.name.endswith("_due"))
        assert index.fields == ["brand", "lane", "due_at", "id"]
        assert isinstance(index, PartialIndex)
        assert index.where == models.Q(due_at__isnull=False)
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, model._meta.db_table)
        assert index.name in constraints


def test_names_in_the_database_are_ours() -> None:
    """Tables, indexes and constraints say whose they are, and fit every database's names."""
    for model in (Customer, Activity, Lane, Endpoint):
        names = [each.name for each in itertools.chain(model._meta.indexes, model._meta.constraints)]
        assert model._meta.db_table.startswith("track360_django_")
        assert all(name.startswith("track360_") and len(name) <= 30 for name in names)


def test_no_migration_is_missing() -> None:
    """The migrations make these tables."""
    call_command("makemigrations", "track360_django", check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Customer(customer_id="C-1"), "C-1"),
        (Activity(eventname="Deposit", eventid="TX-1"), "Deposit TX-1"),
        (Lane(brand="a", number=3), "a/3"),
        (Endpoint(brand="a", name="customers"), "a/customers"),
    ],
    ids=["customer", "activity", "lane", "endpoint"],
)
def test_row_names_itself_without_personal_data(row: models.Model, text: str) -> None:
    """What logs and the admin show of a row is its key."""
    assert str(row) == text


def test_looking_for_who_waits_reads_no_customer_who_does_not(settings: Settings) -> None:
    """The beat asks each hour who waits for an activation: it reads those, and not the millions who don't."""
    if connection.vendor != "postgresql":
        pytest.skip("EXPLAIN of Postgres: run with --database=postgres")
    settings.TRACK360 = {**settings.TRACK360, "REPORT_ON": "activation"}
    Customer.objects.bulk_create(
        Customer(brand="default", lane=0, customer_id=str(number), user_pk=str(number), status="delivered")
        for number in range(5000)
    )
    make_customer(customer_id="waits", user_pk="0", status="held", due_at=None, reason="inactive")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE track360_django_customer")

    with CaptureQueriesContext(connection) as queries:
        assert signup.release_unnoticed() == 0

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT TEXT) {queries[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "track360_customer_held" in plan
    assert "Rows Removed" not in plan
