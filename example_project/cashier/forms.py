"""What a customer says when they pay in."""

# Django's classes take no type arguments at run time.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from decimal import Decimal

from django import forms

from example_project.cashier.models import Deposit


class DepositForm(forms.ModelForm):
    """An amount of at least one, and how it is paid."""

    amount = forms.DecimalField(min_value=Decimal(1), max_digits=12, decimal_places=2)

    class Meta:
        model = Deposit
        fields = ("amount", "method")
