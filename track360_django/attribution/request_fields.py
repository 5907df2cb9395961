"""Tracking data of a request outside its URL: the header `X-Track360-Tracking`, fields of its form or JSON body."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.exceptions import SuspiciousOperation
from django.utils.http import is_same_domain

from track360_django.attribution.landing import TIME_FIELD
from track360_django.conf import CARRY_PARAM

if TYPE_CHECKING:
    from django.http import HttpRequest

    from track360_django.conf import Settings

HEADER: Final = "X-Track360-Tracking"
META_KEY: Final = "HTTP_X_TRACK360_TRACKING"
# The body of a signup is small. A larger body is never copied, nor read a second time.
MAX_BODY: Final = 16_384


class CopyingStream:
    """
    The stream of a request's body. It keeps a copy of the content that the host reads.

    It reads nothing that the host does not read, and nothing earlier. It is needed because `request.read()`, which
    Django REST framework uses for a JSON body, leaves nothing to read for a signal that comes later.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        # None after the body became too large: a part of a body is useless.
        self._copy: bytes | None = b""

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Read from the stream."""
        return self._kept(self._stream.read(*args, **kwargs))

    def readline(self, *args: Any, **kwargs: Any) -> bytes:
        """Read a line from the stream."""
        return self._kept(self._stream.readline(*args, **kwargs))

    def copied(self) -> bytes:
        """Return the content that was read so far."""
        return self._copy or b""

    def _kept(self, content: bytes) -> bytes:
        if self._copy is not None:
            is_small = len(self._copy) + len(content) <= MAX_BODY
            self._copy = self._copy + content if is_small else None
        return content

    def __iter__(self) -> Any:
        return iter(self.readline, b"")

    def __getattr__(self, name: str) -> Any:
        # Works also for a copy of this object that is being made and has no stream yet.
        return (
            getattr(self.__dict__["_stream"], name)
            if "_stream" in self.__dict__
            else super().__getattribute__(name)
        )


def says_own_page(request: HttpRequest) -> bool | None:
    """
    Return whether the browser says that a page of the host itself sent the request; None if it does not say.

    Browsers say it in headers that no page can set: `Sec-Fetch-Site`, and `Origin` in older browsers. The host's pages
    have this origin, or one of `CSRF_TRUSTED_ORIGINS`; another sub-domain may be another person's blog.
    """
    site, origin = request.META.get("HTTP_SEC_FETCH_SITE"), request.META.get("HTTP_ORIGIN")
    if site == "same-origin":
        return True
    if origin is not None:
        return _is_trusted(origin) or (site is None and origin == _origin_of(request))
    return None if site is None else False


def _is_trusted(origin: str) -> bool:
    """Return whether an origin is one of `CSRF_TRUSTED_ORIGINS`, which may begin with `https://*.`."""
    try:
        sent = urlsplit(origin)
    except ValueError:
        return False
    for trusted in django_settings.CSRF_TRUSTED_ORIGINS:
        known = urlsplit(trusted)
        is_known = is_same_domain(sent.netloc.lower(), known.netloc.lstrip("*").lower())
        if origin == trusted or ("*" in trusted and sent.scheme == known.scheme and is_known):
            return True
    return False


def _origin_of(request: HttpRequest) -> str | None:
    try:
        return f"{request.scheme}://{request.get_host()}"
    except SuspiciousOperation:
        return None


def watch(request: HttpRequest) -> None:
    """Keep a copy of a small JSON body while the host reads it."""
    if "json" not in request.META.get("CONTENT_TYPE", ""):
        return
    stream = request.__dict__.get("_stream")
    if stream is not None and not _can_be_read_again(stream):
        request._stream = CopyingStream(stream)  # type: ignore[assignment]  # noqa: SLF001  there is no public place


def _can_be_read_again(stream: Any) -> bool:
    """Return whether the body is in a file, as under ASGI."""
    return hasattr(stream, "seekable") and bool(stream.seekable())


def fields_of(request: HttpRequest, settings: Settings) -> dict[str, str]:
    """
    Return our fields from the body of a request, as far as the host has read it; none if it has not.

    They come from a form, or from the top level of a JSON object.
    """
    names = names_of_fields(settings)
    found: Mapping[str, Any] = request.POST if "_post" in request.__dict__ else {}
    return texts_of(found or _json(request), names)


def texts_of(found: Mapping[Any, Any], names: Iterable[str]) -> dict[str, str]:
    """Return the fields with these names that contain a text; the time may be a number."""
    texts = {name: found.get(name) for name in names}
    at = texts.get(TIME_FIELD)
    if isinstance(at, int | float) and not isinstance(at, bool) and math.isfinite(at):
        texts[TIME_FIELD] = str(int(at))
    return {name: value for name, value in texts.items() if isinstance(value, str) and value}


def names_of_fields(settings: Settings) -> tuple[str, ...]:
    """Return the names of our fields in a header, a form or a script."""
    return (*settings.TRACKING_PARAMS, CARRY_PARAM, TIME_FIELD, settings.PROMO_PARAM)


def _json(request: HttpRequest) -> Mapping[str, Any]:
    if "json" not in request.META.get("CONTENT_TYPE", ""):
        return {}
    try:
        found = json.loads(_content(request))
    except (ValueError, RecursionError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def _content(request: Any) -> bytes:
    """Return the body as far as the host has read it; b"" for a large one."""
    known = request.__dict__
    if "_body" in known:
        return known["_body"] if len(known["_body"]) <= MAX_BODY else b""
    stream = known.get("_stream")
    if isinstance(stream, CopyingStream):
        return stream.copied()
    if not known.get("_read_started") or not _can_be_read_again(stream):
        return b""
    position = stream.tell()
    stream.seek(0)
    content: bytes = stream.read(MAX_BODY + 1)
    stream.seek(position)
    return content if len(content) <= MAX_BODY else b""
