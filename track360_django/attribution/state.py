"""
What a session or a cookie keeps of a visitor, read back as touches: too old, damaged or foreign ones are left out.

What the browser brings back is checked again, whoever signed it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from track360_django import conf
from track360_django.api.payloads import refuse_tracking
from track360_django.attribution.touch import EXPIRED, Memory, Touch

if TYPE_CHECKING:
    from track360_django.conf import Settings

# No reason of ours is longer.
MAX_REASON: Final = 40


def window_of(settings: Settings) -> timedelta:
    """Return how old a touch may be."""
    return timedelta(days=settings.ATTRIBUTION_WINDOW_DAYS)


# One browser may know several brands of a host: what one of them remembers is nothing to another.


def salt_of(salt: str, settings: Settings) -> str:
    """Return the salt of one brand's signatures."""
    return f"{salt}:{settings.brand}" if is_apart(settings) else salt


def is_apart(settings: Settings) -> bool:
    """
    Tell whether a brand's memory has names of its own.

    The one brand that a host had before it had several is "default", and keeps what browsers remember of it. What is
    nobody's (the brand has no name) is kept from all of them.
    """
    return bool(conf.settings.BRANDS) and settings.brand != conf.DEFAULT_BRAND


def parse_state(state: object, settings: Settings) -> Memory:
    """Return what a session or cookie remembers; touches that are expired or damaged are left out."""
    if not isinstance(state, Mapping):
        return Memory()
    window, now = window_of(settings), datetime.now(UTC)
    touches = [_parse_touch(state.get(name), settings.TRACKING_PARAMS) for name in ("first", "last")]
    first, last = (touch if touch and touch.is_within(window, now) else None for touch in touches)
    if first or last:
        return Memory(first=first or last, last=last or first)
    return Memory(lost=EXPIRED if any(touches) else _parse_reason(state.get("lost")))


def _parse_reason(lost: object) -> str:
    """Return why there is nothing, if it is one of our own words."""
    is_ours = isinstance(lost, str) and len(lost) <= MAX_REASON and lost.replace("_", "").isalpha()
    return str(lost) if is_ours else ""


def _parse_touch(state: object, names: Sequence[str]) -> Touch | None:
    if not isinstance(state, Mapping) or not isinstance(state.get("params"), Mapping):
        return None
    params = {
        name: value
        for name, value in state["params"].items()
        if name in names and isinstance(value, str) and refuse_tracking(value) is None
    }
    try:
        at = datetime.fromtimestamp(int(state["at"]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    return Touch(params=params, at=at) if params else None
