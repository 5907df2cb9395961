"""Both journeys through the example project: landing to customer, deposit to activity."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from example_project.accounts.models import Profile
from example_project.cashier import provider
from example_project.cashier.models import Deposit
from tests.journeys import PASSWORD, TRACKING_DATA, land, sign_up, sign_up_by_allauth
from track360_django import delivery
from track360_django.models import Activity, Customer
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fast_passwords(settings: LazySettings) -> None:
    """Hash passwords quickly: what they cost is not what is tried here."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def deposit(client: Client, amount: str = "250.00") -> Deposit:
    """Pay in; the money is not there yet."""
    answer = client.post(reverse("cashier:deposits"), {"amount": amount, "method": "card"})
    assert answer.status_code == 302
    return Deposit.objects.latest("pk")


def complete(made: Deposit, secret: str | None = None) -> int:
    """Call as the payment provider; return the status of the answer."""
    headers = {provider.HEADER: provider.secret() if secret is None else secret}
    path = reverse("cashier:complete", args=[made.reference])
    return Client().post(path, headers=headers).status_code


@pytest.mark.parametrize("become_customer", [sign_up, sign_up_by_allauth], ids=["django", "allauth"])
def test_landing_then_sign_up_delivers_the_customer_with_the_very_value(
    client: Client, track360_sandbox: SandboxServer, become_customer: Callable[[Client], User]
) -> None:
    """A customer arrives with the value of the landing URL, whichever form made them."""
    land(client)
    user = become_customer(client)

    delivery.drain()

    customer = track360_sandbox.store.customer(str(user.pk))
    assert customer is not None
    assert customer["tracking_data"] == TRACKING_DATA


def test_sign_up_delivers_what_the_host_knows_of_the_person(
    client: Client, track360_sandbox: SandboxServer
) -> None:
    """A customer arrives with the fields of the user and of the profile."""
    user = sign_up(client)

    delivery.drain()

    assert track360_sandbox.store.customer(str(user.pk)) == {
        "customerId": str(user.pk),
        "regtime": f"{user.date_joined:%Y-%m-%d %H:%M}",
        "country": "US",
        "firstName": "Alex",
        "lastName": "Taylor",
    }


def test_sign_up_without_landing_delivers_an_unattributed_customer(
    client: Client, track360_sandbox: SandboxServer
) -> None:
    """A customer nobody sent arrives without tracking data, and the row says why."""
    user = sign_up(client)

    delivery.drain()

    customer = track360_sandbox.store.customer(str(user.pk))
    assert customer is not None
    assert "tracking_data" not in customer
    assert Customer.objects.get(user_pk=str(user.pk)).unattributed_reason


@pytest.mark.parametrize(
    "tracking_data",
    ["x" * 51, "", "a\x00b", "a\ufffdb"],
    ids=["over-long", "empty", "control", "replacement"],
)
def test_value_that_cannot_be_returned_is_not_remembered(
    client: Client, track360_sandbox: SandboxServer, tracking_data: str
) -> None:
    """A value that can't be returned exactly leaves the pages as they are and is stored nowhere."""
    land(client, tracking_data)
    user = sign_up(client)

    delivery.drain()

    customer = track360_sandbox.store.customer(str(user.pk))
    assert customer is not None
    assert "tracking_data" not in customer
    assert Customer.objects.get(user_pk=str(user.pk)).tracking == {}


def test_later_landing_with_a_bad_value_keeps_the_earlier_one(
    client: Client, track360_sandbox: SandboxServer
) -> None:
    """A value that is refused does not displace the valid one before it."""
    land(client)
    land(client, "x" * 51)
    user = sign_up(client)

    delivery.drain()

    customer = track360_sandbox.store.customer(str(user.pk))
    assert customer is not None
    assert customer["tracking_data"] == TRACKING_DATA


def test_sign_up_by_allauth_with_two_signals_makes_one_customer(
    client: Client, track360_sandbox: SandboxServer
) -> None:
    """Django's signal and allauth's make one row and one request together."""
    land(client)
    user = sign_up_by_allauth(client)

    delivery.drain()

    assert Customer.objects.filter(user_pk=str(user.pk)).count() == 1
    assert len(track360_sandbox.store.snapshot().customer_calls) == 1


def test_refused_sign_up_makes_no_customer(client: Client) -> None:
    """A form with errors leaves no person, no profile and no customer."""
    land(client)

    answer = client.post(reverse("signup"), {"username": "alex", "password1": PASSWORD, "country": "US"})

    assert answer.status_code == 200
    assert not User.objects.exists()
    assert not Profile.objects.exists()
    assert not Customer.objects.exists()


def test_pending_deposit_sends_nothing(client: Client, track360_sandbox: SandboxServer) -> None:
    """A deposit whose money is not there is neither written nor sent."""
    sign_up(client)
    made = deposit(client)

    delivery.drain()

    assert made.status == Deposit.Status.PENDING
    assert not Activity.objects.exists()
    assert track360_sandbox.store.activities() == ()


def test_completed_deposit_is_delivered_after_its_customer(
    client: Client, track360_sandbox: SandboxServer
) -> None:
    """A deposit is sent once its money is there, and after the acceptance of its customer was answered."""
    user = sign_up(client)
    made = deposit(client)
    status = complete(made)

    delivery.drain()

    made.refresh_from_db()
    assert status == 200
    assert track360_sandbox.store.activities() == (
        {
            "eventname": "Deposit",
            "eventid": made.reference,
            "createtime": f"{made.completed_at:%Y-%m-%d %H:%M}",
            "customerid": str(user.pk),
            "Value": "250.00",
            "Currency": "USD",
            "depositType": "card",
        },
    )
    customers, activities = track360_sandbox.store.log.entries()
    assert (customers.endpoint, activities.endpoint) == ("customers", "activities")
    assert customers.answered_at is not None
    assert customers.answered_at <= activities.received_at


def test_deposit_completed_twice_is_delivered_once(client: Client, track360_sandbox: SandboxServer) -> None:
    """A provider that calls again changes nothing."""
    sign_up(client)
    made = deposit(client)

    statuses = [complete(made), complete(made)]
    delivery.drain()

    assert statuses == [200, 200]
    assert len(track360_sandbox.store.activities()) == 1


@pytest.mark.parametrize("secret", ["", "wrong"])
def test_callback_without_the_secret_completes_nothing(client: Client, secret: str) -> None:
    """A stranger can't say that money arrived."""
    sign_up(client)
    made = deposit(client)

    status = complete(made, secret)

    made.refresh_from_db()
    assert status == 403
    assert made.status == Deposit.Status.PENDING


def test_deposit_completed_by_staff_is_delivered(
    client: Client, admin_client: Client, track360_sandbox: SandboxServer
) -> None:
    """A deposit that is completed in the admin is reported like any other."""
    sign_up(client)
    made = deposit(client)

    admin_client.post(
        reverse("admin:cashier_deposit_changelist"), {"action": "complete", "_selected_action": [made.pk]}
    )
    delivery.drain()

    assert [each["eventid"] for each in track360_sandbox.store.activities()] == [made.reference]


@pytest.mark.parametrize("amount", ["0", "-5.00", "0.999", "nonsense"])
def test_deposit_of_a_wrong_amount_is_refused(client: Client, amount: str) -> None:
    """A form with a wrong amount makes no deposit."""
    sign_up(client)

    answer = client.post(reverse("cashier:deposits"), {"amount": amount, "method": "card"})

    assert answer.status_code == 200
    assert not Deposit.objects.exists()


def test_deposit_of_somebody_else_is_not_shown(client: Client) -> None:
    """A customer sees their own deposits only."""
    sign_up(client)
    made = deposit(client)
    stranger = Client()
    sign_up(stranger, "bo")
    path = reverse("cashier:deposit", args=[made.reference])

    statuses = [client.get(path).status_code, stranger.get(path).status_code]

    assert statuses == [200, 404]


def test_cashier_without_login_asks_for_one(client: Client) -> None:
    """A visitor who is not logged in is sent to the login page."""
    answer = client.get(reverse("cashier:home"))

    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("login"))


def test_amount_is_kept_to_the_cent(client: Client) -> None:
    """A deposit is stored as it was typed."""
    sign_up(client)

    made = deposit(client, "1234567.89")

    assert made.amount == Decimal("1234567.89")
