"""Landings of a host with several brands: each has its own parameters, storage, consent and cookie."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from pytest_django import Settings as HostSettings

from track360_django import attribution
from track360_django.models import Customer

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.host.urls")]

RED, BLUE = {"host": "red.example"}, {"host": "blue.example"}


@pytest.fixture(autouse=True)
def _two_brands(settings: HostSettings) -> None:
    """Configure a strict brand and a generous one."""
    settings.ALLOWED_HOSTS = [".example", "testserver"]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.TRACK360 = {
        **settings.TRACK360,
        "BRANDS": {
            "red": {
                "HOSTS": [".red.example"],
                "TRACKING_PARAMS": ["tracking_data"],
                "CONSENT": lambda request: "agreed" in request.COOKIES,
                "STORAGE": ["cookie"],
                "PROMO_CODES": {"SUMMER": "red-summer"},
            },
            "blue": {
                "HOSTS": [".blue.example"],
                "TRACKING_PARAMS": ["btag"],
                "ATTRIBUTION": "first",
                "ATTRIBUTION_WINDOW_DAYS": 7,
                "COOKIE_DOMAIN": ".blue.example",
            },
        },
    }


def join(client: Client, username: str, **form: str) -> Customer:
    """Sign up, and return the customer."""
    assert client.post("/host/join/", {"username": username, **form}).status_code == 200
    return Customer.objects.latest("pk")


def test_each_brand_captures_its_own_parameters() -> None:
    """A parameter of one brand is nothing on a page of another."""
    red, blue = Client(headers=RED), Client(headers=BLUE)
    for client in (red, blue):
        client.cookies["agreed"] = "yes"
        client.get("/host/page/?tracking_data=for-red&btag=for-blue")

    assert join(red, "alex").tracking == {"tracking_data": "for-red"}
    assert join(blue, "bo").tracking == {"btag": "for-blue"}


def test_each_brand_has_its_own_policies() -> None:
    """Storage, consent, window and the domain of the cookie are the brand's."""
    red, blue = Client(headers=RED), Client(headers=BLUE)

    refused = red.get("/host/page/?tracking_data=a")
    red.cookies["agreed"] = "yes"
    kept = red.get("/host/page/?tracking_data=a")
    first = blue.get("/host/page/?btag=a")
    blue.get("/host/page/?btag=b")

    assert not refused.cookies
    (cookie,) = kept.cookies.values()
    assert (cookie["max-age"], cookie["domain"]) == (30 * 24 * 3600, "")
    (ours,) = [each for name, each in first.cookies.items() if name.startswith("track360")]
    assert (ours["max-age"], ours["domain"]) == (7 * 24 * 3600, ".blue.example")
    assert join(blue, "bo").tracking == {"btag": "a"}


def test_promo_codes_are_the_brands() -> None:
    """What is a promo code of one brand is a field of the host's own at another."""
    red, blue = Client(headers=RED), Client(headers=BLUE)

    assert join(red, "alex", promo_code="summer").tracking == {"tracking_data": "red-summer"}
    assert join(blue, "bo", promo_code="summer").unattributed_reason == "no_parameter"


@pytest.mark.parametrize("storage", [["cookie"], ["session"]], ids=["cookie", "session"])
def test_one_browser_keeps_brands_apart(settings: HostSettings, storage: list[str]) -> None:
    """Two brands at one host share a browser, and neither displaces or claims the other's visitor."""
    settings.TRACK360 = {
        **settings.TRACK360,
        "BRAND_RESOLVER": lambda request: request and request.headers.get("X-Brand"),
        "BRANDS": {"red": {"STORAGE": storage}, "blue": {"STORAGE": storage}},
    }
    client = Client()
    for name in ("red", "blue"):
        client.get(f"/host/page/?tracking_data=for-{name}", headers={"X-Brand": name})

    found: dict[str, Any] = {
        name: client.get("/host/touches/", headers={"X-Brand": name}).json()["last"]
        for name in ("red", "blue")
    }
    client.post("/host/join/", {"username": "alex"}, headers={"X-Brand": "red"})

    assert found == {name: {"tracking_data": f"for-{name}"} for name in ("red", "blue")}
    assert client.get("/host/touches/", headers={"X-Brand": "red"}).json()["last"] is None
    assert client.get("/host/touches/", headers={"X-Brand": "blue"}).json()["last"] is not None


def test_what_one_brand_signed_is_nothing_to_another(settings: HostSettings) -> None:
    """Neither a cookie nor a carry token of one brand is believed by another."""
    settings.TRACK360 = {
        **settings.TRACK360,
        "BRANDS": {
            "red": {"HOSTS": ["red.example"], "COOKIE_NAME": "track360"},
            "blue": {"HOSTS": ["blue.example"], "COOKIE_NAME": "track360"},
        },
    }
    red, blue = Client(headers=RED), Client(headers=BLUE)
    red.get("/host/page/?tracking_data=for-red")
    token = red.get("/host/carry/").content.decode()

    blue.cookies["track360"] = red.cookies["track360"].value
    found = blue.get("/host/touches/").json()["last"]
    blue.get(f"/host/page/?{attribution.CARRY_PARAM}={token}")

    assert token
    assert found is None
    assert blue.get("/host/touches/").json()["last"] is None
    assert join(blue, "bo").unattributed_reason == "refused_forged"


def test_brand_default_keeps_what_was_remembered_before_there_were_several(settings: HostSettings) -> None:
    """Cookies, sessions and links of the time with one brand are those of the brand "default"."""
    several = settings.TRACK360
    settings.TRACK360 = {name: value for name, value in several.items() if name != "BRANDS"}
    client, other = Client(headers=RED), Client(headers=RED)
    client.get("/host/page/?tracking_data=of-old")
    token = client.get("/host/carry/").content.decode()
    settings.TRACK360 = {
        **several,
        "BRANDS": {"default": {"HOSTS": ["red.example"]}, "blue": {"HOSTS": ["blue.example"]}},
    }

    other.get(f"/host/page/?t360={token}")

    assert join(client, "alex").tracking == {"tracking_data": "of-old"}
    assert join(other, "bo").tracking == {"tracking_data": "of-old"}


class TellTenant:
    """A middleware of the host's own that tells whose the request is."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Note the tenant."""
        request.tenant = "blue"
        return self.get_response(request)


def test_brand_may_be_told_by_a_middleware_behind_ours(settings: HostSettings) -> None:
    """Whose landing it is, is asked when it has been told."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.attribution.test_capture_by_brand.TellTenant"]
    settings.TRACK360 = {
        **settings.TRACK360,
        "BRAND_RESOLVER": lambda request: request.tenant,
        "BRANDS": {"red": {}, "blue": {}},
    }
    client = Client()

    client.get("/host/page/?tracking_data=a")

    customer = join(client, "alex")
    assert (customer.brand, customer.tracking) == ("blue", {"tracking_data": "a"})


@pytest.mark.django_db(transaction=True)
def test_brand_may_be_asked_of_the_database_under_asgi(settings: HostSettings) -> None:
    """A resolver that asks a table loses no landing of an asynchronous server."""
    settings.TRACK360 = {
        **settings.TRACK360,
        "BRAND_RESOLVER": lambda _: "blue" if User.objects.exists() else "red",
        "BRANDS": {"red": {}, "blue": {}},
    }
    User.objects.create(username="somebody")
    visitor = AsyncClient()

    async_to_sync(visitor.get)("/host/async-page/?tracking_data=a")
    async_to_sync(visitor.post)("/host/async-join/", {"username": "alex"})

    customer = Customer.objects.get()
    assert (customer.brand, customer.tracking) == ("blue", {"tracking_data": "a"})


class ReadEarly:
    """A middleware of the host's own that looks at the touches before anybody has told the brand."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Look."""
        assert request.track360.last is None
        return self.get_response(request)


def test_touches_that_were_read_too_early_are_read_again(settings: HostSettings) -> None:
    """What nobody's browser remembers is not the brand's memory, once it is known whose request it is."""
    settings.TRACK360 = {
        **settings.TRACK360,
        "BRAND_RESOLVER": lambda request: request.tenant,
        "BRANDS": {"red": {}, "blue": {}},
    }
    tells = "tests.attribution.test_capture_by_brand.TellTenant"
    plain = settings.MIDDLEWARE
    settings.MIDDLEWARE = [*plain, tells]
    client = Client()
    client.get("/host/page/?tracking_data=a")

    settings.MIDDLEWARE = [*plain, "tests.attribution.test_capture_by_brand.ReadEarly", tells]
    client.handler.load_middleware()

    assert join(client, "alex").tracking == {"tracking_data": "a"}


def test_brand_that_is_off_remembers_nothing(settings: HostSettings) -> None:
    """Neither a landing nor a form leaves anything at a brand that is switched off."""
    brands = settings.TRACK360["BRANDS"]
    off = {**brands["red"], "ENABLED": False, "CONSENT": lambda _: True}
    settings.TRACK360 = {**settings.TRACK360, "BRANDS": {**brands, "red": off}}
    client = Client(headers=RED)

    answers = [
        client.get("/host/page/?tracking_data=a"),
        client.post("/host/agree/", {"tracking_data": "a"}),
    ]

    assert not any(answer.cookies for answer in answers)
