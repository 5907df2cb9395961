"""The people of the brand."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People sign up here; nothing in this app knows Track360."""

    name = "example_project.accounts"
