"""
Sign-up without an auth package.

No line here mentions Track360: the middleware remembered the landing, and the safety net of
`track360_django` sees the new user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import login
from django.urls import reverse_lazy
from django.views.generic import CreateView

from example_project.accounts.forms import SignupForm

if TYPE_CHECKING:
    from django.http import HttpResponse


class SignupView(CreateView):
    """A visitor becomes a customer, and is logged in."""

    form_class = SignupForm
    template_name = "accounts/signup.html"
    success_url = reverse_lazy("cashier:home")

    def form_valid(self, form: SignupForm) -> HttpResponse:
        """Save the person and log them in."""
        response = super().form_valid(form)
        login(self.request, form.instance, backend="django.contrib.auth.backends.ModelBackend")
        return response
