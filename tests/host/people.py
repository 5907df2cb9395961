"""Classes below the host's user model, of an app that is not installed: no other needs migrations for them."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models


class Player(User):
    """Users under another class."""

    class Meta:
        proxy = True
        app_label = "people"


class Trader(User):
    """Users with a table of their own, which only a test that needs it makes."""

    # A user of another test is deleted without a look into the table.
    user_ptr = models.OneToOneField(User, models.DO_NOTHING, parent_link=True, primary_key=True)
    desk = models.CharField(max_length=20, default="")

    class Meta:
        app_label = "people"
