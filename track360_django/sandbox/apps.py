"""The sandbox as a Django app: for development, never for production."""

from __future__ import annotations

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """Registers the check that keeps the sandbox out of production."""

    name = "track360_django.sandbox"
    label = "track360_sandbox"
    verbose_name = "Track360 sandbox"

    def ready(self) -> None:
        """Register the check."""
        from . import checks  # noqa: F401, PLC0415  importing registers, and only now are settings there
