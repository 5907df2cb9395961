"""
The customer pays in and asks to be paid out; the payment provider says what became of it.

No line here mentions Track360: `track360.py` declares when a payment is reported, and the report is written in the
transaction that completes or reverses the payment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from example_project.cashier import provider
from example_project.cashier.forms import AccountForm, DepositForm, WithdrawalForm
from example_project.cashier.models import Deposit, Payment, Withdrawal

# By their place in the URL.
MODELS: Final[dict[str, type[Deposit | Withdrawal]]] = {"deposits": Deposit, "withdrawals": Withdrawal}
FORMS: Final[dict[str, type[AccountForm]]] = {"deposits": DepositForm, "withdrawals": WithdrawalForm}
# What the payment provider may say.
STEPS: Final[dict[str, Callable[[Payment], None]]] = {
    "complete": Payment.complete,
    "fail": Payment.fail,
    "reverse": Payment.reverse,
}


class CustomerRequest(HttpRequest):
    """The request of somebody who is logged in."""

    user: User


@login_required
def payments(request: CustomerRequest, kind: str) -> HttpResponse:
    """Show a customer's payments and take a new one, which is pending until the provider is done with it."""
    form = FORMS[kind](request.user, request.POST or None)
    if form.is_valid():
        return redirect(form.save())
    own = MODELS[kind].objects.filter(account__user=request.user).order_by("-created_at")
    return render(request, "cashier/payments.html", {"kind": kind, "form": form, "payments": own})


@login_required
def payment(request: CustomerRequest, kind: str, reference: str) -> HttpResponse:
    """Show one payment to the customer whose it is."""
    own = MODELS[kind].objects.filter(account__user=request.user)
    made = get_object_or_404(own, reference=reference)
    return render(request, "cashier/payment.html", {"payment": made})


@csrf_exempt
@require_POST
def advance(request: HttpRequest, kind: str, reference: str, step: str) -> JsonResponse:
    """Complete, fail or reverse a payment: the provider calls this, with the secret it shares with the brand."""
    if not provider.is_caller(request):
        raise PermissionDenied
    if step not in STEPS:
        raise Http404
    with transaction.atomic():
        made = get_object_or_404(MODELS[kind].objects.select_for_update(), reference=reference)
        STEPS[step](made)
    return JsonResponse({"reference": made.reference, "status": made.status})
