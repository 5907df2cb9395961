"""Times of the host and of Track360: the agreed zone, and naive times made aware. No clock is read here."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings as django_settings
from django.utils import timezone

from track360_django.conf import options


def aware(value: Any) -> Any:
    """Return a naive datetime as one of the host's zone, everything else as it is."""
    if isinstance(value, datetime) and timezone.is_naive(value):
        # As Django stores it: not in the zone that some visitor has activated.
        return timezone.make_aware(value, timezone.get_default_timezone())
    return value


def time_zone(brand: str) -> tzinfo:
    """Return the zone that times are reported in; UTC where the setting names no zone."""
    name = options.for_brand(brand).TIME_ZONE
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def uses_zones() -> bool:
    """Return whether the host's times have a zone (`USE_TZ`)."""
    return bool(django_settings.USE_TZ)
