"""
System checks: what is wrong with the settings, where, and how to put it right. None of them stops the host.

    E001 TRACK360 is no dict          E007 BRAND_TOKEN can't be a header
    E002 unknown key                  E008 not one of the choices
    E003 wrong type or range          E009 a function that can't be imported
    E004 BASE_URL missing             E010 middleware missing
    E005 BASE_URL malformed           E011 middleware before SessionMiddleware
    E006 BRAND_TOKEN missing          E012 TIME_ZONE unknown
    E013 product, no PRODUCT_FIELD    E014 two declarations with the same ids
    E015 path of a declaration        E016 condition of a declaration
    E017 declaration without a name   E018 path of CUSTOMER_ID
    E019 day's total without a name   E020 day's total without rows()
    E021 entry of CURRENCIES          E022 dated_by is no column of dates
    E023 on_reverse is no event name  E024 two declarations with the same reversals
    W001 plain http                   W002 middleware behind one that may answer first
    W003 unknown attribute            W004 path of CUSTOMER_FIELDS
    W005 KPI per event and per day    W006 window longer than the bodies are kept
    W007 event name not in EVENTS     W008 currency with other places than ISO 4217 gives it
    W009 rows without an age          W014 middleware listed twice
    W015 pages cached inside of ours
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004  Django's name
from django.core.exceptions import FieldError
from django.db import connections
from django.db.models import Q
from django.utils.module_loading import import_string

from track360_django import activities, conf, currencies, delivery, lanes, origin, pace, payloads, signup
from track360_django.daily.doubling import names_per_event
from track360_django.declarations import ledger, reversals
from track360_django.paths import find_missing

MIDDLEWARE: Final = "track360_django.middleware.TrackingMiddleware"
SESSION_MIDDLEWARE: Final = "django.contrib.sessions.middleware.SessionMiddleware"
# Middleware that answers or redirects by itself: a landing that it answers is lost when it comes before ours.
ANSWERING: Final = (
    "django.middleware.cache.CacheMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
    "django.contrib.redirects.middleware.RedirectFallbackMiddleware",
    "wagtail.contrib.redirects.middleware.RedirectMiddleware",
)
WHITENOISE: Final = "whitenoise.middleware.WhiteNoiseMiddleware"
# With one of these, WhiteNoise serves pages and not only assets.
WHITENOISE_PAGES: Final = ("WHITENOISE_INDEX_FILE", "WHITENOISE_ROOT")
UPDATE_CACHE: Final = "django.middleware.cache.UpdateCacheMiddleware"
CHOICES: Final = {
    "ATTRIBUTION": ("last", "first"),
    "REPORT_ON": ("signup", "activation"),
    "CORRECTIONS": ("flag", "resend"),
    "UNKNOWN_CUSTOMERS": ("register", "hold"),
    "COOKIE_SAMESITE": ("Lax", "Strict", "None"),
}
STORAGES: Final = ("session", "cookie")
FUNCTIONS: Final = ("BRAND_RESOLVER", "CONSENT", "PROMO_CODES", "BEFORE_SEND", "RESPONSE_CHECK")
# The host's own wide margin: a lane's lease is three times this.
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
                _error("E003", f"{where} is no dict.", "Give the brand's own settings as a dict.")
            )
    for brand in conf.brands():
        messages += _check_brand(brand)
    return messages


def check_middleware(**_: Any) -> list[CheckMessage]:
    """Check that landings are seen, and that the session is there to remember them."""
    installed = [_kinds(name) for name in django_settings.MIDDLEWARE]
    places = [place for place, kinds in enumerate(installed) if MIDDLEWARE in kinds]
    if not places:
        return [
            _error(
                "E010",
                "TrackingMiddleware is missing: no landing is remembered, and every customer will be unattributed.",
                f"Add '{MIDDLEWARE}' to MIDDLEWARE, right after SessionMiddleware.",
            )
        ]
    return [*_check_order(installed, places[0]), *_check_repetition(places)]


def _kinds(name: str) -> tuple[str, ...]:
    """Return the path of a middleware and of what it is made from: hosts have subclasses of their own."""
    try:
        found = import_string(name)
    except Exception:  # noqa: BLE001  Django says so when it loads it; the host's modules may raise anything
        return (name,)
    if not isinstance(found, type):
        return (name,)
    bases = (f"{base.__module__}.{base.__qualname__}" for base in found.__mro__)
    return (name, *(base for base in bases if base != name))


def check_declarations(**_: Any) -> list[CheckMessage]:
    """Check what the apps' `track360.py` files declare."""
    each = [
        message for declaration in activities.declarations() for message in _check_declaration(declaration)
    ]
    days = [
        message for declaration in activities.daily_declarations() for message in _check_daily(declaration)
    ]
    return [*each, *_check_products(), *_check_ids(), *_check_reversals(), *_check_names(), *days]


def _check_daily(declaration: activities.DailyActivity) -> Iterator[CheckMessage]:
    kind = type(declaration)
    where = f"{kind.__module__}.{kind.__qualname__}"
    eventname: Any = declaration.eventname
    if not eventname or len(eventname) > payloads.MAX_EVENTNAME_CHARACTERS:
        message = f"{where} has no eventname of 1 to {payloads.MAX_EVENTNAME_CHARACTERS} characters: no day is compiled."
        yield _error(
            "E019", message, 'Name the KPI as agreed with Track360, such as eventname = "DailyStats".'
        )
    if kind.rows is activities.DailyActivity.rows:
        hint = "Write rows(self, day): it yields mappings of customer, currency and KPI names to numbers."
        yield _error("E020", f"{where} has no rows(), so no day can be compiled.", hint)
    for name in sorted(names_per_event() & {declaration.eventname, *declaration.numbers()}):
        hint = (
            "Report it per event or per day, as agreed with Track360, not both (API guide, Grouping by date)."
        )
        message = f"{where}: {name} is reported per event, too, and may count twice."
        yield Warning(message, hint=hint, id="track360_django.W005")
    yield from _check_window(declaration, where)
    yield from _check_unknown(declaration.unknown_attributes(), declaration.attributes(), where)


def _check_window(declaration: activities.DailyActivity, where: str) -> Iterator[CheckMessage]:
    days = min(conf.for_brand(brand).RETENTION_DAYS for brand in conf.brands())
    window: Any = declaration.window_days
    if not isinstance(window, int) or not 0 < window <= days:
        message = f"{where}: window_days = {window!r}, and bodies are kept for {days} days."
        hint = "Use 1 to RETENTION_DAYS: what was pruned can't be compared, so its corrections would be lost."
        yield Warning(message, hint=hint, id="track360_django.W006")


def _check_declaration(declaration: activities.ModelActivity) -> Iterator[CheckMessage]:
    """A misspelt name would cost the host the sale that first meets it: say so before."""
    kind = type(declaration)
    where = f"{kind.__module__}.{kind.__qualname__}"
    if not _is_eventname(declaration.eventname):
        hint = f'Name the KPI as agreed, such as "Deposit": at most {payloads.MAX_EVENTNAME_CHARACTERS} characters.'
        yield _error("E017", f"{where} has no eventname that can be sent: every row would be dead.", hint)
    for name, path in {**declaration.paths(), **declaration.fields}.items():
        missing = path is not None and find_missing(declaration.model, path)
        if missing:
            label = declaration.model._meta.label
            message = (
                f"{where}: {name} = {path!r} leads nowhere: {label} and its relations have no {missing!r}."
            )
            yield _error(
                "E015", message, "Name a field, a path such as 'account__user', or write a get_ method."
            )
    yield from _check_condition(declaration, where)
    yield from _check_age(declaration, where)
    if declaration.on_reverse is not None and not _is_eventname(declaration.on_reverse):
        hint = 'Write "negative", or the event name agreed for it, such as "Chargeback".'
        yield _error("E023", f"{where}: on_reverse is neither None nor an event name.", hint)
    yield from _check_unknown(declaration.unknown_attributes(), declaration.paths(), where)


def _is_eventname(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= payloads.MAX_EVENTNAME_CHARACTERS


def _check_age(declaration: activities.ModelActivity, where: str) -> Iterator[CheckMessage]:
    """Reconciliation looks at the rows of the last days: say where it can't tell which those are."""
    if ledger.column_of_date(declaration) is not None:
        return
    hint = 'Name a column of dates or times of the model, such as dated_by = "created_at".'
    if declaration.dated_by is not None:
        yield _error("E022", f"{where}: dated_by = {declaration.dated_by!r} is no column of dates.", hint)
        return
    message = f"{where} says of no column how old a row is: reconciliation reads the whole table, each hour."
    yield Warning(message, hint=hint, id="track360_django.W009")


def _check_unknown(names: Iterable[str], known: Iterable[str], where: str) -> Iterator[CheckMessage]:
    for name in names:
        close = get_close_matches(name, list(known), n=1)
        hint = (
            f"Did you mean {close[0]!r}?" if close else "Start its name with an underscore if it is your own."
        )
        message = f"{where} has the unknown attribute {name!r}, which does nothing."
        yield Warning(message, hint=hint, id="track360_django.W003")


def _check_condition(declaration: activities.ModelActivity, where: str) -> Iterator[CheckMessage]:
    try:
        declaration.model._base_manager.filter(declaration.when or Q())
    except (FieldError, ValueError, TypeError) as error:
        hint = "Correct `when`: it is a Q over the model's own fields and relations."
        yield _error(
            "E016", f"{where}: `when` can't be asked of {declaration.model._meta.label}: {error}", hint
        )


def _check_ids() -> Iterator[CheckMessage]:
    """Rows of two models may have the same primary key, and then the same default id."""
    first: dict[str, activities.ModelActivity] = {}
    for declaration in activities.declarations():
        if declaration.eventid is not None or hasattr(declaration, "get_eventid"):
            continue
        other = first.setdefault(declaration.eventname, declaration)
        if other.model is not declaration.model:
            names = f"{type(other).__name__} and {type(declaration).__name__}"
            message = (
                f"{names} both report {declaration.eventname!r} under ids made of their rows' primary keys."
            )
            yield _error("E014", message, "Give one of them an `eventid` that is unique for the event name.")


def _check_names() -> Iterator[CheckMessage]:
    """Names as they are declared: a product's shape may change them on their way, and `EVENTS` has them without."""
    agreed = [tuple(conf.for_brand(brand).EVENTS) for brand in conf.brands()]
    if not all(agreed):
        # A brand that has no list takes any name.
        return
    known = sorted({name for names in agreed for name in names})
    declared: list[activities.ModelActivity | activities.DailyActivity] = [
        *activities.declarations(),
        *activities.daily_declarations(),
    ]
    for declaration in declared:
        for name in _names_of(declaration):
            if name and name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"Agreed are: {', '.join(known)}."
                message = (
                    f"{type(declaration).__name__} reports {name!r}, which is not among the agreed EVENTS: Track360 may "
                    "not show it."
                )
                yield Warning(message, hint=hint, id="track360_django.W007")


def _names_of(declaration: activities.ModelActivity | activities.DailyActivity) -> Iterator[str]:
    yield declaration.eventname
    reversal = getattr(declaration, "on_reverse", None)
    if isinstance(reversal, str) and reversal != "negative":
        yield reversal


def _check_reversals() -> Iterator[CheckMessage]:
    """Two records of one row under the same id would have one reversal, of whichever is told first."""
    first: dict[tuple[object, ...], activities.ModelActivity] = {}
    for declaration in activities.declarations():
        if declaration.on_reverse is None or declaration.eventid is None:
            continue
        key = (declaration.model, declaration.eventid, reversals.eventname_of(declaration))
        other = first.setdefault(key, declaration)
        if other is not declaration:
            names = f"{type(other).__name__} and {type(declaration).__name__}"
            message = (
                f"{names} tell their reversals under the same event name and id, so only one of them is told."
            )
            yield _error("E024", message, "Give one of them an `eventid`, or an `on_reverse`, of its own.")


def _check_products() -> list[CheckMessage]:
    has_field = all(conf.for_brand(brand).PRODUCT_FIELD for brand in conf.brands())
    return [
        _error(
            "E013",
            f"{type(declaration).__name__} reports a product, but no field was agreed for it.",
            "Set TRACK360['PRODUCT_FIELD'] to the field name agreed with Track360 (API guide, Grouping by date or by "
            "KPI type) or to a shape such as 'track360_django.products.suffix', or remove `product`.",
        )
        for declaration in activities.declarations()
        if not has_field and (declaration.product is not None or hasattr(declaration, "get_product"))
    ]


def _no_dict(configured: object) -> CheckMessage:
    what = "is missing" if configured is None else f"is a {type(configured).__name__}, not a dict"
    from_environment = 'os.environ.get("TRACK360_BRAND_TOKEN", "")'
    hint = f'TRACK360 = {{"BASE_URL": "https://partners.yourbrand.com", "BRAND_TOKEN": {from_environment}}}'
    return _error("E001", f"The setting TRACK360 {what}.", f"Write: {hint}")


def _check_keys(configured: Mapping[str, Any], where: str) -> Iterator[CheckMessage]:
    known = conf.names()
    for key, value in configured.items():
        if key not in known:
            close = get_close_matches(str(key).upper(), known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(known)}."
            yield _error("E002", f"{where} has the unknown key {key!r}, which does nothing.", hint)
        elif not conf.is_acceptable(key, value):
            default = conf.default_of(key)
            yield _error(
                "E003",
                f"{where}[{key!r}] is a {type(value).__name__} that it can't work with; the default is used.",
                f"Give something like the default, {default!r}" + _range_hint(default) + ".",
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
        yield _error(
            "E008", f"{where}[{key!r}] is not one of its choices.", f"Use one of: {', '.join(CHOICES[key])}."
        )
    if key == "STORAGE" and (not value or set(value) - set(STORAGES)):
        yield _error(
            "E008", f"{where}['STORAGE'] is not made of its choices.", 'Use "session", "cookie", or both.'
        )
    if key == "TRACKING_PARAMS" and not value:
        yield _error(
            "E008", f"{where}['TRACKING_PARAMS'] is empty.", 'Name one at least, such as "tracking_data".'
        )
    if key == "DATABASES" and (unknown := sorted(set(value) - set(connections.settings))):
        message = f"{where}['DATABASES'] names {', '.join(map(repr, unknown))}, which is no database of this project."
        yield _error(
            "E008", message, "Use aliases of Django's DATABASES that have the tables of track360_django."
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
        hint = f"Use at most {lanes.MAX_LANES}: more than a worker each help nobody."
        yield _error("E003", f"{where}['LANES'] is too large; {lanes.MAX_LANES} are used.", hint)
    if key == "CONCURRENCY" and value > delivery.MAX_THREADS:
        hint = f"Use at most {delivery.MAX_THREADS}: each is a connection to the database."
        yield _error("E003", f"{where}['CONCURRENCY'] is too large; {delivery.MAX_THREADS} are used.", hint)
    if key == "REQUESTS_PER_SECOND" and value is not None and value < pace.LEAST_PER_SECOND:
        hint = "Use a larger number: a worker can't keep its lane for the time between two such requests."
        yield _error(
            "E003", f"{where}['REQUESTS_PER_SECOND'] is too small; {pace.LEAST_PER_SECOND} is used.", hint
        )
    if key.endswith("_TIMEOUT_SECONDS") and value > MAX_TIMEOUT_SECONDS:
        hint = f"Use at most {MAX_TIMEOUT_SECONDS}; nothing is gained by waiting longer for one request."
        yield _error(
            "E003", f"{where}[{key!r}] is too large: a lane is leased for three times as long.", hint
        )


def _check_sources(names: Sequence[str], where: str) -> Iterator[CheckMessage]:
    for name in names:
        if name not in signup.NAMES:
            message = f"{where}['SIGNUP_SOURCES'] names {name!r}, which is no signup source: its signups are not seen."
            yield _error("E008", message, f'Use "auto", or some of: {", ".join(signup.NAMES)}.')


def _check_function(key: str, value: Any, where: str) -> Iterator[CheckMessage]:
    hint = "Give a function, or the dotted path to one."
    try:
        found = import_string(value) if isinstance(value, str) else value
    except ImportError as error:
        yield _error("E009", f"{where}[{key!r}] can't be imported: {error}.", hint)
    else:
        if not callable(found):
            yield _error("E009", f"{where}[{key!r}] is no function.", hint)


def _check_product_field(value: Any, where: str) -> Iterator[CheckMessage]:
    if isinstance(value, str) and "." in value:
        yield from _check_function("PRODUCT_FIELD", value, where)
    elif value in payloads.ACTIVITY_FIELDS:
        message = f"{where}['PRODUCT_FIELD'] is {value!r}, which carries something else: no product could be reported."
        yield _error("E008", message, "Agree on a field of its own with Track360, such as 'product'.")


def _check_currencies(value: Mapping[str, int], where: str) -> Iterator[CheckMessage]:
    for code, places in value.items():
        entry = f"{where}['CURRENCIES'][{code!r}]"
        official = currencies.MINOR_UNITS.get(code, places)
        if not payloads.is_agreed(code, value):
            hint = (
                "Write the code as agreed with Track360, in 3 to 10 capitals or digits, with 0 to "
                f"{payloads.MAX_PLACES} places after the point, such as {{'USDT': 6}}."
            )
            yield _error("E021", f"{entry} is no currency and does nothing.", hint)
        elif places != official:
            message = f"{entry} gives amounts {places} places at least; ISO 4217 has {official} for it."
            hint = "Take it out, unless Track360 asked for it: no amount is rounded either way."
            yield Warning(message, hint=hint, id="track360_django.W008")


def _check_zone(value: str, where: str) -> Iterator[CheckMessage]:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        hint = 'Use a name of the time zone database, such as "UTC" or "Europe/Malta".'
        yield _error("E012", f"{where}['TIME_ZONE'] is no time zone; UTC is used.", hint)


def _check_brand(brand: str) -> Iterator[CheckMessage]:
    settings = conf.for_brand(brand)
    if not settings.ENABLED:
        return
    where = "TRACK360" if brand == conf.DEFAULT_BRAND else f"TRACK360['BRANDS'][{brand!r}]"
    yield from _check_base_url(settings, where)
    yield from _check_token(settings.BRAND_TOKEN, where)
    yield from _check_people(settings, where)


def _check_people(settings: conf.Settings, where: str) -> Iterator[CheckMessage]:
    """Check that what is read of a user is there."""
    user = get_user_model()
    path = settings.CUSTOMER_ID
    if path is not None and find_missing(user, path):
        message = f"{where}['CUSTOMER_ID'] = {path!r} leads nowhere: no signup could be written down."
        yield _error(
            "E018",
            message,
            f"Name a field that every {user._meta.label} has when they sign up, such as 'pk'.",
        )
    for name, field in settings.CUSTOMER_FIELDS.items():
        if field and find_missing(user, field):
            message = f"{where}['CUSTOMER_FIELDS'][{name!r}] = {field!r} leads nowhere: customers go without {name}."
            hint = f"Name a field of {user._meta.label} or of a relation of it, such as 'profile__country'."
            yield Warning(message, hint=hint, id="track360_django.W004")


def _check_base_url(settings: conf.Settings, where: str) -> Iterator[CheckMessage]:
    if not settings.BASE_URL:
        hint = "Set it to the URL that Track360 assigned to the brand (API guide, Before starting)."
        yield _error("E004", f"{where}['BASE_URL'] is missing.", hint)
        return
    problem = origin.find_problem(settings.BASE_URL, "unchecked", allow_http=settings.ALLOW_HTTP)
    if problem:
        hint = "Write scheme and host only, such as https://partners.yourbrand.com; the paths are added."
        yield _error("E005", f"{where}['BASE_URL'] can't be used: {problem}", hint)
    elif urlsplit(settings.BASE_URL).scheme == "http" and not django_settings.DEBUG:
        hint = "Use https. Plain http is for the sandbox on this machine."
        message = f"{where}['BASE_URL'] is plain http while DEBUG is off."
        yield Warning(message, hint=hint, id="track360_django.W001")


def _check_token(token: str, where: str) -> Iterator[CheckMessage]:
    if not token:
        hint = "Take it from Brand Settings in Track360 and keep it in the environment (API guide, Authentication)."
        yield _error("E006", f"{where}['BRAND_TOKEN'] is missing.", hint)
    elif origin.find_problem("https://example.org", token, allow_http=False):
        message = f"{where}['BRAND_TOKEN'] holds white space or a character that no HTTP header takes."
        hint = "Copy it again; an environment file often adds a line break: os.environ[...].strip()."
        yield _error("E007", message, hint)


def _check_order(installed: Sequence[Sequence[str]], position: int) -> Iterator[CheckMessage]:
    before, after = installed[:position], installed[position + 1 :]
    if "session" in conf.settings.STORAGE and not any(SESSION_MIDDLEWARE in kinds for kinds in before):
        yield _error(
            "E011",
            "TrackingMiddleware comes before SessionMiddleware, or there is none: the session can't remember landings.",
            "Put it right after SessionMiddleware, or set TRACK360['STORAGE'] = ('cookie',).",
        )
    for kinds in before:
        if _may_answer(kinds):
            message = f"{kinds[0]} comes before TrackingMiddleware and may answer a landing itself, which is then lost."
            hint = "Put TrackingMiddleware right after SessionMiddleware, before everything that answers or redirects."
            yield Warning(message, hint=hint, id="track360_django.W002")
    for kinds in after:
        if UPDATE_CACHE in kinds:
            message = (
                f"{kinds[0]} comes after TrackingMiddleware: it does not see which pages vary by visitor, and would "
                "keep what was made for one of them for all."
            )
            hint = "Put it first in MIDDLEWARE, before SessionMiddleware and TrackingMiddleware, as Django documents."
            yield Warning(message, hint=hint, id="track360_django.W015")


def _may_answer(kinds: Sequence[str]) -> bool:
    """Tell whether a middleware may answer a landing by itself, with these settings of the host."""
    if WHITENOISE in kinds:
        return any(getattr(django_settings, name, None) for name in WHITENOISE_PAGES)
    return any(name in kinds for name in ANSWERING)


def _check_repetition(places: Sequence[int]) -> Iterator[CheckMessage]:
    if len(places) > 1:
        message = f"TrackingMiddleware is in MIDDLEWARE {len(places)} times: each landing is kept and told of as often."
        hint = "Keep the one right after SessionMiddleware."
        yield Warning(message, hint=hint, id="track360_django.W014")


def _error(number: str, message: str, hint: str) -> CheckMessage:
    return Error(message, hint=hint, id=f"track360_django.{number}")
