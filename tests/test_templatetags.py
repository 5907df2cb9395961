"""The hidden field of a form without cookies: who gets one, and who never gets somebody else's."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.cache import cache
from django.template import Context, Engine
from django.test import AsyncClient, Client, RequestFactory
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from track360_django.models import Customer
from track360_django.templatetags.track360 import hidden_inputs

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.host.urls")]

TRACKING = "track360_django.middleware.TrackingMiddleware"
FIELD = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


@pytest.fixture(autouse=True)
def cache_is_empty() -> None:
    """Forget the pages that other tests have cached."""
    cache.clear()


def fields_of(answer: Any) -> dict[str, str]:
    """Return the hidden fields of a page."""
    return {name: html.unescape(value) for name, value in FIELD.findall(answer.content.decode())}


def test_form_holds_what_the_signup_will_be_credited_to(client: Client) -> None:
    """The value of the landing and its time are in the form, and nothing but hidden fields."""
    client.get("/host/page/?tracking_data=2001_1000_abc")

    answer = client.get("/host/form/")

    assert fields_of(answer)["tracking_data"] == "2001_1000_abc"
    assert set(fields_of(answer)) == {"tracking_data", "t360_at"}
    assert FIELD.sub("", answer.content.decode()) == "<form></form>"


def test_form_that_is_sent_from_a_browser_without_cookies_is_attributed(client: Client) -> None:
    """The fields alone attribute the signup."""
    client.get("/host/page/?tracking_data=2001_1000_abc")
    fields = fields_of(client.get("/host/form/"))

    Client().post("/host/join/", {"username": "alex", **fields})

    user = User.objects.get(username="alex")
    assert Customer.objects.get(user_pk=str(user.pk)).tracking == {"tracking_data": "2001_1000_abc"}


@pytest.mark.parametrize(
    ("path", "keeps_token", "status"),
    [("/host/join/", True, 200), ("/host/join/", False, 403), ("/host/api/join/", False, 200)],
    ids=["token-is-kept", "all-is-lost", "view-is-exempt"],
)
def test_form_without_our_cookie_is_attributed_where_django_takes_it(
    client: Client,
    path: str,
    keeps_token: bool,  # noqa: FBT001  a parameter
    status: int,
) -> None:
    """Who has lost our cookie alone is attributed; who has lost Django's as well needs a view that is exempt."""
    client.get("/host/page/?tracking_data=2001_1000_abc")
    fields = fields_of(client.get("/host/form/"))
    browser = Client(enforce_csrf_checks=True)
    token = browser.get("/signup/").cookies["csrftoken"].value
    if not keeps_token:
        browser.cookies.clear()

    answer = browser.post(path, {"username": "alex", "csrfmiddlewaretoken": token, **fields})

    assert answer.status_code == status
    assert [customer.tracking for customer in Customer.objects.all()] == (
        [{"tracking_data": "2001_1000_abc"}] if status == 200 else []
    )


@pytest.mark.parametrize(("attribution", "value"), [("first", "a"), ("last", "b")])
def test_form_holds_the_touch_that_is_credited(
    client: Client, settings: HostSettings, attribution: str, value: str
) -> None:
    """The first touch, or the last."""
    configure(settings, ATTRIBUTION=attribution)
    for each in ("a", "b"):
        client.get(f"/host/page/?tracking_data={each}")

    assert fields_of(client.get("/host/form/"))["tracking_data"] == value


def test_form_of_the_landing_page_itself_holds_its_value(client: Client) -> None:
    """A visitor who lands on the very form needs no cookie."""
    assert fields_of(client.get("/host/form/?tracking_data=a"))["tracking_data"] == "a"


@pytest.mark.parametrize("is_escaping", [True, False], ids=["autoescape", "plain-text"])
def test_value_is_escaped_whatever_the_engine(client: Client, is_escaping: bool) -> None:  # noqa: FBT001  a parameter
    """A value can't leave its attribute, also in a template that escapes nothing else."""
    client.get("/host/page/?tracking_data=%22%3E%3Cscript%3E%27%26")
    request = client.get("/host/page/").wsgi_request
    engine = Engine(libraries={"track360": "track360_django.templatetags.track360"}, autoescape=is_escaping)

    shown = engine.from_string("{% load track360 %}{% track360_field %}").render(
        Context({"request": request})
    )

    assert '<input type="hidden" name="tracking_data" value="&quot;&gt;&lt;script&gt;&#x27;&amp;">' in shown


def test_function_for_other_template_languages_is_the_same(client: Client) -> None:
    """Jinja2 takes the text as safe, by the way that all of them agree on."""
    client.get("/host/page/?tracking_data=a")

    shown = hidden_inputs(client.get("/host/page/").wsgi_request)

    assert '<input type="hidden" name="tracking_data" value="a">' in shown.__html__()


@pytest.mark.parametrize("request_", [None, object(), RequestFactory().get("/?tracking_data=a")])
def test_template_without_our_request_shows_nothing(request_: Any) -> None:
    """A mail, a page without the middleware: no field and no error."""
    engine = Engine(libraries={"track360": "track360_django.templatetags.track360"})
    template = engine.from_string("{% load track360 %}<{% track360_field %}>")

    assert template.render(Context({"request": request_})) == "<>"
    assert template.render(Context({})) == "<>"


def test_switched_off_package_shows_nothing(client: Client, settings: HostSettings) -> None:
    """`ENABLED = False` is complete, also for who was remembered before."""
    client.get("/host/page/?tracking_data=a")
    configure(settings, ENABLED=False)

    assert client.get("/host/form/").content == b"<form></form>"


def test_visitor_whom_nobody_sent_gets_a_form_without_fields(client: Client) -> None:
    """Nothing is shown to who has nothing."""
    assert client.get("/host/form/").content == b"<form></form>"


def test_session_store_that_is_down_costs_the_field_and_not_the_page(
    client: Client, settings: HostSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """The page is served, and the log says what it goes without."""
    settings.SESSION_ENGINE = "tests.host.sessions"
    client.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32

    assert client.get("/host/form/").content == b"<form></form>"
    assert "hidden field" in caplog.text


def test_async_page_with_a_session_in_the_database_is_served(settings: HostSettings) -> None:
    """A template that is rendered on the event loop blocks nothing and breaks nothing; the cookie is read all the same."""
    browser = AsyncClient()
    async_to_sync(browser.get)("/host/page/?tracking_data=a")
    with_cookie = async_to_sync(browser.get)("/host/async-form/")
    configure(settings, STORAGE=("session",))

    with_session = async_to_sync(browser.get)("/host/async-form/")

    assert fields_of(with_cookie)["tracking_data"] == "a"
    assert with_session.status_code == 200


# A page that shows a visitor's value is kept by no cache.


@pytest.mark.parametrize("storage", ["session", "cookie"])
@pytest.mark.parametrize("cached_by", ["cache_page", "middlewares"])
def test_cached_form_never_shows_somebody_elses_value(
    settings: HostSettings, cached_by: str, storage: str
) -> None:
    """The form of a visitor with a value is stored for nobody; that of visitors without one may be."""
    path = "/host/cached-form/" if cached_by == "cache_page" else "/host/form/"
    configure(settings, STORAGE=(storage,))
    if cached_by == "middlewares":
        ours = [*settings.MIDDLEWARE]
        update, fetch = (f"django.middleware.cache.{name}CacheMiddleware" for name in ("Update", "FetchFrom"))
        settings.MIDDLEWARE = [update, *ours, fetch]
    attributed, other, nobody = Client(), Client(), Client()
    attributed.get("/host/page/?tracking_data=a")
    other.get("/host/page/?tracking_data=b")

    found = [
        fields_of(each.get(path)).get("tracking_data") for each in (attributed, other, nobody, attributed)
    ]

    assert found[:3] == ["a", "b", None]
    # Who comes after somebody without a value may get the form without one: never a wrong one.
    assert found[3] in {"a", None}


def test_shared_cache_is_told_that_the_form_is_the_visitors_own(client: Client) -> None:
    """A CDN in front may not hand it to somebody else."""
    client.get("/host/page/?tracking_data=a")

    answer = client.get("/host/form/")

    assert "Cookie" in answer["Vary"]
