"""What a customer says when they pay in, or want to be paid out."""

# Django's classes take no type arguments at run time.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth.models import User

from example_project.cashier import money
from example_project.cashier.models import Account, Deposit, Withdrawal


class AccountForm(forms.ModelForm):
    """An amount in one of the customer's currencies; saved, it belongs to their account in that currency."""

    currency = forms.ChoiceField(required=False)
    # The field that holds the amount.
    amount_field = "amount"

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user
        own = user.accounts.values_list("currency", flat=True)
        choices = [(code, code) for code in dict.fromkeys((*money.CURRENCIES, *own))]
        self.fields["currency"].choices = choices  # type: ignore[attr-defined]  # it is a ChoiceField

    def clean_currency(self) -> str:
        """Return the currency; without a choice it is the first that the site offers."""
        return self.cleaned_data["currency"] or money.CURRENCIES[0]

    def clean(self) -> dict[str, Any]:
        """Refuse an amount that nobody can pay, such as half a yen."""
        cleaned = {**(super().clean() or {})}
        amount, currency = cleaned.get(self.amount_field), cleaned.get("currency")
        if amount is not None and currency and not money.is_payable(amount, currency):
            places = money.places(currency)
            self.add_error(self.amount_field, f"{currency} has {places} places after the point.")
        return cleaned

    def save(self, commit: bool = True) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """Save the row with its account."""
        account, _ = Account.objects.get_or_create(user=self._user, currency=self.cleaned_data["currency"])
        self.instance.account = account
        return super().save(commit=commit)


class DepositForm(AccountForm):
    """An amount of at least one, and how it is paid."""

    amount = forms.DecimalField(min_value=Decimal(1), max_digits=money.MAX_DIGITS)

    class Meta:
        model = Deposit
        fields = ("amount", "currency", "method")


class WithdrawalForm(AccountForm):
    """An amount of at least one, and how it is paid out."""

    amount = forms.DecimalField(min_value=Decimal(1), max_digits=money.MAX_DIGITS)

    class Meta:
        model = Withdrawal
        fields = ("amount", "currency", "method")
