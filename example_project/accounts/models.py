"""What the brand knows of a person beside Django's own user."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Profile(models.Model):
    """Where a person lives: sent to Track360 as `country`, through `TRACK360["CUSTOMER_FIELDS"]`."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile")
    country = models.CharField(max_length=2, help_text="ISO 3166-1 code, e.g. US")

    def __str__(self) -> str:
        return f"{self.user} ({self.country})"
