"""From a page that Django never saw to the one customer with the right value: a real browser, a real server."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest
from pytest_django import Settings as HostSettings
from pytest_django.live_server_helper import LiveServer

from example_project.cashier.models import Deposit
from tests.browser.chromium import Tab
from tests.browser.shore import Site
from track360_django.models import Customer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.host.urls")]

VALUE = "2001_1000_abcdefg"
PERSON = {
    "username": "alex",
    "first_name": "Alex",
    "last_name": "Taylor",
    "country": "US",
    "password1": "a-long-and-unlikely-password",
    "password2": "a-long-and-unlikely-password",
}
OURS = {"track360", "track360_js"}
JOIN = "fetch('/host/api/join/', {method: 'POST', body: new URLSearchParams({username: 'alex'})}).then(a => a.status)"


@pytest.fixture
def edge(cdn: Site, live_server: LiveServer, settings: HostSettings) -> Site:
    """Return a CDN's edge in front of Django: it serves the landing page, and fetches all else."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cdn.origin = live_server.url.removeprefix("http://")
    return cdn


def configure(settings: HostSettings, **changes: Any) -> None:
    """Change some of the host's `TRACK360`."""
    settings.TRACK360 = {**settings.TRACK360, **changes}


def sign_up(tab: Tab) -> None:
    """Fill in the form of the example project, and send it."""
    for name, value in PERSON.items():
        tab.run(f"document.querySelector('main [name={name}]').value = '{value}'")
    tab.go("document.querySelector('main form button').click()")


def tracking() -> dict[str, str]:
    """Return the tracking data of the one customer there is."""
    return dict(Customer.objects.get().tracking)


def test_landing_on_a_cdn_then_form_of_django_makes_the_customer(tab: Tab, edge: Site) -> None:
    """The form carries what the edge's page saw; after the signup the browser has forgotten it."""
    edge.landing()

    tab.open(edge.url(f"/?tracking_data={VALUE}"))
    tab.open(edge.url("/promotions/"))
    before = set(tab.cookies())
    tab.open(edge.url("/signup/"))
    sign_up(tab)

    assert tracking() == {"tracking_data": VALUE}
    assert before & OURS == {"track360_js"}
    assert not set(tab.cookies()) & OURS


def test_landing_on_a_cdn_then_request_of_a_single_page_application_makes_the_customer(
    tab: Tab, edge: Site
) -> None:
    """The header carries it."""
    edge.landing()

    tab.open(edge.url(f"/?tracking_data={VALUE}"))

    assert tab.run(JOIN) == 200
    assert tracking() == {"tracking_data": VALUE}
    assert not set(tab.cookies()) & OURS


def test_endpoint_keeps_the_landing_longer_than_the_cookie_of_a_script(tab: Tab, edge: Site) -> None:
    """A browser that dropped the script's cookie still has the server's, and the signup is attributed by it."""
    edge.landing('data-endpoint="/track360/remember/"')

    tab.open(edge.url(f"/?tracking_data={VALUE}"))
    tab.wait_until(lambda: "track360" in tab.cookies())
    tab.run("document.cookie = 'track360_js=;path=/;max-age=0'; 0")
    before = tab.cookies()
    status = tab.run(JOIN)

    assert status == 200
    assert before["track360"]["httpOnly"]
    assert set(before) & OURS == {"track360"}
    assert tracking() == {"tracking_data": VALUE}


def test_pages_and_application_on_sub_domains_share_the_landing(
    tab: Tab, cdn: Site, live_server: LiveServer, settings: HostSettings
) -> None:
    """The script's cookie and the endpoint work from one host name of the brand to another, which trusts it."""
    settings.ALLOWED_HOSTS = ["app.brand.test"]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.CSRF_TRUSTED_ORIGINS = [cdn.url("", "www.brand.test")]
    configure(settings, COOKIE_DOMAIN="brand.test")
    app = live_server.url.replace("127.0.0.1", "app.brand.test").replace("localhost", "app.brand.test")
    cdn.landing(f'data-domain="brand.test" data-endpoint="{app}/track360/remember/"')

    tab.open(cdn.url(f"/?tracking_data={VALUE}", "www.brand.test"))
    tab.wait_until(lambda: "track360" in tab.cookies())
    before = set(tab.cookies())
    tab.open(f"{app}/signup/")
    sign_up(tab)

    assert tracking() == {"tracking_data": VALUE}
    assert before & OURS == OURS
    assert not set(tab.cookies()) & OURS


def test_page_of_somebody_else_can_not_make_a_browser_remember(tab: Tab, stranger: Site, edge: Site) -> None:
    """A form and a fetch of another site that send a value to the endpoint are refused, and leave no trace."""
    target = edge.url("/track360/remember/")
    stranger.pages["/"] = (
        f'<form method="post" action="{target}"><input name="tracking_data" value="planted"></form>'
    )

    tab.open(stranger.url("/", "stranger.test"))
    tab.run(
        f"fetch('{target}', {{method: 'POST', mode: 'no-cors', credentials: 'include',"
        " body: new URLSearchParams({tracking_data: 'planted'})}).then(() => 0, () => 0)"
    )
    tab.go("document.forms[0].submit()")

    # What a browser shows for a refusal without content differs from browser to browser: what it asked does not.
    assert [(each.path, each.form) for each in edge.posts()] == [
        ("/track360/remember/", {"tracking_data": "planted"})
    ] * 2
    assert edge.answered == [403, 403]
    assert not set(tab.cookies()) & OURS


def may_remember(request: HttpRequest) -> bool:
    """Tell whether the visitor has agreed."""
    return request.COOKIES.get("consent") == "yes"


def test_without_consent_nothing_is_stored_and_the_signup_is_attributed(
    tab: Tab, edge: Site, settings: HostSettings
) -> None:
    """The value rides along from the landing to the signup on the same page, and is in no cookie."""
    configure(settings, CONSENT=may_remember)
    edge.landing('data-consent="required" data-endpoint="/track360/remember/"')

    tab.open(edge.url(f"/?tracking_data={VALUE}"))
    before = set(tab.cookies())
    status = tab.run(JOIN)

    assert status == 200
    assert tracking() == {"tracking_data": VALUE}
    assert not (before | set(tab.cookies())) & OURS


def test_after_consent_it_is_kept_and_after_withdrawal_it_is_gone(
    tab: Tab, edge: Site, settings: HostSettings
) -> None:
    """Script and server keep it from the consent on, and neither after the withdrawal."""
    configure(settings, CONSENT=may_remember)
    edge.landing('data-consent="required" data-endpoint="/track360/remember/"')

    tab.open(edge.url(f"/?tracking_data={VALUE}"))
    tab.run("document.cookie = 'consent=yes;path=/'; track360.consent(true)")
    tab.wait_until(lambda: "track360" in tab.cookies())
    kept = set(tab.cookies()) & OURS
    tab.run("track360.consent(false)")
    tab.wait_until(lambda: not set(tab.cookies()) & OURS)

    assert kept == OURS
    assert tab.run(JOIN) == 200
    assert tracking() == {}


def test_customers_later_click_changes_nothing(tab: Tab, edge: Site) -> None:
    """Who has signed up stays with whoever brought them, also when a page of the CDN sees another link."""
    edge.landing()
    tab.open(edge.url(f"/?tracking_data={VALUE}"))
    tab.open(edge.url("/signup/"))
    sign_up(tab)

    tab.open(edge.url("/?tracking_data=another"))
    tab.open(edge.url("/cashier/deposits/"))
    tab.run("document.querySelector('main [name=amount]').value = '5.00'")
    tab.go("document.querySelector('main form button').click()")

    assert Deposit.objects.exists()
    assert tracking() == {"tracking_data": VALUE}
