"""The games of the brand."""

from django.apps import AppConfig


class GamesConfig(AppConfig):
    """Customers bet here; only `track360.py` of this app knows Track360."""

    name = "example_project.games"
