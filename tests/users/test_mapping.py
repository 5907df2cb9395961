"""The host's user, read as a customer: which id, which fields, and whether they are one at all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from pytest_django import Settings as HostSettings

from example_project.accounts.models import Profile
from tests.configuration import configure
from track360_django import activities, customers, delivery
from track360_django.conf import DEFAULT_BRAND
from track360_django.models import Customer
from track360_django.sandbox.server import SandboxServer
from track360_django.users.eligibility import why_not_a_customer
from track360_django.users.lookup import find_user
from track360_django.users.mapping import customer_id_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    """Return a user with a profile."""
    user = User.objects.create(
        username="alex", first_name="Alex", last_name="Taylor", email="alex@example.com"
    )
    Profile.objects.create(user=user, country="US")
    return user


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("username", "alex"),
        ("profile__country", "US"),
        ("profile.country", "US"),
        ("get_full_name", "Alex Taylor"),
        (lambda user: f"C-{user.username}", "C-alex"),
    ],
    ids=["column", "path", "dotted-path", "method", "function"],
)
def test_customer_id_follows_the_setting(
    user: User, settings: HostSettings, path: Any, expected: str
) -> None:
    """`CUSTOMER_ID` is a path or a function, and its value becomes text."""
    configure(settings, CUSTOMER_ID=path)

    assert customer_id_of(user, DEFAULT_BRAND) == expected


def test_customer_id_is_the_primary_key_by_default(user: User) -> None:
    """Without a setting the id is the user's primary key."""
    assert customer_id_of(user, DEFAULT_BRAND) == str(user.pk)


@pytest.mark.parametrize(
    "path", ["no_such_field", "profile__no_such_field", "no_such_field__country", lambda _: None]
)
def test_customer_id_that_leads_nowhere_is_a_clear_error(
    user: User, settings: HostSettings, path: Any
) -> None:
    """A wrong setting names itself."""
    configure(settings, CUSTOMER_ID=path)

    with pytest.raises(ImproperlyConfigured, match="CUSTOMER_ID"):
        customer_id_of(user, DEFAULT_BRAND)


@pytest.mark.parametrize(
    ("path", "customer_id", "is_found"),
    [
        ("pk", "{pk}", True),
        ("username", "alex", True),
        ("profile__country", "US", True),
        ("pk", "no-number", False),
        ("pk", "9" * 40, False),
        ("username", "nobody", False),
        ("get_full_name", "Alex Taylor", False),
        ("no_such_field", "alex", False),
        (lambda user: user.username, "alex", False),
    ],
    ids=["pk", "column", "path", "no-number", "huge", "unknown", "method", "misspelt", "function"],
)
def test_user_is_found_where_the_id_is_a_column(
    user: User, settings: HostSettings, path: Any, customer_id: str, *, is_found: bool
) -> None:
    """A customer id leads back to its user where the database can look it up, else to nobody, never to an error."""
    configure(settings, CUSTOMER_ID=path)

    found = find_user(customer_id.format(pk=user.pk), DEFAULT_BRAND)

    assert found == (user if is_found else None)


def test_activity_of_an_id_that_is_no_column_waits(settings: HostSettings) -> None:
    """With a `CUSTOMER_ID` that only Python can compute, an unknown id is held until somebody reports it."""
    configure(settings, CUSTOMER_ID="get_full_name")

    activities.report("Deposit", customer="Alex Taylor", value=5, currency="USD", eventid="1")

    assert Customer.objects.get().status == "held"


@pytest.mark.parametrize(
    ("fields", "report_on", "reason"),
    [
        ({}, "signup", None),
        ({"is_active": False}, "signup", None),
        ({"is_active": False}, "activation", "inactive"),
        ({"is_staff": True}, "signup", "staff"),
        ({"is_superuser": True}, "signup", "staff"),
        ({"is_staff": True, "is_active": False}, "activation", "staff"),
    ],
)
def test_customer_is_told_from_others(
    settings: HostSettings, fields: dict[str, bool], report_on: str, reason: str | None
) -> None:
    """Staff are no customers, inactive users are none yet where activation is awaited."""
    configure(settings, REPORT_ON=report_on)

    assert why_not_a_customer(User(username="alex", **fields), DEFAULT_BRAND) == reason


def test_nobody_is_no_customer() -> None:
    """Without a user there is no customer."""
    assert why_not_a_customer(None, DEFAULT_BRAND) == "no_user"


# Registration time.

MALTA = ZoneInfo("Europe/Malta")


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (datetime(2025, 7, 21, 8, 46, tzinfo=UTC), "2025-07-21 08:46"),
        (datetime(2025, 7, 21, 10, 46, tzinfo=MALTA), "2025-07-21 08:46"),
        (datetime(2025, 7, 21, 8, 46), "2025-07-21 08:46"),  # noqa: DTZ001  a host may keep naive times
        (date(2025, 7, 21), "2025-07-21 00:00"),
    ],
    ids=["aware", "other-zone", "naive", "date"],
)
def test_registration_time_is_sent_in_the_agreed_zone(
    user: User, settings: HostSettings, track360_sandbox: SandboxServer, value: date, wire: str
) -> None:
    """Whatever the host keeps, `regtime` is the same moment on the wire, also under a visitor's own zone."""
    configure(settings, CUSTOMER_FIELDS={"regtime": lambda _: value})

    with timezone.override("Pacific/Auckland"):
        customers.report(user)
    delivery.drain()

    record = track360_sandbox.store.customer(str(user.pk))
    assert record is not None
    assert record["regtime"] == wire


def test_naive_time_of_an_activity_is_the_hosts_time(user: User) -> None:
    """A visitor's time zone moves no deposit."""
    naive = datetime(2025, 7, 21, 8, 46)  # noqa: DTZ001  a host may keep naive times

    with timezone.override("Pacific/Auckland"):
        activity = activities.report(
            "Deposit", customer=user, value=5, currency="USD", eventid="1", createtime=naive
        )

    assert '"createtime":"2025-07-21 08:46"' in activity.body


# Fields.


def delivered(user: User, sandbox: SandboxServer) -> dict[str, Any]:
    """Report a user and return what arrived."""
    customers.report(user)
    delivery.drain()
    return dict(sandbox.store.customer(str(user.pk)) or {})


def test_fields_are_read_when_they_are_sent(user: User, track360_sandbox: SandboxServer) -> None:
    """A name that changes before the delivery arrives as it is then; it is copied into no table of ours."""
    customers.report(user)
    User.objects.update(first_name="Sascha")

    delivery.drain()

    record = track360_sandbox.store.customer(str(user.pk))
    assert record is not None
    assert (record["firstName"], record["country"]) == ("Sascha", "US")
    assert "Alex" not in str(Customer.objects.values().get())


def fail(user: User) -> str:
    """Be a host's function with a bug."""
    message = f"no phone for {user.username}"
    raise LookupError(message)


@pytest.mark.parametrize(
    "path",
    [
        "no_such_field",
        "profile__no_such_field",
        fail,
        lambda _: 1.5,
        lambda _: "a\x00",
        lambda _: object(),
    ],
    ids=["misspelt", "misspelt-path", "error", "float", "nul", "object"],
)
def test_field_that_fails_costs_the_field_alone(
    user: User,
    settings: HostSettings,
    track360_sandbox: SandboxServer,
    caplog: pytest.LogCaptureFixture,
    path: Any,
) -> None:
    """The customer is reported without it, and the log says which one, and nothing of the person."""
    configure(settings, CUSTOMER_FIELDS={"phone": path})

    record = delivered(user, track360_sandbox)

    assert record["firstName"] == "Alex"
    assert "phone" not in record
    assert "phone" in caplog.text
    assert "alex" not in caplog.text.lower()


@pytest.mark.parametrize("path", ["email", "no_such"], ids=["empty", "missing-relation"])
def test_field_without_a_value_is_left_out(
    settings: HostSettings, track360_sandbox: SandboxServer, path: str
) -> None:
    """Neither null nor empty text is sent; a relation that is missing is no value."""
    configure(settings, CUSTOMER_FIELDS={"email": path, "country": "profile__country", "firstName": None})
    user = User.objects.create(username="bo", first_name="Bo")

    record = delivered(user, track360_sandbox)

    assert set(record) == {"customerId", "regtime"}


def test_field_given_by_hand_wins_over_the_users(user: User, track360_sandbox: SandboxServer) -> None:
    """What the host reports itself counts more than the path."""
    customers.report(user, country="MT")
    delivery.drain()

    record = track360_sandbox.store.customer(str(user.pk))
    assert record is not None
    assert record["country"] == "MT"
