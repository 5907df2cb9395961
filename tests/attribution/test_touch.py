"""The touch: read from a raw query string exactly or not at all, forgotten when it is too old."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import signing
from django.test import RequestFactory
from pytest_django import Settings as HostSettings

from tests.tracking_values import LINKS, READABLE, UNREADABLE
from track360_django import attribution
from track360_django.attribution import Memory, Touch, Touches, capture, has_parameter, is_document
from track360_django.conf import Settings

NOW = datetime(2025, 7, 21, 8, 46, 12, 345678, tzinfo=UTC)
NAMES = ("tracking_data",)
DAY = timedelta(days=1)


def read(query_string: str) -> dict[str, str]:
    """Return the parameters that a query string brings."""
    landing = capture(query_string.encode(), NAMES, NOW)
    return dict(landing.touch.params) if landing and landing.touch else {}


def touch(value: str = "a", age: timedelta = timedelta(0)) -> Touch:
    """Return a touch of some age."""
    return Touch(params={"tracking_data": value}, at=datetime.now(UTC).replace(microsecond=0) - age)


@pytest.mark.parametrize(("raw", "value"), READABLE.values(), ids=READABLE)
def test_readable_value_is_kept_exactly(raw: str, value: str) -> None:
    """A value is decoded once and kept as it is."""
    assert read(f"utm=x&tracking_data={raw}&page=2") == {"tracking_data": value}


@pytest.mark.parametrize(("raw", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_value_is_refused_with_its_reason(raw: str, reason: str) -> None:
    """A value that can't be returned exactly is no touch, and the landing says why."""
    landing = capture(f"tracking_data={raw}".encode(), NAMES, NOW)

    assert landing is not None
    assert landing.touch is None
    assert landing.refusals == (("tracking_data", reason),)


@pytest.mark.parametrize(
    ("query_string", "value"),
    [
        pytest.param("tracking_data=a&tracking_data=b", "b", id="last"),
        pytest.param("tracking_data=a&tracking_data=", "a", id="last-is-empty"),
        pytest.param("tracking_data=a&tracking_data=%ff", "a", id="last-is-broken"),
        pytest.param("tracking_data=a&tracking_data=" + "x" * 51, "a", id="last-is-too-long"),
        pytest.param("tracking_data=%00&tracking_data=b", "b", id="first-is-broken"),
        pytest.param("tracking_data=a&tracking%5Fdata=b", "b", id="other-spelling"),
    ],
)
def test_repeated_parameter_counts_with_its_last_valid_value(query_string: str, value: str) -> None:
    """Of several values the last one that is valid counts."""
    assert read(query_string) == {"tracking_data": value}


@pytest.mark.parametrize("name", ["tracking_data", "tracking%5Fdata", "tracking%5fdata"])
def test_escaped_name_is_recognised(name: str) -> None:
    """A link builder that escapes the underscore loses nothing."""
    assert has_parameter(f"{name}=a", NAMES)
    assert read(f"{name}=a") == {"tracking_data": "a"}


@pytest.mark.parametrize(
    "query_string",
    [
        "",
        "my_tracking_data=a",
        "tracking_data2=a",
        "tracking_data.x=a",
        "my-tracking_data=a",
        "TRACKING_DATA=a",
        "q=tracking_data",
        "q=what+is+tracking_data%3F",
    ],
)
def test_other_parameter_is_no_landing(query_string: str) -> None:
    """A name that only looks like the parameter, or is a word of a search, brings nothing."""
    assert capture(query_string.encode(), NAMES, NOW) is None


@pytest.mark.parametrize("query_string", LINKS.values(), ids=LINKS)
def test_link_is_read_as_tools_really_write_it(query_string: str) -> None:
    """Whatever a mail tool, a link builder or a redirect puts between the pairs, the value is found exactly."""
    assert read(query_string) == {"tracking_data": "a"}


def test_packed_value_is_decoded_once_for_each_time_it_was_packed() -> None:
    """A value in a link that is a parameter of another link says what it said in its own."""
    assert read("next=%2F%3Ftracking_data%3Da%252Bb%2526c") == {"tracking_data": "a+b&c"}


@pytest.mark.parametrize(
    ("query_string", "reason"),
    [
        pytest.param("tracking_data", "empty", id="no-value"),
        pytest.param("tracking_data&lang=en", "empty", id="no-value-first"),
        pytest.param("lang=en&tracking_data#top", "empty", id="no-value-before-a-fragment"),
        pytest.param("next=tracking_data%3Da", "damaged_link", id="value-of-another"),
        pytest.param("utm_content=x|tracking_data=a", "damaged_link", id="other-mark-between"),
        pytest.param("lang=en,tracking_data=a", "damaged_link", id="comma-between"),
        pytest.param("lang=en%7Ctracking_data%3Da", "damaged_link", id="escaped-mark-between"),
        pytest.param("lang=en&%5Btracking_data%5D%3Da&tracking_data%20=a", "damaged_link", id="blank-behind"),
    ],
)
def test_link_that_visibly_has_the_parameter_is_refused_and_never_taken_for_none(
    query_string: str, reason: str
) -> None:
    """What can't be read exactly has a reason of its own."""
    landing = capture(query_string.encode(), NAMES, NOW)

    assert landing is not None
    assert landing.touch is None
    assert landing.refusals == (("tracking_data", reason),)


def test_several_parameters_are_kept_together() -> None:
    """All parameters of one landing are one touch; one of them refused leaves the others."""
    landing = capture(
        b"sub_id=%00&tracking_data=a&click%5Fid=7", ("tracking_data", "sub_id", "click_id"), NOW
    )

    assert landing is not None
    assert landing.touch is not None
    assert landing.touch.params == {"tracking_data": "a", "click_id": "7"}
    assert landing.refusals == (("sub_id", "control_character"),)


def test_parameter_name_with_special_characters_is_taken_literally() -> None:
    """A name out of the settings is no pattern."""
    assert capture(b"aXb=1", ("a.b",), NOW) is None
    landing = capture(b"a.b=1", ("a.b",), NOW)
    assert landing is not None
    assert landing.touch is not None


def test_parameter_refused_a_thousand_times_is_told_once() -> None:
    """A URL full of refused values makes no more noise than one of them."""
    landing = capture(b"tracking_data=&" * 1000 + b"tracking_data=%ff&" * 1000, NAMES, NOW)

    assert landing is not None
    assert sorted(landing.refusals) == [("tracking_data", "empty"), ("tracking_data", "undecodable")]


def test_last_refusal_comes_last() -> None:
    """Refusals are told in the order in which they were last seen."""
    landing = capture(b"tracking_data=&tracking_data=%ff&tracking_data=", NAMES, NOW)

    assert landing is not None
    assert landing.refusals[-1] == ("tracking_data", "empty")


DOCUMENT_HEADERS: list[tuple[str, dict[str, str], bool]] = [
    ("GET", {}, True),
    ("HEAD", {}, True),
    ("GET", {"HTTP_SEC_FETCH_DEST": "document"}, True),
    (
        "GET",
        {"HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"},
        True,
    ),
    ("GET", {"HTTP_USER_AGENT": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) [FBAN/FBIOS;FBAV/468.0.0]"}, True),
    # A brand of phones.
    (
        "GET",
        {"HTTP_USER_AGENT": "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 Chrome/74.0"},
        True,
    ),
    ("POST", {}, False),
    ("PUT", {}, False),
    ("OPTIONS", {}, False),
    ("GET", {"HTTP_SEC_FETCH_DEST": "image"}, False),
    ("GET", {"HTTP_SEC_FETCH_DEST": "iframe"}, False),
    ("GET", {"HTTP_SEC_FETCH_DEST": "empty"}, False),
    # What a service worker passes on.
    ("GET", {"HTTP_SEC_FETCH_DEST": "empty", "HTTP_SEC_FETCH_MODE": "navigate"}, True),
    (
        "GET",
        {
            "HTTP_SEC_FETCH_DEST": "empty",
            "HTTP_SEC_FETCH_MODE": "same-origin",
            "HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8",
        },
        True,
    ),
    # A script's own requests.
    (
        "GET",
        {"HTTP_SEC_FETCH_DEST": "empty", "HTTP_SEC_FETCH_MODE": "cors", "HTTP_ACCEPT": "text/html"},
        False,
    ),
    (
        "GET",
        {"HTTP_SEC_FETCH_DEST": "empty", "HTTP_SEC_FETCH_MODE": "same-origin", "HTTP_ACCEPT": "*/*"},
        False,
    ),
    ("GET", {"HTTP_SEC_FETCH_DEST": "image", "HTTP_SEC_FETCH_MODE": "navigate"}, False),
    (
        "GET",
        {
            "HTTP_SEC_FETCH_DEST": "empty",
            "HTTP_SEC_FETCH_MODE": "navigate",
            "HTTP_SEC_PURPOSE": "prefetch;prerender",
        },
        False,
    ),
    ("GET", {"HTTP_SEC_PURPOSE": "prefetch"}, False),
    ("GET", {"HTTP_SEC_PURPOSE": "prefetch;prerender"}, False),
    ("GET", {"HTTP_PURPOSE": "prefetch"}, False),
    ("GET", {"HTTP_X_MOZ": "Prefetch"}, False),
    (
        "GET",
        {"HTTP_USER_AGENT": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
        False,
    ),
    ("GET", {"HTTP_USER_AGENT": "facebookexternalhit/1.1"}, False),
    ("GET", {"HTTP_USER_AGENT": "Mozilla/5.0 (compatible; Yahoo! Slurp)"}, False),
    ("GET", {"HTTP_USER_AGENT": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}, False),
]


@pytest.mark.parametrize(
    ("method", "meta", "expected"),
    DOCUMENT_HEADERS,
    ids=[f"{method}-{'-'.join(meta.values())[:60]}" for method, meta, _ in DOCUMENT_HEADERS],
)
def test_document_is_told_from_other_requests(method: str, meta: dict[str, str], *, expected: bool) -> None:
    """Only a person's browser opening a page is a landing."""
    assert is_document(meta, method) is expected


def test_second_touch_becomes_the_last_and_leaves_the_first() -> None:
    """The first touch stays while it is within the window."""
    memory = Memory().with_touch(touch("a", 2 * DAY), 30 * DAY).with_touch(touch("b"), 30 * DAY)

    assert memory.first is not None
    assert memory.last is not None
    assert (memory.first.params["tracking_data"], memory.last.params["tracking_data"]) == ("a", "b")


def test_landing_counts_after_one_of_a_server_whose_clock_is_ahead() -> None:
    """A touch of the future keeps no later landing out."""
    now = datetime.now(UTC)
    ahead = touch("ahead", -timedelta(minutes=1))

    memory = Memory(first=ahead, last=ahead).with_touch(
        Touch(params={"tracking_data": "now"}, at=now.replace(microsecond=0)), 30 * DAY, now
    )

    assert memory.last is not None
    assert memory.last.params == {"tracking_data": "now"}


def test_touch_that_is_left_is_both() -> None:
    """Where the first touch has expired, the oldest one that has not is the first."""
    state = Memory(first=touch("old", 31 * DAY), last=touch("young", DAY)).as_state()

    memory = attribution.parse_state(state, Settings())

    assert memory.first == memory.last
    assert memory.last is not None
    assert memory.last.params == {"tracking_data": "young"}


def test_expired_first_touch_gives_way() -> None:
    """A first touch that is too old is replaced by the new one."""
    memory = Memory().with_touch(touch("a", 31 * DAY), 30 * DAY).with_touch(touch("b"), 30 * DAY)

    assert memory.first is not None
    assert memory.first.params == {"tracking_data": "b"}


@pytest.mark.parametrize(
    ("age", "is_kept"),
    [
        pytest.param(timedelta(0), True, id="now"),
        pytest.param(timedelta(days=29, hours=23, minutes=59), True, id="a-minute-left"),
        pytest.param(timedelta(days=30, minutes=1), False, id="a-minute-too-old"),
        pytest.param(timedelta(hours=-1), True, id="of-a-server-whose-clock-is-ahead"),
    ],
)
def test_remembered_touch_counts_within_the_window(age: timedelta, *, is_kept: bool) -> None:
    """A touch is recalled for as many days as the setting says."""
    state = Memory(last=touch("a", age)).as_state()

    assert (attribution.parse_state(state, Settings()).last is not None) is is_kept


def test_state_survives_json() -> None:
    """A memory is the same after it was written down as JSON."""
    memory = Memory(first=touch("שלום 🎰", DAY), last=touch("b+ c"))

    assert attribution.parse_state(json.loads(json.dumps(memory.as_state())), Settings()) == memory


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        "text",
        7,
        {"last": None},
        {"last": []},
        {"last": {"at": 1}},
        {"last": {"at": 1, "params": []}},
        {"last": {"at": "never", "params": {"tracking_data": "a"}}},
        {"last": {"at": None, "params": {"tracking_data": "a"}}},
        {"last": {"at": 10**30, "params": {"tracking_data": "a"}}},
        {"last": {"at": float("inf"), "params": {"tracking_data": "a"}}},
        {"last": {"params": {"tracking_data": "a"}}},
        {"last": {"at": 4_000_000_000, "params": {"tracking_data": 7}}},
        {"last": {"at": 4_000_000_000, "params": {"tracking_data": "x" * 51}}},
        {"last": {"at": 4_000_000_000, "params": {"tracking_data": "a\x00"}}},
        {"last": {"at": 4_000_000_000, "params": {"tracking_data": ""}}},
        {"last": {"at": 4_000_000_000, "params": {"other": "a"}}},
    ],
    ids=repr,
)
def test_damaged_state_is_an_empty_memory(state: Any) -> None:
    """What is remembered is checked again when it is read, whoever signed it."""
    assert attribution.parse_state(state, Settings()) == Memory()


def recall(cookie: str, rf: RequestFactory) -> Memory:
    """Return what a browser with a cookie remembers."""
    request = rf.get("/")
    request.COOKIES["track360"] = cookie
    return Touches(request).memory


def sign(memory: Memory, **options: Any) -> str:
    """Return a memory as the cookie holds it."""
    return signing.dumps(memory.as_state(), **{"salt": attribution.SALT, "compress": True, **options})


def test_own_cookie_is_recalled(rf: RequestFactory) -> None:
    """A cookie that we signed is believed."""
    memory = Memory(first=touch("a"), last=touch("b"))

    assert recall(sign(memory), rf) == memory


def test_forged_cookies_are_ignored(rf: RequestFactory) -> None:
    """Garbage, a cut, a changed letter, another salt and another key are nothing, and no error."""
    good = sign(Memory(last=touch("a")))
    forged = [
        "",
        "x",
        ":::",
        "🎰",
        "\x00",
        good[:-1],
        good[1:],
        good.replace(":", "."),
        f"{good}x",
        "x" * 100_000,
        signing.dumps(Memory(last=touch("a")).as_state()),
        sign(Memory(last=touch("a")), salt="django.contrib.messages"),
        sign(Memory(last=touch("a")), key="another-key"),
    ]

    assert [recall(cookie, rf) for cookie in forged] == [Memory()] * len(forged)


def test_cookie_of_another_shape_is_ignored(rf: RequestFactory) -> None:
    """A signed value that is no memory is nothing."""
    values: list[Any] = [None, [], 7, "a", {"last": 7}]
    signed = [signing.dumps(value, salt=attribution.SALT) for value in values]

    assert [recall(cookie, rf) for cookie in signed] == [Memory()] * len(signed)


def test_cookie_signed_too_long_ago_is_ignored(rf: RequestFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie is worth nothing after the window, though the browser still sends it."""
    long_ago = datetime.now(UTC) - 31 * DAY
    with monkeypatch.context() as patch:
        patch.setattr("django.core.signing.time.time", long_ago.timestamp)
        cookie = sign(Memory(last=touch("a", -DAY)))

    assert recall(cookie, rf) == Memory(lost="expired")


def test_cookie_of_the_former_secret_key_is_recalled(rf: RequestFactory, settings: HostSettings) -> None:
    """Rotating the host's key forgets nobody, while the former key is a fallback."""
    memory = Memory(first=touch("a"), last=touch("a"))
    cookie = sign(memory)

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the-next-key", [settings.SECRET_KEY]
    with_fallback = recall(cookie, rf)
    settings.SECRET_KEY_FALLBACKS = []
    without = recall(cookie, rf)

    assert with_fallback == memory
    assert without == Memory()


def test_longest_cookie_is_taken_by_browsers(rf: RequestFactory) -> None:
    """Two touches of fifty characters each stay far below the 4096 bytes that browsers keep."""
    first, last = ("".join(chr(start + number) for number in range(50)) for start in (0x1F300, 0x1F400))

    assert len(sign(Memory(first=touch(first), last=touch(last)))) < 3000
