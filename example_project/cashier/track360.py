"""
What Track360 is told of the cashier: each deposit, withdrawal and bonus, one by one.

This file is all that the cashier needs. What is added up per day is declared beside the games (`games/track360.py`):
the same KPI is never reported in both ways.
"""

from __future__ import annotations

from django.db.models import Q

from example_project.cashier.models import Bonus, Deposit, Withdrawal
from track360_django import activities


@activities.register(Deposit)
class DepositActivity(activities.ModelActivity):
    """A deposit is reported once, when its money arrived, and as a chargeback when the customer's bank took it back."""

    eventname = "Deposit"
    when = Q(status="completed")
    on_reverse, reversed_at = "Chargeback", "reversed_at"
    customer = "account__user"
    value, currency, createtime = "amount", "currency", "completed_at"
    eventid = "reference"
    fields = {"depositType": "method"}


@activities.register(Withdrawal)
class WithdrawalActivity(activities.ModelActivity):
    """A withdrawal is reported once, when its money left, and with the other sign when it came back."""

    eventname = "Withdrawal"
    when = Q(status="completed")
    on_reverse, reversed_at = "negative", "reversed_at"
    customer = "account__user"
    value, currency, createtime = "amount", "currency", "completed_at"
    eventid = "reference"
    fields = {"withdrawalType": "method"}


@activities.register(Bonus)
class BonusActivity(activities.ModelActivity):
    """A bonus is reported when it is granted, with its product line, and with the other sign when it is revoked."""

    eventname = "Bonus"
    when = Q(status="granted")
    on_reverse, reversed_at = "negative", "revoked_at"
    customer = "account__user"
    value, currency, createtime = "amount", "account__currency", "granted_at"
    eventid = "reference"
    product = "product"
