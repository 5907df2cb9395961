"""Payments of players, who are known by an id of their own."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from track360_django.managers import ReportingManager


class Payment(models.Model):
    """Money of a player; it counts while it is paid."""

    player = models.CharField(max_length=40)
    amount = models.DecimalField(max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=3, default="USD")
    status = models.CharField(max_length=10, default="pending")
    paid_at = models.DateTimeField(default=timezone.now)

    objects = models.Manager()
    reporting: ClassVar[ReportingManager] = ReportingManager()

    def __str__(self) -> str:
        return f"payment {self.pk}"


class CardPayment(Payment):
    """The same rows under another class."""

    class Meta:
        proxy = True


class Voucher(Payment):
    """Payments with a table of their own for what others don't have."""

    code = models.CharField(max_length=20, default="")


class Ticket(models.Model):
    """A row that makes its own key, and may have a number or none."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    player = models.CharField(max_length=40, default="c-1")
    amount = models.DecimalField(max_digits=10, decimal_places=2, default=5)
    number = models.CharField(max_length=20, blank=True, default="")
    is_paid = models.BooleanField(default=True)

    objects = models.Manager()

    def __str__(self) -> str:
        return f"ticket {self.pk}"
