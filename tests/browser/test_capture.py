"""The script for pages that Django does not render, in a real browser: what it remembers, and whom it tells."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

import pytest

from tests.browser.chromium import Chromium, Tab
from tests.browser.shore import POLICY, SCRIPT, Site
from tests.tracking_values import LINKS, READABLE, UNREADABLE

pytestmark = pytest.mark.standalone

COOKIE: Final = "track360_js"
FORM: Final = '<form method="post" action="/join/"><input name="email" value="a@example.com"><button>Join</button></form>'
SUBMIT: Final = "document.forms[0].requestSubmit()"


def remembered(tab: Tab) -> dict[str, str] | None:
    """Return what the script's cookie says, without the time; None when there is no cookie."""
    cookie = tab.cookies().get(COOKIE)
    if cookie is None:
        return None
    pairs = dict(parse_qsl(cookie["value"], strict_parsing=True))
    assert abs(int(pairs.pop("t360_at")) - time.time()) < 60
    return pairs


def wait_for_posts(tab: Tab, site: Site, count: int) -> None:
    """Wait for requests that pages send without waiting for them: two at once could overtake each other."""
    tab.wait_until(lambda: len(site.posts()) >= count)


@pytest.fixture(autouse=True)
def nothing_is_thrown(tab: Tab) -> Iterator[None]:
    """No page of these tests sees an error that is not its own."""
    yield
    assert tab.faults() == []


# What is remembered.


def test_landing_is_remembered_by_the_script_exactly(tab: Tab, cdn: Site) -> None:
    """The script keeps each value that the server would keep, and the server reads the same out of its cookie."""
    cdn.landing()
    found = {}

    for name, (raw, _) in READABLE.items():
        tab.open(cdn.url(f"/?utm_source=x&tracking_data={raw}"))
        found[name] = remembered(tab)

    assert found == {name: {"tracking_data": value} for name, (_, value) in READABLE.items()}


# The script has two kilobytes: what is packed in another parameter, or glued on in a rarer way, the server reads alone.
SERVER_ALONE = {
    "fragment-before",
    "blank-before",
    "plus-before",
    "packed-in-another-link",
    "packed-twice",
    "whole-query-escaped",
    "escaped-amp",
}


def test_link_is_read_by_the_script_as_tools_really_write_it(tab: Tab, cdn: Site) -> None:
    """Whatever a mail tool or a link builder puts between the pairs, the script finds the value."""
    cdn.landing()
    found = {}

    for name in LINKS.keys() - SERVER_ALONE:
        tab.open(cdn.url(f"/?{LINKS[name]}"))
        found[name] = remembered(tab)
        tab.run("document.cookie = 'track360_js=; path=/; max-age=0'")

    assert found == {name: {"tracking_data": "a"} for name in LINKS.keys() - SERVER_ALONE}


def test_value_that_the_server_refuses_is_refused_by_the_script(tab: Tab, cdn: Site) -> None:
    """An earlier good value stays."""
    cdn.landing()
    tab.open(cdn.url("/?tracking_data=good"))
    found = {}

    for name, (raw, _) in UNREADABLE.items():
        tab.open(cdn.url(f"/?tracking_data={raw}"))
        found[name] = remembered(tab)

    assert found == {name: {"tracking_data": "good"} for name in UNREADABLE}


def test_cookie_of_the_script_is_of_the_first_party_and_ends_with_the_window(tab: Tab, cdn: Site) -> None:
    """It is SameSite=Lax, for the whole site, and lives as long as the page says."""
    cdn.landing('data-window="7"')

    tab.open(cdn.url("/?tracking_data=a"))

    cookie = tab.cookies()[COOKIE]
    assert (cookie["sameSite"], cookie["path"], cookie["httpOnly"]) == ("Lax", "/", False)
    assert abs(cookie["expires"] - time.time() - 7 * 86400) < 60


def test_page_without_a_parameter_remembers_nothing(tab: Tab, cdn: Site) -> None:
    """No cookie is set for a visitor whom nobody sent."""
    cdn.landing()

    tab.open(cdn.url("/?utm_source=x&data=a&xtracking_data=b"))

    assert tab.cookies() == {}


def test_parameters_are_those_that_the_page_names(tab: Tab, cdn: Site) -> None:
    """Each name of `data-params` is remembered, and no other."""
    cdn.landing('data-params="tracking_data, sub_id"')

    tab.open(cdn.url("/?tracking_data=a&sub%5Fid=7&other=x"))

    assert remembered(tab) == {"tracking_data": "a", "sub_id": "7"}


@pytest.mark.parametrize(("attribution", "kept"), [("last", "b"), ("first", "a")])
def test_second_landing_counts_as_on_the_server(tab: Tab, cdn: Site, attribution: str, kept: str) -> None:
    """The last landing counts, or the first, as the page says."""
    cdn.landing(f'data-attribution="{attribution}"')

    for value in ("a", "b"):
        tab.open(cdn.url(f"/?tracking_data={value}"))

    assert remembered(tab) == {"tracking_data": kept}


def test_carry_token_is_added_to_what_is_remembered(tab: Tab, cdn: Site) -> None:
    """A token whose worth only the server knows displaces no value."""
    cdn.landing()

    tab.open(cdn.url("/?tracking_data=a"))
    tab.open(cdn.url("/?t360=.eJyr:1abc-_x:sig"))

    assert remembered(tab) == {"tracking_data": "a", "t360": ".eJyr:1abc-_x:sig"}


def test_sub_domains_share_the_cookie_of_their_domain(tab: Tab, cdn: Site) -> None:
    """A landing on one sub-domain is known on another one."""
    cdn.landing('data-domain="brand.test"', FORM)

    tab.open(cdn.url("/?tracking_data=a", "www.brand.test"))
    tab.open(cdn.url("/", "app.brand.test"))
    tab.go(SUBMIT)

    assert cdn.posts()[0].form["tracking_data"] == "a"


def test_frame_is_no_landing(tab: Tab, cdn: Site, stranger: Site) -> None:
    """Somebody else's page can't plant a value by a frame that nobody sees, nor can one of the same site."""
    cdn.landing()
    frame = f'<iframe src="{cdn.url("/?tracking_data=planted", "brand.test")}"></iframe>'
    stranger.pages["/"] = frame
    cdn.pages["/own/"] = frame

    tab.open(stranger.url("/", "stranger.test"))
    tab.open(cdn.url("/own/", "brand.test"))

    assert len([each for each in cdn.asked if "planted" in each.path]) == 2
    assert tab.cookies() == {}


# Whom it tells: forms.


def test_form_carries_the_landing_and_its_time(tab: Tab, cdn: Site) -> None:
    """A form of a page says what a landing on another page brought."""
    cdn.landing(body=FORM)

    tab.open(cdn.url("/?tracking_data=a%20%2B%C3%A9"))
    tab.open(cdn.url("/"))
    tab.go(SUBMIT)

    (asked,) = cdn.posts()
    assert abs(int(asked.form["t360_at"]) - time.time()) < 60
    assert {**asked.form, "t360_at": ""} == {"email": "a@example.com", "tracking_data": "a +é", "t360_at": ""}


@pytest.mark.parametrize(
    "act",
    [
        "document.forms[0].submit()",
        "document.querySelector('button').click()",
        "fetch('/join/', {method: 'POST', body: new FormData(document.forms[0])})",
    ],
    ids=["by-script", "by-click", "read-by-script"],
)
def test_form_carries_the_landing_however_it_is_submitted(tab: Tab, cdn: Site, act: str) -> None:
    """A form that a script submits, or reads, is filled like one that a person submits."""
    cdn.landing(body=FORM)

    tab.open(cdn.url("/?tracking_data=abc"))
    tab.run(f"{act}.then(() => 0)") if "fetch" in act else tab.go(act)

    assert b"abc" in cdn.posts()[0].body


@pytest.mark.parametrize(
    "form",
    [
        '<form method="post" action="{stranger}"><button>',
        '<form method="post" action="/join/"><button formaction="{stranger}">',
        '<form action="/join/"><button>',
        '<form method="post" action="/join/"><button formmethod="get">',
        '<form method="post" action="//stranger.test:1/"><button formaction="{stranger}">',
    ],
    ids=["elsewhere", "button-elsewhere", "get", "button-get", "without-scheme"],
)
def test_form_that_goes_elsewhere_or_into_an_address_is_left_alone(
    tab: Tab, cdn: Site, stranger: Site, form: str
) -> None:
    """Another origin is never told the value, and it never appears in an address."""
    cdn.landing(body=form.format(stranger=stranger.url("/join/")))

    tab.open(cdn.url("/?tracking_data=secret"))
    tab.open(cdn.url("/"))
    tab.go("document.querySelector('button').click()")

    asked = [*cdn.asked[1:], *stranger.asked]
    assert [each for each in asked if each.path.startswith("/join/")]
    assert not [
        each for each in asked if "secret" in each.path.partition("?tracking")[0] or b"secret" in each.body
    ]
    assert not [each for each in asked[1:] if "secret" in each.path]


@pytest.mark.parametrize(
    ("attribution", "at", "told"),
    [
        ("last", "1", "b"),
        ("last", "9999999999", "server"),
        ("first", "1", "server"),
        ("first", "9999999999", "b"),
        ("last", None, "server"),
    ],
    ids=["older", "newer", "older-and-first", "newer-and-first", "typed"],
)
def test_field_of_the_server_is_not_doubled(
    tab: Tab, cdn: Site, attribution: str, at: str | None, told: str
) -> None:
    """Of the server's field and the script's value, the touch that counts is told, once; what a person typed stays."""
    field = '<input type="hidden" name="tracking_data" value="server">'
    field += f'<input type="hidden" name="t360_at" value="{at}">' if at else ""
    cdn.landing(
        f'data-attribution="{attribution}"', f'<form method="post" action="/join/">{field}<button></form>'
    )

    tab.open(cdn.url("/?tracking_data=b"))
    tab.go(SUBMIT)

    names = [name for name, _ in parse_qsl(cdn.posts()[0].body.decode())]
    assert cdn.posts()[0].form["tracking_data"] == told
    assert names.count("tracking_data") == 1
    assert names.count("t360_at") == (1 if at else 0)


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ("", "promo_code"),
        ('data-params="tracking_data promo_code"', "promo_code"),
        ('data-promo="voucher"', "voucher"),
    ],
    ids=["unknown", "listed", "named"],
)
@pytest.mark.parametrize("typed", ["", "SUMMER"])
def test_form_with_a_field_for_promo_codes_carries_the_landing_too(
    tab: Tab, cdn: Site, attributes: str, name: str, typed: str
) -> None:
    """What a person typed, or left empty, is sent as it is, beside the landing."""
    cdn.landing(
        attributes,
        f'<form method="post" action="/join/"><input name="{name}" value="{typed}"><button></form>',
    )

    tab.open(cdn.url("/?tracking_data=a"))
    tab.go(SUBMIT)

    assert cdn.posts()[0].form.items() >= {"tracking_data": "a", name: typed}.items()
    assert "t360_at" in cdn.posts()[0].form


def test_typed_promo_code_survives_a_landing_that_is_newer_than_the_field_of_the_server(
    tab: Tab, cdn: Site
) -> None:
    """The server's field gives way to the touch that counts; what a person typed never does."""
    fields = '<input name="tracking_data" value="server"><input name="t360_at" value="1">'
    cdn.landing(
        'data-params="tracking_data promo_code"',
        f'<form method="post" action="/join/">{fields}<input name="promo_code" value="SUMMER"><button></form>',
    )

    tab.open(cdn.url("/?tracking_data=b&promo_code=POSTER"))
    tab.go(SUBMIT)

    form = cdn.posts()[0].form
    assert (form["tracking_data"], form["promo_code"]) == ("b", "SUMMER")
    assert form["t360_at"] != "1"


@pytest.mark.parametrize("attributes", ['data-params="tracking_data,promo_code"', 'data-promo="promo_code"'])
def test_promo_code_in_an_address_rides_along_where_the_page_names_it(
    tab: Tab, cdn: Site, attributes: str
) -> None:
    """A form without a field for it gets one."""
    cdn.landing(attributes, FORM)

    tab.open(cdn.url("/?promo_code=POSTER"))
    tab.go(SUBMIT)

    assert cdn.posts()[0].form["promo_code"] == "POSTER"


def test_empty_field_of_the_page_is_filled(tab: Tab, cdn: Site) -> None:
    """An input that nobody filled is no value of the server's, and is sent once."""
    cdn.landing(
        body='<form method="post" action="/join/"><input type="hidden" name="tracking_data"><button></form>'
    )

    tab.open(cdn.url("/?tracking_data=a"))
    tab.go(SUBMIT)

    names = [name for name, _ in parse_qsl(cdn.posts()[0].body.decode(), keep_blank_values=True)]
    assert cdn.posts()[0].form["tracking_data"] == "a"
    assert sorted(names) == ["t360_at", "tracking_data"]


def test_form_with_treacherous_names_is_sent_as_it_was(tab: Tab, cdn: Site) -> None:
    """Fields that are called as a form's own properties confuse nobody, and it carries the landing."""
    names = ("action", "method", "getAttribute", "elements", "submit")
    fields = "".join(f'<input name="{name}" value="x">' for name in names)
    cdn.landing(body=f'<form method="post" action="/join/">{fields}<button></form>')

    tab.open(cdn.url("/?tracking_data=a"))
    tab.go("document.querySelector('button').click()")

    assert cdn.posts()[0].form.items() >= {**dict.fromkeys(names, "x"), "tracking_data": "a"}.items()


@pytest.mark.parametrize("attribution", ["last", "first"])
def test_carry_token_joins_the_field_of_the_server(tab: Tab, cdn: Site, attribution: str) -> None:
    """A token says its own times, so neither it nor the server's field is lost."""
    fields = '<input name="tracking_data" value="server"><input name="t360_at" value="1">'
    cdn.landing(
        f'data-attribution="{attribution}"', f'<form method="post" action="/join/">{fields}<button></form>'
    )

    tab.open(cdn.url("/?t360=a.token"))
    tab.go(SUBMIT)

    assert cdn.posts()[0].form == {"tracking_data": "server", "t360_at": "1", "t360": "a.token"}


# Whom it tells: fetch and XMLHttpRequest.

REQUESTS: Final = {
    "fetch": "fetch(URL, {method: 'METHOD'})",
    "fetch-request": "fetch(new Request(URL, {method: 'METHOD'}))",
    "fetch-override": "fetch(new Request(URL), {method: 'METHOD'})",
    "xhr": (
        "new Promise(done => { const x = new XMLHttpRequest(); x.open('METHOD', URL); x.onloadend = done; x.send() })"
        ".then(() => 0)"
    ),
}


def ask(tab: Tab, request: str, url: str, method: str = "POST") -> None:
    """Send a request from the page."""
    tab.run(f"{REQUESTS[request].replace('URL', json.dumps(url)).replace('METHOD', method)}.then(() => 0)")


@pytest.mark.parametrize("request_", REQUESTS)
def test_request_that_changes_something_carries_the_header(tab: Tab, cdn: Site, request_: str) -> None:
    """A signup of a single-page application says what the landing brought, by either interface."""
    cdn.landing()

    tab.open(cdn.url("/?tracking_data=a%20b"))
    for method in ("POST", "PUT", "PATCH", "DELETE", "post"):
        ask(tab, request_, "/api/join/", method)

    assert [each.method for each in cdn.posts()] == ["POST", "PUT", "PATCH", "DELETE", "POST"]
    assert {dict(parse_qsl(str(each.tracking)))["tracking_data"] for each in cdn.posts()} == {"a b"}


@pytest.mark.parametrize("request_", REQUESTS)
def test_request_that_reads_carries_no_header(tab: Tab, cdn: Site, request_: str) -> None:
    """Where nobody can sign up, nothing is told."""
    cdn.landing()

    tab.open(cdn.url("/?tracking_data=a"))
    for method in ("GET", "HEAD"):
        ask(tab, request_, "/api/", method)

    assert [(each.method, each.tracking) for each in cdn.asked[2:]] == [("GET", None), ("HEAD", None)]


@pytest.mark.parametrize("request_", REQUESTS)
def test_request_to_another_origin_is_left_alone(tab: Tab, cdn: Site, stranger: Site, request_: str) -> None:
    """Nobody else is told the value, and no browser asks another origin first because of us."""
    cdn.landing()

    tab.open(cdn.url("/?tracking_data=secret"))
    ask(tab, request_, stranger.url("/api/"))

    assert [(each.method, each.tracking) for each in stranger.asked] == [("POST", None)]


def test_request_keeps_what_the_page_made_of_it(tab: Tab, cdn: Site) -> None:
    """Headers, bodies, forms and streams arrive as they were sent."""
    cdn.landing()

    tab.open(cdn.url("/?tracking_data=a"))
    tab.run("""(async () => {
      await fetch("/json/", {method: "POST", headers: {"Content-Type": "application/json", "X-Own": "1"}, body: "{}"})
      await fetch(new Request("/request/", {method: "PUT", headers: {"X-Own": "2"}, body: "content"}))
      const form = new FormData(); form.set("file", new File(["of a file"], "name.txt")); form.set("é", "à")
      await fetch("/form/", {method: "POST", body: form})
      await fetch("/again/", new Request("/ignored/", {method: "POST", headers: {"X-Own": "3"}}))
    })()""")

    posts = {each.path: each for each in cdn.posts()}
    assert posts["/json/"].body == b"{}"
    assert posts["/json/"].headers["Content-Type"] == "application/json"
    assert (posts["/json/"].headers["X-Own"], posts["/request/"].headers["X-Own"]) == ("1", "2")
    assert (posts["/request/"].method, posts["/request/"].body) == ("PUT", b"content")
    assert b"of a file" in posts["/form/"].body
    assert posts["/form/"].headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert posts["/again/"].headers["X-Own"] == "3"
    assert all(each.tracking for each in posts.values())


def test_stream_is_not_touched(tab: Tab, cdn: Site) -> None:
    """A body that is still being made is sent, or refused by the browser, as without the script."""
    stream = """(make => make().then(answer => String(answer.status), error => error.name))(() => fetch("/stream/", {
      method: "POST", duplex: "half", body: new Blob(["streamed"]).stream()}))"""
    cdn.landing()
    cdn.pages["/bare/"] = "<!doctype html>"

    tab.open(cdn.url("/bare/"))
    bare = tab.run(stream)
    tab.open(cdn.url("/?tracking_data=a"))

    assert tab.run(stream) == bare


def test_aborted_and_impossible_requests_fail_as_without_the_script(tab: Tab, cdn: Site) -> None:
    """An error of a request is the page's own, of the same kind."""
    requests = """Promise.all([
      fetch("/x/", {method: "POST", signal: AbortSignal.abort()}),
      fetch("http://[", {method: "POST"}),
      fetch("/x/", {method: "PO ST"}),
      fetch(),
      fetch("/x/", {method: "POST", headers: {"a b": "c"}}),
    ].map(each => each.then(() => "", error => error.name)))"""
    cdn.landing()
    cdn.pages["/bare/"] = "<!doctype html>"

    tab.open(cdn.url("/bare/"))
    bare = tab.run(requests)
    tab.open(cdn.url("/?tracking_data=a"))

    assert bare == ["AbortError", "TypeError", "TypeError", "TypeError", "TypeError"]
    assert tab.run(requests) == bare


OWN_HEADER: Final = {
    "fetch": "fetch('/api/', {method: 'POST', headers: {'x-track360-tracking': 'own'}})",
    "xhr": (
        "new Promise(done => { const x = new XMLHttpRequest(); x.open('POST', '/api/');"
        " x.setRequestHeader('x-track360-tracking', 'own'); x.onloadend = done; x.send() })"
    ),
}


@pytest.mark.parametrize("request_", OWN_HEADER.values(), ids=OWN_HEADER)
def test_header_of_the_page_itself_stays(tab: Tab, cdn: Site, request_: str) -> None:
    """What an application says itself is not said twice."""
    cdn.landing()

    tab.open(cdn.url("/?tracking_data=a"))
    tab.run(f"{request_}.then(() => 0)")

    assert cdn.posts()[0].tracking == "own"


def test_request_object_that_is_sent_again_carries_the_value_of_then(tab: Tab, cdn: Site) -> None:
    """An XMLHttpRequest that is opened again for another origin, or for reading, is a new one."""
    cdn.landing()

    tab.open(cdn.url("/?tracking_data=a"))
    tab.run("""(async () => { const x = new XMLHttpRequest();
      for (const method of ["POST", "GET", "PUT"]) { x.open(method, "/api/");
        await new Promise(done => { x.onloadend = done; x.send() }) } })()""")

    assert [bool(each.tracking) for each in cdn.asked if each.path == "/api/"] == [True, False, True]


# Consent.


def test_without_consent_nothing_is_stored_and_the_value_rides_along(tab: Tab, cdn: Site) -> None:
    """A form and a request of the very page carry the value; the browser remembers nothing."""
    cdn.landing('data-consent="required" data-endpoint="/remember/"', FORM)

    tab.open(cdn.url("/?tracking_data=a"))
    ask(tab, "fetch", "/api/")
    stored = tab.cookies(), tab.run("localStorage.length + sessionStorage.length")
    tab.go(SUBMIT)

    assert stored == ({}, 0)
    assert [each.path for each in cdn.posts()] == ["/api/", "/join/"]
    assert "tracking_data=a&" in str(cdn.posts()[0].tracking)
    assert cdn.posts()[1].form["tracking_data"] == "a"


@pytest.mark.parametrize(
    "act",
    [
        "track360.consent(true)",
        "document.dispatchEvent(new CustomEvent('track360:consent', {detail: true}))",
    ],
    ids=["call", "event"],
)
def test_consent_stores_what_rode_along(tab: Tab, cdn: Site, act: str) -> None:
    """From the consent on, the value is remembered on all pages."""
    cdn.landing('data-consent="required"', FORM)

    tab.open(cdn.url("/?tracking_data=a"))
    tab.run(act)
    tab.open(cdn.url("/"))
    tab.go(SUBMIT)

    assert remembered(tab) == {"tracking_data": "a"}
    assert cdn.posts()[0].form["tracking_data"] == "a"


def test_consent_is_true_and_nothing_else(tab: Tab, cdn: Site) -> None:
    """What a banner says in other words is no consent."""
    cdn.landing('data-consent="required"')

    for given in ("1", "'true'", "{}", "undefined", "null", "'denied'"):
        tab.open(cdn.url("/?tracking_data=a"))
        tab.run(f"track360.consent({given})")

    assert tab.cookies() == {}


def test_consent_that_was_given_before_the_script_came_counts(tab: Tab, cdn: Site) -> None:
    """A banner that is faster than the script leaves a note."""
    cdn.pages["/early.js"] = "window.track360 = {consent: true}"
    cdn.pages["/"] = (
        '<!doctype html><script src="/early.js"></script><script src="/capture.js" data-consent="required" defer></script>'
    )

    tab.open(cdn.url("/?tracking_data=a"))

    assert remembered(tab) == {"tracking_data": "a"}


def test_withdrawal_erases_what_is_stored_and_what_rides_along(tab: Tab, cdn: Site) -> None:
    """After a withdrawal neither cookie nor page knows the value, and the server is told once."""
    cdn.landing('data-endpoint="/remember/"', FORM)

    tab.open(cdn.url("/?tracking_data=a"))
    wait_for_posts(tab, cdn, 1)
    tab.run("track360.consent(false); track360.consent(false)")
    wait_for_posts(tab, cdn, 2)
    cookies = tab.cookies()
    ask(tab, "fetch", "/api/")
    tab.go(SUBMIT)

    remember, forget, api, form = cdn.posts()
    assert cookies == {}
    assert (remember.form["tracking_data"], forget.form) == ("a", {"forget": "1"})
    assert api.tracking is None
    assert form.form == {"email": "a@example.com"}


def test_withdrawal_erases_the_cookie_of_the_domain(tab: Tab, cdn: Site) -> None:
    """A cookie that sub-domains share is erased for all of them."""
    cdn.landing('data-domain="brand.test"')

    tab.open(cdn.url("/?tracking_data=a", "www.brand.test"))
    tab.run("track360.consent(false)")

    assert tab.cookies() == {}


# The endpoint.


def test_endpoint_is_told_each_landing_once(tab: Tab, cdn: Site) -> None:
    """A page that is opened without a parameter tells nothing."""
    cdn.landing('data-endpoint="/remember/"')

    for path, told in (("/?tracking_data=a", 1), ("/", 1), ("/?x=1", 1), ("/?tracking_data=b", 2)):
        tab.open(cdn.url(path))
        wait_for_posts(tab, cdn, told)

    assert [(each.path, each.form["tracking_data"]) for each in cdn.posts()] == [
        ("/remember/", "a"),
        ("/remember/", "b"),
    ]
    assert cdn.posts()[0].headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert cdn.posts()[0].headers["Sec-Fetch-Site"] == "same-origin"


@pytest.mark.parametrize(
    ("status", "warnings"), [(404, ["track360: 404 /remember/"]), (204, [])], ids=["missing", "there"]
)
def test_endpoint_that_is_not_there_is_told_of_in_the_console(
    tab: Tab, cdn: Site, status: int, warnings: list[str]
) -> None:
    """Who forgot to include the URLs reads it once, where they look."""
    cdn.statuses["/remember/"] = status
    cdn.pages["/watch.js"] = "warnings = []; console.warn = (...words) => warnings.push(words.join(' '))"
    cdn.pages["/"] = (
        '<!doctype html><script src="/watch.js"></script><script src="/capture.js" data-endpoint="/remember/"></script>'
    )

    tab.open(cdn.url("/?tracking_data=a"))
    tab.wait_until(lambda: tab.run("performance.getEntriesByName(location.origin + '/remember/').length"))
    tab.run("new Promise(done => setTimeout(done, 20))")

    assert tab.run("warnings") == warnings


# The page never notices.


def test_strict_content_security_policy_is_not_violated(tab: Tab, cdn: Site) -> None:
    """A page that permits nothing but itself may use all of the script."""
    cdn.headers["Content-Security-Policy"] = POLICY
    cdn.landing('data-endpoint="/remember/"', FORM)
    tab.open(cdn.url("/?tracking_data=a"))
    tab.run(
        "violations = []; document.addEventListener('securitypolicyviolation', e => violations.push(e.blockedURI))"
    )
    wait_for_posts(tab, cdn, 1)

    ask(tab, "fetch", "/api/")
    ask(tab, "xhr", "/api/")
    tab.run("track360.consent(false); track360.consent(true)")
    wait_for_posts(tab, cdn, 4)

    assert tab.run("violations") == []
    assert [bool(each.tracking) for each in cdn.posts()] == [False, True, True, False]


def test_script_has_nothing_that_a_strict_policy_forbids() -> None:
    """Neither code made of text, nor inline handlers, nor styles."""
    source = SCRIPT.read_text()

    assert not re.search(r"\beval\b|new Function|innerHTML|\.style\b|document\.write|createElement", source)


def test_script_that_is_included_twice_works_once(tab: Tab, cdn: Site) -> None:
    """Two templates that both include it do no harm."""
    cdn.landing(
        'data-endpoint="/remember/"', '<script src="/capture.js" data-endpoint="/remember/" defer></script>'
    )

    tab.open(cdn.url("/?tracking_data=a"))
    wait_for_posts(tab, cdn, 1)
    ask(tab, "xhr", "/api/")

    assert [each.path for each in cdn.posts()] == ["/remember/", "/api/"]
    assert str(cdn.posts()[1].tracking).count("tracking_data") == 1


def test_page_without_cookies_keeps_the_value_while_it_is_open(tab: Tab, cdn: Site) -> None:
    """A browser that stores no cookie carries the value of the very page."""
    cdn.pages["/"] = f'<!doctype html><script src="/no.js"></script><script src="/capture.js"></script>{FORM}'
    cdn.pages["/no.js"] = "Object.defineProperty(document, 'cookie', {get() { return '' }, set() {}})"

    tab.open(cdn.url("/?tracking_data=a"))
    tab.go(SUBMIT)

    assert cdn.posts()[0].form["tracking_data"] == "a"


def test_page_that_lets_nobody_wrap_its_requests_is_unharmed(tab: Tab, cdn: Site) -> None:
    """Where `fetch` can't be replaced, forms still carry the landing."""
    frozen = "Object.defineProperty(window, 'fetch', {value: window.fetch, writable: false}); Object.freeze(XMLHttpRequest.prototype)"
    cdn.pages["/frozen.js"] = frozen
    cdn.pages["/"] = (
        f'<!doctype html><script src="/frozen.js"></script><script src="/capture.js"></script>{FORM}'
    )

    tab.open(cdn.url("/?tracking_data=a"))
    ask(tab, "fetch", "/api/")
    tab.go(SUBMIT)

    assert cdn.posts()[0].tracking is None
    assert cdn.posts()[1].form["tracking_data"] == "a"


def test_page_that_may_not_read_cookies_is_unharmed(tab: Tab, cdn: Site) -> None:
    """Where the browser throws at the sight of cookies, the page gets no error, and its form is sent."""
    cdn.headers["Content-Security-Policy"] = "sandbox allow-scripts allow-forms"
    cdn.landing(body=FORM)

    tab.open(cdn.url("/?tracking_data=a"))
    tab.go(SUBMIT)

    assert cdn.posts()[0].form["email"] == "a@example.com"


def test_damaged_cookie_breaks_no_request(tab: Tab, cdn: Site) -> None:
    """Whatever somebody wrote into the cookie, forms and requests arrive."""
    values = ("%00", "é", "a b", '"', "%zz", "x" * 3000, "=&=&")
    cdn.landing(body=FORM)

    for value in values:
        tab.open(cdn.url("/"))
        tab.run(f"document.cookie = 'track360_js=' + {json.dumps(value)}; 0")
        ask(tab, "fetch-request", "/api/")
        ask(tab, "xhr", "/api/")
        tab.go(SUBMIT)

    assert [each.path for each in cdn.posts()] == ["/api/", "/api/", "/join/"] * len(values)


def test_prerendered_page_is_no_landing_until_it_is_opened(browser: Chromium, tab: Tab, cdn: Site) -> None:
    """A page that the browser renders in advance remembers nothing; opened, it does."""
    rules = json.dumps({"prerender": [{"source": "list", "urls": ["/offer/?tracking_data=a"]}]})
    cdn.landing(body=f'<script type="speculationrules">{rules}</script><script src="/go.js"></script>')
    cdn.pages["/go.js"] = """setInterval(async () => {
      if (await (await fetch("/go/")).text() === "go") location.href = "/offer/?tracking_data=a" }, 20)"""
    cdn.landing(path="/offer/", body='<script src="/tell.js" defer></script>')
    cdn.pages["/tell.js"] = """const tell = () => fetch(`/told/?${document.prerendering}&${document.cookie}`);
      tell(); document.addEventListener("prerenderingchange", tell)"""

    def told() -> list[str]:
        return [each.path for each in cdn.asked if each.path.startswith("/told/")]

    with browser.unwatched(cdn.url("/")):
        tab.wait_until(lambda: len(told()) == 1)
        before = tab.cookies()
        cdn.pages["/go/"] = "go"
        tab.wait_until(lambda: len(told()) == 2)

    assert told()[0] == "/told/?true&"
    assert before == {}
    assert told()[1].startswith("/told/?false&track360_js=tracking_data=a")
    assert remembered(tab) == {"tracking_data": "a"}


def test_script_is_small() -> None:
    """What a visitor downloads, compressed as servers do: as it is shipped, and without comments and indentation."""
    shipped = SCRIPT.read_text()
    bare = re.sub(r"/\*(?s:.*?)\*/|^\s*//.*$|^\s+", "", shipped, flags=re.MULTILINE).strip()

    # All of the program is measured.
    assert bare.startswith("(function (page, doc)")
    assert bare.endswith("})(window, document);")
    assert len(gzip.compress(shipped.encode(), 9)) <= 2800
    assert len(gzip.compress(bare.encode(), 9)) <= 2000
