"""A host that is asynchronous throughout, as settings and as pages: `DJANGO_SETTINGS_MODULE=tests.host.asynchronous`."""

from __future__ import annotations

import os
from typing import Any

import django
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as APPS

INSTALLED_APPS = APPS
ROOT_URLCONF = __name__
SESSION_ENGINE = os.environ.get("TRACK360_TEST_SESSIONS", "django.contrib.sessions.backends.db")
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "track360_django.middleware.TrackingMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]


async def page(request: HttpRequest) -> HttpResponse:
    """Answer, and count this visitor's pages in the session."""
    pages = await request.session.aget("pages", 0) + 1
    await request.session.aset("pages", pages)
    return HttpResponse(str(pages))


async def plain(request: HttpRequest) -> HttpResponse:
    """Answer without a look at anything."""
    return HttpResponse("page")


async def touches(request: HttpRequest) -> JsonResponse:
    """Say what is remembered."""
    found: Any = request
    memory = await found.track360.aload()
    return JsonResponse({"last": dict(memory.last.params) if memory.last else None})


async def join(request: HttpRequest) -> HttpResponse:
    """Sign the visitor up and in."""
    # They need the settings, which this module is.
    from django.contrib.auth import alogin
    from django.contrib.auth.models import User

    user = await User.objects.acreate_user(request.GET["username"])
    await alogin(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse(f"welcome, Django {django.VERSION[0]}")


urlpatterns = [
    path("", page),
    path("plain/", plain),
    path("touches/", touches),
    path("join/", join),
]
