"""
Carry tokens: the touches of one browser, signed and with an expiry time, for a link that is opened in another browser.

A token goes into a verification e-mail, the link to an app or a QR code, as `?t360=…`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.core import signing

from track360_django.attribution.state import parse_state, salt_of, window_of
from track360_django.attribution.touch import Landing, Memory, Touch
from track360_django.conf import CARRY_PARAM

if TYPE_CHECKING:
    from track360_django.conf import Settings

SALT: Final = "track360_django.attribution.carry"
# No link needs more. A longer token is an attack.
MAX_CHARACTERS: Final = 2048


def token_of(memory: Memory, settings: Settings, now: datetime, max_age: timedelta | None = None) -> str:
    """Return a token for the touches, valid for `max_age` (None: the attribution window); "" if there are none."""
    if memory.last is None:
        return ""
    # A single touch is written only once: a QR code is easier to read if it is short.
    state = (memory if memory.first != memory.last else Memory(last=memory.last)).as_state()
    until = now + (window_of(settings) if max_age is None else max_age)
    return signing.dumps(
        state | {"until": int(until.timestamp())}, salt=salt_of(SALT, settings), compress=True
    )


def landing_of(token: str, settings: Settings, now: datetime) -> Landing:
    """Return the touches in a token, with their own times. A forged or expired token is refused."""
    try:
        if len(token) > MAX_CHARACTERS:
            return _refused("forged")
        state = signing.loads(token, salt=salt_of(SALT, settings), max_age=window_of(settings))
        is_over = int(state["until"]) < now.timestamp()
    except signing.SignatureExpired:
        return _refused("expired")
    except (signing.BadSignature, ValueError, TypeError, KeyError, UnicodeError):
        return _refused("forged")
    memory = parse_state(state, settings)
    if is_over or memory.last is None:
        return _refused("expired")
    touches: tuple[Touch, ...] = (memory.last,)
    return Landing(touches=(memory.first, *touches) if memory.first else touches)


def _refused(reason: str) -> Landing:
    return Landing(refusals=((CARRY_PARAM, reason),))
