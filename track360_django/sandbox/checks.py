"""The system check of the sandbox: it must not be routed in production."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.checks import Error, Tags, register
from django.urls import URLResolver, get_resolver

from . import views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.urls import URLPattern


@register(Tags.urls)
def check_debug(**_kwargs: object) -> list[Error]:
    """
    Return E001 if the sandbox is routed while DEBUG is off.

    Source: none, our choice: it accepts records from any user of the machine, and shows them.
    """
    if settings.DEBUG or not getattr(settings, "ROOT_URLCONF", None) or not _is_routed():
        return []
    return [
        Error(
            "The Track360 sandbox is routed, but DEBUG is off.",
            hint=(
                'Include "track360_django.sandbox.urls" only if settings.DEBUG is on, or run the sandbox as a separate '
                "server: python -m track360_django.sandbox. Until then its views answer 404."
            ),
            id="track360_sandbox.E001",
        )
    ]


def _is_routed() -> bool:
    return any(each.callback is views.serve for each in _walk(get_resolver().url_patterns))


def _walk(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns)
        else:
            yield each
