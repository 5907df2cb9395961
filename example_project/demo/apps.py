"""The demo."""

from __future__ import annotations

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Two management commands; no models."""

    name = "example_project.demo"
