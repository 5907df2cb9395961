"""
The one setting `TRACK360`, read when used: never at import, never written, and cached for the entrance alone.

The annotated attributes of `Settings` are the names, the types and the defaults.
A value of the wrong type counts as absent here and is an error in `checks`: the host always boots.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, tzinfo
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.utils.module_loading import import_string

from track360_django import hosts
from track360_django.exceptions import PayloadError

logger = logging.getLogger(__name__)

# A function, or the dotted path to one.
FunctionOrPath = Callable[..., Any] | str | None

DEFAULT_BRAND: Final = "default"
# The parameter of a link that brings a carry token.
CARRY_PARAM: Final = "t360"
# Words that BRAND_RESOLVER may be: by the request's host, by Django's current site.
RESOLVERS: Final = ("host", "site")


class BrandError(PayloadError, ImproperlyConfigured):
    """
    Nobody can tell a record's brand, or it is no brand of this host; nothing was written.

    A hook keeps its row as a dead record: sent to another brand's key, it would pay the wrong affiliate.
    """

    def __init__(self, message: str, *, reason: str = "no_brand") -> None:
        super().__init__(message, field="brand", reason=reason)


class Settings:
    """
    The settings of one brand: its own overrides in `BRANDS`, then `TRACK360`, then the defaults below.

    Source: none, our choice: DEFAULTS are what production wants, so a host sets only the first two.
    """

    # Where to report, and as whom. (API guide: Authentication; Before starting)
    BASE_URL: str = ""
    BRAND_TOKEN: str = ""
    ENABLED: bool = True
    # Several brands: name -> overrides of anything here; the resolver names the brand of a request (or None).
    BRANDS: Mapping[str, Mapping[str, object]] = {}
    # A function, the dotted path to one, or one of RESOLVERS.
    BRAND_RESOLVER: FunctionOrPath = None
    # One brand's host names, as in ALLOWED_HOSTS.
    HOSTS: Sequence[str] = ()

    # What is remembered of a landing, where, and how long. (API guide: Tracking Parameters)
    TRACKING_PARAMS: Sequence[str] = ("tracking_data",)
    ATTRIBUTION: str = "last"
    ATTRIBUTION_WINDOW_DAYS: int = 30
    STORAGE: Sequence[str] = ("session", "cookie")
    COOKIE_NAME: str = "track360"
    COOKIE_DOMAIN: str | None = None
    COOKIE_PATH: str = "/"
    # None: as the host's SESSION_COOKIE_SECURE.
    COOKIE_SECURE: bool | None = None
    COOKIE_SAMESITE: str = "Lax"
    CONSENT: FunctionOrPath = None
    # What a person types or a poster says -> the tracking value of an affiliate; or a function of the code.
    PROMO_CODES: Mapping[str, str] | FunctionOrPath = {}
    PROMO_PARAM: str = "promo_code"

    # Who a customer is. (API guide: Customer API)
    CUSTOMER_ID: FunctionOrPath = "pk"
    CUSTOMER_FIELDS: Mapping[str, Callable[..., Any] | str] = {
        "regtime": "date_joined",
        "firstName": "first_name",
        "lastName": "last_name",
    }
    SIGNUP_SOURCES: str | Sequence[str] = "auto"
    REPORT_ON: str = "signup"

    # What a customer does. (API guide: Activity API)
    EVENTS: Sequence[str] = ()
    TIME_ZONE: str = "UTC"
    # Codes beyond ISO 4217 -> places after the point.
    CURRENCIES: Mapping[str, int] = {}
    # The name of a field, or a shape (see `products`), or the dotted path to one.
    PRODUCT_FIELD: FunctionOrPath = ""
    CORRECTIONS: str = "flag"
    UNKNOWN_CUSTOMERS: str = "register"

    # How it is delivered. None of these needs a touch to be right.
    BATCH_SIZE: int = 500
    BATCH_BYTES: int = 262_144
    LANES: int = 8
    # Other databases with our tables: what is reported there is written there.
    DATABASES: Sequence[str] = ()
    CONCURRENCY: int = 4
    REQUESTS_PER_SECOND: float | None = None
    CONNECT_TIMEOUT_SECONDS: float = 3.0
    READ_TIMEOUT_SECONDS: float = 10.0
    TOTAL_TIMEOUT_SECONDS: float = 15.0
    MAX_AGE_DAYS: int = 7
    RETENTION_DAYS: int = 30
    BEFORE_SEND: FunctionOrPath = None
    RESPONSE_CHECK: FunctionOrPath = None
    PROXIES: Mapping[str, str] = {}
    CA_BUNDLE: str = ""
    ALLOW_HTTP: bool = False

    def __init__(self, brand: str = "") -> None:
        self.brand = brand

    # The dynamic look-up is hidden from the type checker, so a misspelt name is a type error.
    if not TYPE_CHECKING:

        def __getattribute__(self, name: str) -> object:
            """Look an upper-case name up in the brand's overrides, the host's dict, the defaults."""
            default = super().__getattribute__(name)
            if not name.isupper():
                return default
            value = _look_up(self.brand, name, default)
            return value if is_acceptable(name, value) else default


def _look_up(brand: str, name: str, default: object) -> object:
    configured = configuration()
    if brand and name != "BRANDS":
        overrides = configured.get("BRANDS")
        own = overrides.get(brand) if isinstance(overrides, Mapping) else None
        if isinstance(own, Mapping) and name in own:
            return own[name]
    return configured.get(name, default)


def configuration() -> Mapping[str, Any]:
    """Return the host's `TRACK360` dict, empty when it is missing or no dict."""
    configured = getattr(django_settings, "TRACK360", None)
    return configured if isinstance(configured, Mapping) else {}


class Entrance(NamedTuple):
    """What every request of the host needs to know, as found in the host's dict when it had that many keys."""

    configured: Any
    size: int
    params: tuple[str, ...]
    asks_consent: bool


def landing_params() -> tuple[str, ...]:
    """Return the parameters that make a URL a landing, of whichever brand; none while `ENABLED` is off."""
    return entrance().params


def entrance() -> Entrance:
    """
    Return what every request of the host needs to know.

    This runs on every one of them, so it is found anew only when the host's dict is another one, or has more or fewer
    keys. Django keeps what it was asked for in its settings' own dict, where it is found in a tenth of the time.
    """
    global _entrance  # noqa: PLW0603  one slot, replaced as a whole
    configured = _asked.get("TRACK360")
    if configured is _entrance.configured and len(configured) == _entrance.size:
        return _entrance
    found = configuration()
    own = [for_brand(brand) for brand in brands()]
    params = tuple(dict.fromkeys(name for each in own if each.ENABLED for name in _names_of_landing(each)))
    _entrance = Entrance(found, len(found), params, any(each.CONSENT is not None for each in own))
    return _entrance


def _names_of_landing(brand: Settings) -> tuple[str, ...]:
    promo = (brand.PROMO_PARAM,) if brand.PROMO_CODES else ()
    return (*brand.TRACKING_PARAMS, CARRY_PARAM, *promo)


def names() -> tuple[str, ...]:
    """Return the names of all settings, in the order of their definition."""
    return tuple(Settings.__annotations__)


def default_of(name: str) -> object:
    """Return the default of one setting."""
    return Settings.__dict__[name]


def is_acceptable(name: str, value: object) -> bool:
    """Tell whether a setting can work with a value of this type, as its annotation says."""
    return value is default_of(name) or any(_suits(value, kind) for kind in _KINDS[name])


def _suits(value: object, kind: Any) -> bool:
    """Tell whether a value is of one of the kinds that settings have; numbers are finite and above zero."""
    plain = get_origin(kind) or kind
    if plain is Callable:
        return callable(value)
    if plain is Sequence:
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if plain in (int, float):
        is_number = isinstance(value, int | plain) and not isinstance(value, bool)
        return is_number and 0 < value < math.inf  # type: ignore[operator]  # it is a number
    if get_args(kind) == (str, str):
        return isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values())
    if get_args(kind) == (str, int):
        return isinstance(value, Mapping) and all(
            isinstance(name, str) and isinstance(item, int) and not isinstance(item, bool)
            for name, item in value.items()
        )
    return isinstance(value, plain)


settings: Final = Settings()
_asked: Final[dict[str, Any]] = vars(django_settings)
_entrance = Entrance(object(), 0, (), asks_consent=False)
# The kinds of value that each setting takes: the members of a union, or the one kind.
_KINDS: Final = {
    name: get_args(hint) if isinstance(hint, UnionType) or get_origin(hint) is Union else (hint,)
    for name, hint in get_type_hints(Settings).items()
}


def for_brand(brand: str) -> Settings:
    """Return the settings as one brand sees them."""
    return Settings(brand)


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


def is_own(brand: str, name: str) -> bool:
    """Tell whether a brand has a setting of its own."""
    overrides = configuration().get("BRANDS")
    own = overrides.get(brand) if isinstance(overrides, Mapping) else None
    return isinstance(own, Mapping) and name in own


def brands() -> tuple[str, ...]:
    """Return the names of the brands that are configured; one host, one brand: `("default",)`."""
    return tuple(settings.BRANDS) or (DEFAULT_BRAND,)


def brand_of(request: object | None) -> str:
    """
    Return the brand that a request belongs to, as `BRAND_RESOLVER` says; with one brand, that one.

    Where a function names none, and where there is no resolver, it is the first brand configured. By host or site it is
    none: whose customers the visitors of an unknown host are is not guessed.

    Args:
        request: None outside of a request.

    Raises:
        BrandError: It is no brand's host, or the resolver raised, or named a brand that `BRANDS` does not have.
    """
    known = brands()
    if len(known) == 1:
        return known[0]
    found = _resolve(request, known)
    if found is None and resolver() in RESOLVERS:
        what = (
            "Nothing but a request tells the brand" if request is None else "The request's host is no brand's"
        )
        msg = f"{what} (TRACK360['BRANDS'][…]['HOSTS']): add the host, or name the brand with brand=…."
        raise BrandError(msg)
    return found or known[0]


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
        if isinstance(resolve, str):
            host = hosts.site_of(request) if resolve == "site" else hosts.host_of(request)
            return hosts.find_owner(host, hosts_of_brands())
        brand = resolve(request)
    except DatabaseError:
        # The transaction is the host's, and broken.
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


def function(value: FunctionOrPath) -> Callable[..., Any] | None:
    """
    Return a setting that is a function or the dotted path to one, as a function.

    Raises:
        ImproperlyConfigured: The path leads nowhere.
    """
    if not isinstance(value, str):
        return value
    try:
        found = import_string(value)
    except ImportError as error:
        msg = f"TRACK360 names the function {value!r}, which can't be imported: {error}."
        raise ImproperlyConfigured(msg) from error
    return found if callable(found) else None


def time_zone(brand: str) -> tzinfo:
    """Return the zone that times are reported in; UTC where the setting names no zone."""
    name = for_brand(brand).TIME_ZONE
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def uses_zones() -> bool:
    """Tell whether the host's times have a zone (`USE_TZ`)."""
    return bool(django_settings.USE_TZ)


def product_field(brand: str) -> str:
    """Return the field that tells a brand's products; empty where a shape does (see `products`), or nothing."""
    agreed = for_brand(brand).PRODUCT_FIELD
    # With a dot it is the path of a shape.
    return agreed if isinstance(agreed, str) and "." not in agreed else ""
