"""Plain values: a touch (one landing with tracking data), and the touches that a browser remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

EXPIRED: Final = "expired"


@dataclass(frozen=True, kw_only=True)
class Touch:
    """
    One landing with tracking data, remembered.

    `params` maps each parameter's name to its value, verbatim. `at` is the time of the landing.

    Source: API guide, "Tracking Parameters".
    """

    params: Mapping[str, str]
    at: datetime

    def is_within(self, window: timedelta, now: datetime) -> bool:
        """Return whether the touch is within the attribution window. A touch in the future counts as new."""
        return now - self.at <= window

    def as_state(self) -> dict[str, Any]:
        """Return the touch as plain JSON: seconds since 1970 and the parameters."""
        return {"at": int(self.at.timestamp()), "params": dict(self.params)}


@dataclass(frozen=True, kw_only=True)
class Landing:
    """The touches of one request, oldest first, and the refused values as (parameter, reason)."""

    touches: tuple[Touch, ...] = ()
    refusals: tuple[tuple[str, str], ...] = ()

    @property
    def touch(self) -> Touch | None:
        """The newest touch of this landing."""
        return self.touches[-1] if self.touches else None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """
    The memory of a browser: its first and its last touch.

    `lost` is the reason if there was a touch and it is lost: "expired", or "refused_" and the reason of the refusal.
    """

    first: Touch | None = None
    last: Touch | None = None
    lost: str = ""

    def with_touch(self, touch: Touch, window: timedelta, now: datetime | None = None) -> Memory:
        """
        Return the memory after one more touch. Expired touches are removed.

        A touch older than `now` (from a form or a link) is ordered by its own time.
        """
        # Touches are kept to the second.
        now = (now or touch.at).replace(microsecond=0)
        known = [
            # A touch from a server with a fast clock must not hide later landings.
            replace(each, at=now) if each.at > now else each
            for each in (self.first, self.last)
            if each is not None and each.is_within(window, now)
        ]
        return Memory(
            first=min([*known, touch], key=lambda each: each.at),
            last=max([touch, *known[::-1]], key=lambda each: each.at),
        )

    def with_landing(self, landing: Landing, window: timedelta, now: datetime) -> Memory:
        """Return the memory after a landing. If all values were refused, remember the loss without a value."""
        memory = self
        young = [touch for touch in landing.touches if touch.is_within(window, now)]
        for touch in young:
            memory = memory.with_touch(touch, window, now)
        if memory.last is not None:
            return memory
        if landing.refusals:
            return Memory(lost=f"refused_{landing.refusals[-1][1]}")
        return Memory(lost=EXPIRED if landing.touches else self.lost)

    def as_state(self) -> dict[str, Any]:
        """Return the memory as plain JSON."""
        touches = {"first": self.first, "last": self.last}
        state: dict[str, Any] = {name: touch.as_state() for name, touch in touches.items() if touch}
        return state | ({"lost": self.lost} if self.lost else {})
