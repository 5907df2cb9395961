"""
The one setting `TRACK360`, read when used: never at import, never cached, never written.

The annotated attributes of `Settings` are the names, the types and the defaults.
A value of the wrong type counts as absent here and is an error in `checks`: the host always boots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin, get_type_hints

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

# A function, or the dotted path to one.
FunctionOrPath = Callable[..., Any] | str | None

DEFAULT_BRAND: Final = "default"
# The parameter of a link that brings a carry token.
CARRY_PARAM: Final = "t360"


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
            if name not in _DEFAULTS:
                return super().__getattribute__(name)
            default = _DEFAULTS[name]
            value = _look_up(super().__getattribute__("brand"), name, default)
            return value if value is default or is_acceptable(name, value) else default


def _look_up(brand: str, name: str, default: object) -> object:
    configured = configuration()
    if brand and name != "BRANDS":
        overrides = configured.get("BRANDS")
        own = overrides.get(brand) if isinstance(overrides, Mapping) else None
        if isinstance(own, Mapping) and name in own:
            return own[name]
    return configured.get(name, default)


def configured(brand: str, name: str) -> Any:
    """Return what a host has set for a brand, whether it can be worked with or not; else the default."""
    return _look_up(brand, name, _DEFAULTS[name])


def configuration() -> Mapping[str, Any]:
    """
    Return the host's `TRACK360` dict, empty when it is missing or no dict.

    Django keeps what it was asked for in its settings' own dict, where it is found in a tenth of the time.
    """
    configured = asked.get("TRACK360")
    if type(configured) is dict:
        return configured
    configured = getattr(django_settings, "TRACK360", None)
    return configured if isinstance(configured, Mapping) else {}


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


# What Django's settings were asked for, as they keep it themselves, until it changes.
asked: Final[dict[str, Any]] = vars(django_settings)
_DEFAULTS: Final = {name: Settings.__dict__[name] for name in Settings.__annotations__}
settings: Final = Settings()
# The kinds of value that each setting takes: the members of a union, or the one kind.
_KINDS: Final = {
    name: get_args(hint) if isinstance(hint, UnionType) or get_origin(hint) is Union else (hint,)
    for name, hint in get_type_hints(Settings).items()
}


def for_brand(brand: str) -> Settings:
    """Return the settings as one brand sees them."""
    return Settings(brand)


def is_own(brand: str, name: str) -> bool:
    """Tell whether a brand has a setting of its own."""
    overrides = configuration().get("BRANDS")
    own = overrides.get(brand) if isinstance(overrides, Mapping) else None
    return isinstance(own, Mapping) and name in own


def brands_on() -> list[str]:
    """Return the names of the brands that are switched on."""
    return [brand for brand in brands() if for_brand(brand).ENABLED]


def brands() -> tuple[str, ...]:
    """Return the names of the brands that are configured; one host, one brand: `("default",)`."""
    return tuple(settings.BRANDS) or (DEFAULT_BRAND,)


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


def product_field(brand: str) -> str:
    """Return the field that tells a brand's products; empty where a shape does (see `products`), or nothing."""
    agreed = for_brand(brand).PRODUCT_FIELD
    # With a dot it is the path of a shape.
    return agreed if isinstance(agreed, str) and "." not in agreed else ""
