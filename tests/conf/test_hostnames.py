"""Host names: which brand's a request is for, whatever a stranger sends as its Host header."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.http import HttpRequest
from django.test import Client, RequestFactory
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from track360_django import attribution, conf
from track360_django.conf import BrandError, hostnames
from track360_django.exceptions import PayloadError
from track360_django.models import Customer

RED = {"HOSTS": ["red.example", ".red-games.example"], "BRAND_TOKEN": "red"}
BLUE = {"HOSTS": [".blue.example", "Play.Red-Games.example."], "BRAND_TOKEN": "blue"}


@pytest.fixture
def two_hosts(settings: HostSettings) -> None:
    """Configure two brands with hosts of their own; Django lets every host name through."""
    settings.ALLOWED_HOSTS = ["*"]
    configure(settings, BRANDS={"red": RED, "blue": BLUE})


def asking(host: str) -> HttpRequest:
    """Return a request for a host."""
    return RequestFactory().get("/", headers={"host": host})


@pytest.mark.usefixtures("two_hosts")
@pytest.mark.parametrize(
    ("host", "brand"),
    [
        ("red.example", "red"),
        ("RED.Example:8443", "red"),
        ("red.example.", "red"),
        ("red-games.example", "red"),
        ("www.red-games.example", "red"),
        # The exact entry wins over the domain that it is below, whatever the order of the brands.
        ("play.red-games.example", "blue"),
        ("deep.play.red-games.example", "red"),
        ("blue.example", "blue"),
        ("a.b.blue.example", "blue"),
        ("www.red.example", None),
        ("notblue.example", None),
        ("blue.example.evil.example", None),
        ("other.example", None),
        ("127.0.0.1:8000", None),
        ("[::1]:8000", None),
        ("red.example:port", None),
        ("red.example/blue.example", None),
        ("red.example blue.example", None),
        ("@red.example", None),
        ("", None),
        (".", None),
        ("\x00", None),
        ("x" * 5000, None),
    ],
)
def test_host_tells_the_brand(host: str, brand: str | None) -> None:
    """A host is the brand's that lists it, without port, case and last dot; a bad or unknown one is nobody's."""
    assert conf.find_brand(asking(host)) == brand


@pytest.mark.usefixtures("two_hosts")
def test_forged_host_is_nobodys(settings: HostSettings) -> None:
    """A name that Django refuses raises nothing, though a brand lists it."""
    settings.ALLOWED_HOSTS = ["blue.example"]

    assert conf.find_brand(asking("red.example")) is None
    assert conf.find_brand(asking("blue.example")) == "blue"


@pytest.mark.usefixtures("two_hosts")
@pytest.mark.parametrize(
    "request_", [HttpRequest(), object(), "red.example", 5], ids=["request", "object", "text", "number"]
)
def test_request_without_a_host_is_nobodys(request_: object) -> None:
    """What has no host, or is no request at all, raises nothing."""
    assert conf.find_brand(request_) is None


@pytest.mark.usefixtures("two_hosts")
def test_forwarded_host_counts_where_the_host_trusts_it(settings: HostSettings) -> None:
    """Django's own USE_X_FORWARDED_HOST decides whose word counts."""
    request = RequestFactory().get("/", headers={"host": "red.example", "x-forwarded-host": "blue.example"})

    assert conf.find_brand(request) == "red"
    settings.USE_X_FORWARDED_HOST = True
    assert conf.find_brand(request) == "blue"


@pytest.mark.parametrize(
    ("host", "brand"),
    [
        ("red.localhost:8000", "red"),
        ("localhost:8000", "red"),
        ("127.0.0.1:8000", "red"),
        ("blue.localhost:8000", "blue"),
        ("green.localhost:8000", None),
    ],
)
def test_names_below_localhost_are_brands_in_development(
    settings: HostSettings, host: str, brand: str | None
) -> None:
    """As the how-to says: Django takes them while DEBUG is on and ALLOWED_HOSTS is empty."""
    settings.DEBUG, settings.ALLOWED_HOSTS = True, []
    red = {"HOSTS": [".red.example", "red.localhost", "localhost", "127.0.0.1"]}
    configure(settings, BRANDS={"red": red, "blue": {"HOSTS": [".blue.example", "blue.localhost"]}})

    assert conf.find_brand(asking(host)) == brand


def test_star_takes_what_nobody_else_has(settings: HostSettings) -> None:
    """A host that wants a brand for all other names says so."""
    settings.ALLOWED_HOSTS = ["*"]
    configure(settings, BRANDS={"red": {"HOSTS": ["*"]}, "blue": {"HOSTS": [".example"]}})

    assert conf.find_brand(asking("blue.example")) == "blue"
    assert conf.find_brand(asking("elsewhere.test")) == "red"


@pytest.mark.parametrize(
    ("configured", "kind"),
    [
        ({}, None),
        ({"BRANDS": {"red": {}, "blue": {}}}, None),
        ({"BRANDS": {"red": {}, "blue": BLUE}}, "host"),
        ({"BRANDS": {"red": {}, "blue": BLUE}, "BRAND_RESOLVER": "site"}, "site"),
        ({"BRANDS": {"red": RED, "blue": BLUE}, "BRAND_RESOLVER": len}, len),
        ({"BRANDS": {"red": RED, "blue": BLUE}, "BRAND_RESOLVER": "builtins.len"}, len),
    ],
)
def test_hosts_are_enough_to_resolve_by_host(
    settings: HostSettings, configured: dict[str, Any], kind: object
) -> None:
    """Where brands have hosts, and nothing else is said, the request's host tells the brand."""
    settings.TRACK360 = configured

    assert conf.resolver() == kind


@pytest.mark.usefixtures("two_hosts")
@pytest.mark.parametrize("request_", [None, asking("other.example")], ids=["no-request", "other-host"])
def test_brand_is_not_guessed_by_host(request_: HttpRequest | None) -> None:
    """Whose customers the visitors of an unknown host are is an error that says what to do, and no first brand."""
    with pytest.raises(BrandError, match=r"HOSTS.*brand=") as caught:
        conf.brand_of(request_)

    assert (caught.value.reason, caught.value.field) == ("no_brand", "brand")
    assert isinstance(caught.value, PayloadError)
    assert isinstance(caught.value, ImproperlyConfigured)


def test_only_brand_is_everybodys(settings: HostSettings) -> None:
    """With one brand nothing is resolved, so nothing can go wrong."""
    configure(settings, BRANDS={"red": RED}, BRAND_RESOLVER=lambda _request: 1 / 0)

    assert conf.find_brand(asking("other.example")) == "red"
    assert conf.brand_of(None) == "red"


# A function.


def fail(request: object) -> str:
    """Fail as a bug of the host does, with what nobody may see in its words."""
    message = "secret@example.com"
    raise RuntimeError(message)


@pytest.mark.parametrize(
    "resolver",
    [fail, "no.such.module", "nothing", lambda _request: "gamma", lambda _request: []],
    ids=["raises", "no-module", "no-path", "other-brand", "no-text"],
)
def test_broken_resolver_names_nobody(
    settings: HostSettings, resolver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A resolver that raises, is not there, or names an unknown brand is told of, and raises only where asked to."""
    configure(settings, BRANDS={"red": {}, "blue": {}}, BRAND_RESOLVER=resolver)

    assert conf.find_brand(asking("red.example")) is None
    assert "could not find the brand of a request" in caplog.text
    with pytest.raises(BrandError):
        conf.brand_of(asking("red.example"))
    assert "secret" not in caplog.text


def test_function_that_names_none_means_the_first_for_a_request_only(settings: HostSettings) -> None:
    """None is the first brand where there is a request to judge; without one nothing is guessed."""
    configure(settings, BRANDS={"red": {}, "blue": {}}, BRAND_RESOLVER=lambda _request: None)

    assert conf.find_brand(asking("red.example")) == "red"
    assert conf.find_brand(None) is None
    assert conf.brand_of(asking("red.example")) == "red"
    with pytest.raises(BrandError, match=r"outside of a request.*brand=") as caught:
        conf.brand_of(None)
    assert caught.value.reason == "no_brand"


@pytest.mark.django_db
def test_broken_query_of_a_resolver_ruins_no_transaction(settings: HostSettings) -> None:
    """A resolver whose query fails names nobody, and what the host has written and asks next goes on."""

    def resolve(_request: object) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")
        return "red"

    configure(settings, BRANDS={"red": {}, "blue": {}}, BRAND_RESOLVER=resolve)

    with transaction.atomic():
        User.objects.create(username="alex")
        assert attribution.Touches(asking("red.example")).last is None
        assert conf.find_brand(asking("red.example")) is None
        assert User.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "resolver",
    [fail, lambda _request: "gamma", "host", "site", "no.such.module"],
    ids=["raises", "other-brand", "host", "site", "no-module"],
)
def test_resolver_that_tells_nothing_breaks_no_page(
    settings: HostSettings, resolver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Landing and signup answer as ever; who signs up where no brand is known is logged, and written down nowhere."""
    settings.ROOT_URLCONF = "tests.host.urls"
    configure(settings, BRANDS={"red": RED, "blue": BLUE}, BRAND_RESOLVER=resolver)
    client = Client()

    assert client.get("/host/page/?tracking_data=2001_1000_abcdefg").status_code == 200
    assert client.post("/host/join/", {"username": "alex"}).content == b"welcome"

    assert "was not written down" in caplog.text
    assert not Customer.objects.exists()


# Django's sites.


@pytest.fixture
def sites(two_hosts: None, db: None, settings: HostSettings) -> Iterator[None]:
    """Let Django's current site tell the brand."""
    configure(settings, BRAND_RESOLVER="site")
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, hostnames.SITES]
    from django.contrib.sites.models import Site

    with connection.cursor() as cursor:
        # The table of the app, which the other tests do without.
        cursor.execute(
            "CREATE TABLE django_site (id integer PRIMARY KEY, domain varchar(100), name varchar(50))"
        )
    Site.objects.clear_cache()
    Site.objects.create(pk=7, domain="Blue.example:8000", name="blue")
    Site.objects.create(pk=8, domain="unknown.example", name="unknown")
    yield
    # The admin found the app's pages when it was installed, and forgets nothing by itself.
    if admin.site.is_registered(Site):
        admin.site.unregister(Site)


@pytest.mark.usefixtures("sites")
def test_site_of_the_settings_tells_the_brand_without_a_request(settings: HostSettings) -> None:
    """SITE_ID names the brand of a process, and a request's host doesn't change it."""
    settings.SITE_ID = 7

    assert conf.find_brand(None) == "blue"
    assert conf.brand_of(asking("red.example")) == "blue"


@pytest.mark.usefixtures("sites")
def test_site_of_the_request_tells_the_brand() -> None:
    """Without SITE_ID it is the site of the request's host."""
    assert conf.find_brand(asking("blue.example:8000")) == "blue"
    assert conf.find_brand(asking("red.example")) is None
    assert conf.find_brand(None) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("two_hosts")
def test_site_is_known_in_async_code(settings: HostSettings) -> None:
    """Where no database may be asked the site is found all the same, and known from then on."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, hostnames.SITES]
    configure(settings, BRAND_RESOLVER="site")
    settings.SITE_ID = 7
    from django.contrib.sites.models import Site

    Site.objects.clear_cache()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE django_site (id integer PRIMARY KEY, domain varchar(100), name varchar(50))"
        )
        cursor.execute("INSERT INTO django_site VALUES (7, 'blue.example', 'blue')")

    async def ask() -> str | None:
        return conf.find_brand(None)

    try:
        assert asyncio.run(ask()) == "blue"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE django_site")


@pytest.mark.usefixtures("sites")
@pytest.mark.parametrize("pk", [8, 99], ids=["of-no-brand", "gone"])
def test_site_of_no_brand_is_nobodys(settings: HostSettings, pk: int) -> None:
    """A site that no brand lists, or that is not there, is nobody's."""
    settings.SITE_ID = pk

    assert conf.find_brand(asking("blue.example")) is None


def test_site_without_the_app_is_nobodys() -> None:
    """Where the app is not installed there is no site; a check says so."""
    assert hostnames.site_of(asking("blue.example")) == ""


# Entries.


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("example.com", True),
        (".example.com", True),
        ("EXAMPLE.com.", True),
        ("xn--bcher-kva.example", True),
        ("my_host", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("*", True),
        ("", False),
        (".", False),
        ("*.example.com", False),
        ("https://example.com", False),
        ("example.com:8000", False),
        ("example.com/", False),
        ("bücher.example", False),
        ("exa mple.com", False),
        ("example..com", False),
        ("-x.example", False),
    ],
)
def test_entry_is_a_host_name(entry: str, expected: object) -> None:
    """What can be nobody's host name is told from what can."""
    assert hostnames.is_entry(entry) is expected
