"""The sign-up form: Django's own, with a name and a country."""

from __future__ import annotations

from typing import ClassVar

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

    class Meta:
        model = User
        fields: ClassVar = ["username", "first_name", "last_name", "country"]

    def save(self, commit: bool = True) -> User:  # noqa: FBT001, FBT002 - Django's signature
        """Save the user and their profile, or neither."""
        with transaction.atomic():
            user = super().save(commit=commit)
            if commit:
                Profile.objects.create(user=user, country=self.cleaned_data["country"])
        return user
