"""
What can go wrong, sorted by what the caller does about it.

    Track360Error
    └── PayloadError       we refuse to report this: fix the value

Answers of the API are values (`api.responses.Answer`), not exceptions: a traceback with local variables
would carry the token and a name into the host's error tracker.
Misconfiguration is Django's `ImproperlyConfigured`, outside this tree.
"""

from __future__ import annotations


class Track360Error(Exception):
    """Everything this package raises on purpose, misconfiguration apart."""


class PayloadError(Track360Error, ValueError):
    """
    A value cannot be reported exactly; nothing was written.

    `field` is the name of the field in the API guide, `reason` a short word for tables and logs.
    The message names the field, the type of the value and the way out; never the value itself.
    """

    def __init__(self, message: str, *, field: str = "", reason: str = "invalid_payload") -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
