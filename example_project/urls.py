"""The pages of the example project."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView

from example_project.games.views import lobby

urlpatterns = [
    path("", TemplateView.as_view(template_name="landing.html"), name="landing"),
    path("games/", lobby, name="games"),
    path("games/", include("example_project.games.urls")),
    path("promotions/", TemplateView.as_view(template_name="promotions.html"), name="promotions"),
    path("", include("example_project.accounts.urls")),
    path("accounts/", include("allauth.urls")),
    path("cashier/", include("example_project.cashier.urls")),
    # Where the script of the pages tells what it saw.
    path("track360/", include("track360_django.urls")),
    path("admin/", admin.site.urls),
]
if settings.DEBUG:
    # Track360 imitated, for development: BASE_URL may point at this very site.
    urlpatterns.append(path("", include("track360_django.sandbox.urls")))
