"""What the API does wrong, through the whole engine: the states of records and endpoints afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import pytest
from django.core.management import call_command
from django.db.models import F
from django.db.models.functions import Now
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from tests.faults import api, behaviours
from tests.faults.api import ACTIVITIES, FaultServer
from tests.misbehaving import MisbehavingServer
from tests.rows import make_activities, make_customer, overdue
from track360_django import activities, delivery
from track360_django.models import Activity, Customer, Endpoint, Lane, Status
from track360_django.outbox import dead_letters

# What an answer means is the same on every database.
pytestmark = [pytest.mark.django_db, pytest.mark.standalone]

# DESIGN's table, written down once more: what is not here is refused between 400 and 499, and retried elsewhere.
ACCEPTED: Final = {200, 201, 202, 204}
RETRIED: Final = {408, 421, 423, 424, 425, 429}
PAUSING: Final = {401, 402, 403, 404, 405, 406, 407, 410, 411, 414, 415, 426, 431, 451, 501, 505} | {
    *range(300, 400)
}


@pytest.fixture
def customer(fault_api: FaultServer) -> Customer:
    """Return a customer whom Track360 has accepted."""
    made = make_customer("c1")
    delivery.drain()
    made.refresh_from_db()
    assert made.accepted_version
    return made


def bet(customer: Customer) -> Activity:
    """Report one bet."""
    return make_activities(customer, 1)[0]


def bets(customer: Customer, count: int) -> None:
    """Report many bets, with three digits at the end of each id."""
    activities.report_many(
        {
            "eventname": "Bet",
            "customer": customer,
            "value": 5,
            "currency": "USD",
            "eventid": f"bet-{number:03}",
        }
        for number in range(count)
    )


def sent(fault_api: FaultServer) -> int:
    """Return how many requests with activities there were."""
    return sum(each.endpoint == ACTIVITIES for each in fault_api.exchanges)


def accepted(fault_api: FaultServer) -> list[str]:
    """Return the ids of the activities that the API took, each as often as it did."""
    return sorted(record.key[1] for record in fault_api.accepted(ACTIVITIES))


def let_time_pass() -> None:
    """Let the waits of records and the pauses of endpoints end."""
    overdue(Customer)
    overdue(Activity)
    Endpoint.objects.exclude(paused_until=None).update(paused_until=Now())


def endpoint() -> Endpoint:
    """Return the endpoint of activities."""
    return Endpoint.objects.get(name="activities")


def is_paused() -> bool:
    """Tell whether nothing is sent to the endpoint of activities now."""
    return Endpoint.objects.filter(name="activities", paused_until__gt=Now()).exists()


def outcomes(codes: Iterator[int] | range, fault_api: FaultServer, customer: Customer) -> dict[int, str]:
    """Return what becomes of one record for each status, each with a clean sheet."""
    found: dict[int, str] = {}
    for code in codes:
        fault_api.plan = api.always(behaviours.status(code))
        bet(customer)
        delivery.drain()
        row = Activity.objects.get()
        waits = Activity.objects.filter(due_at__gt=Now()).exists()
        found[code] = (
            f"{row.status}, attempts {row.attempts}, waits {waits}, paused {is_paused()}, {row.reason}"
        )
        Activity.objects.all().delete()
        Endpoint.objects.all().delete()
        Lane.objects.update(leased_until=None, owner="")
    return found


def expected(code: int) -> str:
    """Return what the policy says."""
    if code in ACCEPTED:
        return "delivered, attempts 1, waits False, paused False, "
    if code in PAUSING:
        return "pending, attempts 0, waits False, paused True, "
    if 400 <= code < 500 and code not in RETRIED:
        return f"dead, attempts 1, waits False, paused False, http_{code}"
    # 100 is not an answer yet: what follows it never comes.
    return f"pending, attempts 1, waits True, paused False, {'timeout' if code == 100 else f'http_{code}'}"


@pytest.mark.parametrize("hundred", range(100, 600, 100))
def test_each_status_has_its_outcome(fault_api: FaultServer, customer: Customer, hundred: int) -> None:
    """Each status from 100 to 599 delivers, retries, pauses or kills one record, as the policy says."""
    codes = range(hundred, hundred + 100)

    assert outcomes(codes, fault_api, customer) == {code: expected(code) for code in codes}


@pytest.mark.parametrize("name", behaviours.UNCLEAR)
def test_unclear_answer_is_asked_again_with_the_same_bytes(
    fault_api: FaultServer, customer: Customer, name: str
) -> None:
    """Whatever is no whole good answer leaves the record pending; a retry is identical and settles it."""
    bet(customer)
    fault_api.plan = api.first(1, behaviours.UNCLEAR[name])

    delivery.drain()

    waiting = Activity.objects.get()
    assert (waiting.status, waiting.attempts, is_paused()) == (Status.PENDING, 1, False)
    let_time_pass()
    delivery.drain()
    assert Activity.objects.get().status == Status.DELIVERED
    taken = fault_api.accepted(ACTIVITIES)
    assert [record.text for record in taken] == [waiting.body] * 2


@pytest.mark.parametrize("name", behaviours.SLOW)
def test_slow_answer_waits_for_a_minute(
    settings: HostSettings, fault_api: FaultServer, customer: Customer, name: str
) -> None:
    """A server that takes too long is left alone by the record for at least a minute."""
    configure(settings, READ_TIMEOUT_SECONDS=0.3, TOTAL_TIMEOUT_SECONDS=0.4)
    bet(customer)
    fault_api.plan = api.first(1, behaviours.SLOW[name])

    delivery.drain()

    soon = Activity.objects.filter(due_at__lte=Now() + timedelta(seconds=50))
    assert Activity.objects.values_list("status", "reason").get() == (Status.PENDING, "timeout")
    assert not soon.exists()


@pytest.mark.parametrize("name", behaviours.CLEAR)
def test_unusual_and_whole_answer_delivers(fault_api: FaultServer, customer: Customer, name: str) -> None:
    """A bad body with a whole frame, a gzip bomb among them, says that the records were taken: once is enough."""
    fault_api.plan = api.always(behaviours.CLEAR[name])
    for _ in range(3):
        bets(customer, 1 + Activity.objects.count())
        delivery.drain()
        let_time_pass()
    delivery.drain()

    assert set(Activity.objects.values_list("status", flat=True)) == {Status.DELIVERED}
    assert accepted(fault_api) == ["bet-000", "bet-001", "bet-002"]


def test_redirect_pauses_and_its_target_is_never_asked(fault_api: FaultServer, customer: Customer) -> None:
    """A redirect is a wrong address: the endpoint pauses, no attempt is used, and nobody else gets the key."""
    bet(customer)
    with MisbehavingServer() as target:
        fault_api.plan = api.always(behaviours.redirect(target.url))

        delivery.drain()

        assert target.connections == 0
    assert (Activity.objects.get().attempts, is_paused()) == (0, True)


def test_bad_record_among_500_costs_at_most_20_requests(fault_api: FaultServer, customer: Customer) -> None:
    """The bad record is dead alone, the other 499 arrive once."""
    bets(customer, 500)
    fault_api.plan = api.refuse(lambda record: record.key[1] == "bet-321")

    delivery.drain()

    assert Activity.objects.get(status=Status.DEAD).eventid == "bet-321"
    assert accepted(fault_api) == [f"bet-{number:03}" for number in range(500) if number != 321]
    assert sent(fault_api) - 1 <= 20


def test_batch_that_is_too_large_is_cut(fault_api: FaultServer, customer: Customer) -> None:
    """413 for more than 100 records halves the batch until it fits; nothing is dead."""
    bets(customer, 500)
    fault_api.plan = api.refuse_more_than(100)

    delivery.drain()

    assert set(Activity.objects.values_list("status", flat=True)) == {Status.DELIVERED}
    assert len(accepted(fault_api)) == 500


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    "header",
    [
        pytest.param(str(behaviours.YEAR_SECONDS), id="a-year"),
        pytest.param(behaviours.in_seconds(behaviours.YEAR_SECONDS), id="a-year-as-a-date"),
    ],
)
def test_retry_after_a_year_is_an_hour(
    fault_api: FaultServer, customer: Customer, code: int, header: str
) -> None:
    """Endpoint and record wait for an hour, not longer."""
    bet(customer)
    fault_api.plan = api.always(behaviours.busy(header, code))

    delivery.drain()

    almost, over = Now() + timedelta(minutes=59), Now() + timedelta(minutes=61)
    assert Endpoint.objects.filter(paused_until__gt=almost, paused_until__lt=over).exists()
    assert Activity.objects.filter(due_at__gt=almost, due_at__lt=over, status=Status.PENDING).exists()


def test_retry_after_as_a_date_is_compared_with_the_answers_own(
    fault_api: FaultServer, customer: Customer
) -> None:
    """An API and a worker whose clocks are two hours apart understand each other."""
    bet(customer)
    headers = {"Date": behaviours.in_seconds(-7200), "Retry-After": behaviours.in_seconds(-7200 + 1200)}
    fault_api.plan = api.always(behaviours.status(503, headers=headers))

    delivery.drain()

    soon, late = Now() + timedelta(minutes=19), Now() + timedelta(minutes=21)
    assert Activity.objects.filter(due_at__gt=soon, due_at__lt=late).exists()


def test_senseless_date_of_an_answer_is_none(fault_api: FaultServer, customer: Customer) -> None:
    """An answer that says no date, or nonsense, was sent now."""
    bet(customer)
    headers = {"Date": behaviours.GARBAGE, "Retry-After": behaviours.in_seconds(1200)}
    fault_api.plan = api.always(behaviours.status(503, headers=headers))

    delivery.drain()

    soon, late = Now() + timedelta(minutes=19), Now() + timedelta(minutes=21)
    assert Activity.objects.filter(due_at__gt=soon, due_at__lt=late).exists()


@pytest.mark.parametrize(
    "header",
    ["-60", behaviours.GARBAGE, "1e99", "", behaviours.in_seconds(-3600)],
    ids=["negative", "garbage", "exponent", "empty", "past"],
)
def test_senseless_retry_after_is_none(fault_api: FaultServer, customer: Customer, header: str) -> None:
    """A negative, past or senseless Retry-After leaves the schedule as it is."""
    bet(customer)
    fault_api.plan = api.always(behaviours.busy(header, 503))

    delivery.drain()

    assert Activity.objects.filter(due_at__gt=Now(), due_at__lt=Now() + timedelta(seconds=10)).exists()
    assert not is_paused()


def test_wrong_key_for_ten_minutes_costs_nothing(fault_api: FaultServer, customer: Customer) -> None:
    """While the key is wrong nothing is dead and no attempt is used; with the right one all arrives once."""
    bets(customer, 50)
    fault_api.token = "rotated"
    for _ in range(10):
        delivery.drain()
        assert is_paused()
        assert set(Activity.objects.values_list("status", "attempts")) == {(Status.PENDING, 0)}
        # A minute goes by: for the pause, and for the age of the records.
        Endpoint.objects.update(paused_until=F("paused_until") - timedelta(minutes=5))
        Activity.objects.update(queued_at=F("queued_at") - timedelta(minutes=1))
    probes = sent(fault_api)

    fault_api.token = api.TOKEN
    delivery.drain()

    assert probes == 10
    # The very first request did not know; each probe after it had one record.
    assert [len(each.records) for each in fault_api.exchanges if each.endpoint == ACTIVITIES][1:10] == [1] * 9
    assert len(accepted(fault_api)) == 50
    assert set(Activity.objects.values_list("status", flat=True)) == {Status.DELIVERED}


def test_flapping_for_a_minute_loses_and_repeats_nothing(fault_api: FaultServer, customer: Customer) -> None:
    """An API that fails every other request, or five in a row, gets everything once in the end."""
    fault_api.plan = lambda exchange: (
        behaviours.status(503) if exchange.number % 2 or exchange.number % 20 > 14 else behaviours.OBEY
    )
    for number in range(1, 61):
        bets(customer, number)
        delivery.drain()
        let_time_pass()
    fault_api.plan = api.obey
    delivery.drain()

    assert accepted(fault_api) == [f"bet-{number:03}" for number in range(60)]
    assert set(Activity.objects.values_list("status", flat=True)) == {Status.DELIVERED}


def test_endpoint_that_refuses_everything_pauses_and_all_is_redriven(
    fault_api: FaultServer, customer: Customer
) -> None:
    """Three dead at most before the endpoint is taken for the culprit; requeued, they arrive like the others."""
    bets(customer, 20)
    fault_api.plan = api.refuse(lambda _record: True, code=422)
    delivery.drain()

    assert Activity.objects.filter(status=Status.DEAD).count() == 3
    assert is_paused()

    fault_api.plan = api.obey
    assert dead_letters.requeue(Activity.objects.all()) == 3
    call_command("track360", "resume")
    let_time_pass()
    delivery.drain()
    assert len(accepted(fault_api)) == len(set(accepted(fault_api))) == 20
