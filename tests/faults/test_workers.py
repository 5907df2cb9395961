"""Workers that die, stop, end and crowd, as real processes, with the checker's verdict afterwards."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults import api, behaviours
from tests.faults.api import CUSTOMERS, FaultServer
from tests.faults.chaos import children_of
from tests.faults.ledger import accepted, expire_leases, found, is_all_delivered, wait_until, wake
from tests.rows import make_activities, make_customer, make_customers
from track360_django import activities, delivery
from track360_django.models import Activity, Customer, Lane, Status

if TYPE_CHECKING:
    from example_project.servers import Process
    from tests.conftest import SpawnHost

pytestmark = pytest.mark.django_db(transaction=True)

CELERY = ("-m", "celery", "-A", "example_project", "worker", "--loglevel=INFO")


def start_worker(spawn_host: SpawnHost, *, children: int = 1) -> Process:
    """Start a Celery worker with some children and wait until it is ready."""
    worker = spawn_host(
        *CELERY, f"--concurrency={children}", "--without-gossip", "--without-mingle", name="worker"
    )
    wait_until(lambda: " ready." in worker.log_tail(), "the worker is ready")
    return worker


def report_crowd(customers: int, each: int) -> None:
    """Report some customers with some bets each."""
    activities.report_many(
        {
            "eventname": "Bet",
            "customer": customer,
            "value": 5,
            "currency": "USD",
            "eventid": f"{customer.customer_id}-{number}",
        }
        for customer in make_customers(customers)
        for number in range(each)
    )


@pytest.mark.postgres
def test_eight_workers_send_4000_events_once(fault_api: FaultServer, spawn_host: SpawnHost) -> None:
    """Eight processes at once: exactly 4000 activities are accepted, and no request is made twice."""
    report_crowd(400, 10)
    assert Activity.objects.count() == 4000

    workers = [spawn_host("-m", "tests.processes", "drain", name=f"drain{number}") for number in range(8)]

    assert [worker.wait(300) for worker in workers] == [0] * 8
    assert len(accepted(fault_api)) == 4000
    assert found(fault_api) == []


@pytest.mark.postgres
def test_eight_children_of_one_worker_send_4000_events_once(
    fault_api: FaultServer, spawn_host: SpawnHost
) -> None:
    """Eight children of a Celery worker, woken at once, share the lanes: nothing is sent twice."""
    report_crowd(400, 10)
    for _ in range(20):
        wake()

    start_worker(spawn_host, children=8)

    wait_until(is_all_delivered, "everything is delivered")
    assert len(accepted(fault_api)) == 4000
    assert found(fault_api) == []


def test_record_that_kills_its_worker_each_time_is_isolated(
    fault_api: FaultServer, spawn_host: SpawnHost
) -> None:
    """Worker after worker dies of one customer; a few deaths later it is dead and all others are delivered."""
    make_customers(60)
    Customer.objects.update(lane=0)
    deaths = 0

    while (code := spawn_host("-m", "tests.faults.hosts", "die_of", "c37").wait(120)) == -signal.SIGKILL:
        deaths += 1
        assert deaths < 10
        expire_leases()

    assert code == 0
    killer = Customer.objects.get(status=Status.DEAD)
    assert (killer.customer_id, killer.reason) == ("c37", "kills_its_worker")
    assert Customer.objects.filter(status=Status.DELIVERED).count() == 59
    assert [record.key for record in fault_api.accepted(CUSTOMERS)].count(("c37",)) == 0


@pytest.mark.parametrize("is_taken", [False, True], ids=["before-the-api-took-it", "after-the-api-took-it"])
def test_killed_pool_child_loses_nothing(
    fault_api: FaultServer, spawn_host: SpawnHost, *, is_taken: bool
) -> None:
    """The child that had the lane is killed during a request; its lane is delivered when the lease is over."""
    silence = behaviours.SLOW["silence"]
    fault_api.plan = api.first(1, silence if is_taken else behaviours.not_taken(silence))
    worker = start_worker(spawn_host)
    make_activities(make_customer("c1"), 3)
    wake()
    wait_until(lambda: fault_api.exchanges, "the child has sent the customer")

    killed = time.monotonic()
    (child,) = children_of(worker.pid)
    os.kill(child, signal.SIGKILL)

    assert Lane.objects.exclude(owner="").count() == 1
    expire_leases()
    wake()
    wait_until(is_all_delivered, "the next child delivers")
    assert worker.is_running
    assert found(fault_api, [(killed, killed)]) == []
    assert len(fault_api.exchanges) == 3


def test_warm_shutdown_loses_nothing_and_gives_the_lane_back(
    fault_api: FaultServer, spawn_host: SpawnHost
) -> None:
    """SIGTERM in the middle of a batch: the worker settles what it sent, and no lane waits for a lease to end."""
    fault_api.plan = api.always(behaviours.LATE)
    report_crowd(10, 2)
    # Two lanes have four requests: one is answered, others are ahead.
    Customer.objects.filter(lane__gt=1).update(lane=1)
    Activity.objects.filter(lane__gt=1).update(lane=1)
    wake()
    worker = start_worker(spawn_host)
    wait_until(lambda: fault_api.exchanges, "the worker is sending")

    os.kill(worker.pid, signal.SIGTERM)

    assert worker.wait(120) == 0
    assert not Lane.objects.exclude(owner="").exists()
    delivery.drain()
    assert is_all_delivered()
    assert found(fault_api) == []


def test_worker_killed_between_batches_repeats_one_batch_at_most(
    fault_api: FaultServer, spawn_host: SpawnHost
) -> None:
    """What was settled before the death is not sent again."""
    fault_api.plan = api.always(behaviours.LATE)
    report_crowd(40, 2)
    wake()
    worker = start_worker(spawn_host)
    wait_until(lambda: len(fault_api.exchanges) >= 4, "the worker is sending")

    killed = time.monotonic()
    worker.kill()

    fault_api.plan = api.obey
    expire_leases()
    delivery.drain()
    assert is_all_delivered()
    assert found(fault_api, [(killed, killed + 0.5)]) == []
