"""The money of the brand."""

from django.apps import AppConfig


class CashierConfig(AppConfig):
    """Customers pay in and are paid out here; beside the manager of bonuses, only `track360.py` knows Track360."""

    name = "example_project.cashier"
