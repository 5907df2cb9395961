"""The one setting: what is used when it is absent, right, wrong, or a brand's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from pytest_django import Settings

from tests.pages import ROOT
from track360_django import conf

# DESIGN, "The public face": names that hosts rely on, and the defaults that were promised with them.
PROMISED: Mapping[str, Any] = {
    "ENABLED": True,
    "TRACKING_PARAMS": ("tracking_data",),
    "ATTRIBUTION": "last",
    "ATTRIBUTION_WINDOW_DAYS": 30,
    "STORAGE": ("session", "cookie"),
    "CONSENT": None,
    "PROMO_CODES": {},
    "PROMO_PARAM": "promo_code",
    "CUSTOMER_ID": "pk",
    "SIGNUP_SOURCES": "auto",
    "REPORT_ON": "signup",
    "EVENTS": (),
    "TIME_ZONE": "UTC",
    "PRODUCT_FIELD": "",
    "CURRENCIES": {},
    "CORRECTIONS": "flag",
    "UNKNOWN_CUSTOMERS": "register",
    "BATCH_SIZE": 500,
    "BATCH_BYTES": 256 * 1024,
    "LANES": 8,
    "CONCURRENCY": 4,
    "DATABASES": (),
    "REQUESTS_PER_SECOND": None,
    "CONNECT_TIMEOUT_SECONDS": 3,
    "READ_TIMEOUT_SECONDS": 10,
    "TOTAL_TIMEOUT_SECONDS": 15,
    "MAX_AGE_DAYS": 7,
    "RETENTION_DAYS": 30,
    "BEFORE_SEND": None,
    "RESPONSE_CHECK": None,
    "BRANDS": {},
    "BRAND_RESOLVER": None,
    "HOSTS": (),
    "PROXIES": {},
    "CA_BUNDLE": "",
    "ALLOW_HTTP": False,
}
# One value of each setting that is not its default and that it can work with.
RIGHT: Mapping[str, Any] = {
    "BASE_URL": "https://partners.example.com",
    "BRAND_TOKEN": "token",
    "ENABLED": False,
    "BRANDS": {"one": {}},
    "BRAND_RESOLVER": "example_project.brands.of",
    "HOSTS": [".example.com"],
    "TRACKING_PARAMS": ["a", "b"],
    "ATTRIBUTION": "first",
    "ATTRIBUTION_WINDOW_DAYS": 7,
    "STORAGE": ["cookie"],
    "COOKIE_NAME": "other",
    "COOKIE_DOMAIN": ".example.com",
    "COOKIE_PATH": "/play",
    "COOKIE_SECURE": False,
    "COOKIE_SAMESITE": "None",
    "CONSENT": len,
    "PROMO_CODES": {"SUMMER": "2001_1000_summer"},
    "PROMO_PARAM": "voucher",
    "CUSTOMER_ID": len,
    "CUSTOMER_FIELDS": {"country": "profile__country", "vip": len},
    "SIGNUP_SOURCES": ["allauth"],
    "REPORT_ON": "activation",
    "EVENTS": ["Deposit"],
    "TIME_ZONE": "Europe/Malta",
    "PRODUCT_FIELD": "product",
    "CURRENCIES": {"BTC": 8, "USDT": 6},
    "CORRECTIONS": "resend",
    "UNKNOWN_CUSTOMERS": "hold",
    "BATCH_SIZE": 10,
    "BATCH_BYTES": 1000,
    "LANES": 2,
    "CONCURRENCY": 1,
    "DATABASES": ["payments"],
    "REQUESTS_PER_SECOND": 2.5,
    "CONNECT_TIMEOUT_SECONDS": 1,
    "READ_TIMEOUT_SECONDS": 2.5,
    "TOTAL_TIMEOUT_SECONDS": 5,
    "MAX_AGE_DAYS": 1,
    "RETENTION_DAYS": 1,
    "BEFORE_SEND": "example_project.hooks.change",
    "RESPONSE_CHECK": len,
    "PROXIES": {"https": "http://proxy.example.com:3128"},
    "CA_BUNDLE": "/etc/ssl/bundle.pem",
    "ALLOW_HTTP": True,
}
# Values that a setting can't work with.
WRONG: Mapping[str, tuple[Any, ...]] = {
    "BASE_URL": (None, 5, b"x", ["x"], len),
    "BRAND_TOKEN": (None, 5, b"x", ["x"], len),
    "TIME_ZONE": (None, 5, b"x", ["x"], len),
    "ATTRIBUTION": (None, ["last"], len),
    "ENABLED": (None, "no", 0, 1, []),
    "ALLOW_HTTP": (None, "no", 0, 1, []),
    "BATCH_SIZE": (None, "5", 0, -1, True, 2.5, [5]),
    "LANES": (None, "5", 0, -1, True, 2.5, [5]),
    "CONCURRENCY": (None, "5", 0, -1, True, 2.5, [5]),
    "REQUESTS_PER_SECOND": ("5", 0, -1, True, [5]),
    "TOTAL_TIMEOUT_SECONDS": (None, "5", 0, -1.5, True, float("nan"), float("inf")),
    "TRACKING_PARAMS": (None, "tracking_data", {"a"}, {"a": 1}, ["a", 5], 5),
    "STORAGE": (None, "cookie", [None]),
    "BRANDS": (None, ["one"], "one", 5),
    "PROXIES": (None, "http://proxy.example.com", ["x"], {"https": 5}),
    "CUSTOMER_FIELDS": (None, ["country"], "country"),
    "CUSTOMER_ID": (5, ["pk"], True),
    "CONSENT": (5, True, ["x"]),
    "PROMO_CODES": (5, True, ["SUMMER"], {"SUMMER": 5}),
    "BRAND_RESOLVER": (5, True, {}),
    "HOSTS": (None, ".example.com", 5, [5]),
    "PRODUCT_FIELD": (5, True, ["product"]),
    "CURRENCIES": (None, ["BTC"], "BTC", {"BTC": "8"}, {"BTC": True}, {"BTC": 8.0}, {8: 8}),
    "COOKIE_SECURE": ("yes", 1, len),
    "COOKIE_DOMAIN": (True, 5, len),
    "SIGNUP_SOURCES": (None, 5, [5], len),
}


def test_promised_settings_are_there_with_their_defaults(settings: Settings) -> None:
    """Without a setting, each name has the default that was promised."""
    del settings.TRACK360

    assert {name: getattr(conf.settings, name) for name in PROMISED} == PROMISED


def test_defaults_suit_their_own_types() -> None:
    """Each default is a value that its setting can work with."""
    assert [name for name in conf.names() if not conf.is_acceptable(name, conf.default_of(name))] == []


def test_every_setting_is_in_the_tables() -> None:
    """The tables of this file know all settings."""
    assert set(RIGHT) == set(conf.names())
    assert set(PROMISED) <= set(conf.names())


@pytest.mark.parametrize("name", RIGHT)
def test_right_value_is_used_at_once(settings: Settings, name: str) -> None:
    """A value is read when it is used: a change needs no restart, and taking it back neither."""
    settings.TRACK360 = {name: RIGHT[name]}
    assert getattr(conf.settings, name) == RIGHT[name]

    settings.TRACK360 = {}

    assert getattr(conf.settings, name) == conf.default_of(name) != RIGHT[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in WRONG.items() for value in values],
    ids=lambda value: repr(value)[:30],
)
def test_value_of_the_wrong_type_counts_as_absent(settings: Settings, name: str, value: object) -> None:
    """A value that a setting can't work with is as good as none: the default holds."""
    settings.TRACK360 = {name: value}

    assert getattr(conf.settings, name) == conf.default_of(name)


@pytest.mark.parametrize("configured", [None, [], "x", 5, {1: 2}], ids=repr)
def test_setting_that_is_no_dict_counts_as_empty(settings: Settings, configured: object) -> None:
    """Whatever TRACK360 is, it can be asked."""
    settings.TRACK360 = configured

    assert {name: getattr(conf.settings, name) for name in conf.names()} == {
        name: conf.default_of(name) for name in conf.names()
    }


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name of ours is a mistake in the code, not None."""
    with pytest.raises(AttributeError):
        _ = conf.settings.BASE_ULR  # type: ignore[attr-defined]  # the point of the test


# Brands.


@pytest.fixture
def two_brands(settings: Settings) -> None:
    """Configure two brands, one of them with a setting of its own."""
    settings.TRACK360 = {
        "BASE_URL": "https://shared.example.com",
        "BATCH_SIZE": 100,
        "BRANDS": {
            "alpha": {"BRAND_TOKEN": "a", "BATCH_SIZE": 7, "TIME_ZONE": "Europe/Malta"},
            "beta": {"BRAND_TOKEN": "b", "BATCH_SIZE": "many", "BRANDS": {"gamma": {}}},
        },
    }


@pytest.mark.usefixtures("two_brands")
@pytest.mark.parametrize(
    ("brand", "name", "value"),
    [
        ("alpha", "BRAND_TOKEN", "a"),
        ("beta", "BRAND_TOKEN", "b"),
        ("alpha", "BATCH_SIZE", 7),
        ("beta", "BATCH_SIZE", 500),  # its own is wrong: the default
        ("alpha", "BASE_URL", "https://shared.example.com"),
        ("gone", "BATCH_SIZE", 100),
        ("", "BATCH_SIZE", 100),
        ("", "BRAND_TOKEN", ""),
    ],
)
def test_brand_sees_its_own_then_the_shared_then_the_default(brand: str, name: str, value: object) -> None:
    """A brand's own setting wins over the shared one, which wins over the default."""
    assert getattr(conf.for_brand(brand), name) == value


@pytest.mark.usefixtures("two_brands")
def test_brand_has_no_brands_of_its_own() -> None:
    """`BRANDS` inside a brand means nothing."""
    assert tuple(conf.for_brand("beta").BRANDS) == ("alpha", "beta")


@pytest.mark.usefixtures("two_brands")
def test_brands_are_listed_in_their_order() -> None:
    """The brands are those of the setting, in its order."""
    assert conf.brands() == ("alpha", "beta")


@pytest.mark.parametrize("configured", [{}, {"BRANDS": {}}, {"BRANDS": None}, None], ids=repr)
def test_host_without_brands_is_one_brand(settings: Settings, configured: object) -> None:
    """One host, one brand, named "default"."""
    settings.TRACK360 = configured

    assert conf.brands() == ("default",)
    assert conf.brand_of(None) == "default"


@pytest.mark.usefixtures("two_brands")
@pytest.mark.parametrize(
    ("host", "brand"),
    [("alpha.example.com", "alpha"), ("beta.example.com", "beta"), ("x.example.com", "alpha")],
)
def test_resolver_names_the_brand_of_a_request(settings: Settings, host: str, brand: str) -> None:
    """The resolver's brand is a request's brand; where it names none, it is the first."""
    names = {"alpha.example.com": "alpha", "beta.example.com": "beta"}
    settings.TRACK360 = {
        **settings.TRACK360,
        "BRAND_RESOLVER": lambda request: names.get(request.headers["host"]),
    }

    assert conf.brand_of(RequestFactory().get("/", headers={"host": host})) == brand


@pytest.mark.usefixtures("two_brands")
def test_resolver_is_asked_without_a_request_too(settings: Settings) -> None:
    """Outside of a request the resolver gets None, and may know the brand all the same."""
    settings.TRACK360 = {
        **settings.TRACK360,
        "BRAND_RESOLVER": lambda request: "beta" if request is None else None,
    }

    assert conf.brand_of(None) == "beta"


@pytest.mark.usefixtures("two_brands")
@pytest.mark.parametrize("named", ["gamma", "", 5], ids=repr)
def test_resolver_that_names_an_unknown_brand_is_told_so(settings: Settings, named: object) -> None:
    """A brand that isn't configured is an error that lists those that are."""
    settings.TRACK360 = {**settings.TRACK360, "BRAND_RESOLVER": lambda _request: named}

    with pytest.raises(ImproperlyConfigured, match="alpha, beta"):
        conf.brand_of(None)


# Functions and zones.


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (len, len), ("pathlib.Path", Path), ("sys.maxsize", None)],
    ids=["none", "function", "path", "no-function"],
)
def test_function_may_be_named_by_its_path(
    value: conf.FunctionOrPath, expected: Callable[..., Any] | None
) -> None:
    """A function is given itself or by a dotted path."""
    assert conf.function(value) is expected


@pytest.mark.parametrize("path", ["nothing", "no.such.module", "pathlib.Nothing", ""])
def test_function_that_is_not_there_is_told_so(path: str) -> None:
    """A path that leads nowhere is a misconfiguration that names it."""
    with pytest.raises(ImproperlyConfigured, match=path or "''"):
        conf.function(path)


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("UTC", ZoneInfo("UTC")),
        ("Europe/Malta", ZoneInfo("Europe/Malta")),
        ("Mars/Olympus", UTC),
        ("../etc/passwd", UTC),
        ("", UTC),
        ("Europe", UTC),
        ("nul\x00", UTC),
        (5, ZoneInfo("UTC")),
    ],
)
def test_unknown_zone_is_utc(settings: Settings, name: object, zone: object) -> None:
    """Times are reported in the zone of the setting, in UTC where it names none."""
    settings.TRACK360 = {"TIME_ZONE": name}

    assert conf.time_zone("default") == zone


def test_import_reads_no_settings() -> None:
    """The package can be imported before there are settings."""
    code = (
        "import track360_django.conf, track360_django.api.payloads, track360_django.api.client\n"
        "from django.conf import settings\n"
        "assert not settings.configured"
    )

    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=30, env={"PATH": ""})
