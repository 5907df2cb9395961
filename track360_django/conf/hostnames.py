"""Host names: find the host of a request and the brand that owns it. No Host header of a stranger raises an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import (
    ImproperlyConfigured,
    ObjectDoesNotExist,
    SuspiciousOperation,
    SynchronousOnlyOperation,
)
from django.db import connections
from django.http.request import split_domain_port
from django.utils.http import is_same_domain

SITES: Final = "django.contrib.sites"
ANY: Final = "*"

_LABEL: Final = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
_NAME: Final = re.compile(rf"\.?{_LABEL}(\.{_LABEL})*|\[[0-9a-f:.]+\]")


def host_of(request: Any) -> str:
    """Return the host name of a request, in lower case and without port; "" for a malformed or forged one."""
    try:
        return _name_of(request.get_host())
    except (SuspiciousOperation, AttributeError, KeyError, TypeError, ValueError):
        return ""


def site_of(request: Any) -> str:
    """
    Return the domain of the current site (`django.contrib.sites`), "" if there is none.

    Without a request, `SITE_ID` names the site if it is set. This may need a query; Django caches the result.
    """
    if not apps.is_installed(SITES):
        return ""
    try:
        return _name_of(_domain_of(request))
    except (ObjectDoesNotExist, ImproperlyConfigured, SuspiciousOperation, AttributeError, KeyError):
        return ""


def _domain_of(request: Any) -> str:
    from django.contrib.sites.shortcuts import get_current_site  # noqa: PLC0415  its models exist only if installed

    try:
        return get_current_site(request).domain
    except SynchronousOnlyOperation:
        # Async code must not query a database. It waits here once; after that, the process has the site in its cache.
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(_ask, get_current_site, request).result()


def _ask(get_current_site: Callable[[Any], Any], request: Any) -> str:
    try:
        return str(get_current_site(request).domain)
    finally:
        connections.close_all()


def _name_of(address: str) -> str:
    name, _ = split_domain_port(address)
    return name


def find_owner(host: str, hosts: Mapping[str, Sequence[str]]) -> str | None:
    """
    Return the owner of a host name. An exact entry wins over a longer domain, that over a shorter one, "*" is last.

    Args:
        host: As `host_of` returns it.
        hosts: Owner to entries, as in Django's ALLOWED_HOSTS: `.example.com` is the domain and all hosts below it.
    """
    if not host:
        return None
    fitting = [
        (_rank(entry), owner) for owner, entries in hosts.items() for entry in entries if _fits(host, entry)
    ]
    # Of two equal entries, which are a check error, the first one wins.
    return max(fitting, key=lambda each: each[0])[1] if fitting else None


def _fits(host: str, entry: str) -> bool:
    return entry == ANY or bool(is_same_domain(host, plain(entry)))


def _rank(entry: str) -> tuple[bool, int]:
    return not entry.startswith((".", ANY)), len(plain(entry))


def plain(entry: str) -> str:
    """Return an entry in the form for comparison: in lower case, without a dot at its end."""
    return entry.lower().removesuffix(".")


def is_entry(entry: str) -> bool:
    """Return whether an entry can be a host name: no scheme, no port, no path, punycode for other alphabets."""
    return entry == ANY or _NAME.fullmatch(plain(entry)) is not None
