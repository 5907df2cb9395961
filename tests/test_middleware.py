"""Landings through real requests: what is remembered, where, and what a page never notices of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.contrib.auth.models import User
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from pytest_django import DjangoAssertNumQueries
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from tests.tracking_values import READABLE, UNREADABLE
from tests.visits import NOTHING, Browser, get, last_value, remembered
from track360_django import attribution, signals
from track360_django.middleware import TrackingMiddleware

if TYPE_CHECKING:
    from django.http.response import HttpResponseBase

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.host.urls")]

MIDDLEWARE = "track360_django.middleware.TrackingMiddleware"


def request_of(answer: Any) -> Any:
    """Return the request that an answer belongs to."""
    return getattr(answer, "wsgi_request", None) or answer.asgi_request


@pytest.fixture(params=[Client, AsyncClient], ids=["wsgi", "asgi"])
def browser(request: pytest.FixtureRequest) -> Browser:
    """Return a browser of a visitor nobody has seen, on each kind of server."""
    made: Browser = request.param(raise_request_exception=False)
    return made


# What is captured.


@pytest.mark.parametrize(("raw", "value"), READABLE.values(), ids=READABLE)
def test_landing_is_remembered_exactly(browser: Browser, raw: str, value: str) -> None:
    """The next request finds the value as the URL said it."""
    get(browser, f"/host/page/?utm_source=x&tracking_data={raw}")

    assert remembered(browser) == {"first": {"tracking_data": value}, "last": {"tracking_data": value}}


@pytest.mark.parametrize(("raw", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_landing_with_a_bad_value_is_told_and_not_remembered(
    browser: Browser, raw: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A value that can't be returned exactly is told without it; the browser remembers the reason, and no value."""
    dropped: list[tuple[str, str]] = []

    def count(*, parameter: str, reason: str, **_: Any) -> None:
        dropped.append((parameter, reason))

    signals.attribution_dropped.connect(count)
    try:
        answer = get(browser, f"/host/page/?tracking_data={raw}")
    finally:
        signals.attribution_dropped.disconnect(count)

    assert answer.status_code == 200
    assert set(answer.cookies) == {"track360"}
    state = signing.loads(answer.cookies["track360"].value, salt=attribution.SALT)
    assert state == {"lost": f"refused_{reason}"}
    assert dropped == [("tracking_data", reason)]
    warnings = [record.getMessage() for record in caplog.records if record.name.startswith("track360")]
    assert len(warnings) == 1
    assert not raw or raw not in warnings[0].replace("%", "percent")
    assert remembered(browser) == NOTHING


def test_unescaped_letters_are_remembered(browser: Browser) -> None:
    """A browser that sends UTF-8 as it is loses nothing."""
    get(browser, "/host/page/?tracking_data=שלום")

    assert last_value(browser) == "שלום"


def test_bad_value_keeps_the_earlier_good_one(browser: Browser) -> None:
    """A landing that is refused does not displace the valid one before it."""
    get(browser, "/host/page/?tracking_data=good")
    get(browser, "/host/page/?tracking_data=" + "x" * 51)

    assert last_value(browser) == "good"


def test_second_landing_is_the_last_touch(browser: Browser) -> None:
    """Both touches are remembered, the first and the last."""
    for value in ("a", "b", "c"):
        get(browser, f"/host/page/?tracking_data={value}")

    assert remembered(browser) == {"first": {"tracking_data": "a"}, "last": {"tracking_data": "c"}}


@pytest.mark.parametrize(
    ("path", "status"),
    [("hop", 302), ("missing", 404), ("broken", 500), ("no-such-page", 404)],
)
def test_landing_is_remembered_whatever_the_page_answers(browser: Browser, path: str, status: int) -> None:
    """A redirect, a missing page and a bug cost no attribution: where the session isn't saved, the cookie is."""
    answer = get(browser, f"/host/{path}/?tracking_data=a")

    assert answer.status_code == status
    assert last_value(browser) == "a"


def test_landing_without_a_slash_is_remembered(browser: Browser) -> None:
    """A URL that Django itself redirects counts."""
    answer = get(browser, "/host/page?tracking_data=a")

    assert answer.status_code == 301
    assert last_value(browser) == "a"


def test_head_is_a_landing(client: Client) -> None:
    """A link checker in front of a browser (a messenger's in-app browser) is a landing."""
    client.head("/host/page/?tracking_data=a")

    assert last_value(client) == "a"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_other_methods_are_no_landing(client: Client, method: str) -> None:
    """Only a page that is opened is a landing."""
    getattr(client, method)("/host/page/?tracking_data=a")

    assert remembered(client) == NOTHING


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Dest": "empty"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Moz": "prefetch"},
        {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
    ],
    ids=lambda headers: "-".join(*headers.items())[:40],
)
def test_request_that_no_person_made_is_no_landing(browser: Browser, headers: dict[str, str]) -> None:
    """Images, frames, fetches, prefetches and crawlers leave no trace."""
    answer = get(browser, "/host/page/?tracking_data=a", headers=headers)

    assert not answer.cookies
    assert remembered(browser) == NOTHING


def test_several_parameters_are_remembered_together(browser: Browser, settings: HostSettings) -> None:
    """Every name of `TRACKING_PARAMS` is read."""
    configure(settings, TRACKING_PARAMS=("tracking_data", "sub_id"))

    get(browser, "/host/page/?tracking_data=a&sub%5Fid=7")

    assert remembered(browser)["last"] == {"tracking_data": "a", "sub_id": "7"}


def test_switched_off_package_captures_nothing(browser: Browser, settings: HostSettings) -> None:
    """`ENABLED = False` is complete."""
    configure(settings, ENABLED=False)

    answer = get(browser, "/host/page/?tracking_data=a")

    assert not answer.cookies
    assert remembered(browser) == NOTHING


# What the page never notices.

HOSTILE_URLS = {
    "1001-parameters": "/host/page/?tracking_data=a&" + "&".join(f"p{number}=1" for number in range(1001)),
    "1001-times-the-parameter": "/host/page/?" + "&".join(["tracking_data=a"] * 1001),
    "100-kilobytes": "/host/page/?tracking_data=" + "x" * 100_000,
    "100-kilobytes-elsewhere": "/host/page/?tracking_data=a&x=" + "x" * 100_000,
    "100-kilobytes-of-percents": "/host/page/?tracking_data=" + "%" * 100_000,
    "100-kilobytes-of-parameters": "/host/page/?" + "tracking_data=&" * 7000,
    "nul": "/host/page/?tracking_data=%00",
    "invalid-utf-8": "/host/page/?tracking_data=%ff%fe",
    "broken-percent": "/host/page/?tracking_data=%zz&%=%",
    "surrogates": "/host/page/?tracking_data=%ED%A0%80%ED%B0%80",
    "name-only": "/host/page/?tracking_data",
    "line-feeds": "/host/page/?tracking_data=a%0d%0aSet-Cookie:%20a=b",
    "redirect": "/host/hop/?tracking_data=a",
    "missing": "/host/missing/?tracking_data=%ff",
    "broken": "/host/broken/?tracking_data=a",
    "pages-own-query": "/?tracking_data=a&page=2",
}


def plain(answer: Any) -> tuple[int, bytes, str]:
    """Return what a visitor sees of an answer."""
    return answer.status_code, answer.content, answer.headers.get("Location", "")


@pytest.mark.parametrize("url", HOSTILE_URLS.values(), ids=HOSTILE_URLS)
def test_page_is_the_same_as_without_the_package(browser: Browser, settings: HostSettings, url: str) -> None:
    """Status, body and target of a redirect are those of a host without the middleware."""
    settings.DEBUG = False
    answer = get(browser, url)
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != MIDDLEWARE]
    bare = get(type(browser)(raise_request_exception=False), url)

    assert plain(answer) == plain(bare)


def test_damaged_cookie_changes_nothing(browser: Browser) -> None:
    """A visitor who plays with the cookie gets the page, and is remembered anew."""
    browser.cookies["track360"] = "a.forged:cookie:x"

    answer = get(browser, "/host/page/?tracking_data=a")

    assert answer.status_code == 200
    assert last_value(browser) == "a"


def test_visitor_with_many_bad_values_makes_one_warning(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    """A hostile URL can't flood the log."""
    get(browser, "/host/page/?" + "tracking_data=&" * 500)

    assert len([record for record in caplog.records if record.name.startswith("track360")]) == 1


def test_session_store_that_is_down_costs_neither_page_nor_touch(
    browser: Browser, settings: HostSettings
) -> None:
    """A landing page that needs no session is served without one, and the cookie remembers."""
    settings.SESSION_ENGINE = "tests.host.sessions"

    answer = get(browser, "/host/page/?tracking_data=a")

    assert (answer.status_code, answer.content) == (200, b"page")
    assert set(answer.cookies) == {"track360"}


def test_known_visitor_is_remembered_while_the_session_store_is_down(
    browser: Browser, settings: HostSettings
) -> None:
    """A visitor with a session that can't be read gets the page and a cookie with the landing."""
    settings.SESSION_ENGINE = "tests.host.sessions"
    browser.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32

    answer = get(browser, "/host/page/?tracking_data=a")

    assert (answer.status_code, answer.content) == (200, b"page")
    assert last_value(browser) == "a"


def test_known_visitor_stays_logged_in_while_the_cache_of_sessions_is_down(
    client: Client, settings: HostSettings
) -> None:
    """A session in a cache that can't be written is left to the visitor: its cookie is not taken away."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    settings.CACHES = {"default": {"BACKEND": "tests.host.broken_cache.BrokenCache"}}
    client.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32

    answer = client.get("/host/page/?tracking_data=a")

    assert (answer.status_code, answer.content) == (200, b"page")
    assert settings.SESSION_COOKIE_NAME not in answer.cookies


def test_session_that_is_deleted_meanwhile_costs_neither_page_nor_touch(
    browser: Browser, settings: HostSettings
) -> None:
    """A visitor who logs out in another tab while the landing is served gets the page."""
    settings.SESSION_ENGINE = "tests.host.vanishing_sessions"
    browser.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32

    answer = get(browser, "/host/page/?tracking_data=a")

    assert (answer.status_code, answer.content) == (200, b"page")
    assert last_value(browser) == "a"


def test_consent_function_that_fails_costs_only_the_touch(
    browser: Browser, settings: HostSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in the host's function is logged, the page is served, nobody is remembered without consent."""

    def fail(request: HttpRequest) -> bool:
        message = "a bug of the host"
        raise RuntimeError(message)

    configure(settings, CONSENT=fail)

    answer = get(browser, "/host/page/?tracking_data=a")

    assert (answer.status_code, answer.content) == (200, b"page")
    assert remembered(browser) == NOTHING
    assert "RuntimeError" in caplog.text


@pytest.fixture
def listen() -> Iterator[Callable[[Any], None]]:
    """Return a function that connects a receiver of `attribution_dropped` for one test."""
    connected: list[Any] = []

    def connect(receiver: Any) -> None:
        signals.attribution_dropped.connect(receiver)
        connected.append(receiver)

    yield connect
    for receiver in connected:
        signals.attribution_dropped.disconnect(receiver)


def test_async_receiver_hears_of_a_dropped_value(browser: Browser, listen: Callable[[Any], None]) -> None:
    """A host's async receiver works on both kinds of server and breaks no page."""
    heard: list[str] = []

    async def receive(*, reason: str, **_: Any) -> None:
        heard.append(reason)

    listen(receive)

    answer = get(browser, "/host/page/?tracking_data=%ff")

    assert answer.status_code == 200
    assert heard == ["undecodable"]


def test_receiver_that_asks_the_database_hears_of_a_dropped_value(
    browser: Browser, listen: Callable[[Any], None]
) -> None:
    """A host's ordinary receiver may count in its tables, on both kinds of server."""
    heard: list[int] = []

    def receive(**_: Any) -> None:
        heard.append(User.objects.count())

    listen(receive)

    answer = get(browser, "/host/page/?tracking_data=%ff")

    assert answer.status_code == 200
    assert heard == [0]


def test_receiver_that_fails_costs_nothing(browser: Browser, listen: Callable[[Any], None]) -> None:
    """A bug in a receiver is the receiver's."""

    def receive(**_: Any) -> None:
        message = "a bug of the host"
        raise RuntimeError(message)

    listen(receive)

    assert get(browser, "/host/page/?tracking_data=%ff").status_code == 200


# What it costs.


def test_request_without_the_parameter_leaves_no_trace(
    browser: Browser, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """No query, no session, no header, no cookie."""
    with django_assert_num_queries(0):
        answer = get(browser, "/host/page/?page=2")

    assert not answer.cookies
    assert not answer.has_header("Vary")
    assert not answer.has_header("Cache-Control")
    assert not browser.cookies


def test_request_without_the_parameter_leaves_a_known_visitors_session_alone(
    browser: Browser, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """A visitor who is remembered costs nothing on any other page."""
    get(browser, "/host/page/?tracking_data=a")

    with django_assert_num_queries(0):
        answer = get(browser, "/host/page/")

    assert not answer.cookies
    assert not answer.has_header("Vary")


def test_cookie_only_storage_needs_no_database(
    browser: Browser, settings: HostSettings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """With `STORAGE = ("cookie",)` a landing touches neither the session nor a table."""
    configure(settings, STORAGE=("cookie",))

    with django_assert_num_queries(0):
        answer = get(browser, "/host/page/?tracking_data=a")
        found = last_value(browser)

    assert found == "a"
    assert set(answer.cookies) == {"track360"}
    assert not request_of(answer).session.accessed


def test_session_only_storage_sets_no_cookie_of_ours(browser: Browser, settings: HostSettings) -> None:
    """With `STORAGE = ("session",)` the session remembers alone."""
    configure(settings, STORAGE=("session",))

    answer = get(browser, "/host/page/?tracking_data=a")

    assert set(answer.cookies) == {settings.SESSION_COOKIE_NAME}
    assert last_value(browser) == "a"


@pytest.mark.parametrize("lost", ["sessionid", "track360"])
def test_either_storage_is_enough(browser: Browser, lost: str) -> None:
    """A visitor who loses the session or the cookie is still known by the other."""
    get(browser, "/host/page/?tracking_data=a")

    del browser.cookies[lost]

    assert last_value(browser) == "a"


def test_cookie_outlives_the_session(client: Client) -> None:
    """Logging out flushes the session; the visitor is still who came by the link."""
    client.get("/host/page/?tracking_data=a")

    client.get("/host/log-out/")

    assert last_value(client) == "a"


def test_session_counts_when_the_cookie_remembers_nothing(browser: Browser) -> None:
    """A cookie without a touch that still counts hides no touch of the session."""
    get(browser, "/host/page/?tracking_data=a")
    forget = attribution.Memory(
        last=attribution.Touch(params={"tracking_data": "old"}, at=datetime.now(UTC) - timedelta(days=31))
    )

    browser.cookies["track360"] = signing.dumps(forget.as_state(), salt=attribution.SALT)

    assert last_value(browser) == "a"


@pytest.mark.parametrize("query", ["", "?tracking_data=a"], ids=["page", "landing"])
def test_landing_overwrites_no_session_of_a_parallel_request(client: Client, query: str) -> None:
    """What another tab put into the session while the page was made is still there."""
    client.get("/host/begin-session/")

    client.get(f"/host/slow/{query}")

    assert client.session["cart"] == [1]
    assert last_value(client) == ("a" if query else None)


def test_server_without_sessions_remembers_by_cookie(browser: Browser, settings: HostSettings) -> None:
    """A host without the session middleware has the cookie."""
    settings.MIDDLEWARE = [MIDDLEWARE]

    get(browser, "/host/page/?tracking_data=a")

    assert last_value(browser) == "a"


# The cookie and the caches.


def test_cookie_is_signed_and_out_of_reach_of_scripts(browser: Browser, settings: HostSettings) -> None:
    """The cookie is HttpOnly, Lax, for the whole site, and lives as long as the window."""
    configure(settings, ATTRIBUTION_WINDOW_DAYS=7, COOKIE_SECURE=None)

    cookie = get(browser, "/host/page/?tracking_data=a").cookies["track360"]

    assert cookie["httponly"]
    assert not cookie["secure"]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
    assert cookie["max-age"] == 7 * 24 * 3600
    assert signing.loads(cookie.value, salt=attribution.SALT)["last"]["params"] == {"tracking_data": "a"}


def test_cookie_follows_the_settings(browser: Browser, settings: HostSettings) -> None:
    """Name, domain, path, secure and same-site are the host's choice."""
    configure(
        settings,
        COOKIE_NAME="from",
        COOKIE_DOMAIN=".example.com",
        COOKIE_PATH="/host/",
        COOKIE_SECURE=True,
        COOKIE_SAMESITE="Strict",
    )

    cookie = get(browser, "/host/page/?tracking_data=a").cookies["from"]

    assert (cookie["domain"], cookie["path"], cookie["samesite"]) == (".example.com", "/host/", "Strict")
    assert cookie["secure"]


@pytest.mark.parametrize(("own", "domain"), [(None, ".example.com"), ("", ""), (".other.com", ".other.com")])
def test_cookie_goes_where_the_hosts_session_goes(
    browser: Browser, settings: HostSettings, own: str | None, domain: str
) -> None:
    """Without a choice of its own the cookie follows SESSION_COOKIE_DOMAIN: else two names disagree about a visitor."""
    configure(settings, COOKIE_DOMAIN=own)
    settings.SESSION_COOKIE_DOMAIN = ".example.com"

    assert get(browser, "/host/page/?tracking_data=a").cookies["track360"]["domain"] == domain


def test_cookie_is_as_secure_as_the_hosts_session(browser: Browser, settings: HostSettings) -> None:
    """Without a choice of its own the cookie follows SESSION_COOKIE_SECURE."""
    configure(settings, COOKIE_SECURE=None)
    settings.SESSION_COOKIE_SECURE = True

    assert get(browser, "/host/page/?tracking_data=a").cookies["track360"]["secure"]


@pytest.mark.parametrize("path", ["page", "public"])
def test_landing_stays_out_of_shared_caches(browser: Browser, path: str) -> None:
    """The one response with the cookie is private and varies by cookie, also where the page is public."""
    answer = get(browser, f"/host/{path}/?tracking_data=a")

    directives = {directive.strip() for directive in answer.headers["Cache-Control"].split(",")}
    assert "private" in directives
    assert "public" not in directives
    assert "Cookie" in answer.headers["Vary"]


def test_public_page_without_the_parameter_stays_public(browser: Browser) -> None:
    """A page that any cache may keep is left as it is."""
    get(browser, "/host/page/?tracking_data=a")

    answer = get(browser, "/host/public/")

    assert answer.headers["Cache-Control"] == "public, max-age=600"
    assert not answer.has_header("Vary")


@pytest.mark.parametrize("storage", [("session", "cookie"), ("session",), ("cookie",)], ids="-".join)
def test_cached_landing_remembers_each_visitor_their_own(
    browser: Browser, settings: HostSettings, storage: tuple[str, ...]
) -> None:
    """Django's whole-site cache hands nobody the touch of somebody else."""
    configure(settings, STORAGE=storage)
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": repr(storage)}
    }
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    visitors = [browser, type(browser)(), type(browser)()]

    for visitor in visitors:
        get(visitor, "/host/public/?tracking_data=a")
    stranger = type(browser)()
    get(stranger, "/host/public/")

    assert [last_value(each) for each in (*visitors, stranger)] == ["a", "a", "a", None]
    keys = {str(each.cookies.get(settings.SESSION_COOKIE_NAME)) for each in visitors}
    assert len(keys) == (3 if "session" in storage else 1)


def test_page_that_reads_the_touches_varies_by_cookie(browser: Browser) -> None:
    """A page whose content depends on the touches is not served to others by a cache."""
    path = "/host/async-touches/" if isinstance(browser, AsyncClient) else "/host/touches/"

    assert "Cookie" in get(browser, path).headers["Vary"]


def test_visitor_who_refuses_is_not_remembered(browser: Browser, settings: HostSettings) -> None:
    """Without consent nothing is stored: no cookie, no session, no header."""
    configure(settings, CONSENT=lambda request: request.COOKIES.get("consent") == "yes")

    answer = get(browser, "/host/page/?tracking_data=a")

    assert not answer.cookies
    assert not answer.has_header("Vary")
    assert remembered(browser) == NOTHING


def test_visitor_who_consents_is_remembered(browser: Browser, settings: HostSettings) -> None:
    """With consent the touch is stored."""
    configure(settings, CONSENT=lambda request: request.COOKIES.get("consent") == "yes")
    browser.cookies["consent"] = "yes"

    get(browser, "/host/page/?tracking_data=a")

    assert last_value(browser) == "a"


def test_consent_may_be_kept_in_the_session_or_the_database(browser: Browser, settings: HostSettings) -> None:
    """The host's function may read what it likes, on both kinds of server."""
    configure(
        settings, CONSENT=lambda request: not request.session.get("refused") and not User.objects.exists()
    )
    get(browser, "/host/page/?tracking_data=a")

    get(browser, "/host/page/?tracking_data=b")

    assert last_value(browser) == "b"


# Time.


@pytest.mark.parametrize(("days", "value"), [(29, "a"), (31, None)])
def test_touch_counts_within_the_window(browser: Browser, days: int, value: str | None) -> None:
    """A touch of 29 days ago is recalled, one of 31 days ago is not."""
    at = datetime.now(UTC) - timedelta(days=days)
    old = attribution.Touch(params={"tracking_data": "a"}, at=at)
    browser.cookies["track360"] = signing.dumps(
        attribution.Memory(first=old, last=old).as_state(), salt=attribution.SALT
    )

    assert last_value(browser) == value


def test_expired_first_touch_gives_way_to_the_next_landing(browser: Browser) -> None:
    """After the window a new landing is first and last."""
    at = datetime.now(UTC) - timedelta(days=31)
    old = attribution.Touch(params={"tracking_data": "old"}, at=at)
    browser.cookies["track360"] = signing.dumps(
        attribution.Memory(first=old, last=old).as_state(), salt=attribution.SALT
    )

    get(browser, "/host/page/?tracking_data=new")

    assert remembered(browser) == {"first": {"tracking_data": "new"}, "last": {"tracking_data": "new"}}


# Sync and async.


def test_middleware_is_native_to_its_server() -> None:
    """Under ASGI it is a coroutine function, under WSGI a plain one."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        return HttpResponse()

    async def answer_async(request: HttpRequest) -> HttpResponseBase:
        return HttpResponse()

    assert not iscoroutinefunction(TrackingMiddleware(answer))
    assert iscoroutinefunction(TrackingMiddleware(answer_async))


def test_request_outside_of_one_has_no_touches(browser: Browser) -> None:
    """What one request saw is gone with it."""
    get(browser, "/host/page/?tracking_data=a")
    get(browser, "/host/broken/?tracking_data=a")

    assert attribution.current() is None


def test_async_view_is_served_with_sessions_in_the_database() -> None:
    """An async page for a visitor with a session loses nothing and blocks nothing."""
    visitor = AsyncClient()
    get(visitor, "/host/async-page/?tracking_data=a")

    answer = get(visitor, "/host/async-page/?tracking_data=b")

    assert answer.status_code == 200
    assert remembered(visitor) == {"first": {"tracking_data": "a"}, "last": {"tracking_data": "b"}}


def test_log_never_names_a_value(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is refused, its text stays out of the log, also at DEBUG."""
    caplog.set_level(logging.DEBUG, logger="track360_django")

    get(browser, "/host/page/?tracking_data=secret-" + "x" * 51)

    assert "secret-" not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("track360")
    )
