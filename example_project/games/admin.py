"""Bets, for the brand's staff: results that come from elsewhere, and bets that should not have been."""

# Django's classes take no type arguments at run time.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from example_project.cashier.admin import each
from example_project.games.models import Bet

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


@admin.register(Bet)
class BetAdmin(admin.ModelAdmin):
    """Who bet what on which product line, and how it ended."""

    actions = ("settle", "void")
    date_hierarchy = "placed_at"
    list_display = (
        "reference",
        "account",
        "product",
        "stake_text",
        "win_text",
        "status",
        "settled_at",
        "voided_at",
    )
    list_filter = ("status", "product", "account__currency")
    list_select_related = ("account__user",)
    readonly_fields = ("reference", "status", "placed_at", "settled_at", "voided_at")
    search_fields = ("reference", "account__user__username")

    @admin.action(description="Settle: pay the win that is entered")
    def settle(self, request: HttpRequest, queryset: QuerySet[Bet]) -> None:
        """Settle the chosen bets that are open, each with the win that stands in its row."""
        self.message_user(request, f"Settled: {each(queryset, lambda bet: bet.settle(bet.win))}")

    @admin.action(description="Void: the bet should not have been")
    def void(self, request: HttpRequest, queryset: QuerySet[Bet]) -> None:
        """Void the chosen bets."""
        self.message_user(request, f"Voided: {each(queryset, Bet.void)}")
