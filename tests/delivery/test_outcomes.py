"""Delivery against the sandbox: what each answer does to records, endpoints and lanes."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from example_project.cashier.models import Account, Deposit
from tests.rows import make_activities, make_customer, make_customers, overdue
from track360_django import activities, customers, delivery, signals
from track360_django.db.clock import Now
from track360_django.delivery import breaker, packing, retry_policy
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Lane, Status
from track360_django.outbox import dead_letters, lanes, retention, settlement
from track360_django.outbox.customers import change_customer, release_customer

if TYPE_CHECKING:
    from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)


def requests_to(sandbox: SandboxServer, endpoint: str) -> list[int]:
    """Return the status of each request to an endpoint, in order."""
    return [entry.status for entry in sandbox.store.snapshot().requests if entry.endpoint == endpoint]


def arrived(sandbox: SandboxServer) -> list[str]:
    """Return the event ids that were accepted, in order."""
    return [str(record["eventid"]) for record in sandbox.store.activities()]


def test_customer_and_activity_in_one_commit_arrive_customer_first(track360_sandbox: SandboxServer) -> None:
    """A customer's acceptance is answered before any of its activities is sent."""
    customer = make_customer("c1")
    make_activities(customer, 3)

    report = delivery.drain()

    assert report.delivered == 4
    assert [entry.endpoint for entry in track360_sandbox.store.snapshot().requests] == [
        "customers",
        "activities",
    ]
    assert len(arrived(track360_sandbox)) == 3


def test_customer_refused_for_now_holds_its_activities(track360_sandbox: SandboxServer) -> None:
    """Activities of a customer who isn't accepted are held, not sent, and released with the acceptance."""
    track360_sandbox.fail(endpoint="customers", status=503, times=1)
    make_activities(make_customer("c1"), 2)

    delivery.drain()

    assert set(Activity.objects.values_list("status", "due_at")) == {(Status.HELD, None)}
    assert requests_to(track360_sandbox, "activities") == []
    overdue(Customer)
    delivery.drain()
    assert len(arrived(track360_sandbox)) == 2


def test_activity_written_while_its_customer_waits_is_delivered_later(
    track360_sandbox: SandboxServer,
) -> None:
    """An activity that is held after others were released is not forgotten."""
    track360_sandbox.fail(endpoint="customers", status=503, times=1)
    customer = make_customer("c1")
    delivery.drain()
    make_activities(customer, 1)
    delivery.drain()
    overdue(Customer)

    delivery.drain()

    assert len(arrived(track360_sandbox)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 503}, id="503"),
        pytest.param({"status": 429}, id="429"),
        pytest.param({"status": 200, "content_type": "text/html", "body": "<html>login</html>"}, id="html"),
        pytest.param({"ending": "truncate"}, id="half-body"),
        pytest.param({"ending": "half-head"}, id="half-headers"),
        pytest.param({"ending": "reset"}, id="reset"),
        pytest.param({"ending": "close"}, id="no-answer"),
    ],
)
def test_temporary_fault_retries_the_same_bytes(
    track360_sandbox: SandboxServer, fault: dict[str, Any]
) -> None:
    """After a temporary fault a record stays pending with its reason and is sent again unchanged."""
    customer = make_customer("c1")
    delivery.drain()
    make_activities(customer, 1)
    track360_sandbox.fail(endpoint="activities", times=1, **fault)

    delivery.drain()

    waiting = Activity.objects.get()
    assert (waiting.status, waiting.attempts) == (Status.PENDING, 1)
    assert waiting.reason
    assert waiting.due_at is not None
    overdue(Activity)
    delivery.drain()
    delivered = Activity.objects.get()
    assert (delivered.status, delivered.body) == (Status.DELIVERED, waiting.body)
    assert len(arrived(track360_sandbox)) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 302, 501])
def test_wrong_key_or_address_pauses_the_endpoint_and_kills_no_row(
    track360_sandbox: SandboxServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An endpoint that refuses everybody is paused with one clear message; records keep their attempts."""
    seen: list[dict[str, Any]] = []

    def listen(**arguments: Any) -> None:
        seen.append(arguments)

    signals.endpoint_paused.connect(listen)
    make_customers(20)
    track360_sandbox.fail(endpoint="customers", status=status, times=1)

    with caplog.at_level(logging.ERROR, logger="track360_django"):
        delivery.drain()

    signals.endpoint_paused.disconnect(listen)
    endpoint = Endpoint.objects.get(name="customers")
    assert endpoint.reason == f"http_{status}"
    assert endpoint.paused_until is not None
    assert set(Customer.objects.values_list("status", "attempts")) == {(Status.PENDING, 0)}
    assert requests_to(track360_sandbox, "customers") == [status]
    assert [arguments["reason"] for arguments in seen] == [f"http_{status}"]
    assert len(caplog.records) == 1
    assert "sandbox-token" not in caplog.text


def test_wrong_token_is_explained(settings: Any, track360_sandbox: SandboxServer) -> None:
    """A token that can't be a header is reported without being shown, and nothing is sent."""
    settings.TRACK360 = {**settings.TRACK360, "BRAND_TOKEN": "secret with\nnewline"}
    make_customer("c1")

    delivery.drain()

    endpoint = Endpoint.objects.get(name="customers")
    assert "BRAND_TOKEN" in endpoint.error
    assert "secret" not in endpoint.error
    assert track360_sandbox.store.snapshot().requests == ()


def test_paused_endpoint_is_probed_with_one_record_and_then_drained(track360_sandbox: SandboxServer) -> None:
    """When the pause is over one record goes first; its acceptance opens the endpoint for the rest."""
    make_customers(30)
    track360_sandbox.fail(endpoint="customers", status=401, times=1)
    delivery.drain()
    Endpoint.objects.update(paused_until=Now() - timedelta(seconds=1))

    report = delivery.drain()

    sizes = [entry.records for entry in track360_sandbox.store.snapshot().requests if entry.status == 200]
    assert sizes[0] == 1
    assert report.delivered == 30
    assert Endpoint.objects.get(name="customers").paused_until is None


def test_paused_endpoint_is_left_alone(track360_sandbox: SandboxServer) -> None:
    """Nothing is sent to a paused endpoint before its time."""
    make_customers(3)
    track360_sandbox.fail(endpoint="customers", status=401, times=1)
    delivery.drain()

    report = delivery.drain()

    assert report.requests == 0
    assert len(requests_to(track360_sandbox, "customers")) == 1


def test_five_failures_in_a_row_open_the_breaker(track360_sandbox: SandboxServer) -> None:
    """After five temporary faults in a row the endpoint rests for half a minute."""
    make_customer("c1")
    track360_sandbox.fail(status=503, times=retry_policy.FAILURES_TO_OPEN)

    for _ in range(retry_policy.FAILURES_TO_OPEN + 2):
        overdue(Customer)
        delivery.drain()

    assert len(requests_to(track360_sandbox, "customers")) == retry_policy.FAILURES_TO_OPEN
    assert Endpoint.objects.filter(name="customers", paused_until__gt=Now() + timedelta(seconds=20)).exists()


def test_retry_after_rests_the_endpoint_for_an_hour_at_most(track360_sandbox: SandboxServer) -> None:
    """A year-long Retry-After counts as an hour, for the whole endpoint."""
    make_customer("c1")
    track360_sandbox.fail(status=429, retry_after="31536000", times=1)

    delivery.drain()

    paused = Endpoint.objects.filter(name="customers")
    assert paused.filter(paused_until__gt=Now() + timedelta(minutes=55)).exists()
    assert paused.filter(paused_until__lt=Now() + timedelta(minutes=61)).exists()


def test_bad_record_of_a_batch_dies_alone(track360_sandbox: SandboxServer) -> None:
    """One record that is refused costs at most twenty requests more; the other 499 arrive."""
    customer = make_customer("c1")
    delivery.drain()
    rows = make_activities(customer, 500)
    Activity.objects.filter(pk=rows[137].pk).update(
        body='{"eventname":"Bet","customerid":"c1","Value":"1e5"}'
    )
    before = len(track360_sandbox.store.snapshot().requests)

    report = delivery.drain()

    assert (report.delivered, report.dead) == (499, 1)
    assert Activity.objects.get(status=Status.DEAD).pk == rows[137].pk
    assert len(track360_sandbox.store.snapshot().requests) - before <= 21


def test_record_after_record_refused_pauses_the_endpoint(track360_sandbox: SandboxServer) -> None:
    """When record after record is refused and none accepted, the endpoint is wrong and no more records die."""
    make_customers(40)
    track360_sandbox.fail(status=400, seconds=600)

    delivery.drain()

    assert Customer.objects.filter(status=Status.DEAD).count() == retry_policy.REFUSALS_TO_PAUSE
    assert Endpoint.objects.get(name="customers").paused_until is not None


def test_dead_record_is_requeued_and_arrives(track360_sandbox: SandboxServer) -> None:
    """A person who corrected the cause sends a dead record again."""
    make_customer("c1")
    track360_sandbox.fail(status=422, times=1)
    delivery.drain()
    assert Customer.objects.get().status == Status.DEAD

    dead_letters.requeue(Customer.objects.all())
    delivery.drain()

    assert Customer.objects.get().status == Status.DELIVERED


def test_record_that_fails_beyond_its_age_dies_with_a_reason(track360_sandbox: SandboxServer) -> None:
    """A record that was tried for longer than MAX_AGE_DAYS needs a person."""
    make_customer("c1")
    track360_sandbox.fail(status=503, times=2)
    delivery.drain()
    Customer.objects.update(queued_at=Now() - timedelta(days=8), due_at=Now())

    delivery.drain()

    assert Customer.objects.values_list("status", "reason").get() == (Status.DEAD, "too_old")


def test_batches_are_cut_by_bytes(settings: Any, track360_sandbox: SandboxServer) -> None:
    """No request has more bytes than BATCH_BYTES."""
    customer = make_customer("c1")
    rows = make_activities(customer, 100)
    lightest = min(len(row.body) + 1 for row in rows)
    settings.TRACK360 = {**settings.TRACK360, "BATCH_SIZE": 40, "BATCH_BYTES": 30 * lightest}

    delivery.drain()

    sizes = [
        entry.records
        for entry in track360_sandbox.store.snapshot().requests
        if entry.endpoint == "activities"
    ]
    assert sum(sizes) == len(arrived(track360_sandbox)) == 100
    assert max(sizes) <= 30


def test_pages_are_cut_by_count(settings: Any, track360_sandbox: SandboxServer) -> None:
    """No request has more records than BATCH_SIZE."""
    make_activities(make_customer("c1"), 100)
    settings.TRACK360 = {**settings.TRACK360, "BATCH_SIZE": 40}

    delivery.drain()

    sizes = [
        entry.records
        for entry in track360_sandbox.store.snapshot().requests
        if entry.endpoint == "activities"
    ]
    assert sizes == [40, 40, 20]


def test_change_behind_an_acceptance_is_sent_in_the_same_drain(track360_sandbox: SandboxServer) -> None:
    """A change that follows an acceptance at once goes out as the next version; versions never go back."""
    customer = make_customer("c1")

    def change(**_: Any) -> None:
        if Customer.objects.get().version == 1:
            change_customer(Customer.objects.get(), fields={"salesStatus": "VIP"})

    signals.customer_delivered.connect(change)
    delivery.drain()
    signals.customer_delivered.disconnect(change)

    customer.refresh_from_db()
    assert (customer.status, customer.version, customer.accepted_version) == (Status.DELIVERED, 2, 2)
    assert track360_sandbox.store.customer("c1")["salesStatus"] == "VIP"  # type: ignore[index]  # it is there


def test_version_that_rose_during_settling_stays_pending(track360_sandbox: SandboxServer) -> None:
    """Settling version 1 does not mark version 2 as delivered."""
    customer = make_customer("c1")
    lanes.ensure_lanes(["default"], using="default")
    lane = lanes.take(["default"], owner="w1", using="default")
    assert lane is not None
    change_customer(customer, fields={"salesStatus": "VIP"})

    settlement.settle(
        Customer, lane, [settlement.Outcome(pks=[customer.pk], version=1, status=Status.DELIVERED)]
    )

    customer.refresh_from_db()
    assert (customer.status, customer.accepted_version) == (Status.PENDING, 1)
    assert customer.due_at is not None


def test_ten_updates_cost_one_request(track360_sandbox: SandboxServer) -> None:
    """Quick updates before a delivery are one request with the last values."""
    user = User.objects.create_user("alex")
    customers.report(user)
    for number in range(10):
        customers.update(user, salesStatus=f"level {number}")

    delivery.drain()

    assert requests_to(track360_sandbox, "customers") == [200]
    assert track360_sandbox.store.customer(str(user.pk))["salesStatus"] == "level 9"  # type: ignore[index]


def test_disabled_package_delivers_nothing(settings: Any, track360_sandbox: SandboxServer) -> None:
    """With ENABLED off nothing leaves the house, and nothing is lost."""
    make_customer("c1")
    settings.TRACK360 = {**settings.TRACK360, "ENABLED": False}

    delivery.drain()

    assert track360_sandbox.store.snapshot().requests == ()
    assert Customer.objects.get().status == Status.PENDING


def test_spent_budget_leaves_the_rest_for_the_next_drain(track360_sandbox: SandboxServer) -> None:
    """A drain without time says that it isn't finished."""
    make_customer("c1")

    report = delivery.drain(budget_seconds=0)

    assert not report.is_finished
    assert delivery.drain().delivered == 1


def test_drained_lanes_are_given_back(track360_sandbox: SandboxServer) -> None:
    """No lane stays leased after a drain."""
    make_customers(20)

    delivery.drain()

    assert set(Lane.objects.values_list("owner", "leased_until", "losses")) == {("", None, 0)}


def test_lanes_of_a_larger_past_setting_are_still_delivered(
    settings: Any, track360_sandbox: SandboxServer
) -> None:
    """Fewer LANES than before strand no customer."""
    make_customers(20)
    delivery.drain()
    for customer in Customer.objects.all():
        make_activities(customer, 1)
    settings.TRACK360 = {**settings.TRACK360, "LANES": 2}

    delivery.drain()

    assert len(arrived(track360_sandbox)) == 20


def test_record_that_kills_its_worker_is_isolated(track360_sandbox: SandboxServer) -> None:
    """A lane that loses its worker again and again narrows to one record, buries it, and delivers the others."""
    customer = make_customer("c1")
    delivery.drain()
    rows = make_activities(customer, 4)
    killer = rows[2]
    Activity.objects.filter(pk=killer.pk).update(due_at=Now() - timedelta(minutes=1))
    Lane.objects.filter(number=customer.lane).update(
        owner="dead", leased_until=Now() - timedelta(seconds=1), losses=3, suspect=f"activities:{killer.pk}:2"
    )

    delivery.drain()

    killer.refresh_from_db()
    assert (killer.status, killer.reason) == (Status.DEAD, "kills_its_worker")
    assert len(arrived(track360_sandbox)) == 3
    assert Lane.objects.get(number=customer.lane).losses == 0


def test_lost_lease_changes_nothing(track360_sandbox: SandboxServer) -> None:
    """A worker that was stopped longer than its lease settles nothing when it comes back."""
    customer = make_customer("c1")
    lanes.ensure_lanes(["default"], using="default")
    zombie = lanes.take(["default"], owner="zombie", using="default")
    assert zombie is not None
    Lane.objects.filter(pk=zombie.pk).update(leased_until=Now() - timedelta(seconds=1))
    heir = lanes.take(["default"], owner="heir", using="default")
    assert heir is not None

    with pytest.raises(lanes.LeaseLostError):
        settlement.settle(
            Customer, zombie, [settlement.Outcome(pks=[customer.pk], version=1, status=Status.DELIVERED)]
        )

    customer.refresh_from_db()
    assert customer.status == Status.PENDING
    assert heir.fence == zombie.fence + 1


def test_deleted_user_is_still_reported_with_their_value(track360_sandbox: SandboxServer) -> None:
    """The attribution of a committed signup survives the deletion of its user."""
    user = User.objects.create_user("alex")
    customer = customers.report(user, tracking={"tracking_data": "2001_1000_abcdefg"})
    user.delete()

    delivery.drain()

    assert track360_sandbox.store.customer(customer.customer_id)["tracking_data"] == "2001_1000_abcdefg"  # type: ignore[index]


def test_before_send_that_fails_makes_a_dead_record_with_a_reason(
    settings: Any, track360_sandbox: SandboxServer
) -> None:
    """A host function that raises costs the record, says so, and stops nothing else."""

    def before_send(record: dict[str, Any]) -> dict[str, Any]:
        if record["customerId"] == "c1":
            raise RuntimeError
        return {**record, "vip": "yes"}

    settings.TRACK360 = {**settings.TRACK360, "BEFORE_SEND": before_send}
    make_customer("c1")
    make_customer("c2")

    report = delivery.drain()

    assert (report.delivered, report.dead) == (1, 1)
    assert Customer.objects.get(status=Status.DEAD).reason == "before_send"
    assert track360_sandbox.store.customer("c2")["vip"] == "yes"  # type: ignore[index]


def test_response_check_that_says_no_refuses_the_record(
    settings: Any, track360_sandbox: SandboxServer
) -> None:
    """A host that knows how a refusal looks inside a 200 keeps it from counting as delivered."""
    settings.TRACK360 = {**settings.TRACK360, "RESPONSE_CHECK": lambda _status, text: "error" not in text}
    make_customer("c1")
    track360_sandbox.fail(status=200, body='{"error": "no"}', times=1)

    delivery.drain()

    assert Customer.objects.values_list("status", "reason").get() == (Status.DEAD, "response_check")


def test_delivered_signals_name_the_records(track360_sandbox: SandboxServer) -> None:
    """A host hears of each record that arrived; a receiver that raises stops nothing."""
    heard: list[str] = []

    def hear_customer(*, customer_id: str, **_: Any) -> None:
        heard.append(customer_id)
        raise RuntimeError

    def hear_activity(*, eventname: str, eventid: str, **_: Any) -> None:
        heard.append(f"{eventname} {eventid}")

    signals.customer_delivered.connect(hear_customer)
    signals.activity_delivered.connect(hear_activity)
    user = User.objects.create_user("alex")
    activities.report("Deposit", customer=user, value=Decimal(5), currency="USD", eventid="TX-1")

    delivery.drain()

    signals.customer_delivered.disconnect(hear_customer)
    signals.activity_delivered.disconnect(hear_activity)
    assert heard == [str(user.pk), "Deposit TX-1"]


def test_prune_deletes_old_delivered_activities_only(track360_sandbox: SandboxServer) -> None:
    """Pruning keeps what is young, what waits, and what is dead."""
    rows = make_activities(make_customer("c1"), 4)
    delivery.drain()
    old = Now() - timedelta(days=31)
    Activity.objects.filter(pk__in=[rows[0].pk, rows[1].pk]).update(delivered_at=old)
    Activity.objects.filter(pk=rows[1].pk).update(status=Status.DEAD)

    pruned = retention.prune(older_than=timedelta(days=30))

    assert pruned == 1
    assert not Activity.objects.filter(pk=rows[0].pk).exists()


def test_record_that_waited_for_its_endpoint_has_its_whole_age_before_it(
    track360_sandbox: SandboxServer,
) -> None:
    """The first failure after a long pause kills nothing, however old the records are: none of them was tried."""
    make_customers(5)
    Customer.objects.update(queued_at=Now() - timedelta(days=30))
    track360_sandbox.fail(status=503, times=8)

    delivery.drain()

    assert set(Customer.objects.values_list("status", flat=True)) == {Status.PENDING}
    assert not Customer.objects.filter(attempts__gt=0, queued_at__lt=Now() - timedelta(days=1)).exists()


def test_innocent_records_survive_four_lost_workers(track360_sandbox: SandboxServer) -> None:
    """Workers that die for reasons of their own narrow the batches, and what is settled widens them again."""
    customer = make_customer("c1")
    delivery.drain()
    make_activities(customer, 60)
    Lane.objects.filter(number=customer.lane).update(
        owner="dead", leased_until=Now() - timedelta(seconds=1), losses=3, suspect="activities:999999:1"
    )

    report = delivery.drain()

    assert (report.delivered, report.dead) == (60, 0)
    # Five alone, fifty by five, the rest together.
    assert report.requests == 5 + 10 + 1
    assert Lane.objects.values_list("losses", "suspect").get(number=customer.lane) == (0, "")


def test_record_is_blamed_only_when_the_same_one_was_alone_twice() -> None:
    """Two different records that went alone when a worker died are no reason to bury either."""
    lane = _take_a_lane()
    lanes.try_alone(lane, EndpointName.ACTIVITIES, 7)
    lanes.try_alone(lane, EndpointName.ACTIVITIES, 8)
    after_two = lanes.suspect_of(lane)

    lanes.try_alone(lane, EndpointName.ACTIVITIES, 8)

    assert after_two is None
    assert lanes.suspect_of(lane) == (EndpointName.ACTIVITIES, 8)


def test_record_that_fails_alone_again_and_again_is_not_blamed(track360_sandbox: SandboxServer) -> None:
    """A record that went alone and came back with a temporary fault has killed nobody."""
    customer = make_customer("c1")
    track360_sandbox.fail(status=503, times=4)
    delivery.drain()

    for _ in range(3):
        overdue(Customer)
        Lane.objects.filter(number=customer.lane).update(losses=3)
        delivery.drain()

    assert Customer.objects.values_list("status", "attempts").get() == (Status.PENDING, 4)
    assert set(Lane.objects.values_list("suspect", flat=True)) == {""}


def _take_a_lane() -> lanes.Taken:
    make_customer("c1")
    lanes.ensure_lanes(["default"], using="default")
    lane = lanes.take(["default"], owner="w1", using="default")
    assert lane is not None
    return lane


def test_failing_worker_frees_its_lane(settings: Any, track360_sandbox: SandboxServer) -> None:
    """An error that nobody expected leaves the lane to the next worker, with narrower batches."""
    make_customer("c1")
    settings.TRACK360 = {**settings.TRACK360, "TIME_ZONE": "UTC", "MAX_AGE_DAYS": 10**9}

    with pytest.raises(OverflowError):
        delivery.drain()

    settings.TRACK360 = {**settings.TRACK360, "MAX_AGE_DAYS": 7}
    assert Lane.objects.exclude(losses=0).values_list("owner", "losses").get() == ("", 1)
    assert delivery.drain().delivered == 1


def test_lanes_without_a_row_are_found_by_what_is_due(settings: Any, track360_sandbox: SandboxServer) -> None:
    """Records written under more LANES than any worker has seen are delivered."""
    settings.TRACK360 = {**settings.TRACK360, "LANES": 16}
    make_customers(30)
    settings.TRACK360 = {**settings.TRACK360, "LANES": 4}

    assert delivery.drain().delivered == 30


def test_failures_with_acceptances_between_open_no_breaker(track360_sandbox: SandboxServer) -> None:
    """Only faults in a row count, whichever worker saw them."""
    make_customer("c1")
    delivery.drain()
    endpoint = Endpoint.objects.get(name="customers")
    for _ in range(retry_policy.FAILURES_TO_OPEN):
        breaker.note_failure(Endpoint.objects.get(pk=endpoint.pk), reason="http_503", error="")
        breaker.note_acceptance(endpoint, is_probe=False)

    endpoint.refresh_from_db()

    assert endpoint.failures == 0


def test_acceptance_under_way_does_not_end_a_pause_that_was_asked_for(
    track360_sandbox: SandboxServer,
) -> None:
    """What the API asked for is no less true for a batch that was sent before."""
    make_customer("c1")
    delivery.drain()
    endpoint = Endpoint.objects.get(name="customers")
    breaker.pause(Endpoint.objects.get(pk=endpoint.pk), timedelta(minutes=5), reason="http_429", error="")

    breaker.note_acceptance(endpoint, is_probe=False)

    assert Endpoint.objects.filter(pk=endpoint.pk, paused_until__gt=Now()).exists()


def test_pruned_deposit_that_is_saved_again_is_not_paid_again(track360_sandbox: SandboxServer) -> None:
    """Pruning empties what came from a row of the host and keeps its id for as long as the row can come back."""
    user = User.objects.create_user("alex")
    account = Account.objects.create(user=user)
    deposit = Deposit.objects.create(account=account, amount=Decimal(50), currency="USD", status="completed")
    delivery.drain()
    Activity.objects.update(delivered_at=Now() - timedelta(days=31))
    pruned = retention.prune(older_than=timedelta(days=30))

    deposit.amount = Decimal(60)
    deposit.save()
    delivery.drain()

    assert (pruned, retention.prune(older_than=timedelta(days=30))) == (1, 0)
    assert Activity.objects.get().body == ""
    assert len(track360_sandbox.store.activities()) == 1
    assert requests_to(track360_sandbox, "activities") == [200]


def test_activation_between_packing_and_settling_is_not_lost() -> None:
    """A worker that is about to hold a customer finds that somebody released them."""
    lane = _take_a_lane()
    Customer.objects.update(status=Status.HELD)
    packed = customer = Customer.objects.get()
    release_customer(customer.pk, using="default")

    held = settlement.Outcome(pks=[packed.pk], version=packed.version, status=Status.HELD, reason="inactive")
    settlement.settle(Customer, lane, [held])

    customer.refresh_from_db()
    assert customer.status == Status.PENDING
    assert customer.due_at is not None


@pytest.mark.parametrize(
    "change", [lambda _record: {"x": float("nan")}, "nowhere.to.be.found"], ids=["nan", "path"]
)
def test_before_send_that_makes_nonsense_breaks_no_sale(
    settings: Any, track360_sandbox: SandboxServer, change: object
) -> None:
    """A wrong BEFORE_SEND makes a dead record with a reason, in a sale as in a drain."""
    user = User.objects.create_user("alex")
    customers.report(user)
    settings.TRACK360 = {**settings.TRACK360, "BEFORE_SEND": change}

    deposit = Deposit.objects.create(
        account=Account.objects.create(user=user), amount=Decimal(50), currency="USD", status="completed"
    )
    report = delivery.drain()

    assert deposit.pk
    assert Activity.objects.values_list("status", "reason").get() == (Status.DEAD, "before_send")
    assert report.dead == 1
    assert Customer.objects.get().reason == "before_send"


def test_customer_whose_field_has_no_utf8_name_stops_no_lane(
    settings: Any, track360_sandbox: SandboxServer
) -> None:
    """The record alone is dead; a name of `CUSTOMER_FIELDS` costs its field alone."""
    # PostgreSQL refuses half a surrogate pair in any table.
    name = "" if connection.vendor == "postgresql" else "\ud800"
    for number in range(20):
        make_customer(f"c{number}")
    Customer.objects.filter(customer_id="c3").update(fields={name: "x"})
    user = User.objects.create(username="alex")
    customers.report(user)
    settings.TRACK360 = {**settings.TRACK360, "CUSTOMER_FIELDS": {"\ud800": "username"}}

    report = delivery.drain()

    assert (report.delivered, report.dead) == (20, 1)
    assert Customer.objects.values_list("customer_id", "reason").get(status=Status.DEAD) == (
        "c3",
        "invalid_field",
    )


def test_response_check_that_is_nowhere_pauses(settings: Any, track360_sandbox: SandboxServer) -> None:
    """A path that leads nowhere is a wrong setting: the endpoint waits, no record dies."""
    settings.TRACK360 = {**settings.TRACK360, "RESPONSE_CHECK": "nowhere.to.be.found"}
    make_customer("c1")

    delivery.drain()

    assert Customer.objects.get().status == Status.PENDING
    assert Endpoint.objects.get(name="customers").reason == "response_check_failed"


def test_parcel_shows_no_name() -> None:
    """What error trackers print of a local variable holds no body."""
    user = User.objects.create_user("alex", first_name="Alexandrina")
    customer = customers.report(user)

    packed = packing.pack_customers([customer], customer.brand)

    assert "Alexandrina" in packed.parcels[0].body
    assert "Alexandrina" not in repr(packed)


@pytest.mark.rowlocks
@pytest.mark.django_db(transaction=True)
def test_row_that_the_host_holds_costs_neither_side(track360_sandbox: SandboxServer) -> None:
    """A settling takes the rows it gets; the host's transaction never waits in a circle with it."""
    make_customers(2)
    lanes.ensure_lanes(["default"], using="default")
    first, second = Customer.objects.order_by("pk")
    Customer.objects.update(lane=first.lane)
    lane = lanes.take(["default"], owner="w1", using="default")
    assert lane is not None
    holds, done = threading.Event(), threading.Event()

    def host() -> None:
        with transaction.atomic():
            Customer.objects.select_for_update().get(pk=second.pk)
            holds.set()
            done.wait(20)
        connection.close()

    thread = threading.Thread(target=host)
    thread.start()
    assert holds.wait(20)
    outcomes = [
        settlement.Outcome(pks=[row.pk], version=1, status=Status.DELIVERED) for row in (first, second)
    ]

    left = settlement.settle(Customer, lane, outcomes)

    done.set()
    thread.join()
    assert left == {second.pk}
    assert settlement.settle(Customer, lane, outcomes[1:]) == set()
    assert set(Customer.objects.values_list("status", flat=True)) == {Status.DELIVERED}
