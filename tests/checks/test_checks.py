"""System checks: each mistake has its id, its words and its way out, and none of them stops the host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import CheckMessage, Error, run_checks
from django.core.checks import Warning as CheckWarning
from django.db.models import Q
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from example_project.cashier.models import Account, Bonus, Deposit
from example_project.cashier.track360 import BonusActivity
from tests.pages import ROOT
from track360_django import activities, checks, presets, products
from track360_django.checks import middlewares

RIGHT: Mapping[str, Any] = {"BASE_URL": "https://partners.example.com", "BRAND_TOKEN": "b1f4e7a2-secret"}
TRACKING = "track360_django.middleware.TrackingMiddleware"
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
UPDATE = "django.middleware.cache.UpdateCacheMiddleware"
FETCH = "django.middleware.cache.FetchFromCacheMiddleware"
WHITENOISE = "whitenoise.middleware.WhiteNoiseMiddleware"
PERSONAL_WORDS = ("b1f4e7a2", "secret", "password")


def find(ids: str = "") -> list[CheckMessage]:
    """Return what our checks say, as `manage.py check` runs them; of one id, if given."""
    messages = run_checks(tags=["track360"])
    return [message for message in messages if (message.id or "").endswith(ids)]


def numbers() -> list[str]:
    """Return the ids of what our checks say, without the app's name, each once."""
    return sorted({(message.id or "").removeprefix("track360_django.") for message in find()})


@pytest.fixture(autouse=True)
def right(settings: Settings) -> Iterator[None]:
    """Begin with settings that are right, as in production, and with no declaration that needs more of them."""
    settings.TRACK360 = dict(RIGHT)
    settings.DEBUG = False
    activities.unregister(Bonus, BonusActivity)
    yield
    activities.register(Bonus)(BonusActivity)


def brand(**own: Any) -> dict[str, Any]:
    """Return settings with one brand, which has these of its own."""
    return {**RIGHT, "BRANDS": {"alpha": own}}


# What is right.


@pytest.mark.parametrize(
    "configured",
    [
        RIGHT,
        {**RIGHT, "BASE_URL": "https://partners.example.com:8443/"},
        {**RIGHT, "BASE_URL": "https://партнёры.example.com"},
        {"ENABLED": False},
        {"BRANDS": {"alpha": RIGHT, "beta": {**RIGHT, "ENABLED": False}}},
        {**RIGHT, "BRANDS": {"alpha": {}, "beta": {"BRAND_TOKEN": "other"}}, "BRAND_RESOLVER": len},
        {"BRANDS": {"alpha": RIGHT, "beta": {"ENABLED": False}}},
        {**RIGHT, "STORAGE": ["cookie"], "TRACKING_PARAMS": ["a", "b"], "ATTRIBUTION": "first"},
        {**RIGHT, "CONSENT": len, "BEFORE_SEND": "builtins.dict", "RESPONSE_CHECK": None},
        {**RIGHT, "CURRENCIES": {"BTC": 8, "USDT": 6, "WEI": 18, "1INCH": 0, "USD": 2}},
        {**RIGHT, "PRODUCT_FIELD": "gameType"},
        {**RIGHT, "PRODUCT_FIELD": products.suffix},
        {**RIGHT, "PRODUCT_FIELD": partial(products.prefix, separator="_")},
        {**RIGHT, "PRODUCT_FIELD": "track360_django.products.prefix"},
        {**RIGHT, "EVENTS": presets.IGAMING.EVENTS},
        {**RIGHT, "TIME_ZONE": "Europe/Malta", "PROXIES": {"https": "http://proxy.example.com"}},
        {**RIGHT, "TOTAL_TIMEOUT_SECONDS": 300, "COOKIE_SECURE": None, "COOKIE_DOMAIN": None},
        {**RIGHT, "CUSTOMER_ID": "profile__pk", "CUSTOMER_FIELDS": {"firstName": None}},
    ],
    ids=[
        "two-settings",
        "port",
        "idn",
        "switched-off",
        "brands",
        "shared",
        "brand-switched-off",
        "choices",
        "functions",
        "currencies",
        "product-in-a-field",
        "product-by-shape",
        "product-by-partial",
        "product-by-path",
        "events",
        "zone",
        "limits",
        "customers",
    ],
)
def test_right_settings_have_no_messages(settings: Settings, configured: Mapping[str, Any]) -> None:
    """Right settings are silent."""
    settings.TRACK360 = configured

    assert find() == []


def test_example_project_has_no_messages(settings: Settings) -> None:
    """The example project as it stands, on this machine and in development, is silent."""
    settings.DEBUG = True
    settings.TRACK360 = {**RIGHT, "BASE_URL": "http://127.0.0.1:8000"}

    assert find() == []


# What is wrong with TRACK360.

WRONG: Mapping[str, tuple[str, Any, str]] = {
    "missing": ("E001", None, "BASE_URL"),
    "list": ("E001", [("BASE_URL", "x")], "TRACK360 = {"),
    "text": ("E001", "https://partners.example.com", "TRACK360 = {"),
    "misspelt": ("E002", {**RIGHT, "BATCHSIZE": 5}, "'BATCH_SIZE'"),
    "small-letters": ("E002", {**RIGHT, "batch_size": 5}, "'BATCH_SIZE'"),
    "no-idea": ("E002", {**RIGHT, "XYZZY": 5}, "Known are"),
    "number-as-key": ("E002", {**RIGHT, 5: 5}, "Known are"),
    "brands-misspelt": ("E002", brand(BRAND_TOKENS="x"), "'BRAND_TOKEN'"),
    "wrong-type": ("E003", {**RIGHT, "TRACKING_PARAMS": "tracking_data"}, "('tracking_data',)"),
    "text-for-a-number": ("E003", {**RIGHT, "BATCH_SIZE": "500"}, "greater than zero"),
    "zero": ("E003", {**RIGHT, "BATCH_SIZE": 0}, "greater than zero"),
    "negative": ("E003", {**RIGHT, "READ_TIMEOUT_SECONDS": -1}, "greater than zero"),
    "text-for-a-switch": ("E003", {**RIGHT, "ENABLED": "no"}, "True"),
    "function-for-a-url": ("E003", {**RIGHT, "BASE_URL": len}, "''"),
    "function-for-a-zone": ("E003", {**RIGHT, "TIME_ZONE": len}, "'UTC'"),
    "bytes-for-a-token": ("E003", {**RIGHT, "BRAND_TOKEN": b"secret"}, "''"),
    "list-for-a-choice": ("E003", {**RIGHT, "ATTRIBUTION": ["last"]}, "'last'"),
    "number-for-a-function": ("E003", {**RIGHT, "CONSENT": 5}, "None"),
    "too-patient": ("E003", {**RIGHT, "TOTAL_TIMEOUT_SECONDS": 301}, "at most 300"),
    "too-many-lanes": ("E003", {**RIGHT, "LANES": 1_000_000}, "at most"),
    "brands-wrong-type": ("E003", brand(BATCH_SIZE="5"), "500"),
    "brand-no-dict": ("E003", {**RIGHT, "BRANDS": {"alpha": "token"}}, "as a dict"),
    "brands-no-dict": ("E003", {**RIGHT, "BRANDS": ["alpha"]}, "{}"),
    "no-url": ("E004", {"BRAND_TOKEN": "x"}, "Before starting"),
    "empty-url": ("E004", {**RIGHT, "BASE_URL": ""}, "Before starting"),
    "brand-without-url": ("E004", {"BRANDS": {"alpha": {"BRAND_TOKEN": "x"}}}, "Before starting"),
    "url-without-scheme": ("E005", {**RIGHT, "BASE_URL": "partners.example.com"}, "https://"),
    "url-with-path": ("E005", {**RIGHT, "BASE_URL": "https://partners.example.com/api"}, "host only"),
    "url-with-query": ("E005", {**RIGHT, "BASE_URL": "https://partners.example.com?x"}, "host only"),
    "url-with-password": ("E005", {**RIGHT, "BASE_URL": "https://u:password@example.com"}, "host only"),
    "url-with-line-break": ("E005", {**RIGHT, "BASE_URL": "https://partners.example.com\n"}, "host only"),
    "url-broken": ("E005", {**RIGHT, "BASE_URL": "https://[partners"}, "host only"),
    "url-of-another-kind": ("E005", {**RIGHT, "BASE_URL": "ftp://partners.example.com"}, "https://"),
    "plain-http": ("E005", {**RIGHT, "BASE_URL": "http://partners.example.com"}, "https"),
    "no-token": ("E006", {"BASE_URL": RIGHT["BASE_URL"]}, "Brand Settings"),
    "brand-without-token": ("E006", {"BASE_URL": RIGHT["BASE_URL"], "BRANDS": {"a": {}}}, "Brand Settings"),
    "token-with-line-break": ("E007", {**RIGHT, "BRAND_TOKEN": "secret\n"}, ".strip()"),
    "token-with-space": ("E007", {**RIGHT, "BRAND_TOKEN": " secret"}, ".strip()"),
    "token-in-other-letters": ("E007", {**RIGHT, "BRAND_TOKEN": "секрет"}, ".strip()"),
    "id-misspelt": ("E018", {**RIGHT, "CUSTOMER_ID": "profil__id"}, "'pk'"),
    "id-of-no-relation": ("E018", {**RIGHT, "CUSTOMER_ID": "usernam"}, "'pk'"),
    "field-of-nothing": (
        "W004",
        {**RIGHT, "CUSTOMER_FIELDS": {"country": "profile__contry"}},
        "profile__country",
    ),
    "no-choice": ("E008", {**RIGHT, "ATTRIBUTION": "middle"}, "last, first"),
    "choice-in-capitals": ("E008", {**RIGHT, "COOKIE_SAMESITE": "lax"}, "Lax, Strict, None"),
    "no-storage": ("E008", {**RIGHT, "STORAGE": ["local"]}, '"session"'),
    "no-storage-at-all": ("E008", {**RIGHT, "STORAGE": []}, '"session"'),
    "no-parameter": ("E008", {**RIGHT, "TRACKING_PARAMS": []}, '"tracking_data"'),
    "no-source": ("E008", {**RIGHT, "SIGNUP_SOURCES": ["auto"]}, "some of: "),
    "source-misspelt": ("E008", {**RIGHT, "SIGNUP_SOURCES": "alauth"}, "some of: "),
    "brands-choice": ("E008", brand(CORRECTIONS="maybe"), "flag, resend"),
    "no-such-module": ("E009", {**RIGHT, "CONSENT": "no.such.module"}, "dotted path"),
    "no-such-function": ("E009", {**RIGHT, "BEFORE_SEND": "pathlib.nothing"}, "dotted path"),
    "no-function": ("E009", {**RIGHT, "RESPONSE_CHECK": "sys.maxsize"}, "dotted path"),
    "async-function": ("E009", {**RIGHT, "CONSENT": "asyncio.sleep"}, "dotted path"),
    "no-such-shape": ("E009", {**RIGHT, "PRODUCT_FIELD": "track360_django.products.sufix"}, "dotted path"),
    "no-shape": ("E009", {**RIGHT, "PRODUCT_FIELD": "sys.maxsize"}, "dotted path"),
    "shape-in-a-brand": ("E009", brand(PRODUCT_FIELD="no.such.module"), "dotted path"),
    "product-in-a-field-of-the-api": ("E008", {**RIGHT, "PRODUCT_FIELD": "Currency"}, "'product'"),
    "number-for-a-product-field": ("E003", {**RIGHT, "PRODUCT_FIELD": 5}, "''"),
    "places-as-text": ("E003", {**RIGHT, "CURRENCIES": {"BTC": "8"}}, "{}"),
    "places-of-a-bool": ("E003", {**RIGHT, "CURRENCIES": {"BTC": True}}, "{}"),
    "currency-in-small-letters": ("E021", {**RIGHT, "CURRENCIES": {"btc": 8}}, "capitals"),
    "currency-too-short": ("E021", {**RIGHT, "CURRENCIES": {"X": 8}}, "3 to 10"),
    "currency-too-long": ("E021", {**RIGHT, "CURRENCIES": {"A" * 11: 8}}, "3 to 10"),
    "currency-of-other-letters": ("E021", {**RIGHT, "CURRENCIES": {"ÄÖÜ": 2}}, "3 to 10"),
    "places-below-zero": ("E021", {**RIGHT, "CURRENCIES": {"BTC": -1}}, "0 to 18"),
    "too-many-places": ("E021", {**RIGHT, "CURRENCIES": {"BTC": 19}}, "0 to 18"),
    "brands-currency": ("E021", brand(CURRENCIES={"b t c": 8}), "such as {'USDT': 6}"),
    "other-places-than-iso": ("W008", {**RIGHT, "CURRENCIES": {"JPY": 2}}, "rounded"),
    "no-zone": ("E012", {**RIGHT, "TIME_ZONE": "Mars/Olympus"}, "Europe/Malta"),
    "no-zone-but-a-path": ("E012", {**RIGHT, "TIME_ZONE": "../passwd"}, "Europe/Malta"),
    "loopback-in-production": ("W001", {**RIGHT, "BASE_URL": "http://127.0.0.1:8000"}, "sandbox"),
    "http-allowed": (
        "W001",
        {**RIGHT, "BASE_URL": "http://partners.example.com", "ALLOW_HTTP": True},
        "https",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_setting_has_its_id_and_a_hint(settings: Settings, case: str) -> None:
    """Each mistake is told once, under its own id, with a hint that leads out and without the secret."""
    number, configured, hint = WRONG[case]
    settings.TRACK360 = configured

    (message,) = find(number)

    assert message.id == f"track360_django.{number}"
    assert hint in (message.hint or "")
    assert isinstance(message, CheckWarning if number.startswith("W") else Error)
    assert not [word for word in PERSONAL_WORDS if word in str(message)]


def test_each_mistake_is_told_at_once(settings: Settings) -> None:
    """Several mistakes are several messages: nobody has to correct them one by one."""
    settings.TRACK360 = {"BASE_ULR": "x", "BATCH_SIZE": 0, "ATTRIBUTION": "x", "TIME_ZONE": "x"}

    assert numbers() == ["E002", "E003", "E004", "E006", "E008", "E012"]


def test_message_names_the_brand(settings: Settings) -> None:
    """A brand's mistake names the brand."""
    settings.TRACK360 = brand(BRAND_TOKEN="two words")

    assert "TRACK360['BRANDS']['alpha']['BRAND_TOKEN']" in find("E007")[0].msg


def test_setting_that_is_not_there_at_all_is_told(settings: Settings) -> None:
    """A host that forgot the setting is told what to write."""
    del settings.TRACK360

    assert numbers() == ["E001"]


# What is wrong with MIDDLEWARE and the declarations.


@pytest.mark.parametrize(
    ("middleware", "storage", "expected"),
    [
        ([SESSION, TRACKING, COMMON], ("session", "cookie"), []),
        ([TRACKING], ("cookie",), []),
        ([], ("session", "cookie"), ["E010"]),
        ([SESSION, COMMON], ("session", "cookie"), ["E010"]),
        ([TRACKING, SESSION], ("session", "cookie"), ["E011"]),
        ([TRACKING], ("session",), ["E011"]),
        ([SESSION, COMMON, TRACKING], ("session", "cookie"), ["W002"]),
        ([COMMON, TRACKING, SESSION], ("session", "cookie"), ["E011", "W002"]),
        ([COMMON, TRACKING], ("cookie",), ["W002"]),
        ([UPDATE, SESSION, TRACKING, COMMON, FETCH], ("session", "cookie"), []),
        ([SESSION, TRACKING, COMMON, UPDATE, FETCH], ("session", "cookie"), ["W015"]),
        ([UPDATE, FETCH, SESSION, TRACKING], ("session", "cookie"), ["W002"]),
        ([SESSION, TRACKING, TRACKING], ("session", "cookie"), ["W014"]),
        ([SESSION, "tests.host.middleware.Tracking", COMMON], ("session", "cookie"), []),
        (["tests.host.middleware.Session", TRACKING], ("session", "cookie"), []),
        ([SESSION, "tests.host.middleware.Locale", TRACKING], ("session", "cookie"), ["W002"]),
        ([SESSION, TRACKING, "tests.host.middleware.Tracking"], ("session", "cookie"), ["W014"]),
        ([SESSION, "tests.host.middleware.plain", TRACKING], ("session", "cookie"), []),
        ([SESSION, "tests.host.not_there.Middleware", TRACKING], ("session", "cookie"), []),
        ([WHITENOISE, SESSION, TRACKING], ("session", "cookie"), []),
    ],
    ids=[
        "right",
        "cookie-only",
        "none",
        "missing",
        "before-session",
        "no-session",
        "too-late",
        "both",
        "cookie-only-too-late",
        "cache-as-documented",
        "cache-inside",
        "cache-outside",
        "twice",
        "subclass-of-ours",
        "subclass-of-sessions",
        "subclass-that-answers",
        "twice-with-a-subclass",
        "function",
        "not-there",
        "whitenoise-for-assets",
    ],
)
def test_place_of_the_middleware_is_checked(
    settings: Settings, middleware: list[str], storage: tuple[str, ...], expected: list[str]
) -> None:
    """The middleware must be there, behind the session it uses, and before what answers by itself."""
    settings.MIDDLEWARE = middleware
    settings.TRACK360 = {**RIGHT, "STORAGE": storage}

    messages = [message for message in find() if message.id]

    assert numbers() == expected
    assert all("SessionMiddleware" in (message.hint or "") for message in messages)


@pytest.mark.parametrize("name", middlewares.WHITENOISE_PAGES)
@pytest.mark.parametrize("is_behind", [True, False], ids=["behind", "in-front"])
def test_whitenoise_that_serves_pages_belongs_behind(
    settings: Settings, name: str, *, is_behind: bool
) -> None:
    """With an index file or a root, WhiteNoise answers landings: in front of ours it takes them away."""
    settings.MIDDLEWARE = [SESSION, TRACKING, WHITENOISE] if is_behind else [WHITENOISE, SESSION, TRACKING]
    setattr(settings, name, "/srv/site")

    assert numbers() == ([] if is_behind else ["W002"])


def test_each_middleware_that_may_answer_is_named(settings: Settings) -> None:
    """Each middleware that may swallow a landing has a warning of its own."""
    settings.MIDDLEWARE = [SESSION, *middlewares.ANSWERING, TRACKING]

    assert [message.msg.partition(" ")[0] for message in find("W002")] == list(middlewares.ANSWERING)


class ProductDeposit(activities.ModelActivity):
    """A declaration that reports a product."""

    eventname = "Deposit"
    customer = "account__user"
    dated_by = "created_at"
    product = "method"


class ProductByMethod(activities.ModelActivity):
    """A declaration that computes the product."""

    eventname = "Bet"
    customer = "account__user"
    dated_by = "created_at"

    def get_product(self, _row: Deposit) -> str:
        """Return the product line."""
        return "Casino"


@pytest.fixture(params=[ProductDeposit, ProductByMethod], ids=["path", "method"])
def declared(request: pytest.FixtureRequest) -> Iterator[type[activities.ModelActivity]]:
    """Register a declaration that reports a product, for one test."""
    declaration: type[activities.ModelActivity] = request.param
    activities.register(Deposit)(declaration)
    yield declaration
    activities.unregister(Deposit, declaration)


def test_product_without_an_agreed_field_is_an_error(declared: type[activities.ModelActivity]) -> None:
    """A declaration may report a product only once PRODUCT_FIELD says under which name."""
    (message,) = find("E013")

    assert declared.__name__ in message.msg
    assert "PRODUCT_FIELD" in (message.hint or "")


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(
    "agreed",
    ["product", products.suffix, "track360_django.products.prefix"],
    ids=["field", "function", "path"],
)
def test_product_with_an_agreed_field_is_right(settings: Settings, agreed: object) -> None:
    """With PRODUCT_FIELD set, to a field or a shape, there is nothing to say."""
    settings.TRACK360 = {**RIGHT, "PRODUCT_FIELD": agreed}

    assert find() == []


@pytest.mark.usefixtures("declared")
def test_product_needs_its_field_in_each_brand(settings: Settings) -> None:
    """One brand without the field is enough for the error."""
    brands = {"alpha": {"PRODUCT_FIELD": "product"}, "beta": {"BRAND_TOKEN": "other"}}
    settings.TRACK360 = {**RIGHT, "BRANDS": brands, "BRAND_RESOLVER": len}

    assert numbers() == ["E013"]


class BetOfDeposits(activities.ModelActivity):
    """A declaration without an id of its own."""

    eventname = "Bet"
    customer = "account__user"
    dated_by = "created_at"


class BetOfAccounts(activities.ModelActivity):
    """A declaration of the same event name for another model."""

    eventname = "Bet"
    dated_by = "user__date_joined"


class NumberedBetOfAccounts(BetOfAccounts):
    """A declaration with an id of its own."""

    eventid = "pk"


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(BetOfAccounts, ["E014"], id="both-by-primary-key"),
        pytest.param(NumberedBetOfAccounts, [], id="one-with-its-own-id"),
    ],
)
def test_two_declarations_whose_ids_collide_are_an_error(
    second: type[activities.ModelActivity], expected: list[str]
) -> None:
    """Rows of two models that have the same primary key must not share an event id."""
    activities.register(Deposit)(BetOfDeposits)
    activities.register(Account)(second)

    found = numbers()

    activities.unregister(Deposit, BetOfDeposits)
    activities.unregister(Account, second)
    assert found == expected


class Reversed(activities.ModelActivity):
    """A declaration with two names, the second for what is taken back."""

    eventname = "Deposit"
    customer = "account__user"
    dated_by = "created_at"
    eventid = "reference"
    on_reverse = "Chargeback"


@pytest.mark.parametrize(
    ("configured", "unknown"),
    [
        pytest.param({"EVENTS": ("Deposit", "Chargeback")}, {}, id="both-agreed"),
        pytest.param({}, {}, id="no-list"),
        pytest.param({"EVENTS": ("Deposits", "Chargeback")}, {"Deposit": "'Deposits'"}, id="close"),
        pytest.param(
            {"EVENTS": ("Deposit", "Bet")}, {"Chargeback": "Agreed are: Bet, Deposit."}, id="reversal"
        ),
        pytest.param(
            {"BRANDS": {"alpha": {"EVENTS": ["Deposit"]}, "beta": {"EVENTS": ["Chargeback"]}}},
            {},
            id="each-in-a-brand",
        ),
        pytest.param(
            {"BRANDS": {"alpha": {"EVENTS": ["Deposit"]}, "beta": {"EVENTS": ["Deposit"]}}},
            {"Chargeback": "Agreed are: Deposit."},
            id="in-no-brand",
        ),
        pytest.param({"BRANDS": {"alpha": {"EVENTS": ["Bet"]}, "beta": {}}}, {}, id="brand-without-a-list"),
        pytest.param(
            {"EVENTS": ("Deposit", "Chargeback"), "PRODUCT_FIELD": products.suffix},
            {},
            id="name-before-its-shape",
        ),
    ],
)
def test_declared_name_that_was_not_agreed_is_told(
    settings: Settings, configured: Mapping[str, Any], unknown: Mapping[str, str]
) -> None:
    """A name that no brand's EVENTS has is told with the one that was meant, as it is declared, not as it is sent."""
    settings.TRACK360 = {**RIGHT, **configured}
    before, days = activities.declarations(), activities.daily_declarations()
    for each in before:
        activities.unregister(each.model, type(each))
    for day in days:
        activities.unregister_daily(type(day))
    activities.register(Deposit)(Reversed)

    messages = find("W007")

    activities.unregister(Deposit, Reversed)
    for each in before:
        activities.register(each.model)(type(each))
    for day in days:
        activities.register_daily(type(day))
    assert [message.msg.split("'")[1] for message in messages] == list(unknown)
    assert all(hint in (message.hint or "") for hint, message in zip(unknown.values(), messages, strict=True))


MISSPELT: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "customer": ("E015", {"customer": "acount__user"}, "'acount'"),
    "second-step": ("E015", {"customer": "account__usr"}, "'usr'"),
    "value": ("E015", {"value": "amout"}, "'amout'"),
    "field": ("E015", {"fields": {"depositType": "methd"}}, "'methd'"),
    "when": ("E016", {"when": Q(statuss="completed")}, "statuss"),
    "eventname": ("E017", {"eventname": ""}, "eventname"),
    "attribute": ("W003", {"event_id": "reference"}, "'event_id'"),
}


@pytest.mark.parametrize("case", MISSPELT)
def test_misspelt_declaration_is_told_before_a_sale_meets_it(case: str) -> None:
    """What would fail or be ignored with the first row is said by `check`, with the name that is wrong."""
    number, attributes, named = MISSPELT[case]
    right = {"eventname": "Bet", "customer": "account__user", "eventid": "reference", "value": "amount"}
    right["dated_by"] = "created_at"
    declaration = type("Misspelt", (activities.ModelActivity,), {**right, **attributes})
    activities.register(Deposit)(declaration)

    messages = find()

    activities.unregister(Deposit, declaration)
    assert [(message.id or "").removeprefix("track360_django.") for message in messages] == [number]
    assert named in messages[0].msg
    assert messages[0].hint


def test_functions_and_methods_of_a_declaration_need_no_path() -> None:
    """What a declaration computes is its own affair."""
    attributes = {
        "eventname": "Bet",
        "customer": lambda row: row.account.user,
        "eventid": "reference",
        "get_value": lambda _self, row: row.amount,
        "createtime": "completed_at",
        "fields": {"label": "__str__"},
        "_own": 1,
        "dated_by": "created_at",
    }
    declaration = type("Computed", (activities.ModelActivity,), attributes)
    activities.register(Deposit)(declaration)

    messages = find()

    activities.unregister(Deposit, declaration)
    assert messages == []


WRONG_DAYS: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "right": ([], {"kpis": ("GGR", "Bets"), "_own": 1, "window_days": 30}, ""),
    "eventname": (["E019"], {"eventname": ""}, "eventname"),
    "no-eventname": (["E019"], {"eventname": None}, "eventname"),
    "eventname-too-long": (["E019"], {"eventname": "x" * 101}, "100"),
    "rows": (["E020"], {"rows": activities.DailyActivity.rows}, "rows()"),
    "doubled-event": (["W005"], {"eventname": "Deposit"}, "Deposit"),
    "doubled-kpi": (["W005"], {"kpis": ("GGR", "Deposit")}, "Deposit"),
    "doubled-only-kpi": (["W005"], {"kpis": "Deposit"}, "Deposit"),
    "doubled-reversal": (["W005"], {"kpis": ("Chargeback",)}, "Chargeback"),
    "window-too-long": (["W006"], {"window_days": 31}, "30 days"),
    "no-window": (["W006"], {"window_days": 0}, "window_days = 0"),
    "window-is-no-number": (["W006"], {"window_days": "7"}, "'7'"),
    "attribute": (["W003"], {"window_day": 3}, "'window_day'"),
}


@pytest.mark.parametrize("case", WRONG_DAYS)
def test_wrong_days_total_is_told_before_the_first_day(case: str) -> None:
    """What would keep a day back, count it twice or lose its corrections is said by `check`."""
    expected, attributes, named = WRONG_DAYS[case]
    right = {"eventname": "DailyStats", "rows": lambda _self, _day: []}
    declaration = type("Day", (activities.DailyActivity,), {**right, **attributes})
    activities.register_daily(declaration)

    messages = find()

    activities.unregister_daily(declaration)
    assert [(message.id or "").removeprefix("track360_django.") for message in messages] == expected
    assert all(named in message.msg and message.hint for message in messages)


def test_every_id_is_documented_and_tried() -> None:
    """The table at the top of the module, and the tables here, know each id."""
    folder = Path(checks.__file__).parent
    used = {
        number
        for path in folder.glob("*.py")
        for number in re.findall(r'(?:track360_django\.|")([EW][0-9]{3})"', path.read_text(encoding="utf-8"))
    }
    of_brands = set(re.findall(r"[EW][0-9]{3}", (folder / "brands.py").read_text(encoding="utf-8")))

    assert used == {word for word in (checks.__doc__ or "").split() if re.fullmatch("[EW][0-9]{3}", word)}
    assert used - of_brands == {case[0] for case in WRONG.values()} | {
        *("E010", "E011", "E013", "E014", "E024", "W002", "W007", "W014", "W015"),
        *(number for _, expected in AGED.values() for number in expected),
        *(case[0] for case in MISSPELT.values()),
        *(number for case in WRONG_DAYS.values() for number in case[0]),
    }


# None of it stops the host.

BROKEN: Mapping[str, Any] = {
    **{name: configured for name, (_, configured, _) in WRONG.items()},
    "all-of-a-wrong-type": {
        name: object()
        for name in (
            "BASE_URL", "BRAND_TOKEN", "ENABLED", "BRANDS", "BRAND_RESOLVER", "TRACKING_PARAMS", "ATTRIBUTION",
            "ATTRIBUTION_WINDOW_DAYS", "STORAGE", "COOKIE_NAME", "COOKIE_SECURE", "CONSENT", "CUSTOMER_ID",
            "CUSTOMER_FIELDS", "SIGNUP_SOURCES", "REPORT_ON", "TIME_ZONE", "LANES",
        )
    },
    "resolver-of-no-brand": {**brand(), "BRAND_RESOLVER": lambda _request: "gamma"},
    "resolver-that-fails": {**brand(), "BRAND_RESOLVER": lambda _request: 1 / 0},
    "resolver-that-is-not-there": {**brand(), "BRAND_RESOLVER": "no.such.module"},
    "customer-id-of-nothing": {**RIGHT, "CUSTOMER_ID": "nothing"},
    "field-of-nothing": {**RIGHT, "CUSTOMER_FIELDS": {"country": "nothing", "vip": 5}},
}  # fmt: skip


def visit(client: Client) -> list[tuple[int, bytes]]:
    """Land, wander and sign up; return what each page answered."""
    password = "a-long-and-unlikely-password"
    person = {"first_name": "Alex", "last_name": "Taylor", "country": "US"}
    pages = [
        client.get("/", {"tracking_data": "2001_1000_abcdefg"}),
        client.get(reverse("games")),
        client.post(
            reverse("signup"), {"username": "alex", "password1": password, "password2": password, **person}
        ),
        client.get(reverse("cashier:home")),
    ]
    return [(page.status_code, page.content) for page in pages]


@pytest.mark.django_db
@pytest.mark.parametrize("case", BROKEN)
def test_broken_setting_changes_no_page(settings: Settings, case: str) -> None:
    """With whatever in TRACK360, landing, pages, signup and cashier answer as without the package."""
    # What a password costs is not the question here.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    installed = settings.MIDDLEWARE
    settings.MIDDLEWARE = [name for name in installed if name != TRACKING]
    settings.TRACK360 = {"ENABLED": False}
    expected = visit(Client())
    User.objects.all().delete()
    settings.MIDDLEWARE = installed
    settings.TRACK360 = BROKEN[case]

    answers = visit(Client())

    assert [status for status, _ in answers] == [status for status, _ in expected]
    assert [len(content) for _, content in answers] == [len(content) for _, content in expected]


RunCheck = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_check(tmp_path: Path) -> RunCheck:
    """Return a function that runs `manage.py check` in a process, with these lines behind the example's settings."""

    def run(lines: str) -> subprocess.CompletedProcess[str]:
        settings_file = tmp_path / "broken_settings.py"
        settings_file.write_text(f"from example_project.settings import *\n{lines}\n")
        return subprocess.run(
            [sys.executable, "manage.py", "check"],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "broken_settings",
                "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
                "PYTHONWARNINGS": "error",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


@pytest.mark.parametrize(
    ("lines", "number", "hint"),
    [
        ("del TRACK360", "E001", "HINT: Write: TRACK360 = {"),
        ("TRACK360['BASE_ULR'] = ''", "E002", "HINT: Did you mean 'BASE_URL'?"),
        ("TRACK360['BRAND_TOKEN'] = 'secret\\n'", "E007", "HINT: Copy it again"),
    ],
    ids=["missing", "misspelt", "line-break"],
)
def test_check_command_tells_what_to_do(run_check: RunCheck, lines: str, number: str, hint: str) -> None:
    """`manage.py check` starts, fails, and prints the id and the hint."""
    run = run_check(lines)

    assert run.returncode == 1, run.stderr
    assert f"track360_django.{number}" in run.stderr
    assert hint in run.stderr
    assert "secret" not in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


def test_check_command_is_content_with_the_example(run_check: RunCheck) -> None:
    """`manage.py check` has nothing against the example project."""
    run = run_check("TRACK360['BASE_URL'] = 'https://partners.example.com'")

    assert run.returncode == 0, run.stderr


class Reversed2(Reversed):
    """Another KPI of the same rows, with the same ids."""

    eventname = "FirstDeposit"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [({}, ["E024"]), ({"on_reverse": "negative"}, []), ({"eventid": "pk"}, []), ({"on_reverse": None}, [])],
    ids=["same", "other-name", "other-id", "none"],
)
def test_two_reversals_under_one_id_are_an_error(
    settings: Settings, attributes: dict[str, Any], expected: list[str]
) -> None:
    """Of two records of one row each is taken back by itself; the example declares the first of them."""
    settings.TRACK360 = RIGHT
    second = type("Second", (Reversed2,), attributes)
    activities.register(Deposit)(second)

    found = numbers()

    activities.unregister(Deposit, second)
    assert found == expected


AGED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a-column": ({"dated_by": "created_at"}, []),
    "of-a-relation": ({"createtime": "account__user__date_joined"}, []),
    "no-date": ({"dated_by": "amount"}, ["E022"]),
    "nothing": ({"dated_by": "nonsense"}, ["E022"]),
    "no-age": ({}, ["W009"]),
    "no-name": ({"dated_by": "created_at", "on_reverse": ""}, ["E023"]),
    "no-text": ({"dated_by": "created_at", "on_reverse": True}, ["E023"]),
    "a-name": ({"dated_by": "created_at", "on_reverse": "Chargeback"}, []),
}


@pytest.mark.parametrize("case", AGED)
def test_age_and_reversal_of_a_declaration(settings: Settings, case: str) -> None:
    """Reconciliation must be able to tell how old a row is, and what its reversal is called."""
    settings.TRACK360 = RIGHT
    attributes, expected = AGED[case]
    words = {"eventname": "Aged", "customer": "account__user", **attributes}
    kind = type("Aged", (activities.ModelActivity,), words)
    activities.register(Deposit)(kind)

    found = numbers()

    activities.unregister(Deposit, kind)
    assert found == expected
