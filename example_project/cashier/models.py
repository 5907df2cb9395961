"""A customer's account and the money that was paid into it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.crypto import get_random_string


def new_reference() -> str:
    """Return a reference that nobody can guess: 24 characters, e.g. `TX-` and 21 letters and digits."""
    return f"TX-{get_random_string(21)}"


class Account(models.Model):
    """Where the money of one customer is kept, in one currency."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="accounts")
    currency = models.CharField(max_length=3, default="USD", help_text="ISO 4217 code, e.g. USD")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "currency"], name="one_account_per_currency"),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.currency}"


class Deposit(models.Model):
    """Money on its way into an account; it counts once the payment provider has it."""

    class Method(models.TextChoices):
        """How it is paid."""

        CARD = "card", "Credit card"
        BANK = "bank", "Bank transfer"
        CRYPTO = "crypto", "Crypto"

    class Status(models.TextChoices):
        """How far it came."""

        PENDING = "pending"
        COMPLETED = "completed"
        FAILED = "failed"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="deposits")
    reference = models.CharField(max_length=24, unique=True, default=new_reference, editable=False)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    method = models.CharField(max_length=16, choices=Method, default=Method.CARD)
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="deposit_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.reference}: {self.amount} {self.currency}, {self.status}"

    def complete(self) -> None:
        """Record that the money of a pending deposit arrived; providers call twice, so once is enough."""
        if self.status != self.Status.PENDING:
            return
        self.status = self.Status.COMPLETED
        self.completed_at = timezone.now()
        self.save(update_fields=["status", "completed_at"])
