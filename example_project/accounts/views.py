"""
Sign-up without an auth package.

No line here mentions Track360: the middleware remembered the landing, and the safety net of `track360_django` sees
the new user.
"""

from __future__ import annotations

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from example_project.accounts.forms import SignupForm


def signup(request: HttpRequest) -> HttpResponse:
    """Make a visitor a customer, and log them in."""
    form = SignupForm(request.POST or None)
    if form.is_valid():
        login(request, form.save(), backend="django.contrib.auth.backends.ModelBackend")
        return redirect("cashier:home")
    return render(request, "accounts/signup.html", {"form": form})
