"""Cookies that lie in browsers from before a setting was changed: they credit no one, and are erased where they lie."""

from __future__ import annotations

import time
from datetime import timedelta
from http.cookies import Morsel
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.utils import timezone
from pytest_django import Settings as HostSettings

from track360_django import attribution
from track360_django.models import Customer

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.host.urls")]

CHANGES = {
    "domain": ({"COOKIE_DOMAIN": None}, {"COOKIE_DOMAIN": ".brand.example"}),
    "domain taken back": ({"COOKIE_DOMAIN": ".brand.example"}, {"COOKIE_DOMAIN": None}),
    "other domain": ({"COOKIE_DOMAIN": ".brand.example"}, {"COOKIE_DOMAIN": ".www.brand.example"}),
    "path": ({"COOKIE_PATH": "/"}, {"COOKIE_PATH": "/host/"}),
    "path taken back": ({"COOKIE_PATH": "/host/"}, {"COOKIE_PATH": "/"}),
    "name": ({"COOKIE_NAME": "track360"}, {"COOKIE_NAME": "landing"}),
    "name and path": (
        {"COOKIE_NAME": "a", "COOKIE_PATH": "/host/"},
        {"COOKIE_NAME": "b", "COOKIE_PATH": "/"},
    ),
}


class Jar:
    """
    A browser's cookies by RFC 6265: told apart by name, domain and path.

    They are sent with the longest path first, then the oldest; one whose path does not fit is not sent.
    """

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str], str] = {}

    def get(self, path: str) -> Any:
        """Open a page."""
        return self._keep(Client(headers=self._headers(path)).get(path))

    def sign_up(self) -> Customer:
        """Sign up, and return the customer."""
        path = "/host/join/"
        form = {"username": f"player-{User.objects.count()}"}
        self._keep(Client(headers=self._headers(path)).post(path, form))
        return Customer.objects.latest("pk")

    def names(self) -> list[str]:
        """Return the names of all cookies that lie in the browser, but for the session's."""
        return [name for name, _, _ in self.kept if name != "sessionid"]

    def _headers(self, path: str) -> dict[str, str]:
        sent = [key for key in self.kept if path.startswith(key[2])]
        sent.sort(key=lambda key: -len(key[2]))
        return {"Cookie": "; ".join(f"{key[0]}={self.kept[key]}" for key in sent)} if sent else {}

    def _keep(self, answer: Any) -> Any:
        morsels: list[Morsel[str]] = list(answer.cookies.values())
        for morsel in morsels:
            key = (morsel.key, morsel["domain"].lstrip("."), morsel["path"])
            if morsel["max-age"] == 0:
                self.kept.pop(key, None)
            else:
                self.kept[key] = morsel.coded_value
        return answer


def configure(settings: HostSettings, **changes: Any) -> None:
    """Change some of the host's `TRACK360`; without a session, so that the cookie alone remembers."""
    settings.TRACK360 = {**settings.TRACK360, "STORAGE": ("cookie",), **changes}


def tracked(customer: Customer) -> str | None:
    """Return the value that a customer is credited with."""
    found: str | None = customer.tracking.get("tracking_data")
    return found


@pytest.mark.parametrize(("before", "after"), CHANGES.values(), ids=CHANGES)
def test_cookie_of_former_settings_credits_no_one(
    before: dict[str, Any], after: dict[str, Any], settings: HostSettings
) -> None:
    """The link that was followed last, under today's settings, counts; the next visitor there came by none."""
    browser = Jar()
    configure(settings, **before)
    browser.get("/host/page/?tracking_data=former")
    assert len(browser.names()) == 1
    configure(settings, **after)

    browser.get("/host/page/?tracking_data=today")
    after_landing = browser.names()
    first, second = browser.sign_up(), browser.sign_up()

    assert len(after_landing) == 1
    assert tracked(first) == "today"
    assert tracked(second) is None
    assert browser.names() == []


@pytest.mark.parametrize(("before", "after"), CHANGES.values(), ids=CHANGES)
def test_cookie_of_former_settings_alone_credits_no_one_and_is_erased_by_the_signup(
    before: dict[str, Any], after: dict[str, Any], settings: HostSettings
) -> None:
    """What was remembered under other settings is not found; a signup with today's landing clears the browser."""
    browser = Jar()
    configure(settings, **before)
    browser.get("/host/page/?tracking_data=former")
    configure(settings, **after)

    customer = browser.sign_up()

    assert tracked(customer) is None
    assert browser.names() == []


def test_changed_samesite_replaces_the_cookie(settings: HostSettings) -> None:
    """The same cookie under another SameSite is a former one: it credits no one, and the next landing writes it anew."""
    browser = Jar()
    configure(settings)
    browser.get("/host/page/?tracking_data=former")
    configure(settings, COOKIE_SAMESITE="Strict")

    assert tracked(browser.sign_up()) is None
    browser.get("/host/page/?tracking_data=today")

    assert browser.names() == ["track360"]
    assert tracked(browser.sign_up()) == "today"


def test_usual_cookie_says_nothing_of_where_it_is(settings: HostSettings) -> None:
    """It goes along with each request: only unusual settings make it longer."""
    configure(settings)
    answer = Jar().get("/host/page/?tracking_data=a")
    usual = signing.loads(answer.cookies["track360"].value, salt=attribution.SALT)
    configure(settings, COOKIE_DOMAIN=".brand.example")
    answer = Jar().get("/host/page/?tracking_data=a")
    unusual = signing.loads(answer.cookies["track360"].value, salt=attribution.SALT)

    assert usual.keys() == {"first", "last"}
    assert unusual["place"] == [".brand.example", "/", "Lax"]


@pytest.mark.parametrize("order", [1, -1], ids=["newest-first", "newest-last"])
def test_newest_of_two_valid_cookies_counts(order: int, settings: HostSettings) -> None:
    """A browser may send two cookies under one name and place (a proxy, an app): the newest touch counts."""
    configure(settings)
    now = int(time.time())
    values = [
        signing.dumps(
            {name: {"at": now - age, "params": {"tracking_data": value}} for name in ("first", "last")},
            salt=attribution.SALT,
            compress=True,
        )
        for value, age in (("newest", 60), ("older", 3600))
    ][::order]
    cookies = "; ".join(f"track360={value}" for value in values)

    Client(headers={"Cookie": cookies}).post("/host/join/", {"username": "alex"})

    assert tracked(Customer.objects.get()) == "newest"


@pytest.mark.parametrize(
    "place",
    [5, "x", [], ["a"], ["a", "b", 3], [None, None, None], {"a": 1}],
    ids=str,
)
def test_signed_state_with_a_damaged_place_is_a_usual_one(place: object, settings: HostSettings) -> None:
    """What an older version or a hand signed breaks no page."""
    configure(settings)
    at = int((timezone.now() - timedelta(minutes=1)).timestamp())
    value = signing.dumps(
        {"last": {"at": at, "params": {"tracking_data": "a"}}, "place": place},
        salt=attribution.SALT,
        compress=True,
    )

    Client(headers={"Cookie": f"track360={value}"}).post("/host/join/", {"username": "alex"})

    assert tracked(Customer.objects.get()) == "a"


def test_foreign_cookies_are_left_alone(settings: HostSettings) -> None:
    """A cookie of the host's that looks signed, and one of another purpose of ours, are not erased."""
    configure(settings)
    foreign = signing.dumps({"last": {}}, salt="of the host")
    carried = signing.dumps({"last": {}}, salt=f"{attribution.SALT}.carry")
    cookies = f"cart={foreign}; other={carried}; broken=a:b:c; =; ;;"

    answer = Client(headers={"Cookie": cookies}).get("/host/page/?tracking_data=a")

    assert {morsel.key for morsel in answer.cookies.values()} == {"track360"}
