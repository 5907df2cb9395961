"""django-allauth with its HTML forms."""

from __future__ import annotations

from typing import Any

from django.urls import include, path

from tests.sources.host import PASSWORD, Host, link_in_mail
from tests.sources.visitor import Visitor, succeed


class Site(Host):
    """django-allauth as its quick start has it."""

    apps = ("allauth", "allauth.account")
    middleware = ("allauth.account.middleware.AccountMiddleware",)
    settings = {
        "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
        "ACCOUNT_EMAIL_VERIFICATION": "optional",
        "ACCOUNT_RATE_LIMITS": False,
    }
    activation_settings = {"ACCOUNT_EMAIL_VERIFICATION": "mandatory"}

    def urls(self) -> list[Any]:
        """Return allauth's."""
        return [path("accounts/", include("allauth.urls"))]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Fill allauth's form."""
        fields = {"username": name, "email": f"{name}@example.com", "password1": PASSWORD}
        succeed(visitor.submit("/accounts/signup/", **fields, password2=PASSWORD))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Repeat the password wrongly."""
        assert "errorlist" in visitor.submit("/accounts/signup/", username=name, password1=PASSWORD).text

    def activate(self, visitor: Visitor, name: str) -> None:  # noqa: ARG002  the mail says who it is
        """Open the link of the mail, and confirm."""
        succeed(visitor.submit(link_in_mail(r"http\S+/confirm-email/\S+")[0], form="csrfmiddlewaretoken"))
