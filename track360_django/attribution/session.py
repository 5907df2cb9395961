"""Touches in the visitor's session: where they stand in it, and how it is saved without losing what others wrote."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings
from django.utils.http import http_date

from track360_django.attribution.state import is_apart

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from track360_django.conf import Settings


SESSION_KEY: Final = "track360"
SESSION_MIDDLEWARE: Final = "django.contrib.sessions.middleware.SessionMiddleware"


def session_key(settings: Settings) -> str:
    """Return the key in the session under which a brand's touches are kept."""
    return f"{SESSION_KEY}:{settings.brand}" if is_apart(settings) else SESSION_KEY


def reads_session(request: HttpRequest, settings: Settings) -> bool:
    """Tell whether touches are kept in the session of this request."""
    return "session" in settings.STORAGE and hasattr(request, "session")


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
