"""A thousand rows, written in every way that Django and SQL have; after one reconciliation each was accepted once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.utils import timezone

from example_project.settings import database_from_url
from tests.ledger.models import CardPayment, Payment, Voucher
from tests.ledger.paid import Paid, declare
from track360_django import activities, customers, reconcile, tasks
from track360_django.models import Activity

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import DjangoDbBlocker

    from tests.conftest import SpawnHost
    from track360_django.sandbox.server import SandboxServer

OTHER = "other"
EACH = 100
PLAYERS = 7

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", OTHER])

# A process that dies after its commit and before its hook: in autocommit Django calls the first receiver with the row
# committed, and that one kills.
KILLED = """
import os, signal
import django
django.setup()
from django.db.models.signals import post_save
from tests.ledger.models import Payment
post_save.connect(lambda **_: os.kill(os.getpid(), signal.SIGKILL), sender=Payment, weak=False)
from tests.ledger.paid import declare
declare()
Payment.objects.create(player="p-0", amount=1, status="paid")
"""


@pytest.fixture(scope="module", autouse=True)
def other_database(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Add a second database with all tables."""
    path = tmp_path_factory.mktemp("ledger") / "other.sqlite3"
    known: dict[str, Any] = connections.settings
    default = connections["default"].settings_dict
    known[OTHER] = {**default, **database_from_url(f"sqlite:///{path}"), "TEST": default["TEST"]}
    with django_db_blocker.unblock():
        call_command("migrate", database=OTHER, verbosity=0, run_syncdb=True)
    yield
    connections[OTHER].close()
    del connections[OTHER], known[OTHER]


@pytest.fixture(autouse=True)
def declared(settings: Any) -> Iterator[None]:
    """Declare payments, whose records are kept beside them in either database."""
    settings.TRACK360 = {**settings.TRACK360, "DATABASES": [OTHER]}
    declare()
    yield
    activities.unregister(Payment, Paid)


numbers = itertools.count(1)


def unsaved(kind: type[Payment] = Payment, status: str = "paid") -> Payment:
    """Return a payment of its own amount."""
    number = next(numbers)
    return kind(player=f"p-{number % PLAYERS}", amount=Decimal(number) / 4, status=status)


def many(status: str = "paid") -> list[Payment]:
    """Return some of them."""
    return [unsaved(status=status) for _ in range(EACH)]


def create() -> None:
    """Write rows with `create`."""
    for row in many():
        Payment.objects.create(player=row.player, amount=row.amount, status="paid")


def save() -> None:
    """Write pending rows, then save them as paid, some columns alone."""
    for row in many("pending"):
        row.save()
        row.status = "paid"
        row.save(update_fields=["status"])


def bulk_create() -> None:
    """Write rows with `bulk_create`: half through the manager that reports, half through one that doesn't."""
    Payment.objects.bulk_create(many()[: EACH // 2])
    Payment.reporting.bulk_create(many()[: EACH // 2])


def bulk_update() -> None:
    """Write pending rows and pay them with `bulk_update`."""
    rows = Payment.objects.bulk_create(many("bulk"))
    for row in rows:
        row.status = "paid"
    Payment.objects.bulk_update(rows[: EACH // 2], ["status"])
    Payment.reporting.bulk_update(rows[EACH // 2 :], ["status"])


def update() -> None:
    """Write pending rows and pay them with `update`."""
    rows = Payment.objects.bulk_create(many("waiting"))
    Payment.objects.filter(status="waiting", pk__lt=rows[EACH // 2].pk).update(status="paid")
    Payment.reporting.filter(status="waiting").update(status="paid")


def raw_sql() -> None:
    """Write rows behind Django's back."""
    rows = [(row.player, str(row.amount), timezone.now()) for row in many()]
    with connections["default"].cursor() as cursor:
        cursor.executemany(
            "INSERT INTO tests_ledger_payment (player, amount, currency, status, paid_at) "
            "VALUES (%s, %s, 'USD', 'paid', %s)",
            rows,
        )


def proxy() -> None:
    """Write rows as another class of the same table."""
    for _ in range(EACH):
        unsaved(CardPayment).save()


def child() -> None:
    """Write rows with a table more."""
    for _ in range(EACH):
        unsaved(Voucher).save()


def other_alias() -> None:
    """Write rows into the other database, half of them without a signal."""
    for row in many()[: EACH // 2]:
        row.save(using=OTHER)
    Payment.objects.using(OTHER).bulk_create(many()[: EACH // 2])


def rolled_back() -> None:
    """Write rows that never were: in a transaction, in a savepoint."""
    with transaction.atomic():
        for row in many():
            row.save()
        Payment.reporting.bulk_create(many())
        transaction.set_rollback(True)
    with transaction.atomic():
        unsaved().save()
        with transaction.atomic():
            Payment.reporting.bulk_create(many())
            transaction.set_rollback(True)


WAYS = (create, save, bulk_create, bulk_update, update, raw_sql, proxy, child, other_alias, rolled_back)


def test_accepted_equals_the_ledger_whatever_wrote_it(
    track360_sandbox: SandboxServer, spawn_host: SpawnHost, tmp_path: Path
) -> None:
    """Each committed row once, with its amount and its player; nothing that was rolled back, nothing pending."""
    for number in range(PLAYERS):
        customers.report(f"p-{number}")
    for way in WAYS:
        way()
    killed = spawn_host("-c", KILLED, env={"DJANGO_SETTINGS_MODULE": "tests.settings"})
    assert killed.wait(60) == -9, (tmp_path / "host.log").read_text()
    Payment.objects.bulk_create(many("pending"))
    unreported = Activity.objects.filter(eventname="Payment").count()

    found = reconcile.run(since=timezone.now() - timedelta(days=1))
    tasks.sweep()

    ledger = {
        f"{alias}-{row.pk}": (row.player, row.amount)
        for alias in ("default", OTHER)
        for row in Payment.objects.using(alias).filter(status="paid")
    }
    assert len(ledger) == 9 * EACH + 2
    assert unreported < len(ledger) - 3 * EACH
    accepted = [
        (record["eventid"], record["customerid"], Decimal(str(record["Value"])))
        for record in track360_sandbox.store.activities()
    ]
    reported = {
        f"{alias}-{each.source_pk}": each.eventid
        for alias in ("default", OTHER)
        for each in Activity.objects.using(alias).filter(eventname="Payment", status="delivered")
    }
    assert reported.keys() == ledger.keys()
    assert sorted(accepted) == sorted((reported[name], *ledger[name]) for name in ledger)
    assert found.problems() == []

    again = reconcile.run(since=timezone.now() - timedelta(days=1))
    assert sum(gap.missing for gap in again.gaps) == 0
    assert again.balance is not None
    assert {line.difference for key, line in again.balance.sorted() if key.eventname == "Payment"} == {0}
