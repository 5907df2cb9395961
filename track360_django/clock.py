"""The database's clock: every time that decides something is made and compared by it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Value
from django.db.models.functions import Now

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable


def from_now(wait: timedelta) -> Combinable:
    """Return a time from now by the database's clock."""
    return Now() + Value(wait)
