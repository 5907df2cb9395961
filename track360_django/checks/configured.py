"""Checks of the setting `TRACK360`: each key, in each brand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from asgiref.sync import iscoroutinefunction
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Warning  # noqa: A004  Django's name
from django.db import connections
from django.utils.module_loading import import_string

from track360_django import conf
from track360_django.api import currencies, payloads
from track360_django.api.base_url import find_problem
from track360_django.checks.messages import mistake
from track360_django.db.paths import find_missing
from track360_django.delivery import rate_limit, worker
from track360_django.outbox import lanes
from track360_django.users import auth_packages

CHOICES: Final = {
    "ATTRIBUTION": ("last", "first"),
    "REPORT_ON": ("signup", "activation"),
    "CORRECTIONS": ("flag", "resend"),
    "UNKNOWN_CUSTOMERS": ("register", "hold"),
    "COOKIE_SAMESITE": ("Lax", "Strict", "None"),
}
STORAGES: Final = ("session", "cookie")
FUNCTIONS: Final = ("BRAND_RESOLVER", "CONSENT", "PROMO_CODES", "BEFORE_SEND", "RESPONSE_CHECK")
# A lane's lease is three times the timeout. This leaves a host a wide margin.
MAX_TIMEOUT_SECONDS: Final = 300


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check `TRACK360`, brand by brand."""
    configured = getattr(django_settings, "TRACK360", None)
    if not isinstance(configured, Mapping):
        return [_no_dict(configured)]
    messages = list(_check_keys(configured, "TRACK360"))
    overrides = configured.get("BRANDS", {})
    for brand, own in overrides.items() if isinstance(overrides, Mapping) else ():
        where = f"TRACK360['BRANDS'][{brand!r}]"
        if isinstance(own, Mapping):
            messages += _check_keys(own, where)
        else:
            messages.append(
                mistake("E003", f"{where} is not a dict.", "Write the brand's own settings as a dict.")
            )
    for brand in conf.brands():
        messages += _check_brand(brand)
    return messages


def _no_dict(configured: object) -> CheckMessage:
    what = "is missing" if configured is None else f"is a {type(configured).__name__}, not a dict"
    from_environment = 'os.environ.get("TRACK360_BRAND_TOKEN", "")'
    hint = f'TRACK360 = {{"BASE_URL": "https://partners.yourbrand.com", "BRAND_TOKEN": {from_environment}}}'
    return mistake("E001", f"The setting TRACK360 {what}.", f"Write: {hint}")


def _check_keys(configured: Mapping[str, Any], where: str) -> Iterator[CheckMessage]:
    known = conf.names()
    for key, value in configured.items():
        if key not in known:
            close = get_close_matches(str(key).upper(), known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(known)}."
            yield mistake("E002", f"{where} has the unknown key {key!r}, which has no effect.", hint)
        elif not conf.is_acceptable(key, value):
            default = conf.default_of(key)
            yield mistake(
                "E003",
                f"{where}[{key!r}] has a {type(value).__name__} that can't be used. The default is used instead.",
                f"Use a value like the default, {default!r}" + _range_hint(default) + ".",
            )
        else:
            yield from _check_value(key, value, where)


def _range_hint(default: object) -> str:
    return (
        ", and greater than zero"
        if isinstance(default, int | float) and not isinstance(default, bool)
        else ""
    )


def _check_value(key: str, value: Any, where: str) -> Iterator[CheckMessage]:
    if key in CHOICES and value not in CHOICES[key]:
        yield mistake(
            "E008", f"{where}[{key!r}] is not one of its choices.", f"Use one of: {', '.join(CHOICES[key])}."
        )
    if key == "STORAGE" and (not value or set(value) - set(STORAGES)):
        yield mistake(
            "E008",
            f"{where}['STORAGE'] has a value that is not a choice.",
            'Use "session", "cookie", or both.',
        )
    if key == "TRACKING_PARAMS" and not value:
        yield mistake(
            "E008",
            f"{where}['TRACKING_PARAMS'] is empty.",
            'Name at least one parameter, such as "tracking_data".',
        )
    if key == "DATABASES" and (unknown := sorted(set(value) - set(connections.settings))):
        message = f"{where}['DATABASES'] names {', '.join(map(repr, unknown))}, which this project's DATABASES does not have."
        yield mistake(
            "E008", message, "Use aliases from Django's DATABASES that have the tables of track360_django."
        )
    if key == "SIGNUP_SOURCES" and value != "auto":
        yield from _check_sources((value,) if isinstance(value, str) else value, where)
    is_word = key == "BRAND_RESOLVER" and value in conf.RESOLVERS
    if key in FUNCTIONS and value is not None and not isinstance(value, Mapping) and not is_word:
        yield from _check_function(key, value, where)
    if key == "TIME_ZONE":
        yield from _check_zone(value, where)
    if key == "PRODUCT_FIELD" and value:
        yield from _check_product_field(value, where)
    if key == "CURRENCIES":
        yield from _check_currencies(value, where)
    yield from _check_bounds(key, value, where)


def _check_bounds(key: str, value: Any, where: str) -> Iterator[CheckMessage]:
    if key == "LANES" and value > lanes.MAX_LANES:
        hint = f"Use at most {lanes.MAX_LANES}: more lanes than workers have no use."
        yield mistake("E003", f"{where}['LANES'] is too large; {lanes.MAX_LANES} are used instead.", hint)
    if key == "CONCURRENCY" and value > worker.MAX_THREADS:
        hint = f"Use at most {worker.MAX_THREADS}: each one needs a connection to the database."
        yield mistake(
            "E003", f"{where}['CONCURRENCY'] is too large; {worker.MAX_THREADS} are used instead.", hint
        )
    if key == "REQUESTS_PER_SECOND" and value is not None and value < rate_limit.LEAST_PER_SECOND:
        hint = "Use a larger number: a worker can't keep its lane for the time between two such requests."
        yield mistake(
            "E003",
            f"{where}['REQUESTS_PER_SECOND'] is too small; {rate_limit.LEAST_PER_SECOND} is used instead.",
            hint,
        )
    if key.endswith("_TIMEOUT_SECONDS") and value > MAX_TIMEOUT_SECONDS:
        hint = f"Use at most {MAX_TIMEOUT_SECONDS}: a longer wait for one request has no use."
        yield mistake(
            "E003", f"{where}[{key!r}] is too large: a lane is leased for three times as long.", hint
        )


def _check_sources(names: Sequence[str], where: str) -> Iterator[CheckMessage]:
    for name in names:
        if name not in auth_packages.NAMES:
            message = (
                f"{where}['SIGNUP_SOURCES'] names {name!r}, which is not a signup source. It has no effect."
            )
            yield mistake("E008", message, f'Use "auto", or some of: {", ".join(auth_packages.NAMES)}.')


def _check_function(key: str, value: Any, where: str) -> Iterator[CheckMessage]:
    hint = "Use a function, or the dotted path to one."
    try:
        found = import_string(value) if isinstance(value, str) else value
    except ImportError as error:
        yield mistake("E009", f"{where}[{key!r}] can't be imported: {error}.", hint)
    else:
        if not callable(found):
            yield mistake("E009", f"{where}[{key!r}] is not a function.", hint)
        elif iscoroutinefunction(found):
            yield mistake("E009", f"{where}[{key!r}] is async. It is called without await.", hint)


def _check_product_field(value: Any, where: str) -> Iterator[CheckMessage]:
    if isinstance(value, str) and "." in value:
        yield from _check_function("PRODUCT_FIELD", value, where)
    elif value in payloads.ACTIVITY_FIELDS:
        message = f"{where}['PRODUCT_FIELD'] is {value!r}, which the API uses for something else. No product can be reported."
        yield mistake(
            "E008", message, "Agree with Track360 on a field for the product alone, such as 'product'."
        )


def _check_currencies(value: Mapping[str, int], where: str) -> Iterator[CheckMessage]:
    for code, places in value.items():
        entry = f"{where}['CURRENCIES'][{code!r}]"
        official = currencies.MINOR_UNITS.get(code, places)
        if not payloads.is_agreed(code, value):
            hint = (
                "Write the code as agreed with Track360, in 3 to 10 capitals or digits, with 0 to "
                f"{payloads.MAX_PLACES} places after the point, such as {{'USDT': 6}}."
            )
            yield mistake("E021", f"{entry} is not a valid currency and has no effect.", hint)
        elif places != official:
            message = f"{entry} writes amounts with at least {places} places after the point; ISO 4217 has {official} for it."
            hint = "Remove the entry, unless Track360 asked for it. Amounts are never rounded, with or without it."
            yield Warning(message, hint=hint, id="track360_django.W008")


def _check_zone(value: str, where: str) -> Iterator[CheckMessage]:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        hint = 'Use a name from the time zone database, such as "UTC" or "Europe/Malta".'
        yield mistake("E012", f"{where}['TIME_ZONE'] is not a time zone; UTC is used instead.", hint)


def _check_brand(brand: str) -> Iterator[CheckMessage]:
    settings = conf.for_brand(brand)
    if not settings.ENABLED:
        return
    where = "TRACK360" if brand == conf.DEFAULT_BRAND else f"TRACK360['BRANDS'][{brand!r}]"
    yield from _check_base_url(settings, where)
    yield from _check_token(settings.BRAND_TOKEN, where)
    yield from _check_people(settings, where)


def _check_people(settings: conf.Settings, where: str) -> Iterator[CheckMessage]:
    """Check that the user model has the fields that the settings name."""
    user = get_user_model()
    path = settings.CUSTOMER_ID
    if path is not None and find_missing(user, path):
        message = f"{where}['CUSTOMER_ID'] = {path!r} is not a field of {user._meta.label}. No signup can be recorded."
        yield mistake(
            "E018",
            message,
            "Name a field that every user has at the signup, such as 'pk'.",
        )
    for name, field in settings.CUSTOMER_FIELDS.items():
        if field and find_missing(user, field):
            message = (
                f"{where}['CUSTOMER_FIELDS'][{name!r}] = {field!r} is not a field of {user._meta.label}. Customers are "
                f"reported without {name}."
            )
            hint = f"Name a field of {user._meta.label} or of a relation of it, such as 'profile__country'."
            yield Warning(message, hint=hint, id="track360_django.W004")


def _check_base_url(settings: conf.Settings, where: str) -> Iterator[CheckMessage]:
    if not settings.BASE_URL:
        hint = "Set it to the URL that Track360 assigned to the brand (API guide, Before starting)."
        yield mistake("E004", f"{where}['BASE_URL'] is missing.", hint)
        return
    problem = find_problem(settings.BASE_URL, "unchecked", allow_http=settings.ALLOW_HTTP)
    if problem:
        hint = (
            "Write scheme and host only, such as https://partners.yourbrand.com. The package adds the paths."
        )
        yield mistake("E005", f"{where}['BASE_URL'] can't be used: {problem}", hint)
    elif urlsplit(settings.BASE_URL).scheme == "http" and not django_settings.DEBUG:
        hint = "Use https. Plain http is for the sandbox on this machine."
        message = f"{where}['BASE_URL'] is plain http while DEBUG is off."
        yield Warning(message, hint=hint, id="track360_django.W001")


def _check_token(token: str, where: str) -> Iterator[CheckMessage]:
    if not token:
        hint = "Take it from Brand Settings in Track360 and keep it in the environment (API guide, Authentication)."
        yield mistake("E006", f"{where}['BRAND_TOKEN'] is missing.", hint)
    elif find_problem("https://example.org", token, allow_http=False):
        message = (
            f"{where}['BRAND_TOKEN'] contains white space or a character that an HTTP header can't have."
        )
        hint = "Copy it again. An environment file often adds a line break: use os.environ[...].strip()."
        yield mistake("E007", message, hint)
