"""`manage.py track360 replay`: what was accepted goes out once more, as it was."""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from tests.configuration import configure
from tests.rows import make_activities, make_customer, make_customers
from track360_django import customers, delivery
from track360_django.history import replay
from track360_django.models import Activity, Customer, Status
from track360_django.outbox import dead_letters, retention
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

TODAY = ("--since", "1d", "--until", "2100-01-01")


def track360(*words: str) -> list[str]:
    """Replay; return the lines that were printed."""
    out, err = io.StringIO(), io.StringIO()
    call_command("track360", "replay", *words, stdout=out, stderr=err)
    return out.getvalue().splitlines()


def fail(*words: str) -> CommandError:
    """Replay what needs a person; return the error."""
    with pytest.raises(CommandError) as caught:
        call_command("track360", "replay", *words, stdout=io.StringIO(), stderr=io.StringIO())
    return caught.value


def told(customers: int, activities: int) -> list[str]:
    """Return the lines for so many records."""
    return [f"customers to be sent again: {customers}", f"activities to be sent again: {activities}"]


def test_accepted_records_go_out_again_as_they_were(track360_sandbox: SandboxServer) -> None:
    """The same ids, the same bytes, the same versions; Track360 counts nothing twice."""
    made = make_customers(3)
    for each in made:
        make_activities(each, 2)
    delivery.drain()
    before = dict(Activity.objects.values_list("pk", "body"))
    track360_sandbox.store.clear()

    printed = track360(*TODAY)

    assert printed == told(3, 6)
    assert delivery.drain().delivered == 9
    assert dict(Activity.objects.values_list("pk", "body")) == before
    assert len(track360_sandbox.store.activities()) == 6
    assert {customer.version for customer in Customer.objects.all()} == {1}
    assert set(Activity.objects.values_list("status", "version", "accepted_version")) == {("delivered", 1, 1)}


def test_hour_that_a_clock_repeats_is_replayed_as_a_whole(
    track360_sandbox: SandboxServer, settings: Settings
) -> None:
    """`--until 02:30` ends with the second 02:30 of that night, `--since 02:30` begins with the first."""
    settings.TIME_ZONE = "Europe/Berlin"
    make_activities(make_customer("c1"), 1)
    delivery.drain()
    Activity.objects.update(delivered_at=datetime(2025, 10, 26, 1, 15, tzinfo=UTC))

    for since, until in (("2025-10-26 02:00", "2025-10-26 02:30"), ("2025-10-26 02:30", "2025-10-26 03:00")):
        printed = track360("--since", since, "--until", until, "--dry-run", "--eventname", "Bet")
        assert len(printed) == 1


def test_dry_run_goes_on_behind_a_customer_who_cannot_be_sent(
    track360_sandbox: SandboxServer, settings: Settings
) -> None:
    """`BEFORE_SEND` refuses one: they are named, the others shown."""
    make_customers(3)
    delivery.drain()

    def before_send(record: dict[str, Any]) -> dict[str, Any]:
        if record.get("customerId") == "c1":
            raise RuntimeError
        return record

    configure(settings, BEFORE_SEND=before_send)
    out, err = io.StringIO(), io.StringIO()
    call_command("track360", "replay", *TODAY, "--dry-run", stdout=out, stderr=err)

    assert {json.loads(line)["customerId"] for line in out.getvalue().splitlines()} == {"c0", "c2"}
    assert f"customer {Customer.objects.get(customer_id='c1').pk}: BEFORE_SEND raised" in err.getvalue()


def test_customer_goes_out_as_they_are_now(track360_sandbox: SandboxServer) -> None:
    """The Customer API takes the latest state; the attribution stays as it was frozen."""
    alex = User.objects.create(username="alex", first_name="Alex")
    customers.report(alex, tracking={"tracking_data": "t-1"})
    delivery.drain()
    User.objects.update(first_name="Alexander")

    track360(*TODAY)
    delivery.drain()

    stored = track360_sandbox.store.customer(str(alex.pk))
    assert stored is not None
    assert (stored["firstName"], stored["tracking_data"]) == ("Alexander", "t-1")


def test_only_the_time_and_the_records_that_are_named_go_out(
    track360_sandbox: SandboxServer, settings: Settings
) -> None:
    """Options narrow each other; with a name of events no customer goes."""
    configure(settings, BRANDS={"default": {}, "other": {}})
    one, two = make_customer("c1"), make_customer("c2")
    make_activities(one, 2)
    make_activities(two, 1)
    delivery.drain()
    Activity.objects.filter(eventid="c1-0").update(delivered_at=timezone.now() - timedelta(days=3))

    def counted(*words: str) -> list[str]:
        with transaction.atomic():
            printed = track360(*words)
            transaction.set_rollback(True)
        return printed

    assert counted(*TODAY) == told(2, 2)
    assert counted("--since", "4d", "--until", "2d") == told(0, 1)
    assert counted(*TODAY, "--customer", "c1") == told(1, 1)
    assert counted(*TODAY, "--customer", "c1", "--eventname", "Bet") == told(0, 1)
    assert counted(*TODAY, "--eventname", "Deposit") == told(0, 0)
    assert counted(*TODAY, "--brand", "other") == told(0, 0)


@pytest.mark.parametrize("status", [Status.PENDING, Status.HELD, Status.DEAD])
def test_record_that_is_not_accepted_is_left_alone(status: Status, track360_sandbox: SandboxServer) -> None:
    """It waits already, or needs a person."""
    make_activities(make_customer("c1"), 1)
    delivery.drain()
    Activity.objects.update(status=status, attempts=3, due_at=None)

    assert track360(*TODAY, "--eventname", "Bet") == told(0, 0)
    assert Activity.objects.get().attempts == 3


def test_replay_that_was_cut_short_can_be_repeated(
    track360_sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is marked already is not touched; what was sent meanwhile is out of the time that was given."""
    monkeypatch.setattr(replay, "CHUNK", 2)
    make_activities(make_customer("c1"), 5)
    delivery.drain()
    words = ("--since", "1d", "--until", timezone.now().isoformat(), "--eventname", "Bet")
    first = Activity.objects.order_by("pk")[0].pk
    with transaction.atomic():
        Activity.objects.filter(pk=first).update(status=Status.PENDING, due_at=timezone.now())
    delivery.drain()

    assert track360(*words) == told(0, 4)
    assert track360(*words) == told(0, 0)
    assert delivery.drain().delivered == 4
    assert track360(*words) == told(0, 0)


def test_pruned_activities_are_counted_and_need_a_person(track360_sandbox: SandboxServer) -> None:
    """Without its body an activity can't be sent: the command says how many, and sends the others."""
    customer = make_customer("c1")
    make_activities(customer, 2)
    Activity.objects.filter(eventid="c1-0").update(source="cashier.Deposit", source_pk="1")
    delivery.drain()
    Activity.objects.filter(eventid="c1-1").update(delivered_at=timezone.now() + timedelta(minutes=1))
    retention.prune(older_than=timedelta(0))
    Activity.objects.filter(eventid="c1-1").update(delivered_at=timezone.now() - timedelta(minutes=1))

    error = fail(*TODAY)

    assert error.returncode == 1
    assert "because their bodies were pruned: 1." in str(error)
    assert Activity.objects.get(eventid="c1-1").status == Status.PENDING
    assert dead_letters.replay(Activity.objects.all()) == 0


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_record_in_the_hands_of_the_host_is_passed_over_and_told(track360_sandbox: SandboxServer) -> None:
    """To wait for it with other rows in hand could be a deadlock that the host loses: a person repeats the command."""
    make_activities(make_customer("c1"), 2)
    delivery.drain()
    held = Activity.objects.get(eventid="c1-0")
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Activity.objects.select_for_update().get(pk=held.pk)
            holds.set()
            done.wait(20)
        connection.close()

    host = threading.Thread(target=hold)
    host.start()
    assert holds.wait(20)

    error = fail(*TODAY)

    done.set()
    host.join()
    assert error.returncode == 1
    assert "records that another transaction has locked: 1" in str(error)
    held.refresh_from_db()
    assert held.status == Status.DELIVERED
    assert Activity.objects.get(eventid="c1-1").status == Status.PENDING
    assert track360(*TODAY, "--eventname", "Bet") == told(0, 1)


def test_dry_run_prints_what_would_be_sent(track360_sandbox: SandboxServer) -> None:
    """And changes nothing."""
    make_activities(make_customer("c1"), 2)
    delivery.drain()

    with CaptureQueriesContext(connection) as queries:
        printed = track360(*TODAY, "--dry-run")

    assert all(each["sql"].startswith("SELECT") for each in queries)
    assert [json.loads(line).get("customerId") for line in printed] == ["c1", None, None]
    assert printed[1:] == list(Activity.objects.order_by("pk").values_list("body", flat=True))
    assert delivery.drain().requests == 0


def test_old_time_is_told_to_miss_what_was_deleted(track360_sandbox: SandboxServer) -> None:
    """Nobody may think that all of it went out."""
    assert "more than 30 days ago. They are deleted" in track360("--since", "60d", "--until", "1d")[-1]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--since", "1d"),
        ("--since", "1d", "--until", "2d"),
        ("--since", "tomorrow", "--until", "2d"),
        (*TODAY, "--brand", "none"),
    ],
    ids=str,
)
def test_wrong_call_is_refused(words: tuple[str, ...]) -> None:
    """Both times are given, in their order, and the brand is one."""
    assert fail(*words).returncode in {1, 2}
