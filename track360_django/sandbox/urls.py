"""URLs of the sandbox: `path("", include("track360_django.sandbox.urls"))`, under `if settings.DEBUG`."""

from __future__ import annotations

from typing import Final

from django.urls import path

from .exchange import ROUTES
from .views import serve

app_name: Final = "track360_sandbox"
urlpatterns = [
    path(where.removeprefix("/"), serve, {"route": route}, name=route) for where, route in ROUTES.items()
]
