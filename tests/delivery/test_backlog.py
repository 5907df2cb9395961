"""A backlog: threads share it, customers don't wait behind it, the search goes on where it stopped, a pace is kept."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.rows import make_activities, make_customer, make_customers
from track360_django import activities, delivery, signals
from track360_django.db.clock import Now
from track360_django.delivery import rate_limit, sender, worker
from track360_django.models import Activity, Customer, Endpoint, Lane, Pace, Status
from track360_django.outbox import lanes, retention, settlement
from track360_django.outbox.activities import correct_activity

if TYPE_CHECKING:
    from track360_django.sandbox.log import Entry
    from track360_django.sandbox.server import SandboxServer


def make_backlog(count: int, customers: int = 16) -> None:
    """Write so many due activities of customers whom Track360 has."""
    owners = make_customers(customers)
    delivery.drain()
    activities.report_many(
        {"eventname": "Bet", "customer": owners[number % customers], "value": 1, "eventid": f"bet-{number}"}
        for number in range(count)
    )


def requests_of_activities(sandbox: SandboxServer) -> list[Entry]:
    """Return the requests that brought activities, in the order of their arrival."""
    return [entry for entry in sandbox.store.snapshot().requests if entry.endpoint == "activities"]


def settings_with(settings: Any, **changes: Any) -> None:
    """Change settings of the package for one test."""
    settings.TRACK360 = {**settings.TRACK360, **changes}


@pytest.mark.django_db(transaction=True)
def test_backlog_is_shared_between_threads(settings: Any, track360_sandbox: SandboxServer) -> None:
    """With a backlog, as many requests are under way at once as CONCURRENCY says; each record goes once."""
    make_backlog(200)
    settings_with(settings, BATCH_SIZE=5, CONCURRENCY=3)
    track360_sandbox.fail(delay_seconds=0.05, processed=True, times=1000)

    report = delivery.drain()

    requests = requests_of_activities(track360_sandbox)
    spans = [(entry.received_at, entry.answered_at or entry.received_at) for entry in requests]
    at_once = max(sum(begun <= moment < ended for begun, ended in spans) for moment, _ in spans)
    assert (report.delivered, report.is_finished) == (200, True)
    assert len(track360_sandbox.store.activities()) == 200
    assert track360_sandbox.store.snapshot().counts.get("duplicates", 0) == 0
    assert 1 < at_once <= 3


@pytest.mark.django_db(transaction=True)
def test_drain_leaves_no_thread_behind(settings: Any, track360_sandbox: SandboxServer) -> None:
    """When a drain returns, its threads have ended."""
    settings_with(settings, BATCH_SIZE=5, CONCURRENCY=4)
    make_backlog(100)

    delivery.drain()

    assert not [thread for thread in threading.enumerate() if thread.name == "track360-delivery"]


@pytest.mark.django_db
def test_drain_within_a_transaction_stays_in_its_thread(
    settings: Any, track360_sandbox: SandboxServer
) -> None:
    """What a transaction wrote is seen by its own connection alone: a test of a host delivers without threads."""
    settings_with(settings, BATCH_SIZE=5, CONCURRENCY=4)
    make_backlog(100)

    assert delivery.drain().delivered == 100


@pytest.mark.django_db
def test_backlog_calls_another_worker_once(settings: Any, track360_sandbox: SandboxServer) -> None:
    """More than one batch is worth a second worker; less is not."""
    settings_with(settings, BATCH_SIZE=50, LANES=1)
    calls: list[None] = []
    make_backlog(50)

    delivery.drain(on_backlog=lambda: calls.append(None))
    before = len(calls)
    Activity.objects.update(status=Status.PENDING, due_at=Now())
    activities.report("Bet", customer="c1", value=1, eventid="one-more")
    delivery.drain(on_backlog=lambda: calls.append(None))

    assert (before, len(calls)) == (0, 1)


@pytest.mark.django_db
def test_records_due_at_the_same_moment_are_all_found(settings: Any, track360_sandbox: SandboxServer) -> None:
    """A thousand rows of one statement have one due time: each page begins behind the last one's end."""
    settings_with(settings, BATCH_SIZE=7, LANES=1)
    make_backlog(100)
    Activity.objects.update(due_at=Now())

    report = delivery.drain()

    assert report.delivered == 100
    assert not Activity.objects.exclude(status=Status.DELIVERED).exists()


@pytest.mark.django_db
def test_signup_does_not_wait_behind_a_backlog(settings: Any, track360_sandbox: SandboxServer) -> None:
    """A customer who signs up while a backlog is delivered goes before the end of it."""
    settings_with(settings, BATCH_SIZE=5, LANES=1)
    make_backlog(200)

    def sign_up(*_: object, **__: object) -> None:
        if not Customer.objects.filter(customer_id="late").exists():
            make_customer("late")

    signals.activity_delivered.connect(sign_up)
    try:
        delivery.drain()
    finally:
        signals.activity_delivered.disconnect(sign_up)

    order = [entry.endpoint for entry in track360_sandbox.store.snapshot().requests]
    behind = len(order) - 1 - order[::-1].index("customers")
    assert track360_sandbox.store.customer("late") is not None
    assert behind - order.index("activities") <= worker.PAGES * sender.BATCHES
    assert behind < len(order) - 1


@pytest.mark.django_db
def test_accepted_batch_costs_a_bounded_number_of_queries(
    settings: Any, track360_sandbox: SandboxServer
) -> None:
    """However many records, a batch is settled by a fixed number of statements."""
    settings_with(settings, LANES=1)
    counts = []
    for size in (10, 400):
        make_backlog(size)
        Activity.objects.update(status=Status.PENDING, due_at=Now())
        with CaptureQueriesContext(connection) as queries:
            assert delivery.drain().delivered >= size
        counts.append(len(queries))

    assert counts[1] <= counts[0]


@pytest.mark.django_db
def test_requests_keep_the_pace(settings: Any, track360_sandbox: SandboxServer) -> None:
    """With REQUESTS_PER_SECOND the turns of a brand follow each other."""
    make_backlog(7)
    settings_with(settings, BATCH_SIZE=1, LANES=1, REQUESTS_PER_SECOND=20.0)

    delivery.drain()

    times = [entry.received_at for entry in requests_of_activities(track360_sandbox)]
    assert len(times) == 7
    # Six steps of 50 ms lie between seven requests; a slow machine only makes them longer.
    assert (times[-1] - times[0]).total_seconds() >= 0.25


@pytest.mark.django_db
def test_turns_of_two_workers_never_coincide() -> None:
    """Who asks later gets a later turn; who would have to wait too long takes none."""
    waits = [
        rate_limit.take_turn("default", requests_per_second=1.0, at_most_seconds=60, using="default")
        for _ in range(3)
    ]
    refused = rate_limit.take_turn("default", requests_per_second=1.0, at_most_seconds=0.5, using="default")

    assert None not in waits
    assert [round(wait or 0) for wait in waits] == [0, 1, 2]
    assert refused is None
    assert Pace.objects.count() == 1


@pytest.mark.django_db
def test_pace_slower_than_a_drain_still_sends(settings: Any, track360_sandbox: SandboxServer) -> None:
    """Slow is not never: a drain takes one turn at least, however short its time."""
    make_backlog(2)
    settings_with(settings, BATCH_SIZE=1, LANES=1, REQUESTS_PER_SECOND=2.0)

    begun = time.monotonic()
    while Activity.objects.exclude(status=Status.DELIVERED).exists():
        delivery.drain(budget_seconds=0.05)
        assert time.monotonic() < begun + 60


@pytest.mark.django_db
def test_record_that_was_deleted_on_its_way_stops_nobody(
    settings: Any, track360_sandbox: SandboxServer
) -> None:
    """A row that is gone when its answer is there is held by nobody: the others are settled at once."""
    make_backlog(3, customers=1)
    gone = Activity.objects.get(eventid="bet-0")

    def delete(_status: int, _text: str) -> bool:
        Activity.objects.filter(pk=gone.pk).delete()
        return True

    settings_with(settings, RESPONSE_CHECK=delete)
    delivery.drain()

    assert set(Activity.objects.values_list("status", flat=True)) == {Status.DELIVERED}
    assert len(track360_sandbox.store.activities()) == 3


@pytest.mark.django_db
def test_pruning_a_long_past_goes_on_to_its_end(track360_sandbox: SandboxServer) -> None:
    """Batches of a thousand follow each other until nothing old is left."""
    make_backlog(2_500)
    delivery.drain()

    pruned = retention.prune(older_than=timedelta(seconds=-60))

    assert (pruned, Activity.objects.count()) == (2_500, 0)


@pytest.mark.django_db(transaction=True)
def test_last_look_is_no_earlier_than_asked_for(track360_sandbox: SandboxServer) -> None:
    """A worker that lingers finds what was committed after its first look."""
    make_customer("c1")
    delivery.drain()

    def write() -> None:
        make_activities(Customer.objects.get(customer_id="c1"), 1)
        connection.close()

    later = threading.Thread(target=write)

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if later.ident is None and sql.startswith("SELECT") and "track360_django_lane" in sql:
            later.start()
        return result

    with connection.execute_wrapper(look):
        delivery.drain(linger_seconds=2.0)
    later.join()

    assert len(track360_sandbox.store.activities()) == 1


@pytest.mark.django_db(transaction=True)
def test_bad_records_among_good_ones_pause_nothing(settings: Any, track360_sandbox: SandboxServer) -> None:
    """Refusals with acceptances between them are no row of refusals, however fast they follow each other."""
    settings_with(settings, LANES=1)
    make_backlog(300, customers=1)
    for number in (10, 60, 110, 160, 210, 260):
        Activity.objects.filter(eventid=f"bet-{number}").update(body='{"eventname": "Bet"}')

    delivery.drain()

    statuses = Counter(Activity.objects.values_list("status", flat=True))
    assert statuses == {Status.DELIVERED: 294, Status.DEAD: 6}
    assert not Endpoint.objects.exclude(paused_until=None).exists()


@pytest.mark.django_db(transaction=True)
def test_pages_follow_each_other_in_order(settings: Any, track360_sandbox: SandboxServer) -> None:
    """Activities of a customer arrive in the order in which they were written, also those of one statement."""
    settings_with(settings, BATCH_SIZE=5, LANES=1)
    make_backlog(100, customers=1)

    delivery.drain()

    arrived = [record.record["eventid"] for record in track360_sandbox.store.snapshot().activities]
    assert arrived == [f"bet-{number}" for number in range(100)]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_acceptance_that_is_late_holds_its_lane(track360_sandbox: SandboxServer) -> None:
    """Until a customer's acceptance is committed nobody takes the lane: they could park what it has to release."""
    customer = make_customer("c1")
    lanes.ensure_lanes(["default"], using="default")
    lane = lanes.take(["default"], owner="w1", using="default")
    assert lane is not None
    accepted = settlement.Outcome(pks=[customer.pk], version=1, status=Status.DELIVERED)
    is_waiting = threading.Event()

    def take() -> None:
        is_waiting.set()
        lanes.take(["default"], owner="heir", using="default")
        connection.close()

    def stall(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        result = execute(sql, params, many, context)
        if sql.lstrip().startswith("UPDATE track360_django_customer"):
            heir.start()
            is_waiting.wait(20)
            time.sleep(0.5)
            taken.append(Lane.objects.using("default").get(pk=lane.pk).owner)
        return result

    heir = threading.Thread(target=take)
    taken: list[str] = []
    Lane.objects.filter(pk=lane.pk).update(leased_until=Now() - timedelta(seconds=1))
    with connection.execute_wrapper(stall):
        is_settled = settlement.settle_accepted(Customer, lane, accepted)
    heir.join()

    assert (is_settled, taken) == (True, ["w1"])
    assert Customer.objects.get().status == Status.DELIVERED


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_pruning_leaves_alone_what_the_host_is_correcting(track360_sandbox: SandboxServer) -> None:
    """A record that a transaction makes due again while it is pruned keeps its body."""
    make_backlog(2, customers=1)
    delivery.drain()
    corrected = Activity.objects.get(eventid="bet-0")
    holds, done = threading.Event(), threading.Event()

    def correct() -> None:
        with transaction.atomic():
            correct_activity(corrected, "{}", using="default")
            holds.set()
            done.wait(20)
        connection.close()

    host = threading.Thread(target=correct)
    host.start()
    assert holds.wait(20)

    pruned = retention.prune(older_than=timedelta(seconds=-60))

    done.set()
    host.join()
    assert pruned == 1
    assert list(Activity.objects.values_list("body", "status")) == [("{}", Status.PENDING)]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_record_in_the_hands_of_the_host_is_not_sent_again_while_it_is(
    settings: Any, track360_sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent and could not be settled goes out again when the host lets go, not each half minute."""
    monkeypatch.setattr(sender, "LOCKED_SECONDS", 0.3)
    settings_with(settings, LANES=1)
    make_backlog(3, customers=1)
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Activity.objects.select_for_update().get(eventid="bet-1")
            holds.set()
            done.wait(60)
        connection.close()

    host = threading.Thread(target=hold)
    host.start()
    assert holds.wait(20)
    for _ in range(3):
        delivery.drain()
        Lane.objects.exclude(leased_until=None).update(leased_until=Now() - timedelta(seconds=1))
    requests = len(requests_of_activities(track360_sandbox))
    done.set()
    host.join()
    delivery.drain()

    assert requests == 1
    assert set(Activity.objects.values_list("status", flat=True)) == {Status.DELIVERED}


@pytest.mark.django_db
def test_activity_whose_customer_is_gone_is_dead_with_its_reason(track360_sandbox: SandboxServer) -> None:
    """Nothing waits for ever for a customer who was dropped at the same moment: a person sees it."""
    make_backlog(1, customers=1)
    Customer.objects.all()._raw_delete("default")

    delivery.drain()

    assert list(Activity.objects.values_list("status", "reason")) == [(Status.DEAD, "customer_gone")]


@pytest.mark.django_db
def test_release_of_held_activities_finds_them_by_an_index(track360_sandbox: SandboxServer) -> None:
    """Settling a customer doesn't read all activities."""
    make_backlog(1, customers=1)
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        settlement._release_activities([1, 2], "default")

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"{connection.ops.explain_query_prefix()} {asked[0][0]}", asked[0][1])
        assert "track360_activity_waiting" in str(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
def test_machine_without_threads_delivers_all_the_same(
    settings: Any, track360_sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that may start no thread, as under a limit of its container, delivers the backlog in its own."""
    settings_with(settings, BATCH_SIZE=5)
    make_backlog(60)
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "track360-delivery":
            message = "can't start new thread"
            raise RuntimeError(message)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert delivery.drain().delivered == 60
