"""Policies that differ by brand: each brand's records follow its own, in one process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings as HostSettings

from tests.houses import NAMES, Houses, host_of, open_houses
from tests.ledger.models import Payment
from track360_django import activities, customers, delivery, tasks
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer

pytestmark = pytest.mark.django_db

MONEY: dict[str, Any] = {"value": 5, "currency": "USD"}
MOMENT = datetime(2025, 7, 21, 22, 30, tzinfo=UTC)


@pytest.fixture
def houses(settings: HostSettings) -> Iterator[Houses]:
    """Open three brands."""
    with open_houses(settings) as opened:
        yield opened


@pytest.fixture
def alex() -> User:
    """Return somebody nobody has reported."""
    return User.objects.create(username="alex", email="alex@example.com")


def bet(owner: Any, brand: str, eventid: str = "b-1", **more: Any) -> dict[str, Any]:
    """Report a bet at a brand, and return its body."""
    return dict(
        json.loads(
            activities.report("Bet", customer=owner, eventid=eventid, brand=brand, **MONEY, **more).body
        )
    )


def states() -> dict[str, tuple[str, str]]:
    """Return state and reason of the customer of each brand."""
    return {
        brand: (state, reason)
        for brand, state, reason in Customer.objects.values_list("brand", "status", "reason")
    }


def test_activation_is_awaited_where_a_brand_says_so(houses: Houses) -> None:
    """The same signup is reported at once by one brand, and waits for the user's activation at another."""
    houses.change("blue", REPORT_ON="activation")
    for name in ("red", "blue"):
        client = Client(headers=host_of(name))
        client.get(f"/host/page/?tracking_data=link-of-{name}")
        client.post("/host/join-inactive/", {"username": f"{name}-player"})

    assert states() == {"red": ("pending", ""), "blue": ("held", "inactive")}

    for user in User.objects.all():
        user.is_active = True
        user.save()

    assert states() == {"red": ("pending", ""), "blue": ("pending", "")}
    assert dict(Customer.objects.values_list("brand", "tracking")) == {
        name: {"tracking_data": f"link-of-{name}"} for name in ("red", "blue")
    }


def test_activation_of_a_customer_of_two_releases_who_waits(houses: Houses, alex: User) -> None:
    """A user who waits at two brands is released at both, whatever the host of the activation."""
    User.objects.filter(pk=alex.pk).update(is_active=False)
    for name in ("red", "blue"):
        houses.change(name, REPORT_ON="activation")
        Client(headers=host_of(name)).get("/host/announce/?username=alex")
    assert states() == {"red": ("held", "inactive"), "blue": ("held", "inactive")}

    alex.is_active = True
    alex.save()

    assert states() == {"red": ("pending", ""), "blue": ("pending", "")}


def test_customer_id_is_the_brands(houses: Houses, alex: User) -> None:
    """Each brand knows the user by its own id, and activities carry that one."""
    houses.change("red", CUSTOMER_ID="username")
    houses.change("blue", CUSTOMER_ID="email")

    bodies = {name: bet(alex, name) for name in NAMES}

    assert {name: body["customerid"] for name, body in bodies.items()} == {
        "red": "alex",
        "blue": "alex@example.com",
        "green": str(alex.pk),
    }


def test_times_are_in_the_brands_zone(houses: Houses, alex: User) -> None:
    """One moment is another day where a brand agreed on another zone."""
    houses.change("red", TIME_ZONE="Asia/Tokyo")
    houses.change("blue", TIME_ZONE="America/New_York")

    bodies = {name: bet(alex, name, createtime=MOMENT) for name in NAMES}

    assert {name: body["createtime"] for name, body in bodies.items()} == {
        "red": "2025-07-22 07:30",
        "blue": "2025-07-21 18:30",
        "green": "2025-07-21 22:30",
    }


def test_names_are_agreed_by_brand(houses: Houses, alex: User, caplog: pytest.LogCaptureFixture) -> None:
    """A name that one brand agreed on is none of another's, which says so."""
    houses.change("red", EVENTS=["Bet"])
    houses.change("blue", EVENTS=["Wager of a test of brands"])

    bet(alex, "red")
    assert "not among the agreed" not in caplog.text

    bet(alex, "blue")
    assert "'Bet' is not among the agreed" in caplog.text


def test_product_has_the_brands_field(houses: Houses, alex: User) -> None:
    """A product is told under the name, or in the shape, that each brand agreed on; or refused."""
    houses.change("red", PRODUCT_FIELD="vertical")
    houses.change("blue", PRODUCT_FIELD="track360_django.products.suffix")

    red, blue = (bet(alex, name, product="Casino") for name in ("red", "blue"))

    assert (red["vertical"], red["eventname"]) == ("Casino", "Bet")
    assert blue["eventname"] == "BetCasino"
    with pytest.raises(PayloadError, match="PRODUCT_FIELD"):
        bet(alex, "green", product="Casino")


def test_corrections_follow_the_brand(houses: Houses, alex: User) -> None:
    """What changed after it was sent is sent again by one brand, and flagged at another."""
    houses.change("red", CORRECTIONS="resend")
    for name in ("red", "blue"):
        bet(alex, name)
    delivery.drain()

    for name in ("red", "blue"):
        activities.report("Bet", customer=alex, eventid="b-1", brand=name, value=7, currency="USD")

    found = {row.brand: (row.status, row.changed_at is not None) for row in Activity.objects.all()}
    assert found == {"red": ("pending", False), "blue": ("delivered", True)}


def test_unknown_customers_follow_the_brand(houses: Houses, alex: User) -> None:
    """Somebody nobody reported is registered by one brand, and held at another until somebody does."""
    houses.change("blue", UNKNOWN_CUSTOMERS="hold")

    for name in ("red", "blue"):
        bet(alex, name)

    assert states() == {"red": ("pending", ""), "blue": ("held", "not_reported")}


@pytest.mark.parametrize("by", ["task", "command"])
def test_records_are_kept_as_long_as_their_brand_says(houses: Houses, alex: User, by: str) -> None:
    """Each brand's activities are pruned by its own age; those of a brand that is gone by the project's."""
    houses.configure(RETENTION_DAYS=30)
    houses.change("red", RETENTION_DAYS=5)
    houses.change("blue", RETENTION_DAYS=90)
    for name in NAMES:
        for days in (10, 40, 100):
            bet(alex, name, eventid=f"{name}-{days}")
            accepted = {
                "status": "delivered",
                "due_at": None,
                "delivered_at": timezone.now() - timedelta(days=days),
            }
            Activity.objects.filter(eventid=f"{name}-{days}").update(**accepted)
    gone = {name: own for name, own in houses.settings.TRACK360["BRANDS"].items() if name != "green"}
    houses.configure(BRANDS=gone)

    if by == "task":
        tasks.prune()
    else:
        call_command("track360", "prune")

    assert sorted(Activity.objects.values_list("eventid", flat=True)) == ["blue-10", "blue-40", "green-10"]


def test_prune_of_one_brand_leaves_the_others(houses: Houses, alex: User) -> None:
    """The command may be narrowed to a brand."""
    for name in NAMES:
        bet(alex, name, eventid=name)
    Activity.objects.update(
        status="delivered", due_at=None, delivered_at=timezone.now() - timedelta(days=100)
    )

    call_command("track360", "prune", "--brand", "red")

    assert sorted(Activity.objects.values_list("brand", flat=True)) == ["blue", "green"]


def test_capture_follows_the_brand(houses: Houses) -> None:
    """Parameters, and which touch counts, are those of the brand whose host it is."""
    houses.change("red", TRACKING_PARAMS=["clickid"])
    houses.change("blue", ATTRIBUTION="first")
    for name in NAMES:
        client = Client(headers=host_of(name))
        for number in (1, 2):
            client.get(f"/host/page/?tracking_data=link-{number}&clickid=click-{number}")
        client.post("/host/join/", {"username": f"{name}-player"})

    assert dict(Customer.objects.values_list("brand", "tracking")) == {
        "red": {"clickid": "click-2"},
        "blue": {"tracking_data": "link-1"},
        "green": {"tracking_data": "link-2"},
    }


def test_consent_follows_the_brand(houses: Houses) -> None:
    """Where a brand asks for consent nothing is remembered before it, and elsewhere at once."""
    houses.change("blue", CONSENT=lambda request: "yes" in request.COOKIES)
    for name in ("red", "blue"):
        client = Client(headers=host_of(name))
        client.get("/host/page/?tracking_data=link")
        client.post("/host/join/", {"username": f"{name}-player"})

    found = dict(Customer.objects.values_list("brand", "unattributed_reason"))
    assert found == {"red": "", "blue": "no_consent"}


def test_deposit_of_a_brand_that_is_off_waits(
    houses: Houses, alex: User, declare: Callable[..., None]
) -> None:
    """What is done at a brand that is switched off is written down, and goes out once it is on."""
    customers.report(alex, brand="blue")
    houses.change("blue", ENABLED=False)

    class Paid(activities.ModelActivity):
        eventname = "Paid"
        value, currency = "amount", "currency"

        @staticmethod
        def get_customer(_row: Payment) -> User:
            return alex

    declare(Paid)
    Payment.objects.create(player="x", amount=5)
    delivery.drain()

    assert houses.requests("blue") == 0
    houses.change("blue", ENABLED=True)
    delivery.drain()
    assert len(houses.events("blue")) == 1
