"""
The one setting `TRACK360`, read at each use: never at import, never cached, never written.

The annotated attributes of `Settings` are the names, the types and the defaults.
A value of the wrong type counts as absent here and is an error in `checks`: the host always starts.
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

    Source: none, our choice: the defaults are right for production, so a host sets only the first two.
    """

    # Where to report, and for which brand. (API guide: Authentication; Before starting)
    BASE_URL: str = ""
    BRAND_TOKEN: str = ""
    ENABLED: bool = True
    # Several brands: name -> overrides of any setting here. The resolver returns the brand of a request (or None).
    BRANDS: Mapping[str, Mapping[str, object]] = {}
    # A function, the dotted path to one, or one of RESOLVERS.
    BRAND_RESOLVER: FunctionOrPath = None
    # One brand's host names, as in ALLOWED_HOSTS.
    HOSTS: Sequence[str] = ()

    # What is remembered from a landing, where, and for how long. (API guide: Tracking Parameters)
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
    # A code that a person types or a poster shows -> the tracking value of an affiliate; or a function of the code.
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

    # How records are delivered. The defaults need no change.
    BATCH_SIZE: int = 500
    BATCH_BYTES: int = 262_144
    LANES: int = 8
    # Other databases with our tables: records reported there are written there.
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
            """Look up an upper-case name in the brand's overrides, the host's dict, the defaults."""
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
    """Return the value that a host has set for a brand, valid or not; else the default."""
    return _look_up(brand, name, _DEFAULTS[name])


def configuration() -> Mapping[str, Any]:
    """
    Return the host's `TRACK360` dict; an empty one if it is missing or not a dict.

    Django keeps each setting that was read in the `__dict__` of its settings. A look-up there takes a tenth of the time.
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
    """Return whether a setting accepts a value of this type, as its annotation says."""
    return value is default_of(name) or any(_suits(value, kind) for kind in _KINDS[name])


def _suits(value: object, kind: Any) -> bool:
    """Return whether a value has this type; numbers must be finite and greater than zero."""
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


# The settings that were read, as Django keeps them until they change.
asked: Final[dict[str, Any]] = vars(django_settings)
_DEFAULTS: Final = {name: Settings.__dict__[name] for name in Settings.__annotations__}
settings: Final = Settings()
# The types that each setting accepts: the members of a union, or the one type.
_KINDS: Final = {
    name: get_args(hint) if isinstance(hint, UnionType) or get_origin(hint) is Union else (hint,)
    for name, hint in get_type_hints(Settings).items()
}


def for_brand(brand: str) -> Settings:
    """Return the settings of one brand."""
    return Settings(brand)


def is_own(brand: str, name: str) -> bool:
    """Return whether a brand has its own value for a setting."""
    overrides = configuration().get("BRANDS")
    own = overrides.get(brand) if isinstance(overrides, Mapping) else None
    return isinstance(own, Mapping) and name in own


def brands_on() -> list[str]:
    """Return the names of the brands that are switched on."""
    return [brand for brand in brands() if for_brand(brand).ENABLED]


def brands() -> tuple[str, ...]:
    """Return the names of the configured brands; a host with one brand has `("default",)`."""
    return tuple(settings.BRANDS) or (DEFAULT_BRAND,)


def function(value: FunctionOrPath) -> Callable[..., Any] | None:
    """
    Return the function of a setting that is a function or the dotted path to one.

    Raises:
        ImproperlyConfigured: The path can't be imported.
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
    """Return the field that carries a brand's products; "" if a shape does (see `products`), or if none is agreed."""
    agreed = for_brand(brand).PRODUCT_FIELD
    # A text with a dot is the path of a shape.
    return agreed if isinstance(agreed, str) and "." not in agreed else ""
