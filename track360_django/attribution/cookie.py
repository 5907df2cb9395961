"""Touches in a signed cookie: its name and domain, how it is read, written and erased."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings
from django.core import signing
from django.http import HttpResponse

from track360_django import conf
from track360_django.attribution.session import reads_session, write_session
from track360_django.attribution.state import is_apart, parse_state, salt_of, window_of
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
    """
    Return the state in the signed cookie; None if the cookie is missing, forged, foreign or not wanted.

    If there are several cookies with its name, the one with the newest touch counts. A cookie that was set under other
    settings is not read, see Note [Former cookies].
    """
    name = cookie_name(settings)
    if "cookie" not in settings.STORAGE or name not in request.COOKIES:
        return None
    states = [_open(raw, settings) for raw in _values_of(request, name)]
    own = [
        state for state in states if isinstance(state, dict) and _place_in(state) in {None, _place(settings)}
    ]
    return max(own, key=lambda state: _newest_in(state, settings), default=None)


# Note [Former cookies]
# A browser distinguishes cookies by name, domain and path, and sends all that match. If COOKIE_DOMAIN, COOKIE_PATH,
# COOKIE_NAME or COOKIE_SAMESITE changes, the former cookie stays in the browser as long as the attribution window, and
# the new cookie does not replace it. So a cookie says where it was set. A cookie from another place credits no one, and
# the next response that sets or erases a cookie erases it there.

_Place = tuple[str, str, str]
# The place of a cookie that does not say where it was set.
_USUAL_PLACE: Final[_Place] = ("", "/", "Lax")
_SIGNED: Final = re.compile(r"\.?[\w-]+:[\w-]+:[\w-]+")
# Further cookies of a request are not read: a browser keeps about as many for one site.
_MAX_COOKIES: Final = 50


def _place(settings: Settings) -> _Place:
    """Return where the cookie is set now: domain, path, SameSite."""
    return _domain_of(settings) or "", settings.COOKIE_PATH, str(settings.COOKIE_SAMESITE)


def _place_in(state: Mapping[str, Any]) -> _Place | None:
    """Return where a cookie was set; None for an expired one, which does not say it."""
    if state.get("lost") == EXPIRED and "last" not in state:
        return None
    place = state.get("place")
    is_known = (
        isinstance(place, list)
        and len(place) == len(_USUAL_PLACE)
        and all(isinstance(one, str) for one in place)
    )
    return (place[0], place[1], place[2]) if is_known and place else _USUAL_PLACE


def _newest_in(state: object, settings: Settings) -> datetime:
    last = parse_state(state, settings).last
    return datetime.min.replace(tzinfo=UTC) if last is None else last.at


def _open(raw: str, settings: Settings) -> object:
    try:
        return signing.loads(raw, salt=salt_of(SALT, settings), max_age=window_of(settings))
    except signing.SignatureExpired:
        return {"lost": EXPIRED}
    except (signing.BadSignature, ValueError, TypeError, UnicodeError):
        return None


def _values_of(request: HttpRequest, name: str) -> list[str]:
    """Return all values that a browser sent under a name. Django keeps only the last one."""
    return [value for each, value in _cookies_in(request) if each == name] or [request.COOKIES[name]]


def _cookies_in(request: HttpRequest) -> Iterator[tuple[str, str]]:
    pairs = str(request.META.get("HTTP_COOKIE", "")).split(";")
    for pair in pairs[:_MAX_COOKIES]:
        name, _, value = pair.strip().partition("=")
        yield name, value


def erase_former_cookies(request: HttpRequest, response: HttpResponseBase, settings: Settings) -> None:
    """Erase the cookies that were set under other settings than those of now."""
    today = (cookie_name(settings), _place(settings))
    for name, raw in _cookies_in(request):
        state = _open(raw, settings) if _SIGNED.fullmatch(raw) else None
        place = _place_in(state) if isinstance(state, dict) else None
        if place is not None and (name, place) != today:
            _erase_at(response, name, place)


def _erase_at(response: HttpResponseBase, name: str, place: _Place) -> None:
    domain, path, samesite = place
    spare = HttpResponse()
    spare.delete_cookie(name, path=path, domain=domain or None, samesite=samesite)  # type: ignore[arg-type]  # one of ours
    # With a key of its own: a response has one cookie for each key, and the present cookie may be set as well.
    response.cookies[f"{name} {domain} {path}"] = spare.cookies[name]


def write_cookie(
    request: HttpRequest, response: HttpResponseBase, memory: Memory, settings: Settings
) -> None:
    """Set the signed cookie, and erase those of former settings."""
    erase_former_cookies(request, response, settings)
    place = _place(settings)
    # The usual place is left out: the cookie is part of each request.
    state = memory.as_state() | ({} if place == _USUAL_PLACE else {"place": place})
    response.set_cookie(
        cookie_name(settings),
        signing.dumps(state, salt=salt_of(SALT, settings), compress=True),
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
    """Erase what the visitor's browser remembers: our cookie, former ones, the script's, and the entry in the session."""
    erase_former_cookies(request, response, settings)
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
