"""
Celery's entrances: thin, without arguments, without results. What to do is in the tables, not in the messages.

`BEAT_SCHEDULE` is to be merged into the host's: `app.conf.beat_schedule |= BEAT_SCHEDULE`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from celery import shared_task
from django.db import DEFAULT_DB_ALIAS

from track360_django import conf, delivery, outbox, wakeup

SWEEP_SECONDS: Final = 30
PRUNE_SECONDS: Final = 3600


@shared_task(name=wakeup.DELIVER, ignore_result=True, acks_late=False)
def deliver() -> None:
    """Deliver what is due; when the time budget ends first, ask for another worker and stop."""
    if not delivery.drain().is_finished:
        wakeup.wake()


@shared_task(name="track360_django.tasks.sweep", ignore_result=True, acks_late=False)
def sweep() -> None:
    """Deliver what no wake-up announced: retries that are due, what a dead worker left, what a broker lost."""
    deliver()


@shared_task(name="track360_django.tasks.prune", ignore_result=True, acks_late=False)
def prune() -> None:
    """Delete activities that were delivered longer than `RETENTION_DAYS` ago."""
    outbox.prune(using=DEFAULT_DB_ALIAS, older_than=timedelta(days=conf.settings.RETENTION_DAYS))


BEAT_SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    "track360-sweep": {"task": sweep.name, "schedule": SWEEP_SECONDS, "options": {"expires": SWEEP_SECONDS}},
    "track360-prune": {"task": prune.name, "schedule": PRUNE_SECONDS, "options": {"expires": PRUNE_SECONDS}},
}
