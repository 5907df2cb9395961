"""The declaration of payments; a process declares it where it wants it."""

from __future__ import annotations

from django.db.models import Q

from tests.ledger.models import Payment
from track360_django import activities


class Paid(activities.ModelActivity):
    """A payment that was paid."""

    eventname = "Payment"
    when = Q(status="paid")
    customer = "player"
    value, currency, createtime = "amount", "currency", "paid_at"


def declare() -> None:
    """Declare payments, in this process."""
    activities.register(Payment)(Paid)
