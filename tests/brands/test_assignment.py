"""Whose brand a record is: decided by what is certain, frozen on its row, and never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from tests.houses import Houses, host_of, open_houses
from tests.ledger.models import Payment
from track360_django import activities, attribution, conf, customers, daily, delivery, signals, signup
from track360_django.activities.brand import places_of
from track360_django.activities.draft import Draft
from track360_django.attribution import request_touches
from track360_django.conf import BrandError
from track360_django.customers import brands
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer
from track360_django.operations import status

pytestmark = pytest.mark.django_db

Declare = Callable[..., None]
DAY = date(2025, 7, 21)
MONEY: dict[str, Any] = {"value": 5, "currency": "USD"}


@pytest.fixture
def houses(settings: Any) -> Iterator[Houses]:
    """Open three brands."""
    with open_houses(settings) as opened:
        yield opened


@pytest.fixture
def alex() -> User:
    """Return somebody nobody has reported."""
    return User.objects.create(username="alex")


class Paid(activities.ModelActivity):
    """A payment of a player, who is known by an id."""

    eventname = "Paid"
    customer = "player"
    value, currency = "amount", "currency"


class PaidBy(Paid):
    """A payment of a user, found by the id."""

    @staticmethod
    def get_customer(row: Payment) -> User:
        """Return the user."""
        return User.objects.get(pk=row.player)


@contextmanager
def serving(name: str) -> Iterator[None]:
    """Serve a request for a brand's host."""
    request = RequestFactory().get("/", headers=host_of(name))
    token = request_touches.serving.set(attribution.Touches(request))
    try:
        yield
    finally:
        request_touches.serving.reset(token)


def rows() -> list[tuple[str, str, str]]:
    """Return brand, id and state of each activity."""
    return sorted(Activity.objects.values_list("brand", "eventid", "status"))


def members(user: User) -> list[str]:
    """Return the brands that a user is a customer of, in the order of their reports."""
    return list(Customer.objects.filter(user_pk=str(user.pk)).order_by("pk").values_list("brand", flat=True))


# Signups.


@pytest.mark.usefixtures("houses")
def test_same_user_is_a_customer_of_two_brands(houses: Houses, alex: User) -> None:
    """A signup at each brand's host makes two customers, each with its own attribution and under its own key."""
    houses.change("blue", CUSTOMER_ID="username")
    for name in ("red", "blue"):
        client = Client(headers=host_of(name))
        client.get(f"/host/page/?tracking_data=link-of-{name}")
        client.get("/host/report-visitor/?username=alex")

    delivery.drain()

    assert members(alex) == ["red", "blue"]
    assert {key: each["tracking_data"] for key, each in houses.customers("red").items()} == {
        str(alex.pk): "link-of-red"
    }
    assert {key: each["tracking_data"] for key, each in houses.customers("blue").items()} == {
        "alex": "link-of-blue"
    }
    assert houses.requests("green") == 0


@pytest.mark.usefixtures("houses")
def test_signup_is_of_the_brand_whose_host_it_is(alex: User) -> None:
    """The safety net and the signals write the customer down for the brand of the request's host."""
    Client(headers=host_of("blue")).post("/host/join/", {"username": "kim"})
    Client(headers=host_of("green")).get("/host/announce/?username=alex")

    assert members(User.objects.get(username="kim")) == ["blue"]
    assert members(alex) == ["green"]


@pytest.mark.usefixtures("houses")
def test_report_without_a_request_guesses_no_brand(alex: User) -> None:
    """Somebody new needs a brand; somebody known is reported again where they are known."""
    with pytest.raises(BrandError, match="brand="):
        customers.report(alex)
    first = customers.report(alex, brand="blue")

    assert customers.report(alex) == first
    assert members(alex) == ["blue"]


@pytest.mark.usefixtures("houses")
@pytest.mark.parametrize("name", ["black", "RED", "default", 5, "red\0"], ids=str)
def test_brand_that_is_not_there_is_refused(alex: User, name: Any) -> None:
    """Each call says which brands there are."""
    calls: list[Callable[[], object]] = [
        lambda: customers.report(alex, brand=name),
        lambda: customers.update(alex, brand=name, kycStatus="passed"),
        lambda: customers.report_many([], brand=name),
        lambda: activities.report("Bet", customer=alex, eventid="b-1", brand=name, **MONEY),
        lambda: activities.report_many(
            [{"eventname": "Bet", "customer": alex, "eventid": "b-1", "brand": name, **MONEY}]
        ),
    ]
    for call in calls:
        with pytest.raises(BrandError, match="red, blue, green") as caught:
            call()
        assert caught.value.reason == "unknown_brand"
    assert not Customer.objects.exists()


def test_brand_may_be_named_where_there_is_one(alex: User) -> None:
    """The name of the only brand is as good as none, and any other is a mistake."""
    activities.report("Bet", customer=alex, eventid="b-1", brand="default", **MONEY)

    with pytest.raises(BrandError, match="default"):
        activities.report("Bet", customer=alex, eventid="b-2", brand="red", **MONEY)
    assert members(alex) == ["default"]


@pytest.mark.usefixtures("houses")
def test_touch_of_one_brand_claims_no_customer_of_another(alex: User) -> None:
    """Reported for another brand than whose page it is, a user is not credited to the link they followed there."""
    client = Client(headers=host_of("red"))
    client.get("/host/page/?tracking_data=link-of-red")

    client.get("/host/report-visitor/?username=alex&brand=blue")

    customer = Customer.objects.get()
    assert (customer.brand, customer.tracking, customer.unattributed_reason) == ("blue", {}, "no_request")


@pytest.mark.usefixtures("houses")
def test_visitor_of_nobodys_host_is_remembered_for_nobody(alex: User) -> None:
    """A page of an unknown host shows and keeps touches without an error, and they claim no brand's customer."""
    client = Client(headers={"host": "unknown.example"})

    client.get("/host/page/?tracking_data=link-of-nobody")

    assert client.get("/host/touches/").json()["last"] == {"tracking_data": "link-of-nobody"}
    client.get("/host/report-visitor/?username=alex&brand=blue")
    assert Customer.objects.get().tracking == {}


@pytest.mark.usefixtures("houses")
@pytest.mark.parametrize("path", ["join-for", "join-announced-for"])
def test_signup_whose_brand_is_named_is_of_no_other(path: str) -> None:
    """The safety net takes the request's brand; who names another one knows better, and it is one customer."""
    client = Client(headers=host_of("red"))
    client.get("/host/page/?tracking_data=link-of-red")

    client.post(f"/host/{path}/", {"username": "alex", "brand": "blue"})

    customer = Customer.objects.get()
    assert (customer.brand, customer.tracking, customer.status) == ("blue", {}, "pending")


# Updates.


@pytest.mark.usefixtures("houses")
def test_update_without_a_request_reaches_who_knows_the_customer(alex: User) -> None:
    """Changed fields go to all brands that know the customer, and register them with none."""
    customers.report(alex, brand="blue")
    customers.report(alex, brand="green")

    customers.update(alex, kycStatus="passed")

    assert dict(Customer.objects.values_list("brand", "fields")) == {
        "blue": {"kycStatus": "passed"},
        "green": {"kycStatus": "passed"},
    }


@pytest.mark.usefixtures("houses")
def test_update_of_one_brand_stays_there(alex: User) -> None:
    """A brand that is named, or whose request it is, hears of it alone."""
    for name in ("red", "blue", "green"):
        customers.report(alex, brand=name)

    customers.update(alex, brand="green", salesStatus="VIP")
    Client(headers=host_of("blue")).post("/host/update-visitor/", {"username": "alex", "salesStatus": "new"})

    assert dict(Customer.objects.values_list("brand", "fields")) == {
        "red": {},
        "blue": {"salesStatus": "new"},
        "green": {"salesStatus": "VIP"},
    }


@pytest.mark.usefixtures("houses")
def test_update_on_another_brands_host_reaches_the_customers_own(alex: User) -> None:
    """A callback that comes in by another brand's host registers nobody there."""
    customers.report(alex, brand="blue")

    Client(headers=host_of("red")).post("/host/update-visitor/", {"username": "alex", "kycStatus": "passed"})

    assert dict(Customer.objects.values_list("brand", "fields")) == {"blue": {"kycStatus": "passed"}}


@pytest.mark.usefixtures("houses")
def test_update_of_somebody_unknown_needs_a_brand(alex: User) -> None:
    """Without a request nobody can tell whose customer somebody unknown is."""
    with pytest.raises(BrandError):
        customers.update(alex, kycStatus="passed")

    assert not Customer.objects.exists()


# Activities.


@pytest.mark.usefixtures("houses")
def test_activity_goes_to_the_brand_of_its_customer_whatever_the_host(alex: User) -> None:
    """A provider's callback that comes in by another brand's host, or none, pays the customer's own."""
    customers.report(alex, brand="blue")

    for host in ("www.red.example", "www.green.example", "unknown.example"):
        Client(headers={"host": host}).get("/host/pay/?username=alex")
    activities.report("Bet", customer=alex, eventid="in-a-task", **MONEY)

    assert set(Activity.objects.values_list("brand", flat=True)) == {"blue"}
    assert members(alex) == ["blue"]


@pytest.mark.usefixtures("houses")
def test_activity_of_a_customer_of_two_is_the_requests(alex: User) -> None:
    """Of several brands it is the one whose host it is; a third one, or none, is refused and not guessed."""
    for name in ("red", "blue"):
        customers.report(alex, brand=name)

    Client(headers=host_of("blue")).get("/host/pay/?username=alex")

    assert rows() == [("blue", f"pay-{alex.pk}", "held")]
    with pytest.raises(BrandError, match="red and blue"):
        activities.report("Bet", customer=alex, eventid="b-1", **MONEY)
    with pytest.raises(BrandError, match="red and blue"):
        Client(headers=host_of("green")).get("/host/pay/?username=alex&eventid=b-2")
    assert len(rows()) == 1


@pytest.mark.usefixtures("houses")
def test_activity_that_was_reported_stays_where_it_is(alex: User) -> None:
    """A retry without the request finds the brand of the first report, whatever the customer joined since."""
    for name in ("red", "blue"):
        customers.report(alex, brand=name)
    activities.report("Bet", customer=alex, eventid="b-1", brand="blue", **MONEY)

    activities.report("Bet", customer=alex, eventid="b-1", **MONEY)
    activities.report_many([{"eventname": "Bet", "customer": alex, "eventid": "b-1", **MONEY}])

    assert rows() == [("blue", "b-1", "held")]


@pytest.mark.usefixtures("houses")
def test_activity_of_somebody_unknown_is_the_requests_or_refused(alex: User) -> None:
    """Nobody's customer is registered with the brand whose host it is, and with none outside of a request."""
    with pytest.raises(BrandError):
        activities.report("Bet", customer=alex, eventid="b-1", **MONEY)

    Client(headers=host_of("green")).get("/host/pay/?username=alex")

    assert members(alex) == ["green"]


@pytest.mark.usefixtures("houses")
def test_brand_of_a_customers_row_can_not_be_another(alex: User) -> None:
    """A row of `Customer` is one brand's."""
    customer = customers.report(alex, brand="red")

    with pytest.raises(BrandError, match="customer belongs to one brand") as caught:
        activities.report("Bet", customer=customer, eventid="b-1", brand="blue", **MONEY)

    assert caught.value.reason == "other_brand"


# Ids as text.


@pytest.mark.usefixtures("houses")
def test_id_is_the_brands_that_knows_it() -> None:
    """Where all brands make their ids alike, one that a single brand knows is that brand's."""
    customers.report("p-1", brand="blue")

    Client(headers=host_of("red")).get("/host/pay-id/?customer=p-1")

    assert rows() == [("blue", "pay-p-1", "held")]


def test_id_means_another_person_where_brands_make_them_otherwise(houses: Houses) -> None:
    """The same text may be two people: only the request, or a name, tells which of them is meant."""
    houses.change("red", CUSTOMER_ID="username")
    customers.report("7", brand="blue")

    with pytest.raises(BrandError):
        activities.report("Bet", customer="7", eventid="b-1", **MONEY)
    with pytest.raises(BrandError):
        Client(headers=host_of("red")).get("/host/pay-id/?customer=7")
    Client(headers=host_of("blue")).get("/host/pay-id/?customer=7")

    assert rows() == [("blue", "pay-7", "held")]


@pytest.mark.usefixtures("houses")
@pytest.mark.parametrize(
    "owner", ["", None, "a\0b", "\ud800", "x" * 500], ids=["empty", "none", "nul", "surrogate", "long"]
)
def test_owner_that_is_none_is_refused_as_ever(owner: Any) -> None:
    """What can be nobody's id is looked up nowhere."""
    with pytest.raises(PayloadError) as caught:
        activities.report("Bet", customer=owner, eventid="b-1", brand="red", **MONEY)

    assert not isinstance(caught.value, BrandError)
    with pytest.raises(PayloadError):
        activities.report("Bet", customer=owner, eventid="b-1", **MONEY)


# Declared rows.


@pytest.mark.usefixtures("houses")
def test_declared_brand_wins(alex: User, declare: Declare) -> None:
    """A declaration that names the brand of its rows asks no request and no customer."""
    for name in ("red", "blue"):
        customers.report(alex, brand=name)
    declare(type("Named", (PaidBy,), {"brand": "status"}))

    payment = Payment.objects.create(player=str(alex.pk), amount=5, status="blue")

    assert rows() == [("blue", f"Paid-{payment.pk}", "held")]


@pytest.mark.usefixtures("houses")
def test_row_whose_brand_nobody_can_tell_is_kept_and_mended(alex: User, declare: Declare) -> None:
    """The sale goes on; its record is dead and says why, and goes to the right brand once somebody can tell."""
    for name in ("red", "blue"):
        customers.report(alex, brand=name)
    told: list[str] = []

    def note(*, reason: str, **_: Any) -> None:
        told.append(reason)

    signals.record_dead.connect(note)
    declare(PaidBy)
    payment = Payment.objects.create(player=str(alex.pk), amount=5)
    dead = Activity.objects.get()
    assert (dead.status, dead.reason, dead.customer_id) == ("dead", "no_brand", None)
    assert "no_brand" in told[0]

    # The next save is in a request of one of them.
    with serving("blue"):
        payment.save()

    assert rows() == [("blue", f"Paid-{payment.pk}", "held")]


@pytest.mark.usefixtures("houses")
def test_requeue_finds_the_brand_that_was_missing(alex: User, declare: Declare) -> None:
    """A person who corrects the cause has it sent to the right brand, and nothing is left behind."""
    declare(PaidBy)
    payment = Payment.objects.create(player=str(alex.pk), amount=5)
    assert rows() == [("red", f"Paid-{payment.pk}", "dead")]
    customers.report(alex, brand="green")

    requeued = activities.requeue(Activity.objects.all())

    assert requeued.count == 1
    assert rows() == [("green", f"Paid-{payment.pk}", "held")]


@pytest.mark.usefixtures("houses")
def test_row_stays_at_its_brand_when_its_customer_joins_another(alex: User, declare: Declare) -> None:
    """Saved again by a task, or on the other brand's host, a row is the same activity of the same brand."""
    customers.report(alex, brand="red")
    declare(PaidBy)
    payment = Payment.objects.create(player=str(alex.pk), amount=5)
    customers.report(alex, brand="blue")

    payment.save()
    with serving("blue"):
        payment.save()
    written = PaidBy(Payment).write_many([payment], "default")

    assert (written.added, written.refused) == (0, 0)
    assert rows() == [("red", f"Paid-{payment.pk}", "held")]


@pytest.mark.usefixtures("houses")
def test_row_that_is_said_to_be_another_brands_is_flagged(alex: User, declare: Declare) -> None:
    """What was reported of one brand is never reported of another one beside it: a person decides."""
    for name in ("red", "blue"):
        customers.report(alex, brand=name)
    declare(type("Named", (PaidBy,), {"get_brand": lambda _self, row: row.status}))
    payment = Payment.objects.create(player=str(alex.pk), amount=5, status="red")

    payment.status = "blue"
    payment.save()

    assert rows() == [("red", f"Paid-{payment.pk}", "held")]
    assert Activity.objects.get().changed_at is not None


@pytest.mark.usefixtures("houses")
def test_bad_value_is_kept_with_the_brand_it_will_have(alex: User, declare: Declare) -> None:
    """A dead record stands where the right one will, so that correcting its row replaces it."""
    customers.report(alex, brand="blue")
    declare(PaidBy)
    payment = Payment.objects.create(player=str(alex.pk), amount=5, currency="XXX")
    assert rows() == [("blue", f"Paid-{payment.pk}", "dead")]

    payment.currency = "USD"
    payment.save()

    assert rows() == [("blue", f"Paid-{payment.pk}", "held")]


@pytest.mark.usefixtures("houses")
def test_bulk_keeps_rows_where_they_are(alex: User, declare: Declare) -> None:
    """Many rows at once are decided like one: those that were reported stay, the others follow their customers."""
    kim = User.objects.create(username="kim")
    sam = User.objects.create(username="sam")
    customers.report(alex, brand="red")
    customers.report(kim, brand="blue")
    declare(PaidBy)
    first = Payment.objects.create(player=str(alex.pk), amount=5)
    customers.report(alex, brand="blue")
    others = [Payment(player=str(each.pk), amount=5) for each in (kim, alex, sam)]
    Payment.objects.bulk_create(others)

    written = PaidBy(Payment).write_many([first, *Payment.objects.filter(pk__gt=first.pk)], "default")

    assert (written.added, written.refused) == (1, 2)
    assert rows() == sorted(
        [
            ("red", f"Paid-{first.pk}", "held"),
            ("blue", f"Paid-{others[0].pk}", "held"),
            # A customer of two brands, and somebody unknown, without a request.
            ("red", f"Paid-{others[1].pk}", "dead"),
            ("red", f"Paid-{others[2].pk}", "dead"),
        ]
    )


@pytest.mark.usefixtures("houses")
def test_bulk_drops_what_stood_for_it_elsewhere(alex: User, declare: Declare) -> None:
    """Reconciliation of a row that was dead for want of a brand leaves one record."""
    declare(PaidBy)
    payment = Payment.objects.create(player=str(alex.pk), amount=5)
    customers.report(alex, brand="green")

    PaidBy(Payment).write_many([payment], "default")

    assert rows() == [("green", f"Paid-{payment.pk}", "held")]


def test_function_that_names_none_outside_of_a_request_is_no_guess(
    houses: Houses, alex: User, declare: Declare
) -> None:
    """Nobody's customer is registered with the first brand in a task, and a row of theirs is kept; a request tells."""
    houses.configure(BRAND_RESOLVER=lambda _request: None)
    declare(PaidBy)
    calls: list[Callable[[], object]] = [
        lambda: customers.report(alex),
        lambda: customers.update(alex, kycStatus="passed"),
        lambda: activities.report("Bet", customer=alex, eventid="b-1", **MONEY),
    ]

    for call in calls:
        with pytest.raises(BrandError, match="outside of a request") as caught:
            call()
        assert caught.value.reason == "no_brand"
    payment = Payment.objects.create(player=str(alex.pk), amount=5)
    assert Activity.objects.get().reason == "no_brand"

    with serving("blue"):
        payment.save()

    assert rows() == [("red", f"Paid-{payment.pk}", "held")]


# Days' totals.


class DayOfBoth(activities.DailyActivity):
    """A day of everybody, without a word of brands."""

    eventname = "DailyStats"

    def rows(self, day: date) -> list[dict[str, Any]]:  # noqa: ARG002  each day is the same
        """Return a row for each user."""
        return [{"customer": user, "currency": "USD", "GGR": 1} for user in User.objects.order_by("pk")]


class DayOfBlue(DayOfBoth):
    """The same of one brand."""

    brand = "blue"
    source = "tests.brands.test_assignment.DayOfBoth"


@pytest.mark.usefixtures("houses")
def test_total_of_a_customer_of_two_is_refused_until_it_names_its_brand(alex: User) -> None:
    """Nobody knows how much of it is whose: it is kept as a dead record, which goes once the brand is named."""
    kim = User.objects.create(username="kim")
    for name in ("red", "blue"):
        customers.report(alex, brand=name)
    customers.report(kim, brand="blue")

    report = daily.report_day(DayOfBoth(), DAY)

    assert (report.counts["new"], report.counts["refused"]) == (1, 1)
    assert "red and blue" in report.refusals[0]
    assert sorted(Activity.objects.values_list("brand", "status")) == [("blue", "held"), ("red", "dead")]

    daily.report_day(DayOfBlue(), DAY)

    owners = Activity.objects.values_list("brand", "status", "customer__user_pk")
    assert sorted(owners) == sorted([("blue", "held", str(alex.pk)), ("blue", "held", str(kim.pk))])


def test_bounds_are_those_of_the_brand_of_the_class(houses: Houses) -> None:
    """A class of one brand needs to name it once, also for when its day begins."""
    houses.change("blue", TIME_ZONE="America/New_York")

    assert DayOfBlue().bounds(DAY)[0] == datetime(2025, 7, 21, 4, tzinfo=UTC)


# A brand that is gone.


def test_customer_of_a_brand_that_is_gone_is_told_so(houses: Houses, alex: User, declare: Declare) -> None:
    """Nothing new is written with another brand's policies; what is there stays, and a row is kept for later."""
    customers.report(alex, brand="blue")
    declare(PaidBy)
    first = Payment.objects.create(player=str(alex.pk), amount=5)
    before = houses.settings.TRACK360["BRANDS"]
    houses.configure(
        BRANDS={name: own for name, own in before.items() if name != "blue"}, CUSTOMER_ID="username"
    )

    with pytest.raises(BrandError, match="Add it again"):
        activities.report("Bet", customer=alex, eventid="b-1", **MONEY)
    with pytest.raises(BrandError, match="Add it again"):
        activities.report("Bet", customer=Customer.objects.get(), eventid="b-1", **MONEY)
    with pytest.raises(BrandError, match="Add it again"):
        customers.update(alex, kycStatus="passed")
    first.save()
    second = Payment.objects.create(player=str(alex.pk), amount=7)

    assert rows() == sorted([("blue", f"Paid-{first.pk}", "held"), ("red", f"Paid-{second.pk}", "dead")])
    assert members(alex) == ["blue"]

    houses.configure(BRANDS=before, CUSTOMER_ID="pk")
    activities.requeue(Activity.objects.all())

    assert rows() == sorted([("blue", f"Paid-{each.pk}", "held") for each in (first, second)])


def test_signup_that_waits_at_a_brand_that_is_gone_goes_on_waiting(houses: Houses, alex: User) -> None:
    """What it waits for is not known without its brand: nobody releases it."""
    User.objects.filter(pk=alex.pk).update(is_active=False)
    houses.change("blue", REPORT_ON="activation")
    Client(headers=host_of("blue")).get("/host/announce/?username=alex")
    before = houses.settings.TRACK360["BRANDS"]
    houses.configure(BRANDS={name: own for name, own in before.items() if name != "blue"})

    assert signup.activation.release_unnoticed() == 0
    houses.configure(BRANDS=before)
    assert signup.activation.release_unnoticed() == 0
    User.objects.filter(pk=alex.pk).update(is_active=True)

    assert signup.activation.release_unnoticed() == 1


# One brand is left, or gets a name.


def leave(houses: Houses, *names: str) -> None:
    """Take all other brands out of the settings."""
    before = houses.settings.TRACK360["BRANDS"]
    houses.configure(BRANDS={name: before[name] for name in names})


def be_without_brands(houses: Houses) -> dict[str, Any]:
    """Let the host have red's key and no BRANDS; return what red has as a brand."""
    red: dict[str, Any] = houses.settings.TRACK360["BRANDS"]["red"]
    houses.configure(BRANDS={}, BASE_URL=red["BASE_URL"], BRAND_TOKEN=red["BRAND_TOKEN"])
    return red


def test_customer_of_a_removed_brand_never_goes_to_the_only_one_left(houses: Houses, alex: User) -> None:
    """One brand that is left is as little a guess as several: its key takes nothing of the one that was removed."""
    customers.report(alex, brand="blue")
    customers.report("p-1", brand="blue")
    delivery.drain()
    leave(houses, "red")

    for owner in (alex, str(alex.pk), "p-1"):
        with pytest.raises(BrandError, match="Add it again"):
            activities.report("Deposit", customer=owner, eventid="d-1", **MONEY)
    delivery.drain()

    assert (houses.events("red"), houses.customers("red")) == ([], {})


def test_row_delivered_at_a_removed_brand_is_not_reported_again_at_the_only_one_left(
    houses: Houses, alex: User, declare: Declare
) -> None:
    """A row stays where it was reported, and what is new of its customer is kept for when the brand is back."""
    declare(PaidBy)
    customers.report(alex, brand="blue")
    row = Payment.objects.create(player=str(alex.pk), amount=5)
    for _ in range(2):
        delivery.drain()
    assert houses.events("blue") == [f"Paid-{row.pk}"]
    leave(houses, "red")

    row.save()
    PaidBy(Payment).write_many([row], "default")
    later = Payment.objects.create(player=str(alex.pk), amount=7)
    delivery.drain()

    assert houses.events("red") == []
    assert rows() == sorted([("blue", f"Paid-{row.pk}", "delivered"), ("red", f"Paid-{later.pk}", "dead")])
    assert Activity.objects.get(status="dead").reason == "no_brand"


def test_one_brand_that_gets_a_name_reports_its_rows_once(
    houses: Houses, alex: User, declare: Declare
) -> None:
    """The same key under a new name: nothing goes out again, and what is new is told how to go on."""
    declare(PaidBy)
    red = be_without_brands(houses)
    customers.report(alex, tracking={"tracking_data": "link"})
    row = Payment.objects.create(player=str(alex.pk), amount=5)
    for _ in range(2):
        delivery.drain()
    houses.configure(BRANDS={"red": red})

    row.save()
    with pytest.raises(BrandError, match="before BRANDS was set have the brand 'default'"):
        customers.report(alex, request=RequestFactory().get("/", headers=host_of("red")))
    later = Payment.objects.create(player=str(alex.pk), amount=7)
    for _ in range(2):
        delivery.drain()

    before = next(each for each in status.read(using="default") if each.brand == "default")
    assert any("Name their brand 'default'" in problem for problem in before.problems())
    assert houses.events("red") == [f"Paid-{row.pk}"]
    assert houses.customers("red")[str(alex.pk)]["tracking_data"] == "link"
    assert rows() == sorted([("default", f"Paid-{row.pk}", "delivered"), ("red", f"Paid-{later.pk}", "dead")])

    houses.configure(BRANDS={"default": red})
    activities.requeue(Activity.objects.filter(status="dead"))
    delivery.drain()

    assert not any(list(each.problems()) for each in status.read(using="default"))
    assert houses.events("red") == [f"Paid-{row.pk}", f"Paid-{later.pk}"]


def test_update_of_a_removed_brands_customer_is_refused_with_one_left(houses: Houses, alex: User) -> None:
    """Changed fields register nobody with another brand's key."""
    customers.report(alex, brand="blue")
    leave(houses, "red")

    with pytest.raises(BrandError, match="Add it again"):
        customers.update(alex, kycStatus="passed")

    assert members(alex) == ["blue"]


def test_brand_that_is_named_anew_alone_keeps_its_customers_in_updates(houses: Houses, alex: User) -> None:
    """Nobody is registered anew, unattributed, under the key that knows them."""
    red = be_without_brands(houses)
    customers.report(alex, tracking={"tracking_data": "link"})
    houses.configure(BRANDS={"red": red})

    with pytest.raises(BrandError, match="'default'"):
        customers.update(alex, kycStatus="passed")

    assert members(alex) == ["default"]


def test_backfill_reports_nobody_anew_whose_brand_got_a_name(houses: Houses, alex: User) -> None:
    """A command that is told no brand takes nobody for another brand's customer."""
    red = be_without_brands(houses)
    customers.report(alex)
    houses.configure(BRANDS={"red": red})

    with pytest.raises(CommandError, match="Name their brand 'default'"):
        call_command("track360", "backfill", "users")

    assert members(alex) == ["default"]


def test_the_one_brand_that_is_configured_has_who_is_new(houses: Houses, alex: User) -> None:
    """Somebody whom no brand knows is the only one's, with a request and without."""
    leave(houses, "red")

    activities.report("Bet", customer=alex, eventid="b-1", **MONEY)
    activities.report("Bet", customer="p-1", eventid="b-2", **MONEY)

    assert rows() == [("red", "b-1", "held"), ("red", "b-2", "held")]


@pytest.mark.usefixtures("houses")
@pytest.mark.parametrize("owner", ["kim\u00a0lee", "\U0001f468\u200d\U0001f469", "kim\u2028lee"], ids=ascii)
def test_id_with_a_hard_space_is_known_to_its_brand(owner: str) -> None:
    """What the tables keep is looked up, whether a terminal can print it or not."""
    customers.report(owner, brand="blue")

    with serving("red"):
        activities.report("Bet", customer=owner, eventid="b-1", **MONEY)

    assert rows() == [("blue", "b-1", "held")]


# What it costs.


def test_host_without_brands_costs_no_query_and_asks_nobody(alex: User, settings: Any) -> None:
    """A host that names no brands is asked nothing, and no table is read, to know which it is."""
    settings.TRACK360 = {**settings.TRACK360, "BRAND_RESOLVER": lambda _request: 1 / 0}
    drafts = [
        Draft(eventname="Bet", customer=alex, eventid=str(number), source_pk="1") for number in range(9)
    ]

    with CaptureQueriesContext(connection) as queries:
        places = places_of(drafts, "default")
        assert brands.of(alex, "default") == "default"

    assert {place.brand for place in places} == {"default"}
    assert len(queries) == 0


@pytest.mark.usefixtures("houses")
def test_thousand_rows_cost_a_few_queries() -> None:
    """Of several brands a thousand users and ids are looked up together."""
    people = User.objects.bulk_create([User(username=f"u{number}") for number in range(600)])
    Customer.objects.bulk_create(
        [
            Customer(brand=conf.brands()[number % 3], customer_id=f"c{number}", user_pk=str(user.pk), lane=0)
            for number, user in enumerate(people)
        ]
    )
    owners = [*people, *(f"c{number}" for number in range(400))]
    drafts = [
        Draft(eventname="Bet", customer=owner, eventid=f"e{number}", source="x.Y", source_pk=str(number))
        for number, owner in enumerate(owners)
    ]

    with CaptureQueriesContext(connection) as queries:
        places = places_of(drafts, "default")

    assert [place.brand for place in places[:600]] == [conf.brands()[number % 3] for number in range(600)]
    assert [place.brand for place in places[600:]] == [conf.brands()[number % 3] for number in range(400)]
    assert len(queries) <= 3
