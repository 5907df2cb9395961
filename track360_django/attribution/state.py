"""
Remembering: touches are kept in the visitor's session and in a signed cookie, found there again, and erased.

What the browser brings back is checked again, whoever signed it.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import iscoroutinefunction
from django.conf import settings as django_settings
from django.core import signing
from django.utils.http import http_date

from track360_django import conf
from track360_django.api.payloads import refuse_tracking
from track360_django.attribution.touch import EXPIRED, Memory, Touch

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from track360_django.conf import Settings

logger = logging.getLogger(__name__)

SESSION_KEY: Final = "track360"
SALT: Final = "track360_django.attribution"
# The cookie of `capture.js`: written by the script, never believed, erased with ours.
SCRIPT_COOKIE: Final = "track360_js"
MAX_REASON: Final = 40
SESSION_MIDDLEWARE: Final = "django.contrib.sessions.middleware.SessionMiddleware"


def window_of(settings: Settings) -> timedelta:
    """Return how old a touch may be."""
    return timedelta(days=settings.ATTRIBUTION_WINDOW_DAYS)


def may_remember(request: HttpRequest, settings: Settings) -> bool:
    """
    Tell whether the visitor consents to being remembered; without a `CONSENT` function, yes.

    Never raises, and never takes for a yes what is none: a function that fails, is async, or can't be found.
    """
    configured = conf.configured(settings.brand, "CONSENT")
    if configured is None:
        return True
    try:
        ask = conf.function(configured)
        answer = ask(request) if callable(ask) and not iscoroutinefunction(ask) else False
    except Exception as error:  # noqa: BLE001  the host's function may raise anything
        kind = type(error).__name__
        logger.error("track360: CONSENT raised %s; the visitor is not remembered.", kind)  # noqa: TRY400  it may quote them
        return False
    if inspect.iscoroutine(answer):
        answer.close()
        logger.error("track360: CONSENT is async, and nobody waits for it; the visitor is not remembered.")
        return False
    return bool(answer)


# One browser may know several brands of a host: what one of them remembers is nothing to another.


def salt_of(salt: str, settings: Settings) -> str:
    """Return the salt of one brand's signatures."""
    return f"{salt}:{settings.brand}" if _is_apart(settings) else salt


def cookie_name(settings: Settings) -> str:
    """Return the name of a brand's cookie: `COOKIE_NAME`, with an ending of its own where a host has several brands."""
    if not _is_apart(settings) or conf.is_own(settings.brand, "COOKIE_NAME"):
        return settings.COOKIE_NAME
    ending = hashlib.sha256(settings.brand.encode()).hexdigest()[:8]
    return f"{settings.COOKIE_NAME}_{ending}"


def session_key(settings: Settings) -> str:
    """Return the key in the session under which a brand's touches are kept."""
    return f"{SESSION_KEY}:{settings.brand}" if _is_apart(settings) else SESSION_KEY


def _is_apart(settings: Settings) -> bool:
    """
    Tell whether a brand's memory has names of its own.

    The one brand that a host had before it had several is "default", and keeps what browsers remember of it. What is
    nobody's (the brand has no name) is kept from all of them.
    """
    return bool(conf.settings.BRANDS) and settings.brand != conf.DEFAULT_BRAND


# Recall.


def read_cookie(request: HttpRequest, settings: Settings) -> object:
    """Return the signed cookie's state; None when it is missing, forged, foreign or not wanted."""
    raw = request.COOKIES.get(cookie_name(settings)) if "cookie" in settings.STORAGE else None
    if not raw:
        return None
    try:
        return signing.loads(raw, salt=salt_of(SALT, settings), max_age=window_of(settings))
    except signing.SignatureExpired:
        return {"lost": EXPIRED}
    except (signing.BadSignature, ValueError, TypeError, UnicodeError):
        return None


def reads_session(request: HttpRequest, settings: Settings) -> bool:
    """Tell whether touches are kept in the session of this request."""
    return "session" in settings.STORAGE and hasattr(request, "session")


def parse_state(state: object, settings: Settings) -> Memory:
    """Return what a session or cookie remembers; touches that are expired or damaged are left out."""
    if not isinstance(state, Mapping):
        return Memory()
    window, now = window_of(settings), datetime.now(UTC)
    touches = [_parse_touch(state.get(name), settings.TRACKING_PARAMS) for name in ("first", "last")]
    first, last = (touch if touch and touch.is_within(window, now) else None for touch in touches)
    if first or last:
        return Memory(first=first or last, last=last or first)
    return Memory(lost=EXPIRED if any(touches) else _parse_reason(state.get("lost")))


def _parse_reason(lost: object) -> str:
    """Return why there is nothing, if it is one of our own words."""
    is_ours = isinstance(lost, str) and len(lost) <= MAX_REASON and lost.replace("_", "").isalpha()
    return str(lost) if is_ours else ""


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


# Remember, on the one response of a landing.


def write_cookie(response: HttpResponseBase, memory: Memory, settings: Settings) -> None:
    """Set the signed cookie."""
    response.set_cookie(
        cookie_name(settings),
        signing.dumps(memory.as_state(), salt=salt_of(SALT, settings), compress=True),
        max_age=window_of(settings),
        domain=_domain_of(settings),
        path=settings.COOKIE_PATH,
        secure=bool(
            django_settings.SESSION_COOKIE_SECURE
            if settings.COOKIE_SECURE is None
            else settings.COOKIE_SECURE
        ),
        httponly=True,
        samesite=settings.COOKIE_SAMESITE,  # type: ignore[arg-type]  # a wrong word is a check error
    )


def _domain_of(settings: Settings) -> str | None:
    """Return the domain of the cookie: a host whose session is known on sub-domains has visitors who go there."""
    domain: str | None = django_settings.SESSION_COOKIE_DOMAIN
    return domain if settings.COOKIE_DOMAIN is None else settings.COOKIE_DOMAIN or None


def write_session(
    request: HttpRequest, response: HttpResponseBase, state: dict[str, Any] | None, settings: Settings
) -> None:
    """
    Keep a state in the session, or take it out (None), and save it now if nobody else would have.

    SessionMiddleware saves after us, where an error is a page that fails: so what fails, fails here first, and leaves
    a session that nobody has touched.
    """
    session, key = request.session, session_key(settings)
    will_be_saved = session.modified or django_settings.SESSION_SAVE_EVERY_REQUEST
    if will_be_saved and response.status_code < 500:
        _change(session, key, state)
    elif session.session_key:
        _refresh(request, response, key, state)
    elif state is not None and response.status_code < 500:
        _begin(request, response, key, state)


def _change(session: SessionBase, key: str, state: dict[str, Any] | None) -> bool:
    """Change the session's entry of ours; tell whether anything was changed."""
    if state is None:
        return session.pop(key, None) is not None
    session[key] = state
    return True


def _refresh(
    request: HttpRequest, response: HttpResponseBase, key: str, state: dict[str, Any] | None
) -> None:
    """Change a fresh copy of the visitor's session: what another request of theirs wrote meanwhile stays."""
    session = request.session
    fresh = type(session)(session.session_key)
    if not _change(fresh, key, state):
        return
    fresh.save()
    if hasattr(session, "_session_cache"):
        # Whoever changes and saves the one that the page has read leaves ours as it is.
        is_hosts = session.modified
        _change(session, key, state)
        session.modified = is_hosts
    if fresh.session_key != session.session_key:
        _hand_over(request, fresh, response)


def _begin(request: HttpRequest, response: HttpResponseBase, key: str, state: dict[str, Any]) -> None:
    """Begin a session for a visitor who has none."""
    session = request.session
    try:
        session[key] = state
        session.save()
    except Exception:
        request.session = type(session)(request.COOKIES.get(django_settings.SESSION_COOKIE_NAME))
        raise
    _hand_over(request, session, response)


def _hand_over(request: HttpRequest, session: SessionBase, response: HttpResponseBase) -> None:
    """
    Set the cookie of a session that was saved a moment ago, so that Django's own middleware does not save it again.

    A middleware of the host's own may have another idea of the cookie: it saves, and sets its own.
    """
    request.session = session
    if SESSION_MIDDLEWARE not in django_settings.MIDDLEWARE:
        session.modified = True
        return
    session.modified = False
    max_age = None if session.get_expire_at_browser_close() else session.get_expiry_age()
    response.set_cookie(
        django_settings.SESSION_COOKIE_NAME,
        session.session_key or "",
        max_age=max_age,
        expires=None if max_age is None else http_date(time.time() + max_age),
        domain=django_settings.SESSION_COOKIE_DOMAIN,
        path=django_settings.SESSION_COOKIE_PATH,
        secure=django_settings.SESSION_COOKIE_SECURE,
        httponly=django_settings.SESSION_COOKIE_HTTPONLY,
        samesite=django_settings.SESSION_COOKIE_SAMESITE,
    )


# Forget.


def erase(request: HttpRequest, response: HttpResponseBase, settings: Settings) -> None:
    """Erase what the visitor's browser remembers: our cookie, the script's, and the session's entry."""
    for name in (cookie_name(settings), SCRIPT_COOKIE):
        if name in request.COOKIES or name in response.cookies:
            response.delete_cookie(
                name,
                path=settings.COOKIE_PATH if name != SCRIPT_COOKIE else "/",
                domain=_domain_of(settings) if name != SCRIPT_COOKIE else settings.COOKIE_DOMAIN or None,
                samesite=settings.COOKIE_SAMESITE,  # type: ignore[arg-type]  # a wrong word is a check error
            )
    if reads_session(request, settings):
        write_session(request, response, None, settings)
