"""Clients: one a process and brand, for as long as the brand's settings stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from track360_django import conf
from track360_django.client import Client

_clients: dict[str, tuple[object, Client]] = {}


def of(brand: str) -> Client:
    """Return this process's client of a brand; a new one when the settings have changed."""
    settings = conf.for_brand(brand)
    key = [getattr(settings, name) for name in _CLIENT_SETTINGS]
    known = _clients.get(brand)
    if known is None or known[0] != key:
        known = _clients[brand] = (key, _build_client(settings))
    return known[1]


_CLIENT_SETTINGS: Final = (
    "BASE_URL",
    "BRAND_TOKEN",
    "CONNECT_TIMEOUT_SECONDS",
    "READ_TIMEOUT_SECONDS",
    "TOTAL_TIMEOUT_SECONDS",
    "PROXIES",
    "CA_BUNDLE",
    "ALLOW_HTTP",
    "RESPONSE_CHECK",
)


def _check_of(settings: conf.Settings) -> Callable[[int, str], bool | None] | None:
    """Return the host's `RESPONSE_CHECK`; one that can't be imported fails when it is asked, which pauses."""
    if settings.RESPONSE_CHECK is None:
        return None

    def check(status: int, text: str) -> bool | None:
        function = conf.function(settings.RESPONSE_CHECK)
        return None if function is None else function(status, text)

    return check


def _build_client(settings: conf.Settings) -> Client:
    return Client(
        base_url=settings.BASE_URL,
        token=settings.BRAND_TOKEN,
        connect_timeout_seconds=settings.CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=settings.READ_TIMEOUT_SECONDS,
        total_timeout_seconds=settings.TOTAL_TIMEOUT_SECONDS,
        proxies=settings.PROXIES,
        ca_bundle=settings.CA_BUNDLE,
        allow_http=settings.ALLOW_HTTP,
        response_check=_check_of(settings),
    )
