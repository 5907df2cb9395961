"""Touches in a signed cookie: its name and domain, how it is read, written and erased."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from django.conf import settings as django_settings
from django.core import signing

from track360_django import conf
from track360_django.attribution.session import reads_session, write_session
from track360_django.attribution.state import is_apart, salt_of, window_of
from track360_django.attribution.touch import EXPIRED, Memory

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from track360_django.conf import Settings

SALT: Final = "track360_django.attribution"
# The cookie of `capture.js`: written by the script, never believed, erased with ours.
SCRIPT_COOKIE: Final = "track360_js"


def cookie_name(settings: Settings) -> str:
    """Return the name of a brand's cookie: `COOKIE_NAME`, with an ending of its own where a host has several brands."""
    if not is_apart(settings) or conf.is_own(settings.brand, "COOKIE_NAME"):
        return settings.COOKIE_NAME
    ending = hashlib.sha256(settings.brand.encode()).hexdigest()[:8]
    return f"{settings.COOKIE_NAME}_{ending}"


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
