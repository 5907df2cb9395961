"""
The customer pays in; the payment provider says that the money arrived.

No line here mentions Track360: `track360.py` declares when a deposit is reported, and the report is written in the
transaction that completes the deposit.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from example_project.cashier import provider
from example_project.cashier.forms import DepositForm
from example_project.cashier.models import Account, Deposit


class CustomerRequest(HttpRequest):
    """The request of somebody who is logged in."""

    user: User


@login_required
def home(request: CustomerRequest) -> HttpResponse:
    """Show a customer's deposits and take a new one, which is pending until the money arrives."""
    form = DepositForm(request.POST or None)
    if form.is_valid():
        account, _ = Account.objects.get_or_create(user=request.user)
        form.instance.account, form.instance.currency = account, account.currency
        return redirect("cashier:deposit", reference=form.save().reference)
    deposits = Deposit.objects.filter(account__user=request.user).order_by("-created_at")
    return render(request, "cashier/home.html", {"form": form, "deposits": deposits})


@login_required
def deposit(request: CustomerRequest, reference: str) -> HttpResponse:
    """Show one deposit to the customer who made it."""
    own = Deposit.objects.filter(account__user=request.user)
    return render(request, "cashier/deposit.html", {"deposit": get_object_or_404(own, reference=reference)})


@csrf_exempt
@require_POST
def complete(request: HttpRequest, reference: str) -> JsonResponse:
    """Complete a deposit: the payment provider calls this, with the secret it shares with the brand."""
    if not provider.is_caller(request):
        raise PermissionDenied
    with transaction.atomic():
        made = get_object_or_404(Deposit.objects.select_for_update(), reference=reference)
        made.complete()
    return JsonResponse({"reference": made.reference, "status": made.status})
