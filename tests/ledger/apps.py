"""The app of the tests' own ledger."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    """Its tables are made without migrations, in test databases alone."""

    name = "tests.ledger"
    label = "tests_ledger"
