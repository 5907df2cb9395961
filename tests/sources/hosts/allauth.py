"""django-allauth with its HTML forms."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from tests.sources.host import PASSWORD, VALUE, Host, Row, Story, activation, link_in_mail, rows
from tests.sources.visitor import Visitor, succeed


def accept(request: HttpRequest, email: str) -> HttpResponse:
    """Follow the link of an invitation, which only who has the address can know."""
    from allauth.account.adapter import get_adapter

    get_adapter().stash_verified_email(request, email)
    return HttpResponse("page")


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
        return [path("accounts/", include("allauth.urls")), path("invitation/<email>/", accept)]

    def stories(self) -> dict[str, Story]:
        """Add somebody who has nothing to confirm."""
        return {**super().stories(), "invited": self.tell_invited}

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

    def tell_invited(self, url: str, name: str) -> list[Row]:
        """Land, and sign up with an address that is verified already, while the others wait."""
        with activation(self.activation_settings):
            visitor = Visitor(url)
            visitor.land(VALUE)
            visitor.get(f"/invitation/{name}@example.com/")
            self.sign_up(visitor, name)
            return rows()
