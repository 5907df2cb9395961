"""Retention: activities that were delivered long ago are pruned, in small batches, so that the tables stay small."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Value

from track360_django import databases
from track360_django.clock import Now
from track360_django.expressions import is_among
from track360_django.models import Activity, Status

PRUNE_BATCH: Final = 1000


def prune(*, older_than: timedelta, using: str = "") -> int:
    """
    Prune delivered activities that were accepted longer ago than this, in small batches; return how many.

    What was reported by hand is deleted. What came from a row of the host loses its body and keeps its id: the row
    may be saved again at any time, and without the memory of it it would be paid for again.
    """
    return sum(_prune(older_than, alias) for alias in ((using,) if using else databases.all_known()))


def _prune(older_than: timedelta, using: str) -> int:
    rows = Activity.objects.using(using)
    is_over = rows.filter(status=Status.DELIVERED, delivered_at__lt=Now() - Value(older_than)).exclude(
        body=""
    )
    total = 0
    while pks := list(is_over.order_by("delivered_at").values_list("pk", flat=True)[:PRUNE_BATCH]):
        batch = rows.filter(is_among("pk", pks))
        total += batch.exclude(source="").update(body="")
        total += batch.filter(source="").delete()[0]
    return total
