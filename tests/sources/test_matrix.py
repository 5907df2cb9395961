"""Every auth package, under every server, with every session backend: one signup is one customer, with its value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest

from tests.sources.host import OTHER_VALUE
from tests.sources.stories import ATTRIBUTED, Row, told

pytestmark = pytest.mark.standalone

# Host -> the signup source that its customers name.
SOURCES: Final = {
    "account": "account",
    "allauth": "allauth",
    "allauth_headless": "allauth",
    "allauth_social": "allauth",
    "dj_rest_auth": "allauth",
    "dj_rest_social": "allauth",
    "django_registration": "django_registration",
    "djoser": "djoser",
    "gqlauth": "gqlauth",
    "graphql_auth": "graphql_auth",
    "guest_user": "guest_user",
    "mozilla_oidc": "oidc",
    "oscar": "oscar",
    "outdated": "auth",
    "plain": "auth",
    "registration": "registration",
    "rest_framework": "rest_framework",
    "rest_registration": "rest_registration",
    "social_auth": "social_auth",
}
# Those of them whose signups are calls of an API.
APIS: Final = (
    "allauth_headless",
    "dj_rest_auth",
    "dj_rest_social",
    "djoser",
    "gqlauth",
    "graphql_auth",
    "rest_framework",
    "rest_registration",
)
# Those that ask for an activation -> why a customer waits meanwhile.
WAITING: Final = {
    "account": "inactive",
    "allauth": "unverified",
    "dj_rest_auth": "unverified",
    "django_registration": "inactive",
    "djoser": "inactive",
    "gqlauth": "unverified",
    "graphql_auth": "unverified",
    "registration": "inactive",
    "rest_registration": "inactive",
}


def each(host: str, story: str) -> Iterator[tuple[str, list[Row]]]:
    """Yield server and session backend, and what a story left there."""
    for where, stories in told(host).items():
        yield where, stories[story]


def customer(host: str, **columns: Any) -> Row:
    """Return the row of an attributed customer, or of another."""
    expected = {"status": "pending", "reason": "", "source": SOURCES[host], "tracking": ATTRIBUTED}
    return {**expected, "unattributed_reason": "", **columns}


def every(hosts: Sequence[str]) -> pytest.MarkDecorator:
    """Run a test for each of some hosts."""
    return pytest.mark.parametrize("host", hosts)


@every(tuple(SOURCES))
def test_sign_up_after_a_landing_is_one_customer_with_its_value(host: str) -> None:
    """Land, wander, sign up: one row, pending, from the right source, with the very value."""
    for where, rows in each(host, "attributed"):
        assert rows == [customer(host)], where


@every(tuple(SOURCES))
def test_sign_up_without_a_landing_is_one_customer_without_a_value(host: str) -> None:
    """Who came by themselves is a customer, and the row says why it has no value."""
    for where, rows in each(host, "unattributed"):
        assert rows == [customer(host, tracking={}, unattributed_reason="no_parameter")], where


@every(tuple(SOURCES))
def test_sign_up_that_the_package_refuses_is_no_customer(host: str) -> None:
    """A form with errors leaves nothing."""
    for where, rows in each(host, "refused"):
        assert rows == [], where


@every(tuple(SOURCES))
def test_browser_forgets_its_landing_with_the_signup(host: str) -> None:
    """Who signs up next in the same browser is somebody else."""
    for where, rows in each(host, "forgotten"):
        assert rows == [ATTRIBUTED, {}], where


@every(APIS)
@pytest.mark.parametrize("carrier", ["header", "body"])
def test_sign_up_of_an_app_without_cookies_has_the_value_it_carries(host: str, carrier: str) -> None:
    """A header or a field of the JSON body is as good as a landing."""
    for where, rows in each(host, carrier):
        assert rows == [customer(host)], where


@every(tuple(WAITING))
def test_activation_in_another_browser_keeps_the_attribution_of_the_signup(host: str) -> None:
    """With `REPORT_ON = "activation"` a signup waits, frozen; who activates it gives nothing to it and loses nothing."""
    waiting = customer(host, status="held", reason=WAITING[host])

    for where, rows in each(host, "activated"):
        assert rows == [waiting, customer(host), {"tracking_data": OTHER_VALUE}], where


def test_approval_by_a_colleague_releases_the_customer_of_the_signup() -> None:
    """A colleague's request says nothing of the customer: django-registration-redux passes it on."""
    waiting = customer("registration", status="held", reason="inactive")

    for where, rows in each("registration", "approved"):
        assert rows == [waiting, customer("registration")], where


def test_sign_up_that_logs_in_at_once_is_one_customer() -> None:
    """When the signal comes, the request's user is the new one already."""
    for where, rows in each("django_registration", "one_step"):
        assert rows == [customer("django_registration")], where


def test_guest_is_no_customer() -> None:
    """A user that a package made up for a visitor has not signed up."""
    for where, rows in each("guest_user", "guest"):
        assert rows == [], where


def test_guest_who_lands_and_converts_is_a_customer_with_the_value() -> None:
    """The signup of a guest is their conversion, so what they landed with before it counts."""
    for where, rows in each("guest_user", "landed_as_guest"):
        assert rows == [customer("guest_user")], where


def test_guest_who_joins_by_another_form_is_a_customer() -> None:
    """Who is logged in as a guest has signed up nowhere, so a new user of theirs is their signup."""
    for where, rows in each("guest_user", "joined"):
        assert rows == [customer("guest_user", source="auth")], where


def test_user_whose_address_is_verified_already_does_not_wait() -> None:
    """An invitation (or a social account) has verified the address before the signup."""
    for where, rows in each("allauth", "invited"):
        assert rows == [customer("allauth")], where


def test_form_that_is_sent_twice_makes_two_users_and_two_customers() -> None:
    """Oscar makes two users of a form that is sent twice at once; each is reported as what it is: a user."""
    for where, rows in each("oscar", "sent_twice"):
        assert rows == [customer("oscar"), customer("oscar")], where
