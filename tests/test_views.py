"""The endpoint of the script: whom it listens to, what it never does, and what is remembered afterwards."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.test import AsyncClient, Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from track360_django import views

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.host.urls")]

PATH: Final = "/track360/remember/"
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
OWN: Final = {"Sec-Fetch-Site": "same-origin"}
PAIRS: Final = "tracking_data=2001_1000_abc"

Browser = Client | AsyncClient


@pytest.fixture(params=[Client, AsyncClient], ids=["wsgi", "asgi"])
def browser(request: pytest.FixtureRequest) -> Browser:
    """Return a browser of a visitor nobody has seen, on each kind of server; its requests are checked for CSRF."""
    made: Browser = request.param(raise_request_exception=False, enforce_csrf_checks=True)
    return made


def ask(
    browser: Browser,
    body: str | bytes = PAIRS,
    kind: str = FORM,
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> Any:
    """Send a request to the endpoint."""
    sent = OWN if headers is None else headers
    if isinstance(browser, Client):
        return browser.generic(method, PATH, body, content_type=kind, headers=sent)

    async def send() -> Any:
        return await browser.generic(method, PATH, body, content_type=kind, headers=sent)

    return async_to_sync(send)()


def last_value(browser: Browser) -> str | None:
    """Return the value of the last touch that the browser's next request remembers."""
    path = "/host/async-touches/" if isinstance(browser, AsyncClient) else "/host/touches/"
    get: Any = async_to_sync(browser.get) if isinstance(browser, AsyncClient) else browser.get
    last = get(path).json()["last"]
    return last["tracking_data"] if last else None


# What is remembered.


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, "tracking_data=a+%C3%A9%2B"),
        (f"{FORM};charset=UTF-8", "tracking_data=a+%C3%A9%2B"),
        (JSON, json.dumps({"tracking_data": "a é+"})),
        (JSON, json.dumps({"tracking_data": "a é+", "t360_at": 9_999_999_999, "other": [1]})),
    ],
    ids=["form", "form-with-charset", "json", "json-with-time"],
)
def test_what_a_script_saw_is_remembered_exactly(browser: Browser, kind: str, body: str) -> None:
    """The next request remembers the value, in the signed cookie; the answer has no content and is kept by nobody."""
    answer = ask(browser, body, kind)

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["Cache-Control"].startswith("no-store")
    assert answer.cookies["track360"]["httponly"]
    assert last_value(browser) == "a é+"


def test_older_landing_of_a_script_does_not_displace_a_newer_one(browser: Browser) -> None:
    """The time counts at which the script saw the value."""
    ask(browser, "tracking_data=new&t360_at=2000000000")
    ask(browser, "tracking_data=old&t360_at=1790000000")

    assert last_value(browser) == "new"


@pytest.mark.parametrize(
    "body",
    [
        "x=1",
        "tracking_data=",
        "tracking_data=" + "x" * 51,
        "tracking_data=%00",
        "tracking_data=%ff",
        "&&=&",
        "t360=forged",
    ],
)
def test_value_that_can_not_be_returned_is_not_remembered(browser: Browser, body: str) -> None:
    """The answer is the same as for a good value: it tells a stranger nothing."""
    ask(browser, "tracking_data=good")

    answer = ask(browser, body)

    assert (answer.status_code, answer.content) == (204, b"")
    assert last_value(browser) == "good"


@pytest.mark.parametrize(
    ("method", "body"), [("DELETE", ""), ("POST", "forget=1"), ("POST", "forget=1&tracking_data=b")]
)
def test_withdrawal_is_forgotten_by_cookie_and_session(browser: Browser, method: str, body: str) -> None:
    """After it nothing is remembered, in neither place."""
    ask(browser)
    before = last_value(browser)

    answer = ask(browser, body, method=method)

    assert before == "2001_1000_abc"
    assert answer.status_code == 204
    assert last_value(browser) is None
    assert not [session for session in Session.objects.all() if "track360" in session.get_decoded()]


@pytest.mark.parametrize("consents", [True, False])
def test_consent_is_asked(browser: Browser, settings: HostSettings, consents: bool) -> None:  # noqa: FBT001  a parameter
    """Without it nothing is stored."""
    configure(settings, CONSENT=lambda _: consents)

    answer = ask(browser)

    assert answer.status_code == 204
    assert bool(answer.cookies) is consents
    assert last_value(browser) == ("2001_1000_abc" if consents else None)


def test_switched_off_package_remembers_nothing_by_the_endpoint(
    browser: Browser, settings: HostSettings
) -> None:
    """`ENABLED = False` is complete."""
    configure(settings, ENABLED=False)

    answer = ask(browser)

    assert answer.status_code == 204
    assert not answer.cookies


def test_endpoint_without_the_middleware_does_nothing(browser: Browser, settings: HostSettings) -> None:
    """A host that forgot the middleware gets no error."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "track360" not in name]

    assert ask(browser).status_code == 204


def test_time_may_be_a_number(browser: Browser) -> None:
    """A JSON client says seconds as a number; an old value displaces no newer one, and an expired one is nothing."""
    ask(browser, "tracking_data=today")
    yesterday = int(time.time()) - 24 * 3600

    for at in (yesterday, 1_500_000_000):
        ask(browser, json.dumps({"tracking_data": "older", "t360_at": at}), JSON)

    assert last_value(browser) == "today"


def test_resolver_that_fails_is_no_error_of_the_endpoint(
    browser: Browser, settings: HostSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in the host's function is logged, without a value."""

    def fail(request: HttpRequest | None) -> str:
        message = "a bug of the host"
        raise RuntimeError(message)

    configure(settings, BRANDS={"red": {}, "blue": {}}, BRAND_RESOLVER=fail)

    answer = ask(browser)

    assert answer.status_code == 204
    assert not {"track360", "track360_red", "track360_blue"} & set(answer.cookies)
    assert "RuntimeError" in caplog.text
    assert "2001_1000_abc" not in caplog.text


# Whom it listens to.

HEADERS: Final = {
    "same-origin": ({"Sec-Fetch-Site": "same-origin"}, 204),
    "same-origin-and-origin": ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, 204),
    "same-origin-without-referrer": ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 204),
    "older-browser": ({"Origin": "http://testserver"}, 204),
    "trusted-sub-domain": ({"Sec-Fetch-Site": "same-site", "Origin": "https://www.brand.example"}, 204),
    "trusted-by-a-pattern": ({"Sec-Fetch-Site": "same-site", "Origin": "https://a.pages.example"}, 204),
    "trusted-and-older": ({"Origin": "https://www.brand.example"}, 204),
    "cross-site": ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
    "cross-site-without-origin": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "cross-site-with-our-origin": ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, 403),
    "other-sub-domain": ({"Sec-Fetch-Site": "same-site", "Origin": "https://blog.brand.example"}, 403),
    "other-scheme": ({"Origin": "https://testserver"}, 403),
    "other-port": ({"Origin": "http://testserver:8000"}, 403),
    "looks-alike": ({"Origin": "https://evilpages.example"}, 403),
    "trusted-with-other-scheme": ({"Origin": "http://a.pages.example"}, 403),
    "null": ({"Origin": "null"}, 403),
    "no-origin-at-all": ({"Origin": "http://["}, 403),
    "empty": ({"Origin": ""}, 403),
    "typed-in": ({"Sec-Fetch-Site": "none"}, 403),
    "nonsense": ({"Sec-Fetch-Site": "Same-Origin "}, 403),
    "nothing-and-no-token": ({}, 403),
    "nothing-and-a-wrong-token": ({"X-CSRFToken": "a" * 32}, 403),
}


@pytest.mark.parametrize(("headers", "status"), HEADERS.values(), ids=HEADERS)
def test_only_pages_of_the_host_may_make_a_browser_remember(
    browser: Browser, settings: HostSettings, headers: dict[str, str], status: int
) -> None:
    """Where a request comes from decides; what is refused leaves no trace."""
    settings.CSRF_TRUSTED_ORIGINS = ["https://www.brand.example", "https://*.pages.example"]

    answer = ask(browser, headers=headers)

    assert answer.status_code == status
    assert bool(answer.cookies) is (status == 204)
    assert last_value(browser) == ("2001_1000_abc" if status == 204 else None)


def test_visitors_need_no_login_where_all_other_pages_do(browser: Browser, settings: HostSettings) -> None:
    """Under Django's LoginRequiredMiddleware a visitor whom nobody knows yet is listened to all the same."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]

    answer = ask(browser)

    assert answer.status_code == 204
    assert "track360" in answer.cookies


def test_request_of_an_unknown_host_is_refused(browser: Browser, settings: HostSettings) -> None:
    """A host name that the project does not serve is nobody's origin, also where no middleware looks at it."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "CommonMiddleware" not in name]
    headers = {"Origin": "http://evil.example", "Host": "evil.example"}

    answer = ask(browser, headers=headers)

    assert answer.status_code == 403
    assert not answer.cookies


@pytest.mark.parametrize("is_in_form", [True, False], ids=["field", "header"])
def test_browser_that_sends_neither_header_needs_a_token(client: Client, is_in_form: bool) -> None:  # noqa: FBT001
    """Django's own token opens the endpoint where nothing else tells the origin."""
    browser = Client(enforce_csrf_checks=True)
    token = browser.get(reverse("signup")).cookies["csrftoken"].value
    body = f"{PAIRS}&csrfmiddlewaretoken={token}" if is_in_form else PAIRS

    answer = ask(browser, body, headers={} if is_in_form else {"X-CSRFToken": token})

    assert answer.status_code == 204
    assert last_value(browser) == "2001_1000_abc"


@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=utf-16"], ids=["many-fields", "utf-16"])
def test_form_whose_token_can_not_be_read_is_refused(settings: HostSettings, kind: str) -> None:
    """A body that Django refuses to read holds no token, and is no error."""
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 5
    browser = Client(enforce_csrf_checks=True)
    browser.get(reverse("signup"))

    answer = ask(browser, "&".join([PAIRS] * 6), kind, headers={})

    assert (answer.status_code, answer.content) == (403, b"")
    assert last_value(browser) is None


# What a stranger can send.

HOSTILE: Final[dict[str, tuple[dict[str, Any], int]]] = {
    "get": ({"method": "GET"}, 405),
    "put": ({"method": "PUT"}, 405),
    "options": ({"method": "OPTIONS"}, 405),
    "trace": ({"method": "TRACE"}, 405),
    "large": ({"body": PAIRS + "&x=" + "x" * views.MAX_BODY}, 413),
    "many-fields": ({"body": "&".join(["a=1"] * 400)}, 204),
    "text": ({"kind": "text/plain"}, 415),
    "multipart": ({"kind": "multipart/form-data; boundary=x", "body": "--x--"}, 415),
    "no-type": ({"kind": ""}, 415),
    "bad-json": ({"kind": JSON, "body": "{"}, 400),
    "deep-json": ({"kind": JSON, "body": "[" * 1900}, 400),
    "json-list": ({"kind": JSON, "body": "[1]"}, 400),
    "json-null": ({"kind": JSON, "body": "null"}, 400),
    "json-bytes": ({"kind": JSON, "body": b"\xff\xfe\x00"}, 400),
    "json-surrogate": ({"kind": JSON, "body": '{"tracking_data": "\\ud800"}'}, 204),
    "json-nested": ({"kind": JSON, "body": '{"tracking_data": {"a": 1}}'}, 204),
    "json-numbers": ({"kind": JSON, "body": '{"t360_at": 1e999, "tracking_data": NaN}'}, 204),
    "utf-16-form": ({"kind": f"{FORM}; charset=utf-16"}, 400),
    "unknown-charset": ({"kind": f"{FORM}; charset=nonsense", "body": "x=1"}, 204),
    "bytes": ({"body": bytes(range(256))}, 204),
    "time-of-nonsense": ({"body": "t360_at=x&tracking_data="}, 204),
}


@pytest.mark.parametrize(("sent", "status"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_request_is_refused_without_a_trace(
    browser: Browser, sent: dict[str, Any], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Never an error of the server, nothing is repeated, nothing is stored."""
    answer = ask(browser, **sent)

    assert answer.status_code == status
    assert answer.content == b""
    assert answer["Cache-Control"].startswith("no-store")
    assert not Session.objects.exists()
    assert last_value(browser) is None
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "", "9" * 5000, "x"])
def test_length_that_is_none_is_refused(client: Client, length: str) -> None:
    """A wrong Content-Length is refused before anything is read."""
    answer = client.post(PATH, PAIRS, content_type=FORM, headers=OWN, CONTENT_LENGTH=length)

    assert answer.status_code == (413 if length.startswith("9") else 204 if not length else 411)
    assert last_value(client) is None


def test_refused_request_costs_no_query(
    client: Client, settings: HostSettings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """Who is refused is refused before session and database, also with a session of their own."""
    client.get("/host/page/?tracking_data=a")

    with django_assert_num_queries(0):
        answers = [
            ask(client, headers={"Sec-Fetch-Site": "cross-site"}),
            ask(client, method="GET"),
            ask(client, "x" * 5000),
            ask(client, kind="text/plain"),
        ]

    assert [answer.status_code for answer in answers] == [403, 405, 413, 415]
    assert answers[1]["Allow"] == "POST, DELETE"


def test_body_that_the_host_has_read_already_is_no_error(client: Client, settings: HostSettings) -> None:
    """A middleware of the host that reads bodies changes nothing."""
    settings.MIDDLEWARE = ["tests.test_views.read_first", *settings.MIDDLEWARE]

    assert ask(client, json.dumps({"tracking_data": "a"}), JSON).status_code == 400
    assert ask(client).status_code == 204


def read_first(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Return a middleware that reads a body and leaves nothing of it."""

    def read(request: HttpRequest) -> Any:
        request.read()
        return get_response(request)

    return read
