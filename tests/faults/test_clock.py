"""A worker whose clock is an hour ahead: the database's clock decides what is due, leased and too old."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db.models.functions import Now

from tests.faults import api, behaviours
from tests.faults.api import CUSTOMERS, FaultServer
from tests.faults.ledger import wait_until
from tests.rows import make_customer, make_customers
from track360_django.db.clock import from_now
from track360_django.models import Customer, Lane, Status

if TYPE_CHECKING:
    from tests.conftest import SpawnHost

pytestmark = pytest.mark.django_db(transaction=True)


def later(minutes: float) -> Any:
    """Return a time by the database's clock."""
    return Now() + timedelta(minutes=minutes)


# The clock is shifted before anything else is imported.
AHEAD = {"FAULTS_CLOCK_AHEAD_SECONDS": "3600"}


def test_shifted_process_is_an_hour_ahead(spawn_host: SpawnHost) -> None:
    """The process of the tests below does have a wrong clock; the database's is right."""
    process = spawn_host("-m", "tests.faults.hosts", "tell_time", env=AHEAD, is_warm=False)

    assert process.wait(120) == 0
    assert all(abs(int(seconds) - 3600) < 60 for seconds in process.log_tail(1).split())


def test_worker_an_hour_ahead_takes_nothing_early(fault_api: FaultServer, spawn_host: SpawnHost) -> None:
    """It delivers what is due by the database's clock, and leaves what waits and what another worker leases."""
    waiting, leased, due = make_customers(3)
    Customer.objects.update(lane=0)
    Customer.objects.filter(pk=waiting.pk).update(due_at=from_now(timedelta(minutes=30)))
    Customer.objects.filter(pk=leased.pk).update(lane=1)
    Lane.objects.create(
        brand="default", number=1, owner="another", leased_until=from_now(timedelta(minutes=1))
    )

    worker = spawn_host("-m", "tests.faults.hosts", "drain", env=AHEAD, is_warm=False)

    assert worker.wait(120) == 0
    assert [record.key for record in fault_api.accepted(CUSTOMERS)] == [(due.customer_id,)]


def test_worker_an_hour_ahead_leases_and_waits_by_the_database(
    fault_api: FaultServer, spawn_host: SpawnHost
) -> None:
    """Its lease and the waits that it writes end when the database says so, and nothing is too old."""
    fault_api.plan = api.first(1, behaviours.status(503))
    make_customer("c1")
    worker = spawn_host("-m", "tests.faults.hosts", "drain", env=AHEAD, is_warm=False)
    assert worker.wait(120) == 0
    assert Customer.objects.filter(status=Status.PENDING, due_at__lt=later(minutes=1)).exists()

    fault_api.plan = api.always(behaviours.SLOW["silence"])
    Customer.objects.update(due_at=Now())
    worker = spawn_host("-m", "tests.faults.hosts", "drain", env=AHEAD, is_warm=False)
    wait_until(lambda: len(fault_api.exchanges) == 2, "the worker is sending")
    worker.kill()

    assert Lane.objects.filter(
        leased_until__gt=later(minutes=0.5), leased_until__lt=later(minutes=1.5)
    ).exists()


def test_worker_an_hour_ahead_understands_a_date(fault_api: FaultServer, spawn_host: SpawnHost) -> None:
    """A Retry-After that is a date is compared with the answer's own date, not with a clock that may be wrong."""
    fault_api.plan = lambda _exchange: behaviours.status(
        503, headers={"Retry-After": behaviours.in_seconds(1200), "Date": behaviours.in_seconds(0)}
    )
    make_customer("c1")

    worker = spawn_host("-m", "tests.faults.hosts", "drain", env=AHEAD, is_warm=False)

    assert worker.wait(120) == 0
    waits = Customer.objects.filter(due_at__gt=later(minutes=19), due_at__lt=later(minutes=21))
    assert waits.exists()
