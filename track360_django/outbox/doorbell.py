"""
The doorbell: ten thousand commits wake delivery once, not ten thousand times.

A commit that finds the doorbell rung publishes no wake-up. The worker that was called has not begun to look for records
yet, so it will see this commit too.
"""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any, Final

from django.db import connections
from django.db.models import QuerySet

from track360_django.db.bulk_insert import insert_missing
from track360_django.db.clock import Now, from_now, sql_of
from track360_django.models import Doorbell

# A wake-up without an answer for this time may be lost, or wait behind long tasks of the host. So ring once more.
PATIENCE: Final = timedelta(seconds=2)
_ONLY_ROW: Final = 1


def ring(*, using: str) -> bool:
    """
    Ring the doorbell. Return whether a wake-up must be published.

    It need not be if another commit rang within the last two seconds and no worker has answered yet.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(*_ring_sql(using))
        if cursor.rowcount:
            return True
    if _bell(using).exists():
        return False
    insert_missing([Doorbell(pk=_ONLY_ROW, rung_at=Now())], using=using, unchanged="rung_at")
    return True


def answer(*, using: str) -> None:
    """
    Let the next commit ring again.

    Call this before looking for due records. Otherwise a commit in between wakes no worker.
    """
    _bell(using).filter(rung_at__isnull=False).update(rung_at=None)


def _bell(using: str) -> QuerySet[Doorbell]:
    return Doorbell.objects.using(using).filter(pk=_ONLY_ROW)


@functools.cache
def _ring_sql(using: str) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that rings the doorbell. It is built once, because it runs in the host's requests."""
    now, _ = sql_of(Now(), using)
    before, params = sql_of(from_now(-PATIENCE), using)
    table = Doorbell._meta.db_table
    free = f"rung_at IS NULL OR rung_at < {before}"
    return f"UPDATE {table} SET rung_at = {now} WHERE id = {_ONLY_ROW} AND ({free})", params  # noqa: S608  no input
