"""Retention: prunes activities that were delivered long ago, in small batches, so that the tables stay small."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q, Value

from track360_django import conf
from track360_django.db import row_locks
from track360_django.db.clock import Now
from track360_django.db.lookups import is_among
from track360_django.models import Activity, Status
from track360_django.outbox import aliases

PRUNE_BATCH: Final = 1000


def prune_all() -> int:
    """Prune delivered activities that were accepted more than their brand's `RETENTION_DAYS` ago; return how many."""
    days = {brand: conf.for_brand(brand).RETENTION_DAYS for brand in conf.brands()}
    usual = conf.settings.RETENTION_DAYS
    others = {brand: each for brand, each in days.items() if each != usual}
    total = sum(prune(older_than=timedelta(days=each), brand=brand) for brand, each in others.items())
    return total + prune(older_than=timedelta(days=usual), without=tuple(others))


def prune(*, older_than: timedelta, using: str = "", brand: str = "", without: Sequence[str] = ()) -> int:
    """
    Prune delivered activities that were accepted longer ago than this, in small batches; return how many.

    This applies to one brand, or to all brands except some.

    An activity that was reported by a call is deleted. An activity that was reported from a row of the host loses its
    body and keeps its id: the row may be saved again at any time, and without the id it would be paid again.
    """
    whose = Q(brand=brand) if brand else ~Q(brand__in=without) if without else Q()
    return sum(_prune(older_than, whose, alias) for alias in ((using,) if using else aliases.all_known()))


def _prune(older_than: timedelta, of_brand: Q, using: str) -> int:
    rows = Activity.objects.using(using).filter(of_brand)
    is_over = rows.filter(status=Status.DELIVERED, delivered_at__lt=Now() - Value(older_than)).exclude(
        body=""
    )
    total = 0
    skipped: set[int] = set()
    while True:
        page = is_over.exclude(pk__in=skipped).order_by("delivered_at")
        batch = list(page.values_list("pk", flat=True)[:PRUNE_BATCH])
        if not batch:
            return total
        with transaction.atomic(using=using):
            # What the host holds is being changed: it stays for the next time, and nobody waits.
            locked = row_locks.find_locked(Activity, batch, using=using)
            skipped |= locked
            free = [pk for pk in batch if pk not in locked]
            if free:
                # Filtered again, now that the rows are locked: a correction may have made one due again.
                still = is_over.filter(is_among("pk", free))
                total += still.filter(source="").delete()[0] + still.exclude(source="").update(body="")
