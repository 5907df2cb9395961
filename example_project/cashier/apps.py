"""The money of the brand."""

from django.apps import AppConfig


class CashierConfig(AppConfig):
    """Customers pay in and are paid out here; only `track360.py` of this app knows Track360."""

    name = "example_project.cashier"
