"""Accounts, payments and bonuses, for the brand's staff. What is done here is reported, too."""

# Django's classes take no type arguments at run time.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import transaction
from django.utils import timezone

from example_project.cashier.models import Account, Bonus, Deposit, Payment, Withdrawal

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


def each(rows: QuerySet[Any], do: Callable[[Any], None]) -> int:
    """
    Do something with each chosen row, all of them or none, and return how many there are.

    One by one: `update()` would send no signal, and a row must be as it is now, not as it was on the page.
    """
    with transaction.atomic():
        locked = list(rows.select_related(None).select_for_update())
        for row in locked:
            do(row)
    return len(locked)


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):
    """Who has an account in which currency."""

    list_display = ("user", "currency")
    list_select_related = ("user",)
    search_fields = ("user__username",)


@admin.register(Deposit, Withdrawal)
class PaymentAdmin(admin.ModelAdmin):
    """What was paid in or out; staff can do by hand what the payment provider does."""

    actions = ("complete", "fail", "reverse")
    date_hierarchy = "created_at"
    list_display = ("reference", "account", "amount_text", "method", "status", "completed_at", "reversed_at")
    list_filter = ("status", "method", "currency")
    list_select_related = ("account__user",)
    readonly_fields = ("reference", "status", "created_at", "completed_at", "reversed_at")
    search_fields = ("reference", "account__user__username")

    @admin.action(description="Complete: the money arrived")
    def complete(self, request: HttpRequest, queryset: QuerySet[Payment]) -> None:
        """Complete the chosen payments that are pending."""
        self.message_user(request, f"Completed: {each(queryset, Payment.complete)}")

    @admin.action(description="Fail: the money will not arrive")
    def fail(self, request: HttpRequest, queryset: QuerySet[Payment]) -> None:
        """Fail the chosen payments that are pending."""
        self.message_user(request, f"Failed: {each(queryset, Payment.fail)}")

    @admin.action(description="Reverse: the money went back")
    def reverse(self, request: HttpRequest, queryset: QuerySet[Payment]) -> None:
        """Reverse the chosen payments that are completed."""
        self.message_user(request, f"Reversed: {each(queryset, Payment.reverse)}")


@admin.register(Bonus)
class BonusAdmin(admin.ModelAdmin):
    """What the brand gave; staff grant it by adding it here."""

    actions = ("revoke",)
    date_hierarchy = "granted_at"
    list_display = ("reference", "account", "product", "amount_text", "status", "granted_at", "revoked_at")
    list_filter = ("status", "product", "account__currency")
    list_select_related = ("account__user",)
    readonly_fields = ("reference", "status", "granted_at", "revoked_at")
    search_fields = ("reference", "account__user__username")

    @admin.action(description="Revoke: the customer gives it back")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Bonus]) -> None:
        """Revoke the chosen bonuses that the customers have, in one statement: the model's manager reports it."""
        granted = queryset.filter(status=Bonus.Status.GRANTED)
        count = granted.update(status=Bonus.Status.REVOKED, revoked_at=timezone.now())
        self.message_user(request, f"Revoked: {count}")
