"""Whose request it is: the brand that a host name, Django's current site or a function of the host tells."""

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

# Words that BRAND_RESOLVER may be: by the request's host, by Django's current site.
RESOLVERS: Final = ("host", "site")


class BrandError(PayloadError, ImproperlyConfigured):
    """
    Nobody can tell a record's brand, or it is no brand of this host; nothing was written.

    A hook keeps its row as a dead record: sent to another brand's key, it would pay the wrong affiliate.
    """

    def __init__(self, message: str, *, reason: str = "no_brand") -> None:
        super().__init__(message, field="brand", reason=reason)


def for_request(request: object | None) -> Settings:
    """
    Return the settings of the brand that a request belongs to; never raises.

    Those of the project, where it has one brand only, and for a request that is nobody's: what is remembered of its
    visitor is then no brand's, and claims no customer.
    """
    if not settings.BRANDS:
        return settings
    brand = find_brand(request)
    if brand is None and settings.BRAND_RESOLVER is None and resolver() is None:
        brand = brands()[0]
    return for_brand(brand or "")


def brand_of(request: object | None) -> str:
    """
    Return the brand that a request belongs to, as `BRAND_RESOLVER` says; with one brand, that one.

    Where a function names none for a request, and where there is no resolver, it is the first brand configured. By host
    or site it is none, nor by a function outside of a request: whose customers these visitors are is not guessed.

    Args:
        request: None outside of a request.

    Raises:
        BrandError: It is no brand's host, or the resolver raised, named a brand that `BRANDS` does not have, or none
            outside of a request.
    """
    known = brands()
    if len(known) == 1:
        return known[0]
    found = _resolve(request, known)
    if found is None and (resolver() in RESOLVERS or (request is None and resolver() is not None)):
        raise BrandError(_untold(request))
    return found or known[0]


def _untold(request: object | None) -> str:
    """Return what a person reads whose resolver names no brand."""
    if resolver() not in RESOLVERS:
        return "BRAND_RESOLVER names no brand outside of a request: let it, or name the brand with brand=…."
    what = "Nothing but a request tells the brand" if request is None else "The request's host is no brand's"
    return f"{what} (TRACK360['BRANDS'][…]['HOSTS']): add the host, or name the brand with brand=…."


def find_brand(request: object | None) -> str | None:
    """
    Return the brand that a request is certain to belong to, None where nobody says so; never raises.

    None, too, where a function of the host names none outside of a request, or there is no resolver at all.
    """
    known = brands()
    if len(known) == 1:
        return known[0]
    try:
        found = _resolve(request, known)
    except Exception as error:  # noqa: BLE001  a setting, or a function of the host, must cost nobody a page
        logger.error(  # noqa: TRY400  a traceback shows what the request held
            "track360: the brand of a request can't be told: %s",
            error if isinstance(error, BrandError) else type(error).__name__,
        )
        return None
    if found is None and request is not None and callable(resolver()):
        return known[0]
    return found


def resolver() -> Callable[..., Any] | str | None:
    """
    Return how the brand of a request is told: a function, one of RESOLVERS, or None.

    Where nothing is set, and brands have HOSTS, it is "host": that is all that they are for.

    Raises:
        ImproperlyConfigured: A path leads nowhere.
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
    """Return what the resolver says; None where it names none."""
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
        # It may have to do with the host's transaction: a deadlock, say, is tried again as a whole.
        raise
    except Exception as error:  # noqa: BLE001  the host's function may raise anything
        msg = f"BRAND_RESOLVER raised {type(error).__name__}: correct it, or name the brand with brand=…."
        # Without the error itself: its text and its frames may hold personal data.
        raise BrandError(msg) from None
    if brand is not None and brand not in known:
        msg = (
            f"BRAND_RESOLVER named the brand {brand!r}, but TRACK360['BRANDS'] has only: {', '.join(known)}."
        )
        raise BrandError(msg)
    return None if brand is None else str(brand)


@contextmanager
def _savepoints() -> Iterator[None]:
    """Keep the host's transactions whole, whatever query fails meanwhile; it costs nothing where none is open."""
    with ExitStack() as stack:
        # Async code may ask no database, so nothing can fail.
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
        msg = f"brand is none of this host's: TRACK360['BRANDS'] has {', '.join(known)}."
        raise BrandError(msg, reason="unknown_brand")
    return name
