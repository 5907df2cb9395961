"""Clients: one for each process and brand, until the brand's settings change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from track360_django import conf
from track360_django.api.client import Client

_clients: dict[str, tuple[object, Client]] = {}


def of(brand: str) -> Client:
    """
    Return this process's client of a brand; a new one if the settings have changed.

    A brand that is not configured any more has no token, so its client sends nothing. A token that `TRACK360` has for
    all brands is not used for it.
    """
    values = _read(brand)
    known = _clients.get(brand)
    if known is None or known[0] != values:
        known = _clients[brand] = (values, _build_client(brand, values))
    return known[1]


def _read(brand: str) -> dict[str, Any]:
    """
    Return the settings of a client, all from the same state of `TRACK360`.

    So one state's base URL is never used with another state's token.
    """
    while True:
        configured = conf.configuration()
        settings = conf.for_brand(brand)
        values = {name: getattr(settings, name) for name in _CLIENT_SETTINGS}
        if brand not in conf.brands():
            values["BRAND_TOKEN"] = ""
        if conf.configuration() == configured:
            return values


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


def _check_of(brand: str, configured: conf.FunctionOrPath) -> Callable[[int, str], bool | None] | None:
    """Return the host's `RESPONSE_CHECK`. If it can't be imported, the call raises, which pauses the endpoint."""
    if configured is None:
        return None

    def check(status: int, text: str) -> bool | None:
        function = conf.function(conf.for_brand(brand).RESPONSE_CHECK)
        return None if function is None else function(status, text)

    return check


def _build_client(brand: str, values: Mapping[str, Any]) -> Client:
    return Client(
        base_url=values["BASE_URL"],
        token=values["BRAND_TOKEN"],
        connect_timeout_seconds=values["CONNECT_TIMEOUT_SECONDS"],
        read_timeout_seconds=values["READ_TIMEOUT_SECONDS"],
        total_timeout_seconds=values["TOTAL_TIMEOUT_SECONDS"],
        proxies=values["PROXIES"],
        ca_bundle=values["CA_BUNDLE"],
        allow_http=values["ALLOW_HTTP"],
        response_check=_check_of(brand, values["RESPONSE_CHECK"]),
    )
