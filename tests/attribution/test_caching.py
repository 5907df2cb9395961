"""Caches, redirects and everything else that answers in our place: each visitor keeps their own link, and no other."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import AsyncClient, Client
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from tests.visits import Browser, get, last_value

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.host.caching")]

TRACKING = "track360_django.middleware.TrackingMiddleware"
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
UPDATE = "django.middleware.cache.UpdateCacheMiddleware"
FETCH = "django.middleware.cache.FetchFromCacheMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
WHITENOISE = "whitenoise.middleware.WhiteNoiseMiddleware"
REDIRECTS = "django.contrib.redirects.middleware.RedirectFallbackMiddleware"
FLATPAGES = "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware"

# As Django's documentation orders them.
RIGHT = (UPDATE, SECURITY, SESSION, TRACKING, GZIP, CONDITIONAL, LOCALE, COMMON, FETCH)
PAGES = ("page", "decorated", "conditional", "pieces", "moved")
# What a page that depends on nobody says of itself, and nothing more.
ORDINARY = {"Content-Type", "Content-Length", "Cache-Control", "Expires", "Date", "ETag", "Location"}


@pytest.fixture(params=[Client, AsyncClient], ids=["wsgi", "asgi"])
def new_browser(request: pytest.FixtureRequest) -> type[Browser]:
    """Return what makes a browser of a visitor nobody has seen, on each kind of server."""
    kind: type[Browser] = request.param
    return kind


@pytest.fixture(params=[("session", "cookie"), ("session",), ("cookie",)], ids="-".join)
def storage(request: pytest.FixtureRequest, settings: HostSettings) -> tuple[str, ...]:
    """Make the host remember in session, cookie or both."""
    chosen: tuple[str, ...] = request.param
    configure(settings, STORAGE=chosen)
    return chosen


@pytest.fixture
def stack(settings: HostSettings) -> Callable[..., None]:
    """Return a function that gives the host these middlewares, in this order, and a new cache."""

    def use(*middleware: str) -> None:
        cache = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": uuid.uuid4().hex}
        settings.CACHES = {"default": cache}
        settings.MIDDLEWARE = list(middleware)

    return use


@pytest.fixture
def link_of(settings: HostSettings) -> Callable[[Browser], str | None]:
    """Return a function that tells the link a browser's cookies stand for, past every cache."""

    def read(browser: Browser) -> str | None:
        twin = type(browser)()
        twin.cookies = browser.cookies
        before = settings.MIDDLEWARE
        settings.MIDDLEWARE = [SESSION, TRACKING]
        try:
            return last_value(twin)
        finally:
            settings.MIDDLEWARE = before

    return read


def personal_page(browser: Browser, how: str = "") -> str:
    """Return the path of a page that says what is remembered, for this kind of server."""
    return f"/cached/{'async-' if isinstance(browser, AsyncClient) else ''}{how}personal/"


def vary(answer: Any) -> set[str]:
    """Return what an answer varies by."""
    return {name.strip() for name in answer.headers.get("Vary", "").split(",") if name.strip()}


def directives(answer: Any) -> set[str]:
    """Return what an answer says to caches."""
    return {each.strip() for each in answer.headers.get("Cache-Control", "").split(",") if each.strip()}


# Whose link it is.


@pytest.mark.parametrize("path", PAGES)
def test_visitor_of_a_cached_page_keeps_their_own_link(
    new_browser: type[Browser],
    stack: Callable[..., None],
    link_of: Callable[[Browser], str | None],
    path: str,
    storage: tuple[str, ...],
) -> None:
    """In the documented order, everybody who lands is remembered with their own link, and nobody else is."""
    stack(*RIGHT)
    visitors = [(new_browser(), value) for value in ("a", "b", "a", "b")]
    stranger = new_browser()

    get(stranger, f"/cached/{path}/")
    for browser, value in visitors:
        get(browser, f"/cached/{path}/?tracking_data={value}")
    get(stranger, f"/cached/{path}/")

    assert [link_of(browser) for browser, _ in visitors] == ["a", "b", "a", "b"]
    assert link_of(stranger) is None


@pytest.mark.parametrize(
    "order", list(itertools.permutations((UPDATE, SESSION, TRACKING, FETCH))), ids=lambda order: "-".join(
        name.rpartition(".")[2].removesuffix("Middleware") for name in order
    )
)  # fmt: skip
def test_no_order_hands_a_visitor_somebody_elses_link(
    new_browser: type[Browser],
    stack: Callable[..., None],
    link_of: Callable[[Browser], str | None],
    settings: HostSettings,
    order: tuple[str, ...],
) -> None:
    """However a host misplaces the cache, a landing may be lost, but never becomes another visitor's."""
    stack(*order)
    if order.index(TRACKING) < order.index(SESSION):
        configure(settings, STORAGE=("cookie",))
    visitors = [(new_browser(), value) for value in ("a", "b", "a", "b")]
    stranger = new_browser()

    for browser, value in visitors:
        get(browser, f"/cached/page/?tracking_data={value}")
        get(browser, "/cached/page/")
        get(stranger, "/cached/page/")
    found = [(link_of(browser), value) for browser, value in visitors]

    assert link_of(stranger) is None
    assert all(remembered in {value, None} for remembered, value in found)
    if order.index(TRACKING) < order.index(FETCH):
        assert all(remembered == value for remembered, value in found)


@pytest.mark.parametrize("how", ["", "decorated-"], ids=["middleware", "decorator"])
@pytest.mark.parametrize(
    "order", [(UPDATE, SESSION, TRACKING, FETCH), (SESSION, TRACKING, UPDATE, FETCH), (SESSION, TRACKING)],
    ids=["right", "update-inside", "no-middleware"],
)  # fmt: skip
def test_page_that_shows_a_link_is_shown_to_nobody_else(
    new_browser: type[Browser],
    stack: Callable[..., None],
    link_of: Callable[[Browser], str | None],
    order: tuple[str, ...],
    how: str,
) -> None:
    """A form that carries a visitor's link is never the next visitor's form, whoever caches it."""
    stack(*order)
    first, second, stranger = new_browser(), new_browser(), new_browser()
    path = personal_page(first, how)

    said = [
        get(browser, f"{path}{query}").content
        for browser, query in [
            (first, "?tracking_data=a"), (first, ""), (second, ""), (second, "?tracking_data=b"), (second, ""),
            (stranger, ""), (first, ""),
        ]
    ]  # fmt: skip

    own = [b"a", b"a", b"nobody", b"b", b"b", b"nobody", b"a"]
    # What was made for nobody may be kept for all, and says nothing of anybody: cookies remember.
    assert all(words in {link, b"nobody"} for words, link in zip(said, own, strict=True))
    if order[0] == UPDATE and not how:
        assert said == own


@pytest.mark.parametrize("how", ["", "decorated-"], ids=["middleware", "decorator"])
@pytest.mark.parametrize("order", [(UPDATE, SESSION, TRACKING, FETCH), (SESSION, TRACKING, UPDATE, FETCH)])
def test_page_that_shows_a_link_of_a_header_is_shown_to_nobody_else(
    new_browser: type[Browser], stack: Callable[..., None], order: tuple[str, ...], how: str
) -> None:
    """What a script or an application sent in a header is in no page of the next visitor, whoever caches it."""
    stack(*order)
    first, second = new_browser(), new_browser()
    path = personal_page(first, how)

    said = [
        get(browser, path, headers={"X-Track360-Tracking": value} if value else {}).content
        for browser, value in [(first, "a"), (second, ""), (second, "b"), (new_browser(), "")]
    ]

    own = [b"a", b"nobody", b"b", b"nobody"]
    assert all(words in {link, b"nobody"} for words, link in zip(said, own, strict=True))


def test_visitor_with_a_copied_cookie_header_is_given_no_new_cookie(
    new_browser: type[Browser],
    stack: Callable[..., None],
    link_of: Callable[[Browser], str | None],
    settings: HostSettings,
) -> None:
    """A page in the cache holds no cookie, also for a visitor whose cookies are the first one's, letter by letter."""
    stack(*RIGHT)
    first, second = new_browser(), new_browser()
    for browser in (first, second):
        browser.cookies["theme"] = "dark"

    landed = get(first, "/cached/page/?tracking_data=a")
    copied = get(second, "/cached/page/?tracking_data=a")
    other = get(second, "/cached/page/")

    assert {"track360", settings.SESSION_COOKIE_NAME} == set(landed.cookies) == set(copied.cookies)
    assert (
        landed.cookies[settings.SESSION_COOKIE_NAME].value
        != copied.cookies[settings.SESSION_COOKIE_NAME].value
    )
    assert not other.cookies


# What caches are told.


@pytest.mark.parametrize("path", PAGES)
def test_page_without_the_parameter_is_as_cacheable_as_without_us(
    new_browser: type[Browser],
    stack: Callable[..., None],
    link_of: Callable[[Browser], str | None],
    path: str,
) -> None:
    """Without a parameter each header is what the host's own middlewares made it."""
    answers = []
    for order in (RIGHT, tuple(name for name in RIGHT if name != TRACKING)):
        stack(*order)
        visitor = new_browser()
        get(visitor, "/cached/page/?tracking_data=a")
        answers.append(get(visitor, f"/cached/{path}/?page=2"))

    ours, bare = answers
    assert not ours.cookies
    assert vary(ours) == vary(bare)
    assert "Cookie" not in vary(ours)
    assert directives(ours) == directives(bare)
    assert set(ours.headers) == set(bare.headers)


@pytest.mark.parametrize("path", PAGES)
def test_landing_is_private(
    new_browser: type[Browser],
    stack: Callable[..., None],
    link_of: Callable[[Browser], str | None],
    path: str,
    storage: tuple[str, ...],
) -> None:
    """The one answer that carries a visitor's cookie is nobody else's, whatever the page says of itself."""
    stack(*RIGHT)

    answer = get(new_browser(), f"/cached/{path}/?tracking_data=a")

    assert answer.cookies
    assert "Cookie" in vary(answer)
    assert "public" not in directives(answer)
    assert "private" in directives(answer)


def test_page_that_is_not_modified_keeps_the_cookie(
    new_browser: type[Browser], stack: Callable[..., None], link_of: Callable[[Browser], str | None]
) -> None:
    """A visitor who has the page in the browser lands with a 304, and is remembered."""
    stack(*RIGHT)
    browser = new_browser()
    etag = get(browser, "/cached/page/").headers["ETag"]

    answers = [
        get(browser, f"/cached/{path}/?tracking_data={value}", headers={"If-None-Match": tag})
        for path, value, tag in (("page", "a", etag), ("conditional", "b", '"v1"'))
    ]

    assert [answer.status_code for answer in answers] == [304, 304]
    assert all("track360" in answer.cookies for answer in answers)
    assert link_of(browser) == "b"


def test_conditional_middleware_in_front_keeps_the_cookie(
    new_browser: type[Browser], stack: Callable[..., None], link_of: Callable[[Browser], str | None]
) -> None:
    """Where ours comes behind it, the answer 304 that it makes still carries what we set."""
    stack(CONDITIONAL, GZIP, SESSION, TRACKING, COMMON)
    browser = new_browser()
    etag = get(browser, "/cached/page/").headers["ETag"]

    answer = get(browser, "/cached/page/?tracking_data=a", headers={"If-None-Match": etag})

    assert answer.status_code == 304
    assert link_of(browser) == "a"


def test_compressed_landing_is_remembered(
    new_browser: type[Browser], stack: Callable[..., None], link_of: Callable[[Browser], str | None]
) -> None:
    """GZipMiddleware on either side changes nothing for us, and we nothing for it."""
    for order in ((GZIP, SESSION, TRACKING), (SESSION, TRACKING, GZIP)):
        stack(*order)
        browser = new_browser()

        answer = get(browser, "/cached/page/?tracking_data=a", headers={"Accept-Encoding": "gzip"})

        assert answer.headers["Content-Encoding"] == "gzip"
        assert {"Cookie", "Accept-Encoding"} <= vary(answer)
        assert link_of(browser) == "a"


# Who answers in our place.


@pytest.mark.parametrize("is_behind", [True, False], ids=["locale-behind", "locale-in-front"])
def test_redirect_to_a_language_loses_nothing(
    new_browser: type[Browser],
    stack: Callable[..., None],
    link_of: Callable[[Browser], str | None],
    storage: tuple[str, ...],
    *,
    is_behind: bool,
) -> None:
    """A visitor who is sent from /welcome/ to /en/welcome/ is remembered, however often they follow the link."""
    stack(*((SESSION, TRACKING, LOCALE, COMMON) if is_behind else (SESSION, LOCALE, TRACKING, COMMON)))
    browser = new_browser()

    answer = get(browser, "/welcome/?tracking_data=a", follow=True)

    assert answer.redirect_chain == [("/en/welcome/?tracking_data=a", 302)]
    assert link_of(browser) == "a"


@pytest.mark.parametrize(
    "order", [(SESSION, TRACKING, COMMON), (SESSION, COMMON, TRACKING)], ids=["behind", "in-front"]
)
def test_missing_slash_loses_nothing(
    new_browser: type[Browser],
    stack: Callable[..., None],
    link_of: Callable[[Browser], str | None],
    order: tuple[str, ...],
) -> None:
    """APPEND_SLASH sends the visitor on with the query string, and the landing is remembered."""
    stack(*order)
    browser = new_browser()

    answer = get(browser, "/cached/page?tracking_data=a", follow=True)

    assert answer.redirect_chain == [("/cached/page/?tracking_data=a", 301)]
    assert link_of(browser) == "a"


@pytest.mark.parametrize(
    "order", [(SESSION, TRACKING, SECURITY), (SECURITY, SESSION, TRACKING)], ids=["behind", "in-front"]
)
def test_redirect_to_https_loses_nothing(
    new_browser: type[Browser],
    stack: Callable[..., None],
    link_of: Callable[[Browser], str | None],
    settings: HostSettings,
    order: tuple[str, ...],
) -> None:
    """A visitor who comes by http is sent to https with the query string, and remembered there."""
    stack(*order)
    settings.SECURE_SSL_REDIRECT = True
    browser = new_browser()

    answer = get(browser, "/cached/page/?tracking_data=a")
    assert (answer.status_code, answer.headers["Location"]) == (
        301,
        "https://testserver/cached/page/?tracking_data=a",
    )
    get(browser, "/cached/page/?tracking_data=a", secure=True)

    assert link_of(browser) == "a"


@pytest.fixture
def static_site(tmp_path: Path, settings: HostSettings) -> Path:
    """Make a folder whose index.html WhiteNoise serves as the site's front page."""
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "index.html").write_text("static")
    settings.WHITENOISE_ROOT = tmp_path
    settings.WHITENOISE_INDEX_FILE = True
    settings.WHITENOISE_AUTOREFRESH = True
    settings.STATIC_ROOT = str(tmp_path / "static")
    (tmp_path / "static").mkdir()
    return tmp_path


@pytest.mark.parametrize("is_behind", [True, False], ids=["behind", "in-front"])
def test_front_page_that_whitenoise_serves_is_remembered_behind_us_only(
    stack: Callable[..., None],
    link_of: Callable[[Browser], str | None],
    static_site: Path,
    *,
    is_behind: bool,
) -> None:
    """WhiteNoise in front answers the landing itself, which is lost: the check W002 says so."""
    stack(*((SESSION, TRACKING, WHITENOISE) if is_behind else (WHITENOISE, SESSION, TRACKING)))
    browser = Client()

    answer: Any = browser.get("/landing/?tracking_data=a")

    assert b"".join(answer.streaming_content) == b"static"
    assert link_of(browser) == ("a" if is_behind else None)
