"""Checks that the middleware sees landings, and that there is a session to remember them in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning  # noqa: A004  Django's name
from django.utils.module_loading import import_string

from track360_django import conf
from track360_django.checks.messages import mistake

MIDDLEWARE: Final = "track360_django.middleware.TrackingMiddleware"
SESSION_MIDDLEWARE: Final = "django.contrib.sessions.middleware.SessionMiddleware"
# Middleware that answers or redirects by itself. If it comes before ours, the landings that it answers are lost.
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
# With one of these settings, WhiteNoise serves pages and not only assets.
WHITENOISE_PAGES: Final = ("WHITENOISE_INDEX_FILE", "WHITENOISE_ROOT")
UPDATE_CACHE: Final = "django.middleware.cache.UpdateCacheMiddleware"


def check_middleware(**_: Any) -> list[CheckMessage]:
    """Check that the middleware sees landings, and that there is a session to remember them in."""
    installed = [_kinds(name) for name in django_settings.MIDDLEWARE]
    places = [place for place, kinds in enumerate(installed) if MIDDLEWARE in kinds]
    if not places:
        return [
            mistake(
                "E010",
                "TrackingMiddleware is missing. No landing is remembered, and every customer will be unattributed.",
                f"Add '{MIDDLEWARE}' to MIDDLEWARE, right after SessionMiddleware.",
            )
        ]
    return [*_check_order(installed, places[0]), *_check_repetition(places)]


def _kinds(name: str) -> tuple[str, ...]:
    """Return the path of a middleware and the paths of its base classes: hosts may have their own subclasses."""
    try:
        found = import_string(name)
    except Exception:  # noqa: BLE001  the host's modules may raise anything; Django reports it when it loads them
        return (name,)
    if not isinstance(found, type):
        return (name,)
    bases = (f"{base.__module__}.{base.__qualname__}" for base in found.__mro__)
    return (name, *(base for base in bases if base != name))


def _check_order(installed: Sequence[Sequence[str]], position: int) -> Iterator[CheckMessage]:
    before, after = installed[:position], installed[position + 1 :]
    if "session" in conf.settings.STORAGE and not any(SESSION_MIDDLEWARE in kinds for kinds in before):
        yield mistake(
            "E011",
            "TrackingMiddleware comes before SessionMiddleware, or there is no SessionMiddleware. The session can't "
            "remember landings.",
            "Put TrackingMiddleware right after SessionMiddleware, or set TRACK360['STORAGE'] = ('cookie',).",
        )
    for kinds in before:
        if _may_answer(kinds):
            message = f"{kinds[0]} comes before TrackingMiddleware. A landing that it answers itself is lost."
            hint = "Put TrackingMiddleware right after SessionMiddleware, before all middleware that answers or redirects."
            yield Warning(message, hint=hint, id="track360_django.W002")
    for kinds in after:
        if UPDATE_CACHE in kinds:
            message = (
                f"{kinds[0]} comes after TrackingMiddleware, so it does not see which pages vary by visitor. It would "
                "cache the page of one visitor and serve it to all."
            )
            hint = "Put it first in MIDDLEWARE, before SessionMiddleware and TrackingMiddleware, as Django documents."
            yield Warning(message, hint=hint, id="track360_django.W015")


def _may_answer(kinds: Sequence[str]) -> bool:
    """Return whether a middleware may answer a landing by itself, with the settings of this host."""
    if WHITENOISE in kinds:
        return any(getattr(django_settings, name, None) for name in WHITENOISE_PAGES)
    return any(name in kinds for name in ANSWERING)


def _check_repetition(places: Sequence[int]) -> Iterator[CheckMessage]:
    if len(places) > 1:
        message = f"TrackingMiddleware is in MIDDLEWARE {len(places)} times. Each landing is stored and reported as often."
        hint = "Keep only the one right after SessionMiddleware."
        yield Warning(message, hint=hint, id="track360_django.W014")
