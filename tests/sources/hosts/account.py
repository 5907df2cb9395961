"""django-user-accounts (pinax): forms, its signals have no request; its app label is the one of allauth's."""

from __future__ import annotations

from typing import Any

from django.urls import include, path

from tests.sources.host import PASSWORD, Host, link_in_mail
from tests.sources.visitor import Visitor, succeed


class Site(Host):
    """django-user-accounts as its quick start has it."""

    apps = ("account",)
    settings = {
        "AUTHENTICATION_BACKENDS": ["account.auth_backends.UsernameAuthenticationBackend"],
        "ACCOUNT_EMAIL_CONFIRMATION_REQUIRED": True,
        "ACCOUNT_DEFAULT_HTTP_PROTOCOL": "http",
    }
    middleware = ("account.middleware.LocaleMiddleware", "account.middleware.TimezoneMiddleware")

    def urls(self) -> list[Any]:
        """Return its own."""
        return [path("account/", include("account.urls"))]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Fill its form."""
        fields = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        succeed(visitor.submit("/account/signup/", **fields, password_confirm=PASSWORD))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Repeat the password wrongly."""
        answer = visitor.submit("/account/signup/", username=name, password=PASSWORD, password_confirm="x")
        assert "errorlist" in answer.text

    def activate(self, visitor: Visitor, name: str) -> None:  # noqa: ARG002  the mail says who it is
        """Open the link of the mail, and confirm."""
        succeed(visitor.submit(link_in_mail(r"/account/confirm_email/\w+/")[0], form="csrfmiddlewaretoken"))
