"""Checks of several brands: each mistake that would pay the wrong affiliate, or nobody, is told before it does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from pytest_django import Settings

from track360_django import checks
from track360_django.checks import brands as brands_checked

URL = "https://partners.example.com"
OWN: Mapping[str, Any] = {"BASE_URL": URL, "BRAND_TOKEN": "token-of-red", "HOSTS": [".red.example"]}
OTHER: Mapping[str, Any] = {**OWN, "BRAND_TOKEN": "token-of-blue", "HOSTS": [".blue.example"]}


def brands(own: Mapping[str, Any] | None = None, other: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """Return `TRACK360` with two brands, one or both of them changed."""
    return {"BRANDS": {"red": {**OWN, **(own or {})}, "blue": {**OTHER, **(other or {})}}, **more}


def find(settings: Settings, configured: Any, allowed: tuple[str, ...] = ("*",)) -> list[CheckMessage]:
    """Return what the checks say of a setting."""
    settings.ALLOWED_HOSTS = list(allowed)
    settings.TRACK360 = configured
    return [*checks.check_settings(), *checks.check_brands()]


RIGHT: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "by-host": (brands(), ("www.red.example", ".blue.example", "localhost", "127.0.0.1", "[::1]", "*")),
    "hosts-below-a-domain": (
        brands({"HOSTS": ["red.play.example"]}, {"HOSTS": ["blue.play.example"]}),
        (".play.example",),
    ),
    "rest": (brands({"HOSTS": ["*"]}), ("www.anything.example",)),
    "word": (brands(BRAND_RESOLVER="host"), ("*",)),
    "function": (brands({"HOSTS": []}, {"HOSTS": []}, BRAND_RESOLVER=len), ("www.anything.example",)),
    "one-brand": ({"BRANDS": {"red": {**OWN, "HOSTS": []}}}, ("www.anything.example",)),
    "brand-that-is-off-without-hosts": (brands(None, {"HOSTS": [], "ENABLED": False}), ("*",)),
    "token-of-one-that-is-off": (brands(None, {"BRAND_TOKEN": "token-of-red", "ENABLED": False}), ("*",)),
}
WRONG: Mapping[str, tuple[str, Any, tuple[str, ...], str]] = {
    "same-host": (
        "E025",
        brands(None, {"HOSTS": ["www.blue.example", ".RED.example."]}),
        ("*",),
        "the HOSTS of one brand",
    ),
    "hosts-of-all": (
        "E025",
        {
            "HOSTS": [".red.example"],
            "BRANDS": {name: {"BASE_URL": URL, "BRAND_TOKEN": name} for name in ("red", "blue")},
        },
        ("*",),
        "move it into the brands",
    ),
    "host-with-port": (
        "E026",
        brands({"HOSTS": ["red.example", "red.example:8000"]}),
        ("*",),
        "without scheme",
    ),
    "host-as-url": ("E026", brands({"HOSTS": ["https://red.example"]}), ("*",), "without scheme"),
    "host-as-pattern": ("E026", brands({"HOSTS": ["*.red.example"]}), ("*",), "'.red.example'"),
    "host-in-other-letters": ("E026", brands({"HOSTS": ["rød.example"]}), ("*",), "punycode"),
    "site-without-the-app": ("E027", brands(BRAND_RESOLVER="site"), ("*",), "django.contrib.sites"),
    "host-without-hosts": (
        "E027",
        brands({"HOSTS": []}, {"HOSTS": []}, BRAND_RESOLVER="host"),
        ("*",),
        "['.red.example']",
    ),
    "long-name": ("E028", {"BRANDS": {"r" * 65: OWN}}, ("*",), "1 to 64"),
    "empty-name": ("E028", {"BASE_URL": URL, "BRAND_TOKEN": "x", "BRANDS": {"": {}}}, ("*",), "'red'"),
    "number-as-name": ("E028", {"BRANDS": {5: OWN}}, ("*",), "'red'"),
    "space-around-the-name": ("E028", {"BRANDS": {"red ": OWN, "blue": OTHER}}, ("*",), "white space"),
    "line-break-in-the-name": ("E028", {"BRANDS": {"red\nblue": OWN}}, ("*",), "white space"),
    "same-token": ("E029", brands(None, {"BRAND_TOKEN": "token-of-red"}), ("*",), "its own"),
    "token-of-all": (
        "E029",
        {
            "BRAND_TOKEN": "x",
            "BRANDS": {name: {"BASE_URL": URL, "HOSTS": [f"{name}.example"]} for name in ("red", "blue")},
        },
        ("*",),
        "default for brands without one",
    ),
    "no-resolver": ("W010", brands({"HOSTS": []}, {"HOSTS": []}), ("*",), "HOSTS"),
    "brand-without-hosts": ("W011", brands(None, {"HOSTS": []}), ("*",), "brand=…"),
    "host-of-nobody": ("W012", brands(), ("www.red.example", "old.example"), "'*'"),
    "domain-of-nobody": ("W012", brands(), (".old.example",), "HOSTS"),
    "databases-of-a-brand": ("W013", brands({"DATABASES": []}), ("*",), "TRACK360 itself"),
    "resolver-of-a-brand": ("W013", brands({"BRAND_RESOLVER": None}), ("*",), "TRACK360 itself"),
}


@pytest.mark.parametrize("case", RIGHT)
def test_right_brands_have_no_messages(settings: Settings, case: str) -> None:
    """What is right is silent."""
    configured, allowed = RIGHT[case]

    assert find(settings, configured, allowed) == []


@pytest.mark.parametrize("case", WRONG)
def test_wrong_brands_have_an_id_and_a_hint(settings: Settings, case: str) -> None:
    """Each mistake is told once, under its own id, with a hint that leads out and without a token."""
    number, configured, allowed, hint = WRONG[case]

    (message,) = find(settings, configured, allowed)

    assert message.id == f"track360_django.{number}"
    assert hint in (message.hint or "")
    assert isinstance(message, CheckWarning if number.startswith("W") else Error)
    assert "token-of" not in f"{message.msg} {message.hint}"


def test_resolver_that_is_not_there_is_told_once(settings: Settings) -> None:
    """A path that leads nowhere has the message that it always had."""
    (message,) = find(settings, brands(BRAND_RESOLVER="no.such.module"))

    assert message.id == "track360_django.E009"


def test_every_id_of_brands_is_tried() -> None:
    """The table here knows each id of the module."""
    used = set(re.findall(r"track360_django\.([EW][0-9]{3})", Path(brands_checked.__file__).read_text()))

    assert used == {case[0] for case in WRONG.values()}
