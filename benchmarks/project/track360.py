"""What Track360 is told of the benchmarks' payments."""

from __future__ import annotations

from django.db.models import Q

from benchmarks.project.models import DeclaredPayment
from track360_django import activities


@activities.register(DeclaredPayment)
class PaymentActivity(activities.ModelActivity):
    """A payment is reported once, when it is completed."""

    eventname = "Payment"
    when = Q(status="completed")
    customer = "user"
    value, currency, createtime = "amount", "currency", "completed_at"
    eventid = "reference"
