"""Visits of the host's pages, over WSGI and ASGI, and what the next one remembers."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

NOTHING = {"first": None, "last": None}

# Of a WSGI or an ASGI server.
Browser = Client | AsyncClient


def get(browser: Browser, url: str, **extra: Any) -> Any:
    """Open a page, in whichever way the browser's server works."""
    if isinstance(browser, AsyncClient):
        return async_to_sync(browser.get)(url, **extra)
    return browser.get(url, **extra)


def remembered(browser: Browser) -> dict[str, Any]:
    """Return what the browser's next request remembers."""
    path = "/host/async-touches/" if isinstance(browser, AsyncClient) else "/host/touches/"
    found: dict[str, Any] = get(browser, path).json()
    return found


def last_value(browser: Browser) -> str | None:
    """Return the value of the last touch."""
    last = remembered(browser)["last"]
    return last["tracking_data"] if last else None
