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
    """A deposit is reported once, when its money arrived, and never before its customer."""

    eventname = "Deposit"
    when = Q(status="completed")
    customer = "account__user"
    value, currency, createtime = "amount", "currency", "completed_at"
    eventid = "reference"
    fields = {"depositType": "method"}


@activities.register(Withdrawal)
class WithdrawalActivity(activities.ModelActivity):
    """A withdrawal is reported once, when its money left."""

    eventname = "Withdrawal"
    when = Q(status="completed")
    customer = "account__user"
    value, currency, createtime = "amount", "currency", "completed_at"
    eventid = "reference"
    fields = {"withdrawalType": "method"}


@activities.register(Bonus)
class BonusActivity(activities.ModelActivity):
    """A bonus is reported when it is granted, with the product line it is for."""

    eventname = "Bonus"
    when = Q(status="granted")
    customer = "account__user"
    value, currency, createtime = "amount", "account__currency", "granted_at"
    eventid = "reference"
    product = "product"
