"""What a Django developer writes today: on commit, a task for each saved row."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import post_save

from benchmarks.project.models import NaivePayment
from benchmarks.project.tasks import report_naively


def connect() -> None:
    """Listen to saved payments."""
    post_save.connect(queue_report, sender=NaivePayment, dispatch_uid="benchmarks.queue_report")


def queue_report(instance: NaivePayment, *, created: bool, **_: Any) -> None:
    """Send the task when the row is committed."""
    if created:
        transaction.on_commit(lambda: report_naively.delay(instance.pk))
