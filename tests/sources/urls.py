"""The pages that each host has, and its own behind them."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from tests.sources.host import Host

HOST: Host = settings.TRACK360_TEST_HOST  # type: ignore[misc]  # of the harness's own settings


def page(request: HttpRequest) -> HttpResponse:
    """Answer with a page, whoever asks."""
    return HttpResponse("page")


async def async_page(request: HttpRequest) -> HttpResponse:
    """Answer the same, asynchronously."""
    return HttpResponse("page")


def remembered(request: HttpRequest) -> HttpResponse:
    """Tell the parameters of the touch that a signup would be credited to now."""
    touch = request.track360.credited  # type: ignore[attr-defined]  # what the middleware sets
    return JsonResponse(touch.params if touch else {})


urlpatterns = [
    path("remembered/", remembered),
    path("", page, name="home"),
    path("games/", page),
    path("promotions/", async_page),
    path("admin/", admin.site.urls),
    path("", include(HOST.urls())),
]
