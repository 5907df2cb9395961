"""
The customer bets, and the game says what they win.

No line here mentions Track360: `track360.py` adds up the bets that were settled in a day.
"""

from __future__ import annotations

from decimal import Decimal
from secrets import choice

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from example_project.cashier.views import CustomerRequest
from example_project.games.forms import BetForm
from example_project.games.models import Bet
from example_project.games.products import Product


def lobby(request: HttpRequest) -> HttpResponse:
    """Show what there is to play."""
    return render(request, "games/lobby.html", {"products": Product})


@login_required
def table(request: CustomerRequest, product: str) -> HttpResponse:
    """Show a customer's bets on one product line and take a new one, which is open until it is played."""
    if product not in Product:
        raise Http404
    form = BetForm(request.user, request.POST or None, instance=Bet(product=product))
    if form.is_valid():
        form.save()
        return redirect("games:table", product=product)
    own = Bet.objects.filter(account__user=request.user, product=product).select_related("account")
    return render(
        request, "games/table.html", {"product": product, "form": form, "bets": own.order_by("-placed_at")}
    )


@login_required
@require_POST
def play(request: CustomerRequest, reference: str) -> HttpResponse:
    """Settle a customer's own open bet: double or nothing."""
    with transaction.atomic():
        own = Bet.objects.filter(account__user=request.user).select_for_update()
        bet = get_object_or_404(own, reference=reference)
        bet.settle(choice((Decimal(0), 2 * bet.stake)))
    return redirect("games:table", product=bet.product)
