"""
The exceptions of this package, sorted by what the caller should do.

    Track360Error
    └── PayloadError       we refuse to report this: correct the value

Answers of the API are values (`api.responses.Answer`), not exceptions: a traceback with local variables
would bring the token and a name into the host's error tracker.
Misconfiguration is Django's `ImproperlyConfigured`, outside this tree.
"""

from __future__ import annotations

import traceback
from pathlib import Path


class Track360Error(Exception):
    """The base of all exceptions that this package raises on purpose, except misconfiguration."""


class PayloadError(Track360Error, ValueError):
    """
    A value cannot be reported exactly; nothing was written.

    `field` is the name of the field in the API guide, `reason` a short word for tables and logs.
    The message names the field, the type of the value and what to do; never the value itself.
    """

    def __init__(self, message: str, *, field: str = "", reason: str = "invalid_payload") -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason


def describe(error: BaseException, *, quoting: tuple[type[BaseException], ...] = ()) -> str:
    """
    Return what was raised, and where; the error's own words only where it is of a kind that is quoted.

    A database quotes the row that it refuses, a function of the host the person it failed for, and a traceback shows
    both: none of them belongs into a log.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = (
        f" in {frames[-1].name}, line {frames[-1].lineno} of {Path(frames[-1].filename).name}"
        if frames
        else ""
    )
    said = f": {error}" if isinstance(error, quoting) else ""
    return f"{type(error).__name__}{place}{said}"
