"""
The Celery tasks: thin, without arguments, without results. The work is in the tables, not in the messages.

Merge `BEAT_SCHEDULE` into the host's schedule. A settings file may import this module, so modules that need the models
are imported inside the tasks:

    from track360_django.tasks import BEAT_SCHEDULE
    CELERY_BEAT_SCHEDULE = {**BEAT_SCHEDULE, ...}
"""

from __future__ import annotations

from typing import Any, Final

from celery import current_app, shared_task

from track360_django import conf
from track360_django.outbox import wakeup

SWEEP_SECONDS: Final = 30
PRUNE_SECONDS: Final = 3600
DAILY_SECONDS: Final = 3600
RECONCILE_SECONDS: Final = 3600


@shared_task(name=wakeup.DELIVER, ignore_result=True, acks_late=False)
def deliver() -> None:
    """Deliver due records. If the time budget ends first, wake another worker and stop."""
    from track360_django import delivery  # noqa: PLC0415  see the module's docstring

    if current_app.conf.task_always_eager:
        # The host's tasks run inside its requests: there is no other worker to wake, and no time to wait.
        delivery.drain()
    elif not delivery.drain(on_backlog=wakeup.wake, linger_seconds=wakeup.LINGER_SECONDS).is_finished:
        wakeup.wake()


@shared_task(name="track360_django.tasks.sweep", ignore_result=True, acks_late=False)
def sweep() -> None:
    """Deliver records without a wake-up: due retries, records of a worker that died, wake-ups that a broker lost."""
    from track360_django import customers  # noqa: PLC0415  see the module's docstring
    from track360_django.outbox import aliases  # noqa: PLC0415  see the module's docstring

    try:
        for alias in aliases.all_known()[1:]:
            customers.release_reported(using=alias)
    finally:
        # After an error there, the other records are still delivered.
        deliver()


@shared_task(name="track360_django.tasks.prune", ignore_result=True, acks_late=False)
def prune() -> None:
    """Prune activities that were delivered more than `RETENTION_DAYS` ago. Customers are state and stay."""
    from track360_django.outbox import retention  # noqa: PLC0415  see the module's docstring

    retention.prune_all()


@shared_task(name="track360_django.tasks.daily", ignore_result=True, acks_late=False)
def daily() -> None:
    """Compile the declared day's totals: days that are over, and the days of the window again for late rows."""
    from track360_django import daily as compiler  # noqa: PLC0415  see the module's docstring

    if conf.brands_on():
        compiler.report_windows()


@shared_task(name="track360_django.tasks.reconcile", ignore_result=True, acks_late=False)
def reconcile() -> None:
    """Report rows of the last days that no signal announced: `bulk_create`, raw SQL, a process that died too early."""
    from track360_django import reconcile as reconciliation  # noqa: PLC0415  see the module's docstring

    if conf.brands_on():
        reconciliation.fill()


BEAT_SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    "track360-sweep": {
        "task": "track360_django.tasks.sweep",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": wakeup.EXPIRES_SECONDS},
    },
    "track360-prune": {
        "task": "track360_django.tasks.prune",
        "schedule": PRUNE_SECONDS,
        "options": {"expires": wakeup.EXPIRES_SECONDS},
    },
    "track360-daily": {
        "task": "track360_django.tasks.daily",
        "schedule": DAILY_SECONDS,
        "options": {"expires": wakeup.EXPIRES_SECONDS},
    },
    "track360-reconcile": {
        "task": "track360_django.tasks.reconcile",
        "schedule": RECONCILE_SECONDS,
        "options": {"expires": wakeup.EXPIRES_SECONDS},
    },
}
