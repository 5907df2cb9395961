"""What a visitor brings without a cookie: headers, bodies, carry tokens, promo codes; consent; what is forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest
from django.test import AsyncClient, Client, RequestFactory
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from tests.visits import NOTHING, Browser, get, last_value, remembered
from track360_django import attribution, signals
from track360_django.models import Customer

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.host.urls")]

VALUE = "2001_1000_abcdefg"
JSON = "application/json"


@pytest.fixture(params=[Client, AsyncClient], ids=["wsgi", "asgi"])
def browser(request: pytest.FixtureRequest) -> Browser:
    """Return a browser of a visitor nobody has seen, on each kind of server."""
    made: Browser = request.param(raise_request_exception=False)
    return made


@pytest.fixture(autouse=True)
def _hash_passwords_fast(settings: HostSettings) -> None:
    """Spend no time on passwords that protect nothing."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def post(browser: Browser, path: str, data: Any, **extra: Any) -> Any:
    """Post something, in whichever way the browser's server works."""
    if isinstance(browser, AsyncClient):
        return async_to_sync(browser.post)(path, data, **extra)
    return browser.post(path, data, **extra)


def join(browser: Browser, path: str = "join/", data: Any = None, **extra: Any) -> Customer:
    """Sign up at one of the host's small views, and return the customer."""
    form = {"username": f"player-{User.objects.count()}"} | (data or {})
    answer = post(browser, f"/host/{path}", form, **extra)
    assert answer.status_code == 200
    return Customer.objects.latest("pk")


def tracked(customer: Customer) -> str | None:
    """Return the value that a customer is credited with."""
    found: str | None = customer.tracking.get("tracking_data")
    return found


# The header.


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param(VALUE, VALUE, id="bare"),
        pytest.param(f"tracking_data={VALUE}", VALUE, id="pair"),
        pytest.param("tracking_data=a%2520b%2Bc", "a%20b+c", id="decoded-once"),
        pytest.param("a%20b+c", "a%20b+c", id="bare-is-verbatim"),
        pytest.param("tracking_data=%D7%A9", "ש", id="escaped-letters"),
        pytest.param("YWJj==", "YWJj==", id="bare-with-padding"),
    ],
)
def test_header_attributes_a_signup(browser: Browser, header: str, value: str) -> None:
    """A client without cookies says what it was opened with."""
    customer = join(browser, headers={"X-Track360-Tracking": header})

    assert tracked(customer) == value


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("x" * 51, "refused_too_long"),
        ("tracking_data=%ff", "refused_undecodable"),
        ("tracking_data=%00", "refused_control_character"),
        ("\xff\xfe", "refused_undecodable"),
        ("t360=forged", "refused_forged"),
        ("trackingdata=misspelt", "refused_unknown_parameter"),
        ("utm_source=x&sub=y", "refused_unknown_parameter"),
    ],
)
def test_header_that_is_refused_is_the_reason(browser: Browser, header: str, reason: str) -> None:
    """A header that can't be believed attributes nobody, and the row says why."""
    customer = join(browser, headers={"X-Track360-Tracking": header})

    assert (customer.tracking, customer.unattributed_reason) == ({}, reason)


def test_header_counts_more_than_the_remembered_link(browser: Browser) -> None:
    """What the client says now is the last touch."""
    get(browser, "/host/page/?tracking_data=from-a-link")

    assert tracked(join(browser, headers={"X-Track360-Tracking": VALUE})) == VALUE


def test_older_value_of_a_script_does_not_displace_a_newer_link(browser: Browser) -> None:
    """A script that remembered a link of yesterday knows nothing of the one of today."""
    get(browser, "/host/page/?tracking_data=today")
    yesterday = int((datetime.now(UTC) - timedelta(days=1)).timestamp())

    customer = join(browser, headers={"X-Track360-Tracking": f"tracking_data=yesterday&t360_at={yesterday}"})

    assert tracked(customer) == "today"
    assert customer.first_touch is not None
    assert customer.first_touch["params"] == {"tracking_data": "yesterday"}


@pytest.mark.parametrize("path", ["join-json/", "join-json-stream/"])
def test_time_of_a_json_body_may_be_a_number(browser: Browser, path: str) -> None:
    """Seconds are a number in JSON, and an old value is as old as it says."""
    long_ago = (datetime.now(UTC) - timedelta(days=31)).timestamp()

    for at in (int(long_ago), long_ago):
        customer = join(browser, path, {"tracking_data": VALUE, "t360_at": at}, content_type=JSON)

        assert (customer.tracking, customer.unattributed_reason) == ({}, "expired")


@pytest.mark.parametrize("at", ["", "x", "-1e9", "9" * 400, "99999999999", "1e3", "٣", "\x00"])
def test_nonsense_for_a_time_counts_as_now(browser: Browser, at: str) -> None:
    """A time that is none costs nobody the attribution, and none lies in the future."""
    customer = join(browser, data={"tracking_data": VALUE, "t360_at": at})

    assert tracked(customer) == VALUE
    assert customer.last_touch is not None
    assert abs(customer.last_touch["at"] - datetime.now(UTC).timestamp()) < 60


def test_value_of_a_script_that_is_older_than_the_window_is_expired(browser: Browser) -> None:
    """A client can't make an old click young by telling the truth about it."""
    long_ago = int((datetime.now(UTC) - timedelta(days=31)).timestamp())

    customer = join(browser, headers={"X-Track360-Tracking": f"tracking_data=old&t360_at={long_ago}"})

    assert (customer.tracking, customer.unattributed_reason) == ({}, "expired")


def test_header_on_a_page_leaves_no_trace(browser: Browser) -> None:
    """A header is read when somebody signs up; any other request costs nothing and stores nothing."""
    answer = get(browser, "/host/page/", headers={"X-Track360-Tracking": VALUE})

    assert not answer.cookies
    assert not answer.has_header("Vary")


# The body.


def test_field_of_a_form_attributes_a_signup(browser: Browser) -> None:
    """A form that carries the value needs no cookie."""
    assert tracked(join(browser, data={"tracking_data": VALUE})) == VALUE


@pytest.mark.parametrize("path", ["join-json/", "join-json-stream/"])
def test_field_of_a_json_body_attributes_a_signup(browser: Browser, path: str) -> None:
    """A JSON client sends the value beside its other fields, whichever way the host reads the body."""
    customer = join(browser, path, {"tracking_data": VALUE}, content_type=JSON)

    assert tracked(customer) == VALUE


@pytest.mark.parametrize("field", [None, 7, True, ["a"], {"a": 1}, "", "x" * 51, "a\x00", "\ud800"], ids=repr)
def test_field_that_is_no_value_changes_nothing(client: Client, field: Any) -> None:
    """Whatever a JSON body holds under our name, the signup goes on, unattributed."""
    body = json.dumps({"username": "alex", "tracking_data": field})

    answer = client.post("/host/join-json/", body, content_type=JSON)

    assert answer.status_code == 200
    assert Customer.objects.get().tracking == {}


@pytest.mark.parametrize("method", ["put", "patch"])
def test_json_body_of_other_methods_attributes_a_signup(client: Client, method: str) -> None:
    """An API that makes users by PUT or PATCH is heard as well."""
    getattr(client, method)(
        "/host/join-json/", json.dumps({"username": "alex", "tracking_data": VALUE}), content_type=JSON
    )

    assert tracked(Customer.objects.get()) == VALUE


def test_signup_by_a_form_without_an_action_is_attributed(browser: Browser, settings: HostSettings) -> None:
    """A form that is sent to the landing's own address carries the value in it, without cookies and consent."""
    configure(settings, CONSENT=lambda _: False)

    customer = join(browser, path=f"join/?tracking_data={VALUE}")

    assert tracked(customer) == VALUE
    assert "track360" not in browser.cookies


def test_address_of_a_form_displaces_no_newer_link(browser: Browser) -> None:
    """When the page of a form was opened, nobody knows: what has a time counts."""
    get(browser, "/host/page/?tracking_data=newer")

    assert tracked(join(browser, path="join/?tracking_data=of-an-old-tab")) == "newer"


def test_body_that_nobody_reads_is_not_read_by_us(client: Client) -> None:
    """A view that never looks at the body leaves it where it is."""
    answer = client.post("/host/join-blindly/?username=alex", {"tracking_data": VALUE}, content_type=JSON)

    assert answer.status_code == 200
    assert Customer.objects.get().tracking == {}


def test_fields_of_the_visitor_can_be_sent_back(client: Client) -> None:
    """What `as_fields` says is enough for another browser to be credited with the same touch."""
    fields = get(client, f"/host/fields/?tracking_data={VALUE}").json()

    customer = join(Client(), data=fields)

    assert tracked(customer) == VALUE
    assert customer.last_touch is not None
    assert fields["t360_at"] == str(customer.last_touch["at"])


def test_visitor_without_a_touch_has_no_fields(client: Client) -> None:
    """Nothing is sent back for nobody."""
    assert get(client, "/host/fields/").json() == {}


# Carry tokens.


def test_carry_token_brings_the_touch_to_another_browser(browser: Browser) -> None:
    """Who opens the link of a mail on the telephone is who clicked on the computer."""
    get(browser, "/host/page/?tracking_data=first")
    get(browser, f"/host/page/?tracking_data={VALUE}")
    token = get(browser, "/host/carry/").content.decode()
    other = type(browser)()

    get(other, f"/host/page/?t360={token}")

    assert remembered(other) == {"first": {"tracking_data": "first"}, "last": {"tracking_data": VALUE}}
    assert tracked(join(other)) == VALUE


def test_carry_token_in_the_signup_itself_is_enough(browser: Browser) -> None:
    """An app passes the token on that it was opened with."""
    get(browser, f"/host/page/?tracking_data={VALUE}")
    token = get(browser, "/host/carry/").content.decode()

    assert tracked(join(type(browser)(), data={"t360": token})) == VALUE
    assert tracked(join(type(browser)(), headers={"X-Track360-Tracking": f"t360={token}"})) == VALUE


def test_carry_token_does_not_displace_a_later_click(browser: Browser) -> None:
    """A link that was made yesterday and opened today is of yesterday."""
    old = attribution.Touch(params={"tracking_data": "old"}, at=datetime.now(UTC) - timedelta(days=1))
    token = token_of(attribution.Memory(first=old, last=old))
    get(browser, f"/host/page/?tracking_data={VALUE}")

    get(browser, f"/host/page/?t360={token}")

    assert remembered(browser) == {"first": {"tracking_data": "old"}, "last": {"tracking_data": VALUE}}


def token_of(memory: attribution.Memory, max_age: timedelta | None = None) -> str:
    """Return the carry token of somebody with a memory."""
    request = RequestFactory().get("/")
    touches = attribution.Touches(request)
    touches._recalled = memory
    setattr(request, "track360", touches)  # noqa: B010  what the middleware sets
    return attribution.carry(request, max_age=max_age)


def recent() -> attribution.Memory:
    """Return the memory of somebody who clicked a moment ago."""
    touch = attribution.Touch(params={"tracking_data": VALUE}, at=datetime.now(UTC).replace(microsecond=0))
    return attribution.Memory(first=touch, last=touch)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1],
        lambda token: "x" + token,
        lambda token: token.replace(":", "."),
        lambda _: "x" * 100_000,
        lambda _: "%00",
        lambda _: ":::",
    ],
    ids=["cut", "changed", "unsigned", "huge", "nul", "colons"],
)
def test_forged_carry_token_is_nothing(browser: Browser, spoil: Callable[[str], str]) -> None:
    """Nobody makes a token but us."""
    answer = get(browser, f"/host/page/?t360={spoil(token_of(recent()))}")

    assert answer.status_code == 200
    assert remembered(browser) == NOTHING


def test_cookie_is_no_carry_token_and_token_is_no_cookie(client: Client) -> None:
    """What was signed for one purpose is worth nothing for another."""
    client.get("/host/page/?tracking_data=a")
    cookie = client.cookies["track360"].value
    stranger, thief = Client(), Client()
    thief.cookies["track360"] = token_of(recent())

    stranger.get(f"/host/page/?t360={cookie}")

    assert remembered(stranger) == NOTHING
    assert remembered(thief) == NOTHING


def test_expired_carry_token_is_refused(browser: Browser) -> None:
    """A token is good for as long as its maker said."""
    get(browser, f"/host/page/?t360={token_of(recent(), timedelta(seconds=-1))}")

    assert remembered(browser) == NOTHING
    assert join(browser).unattributed_reason == "refused_expired"


def test_nothing_to_carry_is_an_empty_token(rf: RequestFactory) -> None:
    """Who clicked no link has nothing to carry."""
    request = rf.get("/")
    setattr(request, "track360", attribution.Touches(request))  # noqa: B010  what the middleware sets

    assert attribution.carry(request) == ""
    assert attribution.carry(rf.get("/")) == ""


def test_carry_token_survives_a_rotated_key(settings: HostSettings, client: Client) -> None:
    """A mail that was sent before the host changed its key still works."""
    token = token_of(recent())

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the-next-key", [settings.SECRET_KEY]
    client.get(f"/host/page/?t360={token}")

    assert last_value(client) == VALUE


# Promo codes.


@pytest.mark.parametrize("typed", ["SUMMER", "summer", " Summer "])
def test_promo_code_that_is_typed_is_credited(browser: Browser, settings: HostSettings, typed: str) -> None:
    """A code in the signup form stands for its affiliate, and counts more than an earlier link."""
    configure(settings, PROMO_CODES={"SUMMER": VALUE})
    get(browser, "/host/page/?tracking_data=a-link")

    assert tracked(join(browser, data={"promo_code": typed})) == VALUE


def test_promo_code_counts_beside_the_header_of_a_script(browser: Browser, settings: HostSettings) -> None:
    """A code that is typed is newer than the link that the script remembers, also when the header is read first."""
    configure(settings, PROMO_CODES={"SUMMER": VALUE})
    header = {"X-Track360-Tracking": "tracking_data=a-link&t360_at=1"}

    customer = join(browser, "join-json/", {"promo_code": "SUMMER"}, content_type=JSON, headers=header)

    assert tracked(customer) == VALUE


def test_promo_code_in_a_link_is_a_landing(browser: Browser, settings: HostSettings) -> None:
    """A poster with a link and a code needs no tracking value in it."""
    configure(settings, PROMO_CODES=lambda code: {"tracking_data": f"promo-{code}"}, PROMO_PARAM="bonus")

    get(browser, "/host/page/?bonus=7")

    assert last_value(browser) == "promo-7"


def fail(code: str) -> str:
    """Be a host's function with a bug."""
    raise RuntimeError(code)


@pytest.mark.parametrize(
    "codes",
    [{"SUMMER": VALUE}, fail, lambda _: None, lambda _: "x" * 51, lambda _: {"other": "a"}, lambda _: 7],
    ids=["unknown", "raises", "none", "too-long", "foreign", "number"],
)
def test_promo_code_that_nobody_knows_is_the_reason(
    browser: Browser, settings: HostSettings, codes: Any
) -> None:
    """A code that leads to nothing costs no signup, and the row says why nobody is credited."""
    configure(settings, PROMO_CODES=codes)

    customer = join(browser, data={"promo_code": "WINTER"})

    assert (customer.tracking, customer.unattributed_reason) == ({}, "refused_unknown_promo_code")


def ask_database(code: str) -> str | None:
    """Be a host that keeps its codes in a table."""
    return VALUE if User.objects.filter(username=code).exists() else None


@pytest.mark.django_db(transaction=True)
def test_promo_codes_may_be_asked_of_the_database(browser: Browser, settings: HostSettings) -> None:
    """A function that asks a table works on both kinds of server."""
    User.objects.create(username="SUMMER")
    configure(settings, PROMO_CODES=ask_database)

    get(browser, "/host/page/?promo_code=SUMMER")

    assert last_value(browser) == VALUE


def break_query(_: str) -> str:
    """Be a host's function that ruins its transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT no_such_column FROM auth_user")
    return "never"


@pytest.mark.django_db(transaction=True)
def test_promo_function_with_a_database_error_costs_no_customer(
    browser: Browser, settings: HostSettings
) -> None:
    """A query that fails ruins neither the signup's transaction nor its attribution."""
    configure(settings, PROMO_CODES=break_query)

    assert tracked(join(browser, data={"promo_code": "SUMMER", "tracking_data": VALUE})) == VALUE


def test_promo_code_without_codes_is_the_hosts_own(browser: Browser) -> None:
    """A host that has promo codes of its own for something else is left alone."""
    answer = get(browser, "/host/page/?promo_code=SUMMER")

    assert not answer.cookies
    assert join(browser, data={"promo_code": "SUMMER"}).unattributed_reason == "no_parameter"


# Consent.


def agreed(request: HttpRequest) -> bool:
    """Be a host that asks, and remembers the answer in a cookie."""
    return request.COOKIES.get("agreed") == "yes"


def test_nothing_is_stored_before_consent(browser: Browser, settings: HostSettings) -> None:
    """Neither session nor cookie; the value rides along in the page of the landing."""
    configure(settings, CONSENT=agreed)

    answer = get(browser, f"/host/fields/?tracking_data={VALUE}")

    assert not answer.cookies
    assert answer.json()["tracking_data"] == VALUE
    assert remembered(browser) == NOTHING
    assert join(browser).unattributed_reason == "no_consent"


async def agree_later(_: HttpRequest) -> bool:
    """Be a function that is asked wrongly, and always."""
    return True


class AgreeLater:
    """The same, behind an object."""

    async def __call__(self, _: HttpRequest) -> bool:
        """Agree."""
        return True


NO_FUNCTION = "yes"


@pytest.mark.parametrize(
    "consent",
    [
        agree_later,
        AgreeLater(),
        False,
        ["yes"],
        "tests.attribution.test_cookieless.NO_FUNCTION",
        "tests.attribution.test_cookieless.nowhere",
        lambda request: request.COOKIES["agreed"] == "yes",
    ],
    ids=["async", "async-behind", "false", "list", "no-function", "nowhere", "raises"],
)
def test_consent_that_nobody_gave_stores_nothing_and_costs_no_customer(
    browser: Browser, settings: HostSettings, consent: Any
) -> None:
    """What is no clear yes is a no; the signup is reported all the same, and says why."""
    configure(settings, CONSENT=consent)

    answer = get(browser, f"/host/page/?tracking_data={VALUE}")

    assert not answer.cookies
    assert join(browser).unattributed_reason == "no_consent"


def test_value_that_rides_along_in_the_form_is_credited(browser: Browser, settings: HostSettings) -> None:
    """Who never consents, and signs up by the form of the landing page, is attributed without a trace."""
    configure(settings, CONSENT=agreed)
    fields = get(browser, f"/host/fields/?tracking_data={VALUE}").json()

    customer = join(browser, data=fields)

    assert tracked(customer) == VALUE
    assert "track360" not in browser.cookies


def test_consent_keeps_the_value_that_its_form_carries(browser: Browser, settings: HostSettings) -> None:
    """Who agrees by a form with our field is remembered from then on."""
    configure(settings, CONSENT=agreed)
    fields = get(browser, f"/host/fields/?tracking_data={VALUE}").json()
    browser.cookies["agreed"] = "yes"

    post(browser, "/host/agree/", fields)

    assert last_value(browser) == VALUE


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://blog.testserver"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "none", "Origin": "http://testserver"},
    ],
    ids=lambda headers: "-".join(headers.values()),
)
def test_form_of_another_site_is_not_remembered(
    browser: Browser, settings: HostSettings, headers: dict[str, str]
) -> None:
    """A page of somebody else can post to us, but stuffs no cookie."""
    configure(settings, CONSENT=lambda _: True)

    post(browser, "/host/agree/", {"tracking_data": VALUE}, headers=headers)

    assert remembered(browser) == NOTHING


# What is forgotten.


def test_signup_clears_the_browser(browser: Browser) -> None:
    """Who signs up next on a shared computer came by no link."""
    get(browser, f"/host/page/?tracking_data={VALUE}")

    first, second = join(browser), join(browser)

    assert (tracked(first), tracked(second)) == (VALUE, None)
    assert second.unattributed_reason == "no_parameter"
    assert remembered(browser) == NOTHING


def test_form_that_was_open_since_before_the_signup_brings_nothing_back(
    client: Client, settings: HostSettings
) -> None:
    """Who is logged in has signed up: what an older tab carries was used."""
    configure(settings, CONSENT=lambda _: True)
    fields = get(client, f"/host/fields/?tracking_data={VALUE}").json()
    join(client)
    client.force_login(User.objects.get())

    client.post("/host/agree/", fields)

    assert remembered(client) == NOTHING


@pytest.mark.parametrize("saves_every_request", [False, True])
def test_signup_whose_page_fails_clears_the_session_too(
    client: Client, settings: HostSettings, *, saves_every_request: bool
) -> None:
    """The customer is written down, so the touch is used, whatever the page says."""
    settings.SESSION_SAVE_EVERY_REQUEST = saves_every_request
    configure(settings, STORAGE=("session",))
    client.raise_request_exception = False
    client.get(f"/host/page/?tracking_data={VALUE}")

    client.post("/host/join-and-fail/", {"username": "alex"})

    assert tracked(Customer.objects.get()) == VALUE
    assert remembered(client) == NOTHING


@pytest.mark.django_db(transaction=True)
def test_signup_that_is_rolled_back_clears_nothing(browser: Browser) -> None:
    """A visitor whose form fails tries again, and is still who came by the link."""
    get(browser, f"/host/page/?tracking_data={VALUE}")

    post(browser, "/host/join-and-roll-back/", {"username": "alex"})

    assert not Customer.objects.exists()
    assert last_value(browser) == VALUE


def test_staff_made_by_a_visitor_clears_nothing(browser: Browser) -> None:
    """Who turns out to be no customer has used no touch."""
    get(browser, f"/host/page/?tracking_data={VALUE}")

    post(browser, "/host/join-as-staff/", {"username": "boss"})

    assert last_value(browser) == VALUE


def test_click_after_the_signup_changes_nothing(browser: Browser) -> None:
    """A customer who clicks another link stays whose they are; the browser remembers it for the next person."""
    get(browser, f"/host/page/?tracking_data={VALUE}")
    before = join(browser)

    get(browser, "/host/page/?tracking_data=later")
    get(browser, "/host/report/?username=player-0")

    after = Customer.objects.get()
    assert (after.tracking, after.version) == (before.tracking, before.version)
    assert last_value(browser) == "later"


def test_cookie_of_the_script_is_erased_too(client: Client) -> None:
    """What the script keeps for pages of a CDN is used up as well."""
    client.cookies["track360_js"] = "anything"

    client.post("/host/join/", {"username": "alex"})

    assert client.cookies["track360_js"].value == ""


def test_cookie_of_the_script_is_erased_where_it_lies(client: Client, settings: HostSettings) -> None:
    """Without a domain of its own, the script's cookie is this host's, whatever the session's is."""
    settings.SESSION_COOKIE_DOMAIN = ".example.com"
    client.cookies["track360_js"] = "anything"

    answer = client.post("/host/join/", {"username": "alex"})

    assert answer.cookies["track360_js"]["domain"] == ""


def test_host_can_forget_a_visitor(browser: Browser) -> None:
    """A visitor who withdraws consent is forgotten at once."""
    get(browser, f"/host/page/?tracking_data={VALUE}")

    post(browser, "/host/withdraw/", {})

    assert remembered(browser) == NOTHING


# Why nobody is credited.


def test_refusal_is_the_reason_at_a_later_signup(browser: Browser) -> None:
    """A link that was broken yesterday explains the customer of today."""
    get(browser, "/host/page/?tracking_data=" + "x" * 51)

    assert join(browser).unattributed_reason == "refused_too_long"


def test_good_link_after_a_broken_one_is_credited(browser: Browser) -> None:
    """What was lost is forgotten once something is found."""
    get(browser, "/host/page/?tracking_data=%ff")
    get(browser, f"/host/page/?tracking_data={VALUE}")

    assert tracked(join(browser)) == VALUE


def test_expired_touch_is_the_reason(client: Client) -> None:
    """A link that is too old is told from no link at all."""
    long_ago = attribution.Touch(params={"tracking_data": "old"}, at=datetime.now(UTC) - timedelta(days=31))
    session = client.session
    session[attribution.SESSION_KEY] = attribution.Memory(first=long_ago, last=long_ago).as_state()
    session.save()

    assert join(client).unattributed_reason == "expired"


@pytest.mark.django_db(transaction=True)
def test_unattributed_signup_is_told(browser: Browser) -> None:
    """`attribution_dropped` names the customer and the reason."""
    told: list[tuple[str, str]] = []

    def hear(*, reason: str, customer: Customer | None = None, **_: Any) -> None:
        told.append((reason, customer.customer_id if customer else ""))

    signals.attribution_dropped.connect(hear)
    try:
        customer = join(browser)
    finally:
        signals.attribution_dropped.disconnect(hear)

    assert told == [("no_parameter", customer.customer_id)]
