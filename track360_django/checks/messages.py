"""The form of a check's message."""

from __future__ import annotations

from django.core.checks import CheckMessage, Error


def mistake(number: str, message: str, hint: str) -> CheckMessage:
    """Return the error with this number: what is wrong and where, and a hint how to correct it."""
    return Error(message, hint=hint, id=f"track360_django.{number}")
