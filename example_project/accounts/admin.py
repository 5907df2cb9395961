"""Profiles, for the brand's staff."""

from __future__ import annotations

from django.contrib import admin

from example_project.accounts.models import Profile


@admin.register(Profile)
class ProfileAdmin(admin.ModelAdmin):
    """Who lives where."""

    list_display = ("user", "country")
    list_select_related = ("user",)
    search_fields = ("user__username",)
