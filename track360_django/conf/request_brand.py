"""Find the brand of a request by its host name, by Django's current site, or by a function of the host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, transaction

from track360_django.conf import hostnames
from track360_django.conf.options import Settings, brands, for_brand, function, settings
from track360_django.exceptions import PayloadError

logger = logging.getLogger(__name__)

# The words for BRAND_RESOLVER: by the request's host, by Django's current site.
RESOLVERS: Final = ("host", "site")


class BrandError(PayloadError, ImproperlyConfigured):
    """
    The brand of a record is unknown, or this host does not have it. Nothing was written.

    A signal keeps its row as a dead record: sent with the token of another brand, it would pay the wrong affiliate.
    """

    def __init__(self, message: str, *, reason: str = "no_brand") -> None:
        super().__init__(message, field="brand", reason=reason)


def for_request(request: object | None) -> Settings:
    """
    Return the settings of the brand of a request; never raises.

    Without `BRANDS`, or for a request without a brand, return those of the project. The touches of a request without a
    brand belong to no brand and claim no customer.
    """
    if not settings.BRANDS:
        return settings
    brand = find_brand(request)
    if brand is None and settings.BRAND_RESOLVER is None and resolver() is None:
        brand = brands()[0]
    return for_brand(brand or "")


def brand_of(request: object | None) -> str:
    """
    Return the brand of a request, as `BRAND_RESOLVER` says; with one brand, that one.

    If a function returns no brand for a request, or there is no resolver, return the first configured brand. An unknown
    host or site, or a function that returns no brand outside of a request, is an error: the brand of these visitors is
    not guessed.

    Args:
        request: None outside of a request.

    Raises:
        BrandError: No brand has the host. Or the resolver raised, returned a brand that `BRANDS` does not have, or
            returned no brand outside of a request.
    """
    known = brands()
    if len(known) == 1:
        return known[0]
    found = _resolve(request, known)
    if found is None and (resolver() in RESOLVERS or (request is None and resolver() is not None)):
        raise BrandError(_untold(request))
    return found or known[0]


def _untold(request: object | None) -> str:
    """Return the message for a resolver that found no brand."""
    if resolver() not in RESOLVERS:
        return (
            "BRAND_RESOLVER returned no brand outside of a request. Let it return a brand for None, or name the brand with "
            "brand=…."
        )
    what = (
        "The brand is found by host, and outside of a request there is no host"
        if request is None
        else "No brand has the host of this request"
    )
    return f"{what} (TRACK360['BRANDS'][…]['HOSTS']). Add the host, or name the brand with brand=…."


def find_brand(request: object | None) -> str | None:
    """
    Return the brand that a request certainly belongs to, None if it is unknown; never raises.

    Also return None if a function of the host returns no brand outside of a request, or if there is no resolver.
    """
    known = brands()
    if len(known) == 1:
        return known[0]
    try:
        found = _resolve(request, known)
    except Exception as error:  # noqa: BLE001  a setting, or a function of the host, must not break a page
        logger.error(  # noqa: TRY400  a traceback shows the content of the request
            "track360: could not find the brand of a request: %s",
            error if isinstance(error, BrandError) else type(error).__name__,
        )
        return None
    if found is None and request is not None and callable(resolver()):
        return known[0]
    return found


def resolver() -> Callable[..., Any] | str | None:
    """
    Return how the brand of a request is found: a function, one of RESOLVERS, or None.

    If nothing is set and a brand has HOSTS, return "host", the only purpose of HOSTS.

    Raises:
        ImproperlyConfigured: A path can't be imported.
    """
    configured = settings.BRAND_RESOLVER
    if isinstance(configured, str) and configured in RESOLVERS:
        return configured
    if configured is None:
        return "host" if any(hosts_of_brands().values()) else None
    return function(configured)


def hosts_of_brands() -> dict[str, tuple[str, ...]]:
    """Return the host names of each brand, as they are configured."""
    return {brand: tuple(for_brand(brand).HOSTS) for brand in brands()}


def _resolve(request: object | None, known: tuple[str, ...]) -> str | None:
    """Return the brand that the resolver returns, None if it returns none."""
    try:
        resolve = resolver()
    except ImproperlyConfigured as error:
        raise BrandError(str(error)) from None
    if resolve is None:
        return None
    try:
        if resolve == "host":
            return hostnames.find_owner(hostnames.host_of(request), hosts_of_brands())
        with _savepoints():
            if isinstance(resolve, str):
                return hostnames.find_owner(hostnames.site_of(request), hosts_of_brands())
            brand = resolve(request)
    except DatabaseError:
        # It may concern the host's transaction: the host repeats the whole transaction after a deadlock, for example.
        raise
    except Exception as error:  # noqa: BLE001  the host's function may raise anything
        msg = f"BRAND_RESOLVER raised {type(error).__name__}. Correct it, or name the brand with brand=…."
        # Without the error itself: its text and its frames may hold personal data.
        raise BrandError(msg) from None
    if brand is not None and brand not in known:
        msg = f"BRAND_RESOLVER returned the brand {brand!r}, but TRACK360['BRANDS'] has only: {', '.join(known)}."
        raise BrandError(msg)
    return None if brand is None else str(brand)


@contextmanager
def _savepoints() -> Iterator[None]:
    """Protect the host's open transactions from a query that fails; without an open transaction it costs nothing."""
    with ExitStack() as stack:
        # Async code must not query a database, so no query can fail.
        for connection in () if _is_async() else connections.all(initialized_only=True):
            if connection.in_atomic_block:
                stack.enter_context(transaction.atomic(using=connection.alias))
        yield


def _is_async() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def named_brand(name: object) -> str:
    """
    Return a brand that the host named.

    Raises:
        BrandError: There is no such brand.
    """
    known = brands()
    if not isinstance(name, str) or name not in known:
        msg = f"brand is not a brand of this host: TRACK360['BRANDS'] has {', '.join(known)}."
        raise BrandError(msg, reason="unknown_brand")
    return name
