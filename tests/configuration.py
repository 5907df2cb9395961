"""The host's `TRACK360`, changed for one test."""

from __future__ import annotations

from typing import Any

from pytest_django import Settings as HostSettings


def configure(settings: HostSettings, **changes: Any) -> None:
    """Change some of the host's `TRACK360`."""
    settings.TRACK360 = {**settings.TRACK360, **changes}
