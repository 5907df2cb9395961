"""URLs for the host's site, `path("track360/", include("track360_django.urls"))`: the script's `data-endpoint`."""

from __future__ import annotations

from typing import Final

from django.urls import path

from track360_django.views import remember

app_name: Final = "track360_django"
urlpatterns = [path("remember/", remember, name="remember")]
