"""
A customer's accounts, the money that was paid in and out, and the bonuses that were given.

The example keeps no balance: what it shows is what Track360 is told.
"""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import get_random_string

from example_project.cashier import money
from example_project.games.products import Product
from track360_django.managers import ReportingManager


def new_reference() -> str:
    """Return a reference that nobody can guess: 24 characters, e.g. `TX-` and 21 letters and digits."""
    return f"TX-{get_random_string(21)}"


class Account(models.Model):
    """Where the money of one customer is kept, in one currency, which never changes."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="accounts")
    currency = models.CharField(
        max_length=3,
        default="USD",
        validators=[RegexValidator(r"^[A-Z]{3}\Z", "Three capital letters, e.g. USD.")],
        help_text="ISO 4217 code, e.g. USD",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "currency"], name="one_account_per_currency"),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.currency}"


class Payment(models.Model):
    """Money on its way; it counts once the payment provider says so, and may come back after that."""

    class Method(models.TextChoices):
        """How it is paid."""

        CARD = "card", "Credit card"
        BANK = "bank", "Bank transfer"
        CRYPTO = "crypto", "Crypto"

    class Status(models.TextChoices):
        """How far it came: pending, then completed or failed; what was completed may be reversed."""

        PENDING = "pending"
        COMPLETED = "completed"
        FAILED = "failed"
        REVERSED = "reversed"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="%(class)ss")
    reference = models.CharField(max_length=24, unique=True, default=new_reference, editable=False)
    amount = models.DecimalField(max_digits=money.MAX_DIGITS, decimal_places=money.DECIMAL_PLACES)
    currency = models.CharField(max_length=3)
    method = models.CharField(max_length=16, choices=Method, default=Method.CARD)
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    reversed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="%(class)s_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.reference}: {self.amount} {self.currency}, {self.status}"

    def get_absolute_url(self) -> str:
        """Return the customer's page of it."""
        return reverse(f"cashier:{self._meta.model_name}", args=[self.reference])

    @property
    def amount_text(self) -> str:
        """The amount as a person reads it."""
        return money.text(self.amount, self.currency)

    # Providers call twice, so what was done already is left as it is.

    def complete(self) -> None:
        """Record that the money of a pending payment arrived."""
        if self.status == self.Status.PENDING:
            self.status, self.completed_at = self.Status.COMPLETED, timezone.now()
            self.save(update_fields=["status", "completed_at"])

    def fail(self) -> None:
        """Record that the money of a pending payment never will arrive."""
        if self.status == self.Status.PENDING:
            self.status = self.Status.FAILED
            self.save(update_fields=["status"])

    def reverse(self) -> None:
        """Record that the money of a completed payment went back."""
        if self.status == self.Status.COMPLETED:
            self.status, self.reversed_at = self.Status.REVERSED, timezone.now()
            self.save(update_fields=["status", "reversed_at"])


class Deposit(Payment):
    """Money that a customer pays in; a reversed one was charged back by their bank."""


class Withdrawal(Payment):
    """Money that is paid out to a customer; a reversed one was sent back by their bank."""


class Bonus(models.Model):
    """Money that the brand gives to a customer for one product line, and may take back."""

    class Status(models.TextChoices):
        """Whether the customer has it."""

        GRANTED = "granted"
        REVOKED = "revoked"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="bonuses")
    reference = models.CharField(max_length=24, unique=True, default=new_reference, editable=False)
    product = models.CharField(max_length=16, choices=Product)
    amount = models.DecimalField(max_digits=money.MAX_DIGITS, decimal_places=money.DECIMAL_PLACES)
    status = models.CharField(max_length=16, choices=Status, default=Status.GRANTED)
    granted_at = models.DateTimeField(default=timezone.now)
    revoked_at = models.DateTimeField(null=True, blank=True)

    # A campaign grants and revokes thousands at once: with this manager `bulk_create` and `update` report them, too.
    objects = ReportingManager()

    class Meta:
        verbose_name_plural = "bonuses"
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="bonus_is_positive"),
        ]
        indexes = [
            # What a day's totals look for.
            models.Index(fields=["granted_at"], name="bonus_granted_at"),
            models.Index(fields=["revoked_at"], name="bonus_revoked_at"),
        ]

    def __str__(self) -> str:
        return f"{self.reference}: {self.amount} for {self.product}, {self.status}"

    @property
    def amount_text(self) -> str:
        """The amount as a person reads it."""
        return money.text(self.amount, self.account.currency)
