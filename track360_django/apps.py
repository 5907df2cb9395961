"""The app's configuration: connect signals, register checks, discover each app's `track360.py`. No queries."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks as django_checks
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class Track360Config(AppConfig):
    """The app `track360_django`."""

    name = "track360_django"
    label = "track360_django"
    verbose_name = _("Track360")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect signals, register checks, discover declarations."""
        from track360_django import checks, signup  # noqa: PLC0415  they need the models, which are loaded only now

        signup.connect()
        for check in (
            checks.check_settings,
            checks.check_middleware,
            checks.check_declarations,
            checks.check_brands,
        ):
            django_checks.register(check, "track360")
        autodiscover_modules("track360")
