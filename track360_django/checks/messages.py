"""How a check says what is wrong."""

from __future__ import annotations

from django.core.checks import CheckMessage, Error


def mistake(number: str, message: str, hint: str) -> CheckMessage:
    """Return the error of a number: what is wrong and where, and how to put it right."""
    return Error(message, hint=hint, id=f"track360_django.{number}")
