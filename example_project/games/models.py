"""The bets of the customers, in each product line."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.utils import timezone

from example_project.cashier import money
from example_project.cashier.models import Account, new_reference
from example_project.games.products import Product


class Bet(models.Model):
    """A stake of a customer on one game; it is revenue of the brand once it is settled."""

    class Status(models.TextChoices):
        """How far it came: open, then settled; one that should not have been is voided, before or after."""

        OPEN = "open"
        SETTLED = "settled"
        VOIDED = "voided"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="bets")
    reference = models.CharField(max_length=24, unique=True, default=new_reference, editable=False)
    product = models.CharField(max_length=16, choices=Product)
    stake = models.DecimalField(max_digits=money.MAX_DIGITS, decimal_places=money.DECIMAL_PLACES)
    win = models.DecimalField(
        max_digits=money.MAX_DIGITS, decimal_places=money.DECIMAL_PLACES, default=Decimal(0)
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.OPEN)
    placed_at = models.DateTimeField(default=timezone.now)
    settled_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(stake__gt=0), name="stake_is_positive"),
            models.CheckConstraint(condition=models.Q(win__gte=0), name="win_is_not_negative"),
        ]
        indexes = [
            # What a day's totals look for.
            models.Index(fields=["settled_at"], name="bet_settled_at"),
            models.Index(fields=["voided_at"], name="bet_voided_at"),
        ]

    def __str__(self) -> str:
        return f"{self.reference}: {self.stake} on {self.product}, {self.status}"

    @property
    def stake_text(self) -> str:
        """The stake as a person reads it."""
        return money.text(self.stake, self.account.currency)

    @property
    def win_text(self) -> str:
        """The win as a person reads it."""
        return money.text(self.win, self.account.currency)

    def settle(self, win: Decimal) -> None:
        """Record how an open bet ended: `win` is what the customer gets, 0 for a lost bet."""
        if self.status == self.Status.OPEN:
            self.status, self.win, self.settled_at = self.Status.SETTLED, win, timezone.now()
            self.save(update_fields=["status", "win", "settled_at"])

    def void(self) -> None:
        """Take a bet back, with its win: the customer has their stake again."""
        if self.status != self.Status.VOIDED:
            self.status, self.voided_at = self.Status.VOIDED, timezone.now()
            self.save(update_fields=["status", "voided_at"])
