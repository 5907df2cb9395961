"""Memory of a long command: what Django would keep of each statement."""

from __future__ import annotations

from django.conf import settings
from django.db import reset_queries


def forget_queries() -> None:
    """Forget what Django remembers of each statement while DEBUG is on: of a million rows it would be gigabytes."""
    if settings.DEBUG:
        reset_queries()
