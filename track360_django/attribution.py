"""
The touch: what a landing URL brought, read exactly, remembered in the visitor's browser, found again at signup.

Everything a stranger can send goes through total functions here: a clean value or nothing, never an exception.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from django.conf import settings as django_settings
from django.core import signing
from django.utils.cache import patch_cache_control, patch_vary_headers

from track360_django.conf import Settings, function
from track360_django.payloads import refuse_tracking

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

logger = logging.getLogger(__name__)

SESSION_KEY: Final = "track360"
SALT: Final = "track360_django.attribution"

_BROKEN_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# Cubot makes phones.
_CRAWLER: Final = re.compile(
    r"(?<!cu)bot\b|(?<!cu)bot/|crawl|spider|slurp|facebookexternalhit|embedly|preview|pingdom|monitor|lighthouse|headlesschrome",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Touch:
    """
    One landing with tracking data, remembered.

    `params` maps each parameter's name to its value, verbatim; `at` is when it was seen.

    Source: API guide, "Tracking Parameters".
    """

    params: Mapping[str, str]
    at: datetime

    def is_within(self, window: timedelta, now: datetime) -> bool:
        """Tell whether the touch is younger than the attribution window; a touch of the future counts as new."""
        return now - self.at <= window

    def as_state(self) -> dict[str, Any]:
        """Return the touch as plain JSON: seconds since 1970 and the parameters."""
        return {"at": int(self.at.timestamp()), "params": dict(self.params)}


@dataclass(frozen=True, kw_only=True)
class Landing:
    """What one URL brought: the touch, if any value was good, and why others were refused."""

    touch: Touch | None
    refusals: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a browser remembers: its first and its last touch."""

    first: Touch | None = None
    last: Touch | None = None

    def with_touch(self, touch: Touch, window: timedelta) -> Memory:
        """Return the memory after one more touch; a first touch that has expired gives way."""
        first = self.first if self.first and self.first.is_within(window, touch.at) else touch
        return Memory(first=first, last=touch)

    def as_state(self) -> dict[str, Any]:
        """Return the memory as plain JSON."""
        touches = {"first": self.first, "last": self.last}
        return {name: touch.as_state() for name, touch in touches.items() if touch}


class Touches:
    """
    The touches seen so far by the visitor of one request: `request.track360`.

    Nothing is read before it is asked for: building one costs no query, no session and no cookie.
    In async code with sessions in the database, call `await request.track360.aload()` first.

    Source: API guide, "Tracking Parameters"; where it is kept is our choice (`TRACK360["STORAGE"]`).
    """

    # The defaults are the class's: building one is part of every request of the host.
    # The touch in this request's own URL.
    landing: Landing | None = None
    # Customer rows that the safety net wrote during this request: (database alias, pk).
    held: tuple[tuple[str, int], ...] = ()
    # The session could not be read.
    is_blind: bool = False
    _memory: Memory | None = None

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @property
    def first(self) -> Touch | None:
        """The oldest touch within the attribution window."""
        return self.memory.first

    @property
    def last(self) -> Touch | None:
        """The newest touch within the attribution window."""
        return self.memory.last

    @property
    def memory(self) -> Memory:
        """Both touches, this request's landing included."""
        if self._memory is None:
            settings = Settings()
            memory = parse_state(read_cookie(self.request, settings), settings)
            if memory == Memory() and reads_session(self.request, settings):
                memory = parse_state(self.request.session.get(SESSION_KEY), settings)
            self._memory = self._with_landing(memory, settings)
        return self._memory

    @property
    def is_read(self) -> bool:
        """Whether anything was read that another visitor's browser may not have."""
        return self._memory is not None

    async def aload(self) -> Memory:
        """Read what is remembered without blocking the event loop; afterwards the attributes are plain reads."""
        if self._memory is None:
            settings = Settings()
            memory = parse_state(read_cookie(self.request, settings), settings)
            if memory == Memory() and reads_session(self.request, settings):
                memory = parse_state(await self.request.session.aget(SESSION_KEY), settings)
            self._memory = self._with_landing(memory, settings)
        return self._memory

    def forget_all_but_landing(self) -> Memory:
        """Return what this request's URL brought alone, for want of the rest, and go on with that."""
        self._memory = self._with_landing(Memory(), Settings())
        return self._memory

    def _with_landing(self, memory: Memory, settings: Settings) -> Memory:
        touch = self.landing.touch if self.landing else None
        return memory.with_touch(touch, window_of(settings)) if touch else memory


_current: ContextVar[Touches | None] = ContextVar("track360_touches", default=None)


def current() -> Touches | None:
    """Return the touches of the request being served in this context, None outside a request."""
    return _current.get()


def of(request: Any) -> Touches | None:
    """
    Return the touches of a request; of the request being served when none is given.

    A wrapped request (Django REST framework's) is unwrapped.
    """
    request = getattr(request, "_request", request)
    found = getattr(request, "track360", None)
    if isinstance(found, Touches):
        return found
    return current()


def window_of(settings: Settings) -> timedelta:
    """Return how old a touch may be."""
    return timedelta(days=settings.ATTRIBUTION_WINDOW_DAYS)


# Capture: a URL becomes a landing.


def has_parameter(query_string: str, names: tuple[str, ...]) -> bool:
    """Tell, without parsing, whether a raw query string can hold one of these parameters."""
    for needle in _needles(names):  # noqa: SIM110  a generator doubles the cost, and this runs on every request
        if needle in query_string:
            return True
    return False


@lru_cache(maxsize=64)
def _needles(names: tuple[str, ...]) -> tuple[str, ...]:
    """Some link builders escape the underscore."""
    return tuple(
        {form: None for name in names for form in (name, name.replace("_", "%5F"), name.replace("_", "%5f"))}
    )


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[bytes]:
    forms = "|".join(re.escape(name).replace("_", "(?:_|%5[Ff])") for name in names)
    return re.compile(rf"(?:^|&)({forms})=([^&]*)".encode())


def is_document(meta: Mapping[str, Any], method: str | None) -> bool:
    """
    Tell whether a request is a person's browser opening a page.

    Not one: other methods than GET and HEAD, images, frames and fetches (`Sec-Fetch-Dest`), prefetches, crawlers.
    """
    if method not in ("GET", "HEAD") or meta.get("HTTP_SEC_FETCH_DEST", "document") != "document":
        return False
    purpose = f"{meta.get('HTTP_SEC_PURPOSE', '')}{meta.get('HTTP_PURPOSE', '')}{meta.get('HTTP_X_MOZ', '')}"
    return "prefetch" not in purpose.lower() and not _CRAWLER.search(meta.get("HTTP_USER_AGENT", ""))


def capture(query_string: bytes, names: Sequence[str], now: datetime) -> Landing | None:
    """
    Return what a raw query string brings, None when none of the parameters is in it.

    Each parameter is decoded once and kept exactly or refused; of a repeated one, the last valid value counts.
    """
    params: dict[str, str] = {}
    # A set in the order of the last sight: a URL with a thousand bad values is told of like one with one.
    refusals: dict[tuple[str, str], None] = {}
    for name, raw in _pairs(query_string, tuple(names)):
        value = _decode(raw)
        refusal = "undecodable" if value is None else refuse_tracking(value)
        if value is None or refusal:
            refused = (name, refusal or "undecodable")
            refusals.pop(refused, None)
            refusals[refused] = None
        else:
            params[name] = value
    if not params and not refusals:
        return None
    touch = Touch(params=params, at=now.replace(microsecond=0)) if params else None
    return Landing(touch=touch, refusals=tuple(refusals))


def _pairs(query_string: bytes, names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    for match in _pattern(names).finditer(query_string):
        yield unquote_to_bytes(match[1]).decode("ascii", "replace"), match[2]


def _decode(raw: bytes) -> str | None:
    """Decode a form-encoded value strictly, exactly once."""
    if _BROKEN_PERCENT.search(raw):
        return None
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        return None


# Recall: what the browser brings back is checked again, whoever signed it.


def read_cookie(request: HttpRequest, settings: Settings) -> object:
    """Return the signed cookie's state; None when it is missing, forged, foreign, expired or not wanted."""
    raw = request.COOKIES.get(settings.COOKIE_NAME) if "cookie" in settings.STORAGE else None
    if not raw:
        return None
    try:
        return signing.loads(raw, salt=SALT, max_age=window_of(settings))
    except (signing.BadSignature, ValueError, TypeError, UnicodeError):
        return None


def reads_session(request: HttpRequest, settings: Settings) -> bool:
    """Tell whether touches are kept in the session of this request."""
    return "session" in settings.STORAGE and hasattr(request, "session")


def parse_state(state: object, settings: Settings) -> Memory:
    """Return what a session or cookie remembers, expired or damaged touches left out."""
    if not isinstance(state, Mapping):
        return Memory()
    window, now = window_of(settings), datetime.now(UTC)
    touches = {name: _parse_touch(state.get(name), settings.TRACKING_PARAMS) for name in ("first", "last")}
    return Memory(
        **{name: touch if touch and touch.is_within(window, now) else None for name, touch in touches.items()}
    )


def _parse_touch(state: object, names: Sequence[str]) -> Touch | None:
    if not isinstance(state, Mapping) or not isinstance(state.get("params"), Mapping):
        return None
    params = {
        name: value
        for name, value in state["params"].items()
        if name in names and isinstance(value, str) and refuse_tracking(value) is None
    }
    try:
        at = datetime.fromtimestamp(int(state["at"]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    return Touch(params=params, at=at) if params else None


# Remember: session and cookie, on the one response of a landing.


def may_remember(request: HttpRequest, settings: Settings) -> bool:
    """Tell whether the visitor consents to being remembered; without a `CONSENT` function, yes."""
    consent = function(settings.CONSENT)
    return consent is None or bool(consent(request))


def write_cookie(response: HttpResponseBase, memory: Memory, settings: Settings) -> None:
    """Set the signed cookie and keep the response out of shared caches."""
    response.set_cookie(
        settings.COOKIE_NAME,
        signing.dumps(memory.as_state(), salt=SALT, compress=True),
        max_age=window_of(settings),
        domain=settings.COOKIE_DOMAIN,
        path=settings.COOKIE_PATH,
        secure=bool(
            django_settings.SESSION_COOKIE_SECURE
            if settings.COOKIE_SECURE is None
            else settings.COOKIE_SECURE
        ),
        httponly=True,
        samesite=settings.COOKIE_SAMESITE,  # type: ignore[arg-type]  # a wrong word is a check error
    )
    patch_vary_headers(response, ("Cookie",))
    patch_cache_control(response, private=True)
