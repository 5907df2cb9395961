"""The product lines of the brand, named as Track360 groups by them."""

from __future__ import annotations

from django.db import models


class Product(models.TextChoices):
    """
    A product line.

    The stored value is the very word that was agreed with Track360, so that no mapping can go wrong.

    Source: API guide, "Grouping by date or by KPI type".
    """

    CASINO = "Casino"
    SPORTS = "Sports"
    POKER = "Poker"
    BINGO = "Bingo"
