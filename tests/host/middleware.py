"""Middlewares of a host's own: made from known ones, or of none."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.middleware.locale import LocaleMiddleware

from track360_django.middleware import TrackingMiddleware


class Tracking(TrackingMiddleware):
    """Ours, with something of the host's."""


class Session(SessionMiddleware):
    """Sessions, with something of the host's."""


class Locale(LocaleMiddleware):
    """Languages, with something of the host's."""


def plain(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return a middleware that is a function."""
    return get_response
