"""Accounts that people have elsewhere: through the provider and back, whatever way the cookies take."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.sources.stories import ATTRIBUTED, told

pytestmark = pytest.mark.standalone

# Host -> its stories of a login that is no signup, and how many customers there are in each.
LOGINS: Final = [
    *(
        (host, story, customers)
        for host in ("allauth_social", "mozilla_oidc", "social_auth")
        for story, customers in (("second_login", 1), ("later_click", 1), ("other_person", 2))
    ),
    ("allauth_headless", "app_second_login", 1),
    ("dj_rest_social", "second_login", 1),
    ("dj_rest_social", "silent_second_login", 1),
]
# Host -> its stories of a signup that has the value of its landing, and the source that the customer names.
SIGNUPS: Final = [
    ("allauth_social", "signup_form", "allauth"),
    ("allauth_social", "straight", "allauth"),
    ("allauth_social", "straight_session", "allauth"),
    ("mozilla_oidc", "straight", "oidc"),
    ("mozilla_oidc", "straight_session", "oidc"),
    ("allauth_headless", "social", "allauth"),
    ("allauth_headless", "app_header", "allauth"),
    ("allauth_headless", "app_body", "allauth"),
    ("allauth_headless", "app_token", "allauth"),
    # Nobody announces these: the safety net.
    ("dj_rest_social", "silent", "auth"),
    ("dj_rest_social", "silent_header", "auth"),
    ("rest_framework", "body_and_landing", "rest_framework"),
    ("rest_framework", "form", "rest_framework"),
]
# The same, for those who come back by a form that another site submits.
FORM_POSTS: Final = [
    ("allauth_social", "form_post", "allauth"),
    ("allauth_social", "form_post_unknown", "allauth"),
    ("allauth_social", "form_post_cookie", "allauth"),
    ("social_auth", "form_post", "social_auth"),
    ("social_auth", "form_post_session", "social_auth"),
    ("social_auth", "form_post_cookie_none", "social_auth"),
    ("social_auth", "form_post_by_get", "social_auth"),
    ("mozilla_oidc", "form_post_by_get", "oidc"),
]


@pytest.mark.parametrize(("host", "story", "customers"), LOGINS)
def test_login_that_is_no_signup_changes_nothing(host: str, story: str, customers: int) -> None:
    """A second login, a login of somebody else, a later click: the rows stay as the signups left them."""
    for where, stories in told(host).items():
        rows = stories[story]
        assert len(rows) == 2 * customers, where
        assert rows[customers:] == rows[:customers], where


@pytest.mark.parametrize(("host", "story", "source"), SIGNUPS)
def test_sign_up_with_another_account_is_one_customer_with_its_value(
    host: str, story: str, source: str
) -> None:
    """Through the provider and back, by pages or by an API: one row, pending, with the very value."""
    for where, stories in told(host).items():
        assert stories[story] == [_row(source, ATTRIBUTED)], where


@pytest.mark.parametrize(("host", "story", "source"), FORM_POSTS)
def test_sign_up_by_a_form_of_another_site_is_one_customer_with_its_value(
    host: str, story: str, source: str
) -> None:
    """A POST from the provider's site brings no Lax cookie: the value is there all the same, as the how-to says."""
    for where, stories in told(host).items():
        assert stories[story] == [_row(source, ATTRIBUTED)], where


def test_cookie_that_stays_at_home_does_not_come_with_a_form_of_another_site() -> None:
    """With the session open to other sites and the touch in a Lax cookie alone, the signup is unattributed."""
    for where, stories in told("social_auth").items():
        assert stories["form_post_cookie"] == [_row("social_auth", {})], where


def test_app_that_was_opened_with_nothing_is_unattributed() -> None:
    """An app without a value is a customer, and the row says why it has none."""
    for where, stories in told("allauth_headless").items():
        assert stories["app_alone"] == [_row("allauth", {})], where


def test_body_with_what_is_no_value_is_a_signup_all_the_same() -> None:
    """The field refuses no request, whatever a client sends in it."""
    for where, stories in told("rest_framework").items():
        assert [row["source"] for row in stories["no_values"]] == ["rest_framework"] * 9, where
        assert [row["tracking"] for row in stories["no_values"]] == [{}] * 9, where


def test_landing_on_another_name_of_the_brand_needs_a_cookie_for_both_or_a_token() -> None:
    """What www remembers, app does not know, unless `COOKIE_DOMAIN` names both, or the link between them carries it."""
    for where, stories in told("allauth_social").items():
        assert stories["subdomain"] == [_row("allauth", {})], where
        assert stories["subdomain_cookie"] == [_row("allauth", ATTRIBUTED)], where
        assert stories["subdomain_token"] == [_row("allauth", ATTRIBUTED)], where


def _row(source: str, tracking: dict[str, str]) -> dict[str, Any]:
    reason = "" if tracking else "no_parameter"
    return {
        "status": "pending",
        "reason": "",
        "source": source,
        "tracking": tracking,
        "unattributed_reason": reason,
    }
