"""The sandbox, over real HTTP and behind Django: it takes what the API guide shows, and refuses the rest with reasons."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.test import Client
from django.urls import clear_url_caches, include, path, set_urlconf
from pytest_django import Settings

from tests.pages import ROOT
from track360_django.sandbox import views
from track360_django.sandbox.checks import check_debug
from track360_django.sandbox.connection import shut
from track360_django.sandbox.faults import Ending, Fault
from track360_django.sandbox.log import RequestLog
from track360_django.sandbox.loopback import is_loopback
from track360_django.sandbox.server import SandboxServer
from track360_django.sandbox.store import fingerprint

urlpatterns = [path("somewhere/", include("track360_django.sandbox.urls"))]

TOKEN = "b1f4e7a2"
CUSTOMERS = "/tracking/events/customers"
ACTIVITIES = "/tracking/events/activities"
CUSTOMER_ID = "12386a7c-d843-4b12-9ad3-3ae295d49c27"

CUSTOMER = {
    "customerId": CUSTOMER_ID,
    "regtime": "2025-07-21 08:46",
    "country": "US",
    "firstName": "Alex",
    "lastName": "Taylor",
    "tracking_data": "2001_1000_abcdefg",
}
DEPOSIT = {
    "eventname": "Deposit",
    "eventid": "1234",
    "createtime": "2025-07-20 11:03",
    "customerid": CUSTOMER_ID,
    "Value": "250.00",
    "Currency": "USD",
}
GGR = {
    "eventname": "GGR",
    "eventid": "1235",
    "createtime": "2025-07-21 11:03",
    "customerid": CUSTOMER_ID,
    "Value": "50.00",
    "Currency": "USD",
}
DAILY = {
    "eventname": "DailyStats",
    "createtime": "2025-07-21",
    "customerid": CUSTOMER_ID,
    "GGR": "50.00",
    "NGR": "45.00",
    "Bets": "550.00",
    "Games": "15",
    "Currency": "USD",
}
CUSTOMER_SECTION = "Customer API, Field definitions"
ACTIVITY_SECTION = "Activity API, Field definitions"
REPORTING_SECTION = "Activity API, Event reporting logic"
TRACKING_SECTION = "Field Reference Tables, Tracking parameters"
BATCHING_SECTION = "General API Conventions, Batching"

Answer = tuple[int, Any]
Post = Callable[..., Answer]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """Return a sandbox that accepts one token."""
    with SandboxServer(token=TOKEN) as server:
        yield server


@pytest.fixture
def post(sandbox: SandboxServer) -> Post:
    """Return a function that posts records (or raw bytes) to the sandbox."""

    def send(where: str, body: object, **headers: str) -> Answer:
        return call(sandbox, "POST", where, body, **headers)

    return send


@pytest.fixture
def app(client: Client, settings: Settings) -> Iterator[Client]:
    """Return a client of a site that routes the sandbox, with DEBUG on."""
    settings.DEBUG = True
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = ["*"]
    clear_url_caches()
    set_urlconf(None)
    views.SANDBOX.store.clear()
    views.SANDBOX.faults.clear()
    yield client
    views.SANDBOX.store.clear()
    views.SANDBOX.faults.clear()


def connect(sandbox: SandboxServer, timeout_seconds: float = 5) -> http.client.HTTPConnection:
    """Return a connection to a sandbox."""
    host, _, port = sandbox.url.removeprefix("http://").rpartition(":")
    return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout_seconds)


def call(sandbox: SandboxServer, method: str, where: str, body: object = None, **headers: str) -> Answer:
    """Make one request on a connection of its own; return status and content."""
    with closing(connect(sandbox)) as connection:
        return call_over(connection, method, where, body, **headers)


def call_over(
    connection: http.client.HTTPConnection, method: str, where: str, body: object = None, **headers: str
) -> Answer:
    """Make one request; headers override those of a right one."""
    sent = {"x-api-key": TOKEN, "content-type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, where, body if isinstance(body, bytes) else json.dumps(body), sent)
    answer = connection.getresponse()
    content = answer.read()
    is_json = answer.headers.get("content-type") == "application/json" and content
    return answer.status, json.loads(content) if is_json else content.decode()


def without(record: dict[str, str], name: str) -> dict[str, str]:
    """Return a record without one of its fields."""
    return {key: value for key, value in record.items() if key != name}


# What the guide shows


def test_customer_of_the_guide_is_accepted(post: Post, sandbox: SandboxServer) -> None:
    """The guide's customer example is taken and stored field by field."""
    assert post(CUSTOMERS, [CUSTOMER]) == (200, {"accepted": 1, "duplicates": 0})

    assert sandbox.store.customer(CUSTOMER_ID) == CUSTOMER


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([DEPOSIT, GGR], id="batch of two"),
        pytest.param([DEPOSIT | {"eventid": "TX-9981422"}], id="Deposit"),
        pytest.param([without(GGR, "eventid") | {"createtime": "2025-07-21"}], id="GGR"),
        pytest.param(
            [without(GGR, "eventid") | {"eventname": "NGR", "createtime": "2025-07-21", "Value": "45.00"}],
            id="NGR",
        ),
        pytest.param([DAILY], id="DailyStats"),
    ],
)
def test_activities_of_the_guide_are_accepted(
    records: list[dict[str, str]], post: Post, sandbox: SandboxServer
) -> None:
    """Each activity example of the guide is taken once its customer is known."""
    post(CUSTOMERS, [CUSTOMER])

    assert post(ACTIVITIES, records) == (200, {"accepted": len(records), "duplicates": 0})
    assert sandbox.store.activities() == tuple(records)


@pytest.mark.parametrize(
    ("where", "record"),
    [
        pytest.param(CUSTOMERS, {"customerId": "1"}, id="customer with its id alone"),
        pytest.param(CUSTOMERS, CUSTOMER | {"regtime": "2024-02-29"}, id="leap day without a time"),
        pytest.param(CUSTOMERS, CUSTOMER | {"tracking_data": "é" * 50}, id="50 characters, more bytes"),
        pytest.param(CUSTOMERS, CUSTOMER | {"vip": True, "level": 3, "tags": ["a"]}, id="additional fields"),
        pytest.param(ACTIVITIES, {"eventname": "x", "customerid": CUSTOMER_ID}, id="activity, two fields"),
        pytest.param(ACTIVITIES, DEPOSIT | {"Value": "-0.5"}, id="negative"),
        pytest.param(ACTIVITIES, DEPOSIT | {"Value": "9" * 60 + ".000001"}, id="long number"),
        pytest.param(ACTIVITIES, DEPOSIT | {"depositType": "Infinity Card", "ref": "12e45"}, id="details"),
        pytest.param(ACTIVITIES, DEPOSIT | {"first": True, "legs": {"home": ["1"]}}, id="nested details"),
    ],
)
def test_unusual_but_right_records_are_accepted(where: str, record: dict[str, object], post: Post) -> None:
    """What the guide allows or leaves to an agreement is not refused."""
    post(CUSTOMERS, [CUSTOMER])

    assert post(where, [record])[0] == 200


# What it refuses


@pytest.mark.parametrize(
    ("change", "field", "section"),
    [
        pytest.param({"customerId": None}, "customerId", CUSTOMER_SECTION, id="id null"),
        pytest.param({"customerId": ""}, "customerId", CUSTOMER_SECTION, id="id empty"),
        pytest.param({"customerId": "  "}, "customerId", CUSTOMER_SECTION, id="id blank"),
        pytest.param({"customerId": 7}, "customerId", CUSTOMER_SECTION, id="id number"),
        pytest.param({"customerId": True}, "customerId", CUSTOMER_SECTION, id="id boolean"),
        pytest.param({"customerId": "\ud800"}, "customerId", CUSTOMER_SECTION, id="half a surrogate pair"),
        pytest.param({"customerid": "7"}, "customerid", CUSTOMER_SECTION, id="id of the other API"),
        pytest.param({"Customer_ID": "7"}, "Customer_ID", CUSTOMER_SECTION, id="id misspelt"),
        pytest.param({"first_name": "Alex"}, "first_name", CUSTOMER_SECTION, id="name misspelt"),
        pytest.param({"country": ["US"]}, "country", CUSTOMER_SECTION, id="country array"),
        pytest.param({"lastName": None}, "lastName", CUSTOMER_SECTION, id="name null"),
        pytest.param({"firstName": ""}, "firstName", CUSTOMER_SECTION, id="name empty"),
        pytest.param({"regtime": "2025-07-21T08:46"}, "regtime", CUSTOMER_SECTION, id="time with T"),
        pytest.param({"regtime": "2025-07-21 08:46:00"}, "regtime", CUSTOMER_SECTION, id="time with seconds"),
        pytest.param({"regtime": "2025-7-21 8:46"}, "regtime", CUSTOMER_SECTION, id="time unpadded"),
        pytest.param({"regtime": "2025-02-29 08:46"}, "regtime", CUSTOMER_SECTION, id="no such day"),
        pytest.param({"regtime": "2025-07-21 24:00"}, "regtime", CUSTOMER_SECTION, id="no such hour"),
        pytest.param({"regtime": "٢٠٢٥-07-21"}, "regtime", CUSTOMER_SECTION, id="other digits"),
        pytest.param({"regtime": "2025-07-21\n"}, "regtime", CUSTOMER_SECTION, id="trailing newline"),
        pytest.param({"regtime": 1753087560}, "regtime", CUSTOMER_SECTION, id="time as a number"),
        pytest.param({"tracking_data": "x" * 51}, "tracking_data", TRACKING_SECTION, id="51 characters"),
        pytest.param({"tracking_data": ""}, "tracking_data", TRACKING_SECTION, id="tracking empty"),
        pytest.param({"status": None}, "status", CUSTOMER_SECTION, id="additional null"),
        pytest.param({"status": ""}, "status", CUSTOMER_SECTION, id="additional empty"),
        pytest.param({"score": 1.5}, "score", CUSTOMER_SECTION, id="additional float"),
        pytest.param({"tags": []}, "tags", CUSTOMER_SECTION, id="additional empty array"),
        pytest.param({"tags": [{"a": None}]}, "tags", CUSTOMER_SECTION, id="null inside"),
        pytest.param({"": "x"}, "", CUSTOMER_SECTION, id="empty name"),
        pytest.param({"\ud800": "x"}, "\\ud800", CUSTOMER_SECTION, id="name half a surrogate pair"),
    ],
)
def test_wrong_customer_is_refused_with_its_place(
    change: dict[str, object], field: str, section: str, post: Post, sandbox: SandboxServer
) -> None:
    """A wrong customer field refuses the batch; the error names record, field and section of the guide."""
    status, content = post(CUSTOMERS, [CUSTOMER | {"customerId": "other"}, CUSTOMER | change])

    assert status == 400
    assert [(each["index"], each["field"], each["guide"]) for each in content["errors"]] == [
        (1, field, section)
    ]
    assert sandbox.store.snapshot().customers == ()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"eventname": ""}, "eventname", id="name empty"),
        pytest.param({"eventid": 1234}, "eventid", id="eventid number"),
        pytest.param({"customerId": CUSTOMER_ID}, "customerId", id="id of the other API"),
        pytest.param({"createtime": "20.07.2025"}, "createtime", id="time in another order"),
        pytest.param({"Value": 250}, "Value", id="JSON integer"),
        pytest.param({"Value": 250.5}, "Value", id="JSON float"),
        pytest.param({"Value": float("nan")}, "Value", id="JSON NaN"),
        pytest.param({"Value": "1E+3"}, "Value", id="exponent"),
        pytest.param({"Value": "NaN"}, "Value", id="NaN"),
        pytest.param({"Value": "1,000.00"}, "Value", id="thousands separator"),
        pytest.param({"Value": "250,00"}, "Value", id="decimal comma"),
        pytest.param({"Value": "+250.00"}, "Value", id="plus sign"),
        pytest.param({"Value": ".50"}, "Value", id="no digit before the point"),
        pytest.param({"Value": "250."}, "Value", id="no digit after the point"),
        pytest.param({"Value": "0250"}, "Value", id="leading zero"),
        pytest.param({"Value": " 250"}, "Value", id="white space"),
        pytest.param({"Value": ""}, "Value", id="amount empty"),
        pytest.param({"Value": None}, "Value", id="amount null"),
        pytest.param({"value": "250.00"}, "value", id="value in lower case"),
        pytest.param({"currency": "USD"}, "currency", id="currency in lower case"),
        pytest.param({"Currency": "usd"}, "Currency", id="code in lower case"),
        pytest.param({"Currency": "US"}, "Currency", id="two letters"),
        pytest.param({"Currency": "USDT"}, "Currency", id="four letters"),
        pytest.param({"Currency": "ÜSD"}, "Currency", id="no ASCII letter"),
        pytest.param({"GGR": "1e2"}, "GGR", id="KPI with exponent"),
        pytest.param({"Games": 15}, "Games", id="KPI as a JSON number"),
        pytest.param({"Lots": 2}, "Lots", id="own KPI as a JSON number"),
        pytest.param({"Lots": "1E-7"}, "Lots", id="own KPI with exponent"),
        pytest.param({"Lots": "-Infinity"}, "Lots", id="own KPI infinite"),
        pytest.param({"Lots": None}, "Lots", id="own KPI null"),
    ],
)
def test_wrong_activity_is_refused_with_its_place(
    change: dict[str, object], field: str, post: Post, sandbox: SandboxServer
) -> None:
    """A wrong activity field refuses the batch; the error names record, field and section of the guide."""
    post(CUSTOMERS, [CUSTOMER])

    status, content = post(ACTIVITIES, [DAILY, DEPOSIT | change])

    assert status == 400
    assert [(each["index"], each["field"], each["guide"]) for each in content["errors"]] == [
        (1, field, ACTIVITY_SECTION)
    ]
    assert sandbox.store.activities() == ()


@pytest.mark.parametrize(
    ("where", "record", "field", "section"),
    [
        pytest.param(
            CUSTOMERS, without(CUSTOMER, "customerId"), "customerId", "General API Conventions, Uniqueness"
        ),
        pytest.param(ACTIVITIES, without(DEPOSIT, "customerid"), "customerid", REPORTING_SECTION),
        pytest.param(ACTIVITIES, without(DEPOSIT, "eventname"), "eventname", REPORTING_SECTION),
    ],
    ids=["customerId", "customerid", "eventname"],
)
def test_missing_field_is_refused(
    where: str, record: dict[str, str], field: str, section: str, post: Post
) -> None:
    """A record without a field that its API can't do without is refused."""
    status, content = post(where, [record])

    assert (status, content["errors"][0]["field"], content["errors"][0]["guide"]) == (400, field, section)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[", id="no JSON"),
        pytest.param(b"{}", id="object"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b"[]", id="empty array"),
        pytest.param(b"[1]", id="array of numbers"),
        pytest.param(b"[null]", id="array of null"),
        pytest.param(b'[{"customerId":"\xff"}]', id="no UTF-8"),
        pytest.param(b"\xef\xbb\xbf[]", id="byte order mark"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b'[{"customerId":"1","level":' + b"9" * 5000 + b"}]", id="number without end"),
    ],
)
def test_body_that_is_no_batch_is_refused(body: bytes, post: Post) -> None:
    """A body that is no array of objects is refused with a pointer to the section on batches."""
    status, content = post(CUSTOMERS, body)

    assert status == 400
    assert content["errors"][0]["guide"] == BATCHING_SECTION


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b'[{"customerId":"1","customerId":"2"}]', None, id="in a record"),
        pytest.param(b'[{"customerId":"1","more":{"a":"1","a":"2"}}]', "more", id="deeper"),
        pytest.param(
            b'[{"customerId":"1","more":' + b"[" * 200 + b"1" + b"]" * 200 + b"}]", "more", id="depth"
        ),
    ],
)
def test_ambiguous_or_deep_record_is_refused(body: bytes, field: str | None, post: Post) -> None:
    """A name that comes twice has two readings, and endless nesting none: both are refused."""
    status, content = post(CUSTOMERS, body)

    assert (status, content["errors"][0]["field"]) == (400, field)


def test_every_problem_of_a_batch_is_named(post: Post) -> None:
    """All problems are listed, in the order of the records, up to a hundred."""
    _, content = post(CUSTOMERS, [{"customerId": ""}] * 300)

    assert [each["index"] for each in content["errors"]] == list(range(100))


def test_refusal_never_repeats_values(post: Post, sandbox: SandboxServer) -> None:
    """Neither the answer nor the page repeats the values of a refused record."""
    secret = "Szczebrzeszyn"
    wrong = {
        "customerId": [secret],
        "regtime": secret,
        "firstName": {"x": secret},
        "tracking_data": secret * 9,
    }

    _, content = post(CUSTOMERS, [wrong])

    assert len(content["errors"]) == 4
    assert secret not in json.dumps(content)
    assert secret not in call(sandbox, "GET", "/sandbox/")[1]


# The envelope


@pytest.mark.parametrize(
    "token", ["", "wrong", TOKEN.upper(), f"{TOKEN}x"], ids=["none", "wrong", "case", "longer"]
)
@pytest.mark.parametrize("where", [CUSTOMERS, ACTIVITIES])
def test_wrong_token_is_refused(where: str, token: str, post: Post, sandbox: SandboxServer) -> None:
    """Another token than the configured one gets a 401, and nothing takes effect."""
    status, content = post(where, [CUSTOMER], x_api_key=token)

    assert status == 401
    assert content["errors"][0]["guide"] == "Authentication, Required header"
    assert sandbox.store.snapshot().customers == ()


def test_any_token_opens_when_none_is_configured() -> None:
    """Without a configured token every token is a brand, and the empty one is none."""
    with SandboxServer() as sandbox:
        assert call(sandbox, "POST", CUSTOMERS, [CUSTOMER], x_api_key="any")[0] == 200
        assert call(sandbox, "POST", CUSTOMERS, [CUSTOMER], x_api_key="")[0] == 401


def test_brands_are_kept_apart() -> None:
    """A customer of one brand is unknown to another; views name brands by fingerprint, never by token."""
    with SandboxServer(token=["brand-one", "brand-two"]) as sandbox:
        call(sandbox, "POST", CUSTOMERS, [CUSTOMER], x_api_key="brand-one")
        status, content = call(sandbox, "POST", ACTIVITIES, [DEPOSIT], x_api_key="brand-two")
        _, seen = call(sandbox, "GET", "/sandbox/records")

    assert (status, content["errors"][0]["code"]) == (400, "unknown_customer")
    assert [each["brand"] for each in seen["requests"]] == [
        fingerprint("brand-one"),
        fingerprint("brand-two"),
    ]
    assert "brand-one" not in json.dumps(seen)


@pytest.mark.parametrize(
    ("method", "where", "headers", "status"),
    [
        pytest.param("GET", CUSTOMERS, {}, 405, id="GET"),
        pytest.param("PUT", ACTIVITIES, {}, 405, id="PUT"),
        pytest.param("POST", "/sandbox/", {}, 405, id="page"),
        pytest.param("POST", CUSTOMERS + "/", {}, 404, id="slash"),
        pytest.param("POST", "/", {}, 404, id="root"),
        pytest.param("POST", CUSTOMERS, {"content_type": "text/plain"}, 415, id="text"),
        pytest.param(
            "POST", CUSTOMERS, {"content_type": "application/json; charset=latin-1"}, 415, id="charset"
        ),
        pytest.param(
            "POST", CUSTOMERS, {"content_type": 'Application/JSON; charset="UTF-8"'}, 200, id="right"
        ),
        pytest.param("POST", CUSTOMERS, {"content_length": "many"}, 400, id="length no number"),
        pytest.param("POST", CUSTOMERS, {"content_length": str(2**40)}, 413, id="too long"),
        pytest.param("POST", CUSTOMERS, {"transfer_encoding": "chunked"}, 411, id="chunks"),
        pytest.param("TRACE", CUSTOMERS, {}, 501, id="unknown method"),
    ],
)
def test_wrong_envelope_is_refused(
    method: str, where: str, headers: dict[str, str], status: int, sandbox: SandboxServer
) -> None:
    """Methods, paths, media types and framing are judged before the records."""
    assert call(sandbox, method, where, [CUSTOMER], **headers)[0] == status


# Memory


def test_known_customer_is_updated(post: Post, sandbox: SandboxServer) -> None:
    """A second record of a customer overwrites and adds, field by field."""
    post(CUSTOMERS, [CUSTOMER])
    post(CUSTOMERS, [{"customerId": CUSTOMER_ID, "country": "DE", "salesStatus": "VIP"}])

    assert sandbox.store.customer(CUSTOMER_ID) == CUSTOMER | {"country": "DE", "salesStatus": "VIP"}
    assert [each.updates for each in sandbox.store.snapshot().customers] == [1]
    assert [each.record.get("country") for each in sandbox.store.snapshot().customer_calls] == ["US", "DE"]


def test_activity_of_unknown_customer_is_refused(post: Post, sandbox: SandboxServer) -> None:
    """The order rule: one activity without an accepted customer refuses its batch, and is recorded as that."""
    post(CUSTOMERS, [CUSTOMER])

    status, content = post(ACTIVITIES, [DEPOSIT, GGR | {"customerid": "never seen"}])

    assert status == 400
    assert [(each["index"], each["code"], each["guide"]) for each in content["errors"]] == [
        (1, "unknown_customer", ACTIVITY_SECTION)
    ]
    assert sandbox.store.activities() == ()
    assert sandbox.store.snapshot().counts["unknown_customer"] == 1


def test_replayed_activity_counts_once(post: Post, sandbox: SandboxServer) -> None:
    """The identical record under a known id is accepted without effect, also within one batch."""
    post(CUSTOMERS, [CUSTOMER])

    assert post(ACTIVITIES, [DEPOSIT, DEPOSIT]) == (200, {"accepted": 1, "duplicates": 1})
    assert post(ACTIVITIES, [DEPOSIT, GGR]) == (200, {"accepted": 1, "duplicates": 1})
    assert sandbox.store.activities("Deposit") == (DEPOSIT,)
    assert sandbox.store.snapshot().counts["duplicates"] == 2


def test_same_id_of_another_event_is_no_duplicate(post: Post) -> None:
    """An eventid identifies an event of one eventname only."""
    post(CUSTOMERS, [CUSTOMER])

    assert post(ACTIVITIES, [DEPOSIT, DEPOSIT | {"eventname": "Bet"}])[1] == {"accepted": 2, "duplicates": 0}


def test_activity_without_id_counts_each_time(post: Post) -> None:
    """Without an eventid nothing tells a replay from a second event."""
    post(CUSTOMERS, [CUSTOMER])

    assert post(ACTIVITIES, [DAILY, DAILY])[1] == {"accepted": 2, "duplicates": 0}


@pytest.mark.parametrize("is_one_batch", [True, False], ids=["one batch", "two batches"])
def test_known_id_with_other_content_is_refused(
    post: Post,
    sandbox: SandboxServer,
    *,
    is_one_batch: bool,
) -> None:
    """A known eventid with other content is a conflict; the first record stays."""
    post(CUSTOMERS, [CUSTOMER])
    post(ACTIVITIES, [DEPOSIT])
    changed = DEPOSIT | {"Value": "251.00"}

    status, content = post(ACTIVITIES, [DEPOSIT, changed] if is_one_batch else [changed])

    assert (status, content["errors"][0]["code"], content["errors"][0]["field"]) == (
        400,
        "conflict",
        "eventid",
    )
    assert sandbox.store.activities() == (DEPOSIT,)


def test_known_id_replaces_when_it_is_agreed() -> None:
    """With the other reading of eventid a changed record takes the place of the first."""
    with SandboxServer(on_conflict="replace") as sandbox:
        call(sandbox, "POST", CUSTOMERS, [CUSTOMER])
        call(sandbox, "POST", ACTIVITIES, [DEPOSIT, GGR])
        status, content = call(sandbox, "POST", ACTIVITIES, [DEPOSIT | {"Value": "251.00"}])

    assert (status, content) == (200, {"accepted": 1, "duplicates": 0})
    assert [each["Value"] for each in sandbox.store.activities()] == ["251.00", "50.00"]


def test_full_sandbox_refuses_and_forgets_nothing() -> None:
    """When the memory is full the answer is 507; what is there stays."""
    with SandboxServer(capacity=2) as sandbox:
        call(sandbox, "POST", CUSTOMERS, [CUSTOMER])
        call(sandbox, "POST", ACTIVITIES, [DEPOSIT])
        status, content = call(sandbox, "POST", ACTIVITIES, [GGR])

    assert (status, content["errors"][0]["code"]) == (507, "capacity")
    assert sandbox.store.activities() == (DEPOSIT,)


def test_request_log_forgets_the_oldest() -> None:
    """The log keeps the last requests only, and ignores news about forgotten ones."""
    log = RequestLog(limit=2)
    first = log.open("customers")
    log.open("customers")
    log.open("activities")

    log.note(first, status=200)
    log.note_answered(first)

    assert [(entry.seq, entry.status) for entry in log.entries()] == [(2, 0), (3, 0)]


# What it shows


def test_records_tell_the_order_of_requests(post: Post, sandbox: SandboxServer) -> None:
    """Each request is listed with number, endpoint, both times, status and counts, refused ones with reasons."""
    post(ACTIVITIES, [DEPOSIT])
    post(CUSTOMERS, [CUSTOMER])
    post(ACTIVITIES, [DEPOSIT])

    _, seen = call(sandbox, "GET", "/sandbox/records")

    requests = seen["requests"]
    assert [(each["seq"], each["endpoint"], each["status"], each["records"]) for each in requests] == [
        (1, "activities", 400, 1),
        (2, "customers", 200, 1),
        (3, "activities", 200, 1),
    ]
    times = [time for each in requests for time in (each["received_at"], each["answered_at"])]
    assert times == sorted(times)
    assert requests[0]["errors"][0]["code"] == "unknown_customer"
    assert seen["customers"] == [
        {"seq": 2, "brand": fingerprint(TOKEN), "updates": 0, "record": CUSTOMER},
    ]
    assert seen["activities"] == [{"seq": 3, "brand": fingerprint(TOKEN), "record": DEPOSIT}]


def test_totals_are_exact(post: Post, sandbox: SandboxServer) -> None:
    """Sums per event name, field and currency are decimal, whatever the number of digits."""
    post(CUSTOMERS, [CUSTOMER])
    large = without(DEPOSIT, "eventid") | {"Value": "9" * 40 + ".00"}
    post(ACTIVITIES, [DEPOSIT, large, without(large, "Value"), DAILY, DAILY | {"Currency": "EUR"}])

    totals = call(sandbox, "GET", "/sandbox/records")[1]["totals"]

    assert [tuple(row.values()) for row in totals] == [
        ("DailyStats", "Bets", "EUR", 1, "550.00"),
        ("DailyStats", "Bets", "USD", 1, "550.00"),
        ("DailyStats", "GGR", "EUR", 1, "50.00"),
        ("DailyStats", "GGR", "USD", 1, "50.00"),
        ("DailyStats", "Games", "EUR", 1, "15"),
        ("DailyStats", "Games", "USD", 1, "15"),
        ("DailyStats", "NGR", "EUR", 1, "45.00"),
        ("DailyStats", "NGR", "USD", 1, "45.00"),
        ("Deposit", "", "USD", 1, "0"),
        ("Deposit", "Value", "USD", 2, "1" + "0" * 37 + "249.00"),
    ]


def test_page_shows_records_and_no_names(post: Post, sandbox: SandboxServer) -> None:
    """The page lists customers with their tracking data, activities and refusals, escaped and without names."""
    post(CUSTOMERS, [CUSTOMER | {"salesStatus": "<b>VIP</b>"}])
    post(ACTIVITIES, [DEPOSIT])
    post(ACTIVITIES, [DEPOSIT | {"Value": "1e5"}])

    status, page = call(sandbox, "GET", "/sandbox/")

    assert status == 200
    for shown in ("2001_1000_abcdefg", "250.00", "&lt;b&gt;VIP", "no exponent", ACTIVITY_SECTION):
        assert shown in page
    assert "Taylor" not in page
    assert TOKEN not in page


def test_records_can_be_cleared(post: Post, sandbox: SandboxServer) -> None:
    """DELETE forgets everything; request numbers go on."""
    post(CUSTOMERS, [CUSTOMER])
    post(ACTIVITIES, [DEPOSIT])

    assert call(sandbox, "DELETE", "/sandbox/records")[0] == 200
    assert sandbox.store.customer(CUSTOMER_ID) is None
    assert post(ACTIVITIES, [DEPOSIT])[0] == 400
    assert [entry.seq for entry in sandbox.store.snapshot().requests] == [3]


# Faults


def test_status_fault_hits_the_next_requests_without_effect(post: Post, sandbox: SandboxServer) -> None:
    """A status is answered as often as asked, with its header, and the records have no effect."""
    sandbox.fail(status=503, times=2, retry_after="120")
    with closing(connect(sandbox)) as connection:
        connection.request("POST", CUSTOMERS, b"[]", {"x-api-key": TOKEN})
        answer = connection.getresponse()

    assert (answer.status, answer.headers["retry-after"]) == (503, "120")
    assert post(CUSTOMERS, [CUSTOMER])[0] == 503
    assert sandbox.store.customer(CUSTOMER_ID) is None
    assert post(CUSTOMERS, [CUSTOMER])[0] == 200
    assert [entry.fault for entry in sandbox.store.snapshot().requests] == ["status 503", "status 503", ""]


def test_fault_can_be_for_one_endpoint_or_for_large_batches(post: Post, sandbox: SandboxServer) -> None:
    """A fault waits for the requests that it is meant for."""
    sandbox.fail(status=500, endpoint="activities")
    sandbox.fail(status=413, min_records=2)

    assert post(CUSTOMERS, [CUSTOMER])[0] == 200
    assert post(CUSTOMERS, [CUSTOMER] * 2)[0] == 413
    assert post(ACTIVITIES, [DEPOSIT])[0] == 500
    assert post(ACTIVITIES, [DEPOSIT])[0] == 200


def test_fault_for_a_time_ends_with_it(post: Post, sandbox: SandboxServer) -> None:
    """A fault for some seconds hits every request until they are over."""
    sandbox.fail(status=429, seconds=0.2)

    assert [post(CUSTOMERS, [CUSTOMER])[0] for _ in range(3)] == [429] * 3
    time.sleep(0.21)
    assert post(CUSTOMERS, [CUSTOMER])[0] == 200


def test_error_after_processing_takes_effect(post: Post, sandbox: SandboxServer) -> None:
    """An error status can be answered although the records were taken: the ambiguous failure."""
    sandbox.fail(status=500, processed=True)

    assert post(CUSTOMERS, [CUSTOMER])[0] == 500
    assert sandbox.store.customer(CUSTOMER_ID) == CUSTOMER


def test_delayed_answer_is_complete(post: Post, sandbox: SandboxServer) -> None:
    """A delay comes before the answer and after the effect; the log shows it."""
    sandbox.fail(delay_seconds=0.2)

    assert post(CUSTOMERS, [CUSTOMER]) == (200, {"accepted": 1, "duplicates": 0})
    entry = sandbox.store.snapshot().requests[0]
    assert entry.answered_at is not None
    assert (entry.answered_at - entry.received_at).total_seconds() >= 0.2


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        pytest.param("close", http.client.RemoteDisconnected, id="closed"),
        pytest.param("reset", ConnectionResetError, id="reset"),
        pytest.param("truncate", http.client.IncompleteRead, id="half a body"),
        pytest.param("half-head", http.client.HTTPException, id="half a head"),
    ],
)
def test_broken_exchange_takes_effect_and_has_no_answer(
    ending: str, error: type[Exception], sandbox: SandboxServer
) -> None:
    """A connection that breaks after the effect leaves the client without an answer, and the log without its time."""
    call(sandbox, "POST", "/sandbox/faults", {"ending": ending})

    if ending == "half-head":
        assert half_an_answer(sandbox).startswith(b"HTTP/1.1 200")
    else:
        with pytest.raises(error):
            call(sandbox, "POST", CUSTOMERS, [CUSTOMER])

    entry = sandbox.store.snapshot().requests[0]
    assert sandbox.store.customer(CUSTOMER_ID) == CUSTOMER
    assert (entry.answered_at, entry.status, entry.fault) == (None, 200, ending)


def half_an_answer(sandbox: SandboxServer) -> bytes:
    """Post a customer and return all bytes of the answer up to the end of the connection."""
    with closing(connect(sandbox)) as connection:
        connection.request(
            "POST",
            CUSTOMERS,
            json.dumps([CUSTOMER]),
            {"x-api-key": TOKEN, "content-type": "application/json"},
        )
        answer = b""
        while part := connection.sock.recv(4096):
            answer += part
    assert b"\r\n\r\n" not in answer
    return answer


def test_connection_left_without_notice_is_closed_after_its_answer(sandbox: SandboxServer) -> None:
    """A connection can end between two requests, as idle ones do."""
    sandbox.fail(ending="leave")
    with closing(connect(sandbox)) as connection:
        assert call_over(connection, "POST", CUSTOMERS, [CUSTOMER])[0] == 200
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            call_over(connection, "POST", CUSTOMERS, [CUSTOMER])

    assert [entry.answered_at is None for entry in sandbox.store.snapshot().requests] == [False]


def test_trickled_answer_is_complete_in_the_end(post: Post, sandbox: SandboxServer) -> None:
    """A trickled answer comes byte by byte with pauses between."""
    sandbox.fail(ending="trickle", delay_seconds=0.001)
    started = time.monotonic()

    assert post(CUSTOMERS, [CUSTOMER]) == (200, {"accepted": 1, "duplicates": 0})
    assert time.monotonic() - started > 0.05


def test_hanging_exchange_ends_when_the_client_leaves(sandbox: SandboxServer) -> None:
    """A hanging request never gets an answer; the server notices when its client is gone."""
    sandbox.fail(ending="hang")
    before = threading.active_count()

    with closing(connect(sandbox, timeout_seconds=0.2)) as connection, pytest.raises(TimeoutError):
        call_over(connection, "POST", CUSTOMERS, [CUSTOMER])

    wait_for(lambda: threading.active_count() <= before)
    assert sandbox.store.customer(CUSTOMER_ID) == CUSTOMER


@pytest.mark.parametrize("ending", ["hang", "answer", "trickle"])
def test_client_that_resets_gets_no_answer(ending: Ending, sandbox: SandboxServer) -> None:
    """A client that breaks off while it waits is noticed, and its request counts as unanswered."""
    sandbox.fail(ending=ending, delay_seconds=0.05 if ending == "trickle" else 60)
    before = threading.active_count()
    connection = connect(sandbox)
    connection.request("POST", CUSTOMERS, json.dumps([CUSTOMER]), {"x-api-key": TOKEN})
    wait_for(lambda: bool(sandbox.store.snapshot().requests))

    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()

    wait_for(lambda: threading.active_count() <= before)
    assert sandbox.store.snapshot().requests[0].answered_at is None


def test_bug_of_the_sandbox_is_shown(sandbox: SandboxServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A client that leaves is nothing to report; any other error prints its traceback."""
    for error in (ConnectionResetError("left"), RuntimeError("a bug")):
        try:
            raise error
        except (ConnectionResetError, RuntimeError):
            sandbox._server.handle_error(None, ("127.0.0.1", 1))

    shown = capsys.readouterr().err
    assert "a bug" in shown
    assert "left" not in shown


def test_closed_connection_can_be_shut_again() -> None:
    """A connection may end by itself while the server closes all of them."""
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()

    shut(ours)


def test_stop_ends_hanging_exchanges() -> None:
    """Stopping closes connections that hang or are idle, at once."""
    sandbox = SandboxServer()
    sandbox.fail(ending="hang")
    hanging, idle = connect(sandbox), connect(sandbox)
    call_over(idle, "GET", "/sandbox/records")
    hanging.request("POST", CUSTOMERS, json.dumps([CUSTOMER]), {"x-api-key": TOKEN})
    wait_for(lambda: bool(sandbox.store.snapshot().requests))
    started = time.monotonic()

    sandbox.stop()

    with closing(hanging), closing(idle), pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        hanging.getresponse()
    assert time.monotonic() - started < 1
    assert "Sandbox" in repr(sandbox)


def test_redirect_and_page_faults_look_like_a_proxy(sandbox: SandboxServer) -> None:
    """A redirect carries its location, a page its media type; neither takes effect."""
    sandbox.fail(status=302, location="http://127.0.0.1:1/elsewhere")
    sandbox.fail(status=200, body="<html>login</html>", content_type="text/html", processed=False)
    with closing(connect(sandbox)) as connection:
        connection.request("POST", CUSTOMERS, b"[]")
        redirect = connection.getresponse()
        redirect.read()

    assert (redirect.status, redirect.headers["location"]) == (302, "http://127.0.0.1:1/elsewhere")
    assert call(sandbox, "POST", CUSTOMERS, [CUSTOMER]) == (200, "<html>login</html>")
    assert sandbox.store.snapshot().customers == ()


@pytest.mark.parametrize("status", [*range(101, 104), 199, 200, 204, 205, 304, 418, 451, 499, 599])
def test_any_status_is_framed(status: int, sandbox: SandboxServer) -> None:
    """Every final status comes with complete framing, whether it may have a body or not."""
    sandbox.fail(status=status)

    assert call(sandbox, "POST", CUSTOMERS, [CUSTOMER])[0] == status
    assert call(sandbox, "POST", CUSTOMERS, [CUSTOMER])[0] == 200


def test_faults_can_be_listed_and_healed(sandbox: SandboxServer) -> None:
    """The control API lists what is to come with what is left of it, and heals."""
    call(sandbox, "POST", "/sandbox/faults", {"status": 500, "times": 3})
    call(sandbox, "POST", CUSTOMERS, [CUSTOMER])
    call(sandbox, "POST", "/sandbox/faults", {"status": 502, "seconds": 60})

    _, listed = call(sandbox, "GET", "/sandbox/faults")

    assert [(each["status"], each["left_times"]) for each in listed["faults"]] == [(500, 2), (502, None)]
    assert 59 < listed["faults"][1]["left_seconds"] <= 60
    assert call(sandbox, "DELETE", "/sandbox/faults") == (200, {"faults": []})
    assert call(sandbox, "POST", CUSTOMERS, [CUSTOMER])[0] == 200

    sandbox.fail(status=500)
    sandbox.heal()

    assert sandbox.faults.waiting() == ()


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param([], id="array"),
        pytest.param({"colour": "red"}, id="unknown name"),
        pytest.param({"status": 99}, id="no status"),
        pytest.param({"status": True}, id="status boolean"),
        pytest.param({"times": -1}, id="negative"),
        pytest.param({"times": 1.5}, id="half a time"),
        pytest.param({"seconds": float("inf")}, id="for ever"),
        pytest.param({"seconds": "3"}, id="text for a number"),
        pytest.param({"endpoint": ["customers"]}, id="endpoint array"),
        pytest.param({"endpoint": "players"}, id="no such endpoint"),
        pytest.param({"retry_after": "1\r\nx: y"}, id="header with a line break"),
        pytest.param({"ending": "explode"}, id="no such ending"),
        pytest.param({"ending": None}, id="ending null"),
        pytest.param({"body": 1}, id="body number"),
        pytest.param({"processed": "yes"}, id="processed text"),
    ],
)
def test_senseless_fault_is_refused(wanted: object, sandbox: SandboxServer) -> None:
    """A fault that makes no sense is refused with the reason, and none is kept."""
    status, content = call(sandbox, "POST", "/sandbox/faults", wanted)

    assert status == 400
    assert content["errors"][0]["error"]
    assert sandbox.faults.waiting() == ()


def test_fault_must_be_json(sandbox: SandboxServer) -> None:
    """The control API wants JSON, so that no form of a web page can reach it."""
    assert call(sandbox, "POST", "/sandbox/faults", b"{")[0] == 400
    assert call(sandbox, "POST", "/sandbox/faults", b"{}", content_type="text/plain")[0] == 415


def test_faults_say_in_words_what_they_do() -> None:
    """The log's words for a fault name all of it."""
    assert str(Fault(ending="trickle", status=500, delay_seconds=0.5)) == "trickle, status 500, delay 0.5 s"
    assert str(Fault(body="x")) == "other body"
    assert str(Fault()) == "none"


# The server


def test_connection_is_kept_alive(sandbox: SandboxServer) -> None:
    """Many requests go over one connection."""
    with closing(connect(sandbox)) as connection:
        call_over(connection, "POST", CUSTOMERS, [CUSTOMER])
        first = connection.sock
        statuses = [call_over(connection, "POST", ACTIVITIES, [DAILY])[0] for _ in range(20)]

        assert connection.sock is first
        assert statuses == [200] * 20


def test_parallel_clients_lose_nothing(sandbox: SandboxServer) -> None:
    """Records of many connections at once are all there, each once."""
    call(sandbox, "POST", CUSTOMERS, [CUSTOMER])

    def report(number: int) -> None:
        with closing(connect(sandbox)) as connection:
            for turn in range(20):
                records = [DEPOSIT | {"eventid": f"{number // 2}-{turn}-{index}"} for index in range(10)]
                assert call_over(connection, "POST", ACTIVITIES, records)[0] == 200

    threads = [threading.Thread(target=report, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counts = sandbox.store.snapshot().counts
    assert (
        len({each["eventid"] for each in sandbox.store.activities()})
        == len(sandbox.store.activities())
        == 800
    )
    assert counts["duplicates"] == 800
    assert [entry.seq for entry in sandbox.store.snapshot().requests] == list(range(1, 162))


def test_head_request_gets_no_body(sandbox: SandboxServer) -> None:
    """HEAD is answered without a body, and the connection stays usable."""
    with closing(connect(sandbox)) as connection:
        assert call_over(connection, "HEAD", "/sandbox/") == (405, "")
        assert call_over(connection, "GET", "/sandbox/?x=1")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104  refused
def test_other_hosts_than_loopback_are_refused(host: str) -> None:
    """The server doesn't listen to the network."""
    with pytest.raises(ValueError, match="loopback"):
        SandboxServer(host)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_server_speaks_ipv6() -> None:
    """The IPv6 loopback address works, and the URL is in brackets."""
    try:
        sandbox = SandboxServer("::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with sandbox:
        assert sandbox.url.startswith("http://[::1]:")
        assert call(sandbox, "POST", CUSTOMERS, [CUSTOMER])[0] == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("nowhere", False),
    ],
)
def test_loopback_addresses_are_known(host: str, expected: bool) -> None:  # noqa: FBT001  a parameter of the table
    """All of 127.0.0.0/8, ::1 and the mapped ones are this machine."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_serves_until_a_signal(number: signal.Signals) -> None:
    """The command prints its address first, serves without settings, and leaves on a signal with 0."""
    process = command("--port", "0", "--token", TOKEN)
    with process:
        assert process.stdout
        address = process.stdout.readline().strip()
        host, _, port = address.removeprefix("http://").partition(":")
        with closing(http.client.HTTPConnection(host, int(port), timeout=5)) as connection:
            assert call_over(connection, "POST", CUSTOMERS, [CUSTOMER])[0] == 200
            assert call_over(connection, "GET", "/sandbox/")[0] == 200
        process.send_signal(number)

        assert process.wait(5) == 0


def test_command_says_when_its_port_is_taken(sandbox: SandboxServer) -> None:
    """A taken port is an error with a reason and exit code 2."""
    process = command("--port", sandbox.url.rpartition(":")[2])

    _, errors = process.communicate(timeout=10)

    assert process.returncode == 2
    assert "in use" in errors


def command(*arguments: str) -> subprocess.Popen[str]:
    """Start the command where no settings are to be found."""
    environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    return subprocess.Popen(
        [sys.executable, "-m", "track360_django.sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    """Return as soon as a condition holds; fail when it doesn't in time."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# The Django app


def post_to(app: Client, where: str, records: object, **headers: str) -> Any:
    """Post to the routed sandbox."""
    sent = {"x-api-key": TOKEN} | headers
    return app.post(f"/somewhere{where}", json.dumps(records), content_type="application/json", headers=sent)


def test_routed_sandbox_tells_the_same(app: Client) -> None:
    """Behind Django both endpoints, the page and the records answer as the server does."""
    customer = post_to(app, CUSTOMERS, [CUSTOMER])
    deposit = post_to(app, ACTIVITIES, [DEPOSIT])
    early = post_to(app, ACTIVITIES, [DEPOSIT | {"customerid": "x", "eventid": "y"}])

    assert (customer.status_code, customer.json()) == (200, {"accepted": 1, "duplicates": 0})
    assert (deposit.status_code, early.status_code) == (200, 400)
    seen = app.get("/somewhere/sandbox/records").json()
    assert [each["answered_at"] is not None for each in seen["requests"]] == [True] * 3
    assert "2001_1000_abcdefg" in app.get("/somewhere/sandbox/").content.decode()
    assert app.delete("/somewhere/sandbox/records").json() == {"cleared": True}


def test_routed_sandbox_needs_no_csrf_token(app: Client) -> None:
    """A program without a cookie may post."""
    strict = Client(enforce_csrf_checks=True)

    assert post_to(strict, CUSTOMERS, [CUSTOMER]).status_code == 200


@pytest.mark.parametrize("tokens", [["another"], "another"], ids=["list", "text"])
def test_routed_sandbox_uses_configured_tokens(
    tokens: list[str] | str, app: Client, settings: Settings
) -> None:
    """TRACK360_SANDBOX_TOKENS says which tokens are accepted."""
    settings.TRACK360_SANDBOX_TOKENS = tokens

    assert post_to(app, CUSTOMERS, [CUSTOMER]).status_code == 401
    assert post_to(app, CUSTOMERS, [CUSTOMER], **{"x-api-key": "another"}).status_code == 200


def test_routed_sandbox_does_plain_faults_only(app: Client) -> None:
    """A view can delay and answer; what needs the socket is refused with the way out."""
    where = "/somewhere/sandbox/faults"
    plain = app.post(where, '{"status": 503, "retry_after": "7", "delay_seconds": 0.05}', "application/json")
    broken = app.post(where, '{"ending": "reset"}', "application/json")

    assert (plain.status_code, broken.status_code) == (201, 400)
    assert "python -m track360_django.sandbox" in broken.json()["errors"][0]["error"]
    answer = post_to(app, CUSTOMERS, [CUSTOMER])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")


def test_routed_sandbox_refuses_too_large_bodies(app: Client, settings: Settings) -> None:
    """Django's own limit of a body is told as 413."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10

    assert post_to(app, CUSTOMERS, [CUSTOMER]).status_code == 413


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("127.0.0.1", 200),
        ("127.1.2.3", 200),
        ("::1", 200),
        ("", 200),
        ("192.0.2.7", 403),
        ("2001:db8::1", 403),
    ],
)
def test_routed_sandbox_answers_this_machine_only(address: str, status: int, app: Client) -> None:
    """Other machines get a 403; a unix socket has no address and is this machine."""
    assert app.get("/somewhere/sandbox/", REMOTE_ADDR=address).status_code == status


@pytest.mark.parametrize(
    "what", ["sandbox/", "sandbox/records", "sandbox/faults", CUSTOMERS[1:], ACTIVITIES[1:]]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_routed_sandbox_is_not_found_without_debug(
    method: str, what: str, app: Client, settings: Settings
) -> None:
    """With DEBUG off every path answers 404, whatever the method, and nothing takes effect."""
    settings.DEBUG = False

    assert getattr(app, method)(f"/somewhere/{what}").status_code == 404


@pytest.mark.parametrize(
    ("is_debug", "urlconf", "ids"),
    [
        pytest.param(False, __name__, ["track360_sandbox.E001"], id="routed"),
        pytest.param(True, __name__, [], id="development"),
        pytest.param(False, "django.contrib.auth.urls", [], id="not routed"),
        pytest.param(False, None, [], id="no urls"),
    ],
)
def test_check_keeps_the_sandbox_out_of_production(
    urlconf: str | None,
    ids: list[str],
    app: Client,
    settings: Settings,
    *,
    is_debug: bool,
) -> None:
    """Routed with DEBUG off is an error with a hint; anything else is fine."""
    settings.DEBUG = is_debug
    settings.ROOT_URLCONF = urlconf

    assert [each.id for each in check_debug()] == ids
