"""`manage.py track360`, called as a person or a cron job calls it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from pytest_django import Settings

from example_project.cashier.models import Account, Deposit
from tests.rows import make_activities, make_customer, overdue
from track360_django import activities, customers, delivery
from track360_django.db.clock import Now
from track360_django.delivery import breaker
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Lane, Status

if TYPE_CHECKING:
    from tests.conftest import SpawnHost
    from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

DEADLINE_SECONDS = 30


def track360(*words: str) -> list[str]:
    """Run a subcommand; return the lines it printed."""
    out = StringIO()
    call_command("track360", *words, stdout=out)
    return out.getvalue().splitlines()


def fail(*words: str) -> tuple[list[str], CommandError]:
    """Run a subcommand that is to fail; return the lines it printed and the error."""
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("track360", *words, stdout=out)
    return out.getvalue().splitlines(), caught.value


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS} s: {what}"
        time.sleep(0.02)


def kill(*records: Customer | Activity, reason: str = "http_422") -> None:
    """Make records dead."""
    for record in records:
        rows = type(record)._default_manager.filter(pk=record.pk)
        rows.update(status=Status.DEAD, due_at=None, reason=reason, error="HTTP 422: Track360 refused it.")


def pause(name: EndpointName = EndpointName.CUSTOMERS, minutes: int = 5) -> Endpoint:
    """Pause an endpoint."""
    endpoint, _ = Endpoint.objects.get_or_create(brand="default", name=name)
    breaker.pause(endpoint, timedelta(minutes=minutes), reason="http_401", error="HTTP 401: no.")
    return endpoint


def make_quarantined() -> Deposit:
    """Complete a deposit whose currency can't be reported."""
    account = Account.objects.create(user=User.objects.create(username="alex"), currency="US")
    deposit = Deposit.objects.create(account=account, amount=Decimal("5.00"), currency="??")
    deposit.complete()
    return deposit


# The command itself.


@pytest.mark.parametrize("words", [(), ("doctor",), ("reconsile",), ("statsu",)], ids=" ".join)
def test_unknown_subcommand_is_refused(words: tuple[str, ...]) -> None:
    """What isn't there yet, or misspelt, or left out, is a wrong call."""
    _, error = fail(*words)

    assert "subcommand" in str(error)


def test_wrong_settings_do_not_stop_status(settings: Settings) -> None:
    """Who looks for what is wrong is not turned away because something is wrong."""
    settings.TRACK360 = {"BASE_URL": "nonsense", "BRAND_TOKE": "x"}

    assert track360("status")


# status


def test_status_of_nothing_is_well() -> None:
    """Without records there is nothing to do, and each state counts zero."""
    lines = track360("status")

    assert lines == [
        "default customers: 0 held, 0 pending, 0 delivered, 0 dead",
        "default activities: 0 held, 0 pending, 0 delivered, 0 dead",
    ]


def test_status_counts_records_by_state_and_tells_the_oldest_age(track360_sandbox: SandboxServer) -> None:
    """Records are counted by state, the oldest pending one has its age, and none of it needs a person."""
    customer = make_customer("c1")
    delivery.drain()
    customer.refresh_from_db()
    make_activities(customer, 2)
    Activity.objects.filter(eventid="c1-0").update(queued_at=Now() - timedelta(seconds=90))

    lines = track360("status")

    assert lines[0] == "default customers: 0 held, 0 pending, 1 delivered, 0 dead"
    assert lines[1] == "default activities: 0 held, 2 pending, 0 delivered, 0 dead"
    assert lines[2].startswith("default activities: oldest pending record waits for 9")


def test_status_with_dead_records_fails_and_gives_the_reasons() -> None:
    """Dead records need a person: the command fails, and says how many died of what."""
    kill(make_customer("c1"), make_customer("c2"), reason="too_old")
    kill(make_customer("c3"))

    lines, error = fail("status")

    assert "default customers: dead, too_old: 2 (Track360 did not accept it within MAX_AGE_DAYS)" in lines
    assert "default customers: dead, http_422: 1 (Track360 refused it (HTTP 422))" in lines
    assert error.returncode == 1
    assert "default: customers dead: 3. Correct the cause, then requeue them." in str(error)


def test_status_gives_the_reasons_of_held_records(track360_sandbox: SandboxServer) -> None:
    """Held records are counted by reason; they wait for something and need nobody."""
    activities.report("Bet", customer="nobody", value=Decimal(1), currency="USD", eventid="b1")
    delivery.drain()

    lines = track360("status")

    assert (
        "default customers: held, unknown_customer: 1 (no user of this project has the customer id)" in lines
    )
    assert "default activities: held, customer_not_accepted: 1 (its customer is not accepted yet)" in lines


def test_status_tells_what_held_records_without_a_reason_wait_for() -> None:
    """What nobody has looked at yet is on its way."""
    customer = customers.report("c-1")
    activities.report("Bet", customer=customer, value=Decimal(1), currency="USD", eventid="b1")
    Customer.objects.update(status="held")

    lines = track360("status")

    assert "default customers: held: 1 (the signup is under way)" in lines
    assert "default activities: held: 1 (its customer is on the way: waits until accepted)" in lines


def test_status_with_a_paused_endpoint_fails_and_says_why() -> None:
    """A paused endpoint needs a person: the command fails with the reason and the way out."""
    make_customer("c1")
    endpoint = pause()

    lines, error = fail("status")

    until = f"{endpoint.paused_until:%Y-%m-%d %H:%M:%S} UTC"
    paused = next(line for line in lines if line.startswith("default customers endpoint: Paused"))
    assert f"Paused until {until}: Track360 refused the brand token." in paused
    assert "(API guide, Authentication), then resume it." in paused
    assert "default: the customers endpoint is paused (http_401). Correct the cause, then resume it." in str(
        error
    )


def test_status_with_a_pause_that_is_over_fails_while_a_record_waits() -> None:
    """Between a pause and the probe the trouble isn't over; without a record to probe with, nobody is harmed."""
    endpoint = pause()
    Endpoint.objects.update(paused_until=Now() - timedelta(seconds=1))

    assert track360("status")

    make_customer("c1")
    lines, _ = fail("status")
    assert any(
        line.startswith(f"default {endpoint.name} endpoint: Tried with the next record") for line in lines
    )


@pytest.mark.parametrize("name", EndpointName)
def test_status_with_records_due_for_long_fails(name: EndpointName) -> None:
    """Records that nobody delivers for five minutes need a person."""
    make_activities(make_customer("c1"), 1)
    model = Customer if name is EndpointName.CUSTOMERS else Activity
    model._default_manager.update(due_at=Now() - timedelta(minutes=6))

    lines, error = fail("status")

    assert f"default {name.value}: due for more than five minutes: 1" in lines
    assert "Do the workers and the beat run?" in str(error)


def test_status_with_records_due_for_less_is_well() -> None:
    """Records that are due for a few minutes are the workers' business."""
    make_customer("c1")
    Customer.objects.update(due_at=Now() - timedelta(minutes=4))

    assert track360("status")


def test_status_of_a_brand_that_is_off_says_so(settings: Settings) -> None:
    """Records of a brand that nobody delivers are named with the setting to look at."""
    make_customer("c1")
    Customer.objects.update(due_at=Now() - timedelta(minutes=6))
    settings.TRACK360 = {**settings.TRACK360, "BRANDS": {"other": {}}}

    lines, error = fail("status")

    assert "default: not delivered (ENABLED is off, or the brand is missing in TRACK360['BRANDS'])" in lines
    assert "other customers: 0 held, 0 pending, 0 delivered, 0 dead" in lines
    assert "This brand is not delivered" in str(error)


def test_status_counts_activities_whose_rows_changed(track360_sandbox: SandboxServer) -> None:
    """Activities that differ from their rows by now are counted, and fail nothing."""
    make_activities(make_customer("c1"), 2)
    delivery.drain()
    Activity.objects.filter(eventid="c1-1").update(changed_at=Now())

    assert "default activities: changed after they were recorded: 1" in track360("status")


def test_status_as_json_is_one_object_with_everything() -> None:
    """The JSON has the same numbers, reasons, pauses and problems, for machines."""
    customer = make_customer("c1")
    make_activities(customer, 1)
    kill(customer)
    pause()

    lines, _ = fail("status", "--json")

    report: dict[str, Any] = json.loads("\n".join(lines))
    (brand,) = report["brands"]
    assert brand["brand"] == "default"
    assert brand["is_delivered"] is True
    assert brand["customers"]["counts"] == {"held": 0, "pending": 0, "delivered": 0, "dead": 1}
    assert brand["customers"]["dead_by_reason"] == {"http_422": 1}
    assert brand["activities"]["held_by_reason"] == {"": 1}
    assert brand["endpoints"]["customers"]["reason"] == "http_401"
    assert len(report["problems"]) == 2


# deliver


def test_deliver_sends_what_is_due_and_prints_one_line(track360_sandbox: SandboxServer) -> None:
    """A host without Celery delivers with one command; the line says what it did."""
    make_activities(make_customer("c1"), 2)

    lines = track360("deliver")

    assert lines == ["delivered 3, to be retried 0, held 0, dead 0, in 2 requests"]
    assert len(track360_sandbox.store.activities()) == 2


def test_deliver_with_nothing_due_prints_nothing(track360_sandbox: SandboxServer) -> None:
    """A cron job with nothing to do sends no mail."""
    assert track360("deliver") == []


def test_deliver_while_switched_off_says_so(settings: Settings) -> None:
    """Nothing is delivered while ENABLED is off, and the person is told which setting it is."""
    make_customer("c1")
    settings.TRACK360 = {**settings.TRACK360, "ENABLED": False}
    err = StringIO()

    call_command("track360", "deliver", stderr=err)

    assert "TRACK360['ENABLED'] is off" in err.getvalue()
    assert Customer.objects.get().status == Status.PENDING


@pytest.mark.parametrize("every", ["0", "-1", "nan", "soon", "3601"])
def test_deliver_with_a_wrong_rest_is_refused(every: str) -> None:
    """A rest that is no sensible number of seconds is a wrong call."""
    _, error = fail("deliver", "--watch", "--every", every)

    assert "is not a number of seconds" in str(error)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_deliver_watching_delivers_until_a_signal(
    track360_sandbox: SandboxServer, spawn_host: SpawnHost, tmp_path: Path, number: signal.Signals
) -> None:
    """A watching process delivers what comes, and leaves with 0 when it is told to."""
    make_customer("c1")
    words = ("manage.py", "track360", "deliver", "--watch", "--every", "0.1")
    watcher = spawn_host(*words, name="watcher", env={"TRACK360_BASE_URL": track360_sandbox.url})
    log, line = tmp_path / "watcher.log", "delivered 1, to be retried 0, held 0, dead 0, in 1 request\n"
    wait_until(lambda: log.exists() and log.read_text() == line, "the first customer was delivered")
    make_customer("c2")
    wait_until(lambda: log.read_text() == 2 * line, "the second customer was delivered")

    code = watcher.terminate(DEADLINE_SECONDS, with_signal=number)

    assert code == 0
    assert [track360_sandbox.store.customer(each) is not None for each in ("c1", "c2")] == [True, True]


@pytest.mark.django_db(transaction=True)
def test_deliver_interrupted_within_a_batch_ends_the_batch(
    track360_sandbox: SandboxServer, spawn_host: SpawnHost
) -> None:
    """The first interrupt lets the batch under way be answered and settled: nothing is sent again."""
    track360_sandbox.fail(delay_seconds=1.5, times=1)
    make_activities(make_customer("c1"), 1)
    words = ("manage.py", "track360", "deliver")
    deliverer = spawn_host(*words, name="deliver", env={"TRACK360_BASE_URL": track360_sandbox.url})
    wait_until(lambda: track360_sandbox.store.snapshot().requests, "the batch is under way")

    code = deliverer.terminate(DEADLINE_SECONDS, with_signal=signal.SIGINT)

    assert code == 0
    assert Customer.objects.get().status == Status.DELIVERED


# requeue


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(("--customer", "c1"), {"c1", "c1-0", "c1-1"}, id="customer"),
        pytest.param(("--eventid", "c1-0"), {"c1-0"}, id="eventid"),
        pytest.param(("--reason", "too_old"), {"c2", "c1-1"}, id="reason"),
        pytest.param(("--customer", "c1", "--reason", "too_old"), {"c1-1"}, id="customer-and-reason"),
        pytest.param(("--all",), {"c1", "c2", "c1-0", "c1-1"}, id="all"),
        pytest.param(("--all", "--brand", "default"), {"c1", "c2", "c1-0", "c1-1"}, id="all-of-a-brand"),
        pytest.param(("--all", "--brand", "elsewhere"), set(), id="all-of-another-brand"),
        pytest.param(("--customer", "nobody"), set(), id="nobody"),
    ],
)
def test_requeue_takes_what_was_selected(words: tuple[str, ...], expected: set[str]) -> None:
    """The options narrow the dead records that get another try; the lines say how many."""
    first, second = make_customer("c1"), make_customer("c2")
    one, other = make_activities(first, 2)
    kill(first, one)
    kill(second, other, reason="too_old")
    # A brand that is not configured any more, and may have dead records.
    Lane.objects.create(brand="elsewhere", number=0)

    lines = track360("requeue", *words)

    pending = Customer.objects.filter(status=Status.PENDING).values_list("customer_id", flat=True)
    again = Activity.objects.filter(status=Status.PENDING).values_list("eventid", flat=True)
    assert {*pending, *again} == expected
    assert lines == [f"customers requeued: {len(pending)}", f"activities requeued: {len(again)}"]


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        pytest.param((), "--all", id="nothing-selected"),
        pytest.param(("--brand", "default"), "--all", id="brand-alone"),
        pytest.param(("--all", "--customer", "c1"), "Use either --all or", id="all-and-more"),
    ],
)
def test_requeue_without_a_clear_selection_is_refused(words: tuple[str, ...], advice: str) -> None:
    """Nothing is requeued by accident: the selection has to be said."""
    kill(make_customer("c1"))

    _, error = fail("requeue", *words)

    assert advice in str(error)
    assert error.returncode == 2
    assert Customer.objects.get().status == Status.DEAD


def test_requeued_records_arrive(track360_sandbox: SandboxServer) -> None:
    """After the cause is corrected, dead records go out like new ones, customers first."""
    track360_sandbox.fail(endpoint="customers", status=422, times=1)
    make_activities(make_customer("c1"), 2)
    delivery.drain()

    track360("requeue", "--all")
    delivery.drain()

    assert len(track360_sandbox.store.activities()) == 2


def test_requeue_of_a_row_that_is_still_wrong_fails() -> None:
    """A record whose row still can't be reported stays dead, and the command says what to correct."""
    make_quarantined()

    lines, error = fail("requeue", "--all")

    assert lines == ["customers requeued: 0", "activities requeued: 0"]
    assert "activities that still can't be reported: 1" in str(error)
    assert Activity.objects.get().reason == "invalid_currency"


def test_requeue_of_a_row_that_was_corrected_delivers_it(track360_sandbox: SandboxServer) -> None:
    """A record that stood for a row is read from it again once the row is right."""
    deposit = make_quarantined()
    Deposit.objects.update(currency="USD")

    lines = track360("requeue", "--all")
    delivery.drain()

    assert lines == ["customers requeued: 0", "activities requeued: 1"]
    assert [record["eventid"] for record in track360_sandbox.store.activities()] == [deposit.reference]


# resume


def test_resume_opens_paused_endpoints(track360_sandbox: SandboxServer) -> None:
    """A resumed endpoint takes its records now."""
    make_customer("c1")
    pause(minutes=60)

    lines = track360("resume")
    delivery.drain()

    assert lines == ["endpoints resumed: 1"]
    assert track360_sandbox.store.customer("c1") is not None


def test_resume_of_another_brand_changes_nothing() -> None:
    """Only the endpoints of the brand that was named are resumed."""
    endpoint = pause()
    Lane.objects.create(brand="elsewhere", number=0)

    lines = track360("resume", "--brand", "elsewhere")

    until = endpoint.paused_until
    endpoint.refresh_from_db()
    assert lines == ["endpoints resumed: 0"]
    assert endpoint.paused_until == until


# explain


def test_explain_tells_the_life_of_a_delivered_customer(track360_sandbox: SandboxServer) -> None:
    """A customer's life: who they are, what they are credited to, when they were accepted, what they did."""
    customer = customers.report("c1", tracking={"tracking_data": "2001_1000_abcdefg"}, phone="+356-2100-0000")
    make_activities(customer, 2)
    delivery.drain()
    customer.refresh_from_db()

    lines = track360("explain", "c1")

    assert lines[0] == "Customer c1 of brand default."
    assert "Attributed: tracking_data='2001_1000_abcdefg'." in lines
    assert "Additional fields: phone." in lines
    assert (
        f"Status: delivered. Accepted by Track360 at {customer.delivered_at:%Y-%m-%d %H:%M:%S} UTC." in lines
    )
    assert lines[-1] == "Activities: 2 delivered."
    assert "2100-0000" not in "".join(lines)


def test_explain_tells_why_a_customer_is_unattributed() -> None:
    """A customer without tracking data has the reason told."""
    customers.report("c1")

    assert "Unattributed: they were reported outside of a request." in track360("explain", "c1")


def test_explain_tells_what_a_held_activity_waits_for() -> None:
    """An activity of an unknown customer names the customer's trouble and the way out."""
    activities.report("Bet", customer="nobody", value=Decimal(1), currency="USD", eventid="b1")

    lines = track360("explain", "b1")

    assert lines[0] == "Bet b1 of customer nobody, brand default."
    status = next(line for line in lines if line.startswith("Status: held."))
    assert "Waits until its customer is accepted, who is held." in status
    assert "Report the customer with customers.report()" in status


def test_explain_tells_attempt_and_error_of_a_record_that_failed(track360_sandbox: SandboxServer) -> None:
    """A record between attempts has its count, its next time and the last error."""
    track360_sandbox.fail(status=503, times=1)
    customer = make_customer("c1")
    delivery.drain()
    customer.refresh_from_db()

    lines = track360("explain", "c1")

    status = next(line for line in lines if line.startswith("Status: pending."))
    assert "Attempt 1 failed: Track360 could not take it (HTTP 503)." in status
    assert f"Next attempt at {customer.due_at:%Y-%m-%d %H:%M:%S} UTC." in status
    assert any(line.startswith("Last error: HTTP 503") for line in lines)


def test_explain_tells_of_a_change_that_waits(track360_sandbox: SandboxServer) -> None:
    """A customer who was accepted and changed since has both versions told."""
    make_customer("c1")
    delivery.drain()
    customers.update("c1", salesStatus="VIP")

    lines = track360("explain", "c1")

    assert (
        "Status: pending. Goes out with the next delivery. Track360 has version 1, version 2 waits." in lines
    )


def test_explain_tells_of_a_row_that_changed(track360_sandbox: SandboxServer) -> None:
    """An accepted activity whose row changed says that Track360 has the first version."""
    make_activities(make_customer("c1"), 1)
    delivery.drain()
    Activity.objects.update(changed_at=Now())

    assert any("Track360 has the first version" in line for line in track360("explain", "c1-0"))


def test_explain_of_an_unknown_id_fails_and_says_where_to_look() -> None:
    """An id that no record has is a failure that teaches."""
    _, error = fail("explain", "nobody")

    assert error.returncode == 1
    assert "No customer and no activity has the id 'nobody'." in str(error)
    assert "bulk_create" in str(error)


# prune


def test_explain_of_a_user_who_is_no_customer_says_so() -> None:
    """A signup that was not written down is told from an id that nobody has."""
    alex = User.objects.create(username="alex")

    _, unknown = fail("explain", str(alex.pk))
    customers.report("c-7")
    Customer.objects.update(user_pk=str(alex.pk))
    _, other = fail("explain", str(alex.pk))

    assert "A user with this primary key exists but was never reported" in str(unknown)
    assert "track360 backfill users" in str(unknown)
    assert "a customer under another id: c-7." in str(other)


def test_prune_deletes_what_was_accepted_long_ago(track360_sandbox: SandboxServer) -> None:
    """Old accepted activities go; younger and dead ones stay, and customers always."""
    make_activities(make_customer("c1"), 3)
    delivery.drain()
    Activity.objects.filter(eventid__in=["c1-0", "c1-1"]).update(delivered_at=Now() - timedelta(days=8))
    kill(Activity.objects.get(eventid="c1-1"))

    lines = track360("prune", "--days", "7")

    assert lines == ["activities pruned: 1"]
    assert set(Activity.objects.values_list("eventid", flat=True)) == {"c1-1", "c1-2"}
    assert Customer.objects.exists()


def test_prune_without_days_keeps_what_the_settings_keep(track360_sandbox: SandboxServer) -> None:
    """The default is RETENTION_DAYS."""
    make_activities(make_customer("c1"), 2)
    delivery.drain()
    Activity.objects.filter(eventid="c1-0").update(delivered_at=Now() - timedelta(days=31))
    Activity.objects.filter(eventid="c1-1").update(delivered_at=Now() - timedelta(days=29))

    assert track360("prune") == ["activities pruned: 1"]


@pytest.mark.parametrize("days", ["0", "-1", "1.5", "soon", "99999"])
def test_prune_of_wrong_days_is_refused(days: str) -> None:
    """A number of days that makes no sense deletes nothing."""
    _, error = fail("prune", f"--days={days}")

    assert "is not a whole number of days" in str(error)


# sandbox


def test_sandbox_without_debug_is_refused(settings: Settings) -> None:
    """The sandbox doesn't run in production by accident."""
    settings.DEBUG = False

    _, error = fail("sandbox")

    assert "--force" in str(error)


def test_sandbox_serves_until_a_signal(spawn_host: SpawnHost, tmp_path: Path) -> None:
    """The sandbox prints its address, takes records, and leaves with 0 when it is told to."""
    server = spawn_host("manage.py", "track360", "sandbox", "--port", "0", "--token", "t1", name="sandbox")
    log = tmp_path / "sandbox.log"
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"), "the address is printed")
    url = log.read_text().strip() + "/tracking/events/customers"
    record = [{"customerId": "c1", "regtime": "2025-07-21 10:00"}]

    statuses = [
        requests.post(url, json=record, headers={"x-api-key": token}, timeout=5).status_code
        for token in ("t1", "t2")
    ]
    code = server.terminate(DEADLINE_SECONDS)

    assert statuses == [200, 401]
    assert code == 0


def test_overdue_records_of_a_paused_endpoint_are_not_called_late() -> None:
    """While an endpoint is paused, its records wait for it and not for a worker."""
    make_customer("c1")
    overdue(Customer)
    Customer.objects.update(due_at=Now() - timedelta(minutes=6))
    pause()

    _, error = fail("status")

    assert "five minutes" not in str(error)


def test_status_names_customers_whom_nobody_reported() -> None:
    """Revenue that waits for a report which never comes needs a person."""
    activities.report("Bet", customer="nobody-knows", value=5, currency="USD", eventid="1")
    young = track360("status")
    Customer.objects.update(queued_at=Now() - timedelta(days=2))
    Activity.objects.update(due_at=None)

    old, error = fail("status")

    assert not any("nobody reported them" in line for line in young)
    assert "customers held because they were never reported: 1" in "\n".join([*old, str(error)])
