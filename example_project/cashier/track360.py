"""What Track360 is told of the cashier. This file is all that the cashier needs."""

from __future__ import annotations

from django.db.models import Q

from example_project.cashier.models import Deposit
from track360_django import activities


@activities.register(Deposit)
class DepositActivity(activities.ModelActivity):
    """A deposit is reported once, when its money arrived, and never before its customer."""

    eventname = "Deposit"
    when = Q(status="completed")
    customer = "account__user"
    value, currency, createtime = "amount", "currency", "completed_at"
    eventid = "reference"
    fields = {"depositType": "method"}
