"""
The doorbell: ten thousand commits wake delivery once, not ten thousand times.

Who finds it rung may stay silent: the worker that was called has not begun to look yet, and will see this commit too.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Value

from track360_django.clock import Now
from track360_django.insertion import insert_missing
from track360_django.models import Doorbell

# A wake-up that nobody answered for so long may be lost, or wait behind a host's long tasks: ring once more.
PATIENCE: Final = timedelta(seconds=2)
_ONLY_ROW: Final = 1


def ring(*, using: str) -> bool:
    """Ring unless somebody did a moment ago and nobody has answered; tell whether a wake-up is to be published."""
    bells = Doorbell.objects.using(using).filter(pk=_ONLY_ROW)
    if bells.filter(rung_at__gt=Now() - Value(PATIENCE)).exists():
        return False
    if not bells.update(rung_at=Now()):
        insert_missing([Doorbell(pk=_ONLY_ROW)], using=using, unchanged="rung_at")
    return True


def answer(*, using: str) -> None:
    """Let the next commit ring again. Only then look for what is due: else a commit in between wakes nobody."""
    Doorbell.objects.using(using).filter(pk=_ONLY_ROW, rung_at__isnull=False).update(rung_at=None)
