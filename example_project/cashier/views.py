"""
The customer pays in; the payment provider says that the money arrived.

No line here mentions Track360: `track360.py` declares when a deposit is reported, and the report is
written in the transaction that completes the deposit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django.views.generic import DetailView

from example_project.cashier import provider
from example_project.cashier.forms import DepositForm
from example_project.cashier.models import Account, Deposit

if TYPE_CHECKING:
    from django.db.models import QuerySet


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Show the deposits of a customer and take a new one, which is pending until the money arrives."""
    form = DepositForm(request.POST or None)
    if form.is_valid():
        account, _ = Account.objects.get_or_create(user=request.user)
        form.instance.account = account
        form.instance.currency = account.currency
        return redirect("cashier:deposit", reference=form.save().reference)
    deposits = Deposit.objects.filter(account__user=request.user).order_by("-created_at")
    return render(request, "cashier/home.html", {"form": form, "deposits": deposits})


class DepositView(LoginRequiredMixin, DetailView):
    """Show one deposit to the customer who made it."""

    template_name = "cashier/deposit.html"
    slug_field = slug_url_kwarg = "reference"

    def get_queryset(self) -> QuerySet[Deposit]:
        """Return the customer's own deposits."""
        return Deposit.objects.filter(account__user=self.request.user)


@csrf_exempt
@require_POST
def complete(request: HttpRequest, reference: str) -> JsonResponse:
    """Complete a deposit: the payment provider calls this, with the secret it shares with the brand."""
    if not provider.is_caller(request):
        raise PermissionDenied
    with transaction.atomic():
        deposit = get_object_or_404(Deposit.objects.select_for_update(), reference=reference)
        deposit.complete()
    return JsonResponse({"reference": deposit.reference, "status": deposit.status})
