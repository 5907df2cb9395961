"""Dead activities get another try, those that could not be written down are read from their rows again."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import router
from django.db.models import QuerySet

from track360_django.activities.declarations import mend
from track360_django.models import Activity, Status
from track360_django.outbox import dead_letters, wakeup


@dataclass(frozen=True, kw_only=True)
class Requeued:
    """How many dead activities go out again, and how many still can't be written down."""

    count: int
    refused: int = 0


def requeue(records: QuerySet[Activity]) -> Requeued:
    """
    Give dead activities another try from the start.

    Those that could not be written down (`ModelActivity`) are read from the host's rows again.

    Returns:
        How many go out again, and how many stay dead because their rows still can't be reported; they say why.
    """
    using = router.db_for_write(Activity)
    quarantined = list(records.filter(status=Status.DEAD, customer=None))
    mended = sum(mend(activity, using) for activity in quarantined)
    count = dead_letters.requeue(records) + mended
    if count:
        wakeup.after_commit(using=using)
    return Requeued(count=count, refused=len(quarantined) - mended)
