"""Accounts and deposits, for the brand's staff. A deposit that is completed here is reported, too."""

# Django's classes take no type arguments at run time.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from example_project.cashier.models import Account, Deposit

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):
    """Who has an account in which currency."""

    list_display = ("user", "currency")
    list_select_related = ("user",)
    search_fields = ("user__username",)


@admin.register(Deposit)
class DepositAdmin(admin.ModelAdmin):
    """What was paid in; pending deposits can be completed by hand."""

    actions = ("complete",)
    date_hierarchy = "created_at"
    list_display = ("reference", "account", "amount", "currency", "method", "status", "completed_at")
    list_filter = ("status", "method", "currency")
    list_select_related = ("account__user",)
    readonly_fields = ("reference", "status", "created_at", "completed_at")
    search_fields = ("reference", "account__user__username")

    @admin.action(description="Complete: the money arrived")
    def complete(self, request: HttpRequest, queryset: QuerySet[Deposit]) -> None:
        """Complete the chosen deposits one by one: `update()` would send no signal."""
        for deposit in queryset:
            deposit.complete()
        self.message_user(request, f"Completed: {len(queryset)}")
