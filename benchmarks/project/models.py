"""Money of the host, the same three times: told to nobody, told naively, told through this package."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from example_project.cashier.models import new_reference


class Payment(models.Model):
    """Money that came from a customer."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    user_id: int
    reference = models.CharField(max_length=24, unique=True, default=new_reference, editable=False)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3, default="USD")
    status = models.CharField(max_length=16, default="completed")
    completed_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[models.Manager[Any]] = models.Manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.reference


class PlainPayment(Payment):
    """Nobody is told of it."""


class NaivePayment(Payment):
    """A task is sent for each one on commit; `sent_at` is the mark of the task."""

    sent_at = models.DateTimeField(null=True)


class DeclaredPayment(Payment):
    """Declared in `track360.py`."""


class RawRecord(models.Model):
    """What the raw loop reads: a body as text, and a mark. Lean, so that nothing holds the loop up."""

    body = models.TextField()
    is_sent = models.BooleanField(default=False)

    objects: ClassVar[models.Manager[Any]] = models.Manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=models.Q(is_sent=False), name="raw_record_due"),
        ]

    def __str__(self) -> str:
        return f"raw record {self.pk}"
