"""What a customer says when they bet."""

# Django's classes take no type arguments at run time.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from decimal import Decimal

from django import forms

from example_project.cashier import money
from example_project.cashier.forms import AccountForm
from example_project.games.models import Bet


class BetForm(AccountForm):
    """A stake of at least one."""

    amount_field = "stake"
    stake = forms.DecimalField(min_value=Decimal(1), max_digits=money.MAX_DIGITS)

    class Meta:
        model = Bet
        fields = ("stake",)
