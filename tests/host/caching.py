"""Pages as hosts cache them: whole, with a decorator, per language, conditionally, in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.conf.urls.i18n import i18n_patterns
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, StreamingHttpResponse
from django.urls import include, path
from django.views.decorators.cache import cache_page
from django.views.decorators.http import condition

WORDS = "The same words for everybody. " * 20


def page(request: HttpRequest) -> HttpResponse:
    """Answer with words that are worth compressing, and may be kept by any cache."""
    return HttpResponse(WORDS, headers={"Cache-Control": "public, max-age=600"})


def personal(request: HttpRequest) -> HttpResponse:
    """Answer with a form that carries what the visitor's browser remembers."""
    found: Any = request
    last = found.track360.last
    return HttpResponse(last.params["tracking_data"] if last else "nobody")


async def async_personal(request: HttpRequest) -> HttpResponse:
    """Answer the same, asynchronously."""
    found: Any = request
    last = (await found.track360.aload()).last
    return HttpResponse(last.params["tracking_data"] if last else "nobody")


@condition(etag_func=lambda _request: '"v1"')
def conditional(request: HttpRequest) -> HttpResponse:
    """Answer 304 to whoever has the page."""
    return HttpResponse(WORDS)


def pieces(request: HttpRequest) -> StreamingHttpResponse:
    """Answer piece by piece, as the server wants it."""

    def words() -> Iterator[bytes]:
        yield from (b"a", b"b", b"c")

    async def words_async() -> AsyncIterator[bytes]:
        for word in (b"a", b"b", b"c"):
            yield word

    return StreamingHttpResponse(words() if hasattr(request, "environ") else words_async())


def moved(request: HttpRequest) -> HttpResponse:
    """Send the visitor on for ever, with a redirect that any cache may keep."""
    return HttpResponsePermanentRedirect("/cached/page/", headers={"Cache-Control": "public, max-age=600"})


urlpatterns = [
    path("cached/page/", page),
    path("cached/decorated/", cache_page(600)(page)),
    path("cached/personal/", personal),
    path("cached/async-personal/", async_personal),
    path("cached/decorated-personal/", cache_page(600)(personal)),
    path("cached/async-decorated-personal/", cache_page(600)(async_personal)),
    path("cached/conditional/", conditional),
    path("cached/pieces/", pieces),
    path("cached/moved/", moved),
    path("", include("tests.host.urls")),
    *i18n_patterns(path("welcome/", page)),
]
