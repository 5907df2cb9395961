"""Real processes on the real broker and database: workers that deliver, die, stop and come back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User

from tests.faults.ledger import expire_leases, wait_until, wake
from tests.rows import make_activities, make_customer, make_customers
from track360_django import customers, delivery
from track360_django.models import Activity, Customer, Lane, Status

if TYPE_CHECKING:
    from example_project.servers import Process
    from tests.conftest import SpawnHost
    from track360_django.sandbox.log import Entry
    from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

DEADLINE_SECONDS = 40


def start_worker(spawn_host: SpawnHost) -> Process:
    """Start one Celery worker of the example host."""
    words = ("-m", "celery", "-A", "example_project", "worker", "--concurrency=1", "--loglevel=INFO")
    return spawn_host(*words, "--without-gossip", "--without-mingle", name="worker")


def requests_of(sandbox: SandboxServer) -> tuple[Entry, ...]:
    """Return all requests so far, in order of arrival."""
    return sandbox.store.snapshot().requests


def is_customer_first(sandbox: SandboxServer) -> bool:
    """Tell whether each activity was received after its customer's acceptance was answered."""
    snapshot = sandbox.store.snapshot()
    entries = {entry.seq: entry for entry in snapshot.requests}
    answered = {
        call.record["customerId"]: entries[call.seq].answered_at
        for call in reversed(snapshot.customer_calls)
        if entries[call.seq].answered_at is not None
    }
    return all(
        answered[activity.record["customerid"]] <= entries[activity.seq].received_at  # type: ignore[operator]
        for activity in snapshot.activities
    )


def test_commit_wakes_a_worker_that_delivers(track360_sandbox: SandboxServer, spawn_host: SpawnHost) -> None:
    """A signup and its activity reach Track360 through broker and worker, without sweep or help."""
    worker = start_worker(spawn_host)
    wait_until(lambda: "ready" in worker.log_tail(), "the worker is ready")
    # Connect to the broker: on a busy machine that takes longer than a commit waits for it.
    wake()
    user = User.objects.create_user("alex", first_name="Alex")

    customer = customers.report(user, tracking={"tracking_data": "2001_1000_abcdefg"})
    make_activities(customer, 1)

    wait_until(track360_sandbox.store.activities, "the activity arrived")
    record = track360_sandbox.store.customer(str(user.pk))
    assert record is not None
    assert (record["tracking_data"], record["firstName"]) == ("2001_1000_abcdefg", "Alex")
    assert is_customer_first(track360_sandbox)
    assert worker.is_running
    assert "sandbox-token" not in worker.log_tail(1000)


@pytest.mark.parametrize("processed", [False, True], ids=["before-the-api-took-it", "after-the-api-took-it"])
def test_worker_killed_between_lane_and_answer_loses_nothing(
    track360_sandbox: SandboxServer, spawn_host: SpawnHost, *, processed: bool
) -> None:
    """After kill -9 during a request everything arrives once in effect, customers first, when the lease is over."""
    track360_sandbox.fail(endpoint="customers", ending="hang", processed=processed, times=1)
    worker = start_worker(spawn_host)
    customer = make_customer("c1")
    make_activities(customer, 3)
    wake()
    wait_until(lambda: requests_of(track360_sandbox), "the worker has sent the customer")
    assert Lane.objects.exclude(owner="").count() == 1

    worker.kill()

    assert delivery.drain().requests == 0, "the lane still belongs to the dead worker"
    expire_leases()
    delivery.drain()
    assert set(Customer.objects.values_list("status", flat=True)) == {Status.DELIVERED}
    assert set(Activity.objects.values_list("status", flat=True)) == {Status.DELIVERED}
    assert len(track360_sandbox.store.activities()) == 3
    assert [entry.endpoint for entry in requests_of(track360_sandbox)] == [
        "customers",
        "customers",
        "activities",
    ]
    assert is_customer_first(track360_sandbox)


def test_worker_killed_between_answer_and_settling_sends_the_same_bytes_again(
    track360_sandbox: SandboxServer, spawn_host: SpawnHost
) -> None:
    """What was accepted but not settled is sent once more, identically, and counts once."""
    customer = make_customer("c1")
    delivery.drain()
    customer.refresh_from_db()
    make_activities(customer, 5)

    killed = spawn_host("-m", "tests.processes", "die_before_settling")
    assert killed.wait(DEADLINE_SECONDS) == -9
    assert set(Activity.objects.values_list("status", flat=True)) == {Status.PENDING}
    expire_leases()
    delivery.drain()

    counts = track360_sandbox.store.snapshot().counts
    assert set(Activity.objects.values_list("status", flat=True)) == {Status.DELIVERED}
    assert len(track360_sandbox.store.activities()) == 5
    assert counts.get("duplicates", 0) == 5
    assert not counts.get("conflict")


def test_stopped_worker_that_comes_back_settles_nothing(
    track360_sandbox: SandboxServer, spawn_host: SpawnHost, tmp_path: Path
) -> None:
    """A worker that was stopped longer than its lease finds its fence passed and leaves the new state alone."""
    customer = make_customer("c1")
    delivery.drain()
    customer.refresh_from_db()
    make_activities(customer, 2)
    zombie = spawn_host("-m", "tests.processes", "stop_before_settling", name="zombie")
    wait_until(lambda: len(track360_sandbox.store.activities()) == 2, "the worker has sent its batch")
    expire_leases()
    Activity.objects.update(reason="untouched by the zombie")
    fence = Lane.objects.get(number=customer.lane).fence
    Lane.objects.filter(number=customer.lane).update(fence=fence + 1, owner="heir")

    zombie.resume()

    assert zombie.wait(DEADLINE_SECONDS) == 0
    assert "has another owner" in (tmp_path / "zombie.log").read_text()
    rows = Activity.objects.values_list("status", "reason").distinct()
    assert list(rows) == [(Status.PENDING, "untouched by the zombie")]


def test_many_workers_send_each_record_once(track360_sandbox: SandboxServer, spawn_host: SpawnHost) -> None:
    """Four workers at once share the lanes: no request is made twice."""
    for customer in make_customers(40):
        make_activities(customer, 5)

    workers = [spawn_host("-m", "tests.processes", "drain", name=f"drain{number}") for number in range(4)]

    assert [worker.wait(DEADLINE_SECONDS) for worker in workers] == [0, 0, 0, 0]
    snapshot = track360_sandbox.store.snapshot()
    assert snapshot.counts.get("duplicates", 0) == 0
    assert len(snapshot.activities) == 200
    assert set(Counter(call.record["customerId"] for call in snapshot.customer_calls).values()) == {1}
    assert is_customer_first(track360_sandbox)
