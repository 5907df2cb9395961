"""Profiles, for the brand's staff."""

# Django's classes take no type arguments at run time.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from django.contrib import admin

from example_project.accounts.models import Profile


@admin.register(Profile)
class ProfileAdmin(admin.ModelAdmin):
    """Who lives where."""

    list_display = ("user", "country")
    list_select_related = ("user",)
    search_fields = ("user__username",)
