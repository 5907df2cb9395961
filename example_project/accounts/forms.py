"""The sign-up form: Django's own, with a name and a country."""

# Django's classes take no type arguments at run time.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from django import forms
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.core.validators import RegexValidator
from django.db import transaction

from example_project.accounts.models import Profile


class SignupForm(UserCreationForm):
    """One person, with the profile that belongs to them."""

    country = forms.CharField(
        max_length=2,
        validators=[RegexValidator(r"^[A-Z]{2}\Z", "Two capital letters, e.g. US.")],
        help_text="Two letters, e.g. US",
    )

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username", "first_name", "last_name", "country")

    def save(self, commit: bool = True) -> User:  # noqa: FBT001, FBT002 - Django's signature
        """Save the user and their profile, or neither."""
        with transaction.atomic():
            user: User = super().save(commit=commit)
            if commit:
                Profile.objects.create(user=user, country=self.cleaned_data["country"])
        return user
